"""Assess how decisions and scores differ between groups. Nothing here calls a model fair.

A ratio or difference on a few hundred applications is uncertain, so each comes with its 95 %
interval and its n. Since 21 July 2026 federal Regulation B has no effects test; these figures
are voluntary there, and states differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model.classifier import RiskModel

Floats = NDArray[np.float64]
FEWEST = 30  # members of a group below which no ratio is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """Figures of one group, and against the reference group, each with its 95 % interval.

    Attributes:
        attribute: Protected attribute.
        group: Its group.
        reference: The group that it is compared with: the largest one.
        n: Applications of the group.
        approval_rate: Share approved.
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
    approval_rate: metrics.Rate
    adverse_impact_ratio: metrics.Interval | None = None
    marginal_effect: metrics.Interval | None = None
    standardised_mean_difference: metrics.Interval | None = None
    false_positive_rate: metrics.Rate | None = None
    false_negative_rate: metrics.Rate | None = None
    default_rate: metrics.Rate | None = None
    calibration_gap: metrics.Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A model that was tried in the search for a less discriminatory one.

    Attributes:
        name: What is different about it.
        auc: Ranking quality on held-out applications.
        adverse_impact_ratio: Lowest ratio over all groups, at the same approval rate.
        auc_cost: AUC of the model at hand less this one's.
        air_gain: Ratio of this one less the ratio of the model at hand.
    """

    name: str
    auc: float
    adverse_impact_ratio: float
    auc_cost: float
    air_gain: float


def adverse_impact_ratio(approved: NDArray[np.bool_], member: NDArray[np.bool_]) -> float:
    """Approval rate of the members over that of the others, both from rows ``(n,)``."""
    others = approved[~member]
    if not len(others) or not member.any() or not others.mean():
        return float("nan")
    return float(approved[member].mean() / others.mean())


def marginal_effect(approved: NDArray[np.bool_], member: NDArray[np.bool_]) -> float:
    """Approval rate of the members less that of the others."""
    if member.all() or not member.any():
        return float("nan")
    return float(approved[member].mean() - approved[~member].mean())


def standardised_mean_difference(score: Floats, member: NDArray[np.bool_]) -> float:
    """Mean score of the members less that of the others, over the standard deviation of both together."""
    spread = score.std(ddof=1) if len(score) > 1 else 0.0
    if member.all() or not member.any() or not spread:
        return float("nan")
    return float((score[member].mean() - score[~member].mean()) / spread)


def assess(
    attribute: str,
    groups: Sequence[Any] | pd.Series,
    approved: NDArray[np.bool_],
    score: Floats | None = None,
    probability: Floats | None = None,
    outcome: Floats | None = None,
    resamples: int = 1000,
) -> list[GroupFigures]:
    """Compare every group of one attribute with its largest group.

    Args:
        attribute: Name of the attribute.
        groups: Group of each application, ``(n,)``; those not known are left out.
        approved: Decision, ``(n,)``.
        score: Points, higher is better, ``(n,)``.
        probability: Default probabilities, ``(n,)``.
        outcome: 0, 1, NaN where not known, ``(n,)``.
        resamples: Of the intervals.
    """
    labels = pd.Series(groups).reset_index(drop=True)
    sizes = labels.value_counts()
    reference = sizes.index[0]
    found = []
    for group in sorted(sizes.index, key=str):
        member = (labels == group).to_numpy()
        facts = _facts(member, approved, probability, outcome, resamples)
        pair = member | (labels == reference).to_numpy()
        if group != reference and sizes[group] >= FEWEST:
            facts |= _comparisons(
                member[pair], approved[pair], None if score is None else score[pair], resamples
            )
        found.append(GroupFigures(attribute=attribute, group=str(group), reference=str(reference), **facts))
    return found


def proxy_test(
    values: pd.DataFrame, groups: Sequence[Any] | pd.Series, seed: int = 0, resamples: int = 1000
) -> dict[str, metrics.Interval]:
    """How well the features tell each group from the rest: out-of-fold AUC by group; 0.5 is not at all.

    Of two groups, only the smaller one is told from the other. Groups under 30 are left out.

    Args:
        values: Encoded features, ``(n, columns)``.
        groups: Group of each row, ``(n,)``; those not known are left out.
        seed: Of the folds.
        resamples: Of the intervals.
    """
    labels = pd.Series(groups).reset_index(drop=True)
    known = labels.notna().to_numpy()
    sizes = labels.value_counts()
    found = {}
    for group in sizes.index[1 if len(sizes) == 2 else 0 :]:
        target = (labels[known] == group).to_numpy().astype(np.int64)
        if min(target.sum(), len(target) - target.sum()) < FEWEST:
            continue
        model = RiskModel(max_depth=2, max_trees=100, patience=10, random_state=seed)
        margins = model.fit(values.to_numpy()[known], target).out_of_fold_
        found[str(group)] = metrics.bootstrap(metrics.auc, target, margins, resamples=resamples)
    return found


def search_alternatives(
    train: tuple[pd.DataFrame, NDArray[np.int64]],
    test: tuple[pd.DataFrame, NDArray[np.int64]],
    protected: pd.DataFrame,
    constraints: Sequence[int],
    families: dict[str, list[str]],
    config: RiskConfig,
) -> list[Alternative]:
    """Try models that lean less on some reason, or on less structure, and what each costs in AUC.

    Tried are: without each reason's features, without each pair of the three reasons that help most
    alone, without the constraints, and shallower trees. Every one approves the same share. Protected
    attributes are read only to measure, never to fit.

    Args:
        train: Encoded features and outcomes.
        test: The same of held-out applications.
        protected: Groups of the test rows, one column per attribute.
        constraints: Monotone constraint of each column.
        families: Reason to the columns that belong to it.
        config: Of the model at hand.

    Returns:
        The model at hand first, then the others by ratio, best first.
    """
    columns = list(train[0].columns)

    def attempt(name: str, drop: Sequence[str] = (), **changes: Any) -> tuple[str, float, float]:
        kept = [i for i, c in enumerate(columns) if c not in drop]
        model = RiskModel.from_config(config, [constraints[i] for i in kept]).set_params(**changes)
        model.fit(train[0].to_numpy()[:, kept], train[1])
        probability = model.predict_proba(test[0].to_numpy()[:, kept])[:, 1]
        approved = probability <= np.quantile(probability, config.approval_rate)
        return name, metrics.auc(test[1], probability), lowest_ratio(protected, approved)

    base = attempt("the model at hand")
    singles = {
        reason: attempt(f"without {reason}", drop)
        for reason, drop in families.items()
        if len(drop) < len(columns)
    }
    found = list(singles.values())
    helpful = sorted(singles, key=lambda reason: -singles[reason][2])[:3]
    found += [
        attempt(f"without {one} and {other}", [*families[one], *families[other]])
        for i, one in enumerate(helpful)
        for other in helpful[i + 1 :]
    ]
    found.append(attempt("without monotone constraints", constraints=None))
    found += [attempt(f"depth {depth}", max_depth=depth) for depth in range(1, config.max_depth)]
    found.sort(key=lambda one: -one[2])
    return [
        Alternative(name=n, auc=a, adverse_impact_ratio=r, auc_cost=base[1] - a, air_gain=r - base[2])
        for n, a, r in [base, *found]
    ]


def lowest_ratio(protected: pd.DataFrame, approved: NDArray[np.bool_]) -> float:
    """Lowest adverse impact ratio over all groups of at least 30, each against its largest group."""
    ratios = [1.0]
    for name in protected:
        labels = protected[name].reset_index(drop=True)
        sizes = labels.value_counts()
        reference = (labels == sizes.index[0]).to_numpy()
        for group in sizes.index[1:]:
            if sizes[group] >= FEWEST:
                member = (labels == group).to_numpy()
                pair = member | reference
                ratios.append(adverse_impact_ratio(approved[pair], member[pair]))
    return float(np.nanmin(ratios))


def _facts(
    member: NDArray[np.bool_],
    approved: NDArray[np.bool_],
    probability: Floats | None,
    outcome: Floats | None,
    resamples: int,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"n": int(member.sum()), "approval_rate": metrics.rate(approved[member])}
    if outcome is None:
        return facts
    good, bad = member & (outcome == 0), member & (outcome == 1)
    facts["false_positive_rate"], facts["false_negative_rate"] = (
        metrics.rate(~approved[good]),
        metrics.rate(approved[bad]),
    )
    known = good | bad
    facts["default_rate"] = metrics.rate(outcome[known] == 1)
    if probability is not None and known.sum() >= FEWEST:
        gaps = outcome[known] - probability[known]
        facts["calibration_gap"] = metrics.bootstrap(_mean, gaps, resamples=resamples)
    return facts


def _mean(values: Floats) -> float:
    return float(values.mean())


def _comparisons(
    member: NDArray[np.bool_], approved: NDArray[np.bool_], score: Floats | None, resamples: int
) -> dict[str, metrics.Interval]:
    def interval(statistic: Callable[..., float], values: NDArray[Any]) -> metrics.Interval:
        return metrics.bootstrap(statistic, values, member, resamples=resamples)

    found = {
        "adverse_impact_ratio": interval(adverse_impact_ratio, approved),
        "marginal_effect": interval(marginal_effect, approved),
    }
    if score is not None:
        found["standardised_mean_difference"] = interval(standardised_mean_difference, score)
    return found
