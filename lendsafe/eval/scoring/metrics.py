"""Many results to estimates: each with its interval and the number of cases it rests on."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import DataError

RESAMPLES = 2000
_QUANTILES = (0.025, 0.975)
_CELLS = 50_000_000  # of one block of a resampled matrix, to bound memory

Values = Sequence[float] | Sequence[bool] | NDArray[np.float64]


class Estimate(NamedTuple):
    """A measured value, its 95 % interval, and how many cases it rests on."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Values, *, seed: int = 0) -> Estimate:
    """Mean with a percentile bootstrap interval of 2,000 resamples.

    Raises:
        DataError: If there are no values.
    """
    data = _numbers(values)
    low, high = _bounds(lambda rows: data[rows].mean(axis=1), len(data), seed)
    return Estimate(float(data.mean()), low, high, len(data))


def difference(ours: Values, theirs: Values, *, seed: int = 0) -> Estimate:
    """Mean paired difference, ours minus theirs, with a bootstrap interval over the pairs.

    Raises:
        DataError: If the lengths differ or are 0.
    """
    if len(ours) != len(theirs):
        raise DataError(f"{len(ours)} and {len(theirs)} cases cannot be paired.")
    return mean(_numbers(ours) - _numbers(theirs), seed=seed)


def rate(events: Sequence[bool], *, seed: int = 0) -> Estimate:
    """Share of cases with an event, with a bootstrap interval; rule of three where all cases agree.

    A resample of 0 events in n has none either, so the interval would be empty: with 0 of n the upper bound
    is 3 / n (Hanley and Lippman-Hand 1983), and the mirror image with n of n.

    Raises:
        DataError: If there are no cases.
    """
    found = mean(events, seed=seed)
    if found.value == 0:
        return found._replace(high=min(1.0, 3 / found.n))
    if found.value == 1:
        return found._replace(low=max(0.0, 1 - 3 / found.n))
    return found


def ratio(parts: Sequence[int], wholes: Sequence[int], *, seed: int = 0) -> Estimate | None:
    """Sum of the parts over the sum of the wholes, with a bootstrap interval over the cases.

    ``n`` is the number of wholes; the rule of three holds where no part, or each, is there.

    Returns:
        None if the wholes sum to 0: there is nothing to divide by.

    Raises:
        DataError: If the lengths differ.
    """
    if len(parts) != len(wholes):
        raise DataError(f"{len(parts)} and {len(wholes)} cases cannot be paired.")
    top, bottom = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    total = int(bottom.sum())
    if not total:
        return None
    value = float(top.sum() / total)
    low, high = _bounds(
        lambda rows: top[rows].sum(axis=1) / np.maximum(bottom[rows].sum(axis=1), 1), len(top), seed
    )
    if value in (0.0, 1.0):
        low, high = (0.0, min(1.0, 3 / total)) if value == 0 else (max(0.0, 1 - 3 / total), 1.0)
    return Estimate(value, low, high, total)


def distinct(texts: Sequence[str], n: int, *, seed: int = 0) -> Estimate:
    """Distinct n-grams over all n-grams of all texts (Li et al. 2016), with a bootstrap interval over texts.

    A resample repeats texts, which lowers the share; the interval is the spread of the resamples, moved
    onto the value.

    Raises:
        DataError: If no text has n words.
    """
    grams = [_grams(text, n) for text in texts]
    index: dict[tuple[str, ...], int] = {}
    for one in grams:
        for gram in one:
            index.setdefault(gram, len(index))
    sizes = np.array([len(one) for one in grams], np.float64)
    if not index:
        raise DataError(f"No text has {n} words; there is nothing to compare.")
    present = np.zeros((len(texts), len(index)), np.float32)
    for row, one in enumerate(grams):
        present[row, [index[gram] for gram in one]] = 1
    value = len(index) / float(sizes.sum())

    def of(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        cells = (rows + len(texts) * np.arange(len(rows))[:, None]).ravel()
        drawn = np.bincount(cells, minlength=rows.size).reshape(rows.shape).astype(np.float32)
        seen: NDArray[np.float64] = (drawn @ present > 0).sum(axis=1) / np.maximum(drawn @ sizes, 1)
        return seen

    spread = _resampled(of, len(texts), seed, len(index))
    low, high = np.quantile(spread - spread.mean() + value, _QUANTILES)
    return Estimate(value, float(low), float(high), len(texts))


def grade(rouge_l: float, bert_f1: float) -> str:
    """Grade of the first system: by overlap alone, so it says nothing about truth."""
    if rouge_l >= 0.5 and bert_f1 >= 0.85:
        return "Excellent"
    if rouge_l >= 0.4 and bert_f1 >= 0.80:
        return "Good"
    if rouge_l >= 0.3 or bert_f1 >= 0.75:
        return "Fair"
    return "Poor"


def strict_grade(overlap_grade: str, untrue: int) -> str:
    """The same, but "Excellent" asks that no text of the sample states anything untrue."""
    return "Good" if overlap_grade == "Excellent" and untrue else overlap_grade


def _numbers(values: Values) -> NDArray[np.float64]:
    data = np.asarray(values, np.float64)
    if not data.size:
        raise DataError("No cases to score. Check that the held-out split is not empty.")
    return data


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.lower().split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _bounds(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], n: int, seed: int
) -> tuple[float, float]:
    low, high = np.quantile(_resampled(statistic, n, seed, n), _QUANTILES)
    return float(low), float(high)


def _resampled(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], n: int, seed: int, width: int
) -> NDArray[np.float64]:
    """``statistic`` of 2,000 resamples of n cases, in blocks; it gets rows of drawn indices."""
    block = max(1, _CELLS // max(width, n))
    return np.concatenate([statistic(rows) for rows in _indices(n, seed, block)])


@lru_cache(maxsize=4)
def _indices(n: int, seed: int, block: int) -> tuple[NDArray[np.int64], ...]:
    """Drawn indices, in blocks of rows; the same ones serve every measure of the same cases."""
    rng = np.random.default_rng(seed)
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    return tuple(rng.integers(0, n, (size, n)) for size in sizes)
