"""Assess how decisions and scores differ between groups. Nothing here calls a model fair.

A ratio or difference on a few hundred applications is uncertain, so each comes with its 95 %
interval and its n. Since 21 July 2026 federal Regulation B has no effects test; these figures
are voluntary there, and states differ.

Whoever was not decided (incomplete) is in no rate, and whoever was offered a smaller amount is not
counted as declined: the rates are of those approved among those approved or declined, and the share
of counteroffers stands beside them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import DataError
from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model.classifier import RiskModel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
FEWEST = 30  # members of a group below which no ratio is reported
UNKNOWN = "not known"
MOST_PROXY_ROWS = 10_000  # that the proxy test is fitted on
MOST_GROUPS = 12  # of an intersection


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """Figures of one group, and against the reference group, each with its 95 % interval.

    Attributes:
        attribute: Protected attribute; two with ``x`` between them for an intersection.
        group: Its group; ``not known`` for those whose group is not.
        reference: The group that it is compared with.
        n: Applications of the group.
        decided: Those approved or declined.
        approval_rate: Share approved of those decided; None of none.
        counteroffer_rate: Share of all that were offered a smaller amount.
        incomplete_rate: Share of all that could not be decided.
        adverse_impact_ratio: Approval rate over the reference's; None below 30 members.
        marginal_effect: Approval rate less the reference's.
        standardised_mean_difference: Mean score less the reference's, over the standard deviation of
            both groups together; below 0 means lower scores.
        false_positive_rate: Share declined of those who repaid, where outcomes are known.
        false_negative_rate: Share approved of those who defaulted.
        default_rate: Share of defaults.
        calibration_gap: Share of defaults less the mean default probability; above 0, the group
            defaults more than predicted.
    """

    attribute: str
    group: str
    reference: str
    n: int
    decided: int
    approval_rate: metrics.Rate | None
    counteroffer_rate: metrics.Rate | None = None
    incomplete_rate: metrics.Rate | None = None
    adverse_impact_ratio: metrics.Interval | None = None
    marginal_effect: metrics.Interval | None = None
    standardised_mean_difference: metrics.Interval | None = None
    false_positive_rate: metrics.Rate | None = None
    false_negative_rate: metrics.Rate | None = None
    default_rate: metrics.Rate | None = None
    calibration_gap: metrics.Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What happened to applications, by row.

    Attributes:
        decisions: ``approved``, ``declined``, ``counteroffer`` or ``incomplete``, ``(n,)``.
        score: Points, higher is better, ``(n,)``, or None.
        probability: Default probabilities, ``(n,)``, or None.
        outcome: 0, 1, NaN where not known, ``(n,)``, or None.
    """

    decisions: NDArray[Any]
    score: Floats | None = None
    probability: Floats | None = None
    outcome: Floats | None = None


def adverse_impact_ratio(approved: Flags, member: Flags) -> float:
    """Approval rate of the members over that of the others, both from rows ``(n,)``."""
    others = approved[~member]
    if not len(others) or not member.any() or not others.mean():
        return float("nan")
    return float(approved[member].mean() / others.mean())


def ratio_interval(approved: Flags, member: Flags) -> metrics.Interval:
    """:func:`adverse_impact_ratio` with Katz's interval on its logarithm (Katz et al. 1978)."""
    value = adverse_impact_ratio(approved, member)
    a, n = float(approved[member].sum()), int(member.sum())
    b, m = float(approved[~member].sum()), int((~member).sum())
    if not n or not m or not np.isfinite(value):
        return metrics.Interval(value, math.nan, math.nan)
    if not a:  # half an approval, so that the logarithm exists
        middle = math.log(0.5 / (n + 0.5) / (b / m))
        error = math.sqrt(max(0.0, 1 / 0.5 - 1 / (n + 0.5) + 1 / b - 1 / m))
        return metrics.Interval(value, 0.0, math.exp(middle + metrics.Z * error))
    error = metrics.Z * math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return metrics.Interval(value, value * math.exp(-error), value * math.exp(error))


