"""What the score would be with the features of the reasons at other values."""

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.features import code_index
from lendsafe.risk.model import ranking
from lendsafe.risk.model.engine import RiskEngine

Floats = NDArray[np.float64]
COUNTERFACTUAL_ROWS = 64  # background rows that stand for all of them


def counterfactual(engine: RiskEngine, values: Floats, contributions: Floats) -> Floats:
    """Change of the log-odds if the features of the given reasons took the background's values, ``(n,)``.

    The mean over rows of the background, each of which supplies all replaced features together;
    below 0 is toward approval. NaN where there is no reason.

    Args:
        engine: Model.
        values: Encoded rows, ``(n, columns)``.
        contributions: Per reason, ``(n, codes)``.
    """
    step = max(1, len(engine.background) // COUNTERFACTUAL_ROWS)
    others = engine.background[::step][:COUNTERFACTUAL_ROWS]
    codes = code_index(values, engine.features.columns, engine.features.codes)
    order, counts = ranking.top(contributions, engine.config)
    before = engine.log_odds(values)
    found = np.full(len(values), np.nan)
    for i in np.flatnonzero(counts):
        replaced = np.isin(codes[i], order[i, : counts[i]])
        found[i] = engine.log_odds(np.where(replaced, others, values[i])).mean() - before[i]
    return found
