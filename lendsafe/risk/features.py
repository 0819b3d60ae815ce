"""From applications to the model's matrix, and from its columns to reasons: what a product says of its features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import DataError
from lendsafe.fields import knob
from lendsafe.product import Product, consumer
from lendsafe.product.table import IDENTIFIER, Columns, indicator
from lendsafe.records import Applicant

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input of the model.

    Attributes:
        name: Column.
        reason: Code of the reason that the feature is given as.
        risk: Business sign; empty if unknown, and then unconstrained.
        when_missing: Code when the value is not known; empty where the application is then incomplete.
        report: Whether it comes from a consumer report.
        no_file: Whether it is the flag of a missing credit file.
        stands_for: Feature in place of whose value a code stands, if this is the code's flag.
        levels: Texts that it may take; empty for numbers.
        ordered: Whether the levels are in order, so that they count as 0, 1, 2, ...; otherwise each
            level is a column of its own.
    """

    name: str = knob()
    reason: str = knob()
    risk: Literal["+", "-", ""] = knob("")
    when_missing: str = knob("")
    report: bool = knob(False)
    no_file: bool = knob(False)
    stands_for: str = knob("")
    levels: tuple[str, ...] = knob(())
    ordered: bool = knob(True)

    @property
    def constraint(self) -> int:
        """The monotone constraint on the probability of default: 1, -1, or 0 for none."""
        return {"+": 1, "-": -1, "": 0}[self.risk]


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """What a model looks at, and the reasons that it may give.

    Attributes:
        product: What the fields mean.
        names: Features of the product that the model looks at, in the product's order.
    """

    product: Product
    names: tuple[str, ...]

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features, and one for each code that stands in place of a value."""
        found = []
        for name in self.names:
            one = self.product.fields[name]
            found.append(
                Feature(
                    name=name,
                    reason=one.reason,
                    risk=one.risk,
                    when_missing=one.when_missing,
                    report=self.product.reads_report(name),
                    no_file=name == self.product.no_file,
                    levels=one.levels,
                    ordered=one.ordered,
                )
            )
            found += [
                Feature(name=indicator(name, code), reason=reason, stands_for=name)
                for code, reason in one.special.items()
            ]
        return tuple(found)

    @property
    def statements(self) -> dict[str, str]:
        """Reason code to its wording, in the order that breaks ties."""
        return dict(self.product.statements)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Reasons, in the fixed order."""
        return tuple(self.product.reasons)

    @cached_property
    def columns(self) -> tuple[Feature, ...]:
        """Columns of the encoded matrix; a level without order is a column of its own."""
        found: list[Feature] = []
        for f in self.features:
            if f.levels and not f.ordered:
                found += [replace(f, name=f"{f.name}={level}", risk="", levels=()) for level in f.levels]
            else:
                found.append(f)
        return tuple(found)

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Fields that are read, of which the features are made."""
        return frozenset(one for name in self.names for one in self.product.inputs(name))

    def encode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The model's matrix with the names of its columns; see :meth:`matrix`."""
        return pd.DataFrame(self.matrix(frame), frame.index, [f.name for f in self.columns])

    def matrix(self, frame: pd.DataFrame, columns: Columns | None = None) -> Floats:
        """The model's matrix, ``float64``, ``(n, columns)``, NaN where a value is not known.

        Args:
            frame: Application columns, ``n`` rows.
            columns: The same as numbers, if they have been read already.

        Raises:
            DataError: If a column is absent, or a value is of the wrong kind or an unknown level.
        """
        read = Columns(frame, self.product) if columns is None else columns
        made = {one.name for one in self.product.in_order_of_need}
        if absent := [name for name in self.names if name not in frame and name not in made]:
            raise DataError(f"Columns are missing: {', '.join(absent)}.")
        parts: list[Floats] = []
        for f in self.features:
            if f.stands_for and f.name not in frame:  # the flag of a code that no application has
                parts.append(np.zeros(len(frame)))
            elif f.name in made or not (f.levels or np.isnan(read[f.name]).any()):
                parts.append(read[f.name])
            else:
                parts += encode_column(frame[f.name], f).values()
        return np.stack(parts, axis=1)


