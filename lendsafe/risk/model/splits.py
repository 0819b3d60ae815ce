"""Splits by application: all rows of one application fall on the same side, whatever their order."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def held_out(applications: Sequence[Any], share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows belong to the held-out applications.

    An application is held out if a hash of seed and identifier falls below ``share``, so the answer
    for one application does not depend on which others are in the file.

    Args:
        applications: Identifier of each row's application, ``(n,)``.
        share: Share of applications to hold out, in (0, 1).
        seed: Different seeds hold out different applications.
    """
    return np.array([_uniform(one, seed) < share for one in applications], dtype=bool)


def folds(groups: NDArray[Any], target: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Fold of each row, balanced in the outcome and whole by group.

    Args:
        groups: Group of each row, ``(n,)``.
        target: Outcome, 0 or 1, ``(n,)``; a group counts by its first row.
        count: Number of folds.
        seed: Of the shuffle.

    Returns:
        ``(n,)``, in ``[0, count)``.
    """
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    fold = np.empty(len(first), dtype=np.int64)
    rng = np.random.default_rng(seed)
    start = 0
    for outcome in (0, 1):
        ours = rng.permutation(np.flatnonzero(target[first] == outcome))
        fold[ours] = (np.arange(len(ours)) + start) % count
        start += len(ours)
    return fold[member]


def latest(dates: NDArray[np.datetime64], share: float) -> NDArray[np.bool_]:
    """Which rows are of the latest dates, whole days together and about ``share`` of all, ``(n,)``."""
    days, counts = np.unique(dates, return_counts=True)
    after = counts[::-1].cumsum()[::-1] - counts  # rows later than each day
    start = min(int(np.argmax(after <= share * len(dates))), max(len(days) - 2, 0))
    return np.asarray(dates > days[start])


def _uniform(application: Any, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{application}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)
