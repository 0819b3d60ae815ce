"""Unknown is never safer than known: whether that holds, and what it costs."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model import splits
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.unknown import filled

Floats = NDArray[np.float64]
MOST_ROWS = 15_000  # that the cost is measured on
MOST_DECLINES = 500  # whose values are left out one at a time
FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknowns:
    """What leaving values out does.

    Attributes:
        approves: Share of declines that leaving out one known value would approve.
        by_feature: For each feature that does, how many of them.
        n: Declines looked at.
        ruled: Whether unknown values count as risky in this model.
        auc: Out-of-fold AUC of the training rows as the model is; None without them.
        auc_learned: The same if trees put unknown values where the past had them.
        with_unknown: Share of the training rows with a value that is not known.
    """

    approves: metrics.Rate | None
    by_feature: tuple[tuple[str, int], ...]
    n: int
    ruled: bool
    auc: float | None = None
    auc_learned: float | None = None
    with_unknown: float | None = None


def measure(
    engine: RiskEngine, declined: Floats, train: tuple[Floats, NDArray[np.int64]] | None = None
) -> Unknowns:
    """Leave out values of declines, one feature at a time, and measure the cost of the rule.

    Args:
        engine: Model.
        declined: Encoded rows that its score declines, ``(n, columns)``.
        train: Encoded training rows and their outcomes.
    """
    rows = declined[:MOST_DECLINES]
    turned = np.zeros(len(rows), dtype=bool)
    counts, at = [], 0
    for f in engine.features.features:
        width = len(f.levels) if f.levels and not f.ordered else 1
        known = ~np.isnan(rows[:, at])
        blank = rows.copy()
        blank[:, at : at + width] = np.nan
        passes = known & (engine.default_probability(blank) <= engine.cutoff) if len(rows) else known
        turned |= passes
        counts.append((f.name, int(passes.sum())))
        at += width
    found = Unknowns(
        approves=metrics.rate(turned),
        by_feature=tuple(sorted((one for one in counts if one[1]), key=lambda one: -one[1])),
        n=len(rows),
        ruled=engine.config.unknown_is_riskier,
    )
    return found if train is None else _with_cost(engine, found, *train)


def _with_cost(engine: RiskEngine, found: Unknowns, values: Floats, outcome: NDArray[np.int64]) -> Unknowns:
    if len(values) > MOST_ROWS:
        rows = np.random.default_rng(engine.config.seed).choice(len(values), MOST_ROWS, replace=False)
        values, outcome = values[rows], outcome[rows]
    fold = splits.folds(np.arange(len(values)), outcome, FOLDS, engine.config.seed + 3)
    aucs = []
    for ruled in (engine.config.unknown_is_riskier, False):
        config = dataclasses.replace(engine.config, unknown_is_riskier=ruled)
        seen, risk = filled(values, engine.features, config), np.empty(len(values))
        for k in range(FOLDS):
            model = RiskModel.from_config(config, [f.constraint for f in engine.features.columns])
            inside = fold != k
            model.refit(
                seen[inside], outcome[inside], depth=engine.training.depth, trees=engine.training.trees
            )
            risk[~inside] = model.margins(seen[~inside])
        aucs.append(metrics.auc(outcome, risk))
    return dataclasses.replace(
        found,
        auc=aucs[0],
        auc_learned=aucs[1],
        with_unknown=float(np.isnan(values).any(axis=1).mean()),
    )
