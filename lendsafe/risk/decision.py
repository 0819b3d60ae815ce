"""What stands around the score: required items, knock-out rules, the cut-off, and what the facts deny."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.product import Product
from lendsafe.product.model import KnockOut
from lendsafe.product.table import Columns, indicator
from lendsafe.records import Applicant
from lendsafe.risk.features import FeatureSet, unknown

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Policy:
    """Required items and knock-out rules around a model, as its product states them.

    Attributes:
        features: What the model looks at.
    """

    features: FeatureSet

    @property
    def product(self) -> Product:
        """The product that states them."""
        return self.features.product

    @property
    def knockouts(self) -> tuple[KnockOut, ...]:
        """Rules that decline whatever the score says, in order."""
        return self.product.policy.knockouts

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Fields without which an application is incomplete (12 CFR 1002.9(c)(2)).

        They are the product's required ones, and what a feature needs that names no reason for a missing value.
        """
        product = self.product
        wanted = list(product.policy.required)
        own = [f for f in self.features.features if f.name in product.fields]
        wanted += [f.name for f in own if not f.when_missing and not _always(product, f.name)]
        order = list(product.fields)
        read = [one for name in wanted for one in sorted(product.inputs(name), key=order.index)]
        return tuple(dict.fromkeys(read))

    @property
    def table(self) -> dict[str, Any]:
        """The policy as plain values."""
        return {
            "required": list(self.required),
            "knockouts": [dataclasses.asdict(one) for one in self.knockouts],
        }


@dataclass(frozen=True)
class Facts:
    """What applications say, whatever their score: each thing is worked out once, when it is asked for.

    Attributes:
        frame: Application columns, ``n`` rows.
        policy: Required items and knock-out rules.
    """

    frame: pd.DataFrame
    policy: Policy

    @cached_property
    def missing(self) -> Flags:
        """Which required items are not known, ``(n, required)``.

        A code that stands in place of a value is no missing one, nor is what a report would have said where
        there is no credit file.
        """
        product = self.policy.product
        columns = []
        for name in self.policy.required:
            one = product.fields[name]
            absent = np.isnan(self.columns[name]) if one.numeric else np.ones(len(self.frame), dtype=bool)
            if absent.any():  # or no number
                absent = unknown(self.frame, name)
            for code in one.special:
                absent = absent & ~(self.columns[indicator(name, code)] > 0)
            if one.origin == "consumer_report" and product.no_file:
                absent = absent & ~(self.columns[product.no_file] > 0)
            columns.append(absent)
        return self._stacked(columns)

    @cached_property
    def broken(self) -> Flags:
        """Which rules each application breaks, ``(n, rules)``; an unknown value breaks none."""
        return self._stacked([self._breaks(rule) for rule in self.policy.knockouts])

    @cached_property
    def blocked(self) -> Flags:
        """Applications that a rule declines or that are incomplete, ``(n,)``."""
        return np.asarray(self.broken.any(axis=1) | self.missing.any(axis=1))

    @cached_property
    def denied(self) -> tuple[Flags, Flags]:
        """Reasons that the facts of each application rule out, against and in favour, ``(n, codes)`` each.

        A condition that cannot be judged, since a fact is not known, denies nothing here.
        """
        reasons = self.policy.product.reasons.values()
        against, in_favor = np.zeros((2, len(self.frame), len(reasons)), dtype=bool)
        for at, one in enumerate(reasons):
            for rule, flags in ((one.adverse_if, against), (one.favorable_if, in_favor)):
                if rule is not None:
                    flags[:, at] = rule(self.columns) == 0
        return against, in_favor

    @cached_property
    def columns(self) -> Columns:
        """The applications as numbers, formulas worked out."""
        return Columns(self.frame, self.policy.product)

    def _stacked(self, columns: Sequence[Flags]) -> Flags:
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.frame), 0), dtype=bool)

    def _breaks(self, rule: KnockOut) -> Flags:
        found = np.zeros(len(self.frame), dtype=bool)
        if rule.above is not None:
            found |= self.columns[rule.field] > rule.above
        if rule.below is not None:
            found |= self.columns[rule.field] < rule.below
        if rule.equals and self.policy.product.fields[rule.field].kind == "yesno":
            found |= self.columns[rule.field] == (rule.equals.lower() in ("yes", "true"))
        elif rule.equals and rule.field in self.frame:
            found |= (self.frame[rule.field] == rule.equals).to_numpy(dtype=bool)
        return found


def to_applicants(frame: pd.DataFrame, product: Product) -> list[Applicant]:
    """The rows of a frame as records, with every value in its field's type.

    Raises:
        DataError: If a value is of the wrong type or out of range.
    """
    columns = {}
    for name, one in product.values.items():
        if name not in frame or one.formula is not None:
            continue
        values = frame[name].to_numpy(dtype=object, na_value=None)
        columns[name] = [None if v is None or v != v else _plain(one.kind, v) for v in values]
        for code in one.special:
            if (at := indicator(name, code)) in frame:
                columns[name] = [
                    code if on else v for on, v in zip(frame[at] > 0, columns[name], strict=True)
                ]
    names = (
        frame["applicant_id"].astype(str)
        if "applicant_id" in frame
        else [f"row-{i}" for i in range(len(frame))]
    )
    return [
        Applicant(name, {key: values[i] for key, values in columns.items() if values[i] is not None}, product)
        for i, name in enumerate(names)
    ]


def _plain(kind: str, value: object) -> float | int | str | bool:
    if kind == "yesno":
        return bool(value)
    if kind in ("count", "score"):
        return int(value)  # type: ignore[call-overload]  # a number of the frame
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _always(product: Product, name: str) -> bool:
    """Whether a field always has a value: ``unknown(...)`` alone."""
    formula = product.fields[name].formula
    return (
        formula is not None
        and formula.text.strip().startswith("unknown(")
        and formula.text.strip().endswith(")")
    )
