"""How well probabilities of default rank and fit: point values and intervals.

All functions take outcomes (0 repaid, 1 defaulted) and default probabilities, both ``(n,)``, and may
weigh the rows. Intervals are 95 %.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import chi2

from lendsafe.risk.model.bins import Bins
from lendsafe.risk.model.classifier import calibrate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Z = 1.959964  # of a 95 % interval
FEWEST_EXPECTED = 5  # rows of a bin, for chi-square to hold


class Interval(NamedTuple):
    """A value with its 95 % interval; the ends are NaN where there is none."""

    value: float
    low: float
    high: float


class Rate(NamedTuple):
    """A share of ``n`` applications with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a score ranks and fits.

    Attributes:
        auc: Chance that a default gets a higher probability than a repaid loan.
        gini: Twice the AUC less one.
        ks: Greatest distance between the score distributions of both outcomes.
        brier: Mean squared error of the probabilities.
        log_loss: Mean negative log-likelihood, in nats.
    """

    auc: Interval
    gini: Interval
    ks: Interval
    brier: Interval
    log_loss: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A bin of the reliability table: mean prediction, and the share of defaults with its interval."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Slope and intercept of the outcome on the log-odds: 1 and 0 are perfect, a slope under 1 overconfident."""

    slope: Interval
    intercept: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far values have moved since development.

    Attributes:
        name: Score or feature.
        psi: Population stability index.
        threshold: 95th percentile of the index without any drift, at these sample sizes.
        limit: What the index has to exceed to count: the threshold, or the least that matters.
        bins: Bins used.
        drifted: Whether it exceeds the limit.
    """

    name: str
    psi: float
    threshold: float
    limit: float
    bins: int
    drifted: bool


class _Ranked:
    """Outcomes in the order of a score, so that a resample costs one pass and no sorting."""

    def __init__(self, outcome: Integers, probability: Floats) -> None:
        self._order = np.argsort(-probability, kind="stable")
        self._bad = outcome[self._order].astype(np.float64)
        self._last = np.append(np.flatnonzero(np.diff(probability[self._order])), len(probability) - 1)

    def rates(self, weights: Floats) -> tuple[Floats, Floats]:
        """False and true positive rates at each distinct score, from the riskiest down, from (0, 0)."""
        w = weights[self._order]
        bad, good = np.cumsum(w * self._bad)[self._last], np.cumsum(w * (1 - self._bad))[self._last]
        bad, good = np.concatenate([[0.0], bad]), np.concatenate([[0.0], good])
        with np.errstate(invalid="ignore", divide="ignore"):
            return good / good[-1], bad / bad[-1]

    def auc_ks(self, weights: Floats) -> tuple[float, float]:
        """Area under the rates, ties counting half, and their greatest distance."""
        false, true = self.rates(weights)
        area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
        return area, float(np.max(true - false))


def auc(outcome: Integers, probability: Floats, weights: Floats | None = None) -> float:
    """Chance that a default gets a higher probability than a repaid loan; ties count half."""
    return _Ranked(outcome, probability).auc_ks(_ones(outcome, weights))[0]


def gini(outcome: Integers, probability: Floats, weights: Floats | None = None) -> float:
    """Twice the AUC less one."""
    return 2 * auc(outcome, probability, weights) - 1


def ks(outcome: Integers, probability: Floats, weights: Floats | None = None) -> float:
    """Kolmogorov-Smirnov: greatest distance between the score distributions of both outcomes."""
    return _Ranked(outcome, probability).auc_ks(_ones(outcome, weights))[1]


def brier(outcome: Integers, probability: Floats, weights: Floats | None = None) -> float:
    """Mean squared error of the probabilities."""
    return float(np.average((probability - outcome) ** 2, weights=weights))


def log_loss(outcome: Integers, probability: Floats, weights: Floats | None = None) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(np.average(_losses(outcome, probability), weights=weights))


METRICS: dict[str, Callable[..., float]] = {
    "auc": auc,
    "gini": gini,
    "ks": ks,
    "brier": brier,
    "log_loss": log_loss,
}


def compare(
    outcome: Integers,
    probabilities: Sequence[Floats],
    weights: Floats | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[list[Quality], list[Interval]]:
    """Quality of several scores of the same rows, and the AUC of the first over each other one.

    All are measured on the same resamples, so that the differences are paired.

    Args:
        outcome: 0 or 1, ``(n,)``.
        probabilities: One array ``(n,)`` a score.
        weights: Loans that each row stands for, ``(n,)``.
        resamples: Of the bootstrap.
        seed: Of the draws.
    """
    base = _ones(outcome, weights)
    ranked = [_Ranked(outcome, p) for p in probabilities]
    errors = [((p - outcome) ** 2, _losses(outcome, p)) for p in probabilities]

    def figures(w: Floats) -> list[list[float]]:
        total = w.sum()
        found = []
        for one, (squares, losses) in zip(ranked, errors, strict=True):
            area, distance = one.auc_ks(w)
            found.append(
                [area, 2 * area - 1, distance, float(w @ squares / total), float(w @ losses / total)]
            )
        return found

    value = np.array(figures(base))
    draws = np.array([figures(base * counts) for counts in resampled(len(outcome), resamples, seed)])
    qualities = [
        Quality(**{n: interval(value[i, j], draws[:, i, j]) for j, n in enumerate(METRICS)})
        for i in range(len(probabilities))
    ]
    over = [
        interval(value[0, 0] - value[i, 0], draws[:, 0, 0] - draws[:, i, 0])
        for i in range(1, len(probabilities))
    ]
    return qualities, over


def aucs(outcome: Integers, probabilities: Sequence[Floats]) -> Callable[[Floats], list[float]]:
    """The AUC of each of several scores as a function of how often each row counts."""
    ranked = [_Ranked(outcome, p) for p in probabilities]
    return lambda weights: [one.auc_ks(weights)[0] for one in ranked]


def resampled(n: int, resamples: int, seed: int = 0) -> Any:
    """How often each of ``n`` rows is drawn, one array ``(n,)`` a resample."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)


