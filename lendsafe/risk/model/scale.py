"""Where the line is drawn: the cut-off, and points on a scale that people read."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from lendsafe.errors import ConfigError
from lendsafe.risk.config import RiskConfig

Floats = NDArray[np.float64]


def cutoff_for_approval_rate(
    default_probability: Floats, blocked: NDArray[np.bool_], rate: float, weights: Floats | None = None
) -> float:
    """The cut-off at which a share ``rate`` of applications is approved.

    Args:
        default_probability: ``(n,)`` of the applications to calibrate on.
        blocked: Applications that a rule declines or that are incomplete, ``(n,)``.
        rate: Share of all applications to approve, in (0, 1); less is approved if rules block more.
        weights: How many applications each row stands for, ``(n,)``; one if None.
    """
    if blocked.all():
        raise ConfigError("Every application is blocked by a rule or incomplete; no cut-off exists.")
    counts = np.ones(len(blocked)) if weights is None else weights
    order = np.argsort(default_probability[~blocked], kind="stable")
    below = np.cumsum(counts[~blocked][order])
    at = int(np.searchsorted(below, rate * counts.sum() * (1 - 1e-12)))
    return float(default_probability[~blocked][order][min(at, len(order) - 1)])


def cutoff_for_expected_loss(loss_ratio: float) -> float:
    """The cut-off at which a loan's expected profit is zero: ``1 / (1 + loss_ratio)``.

    A loan with default probability p earns ``(1 - p) - p * loss_ratio`` in units of the profit
    on a good loan, which is positive below the cut-off.
    """
    return 1.0 / (1.0 + loss_ratio)


def cutoff_points(cutoff: float, config: RiskConfig) -> int:
    """Fewest points that are approved, at least 1."""
    return max(1, round(float(_raw(math.log(cutoff) - math.log1p(-cutoff), config))))


def points(log_odds: Floats, cutoff: float, config: RiskConfig) -> NDArray[np.int64]:
    """Internal score: ``base_points`` at ``base_odds`` of repayment, doubling every ``double_odds``.

    Whole, never below 0, and rounded from the cut-off, so that an application has
    :func:`cutoff_points` or more if and only if its default probability is at most ``cutoff``; that
    moves the scale by less than a point. Not on a bureau's scale of 300 to 850, so that nobody takes
    it for a bureau score.

    Args:
        log_odds: Of default, ``(n,)``.
        cutoff: Largest default probability that is approved.
        config: The scale.
    """
    least = cutoff_points(cutoff, config)
    exact = np.asarray(_raw(log_odds, config), dtype=np.float64)
    distance = exact - _raw(math.log(cutoff) - math.log1p(-cutoff), config)
    whole = least + np.round(distance).astype(np.int64)
    passed = expit(log_odds) <= cutoff
    return np.maximum(0, np.where(passed, np.maximum(whole, least), np.minimum(whole, least - 1)))


def _raw(log_odds: Floats | float, config: RiskConfig) -> Floats | float:
    return config.base_points - config.double_odds / math.log(2) * (log_odds + math.log(config.base_odds))
