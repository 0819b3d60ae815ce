"""From applications to the model's features, and from features to reasons.

``features.toml`` gives every feature exactly one reason, or loading fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import ConfigError, DataError
from lendsafe.fields import build, knob, parse_toml
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant

NO_FILE = "no_credit_file"
APPLICANT_COLUMNS = tuple(f.name for f in fields(Applicant))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input of the model.

    Attributes:
        name: Column.
        reason: Code of the reason that the feature is given as.
        risk: Business sign; empty if unknown, and then unconstrained.
        when_missing: Code when the value is not known; the feature's own if empty.
        bureau: Whether it comes from a credit file.
        levels: Texts that it may take; empty for numbers.
        ordered: Whether the levels are in order, so that they count as 0, 1, 2, ...; otherwise each
            level is a column of its own.
    """

    name: str = knob()
    reason: str = knob()
    risk: Literal["+", "-", ""] = knob("")
    when_missing: str = knob("")
    bureau: bool = knob(False)
    levels: tuple[str, ...] = knob(())
    ordered: bool = knob(True)

    @property
    def constraint(self) -> int:
        """The monotone constraint on the probability of default: 1, -1, or 0 for none."""
        return {"+": 1, "-": -1, "": 0}[self.risk]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """What a model looks at, and the reasons that it may give.

    Attributes:
        kind: ``application`` for the fields of an Applicant, ``table`` for any other file.
        features: Declared features.
        statements: Reason code to its wording, in the order that breaks ties.
    """

    kind: Literal["application", "table"]
    features: tuple[Feature, ...]
    statements: Mapping[str, str]

    @property
    def codes(self) -> tuple[str, ...]:
        """Reasons, in the fixed order."""
        return tuple(self.statements)

    @property
    def columns(self) -> tuple[Feature, ...]:
        """Columns of the encoded matrix; a level without order is a column of its own."""
        found: list[Feature] = []
        for f in self.features:
            if f.levels and not f.ordered:
                found += [replace(f, name=f"{f.name}={level}", risk="", levels=()) for level in f.levels]
            else:
                found.append(f)
        return tuple(found)

    def encode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The model's matrix, ``float64``, ``(n, columns)``, NaN where a value is not known.

        Raises:
            DataError: If a column is absent, or a value is of the wrong kind or an unknown level.
        """
        if self.kind == "application":
            return derive(frame)
        if absent := [f.name for f in self.features if f.name not in frame]:
            raise DataError(f"Columns are missing: {', '.join(absent)}.")
        parts = [encode_column(frame[f.name], f) for f in self.features]
        return pd.concat(parts, axis=1)


def application_set() -> FeatureSet:
    """The features and the catalogue for an :class:`~lendsafe.records.Applicant`."""
    statements = {code: entry.statement for code, entry in catalogue().items()}
    return FeatureSet(kind="application", features=application_features(), statements=statements)


def encode_column(column: pd.Series, feature: Feature) -> pd.DataFrame:
    """Encode one column of a table: a number, an ordered level, or one column per level.

    Raises:
        DataError: Naming the first value that does not fit.
    """
    if not feature.levels:
        numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
        wrong = numbers.isna() & column.notna()
        if wrong.any():
            raise DataError(f"'{feature.name}' is {column[wrong].iloc[0]!r}; expected a number.")
        return numbers.to_frame(feature.name)
    position = {level: i for i, level in enumerate(feature.levels)}
    place = column.map(position).astype(np.float64)
    wrong = place.isna() & column.notna()
    if wrong.any():
        raise DataError(
            f"'{feature.name}' is {column[wrong].iloc[0]!r}; expected one of {', '.join(feature.levels)}."
        )
    if feature.ordered:
        return place.to_frame(feature.name)
    flags = {
        f"{feature.name}={level}": np.where(place.isna(), np.nan, (place == i).astype(np.float64))
        for level, i in position.items()
    }
    return pd.DataFrame(flags, index=column.index)


@cache
def application_features() -> tuple[Feature, ...]:
    """The features of an :class:`~lendsafe.records.Applicant`, in the model's order."""
    where = "lendsafe/risk/features.toml"
    return read_features(
        parse_toml((files("lendsafe.risk") / "features.toml").read_text("utf-8"), where), where
    )


