"""Values at development in bins of about equal size: what later values are compared with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def score_bins(scores: NDArray[np.int64] | Floats, bins: int = 10) -> dict[str, list[float]]:
    """Scores at development in bins of about equal size: inner ``edges`` and ``counts``, one more of these."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    return {"edges": edges.tolist(), "counts": counts(scores, edges).tolist()}


def counts(scores: Any, edges: Floats) -> NDArray[np.int64]:
    """Number of values in each bin between ``edges``."""
    return np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)
