"""The search for a less discriminatory alternative, as a comparison of like with like.

Every model is fitted with the settings of the model at hand: its depth, its number of trees, its folds.
Every one approves as many applications as it does, rules and missing items applied. Candidates are
chosen by their out-of-fold scores of the training rows; the few that are chosen are fitted on all
training rows and reported on the held-out ones, which had no part in the choice. Protected attributes
are read only to measure, never to fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.risk.appraisal import fairness, metrics
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.model import splits
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.unknown import filled

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
FOLDS = 3
MOST_ROWS = 15_000  # that candidates are chosen on; the chosen are fitted on all
REPORTED = 5  # candidates that are reported on the held-out rows


@dataclass(frozen=True, kw_only=True)
class Part:
    """Applications of one side of the split.

    Attributes:
        values: Encoded features, ``(n, columns)``.
        outcome: 0 or 1, ``(n,)``.
        blocked: Applications that a rule declines or that are incomplete, ``(n,)``.
        protected: Groups, one column per attribute, ``n`` rows.
        owner: Label of rows that belong together, ``(n,)``; each row its own if None.
    """

    values: Floats
    outcome: NDArray[np.int64]
    blocked: Flags
    protected: pd.DataFrame
    owner: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a candidate was chosen by: out-of-fold figures of the training rows."""

    auc: float
    adverse_impact_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a chosen candidate does on held-out rows, with 95 % intervals of paired resamples.

    Attributes:
        auc: Ranking quality.
        adverse_impact_ratio: Lowest ratio over all groups.
        auc_cost: AUC of the model at hand less this one's.
        air_gain: Ratio of this one less that of the model at hand.
        significant: Whether the gain is above 0 at 5 %, corrected for the number of candidates
            that were reported (Bonferroni).
    """

    auc: metrics.Interval
    adverse_impact_ratio: metrics.Interval
    auc_cost: metrics.Interval
    air_gain: metrics.Interval
    significant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A model that was tried.

    Attributes:
        name: What is different about it.
        selected: Its figures on the training rows.
        reported: Its figures on the held-out rows; None if it was not chosen.
    """

    name: str
    selected: Selected
    reported: Reported | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """A way to fit: which columns, which settings."""

    name: str
    columns: NDArray[np.int64]
    config: RiskConfig
    depth: int


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What all candidates share."""

    train: Part
    test: Part
    features: FeatureSet
    trees: int
    rate: float
    references: Mapping[str, str]

    def fit(self, one: _Candidate, rows: NDArray[np.int64]) -> RiskModel:
        values = self.seen(one, self.train.values[rows])
        signs = [self.features.columns[i].constraint for i in one.columns]
        model = RiskModel.from_config(one.config, signs)
        return model.refit(values, self.train.outcome[rows], depth=one.depth, trees=self.trees)

    def seen(self, one: _Candidate, values: Floats) -> Floats:
        return filled(values, self.features, one.config)[:, one.columns]

    def lowest(self, part: Part, risk: Floats, rows: NDArray[np.int64] | None = None) -> float:
        index = np.arange(len(risk)) if rows is None else rows
        passed = approved(risk, part.blocked[index], self.rate)
        open_ = ~part.blocked[index]
        return fairness.lowest_ratio(part.protected.iloc[index][open_], passed[open_], self.references)


def approved(risk: Floats, blocked: Flags, rate: float) -> Flags:
    """The least risky that are open, as many as ``rate`` of all, ``(n,)``; ties are approved together."""
    open_ = np.sort(risk[~blocked])
    if not len(open_):
        return np.zeros(len(risk), dtype=bool)
    line = open_[int(np.clip(round(rate * len(risk)), 1, len(open_))) - 1]
    return (risk <= line) & ~blocked


def search(  # noqa: PLR0913
    train: Part,
    test: Part,
    features: FeatureSet,
    config: RiskConfig,
    *,
    depth: int,
    trees: int,
    references: Mapping[str, str] | None = None,
    resamples: int = 1000,
    say: Callable[[str], None] = lambda _: None,
) -> list[Alternative]:
    """Try models that lean less on some reason, or on other structure.

    Tried are: without each reason's features, without each pair of the three reasons whose absence
    helps most, without the constraints, with unknown values where the trees put them, and shallower.

    Args:
        train: Training rows.
        test: Held-out rows.
        features: Declarations of the columns.
        config: Of the model at hand.
        depth: Depth of the model at hand.
        trees: Trees of each of its fits.
        references: Reference group by attribute.
        resamples: Of the intervals.
        say: Called with a line before each step that takes long.

    Returns:
        The model at hand first, then the others by the ratio they were chosen by, best first.
    """
    rate = _rate(config, train)
    shared = _Search(
        train=train, test=test, features=features, trees=trees, rate=rate, references=references or {}
    )
    base = _Candidate(
        name="the model at hand", columns=np.arange(len(features.columns)), config=config, depth=depth
    )
    rows, fold = _rows(train, config)
    found = {base: _select(shared, base, rows, fold)}
    singles = _without(base, features)
    say(f"Trying {len(singles)} models without one reason each.")
    found |= {one: _select(shared, one, rows, fold) for one in singles}
    helpful = sorted(singles, key=lambda one: -found[one].adverse_impact_ratio)[:3]
    more = [
        replace(
            a,
            name=f"{a.name} and {b.name.removeprefix('without ')}",
            columns=np.intersect1d(a.columns, b.columns),
        )
        for i, a in enumerate(helpful)
        for b in helpful[i + 1 :]
    ] + _structures(base)
    more = [one for one in more if len(one.columns)]
    say(f"Trying {len(more)} other models.")
    found |= {one: _select(shared, one, rows, fold) for one in more}
    others = sorted(
        (one for one in found if one is not base), key=lambda one: -found[one].adverse_impact_ratio
    )
    chosen = [one for one in others if found[one].adverse_impact_ratio > found[base].adverse_impact_ratio]
    say(f"Measuring {len(chosen[:REPORTED])} of them on the held-out rows.")
    reported = _report(shared, base, chosen[:REPORTED], resamples)
    return [
        Alternative(name=one.name, selected=found[one], reported=reported.get(one)) for one in [base, *others]
    ]


def _rate(config: RiskConfig, train: Part) -> float:
    return min(config.approval_rate, float(np.mean(~train.blocked)))


def _rows(train: Part, config: RiskConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that candidates are chosen on, and the fold of each; the same for every candidate."""
    rows = np.arange(len(train.outcome))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(config.seed).choice(rows, MOST_ROWS, replace=False))
    owner = rows if train.owner is None else train.owner[rows]
    return rows, splits.folds(owner, train.outcome[rows], FOLDS, config.seed + 2)


