"""How well probabilities of default rank and fit: point values and bootstrap intervals.

All functions take outcomes (0 repaid, 1 defaulted) and default probabilities, both ``(n,)``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import chi2, rankdata

from lendsafe.risk.model.bins import counts
from lendsafe.risk.model.classifier import calibrate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Interval(NamedTuple):
    """A value with its 95 % interval; the ends are NaN where there is none."""

    value: float
    low: float
    high: float


def auc(outcome: Integers, probability: Floats) -> float:
    """Chance that a default gets a higher probability than a repaid loan; ties count half."""
    bad = int(outcome.sum())
    good = len(outcome) - bad
    if not bad or not good:
        return float("nan")
    ranks = rankdata(probability)
    return float((ranks[outcome == 1].sum() - bad * (bad + 1) / 2) / (bad * good))


def gini(outcome: Integers, probability: Floats) -> float:
    """Twice the AUC less one."""
    return 2 * auc(outcome, probability) - 1


def ks(outcome: Integers, probability: Floats) -> float:
    """Kolmogorov-Smirnov: greatest distance between the score distributions of both outcomes."""
    false_rate, true_rate = roc(outcome, probability)
    return float(np.max(true_rate - false_rate))


def brier(outcome: Integers, probability: Floats) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((probability - outcome) ** 2))


def log_loss(outcome: Integers, probability: Floats) -> float:
    """Mean negative log-likelihood, in nats."""
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-np.mean(outcome * np.log(clipped) + (1 - outcome) * np.log1p(-clipped)))


METRICS: dict[str, Callable[[Integers, Floats], float]] = {
    "auc": auc,
    "gini": gini,
    "ks": ks,
    "brier": brier,
    "log_loss": log_loss,
}


def roc(outcome: Integers, probability: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates, from the highest probability down, one point per distinct value."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(outcome[order])
    misses = np.cumsum(1 - outcome[order])
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    true_rate = np.concatenate([[0.0], hits[last] / max(hits[-1], 1)])
    false_rate = np.concatenate([[0.0], misses[last] / max(misses[-1], 1)])
    return false_rate, true_rate


def calibration_line(outcome: Integers, probability: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome on the log-odds: (1, 0) is perfect, a slope under 1 overconfident."""
    fitted = calibrate(np.asarray(logit(np.clip(probability, 1e-9, 1 - 1e-9))), outcome)
    return fitted.fitted_slope, fitted.fitted_intercept


def reliability(outcome: Integers, probability: Floats, bins: int = 10) -> list[dict[str, float]]:
    """Mean probability and share of defaults in bins of equal size, with the share's 95 % interval."""
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    return [
        {
            "predicted": float(probability[p].mean()),
            "observed": one.value,
            "low": one.low,
            "high": one.high,
            "n": len(p),
        }
        for p in parts
        if (one := rate(outcome[p] == 1))
    ]


class Rate(NamedTuple):
    """A share of ``n`` applications with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def rate(hits: NDArray[np.bool_]) -> Rate | None:
    """Share of true rows, ``(n,)``, with Wilson's interval (1927); None of nothing."""
    n = len(hits)
    if not n:
        return None
    share, z = float(hits.mean()), 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Rate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def bootstrap(
    statistic: Callable[..., float], *arrays: NDArray[np.generic], resamples: int = 1000, seed: int = 0
) -> Interval:
    """A statistic with its 95 % percentile interval over resampled rows.

    Args:
        statistic: Of arrays with equal first axes.
        arrays: Its arguments.
        resamples: How many; those on which the statistic is not defined are left out.
        seed: Of the draws.

    Returns:
        The value and its interval.
    """
    rng = np.random.default_rng(seed)
    n = len(arrays[0])
    draws = []
    for _ in range(resamples):
        rows = rng.integers(0, n, n)
        draws.append(statistic(*(a[rows] for a in arrays)))
    finite = np.array([d for d in draws if np.isfinite(d)])
    low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (float("nan"), float("nan"))
    return Interval(statistic(*arrays), float(low), float(high))


def psi(expected: Mapping[str, Sequence[float]], actual: NDArray[np.int64] | Floats) -> dict[str, float]:
    """Population stability index with a threshold that knows the sample sizes.

    Without any drift, PSI times ``1 / (1/N + 1/M)`` follows a chi-square distribution with
    ``bins - 1`` degrees of freedom (Yurdakul and Naranjo 2020), so the usual 0.10 and 0.25 cry
    wolf on small samples. The threshold is the 95th percentile under no drift.

    Args:
        expected: :func:`~lendsafe.risk.model.bins.score_bins` of the ``N`` scores at development.
        actual: Scores now, ``(M,)``.

    Returns:
        ``psi``, ``threshold``, ``bins`` used, and ``drift`` (1 if above the threshold).
    """
    edges = np.asarray(expected["edges"], dtype=np.float64)
    pair = [np.asarray(expected["counts"], dtype=np.float64), counts(actual, edges).astype(np.float64)]
    # half a row in each bin: none is ever empty
    shares = [(c + 0.5) / (c.sum() + 0.5 * len(c)) for c in pair]
    value = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    threshold = float(chi2.ppf(0.95, len(edges)) * sum(1 / c.sum() for c in pair)) if len(edges) else 0.0
    return {"psi": value, "threshold": threshold, "bins": len(edges) + 1, "drift": float(value > threshold)}