def marginal_effect(approved: Flags, member: Flags) -> float:
    """Approval rate of the members less that of the others."""
    if member.all() or not member.any():
        return float("nan")
    return float(approved[member].mean() - approved[~member].mean())


def effect_interval(approved: Flags, member: Flags) -> metrics.Interval:
    """:func:`marginal_effect` with Newcombe's hybrid interval (Newcombe 1998, method 10)."""
    one, other = metrics.rate(approved[member]), metrics.rate(approved[~member])
    if one is None or other is None:
        return metrics.Interval(math.nan, math.nan, math.nan)
    value = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return metrics.Interval(value, value - down, value + up)


def standardised_mean_difference(score: Floats, member: Flags) -> float:
    """Mean score of the members less that of the others, over the standard deviation of both together."""
    spread = score.std(ddof=1) if len(score) > 1 else 0.0
    if member.all() or not member.any() or not spread:
        return float("nan")
    return float((score[member].mean() - score[~member].mean()) / spread)


def difference_interval(score: Floats, member: Flags) -> metrics.Interval:
    """:func:`standardised_mean_difference` with its large-sample interval (Hedges and Olkin 1985)."""
    value = standardised_mean_difference(score, member)
    n, m = int(member.sum()), int((~member).sum())
    if not np.isfinite(value):
        return metrics.Interval(value, math.nan, math.nan)
    return metrics.normal(value, math.sqrt((n + m) / (n * m) + value**2 / (2 * (n + m))))


def assess(
    attribute: str, groups: Sequence[Any] | pd.Series, observed: Observed, reference: str | None = None
) -> list[GroupFigures]:
    """Compare every group of one attribute with its reference group.

    Args:
        attribute: Name of the attribute.
        groups: Group of each application, ``(n,)``; those not known are a group of their own.
        observed: What happened to them.
        reference: The group to compare with; the largest known one if None.

    Raises:
        DataError: If nobody is in the reference group.
    """
    labels = labelled(groups)
    chosen = reference_of(attribute, labels, reference)
    found = []
    for group in sorted(labels.unique()):
        member = (labels == group).to_numpy()
        facts = _facts(member, observed)
        if group != chosen and member.sum() >= FEWEST:
            facts |= _comparisons(member, (labels == chosen).to_numpy(), observed)
        found.append(GroupFigures(attribute=attribute, group=group, reference=chosen, **facts))
    return found


def labelled(groups: Sequence[Any] | pd.Series) -> pd.Series:
    """Groups as texts, those not known as a group of that name."""
    found = pd.Series(groups).reset_index(drop=True).astype(object)
    return found.where(found.notna(), UNKNOWN).astype(str)


def reference_of(attribute: str, labels: pd.Series, reference: str | None) -> str:
    """The group that the others are compared with: the named one, or the largest known one."""
    sizes = labels[labels != UNKNOWN].value_counts()
    if reference is None:
        return str(sizes.index[0]) if len(sizes) else UNKNOWN
    if reference not in sizes:
        known = ", ".join(sorted(map(str, sizes.index)))
        raise DataError(f"Nobody is in the reference group '{reference}' of {attribute}. Groups: {known}.")
    return reference


def intersections(protected: pd.DataFrame) -> dict[str, pd.Series]:
    """Every pair of attributes as one attribute of joined groups, where both are known.

    Pairs of more than 12 groups keep the 12 largest.
    """
    found = {}
    names = list(protected)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            pair = protected[[one, other]].reset_index(drop=True)
            joined = (pair[one].astype(str) + " x " + pair[other].astype(str)).where(pair.notna().all(axis=1))
            kept = joined.value_counts().index[:MOST_GROUPS]
            if len(kept) > 1:
                found[f"{one} x {other}"] = joined.where(joined.isin(kept))
    return found


