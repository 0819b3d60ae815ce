"""The decision: completeness, knock-out rules, cut-off; then the reasons that belong to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import ConfigError
from lendsafe.fields import build, did_you_mean, knob, parse_toml
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant, Assessment, Decision, Reason
from lendsafe.risk import ranking
from lendsafe.risk.config import RiskConfig
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


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the model (or, on synthetic data, the process itself) says about applications.

    Attributes:
        frame: Application columns, ``n`` rows.
        default_probability: ``(n,)``, in [0, 1].
        contributions: Per reason, ``(n, codes)``, on the log-odds against the baseline.
        codes: Reasons, in the catalogue's order.
        points: Internal scores, or None.
        agreement: Share of the reasons on which two methods agree, or None.
        counteroffers: Amount that would be approved, NaN where none, or None.
        key_factors: What most hurt the bureau's score, per applicant, or None.
        risk_model: Identity of the model.
    """

    frame: pd.DataFrame
    default_probability: Floats
    contributions: Floats
    codes: Sequence[str]
    points: NDArray[np.int64] | None = None
    agreement: Floats | None = None
    counteroffers: Floats | None = None
    key_factors: Sequence[tuple[str, ...]] | None = field(default=None)
    risk_model: str = ""


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


def decisions(
    frame: pd.DataFrame,
    default_probability: Floats,
    cutoff: float,
    policy: Policy,
    counteroffers: Floats | None = None,
) -> list[Decision]:
    """Decide each application: incomplete, then rules, then the cut-off.

    Args:
        frame: Application columns.
        default_probability: ``(n,)``.
        cutoff: Largest probability that is approved.
        policy: Required items and rules.
        counteroffers: Amount that would be approved instead, NaN where none.
    """
    outcome = np.where(default_probability <= cutoff, "approved", "declined").astype(object)
    if counteroffers is not None:
        outcome[(outcome == "declined") & ~np.isnan(counteroffers)] = "counteroffer"
    outcome[knocked_out(frame, policy).any(axis=1)] = "declined"
    outcome[missing_items(frame, policy).any(axis=1)] = "incomplete"
    return list(outcome)


def cutoff_for_approval_rate(default_probability: Floats, blocked: NDArray[np.bool_], rate: float) -> float:
    """The cut-off at which a share ``rate`` of applications is approved.

    Args:
        default_probability: ``(n,)`` of the applications to calibrate on.
        blocked: Applications that a rule declines or that are incomplete, ``(n,)``.
        rate: Share of all applications to approve, in (0, 1); less is approved if rules block more.
    """
    open_ = np.sort(default_probability[~blocked])
    if not len(open_):
        raise ConfigError("Every application is blocked by a rule or incomplete; no cut-off exists.")
    return float(open_[int(np.clip(np.ceil(rate * len(default_probability)), 1, len(open_))) - 1])


def cutoff_for_expected_loss(loss_ratio: float) -> float:
    """The cut-off at which a loan's expected profit is zero: ``1 / (1 + loss_ratio)``.

    A loan with default probability p earns ``(1 - p) - p * loss_ratio`` in units of the profit
    on a good loan, which is positive below the cut-off.
    """
    return 1.0 / (1.0 + loss_ratio)


def assessments(
    scored: Scored,
    cutoff: float,
    policy: Policy,
    config: RiskConfig,
    applicants: Sequence[Applicant] | None = None,
) -> list[Assessment]:
    """Turn scores and contributions into assessments; the same for the model and for the process.

    Args:
        scored: Probabilities and contributions.
        cutoff: Largest probability that is approved.
        policy: Required items and rules.
        config: How many reasons, which floor.
        applicants: The applications as records, built from the frame if not given.
    """
    people = applicants if applicants is not None else to_applicants(scored.frame)
    lacking = missing_items(scored.frame, policy)
    favourable = ranking.rank_strengths(scored.contributions, scored.codes, config)
    outcomes = decisions(scored.frame, scored.default_probability, cutoff, policy, scored.counteroffers)
    reasons = reasons_of(scored, cutoff, outcomes, policy, config)
    found = []
    for i, (person, decision) in enumerate(zip(people, outcomes, strict=True)):
        found.append(
            Assessment(
                applicant=person,
                decision=decision,
                default_probability=float(scored.default_probability[i]),
                cutoff=cutoff,
                reasons=reasons[i],
                strengths=() if decision == "incomplete" else favourable[i],
                key_factors=scored.key_factors[i] if scored.key_factors is not None else (),
                score=int(scored.points[i]) if scored.points is not None else None,
                missing=tuple(n for n, out in zip(policy.required, lacking[i], strict=True) if out),
                counteroffer_amount=_offer(scored, i) if decision == "counteroffer" else None,
                agreement=float(scored.agreement[i]) if scored.agreement is not None else None,
                risk_model=scored.risk_model,
            )
        )
    return found


