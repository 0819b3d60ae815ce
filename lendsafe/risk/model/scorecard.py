"""The baseline that the trees must beat: a logistic scorecard on weights of evidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]
BINS = 5
SMOOTHING = 0.5


@dataclass(frozen=True)
class Scorecard:
    """A fitted scorecard.

    Attributes:
        edges: Inner bin edges of each feature.
        weights: Weight of evidence of each bin of each feature, values that are not known last.
        regression: Logistic regression on them.
    """

    edges: list[Floats]
    weights: list[Floats]
    regression: LogisticRegression

    def predict_proba(self, values: Floats) -> Floats:
        """Probability of default, ``(n,)``."""
        found: Floats = self.regression.predict_proba(_woe(values, self.edges, self.weights))[:, 1]
        return found


def fit(values: Floats, outcome: NDArray[np.int64]) -> Scorecard:
    """Bin every feature at quantiles, weigh each bin by its log-odds, fit a logistic regression.

    Args:
        values: Features, ``(n, features)``, NaN where not known: a bin of its own.
        outcome: 0 or 1, ``(n,)``.
    """
    edges = [_edges(column) for column in values.T]
    weights = [
        _weights(_bins(column, e), outcome, len(e) + 2) for column, e in zip(values.T, edges, strict=True)
    ]
    regression = LogisticRegression(max_iter=1000).fit(_woe(values, edges, weights), outcome)
    return Scorecard(edges, weights, regression)


def _edges(column: Floats) -> Floats:
    known = column[~np.isnan(column)]
    if not len(known):
        return np.array([])
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.asarray(cuts[cuts > known.min()], dtype=np.float64)


def _bins(column: Floats, edges: Floats) -> NDArray[np.int64]:
    return np.where(np.isnan(column), len(edges) + 1, np.searchsorted(edges, column, side="right"))


def _weights(bins: NDArray[np.int64], outcome: NDArray[np.int64], count: int) -> Floats:
    bad = np.bincount(bins, weights=outcome, minlength=count) + SMOOTHING
    good = np.bincount(bins, weights=1 - outcome, minlength=count) + SMOOTHING
    return np.asarray(np.log(bad / bad.sum()) - np.log(good / good.sum()), dtype=np.float64)


def _woe(values: Floats, edges: list[Floats], weights: list[Floats]) -> Floats:
    columns = [w[_bins(column, e)] for column, e, w in zip(values.T, edges, weights, strict=True)]
    return np.stack(columns, axis=1)
