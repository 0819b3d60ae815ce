"""Points: the log-odds of repayment on a scale that people read."""

import math

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.config import RiskConfig

Floats = NDArray[np.float64]


def points(log_odds: Floats, config: RiskConfig) -> NDArray[np.int64]:
    """Internal score: ``base_points`` at ``base_odds`` of repayment, doubling every ``double_odds``.

    Not on a bureau's scale of 300 to 850, so that nobody takes it for a bureau score.
    """
    factor = config.double_odds / math.log(2)
    return np.round(config.base_points + factor * (-log_odds - math.log(config.base_odds))).astype(np.int64)