def proxy_test(
    values: pd.DataFrame, groups: Sequence[Any] | pd.Series, seed: int = 0, resamples: int = 1000
) -> dict[str, metrics.Interval]:
    """How well the features tell each group from the rest: out-of-fold AUC by group; 0.5 is not at all.

    Of two groups, only the smaller one is told from the other. Groups under 30 are left out; of more
    than 10,000 rows a draw is used.

    Args:
        values: Encoded features, ``(n, columns)``.
        groups: Group of each row, ``(n,)``; those not known are left out.
        seed: Of the draw and the folds.
        resamples: Of the intervals.
    """
    labels = pd.Series(groups).reset_index(drop=True)
    rows = np.flatnonzero(labels.notna().to_numpy())
    if len(rows) > MOST_PROXY_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PROXY_ROWS, replace=False))
    labels = labels.iloc[rows]
    sizes = labels.value_counts()
    found = {}
    for group in sizes.index[1 if len(sizes) == 2 else 0 :]:
        target = (labels == group).to_numpy().astype(np.int64)
        if min(target.sum(), len(target) - target.sum()) < FEWEST:
            continue
        model = RiskModel(max_depth=2, max_trees=100, patience=10, random_state=seed)
        margins = model.fit(values.to_numpy()[rows], target).out_of_fold_
        found[str(group)] = metrics.compare(target, [1 / (1 + np.exp(-margins))], resamples=resamples)[0][
            0
        ].auc
    return found


def lowest_ratio(
    protected: pd.DataFrame, approved: Flags, references: Mapping[str, str] | None = None
) -> float:
    """Lowest adverse impact ratio over all groups of at least 30, each against its reference.

    Args:
        protected: Groups, one column per attribute, ``n`` rows; those not known are left out.
        approved: Decision, ``(n,)``.
        references: Reference group by attribute; the largest one where it is not named.
    """
    ratios = [1.0]
    for member, reference in pairs(protected, references):
        both = member | reference
        ratios.append(adverse_impact_ratio(approved[both], member[both]))
    return float(np.nanmin(ratios))


def pairs(protected: pd.DataFrame, references: Mapping[str, str] | None = None) -> list[tuple[Flags, Flags]]:
    """Members of each group of at least 30 with the members of its reference group."""
    found = []
    for name in protected:
        labels = labelled(protected[name])
        chosen = reference_of(str(name), labels, (references or {}).get(str(name)))
        sizes = labels.value_counts()
        found += [
            ((labels == group).to_numpy(), (labels == chosen).to_numpy())
            for group in sizes.index
            if group not in (chosen, UNKNOWN) and sizes[group] >= FEWEST
        ]
    return found


def _facts(member: Flags, observed: Observed) -> dict[str, Any]:
    decisions = observed.decisions[member]
    decided = np.isin(decisions, ("approved", "declined"))
    approved = decisions[decided] == "approved"
    facts: dict[str, Any] = {
        "n": int(member.sum()),
        "decided": int(decided.sum()),
        "approval_rate": metrics.rate(approved),
        "counteroffer_rate": metrics.rate(decisions == "counteroffer"),
        "incomplete_rate": metrics.rate(decisions == "incomplete"),
    }
    if observed.outcome is None:
        return facts
    outcome = observed.outcome[member]
    facts["false_positive_rate"] = metrics.rate(~approved[outcome[decided] == 0])
    facts["false_negative_rate"] = metrics.rate(approved[outcome[decided] == 1])
    known = ~np.isnan(outcome)
    facts["default_rate"] = metrics.rate(outcome[known] == 1)
    if observed.probability is not None and known.sum() >= FEWEST:
        gaps = outcome[known] - observed.probability[member][known]
        facts["calibration_gap"] = metrics.normal(
            float(gaps.mean()), float(gaps.std(ddof=1) / math.sqrt(len(gaps)))
        )
    return facts


def _comparisons(member: Flags, reference: Flags, observed: Observed) -> dict[str, metrics.Interval]:
    both = member | reference
    rows = both & np.isin(observed.decisions, ("approved", "declined"))
    approved = observed.decisions[rows] == "approved"
    found = {
        "adverse_impact_ratio": ratio_interval(approved, member[rows]),
        "marginal_effect": effect_interval(approved, member[rows]),
    }
    if observed.score is not None:
        found["standardised_mean_difference"] = difference_interval(observed.score[both], member[both])
    return found
