"""How many examples of each kind: margins in whole numbers, and a joint table that keeps them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def largest_remainder(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to ``weights`` that sum to ``total`` (Hamilton's method).

    Args:
        total: Sum of the result.
        weights: Not negative, not all 0. Ties go to the earlier weight.
    """
    exact = np.asarray(weights, float) * total / np.sum(weights)
    whole = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return [int(one) for one in whole]


def fit_table(margins: Sequence[Sequence[int]], observed: NDArray[np.float64]) -> Counts:
    """A table of whole numbers with exactly the given margins, as near as may be to what is observed.

    Iterative proportional fitting (Deming and Stephan, 1940) of the observed table to the margins,
    rounded, then repaired by moving single units along one axis, which leaves the others alone.

    Args:
        margins: One list of counts, all above 0, for each axis of the table; all sum to the same total.
        observed: Joint counts, with one axis for each margin.
    """
    table = observed + 1e-3  # an empty cell may be needed
    for _ in range(200):
        for axis, wanted in enumerate(margins):
            others = tuple(one for one in range(table.ndim) if one != axis)
            ratio = np.asarray(wanted, float) / table.sum(axis=others)
            table *= np.expand_dims(ratio, others)
    counts = np.array(largest_remainder(sum(margins[0]), table.ravel().tolist())).reshape(table.shape)
    for axis, wanted in enumerate(margins):
        _repair(counts, table, axis, wanted)
    return counts


def _repair(counts: Counts, table: NDArray[np.float64], axis: int, wanted: Sequence[int]) -> None:
    """Move units from levels with too many to levels with too few, where it distorts least."""
    others = tuple(one for one in range(counts.ndim) if one != axis)
    while (surplus := counts.sum(axis=others) - np.asarray(wanted)).any():
        high, low = int(np.argmax(surplus)), int(np.argmin(surplus))
        source, target = counts.take(high, axis=axis), counts.take(low, axis=axis)
        gain = (source - table.take(high, axis=axis)) + (table.take(low, axis=axis) - target)
        cell = np.unravel_index(np.argmax(np.where(source > 0, gain, -np.inf)), source.shape)
        before, after = list(cell), list(cell)
        before.insert(axis, np.int64(high))
        after.insert(axis, np.int64(low))
        counts[tuple(before)] -= 1
        counts[tuple(after)] += 1


def spread(total: int, sizes: Mapping[tuple[int, ...], int]) -> dict[tuple[int, ...], int]:
    """Divide ``total`` over strata in proportion to their sizes."""
    return dict(zip(sizes, largest_remainder(total, list(sizes.values())), strict=True))
