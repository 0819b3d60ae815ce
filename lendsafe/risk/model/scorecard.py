"""The challenger: a binned scorecard whose points add up on paper.

Each feature is cut into bins that a person can read; each bin has a weight of evidence, the log of its
share of defaults over its share of repaid loans; a logistic regression without negative weights adds
them up; what each bin is worth becomes points. Values that occur often (a flag, a count of zero) are
bins of their own, values that are not known and texts too, and where the business sign is known the
weights rise or fall with the value (pool adjacent violators).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import isotonic_regression

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import Feature, FeatureSet
from lendsafe.risk.model.bins import inputs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FINEST = 20  # bins before merging
OFTEN = 0.02  # share of rows from which a single value is a bin of its own
SMALLEST = 0.02  # share of rows that a bin holds at least
SMOOTHING = 0.5  # rows added to each bin, of each outcome
ALIKE = 1.32  # 75th percentile of chi-square with one degree of freedom
SURELY = 1e12
RIDGE = 1.0  # of the regression, on weights of evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class CardBin:
    """One line of the card.

    Attributes:
        low: Smallest value, inclusive; None if there is none, or for texts.
        high: Values below it; None if there is no limit, or for texts.
        texts: Texts that belong to it; empty for numbers.
        unknown: Whether values that are not known belong to it.
        no_file: Whether it is for those without a credit file, whose items are then not known.
        count: Training rows in it, weighted.
        defaults: Defaults among them, weighted.
        weight: Weight of evidence; positive is riskier.
        log_odds: What it adds to the log-odds of default.
    """

    low: float | None = None
    high: float | None = None
    texts: tuple[str, ...] = ()
    unknown: bool = False
    no_file: bool = False
    count: float
    defaults: float
    weight: float
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A feature of the card with its lines."""

    name: str
    reason: str
    bins: tuple[CardBin, ...]


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """A fitted card: the log-odds of default are ``intercept`` plus one line per attribute.

    Attributes:
        intercept: Log-odds without any line.
        attributes: What counts; features that add nothing are left out.
        features: Declarations of what it reads.
    """

    intercept: float
    attributes: tuple[Attribute, ...]
    features: FeatureSet

    def log_odds(self, values: Floats) -> Floats:
        """Log-odds of default of encoded rows ``(n, columns)``, ``(n,)``."""
        columns = inputs(values, self.features)
        without = _without_file(values, self.features)
        levels = {f.name: f.levels for f in self.features.features}
        total = np.full(len(values), self.intercept)
        for one in self.attributes:
            total += _lines(columns[one.name], one, levels[one.name], without)
        return total

    def predict_proba(self, values: Floats) -> Floats:
        """Probability of default of encoded rows ``(n, columns)``, ``(n,)``."""
        return np.asarray(expit(self.log_odds(values)), dtype=np.float64)


def fit(
    values: Floats,
    outcome: Integers,
    features: FeatureSet,
    config: RiskConfig | None = None,
    weights: Floats | None = None,
) -> Scorecard:
    """Fit a card.

    Args:
        values: Encoded rows, ``(n, columns)``, NaN where not known.
        outcome: 0 repaid, 1 defaulted, ``(n,)``.
        features: Their declarations.
        config: Whether signs hold, and whether unknown is never safer than known.
        weights: Loans that each row stands for, ``(n,)``.
    """
    settings = config or RiskConfig()
    counts = np.ones(len(outcome)) if weights is None else weights
    without = _without_file(values, features)
    drafts = [
        _draft(column, outcome, counts, f, settings, without if f.report and not f.no_file else None)
        for f, column in zip(features.features, inputs(values, features).values(), strict=True)
    ]
    design = np.stack([draft.weight[draft.place] for draft in drafts], axis=1)
    intercept, slopes = _regression(design, outcome, counts)
    attributes = tuple(
        Attribute(name=f.name, reason=f.reason, bins=draft.lines(slope, f))
        for f, draft, slope in zip(features.features, drafts, slopes, strict=True)
        if slope > 0 and np.count_nonzero(draft.good + draft.bad) > 1
    )
    return Scorecard(intercept=intercept, attributes=attributes, features=features)


@dataclass(frozen=True)
class _Draft:
    """Bins of one feature: where each row falls, and what is known of each bin."""

    edges: tuple[float, ...]  # inner edges, for numbers
    members: tuple[tuple[int, ...], ...]  # levels of each bin, for texts
    place: Integers
    good: Floats
    bad: Floats
    weight: Floats

    def lines(self, slope: float, feature: Feature) -> tuple[CardBin, ...]:
        ends = (None, *self.edges, None)
        known = len(self.members) or len(self.edges) + 1
        found = []
        for i in range(len(self.weight)):
            facts: dict[str, Any] = {
                "count": float(self.good[i] + self.bad[i]),
                "defaults": float(self.bad[i]),
                "weight": float(self.weight[i]),
                "log_odds": float(slope * self.weight[i]),
            }
            if i > known:
                facts["no_file"] = True
            elif i == known:
                facts["unknown"] = True
            elif self.members:
                facts["texts"] = tuple(feature.levels[level] for level in self.members[i])
            else:
                facts |= {"low": ends[i], "high": ends[i + 1]}
            found.append(CardBin(**facts))
        return tuple(found)


