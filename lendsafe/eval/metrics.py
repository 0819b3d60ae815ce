"""Many results to estimates: each with its interval and the number of cases it rests on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import DataError

RESAMPLES = 2000
Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


class Estimate(NamedTuple):
    """A measured value, its 95 % interval, and how many cases it rests on."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Checked:
    """What the checks and the overlap measures say of one system's texts, one entry a text.

    Attributes:
        passed_first: Whether the first text that the model wrote passed every check.
        fallback: Whether the template took its place in the end.
        passed_final: Whether the text that would be sent passes every check.
        overlap: Overlap measures of the first texts, by name.
    """

    passed_first: Sequence[bool]
    fallback: Sequence[bool]
    passed_final: Sequence[bool]
    overlap: Mapping[str, NDArray[np.float64]]


def mean(values: Sequence[float] | NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """Mean with a percentile bootstrap interval of 2,000 resamples.

    Raises:
        DataError: If there are no values.
    """
    data = np.asarray(values, np.float64)
    if not data.size:
        raise DataError("No cases to score. Check that the held-out split is not empty.")
    means = data[_resamples(len(data), seed)].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high), len(data))


def difference(ours: NDArray[np.float64], theirs: NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """Mean paired difference, ours minus theirs, with a bootstrap interval over the pairs.

    Raises:
        DataError: If the lengths differ or are 0.
    """
    if len(ours) != len(theirs):
        raise DataError(f"{len(ours)} and {len(theirs)} cases cannot be paired.")
    return mean(np.asarray(ours) - np.asarray(theirs), seed=seed)


def rate(events: Sequence[bool]) -> Estimate:
    """Share of cases with an event: Wilson's score interval; rule of three where there are none.

    With 0 of n the upper bound is 3 / n (and the mirror image with n of n).

    Raises:
        DataError: If there are no cases.
    """
    n, hits = len(events), sum(events)
    if not n:
        raise DataError("No cases to score. Check that the held-out split is not empty.")
    p = hits / n
    if hits == 0:
        return Estimate(0.0, 0.0, min(1.0, 3 / n), n)
    if hits == n:
        return Estimate(1.0, max(0.0, 1 - 3 / n), 1.0, n)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), n)


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams over all n-grams of all texts (Li et al. 2016); 0 without any."""
    grams = Counter(
        tuple(words[i : i + n])
        for words in (text.lower().split() for text in texts)
        for i in range(len(words) - n + 1)
    )
    return len(grams) / grams.total() if grams else 0.0


def grade(rouge_l: float, bert_f1: float) -> str:
    """Grade of the first system: by overlap alone, so it says nothing about truth."""
    if rouge_l >= 0.5 and bert_f1 >= 0.85:
        return "Excellent"
    if rouge_l >= 0.4 and bert_f1 >= 0.80:
        return "Good"
    if rouge_l >= 0.3 or bert_f1 >= 0.75:
        return "Fair"
    return "Poor"


def summarize(checked: Checked) -> dict[str, Estimate]:
    """Estimates of every measure of one system."""
    return {
        "check_pass_rate_first_try": rate(checked.passed_first),
        "check_pass_rate_final": rate(checked.passed_final),
        "fallback_rate": rate(checked.fallback),
    } | {name: mean(values) for name, values in checked.overlap.items()}


def _resamples(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
