"""From scores to decisions and the reasons that belong to them: incomplete, rules, cut-off."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.records import Applicant, Assessment, Decision, Reason
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Facts, Policy, to_applicants
from lendsafe.risk.model import ranking

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the model (or, on synthetic data, the process itself) says about applications.

    Attributes:
        facts: What the ``n`` applications say.
        default_probability: ``(n,)``, in [0, 1].
        contributions: Per reason, ``(n, codes)``, on the log-odds against the baseline.
        codes: Reasons, in the catalogue's order.
        points: Internal scores, or None.
        agreement: Share of the reasons on which two methods agree, or None.
        counteroffers: Amount that would be approved, NaN where none, or None.
        key_factors: What most hurt the bureau's score, per applicant, or None.
        risk_model: Identity of the model.
    """

    facts: Facts
    default_probability: Floats
    contributions: Floats
    codes: Sequence[str]
    points: NDArray[np.int64] | None = None
    agreement: Floats | None = None
    counteroffers: Floats | None = None
    key_factors: Sequence[tuple[str, ...]] | None = field(default=None)
    risk_model: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """Application columns, ``n`` rows."""
        return self.facts.frame


def decisions(
    default_probability: Floats,
    cutoff: float,
    facts: Facts,
    counteroffers: Floats | None = None,
) -> list[Decision]:
    """Decide each application: rules, then completeness, then the cut-off.

    A broken rule declines whatever else is missing: where the facts at hand suffice for a decision,
    "incomplete" is none (comment 9(a)(1)-4).

    Args:
        default_probability: ``(n,)``.
        cutoff: Largest probability that is approved.
        facts: What is missing, and which rules are broken.
        counteroffers: Amount that would be approved instead, NaN where none.
    """
    outcome = np.where(default_probability <= cutoff, "approved", "declined").astype(object)
    if counteroffers is not None:
        outcome[(outcome == "declined") & ~np.isnan(counteroffers)] = "counteroffer"
    outcome[facts.missing.any(axis=1)] = "incomplete"
    outcome[facts.broken.any(axis=1)] = "declined"
    return list(outcome)


def assessments(
    scored: Scored,
    cutoff: float,
    config: RiskConfig,
    applicants: Sequence[Applicant] | None = None,
) -> list[Assessment]:
    """Turn scores and contributions into assessments; the same for the model and for the process.

    Args:
        scored: Probabilities and contributions.
        cutoff: Largest probability that is approved.
        config: How many reasons, which floor.
        applicants: The applications as records, built from the frame if not given.
    """
    facts, policy = scored.facts, scored.facts.policy
    people = applicants if applicants is not None else to_applicants(scored.frame, policy.product)
    favourable = strengths_of(scored, config)
    outcomes = decisions(scored.default_probability, cutoff, facts, scored.counteroffers)
    reasons = reasons_of(scored, cutoff, outcomes, config)
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
                missing=tuple(n for n, out in zip(policy.required, facts.missing[i], strict=True) if out)
                if decision == "incomplete"
                else (),
                counteroffer_amount=_offer(scored, i) if decision == "counteroffer" else None,
                agreement=float(scored.agreement[i]) if scored.agreement is not None else None,
                risk_model=scored.risk_model,
            )
        )
    return found


def table(scored: Scored, cutoff: float, config: RiskConfig) -> pd.DataFrame:
    """Decisions and reasons as a table, one row per application, for any kind of file.

    Returns:
        ``applicant_id`` if there is one, ``decision``, ``default_probability``, ``score``,
        ``reason_1`` to ``reason_4`` (codes, of every decision but an incomplete one), ``missing``,
        ``counteroffer_amount``, ``agreement``, and ``review``: whether a person should look.
    """
    frame, facts = scored.frame, scored.facts
    outcomes = decisions(scored.default_probability, cutoff, facts, scored.counteroffers)
    reasons = reasons_of(scored, cutoff, outcomes, config)
    found = pd.DataFrame({"decision": outcomes, "default_probability": scored.default_probability})
    if "applicant_id" in frame:
        found.insert(0, "applicant_id", frame["applicant_id"].to_numpy())
    found["score"] = scored.points
    for i in range(config.max_reasons):
        found[f"reason_{i + 1}"] = [row[i].code if len(row) > i else None for row in reasons]
    found["missing"] = [
        " ".join(n for n, out in zip(facts.policy.required, row, strict=True) if out) for row in facts.missing
    ]
    if scored.counteroffers is not None:
        found["counteroffer_amount"] = np.where(
            found["decision"] == "counteroffer", scored.counteroffers, np.nan
        )
    if scored.agreement is not None:
        found["agreement"] = scored.agreement
        found["review"] = [
            in_doubt(*row, config) for row in zip(outcomes, reasons, scored.agreement, strict=True)
        ]
    return found


def reasons_of(
    scored: Scored, cutoff: float, outcomes: Sequence[Decision], config: RiskConfig
) -> list[tuple[Reason, ...]]:
    """Reasons of every application: those of broken rules first, none if it is incomplete.

    Whoever is declined or offered less gets at least the most adverse factor that the facts allow, material
    or not: no principal factor may be left out (comment 9(b)(2)-4), and "no reason" is none.
    """
    facts = scored.facts
    broken = facts.broken
    lacking = np.asarray(facts.missing.any(axis=1))
    against, _ = facts.denied
    # what the facts rule out is no reason, whatever an attribution says (comment 9(b)(2)-2)
    allowed = np.where(against, np.minimum(scored.contributions, 0), scored.contributions)
    reasons = ranking.rank(allowed, scored.codes, config)
    for i in np.flatnonzero(broken.any(axis=1)):
        passed = bool(scored.default_probability[i] <= cutoff or lacking[i])
        reasons[i] = with_knockouts(
            reasons[i], broken[i], scored.contributions[i], scored.codes, facts.policy, config, passed
        )
    for row, out in enumerate(outcomes):
        if not reasons[row] and out in ("declined", "counteroffer"):
            reasons[row] = ranking.most_adverse(allowed[row], scored.codes, config)
    return [() if out == "incomplete" else row for row, out in zip(reasons, outcomes, strict=True)]


def strengths_of(scored: Scored, config: RiskConfig) -> list[tuple[Reason, ...]]:
    """Favourable factors of every application, none that its facts rule out."""
    _, in_favor = scored.facts.denied
    allowed = np.where(in_favor, np.maximum(scored.contributions, 0), scored.contributions)
    return ranking.rank_strengths(allowed, scored.codes, config)


def in_doubt(
    decision: Decision, reasons: Sequence[Reason], agreement: float | None, config: RiskConfig
) -> bool:
    """Whether a person should look: two attributions disagree, or a decline has no material reason."""
    if agreement is not None and agreement < config.review_below:
        return True
    if decision not in ("declined", "counteroffer"):
        return False
    return not any(one.knockout or one.contribution >= config.materiality for one in reasons)


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


def _offer(scored: Scored, row: int) -> float | None:
    return None if scored.counteroffers is None else float(scored.counteroffers[row])