def _draft(
    column: Floats,
    outcome: Integers,
    counts: Floats,
    feature: Feature,
    config: RiskConfig,
    without: NDArray[np.bool_] | None,
) -> _Draft:
    """Cut a feature into bins and weigh them; the last are for values that are not known and for no file."""
    unknown = np.isnan(column)
    sign = feature.constraint if config.monotone else 0
    edges: tuple[float, ...] = ()
    members: tuple[tuple[int, ...], ...] = ()
    if feature.levels and not feature.ordered:
        members = _merged_levels(column, counts, len(feature.levels))
        of_level = np.array(
            [next(i for i, m in enumerate(members) if k in m) for k in range(len(feature.levels))]
        )
        place = np.where(unknown, len(members), of_level[np.where(unknown, 0, column).astype(np.int64)])
        known = len(members)
    else:
        edges = _edges(column[~unknown], outcome[~unknown], counts[~unknown], sign)
        place = np.where(unknown, len(edges) + 1, np.searchsorted(edges, column, side="right"))
        known = len(edges) + 1
    if without is not None:
        place = np.where(unknown & without, known + 1, place)
    size = known + 1 + (without is not None)
    bad = _counted(place, counts * outcome, size)
    good = _counted(place, counts * (1 - outcome), size)
    weight = _evidence(good, bad)
    weight[known + 1 :] = 0.0  # that there is no file is a line of its own
    if sign and known > 1:
        weight[:known] = isotonic_regression(
            weight[:known], sample_weight=(good + bad)[:known] + 1e-9, increasing=sign > 0
        )
    if not unknown.any():
        weight[known] = 0.0
    if config.unknown_is_riskier:
        weight[known] = max(weight[known], weight[:known].max())
    return _Draft(edges, members, place, good, bad, weight)


def _edges(known: Floats, outcome: Integers, counts: Floats, sign: int) -> tuple[float, ...]:
    """Inner edges: values that occur often stand alone, the rest in quantiles, too small bins merged."""
    if not len(known):
        return ()
    distinct, place = np.unique(known, return_inverse=True)
    share = np.bincount(place, weights=counts) / counts.sum()
    if len(distinct) <= FINEST:
        starts = set(range(1, len(distinct)))
    else:
        often = np.flatnonzero(share >= OFTEN)
        starts = {int(i) for k in often for i in (k, k + 1)}
        quantile = np.searchsorted(np.cumsum(share), np.linspace(0, 1, FINEST + 1)[1:-1])
        starts |= {int(i) for i in quantile}
    cut = np.array(sorted(i for i in starts if 0 < i < len(distinct)), dtype=np.int64)
    fine = np.searchsorted(cut, np.arange(len(distinct)), side="right")
    bad = _counted(fine[place], counts * outcome, len(cut) + 1)
    rows = _counted(fine[place], counts, len(cut) + 1)
    kept = _merged(rows, bad, sign)
    return tuple(float(distinct[cut[i - 1]]) for i in kept if i)


def _merged(rows: Floats, bad: Floats, sign: int) -> list[int]:
    """First fine bin of each merged one: neighbours join while small, against the sign, or alike.

    Two neighbours are alike if chi-square between their shares of defaults is small.
    """
    total = rows.sum()
    groups = [[i] for i in range(len(rows))]

    def figures(group: list[int]) -> tuple[float, float]:
        return float(rows[group].sum()), float(bad[group].sum())

    while len(groups) > 1:
        costs = []
        for one, other in pairwise(groups):
            (n1, b1), (n2, b2) = figures(one), figures(other)
            costs.append(_distance(n1, b1, n2, b2, small=SMALLEST * total, sign=sign))
        at = int(np.argmin(costs))
        if costs[at] > ALIKE:
            break
        groups[at : at + 2] = [groups[at] + groups[at + 1]]
    return [group[0] for group in groups]