def read_features(
    table: Mapping[str, Any], where: str, codes: Sequence[str] | None = None
) -> tuple[Feature, ...]:
    """Read a feature table and check that every feature has one known reason.

    Args:
        table: Feature name to its entries.
        where: Place to name in messages.
        codes: Known reasons; the catalogue's by default.

    Raises:
        ConfigError: If a feature has no reason, more than one, or one that is not known.
    """
    known = set(catalogue() if codes is None else codes)
    if without := [name for name, entry in table.items() if not entry.get("reason")]:
        raise ConfigError(
            f"{where}: no reason for {', '.join(map(repr, without))}; every feature needs exactly one."
        )
    found = []
    for name, entry in table.items():
        feature = build(Feature, {"name": name, **entry}, f"{where} [{name}]")
        for code in filter(None, (feature.reason, feature.when_missing)):
            if code not in known:
                raise ConfigError(
                    f"{where} [{name}]: unknown reason '{code}'. Known: {', '.join(sorted(known))}."
                )
        found.append(feature)
    return tuple(found)


def to_frame(applicants: Sequence[Applicant]) -> pd.DataFrame:
    """Applications as a frame with one column per field, unknown values as NaN or None."""
    columns = {}
    for name in APPLICANT_COLUMNS:
        values = [getattr(a, name) for a in applicants]
        text = isinstance(values[0], str) if values else False
        columns[name] = np.array(values, dtype=object if text else np.float64)  # None becomes NaN
    return pd.DataFrame(columns)


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Compute the model's features from application columns.

    ``amount_to_income`` is the amount in percent of yearly income (an income of 0 counts as 1 USD);
    ``income_unverified`` and ``no_credit_file`` are flags, 0 or 1.

    Args:
        frame: Columns named as the fields of ``Applicant``; further columns are ignored.

    Returns:
        ``float64``, one column per feature, in the order of ``features.toml``.
    """
    names = [f.name for f in application_features()]
    values = {name: numbers(frame, name) for name in names if name in frame}
    income, amount = numbers(frame, "annual_income"), numbers(frame, "loan_amount")
    bureau = [values[f.name] for f in application_features() if f.bureau]
    values["amount_to_income"] = 100 * amount / np.maximum(income, 1.0)
    values["income_unverified"] = 1.0 - numbers(frame, "income_verified")
    values[NO_FILE] = np.all(np.isnan(bureau), axis=0).astype(np.float64)
    return pd.DataFrame({name: values[name] for name in names}, index=frame.index)


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as ``float64``, NaN where a value is not known."""
    column = frame[name].array
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":  # the rest takes 20 times longer
        return np.asarray(column, dtype=np.float64)
    found: NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def unknown(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Which values of a column are not known."""
    column = frame[name].array
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return np.isnan(np.asarray(column, dtype=np.float64))
    found: NDArray[np.bool_] = frame[name].isna().to_numpy()
    return found


def code_index(
    values: NDArray[np.float64], features: Sequence[Feature], codes: Sequence[str]
) -> NDArray[np.int64]:
    """Which reason each feature of each applicant counts towards.

    A known value counts towards the feature's own reason. A value that is not known counts
    towards ``when_missing``, or towards "No credit file" where there is none.

    Args:
        values: Features, ``(n, features)``, NaN where not known.
        features: Their declarations.
        codes: Reasons, in the catalogue's order.

    Returns:
        ``(n, features)``, indices into ``codes``.
    """
    position = {code: i for i, code in enumerate(codes)}
    names = [f.name for f in features]
    own = np.array([position[f.reason] for f in features], dtype=np.int64)
    missing = np.array([position[f.when_missing or f.reason] for f in features], dtype=np.int64)
    unknown = np.isnan(values)
    index = np.where(unknown, missing, own)
    if NO_FILE in names:
        bureau = np.array([f.bureau for f in features])
        without = values[:, names.index(NO_FILE)] > 0
        index[without[:, None] & unknown & bureau] = position[NO_FILE]
    return index