def feature_set(product: Product | None = None, present: frozenset[str] | None = None) -> FeatureSet:
    """The features of a product, of the fields in ``present`` if given; the consumer product by default.

    Raises:
        DataError: If none is there.
    """
    chosen = product or consumer()
    names = tuple(f.name for f in chosen.features if present is None or f.name in present)
    if not names:
        raise DataError(f"The file has none of the features of product '{chosen.name}'.")
    return FeatureSet(product=chosen, names=names)


def encode_column(column: pd.Series, feature: Feature) -> dict[str, Floats]:
    """Encode one column: a number, an ordered level, or one column per level; ``(n,)`` each.

    Raises:
        DataError: Naming the first value that does not fit.
    """
    if not feature.levels:
        found = np.asarray(pd.to_numeric(column, errors="coerce").astype(np.float64))
        _refuse(column, found, feature, "a number")
        return {feature.name: found}
    position = {level: i for i, level in enumerate(feature.levels)}
    place = np.asarray(column.map(position).astype(np.float64))
    _refuse(column, place, feature, f"one of {', '.join(feature.levels)}")
    if feature.ordered:
        return {feature.name: place}
    return {
        f"{feature.name}={level}": np.where(np.isnan(place), np.nan, (place == i).astype(np.float64))
        for level, i in position.items()
    }


def _refuse(column: pd.Series, found: Floats, feature: Feature, expected: str) -> None:
    wrong = np.isnan(found) & column.notna().to_numpy()
    if wrong.any():
        raise DataError(f"'{feature.name}' is {column[wrong].iloc[0]!r}; expected {expected}.")


def to_frame(applicants: Sequence[Applicant]) -> pd.DataFrame:
    """Applications of one product as a frame with one column per field, unknown values as NaN or None."""
    if not applicants:
        return pd.DataFrame({IDENTIFIER: []})
    product = applicants[0].product
    columns: dict[str, object] = {IDENTIFIER: np.array([a.applicant_id for a in applicants], dtype=object)}
    for name, one in product.values.items():
        values = [a.values.get(name) for a in applicants]
        if one.numeric or one.kind == "yesno":
            columns[name] = np.array(
                [np.nan if v is None or isinstance(v, str) else v for v in values], dtype=np.float64
            )
        else:
            columns[name] = np.array(values, dtype=object)
        for code in one.special:
            columns[indicator(name, code)] = np.array([v == code for v in values], dtype=np.float64)
    return pd.DataFrame(columns)


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """A column as ``float64``, NaN where a value is not known."""
    column = frame[name]
    if (plain := _plain(column)) is not None:
        return plain
    found: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def unknown(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Which values of a column are not known; all where there is no such column."""
    if name not in frame:
        return np.ones(len(frame), dtype=bool)
    column = frame[name]
    if (plain := _plain(column)) is not None:
        return np.isnan(plain)
    found: NDArray[np.bool_] = column.isna().to_numpy()
    return found


def _plain(column: pd.Series) -> Floats | None:
    """A column of numpy's numbers as they are, which takes a twentieth of the time; None if it is another."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return np.asarray(column, dtype=np.float64)
    return None


def code_index(values: Floats, features: Sequence[Feature], codes: Sequence[str]) -> NDArray[np.int64]:
    """Which reason each column of the matrix counts towards, for each applicant.

    A known value counts towards the feature's own reason. A value that is not known counts towards
    ``when_missing``; where a code stands in its place, towards the code's; where there is no credit file,
    what the report would have said counts towards that.

    Args:
        values: Encoded rows, ``(n, columns)``, NaN where not known.
        features: Declarations of the columns.
        codes: Reasons, in the product's order.

    Returns:
        ``(n, columns)``, indices into ``codes``.
    """
    position = {code: i for i, code in enumerate(codes)}
    names = [f.name for f in features]
    own = np.array([position[f.reason] for f in features], dtype=np.int64)
    missing = np.array([position[f.when_missing or f.reason] for f in features], dtype=np.int64)
    unknown = np.isnan(values)
    index = np.where(unknown, missing, own)
    for at, flag in enumerate(features):
        if flag.no_file:
            report = np.array([f.report and not f.no_file for f in features])
            without = values[:, at] > 0
            index[without[:, None] & unknown & report] = position[flag.reason]
        if flag.stands_for:
            columns = np.array([one.split("=")[0] == flag.stands_for for one in names])
            index[(values[:, at] > 0)[:, None] & columns] = position[flag.reason]
    return index
