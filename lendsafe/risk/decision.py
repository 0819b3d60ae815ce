"""The policy around the score: required items, knock-out rules, the cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import ConfigError
from lendsafe.fields import build, did_you_mean, knob, parse_toml
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant
from lendsafe.risk.features import APPLICANT_COLUMNS, FeatureSet, numbers, unknown

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockOut:
    """A rule that declines whatever the score says.

    Attributes:
        field: Field of the application that it looks at; a value that is not known passes.
        above: Largest value that passes.
        reason: Code of the reason that it is given as.
    """

    field: str = knob()
    above: float = knob()
    reason: str = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Required items and knock-out rules of a lender."""

    required: tuple[str, ...] = ()
    knockouts: tuple[KnockOut, ...] = ()


@cache
def default_policy() -> Policy:
    """The packaged policy, ``lendsafe/risk/policy.toml``."""
    where = "lendsafe/risk/policy.toml"
    return read_policy(parse_toml((files("lendsafe.risk") / "policy.toml").read_text("utf-8"), where), where)


def read_policy(table: Mapping[str, Any], where: str, features: FeatureSet | None = None) -> Policy:
    """Read a policy table.

    Args:
        table: ``required`` and ``knockouts``.
        where: Place to name in messages.
        features: What it may name: columns and reasons of a table; those of an application by default.

    Raises:
        ConfigError: If a rule names a field or a reason that does not exist.
    """
    rules = [
        build(KnockOut, one, f"{where} knockouts[{i}]") for i, one in enumerate(table.get("knockouts", ()))
    ]
    policy = build(Policy, {**table, "knockouts": tuple(rules)}, where)
    if features is None or features.kind == "application":
        known, numeric, codes = APPLICANT_COLUMNS, APPLICANT_COLUMNS, tuple(catalogue())
    else:
        known = tuple(f.name for f in features.features)
        numeric, codes = tuple(f.name for f in features.features if not f.levels), features.codes
    wrong = [name for name in policy.required if name not in known]
    if wrong := wrong + [rule.field for rule in policy.knockouts if rule.field not in numeric]:
        raise ConfigError(
            f"{where}: no field '{wrong[0]}' in an application.{did_you_mean(wrong[0], list(known))}"
        )
    for rule in policy.knockouts:
        if rule.reason not in codes:
            raise ConfigError(f"{where}: unknown reason '{rule.reason}'. Known: {', '.join(codes)}.")
    return policy


def missing_items(frame: pd.DataFrame, policy: Policy) -> NDArray[np.bool_]:
    """Required items that are not known, ``(n, required)``."""
    columns = [unknown(frame, name) for name in policy.required]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), dtype=bool)


def knocked_out(frame: pd.DataFrame, policy: Policy) -> NDArray[np.bool_]:
    """Which rules each application breaks, ``(n, rules)``; an unknown value breaks none."""
    columns = [numbers(frame, rule.field) > rule.above for rule in policy.knockouts]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), dtype=bool)


def blocked(frame: pd.DataFrame, policy: Policy) -> NDArray[np.bool_]:
    """Applications that a rule declines or that are incomplete, ``(n,)``."""
    return np.asarray(knocked_out(frame, policy).any(axis=1) | missing_items(frame, policy).any(axis=1))


def to_applicants(frame: pd.DataFrame) -> list[Applicant]:
    """Build records from application columns.

    Raises:
        DataError: If a value breaks its type or range.
    """
    columns = [name for name in APPLICANT_COLUMNS if name in frame]
    plain = [_plain(frame[name], Applicant.__dataclass_fields__[name].type) for name in columns]
    return [Applicant(**dict(zip(columns, row, strict=True))) for row in zip(*plain, strict=True)]


def _plain(column: pd.Series, kind: Any) -> list[Any]:
    whole, text = "int" in str(kind), str(kind) not in ("float", "int") and "None" not in str(kind)
    unknown = column.isna().tolist()
    return [
        None
        if out
        else value
        if text
        else int(value)
        if whole and float(value).is_integer()
        else float(value)
        for value, out in zip(column.tolist(), unknown, strict=True)
    ]