def interval(value: float, draws: Floats, level: float = 0.95) -> Interval:
    """A value with the percentile interval of its resamples; those that are not defined are left out."""
    finite = draws[np.isfinite(draws)]
    ends = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.percentile(finite, ends) if len(finite) else (float("nan"), float("nan"))
    return Interval(float(value), float(low), float(high))


def normal(value: float, error: float) -> Interval:
    """A value with the interval of a normal distribution around it."""
    return Interval(value, value - Z * error, value + Z * error)


def roc(outcome: Integers, probability: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates, from the highest probability down, one point per distinct value."""
    return _Ranked(outcome, probability).rates(np.ones(len(outcome)))


def calibration_line(outcome: Integers, probability: Floats, weights: Floats | None = None) -> Line:
    """Slope and intercept of the outcome on the log-odds, with intervals from the curvature of the likelihood."""
    z = np.asarray(logit(np.clip(probability, 1e-9, 1 - 1e-9)))
    fitted = calibrate(z, outcome, weights)
    slope, intercept = fitted.fitted_slope, fitted.fitted_intercept
    p = 1 / (1 + np.exp(-(slope * z + intercept)))
    design = np.stack([z, np.ones(len(z))], axis=1)
    information = (design * (p * (1 - p) * _ones(outcome, weights))[:, None]).T @ design
    errors = np.sqrt(np.clip(np.diag(np.linalg.pinv(information)), 0, None))
    return Line(slope=normal(slope, float(errors[0])), intercept=normal(intercept, float(errors[1])))


def reliability(outcome: Integers, probability: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Mean probability and share of defaults in bins of equal size, with the share's 95 % interval."""
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    return tuple(
        Bin(predicted=float(probability[p].mean()), observed=one.value, low=one.low, high=one.high, n=len(p))
        for p in parts
        if (one := rate(outcome[p] == 1))
    )


def rate(hits: NDArray[np.bool_]) -> Rate | None:
    """Share of true rows, ``(n,)``, with Wilson's interval (1927); None of nothing."""
    n = len(hits)
    if not n:
        return None
    share = float(hits.mean())
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Rate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def psi(expected: Bins, actual: Any, least: float = 0.0, level: float = 0.05) -> Drift:
    """Population stability index with a threshold that knows the sample sizes.

    Without any drift, PSI times ``1 / (1/N + 1/M)`` follows a chi-square distribution with
    ``bins - 1`` degrees of freedom (Yurdakul and Naranjo 2020), so the usual 0.10 and 0.25 cry
    wolf on small samples. The threshold is the 95th percentile under no drift.

    Args:
        expected: The ``N`` values at development.
        actual: Values now, ``(M,)``, NaN where not known.
        least: Smallest index that matters, however many rows prove it.
        level: Share of files without any drift that exceed the threshold.
    """
    pair = np.array([expected.counts, expected.count(actual)], dtype=np.float64)
    return drift(expected.name, pair, least, level)


def drift(name: str, pair: Floats, least: float = 0.0, level: float = 0.05) -> Drift:
    """:func:`psi` of two rows of counts, ``(2, bins)``: at development, and now.

    Neighbouring bins of which fewer than five rows are expected in either count as one, or the
    distribution of the index would not be the one that the threshold takes.
    """
    pair = _pooled(pair)
    bins = pair.shape[1]
    shares = (pair + 0.5) / (pair + 0.5).sum(axis=1, keepdims=True)  # half a row in each bin: none is empty
    value = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    noise = float(np.sum(1 / np.maximum(pair.sum(axis=1), 1)))
    threshold = float(chi2.ppf(1 - level, bins - 1)) * noise if bins > 1 else 0.0
    limit = max(threshold, least)
    return Drift(
        name=name, psi=value, threshold=threshold, limit=limit, bins=bins, drifted=bins > 1 and value > limit
    )


def _pooled(pair: Floats) -> Floats:
    """Columns joined with their neighbours until at least five rows are expected in each, in both rows."""
    total = pair.sum(axis=1)
    expected = pair.sum(axis=0) * total.min() / max(total.sum(), 1)
    columns: list[Floats] = []
    held, sure = np.zeros(2), 0.0
    for column, rows in zip(pair.T, expected, strict=True):
        held, sure = held + column, sure + float(rows)
        if sure >= FEWEST_EXPECTED:
            columns.append(held)
            held, sure = np.zeros(2), 0.0
    if columns:
        columns[-1] = columns[-1] + held
    return np.stack(columns or [held], axis=1)


def _ones(outcome: Integers, weights: Floats | None) -> Floats:
    return np.ones(len(outcome)) if weights is None else weights


def _losses(outcome: Integers, probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(-(outcome * np.log(clipped) + (1 - outcome) * np.log1p(-clipped)), dtype=np.float64)