def _distance(n1: float, b1: float, n2: float, b2: float, *, small: float, sign: int) -> float:
    """Chi-square between two bins; below 0 where they have to join."""
    p, q = (b1 + SMOOTHING) / (n1 + 2 * SMOOTHING), (b2 + SMOOTHING) / (n2 + 2 * SMOOTHING)
    pooled = (b1 + b2 + SMOOTHING) / (n1 + n2 + 2 * SMOOTHING)
    apart = (p - q) ** 2 / (pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    if min(n1, n2) < small:
        return apart - SURELY  # a small bin joins the neighbour that it is most like
    if sign and (q - p) * sign < 0:
        return apart - SURELY / 2
    return apart


def _merged_levels(column: Floats, counts: Floats, levels: int) -> tuple[tuple[int, ...], ...]:
    """Levels as bins of their own; those of too few rows together."""
    known = ~np.isnan(column)
    rows = np.bincount(column[known].astype(np.int64), weights=counts[known], minlength=levels)
    rare = tuple(int(i) for i in np.flatnonzero(rows < SMALLEST * counts.sum()))
    alone = tuple((int(i),) for i in np.flatnonzero(rows >= SMALLEST * counts.sum()))
    return (*alone, rare) if rare else alone


def _counted(place: NDArray[Any], weights: Floats, size: int) -> Floats:
    return np.bincount(place, weights=weights, minlength=size).astype(np.float64)


def _without_file(values: Floats, features: FeatureSet) -> NDArray[np.bool_] | None:
    """Rows that have no credit file, ``(n,)``; None if the features do not say."""
    at = next((i for i, column in enumerate(features.columns) if column.no_file), None)
    return None if at is None else values[:, at] > 0


def _evidence(good: Floats, bad: Floats) -> Floats:
    """Weight of evidence of each bin: the log of its share of defaults over its share of repaid loans."""
    g, b = good + SMOOTHING, bad + SMOOTHING
    return np.asarray(np.log(b / b.sum()) - np.log(g / g.sum()), dtype=np.float64)


def _regression(design: Floats, outcome: Integers, counts: Floats) -> tuple[float, Floats]:
    """Intercept and weights of a logistic regression whose weights are none of them negative."""
    scaled = counts / counts.mean()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] + design @ parameters[1:]
        residual = scaled * (expit(z) - outcome)
        value = float(scaled @ (np.logaddexp(0, z) - outcome * z)) + RIDGE / 2 * float(
            parameters[1:] @ parameters[1:]
        )
        return value, np.concatenate([[residual.sum()], design.T @ residual + RIDGE * parameters[1:]])

    start = np.concatenate(
        [[np.log((scaled @ outcome + 1) / (scaled @ (1 - outcome) + 1))], np.zeros(design.shape[1])]
    )
    bounds = [(None, None)] + [(0, None)] * design.shape[1]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return float(best.x[0]), np.where(best.x[1:] > 1e-6, best.x[1:], 0.0)


def _lines(
    column: Floats, attribute: Attribute, levels: tuple[str, ...], without: NDArray[np.bool_] | None
) -> Floats:
    """What each value adds to the log-odds."""
    unknown = np.isnan(column)
    worth = np.array([one.log_odds for one in attribute.bins])
    if any(one.texts for one in attribute.bins):
        of_level = [next(i for i, one in enumerate(attribute.bins) if text in one.texts) for text in levels]
        place = np.array(of_level)[np.where(unknown, 0, column).astype(np.int64)]
    else:
        edges = [one.low for one in attribute.bins if one.low is not None]
        place = np.searchsorted(np.array(edges, dtype=np.float64), column, side="right")
    at = next(i for i, one in enumerate(attribute.bins) if one.unknown)
    place = np.where(unknown, at, place)
    if without is not None and attribute.bins[-1].no_file:
        place = np.where(unknown & without, len(attribute.bins) - 1, place)
    return worth[place]


def table(card: Scorecard, config: RiskConfig) -> pd.DataFrame:
    """The card as a table: attribute, bin, share, default rate, points.

    Points are for repayment: the more, the safer; an attribute's lines are measured from its riskiest
    one, and the base points in the first row hold the rest.
    """
    factor = config.double_odds / np.log(2)
    base = config.base_points - factor * (card.intercept + np.log(config.base_odds))
    rows: list[dict[str, Any]] = []
    for one in card.attributes:
        worst = max(line.log_odds for line in one.bins)
        base -= factor * worst
        rows += [
            {
                "attribute": one.name,
                "bin": label(line),
                "applications": round(line.count, 6),
                "default_rate": line.defaults / line.count if line.count else None,
                "weight_of_evidence": line.weight,
                "log_odds": line.log_odds,
                "points": round(factor * (worst - line.log_odds), 2),
            }
            for line in one.bins
        ]
    head = {
        "attribute": "base",
        "bin": "every application",
        "log_odds": card.intercept,
        "points": round(float(base), 2),
    }
    return pd.DataFrame([head, *rows])


def label(line: CardBin) -> str:
    """A bin in words: ``under 12``, ``12 to under 36``, ``36 or more``, ``own or rent``, ``not known``."""
    if line.unknown or line.no_file:
        return "not known" if line.unknown else "no credit file"
    if line.texts:
        return " or ".join(line.texts)
    if line.low is None and line.high is None:
        return "any value"
    if line.low is None:
        return f"under {line.high:g}"
    return f"{line.low:g} or more" if line.high is None else f"{line.low:g} to under {line.high:g}"
