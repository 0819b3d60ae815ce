"""Which applications a model was fitted on, known again by what they say, whatever they are called.

A file name, an order, an identifier or one row more changes nothing: what counts is the content of a
row as the model reads it. Hashes of eight bytes are kept, not rows.
"""

import base64
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.errors import RefusedError

Hashes = NDArray[np.uint64]


def hashes(values: NDArray[np.float64], *more: Sequence[object] | NDArray[np.generic]) -> Hashes:
    """A hash of each row's content, ``(n,)``.

    Args:
        values: Encoded rows, ``(n, columns)``; NaN is a content of its own.
        more: Further columns that belong to the content, ``(n,)`` each.
    """
    plain = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, and no negative zero
    table = pd.DataFrame(plain).assign(**{f"more_{i}": np.asarray(one) for i, one in enumerate(more)})
    return np.asarray(pd.util.hash_pandas_object(table, index=False), dtype=np.uint64)


def packed(found: Hashes) -> str:
    """Hashes as text, sorted, so that the order of rows is not kept."""
    return base64.b85encode(zlib.compress(np.sort(found).astype("<u8").tobytes(), 1)).decode()


def unpacked(text: str) -> Hashes:
    """Hashes from :func:`packed` text.

    Raises:
        RefusedError: If it is no such text.
    """
    try:
        return np.frombuffer(zlib.decompress(base64.b85decode(text)) if text else b"", dtype="<u8")
    except (ValueError, zlib.error) as problem:
        raise RefusedError(f"The hashes of the training rows cannot be read: {problem}.") from problem


def among(rows: Hashes, fitted: Hashes) -> NDArray[np.bool_]:
    """Which rows were fitted on, ``(n,)``; of equal rows, as many as were."""
    kinds, times = np.unique(fitted, return_counts=True)
    if not len(kinds):
        return np.zeros(len(rows), dtype=bool)
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered, side="left")
    turn = np.arange(len(rows)) - first  # 0 for the first of equal rows, 1 for the second
    at = np.minimum(np.searchsorted(kinds, ordered), len(kinds) - 1)
    found = np.zeros(len(rows), dtype=bool)
    found[order] = (kinds[at] == ordered) & (turn < times[at])
    return found