def table(scored: Scored, cutoff: float, policy: Policy, config: RiskConfig) -> pd.DataFrame:
    """Decisions and reasons as a table, one row per application, for any kind of file.

    Returns:
        ``applicant_id`` if there is one, ``decision``, ``default_probability``, ``score``,
        ``reason_1`` to ``reason_4`` (codes, of every decision but an incomplete one), ``missing``,
        ``counteroffer_amount``, ``agreement``, and ``review``: whether a person should look.
    """
    frame = scored.frame
    outcomes = decisions(frame, scored.default_probability, cutoff, policy, scored.counteroffers)
    reasons = reasons_of(scored, cutoff, outcomes, policy, config)
    lacking = missing_items(frame, policy)
    found = pd.DataFrame({"decision": outcomes, "default_probability": scored.default_probability})
    if "applicant_id" in frame:
        found.insert(0, "applicant_id", frame["applicant_id"].to_numpy())
    found["score"] = scored.points
    for i in range(config.max_reasons):
        found[f"reason_{i + 1}"] = [row[i].code if len(row) > i else None for row in reasons]
    found["missing"] = [
        " ".join(n for n, out in zip(policy.required, row, strict=True) if out) for row in lacking
    ]
    if scored.counteroffers is not None:
        found["counteroffer_amount"] = np.where(
            found["decision"] == "counteroffer", scored.counteroffers, np.nan
        )
    if scored.agreement is not None:
        found["agreement"] = scored.agreement
        found["review"] = scored.agreement < config.review_below
    return found


def reasons_of(
    scored: Scored, cutoff: float, outcomes: Sequence[Decision], policy: Policy, config: RiskConfig
) -> list[tuple[Reason, ...]]:
    """Reasons of every application: those of broken rules first, none if it is incomplete."""
    broken = knocked_out(scored.frame, policy)
    reasons = ranking.rank(scored.contributions, scored.codes, config)
    for i in np.flatnonzero(broken.any(axis=1)):
        passed = bool(scored.default_probability[i] <= cutoff)
        reasons[i] = with_knockouts(
            reasons[i], broken[i], scored.contributions[i], scored.codes, policy, config, passed
        )
    return [() if out == "incomplete" else row for row, out in zip(reasons, outcomes, strict=True)]


def with_knockouts(
    adverse: tuple[Reason, ...],
    broken: NDArray[np.bool_],
    contributions: Floats,
    codes: Sequence[str],
    policy: Policy,
    config: RiskConfig,
    score_passed: bool,
) -> tuple[Reason, ...]:
    """Put the reasons of broken rules first, in the order of the rules.

    The score's own reasons follow only if the score failed as well: reasons come from the
    component that was failed (comment 9(b)(2)-7), four in all.
    """
    codes_out = list(dict.fromkeys(r.reason for r, out in zip(policy.knockouts, broken, strict=True) if out))
    rules = [
        Reason(
            code=code, contribution=float(contributions[codes.index(code)]), strength="strong", knockout=True
        )
        for code in codes_out
    ]
    rest = [] if score_passed else [reason for reason in adverse if reason.code not in codes_out]
    return tuple((rules + rest)[: config.max_reasons])


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


def _offer(scored: Scored, row: int) -> float | None:
    return None if scored.counteroffers is None else float(scored.counteroffers[row])