def _without(base: _Candidate, features: FeatureSet) -> list[_Candidate]:
    reasons = np.array([column.reason for column in features.columns])
    parts = {code: np.flatnonzero(reasons != code) for code in dict.fromkeys(reasons.tolist())}
    return [replace(base, name=f"without {code}", columns=kept) for code, kept in parts.items() if len(kept)]


def _structures(base: _Candidate) -> list[_Candidate]:
    config = base.config
    found = [replace(base, name=f"depth {depth}", depth=depth) for depth in range(1, base.depth)]
    if config.monotone:
        changed = replace(config, monotone=False)
        found.append(replace(base, name="without monotone constraints", config=changed))
    if config.unknown_is_riskier:
        changed = replace(config, unknown_is_riskier=False)
        found.append(replace(base, name="unknown values where the trees put them", config=changed))
    return found


def _select(shared: _Search, one: _Candidate, rows: NDArray[np.int64], fold: NDArray[np.int64]) -> Selected:
    risk = np.empty(len(rows))
    for k in range(FOLDS):
        model = shared.fit(one, rows[fold != k])
        risk[fold == k] = model.margins(shared.seen(one, shared.train.values[rows[fold == k]]))
    return Selected(
        auc=metrics.auc(shared.train.outcome[rows], risk),
        adverse_impact_ratio=shared.lowest(shared.train, risk, rows),
    )


def _report(
    shared: _Search, base: _Candidate, chosen: Sequence[_Candidate], resamples: int
) -> dict[_Candidate, Reported]:
    """Figures of the model at hand and of the chosen ones on held-out rows, on the same resamples."""
    every = np.arange(len(shared.train.outcome))
    models = [base, *chosen]
    risks = [shared.fit(one, every).margins(shared.seen(one, shared.test.values)) for one in models]
    pairs = fairness.pairs(shared.test.protected, shared.references)
    passed = [approved(risk, shared.test.blocked, shared.rate) for risk in risks]
    open_ = ~shared.test.blocked
    ratios = [_ratios(pairs, one, open_) for one in passed]
    ranked = metrics.aucs(shared.test.outcome, risks)
    value = np.stack([ranked(np.ones(len(open_))), [one(np.ones(len(open_))) for one in ratios]])
    draws = np.stack(
        [
            [ranked(counts), [one(counts) for one in ratios]]
            for counts in metrics.resampled(len(open_), resamples)
        ]
    )
    level = 1 - 0.05 / max(len(chosen), 1)
    found = {}
    for i, one in enumerate(models):
        cost, gain = value[0, 0] - value[0, i], value[1, i] - value[1, 0]
        gains = draws[:, 1, i] - draws[:, 1, 0]
        found[one] = Reported(
            auc=metrics.interval(value[0, i], draws[:, 0, i]),
            adverse_impact_ratio=metrics.interval(value[1, i], draws[:, 1, i]),
            auc_cost=metrics.interval(cost, draws[:, 0, 0] - draws[:, 0, i]),
            air_gain=metrics.interval(gain, gains),
            significant=bool(metrics.interval(gain, gains, level).low > 0),
        )
    return found


def _ratios(pairs: Sequence[tuple[Flags, Flags]], passed: Flags, open_: Flags) -> Callable[[Floats], float]:
    """The lowest ratio as a function of how often each row counts."""
    ours = [((member & open_).astype(float), (ref & open_).astype(float)) for member, ref in pairs]

    def lowest(counts: Floats) -> float:
        found = [1.0]
        for member, reference in ours:
            a, n, b, m = (
                counts @ (member * passed),
                counts @ member,
                counts @ (reference * passed),
                counts @ reference,
            )
            if n and m and b:
                found.append(float(a / n / (b / m)))
        return min(found)

    return lowest
