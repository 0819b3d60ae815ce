"""Which rows belong together: one application, one customer, one loan that is in the file twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.risk.model.seen import Hashes

MOST_COPIES = 0.2  # of the rows; beyond, equal rows are what a coarse file has, not copies of a loan


def owners(
    identifiers: NDArray[Any], content: Hashes, groups: Sequence[Any] | NDArray[Any] | None = None
) -> NDArray[Any]:
    """One label for all rows that belong together, ``(n,)``: the smallest of their identifiers.

    Rows of one identifier, of one group or of one content are never on both sides of a split. A row
    that shares nothing keeps its own identifier, so the side it is on does not depend on the others.

    Args:
        identifiers: Of each application, ``(n,)``.
        content: Hash of each row's features and outcome, ``(n,)``.
        groups: Customer of each row, ``(n,)``; None or NaN for a row that is nobody's.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(identifiers)
    kinds = [pd.factorize(np.asarray(identifiers))[0]]
    if duplicates(identifiers, content) <= MOST_COPIES * n:
        kinds.append(pd.factorize(content)[0])
    if groups is not None:
        kinds.append(pd.factorize(pd.Series(list(groups), dtype=object).astype("string"))[0])
    offset, rows, nodes = n, [], []
    for codes in kinds:
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        nodes.append(codes[known] + offset)
        offset += int(codes.max(initial=-1)) + 1
    edges = (np.ones(sum(map(len, rows)), dtype=np.int8), (np.concatenate(rows), np.concatenate(nodes)))
    _, component = connected_components(coo_array(edges, shape=(offset, offset)), directed=False)
    smallest = pd.Series(np.asarray(identifiers).astype(str)).groupby(component[:n]).transform("min")
    return smallest.to_numpy()


def duplicates(identifiers: NDArray[Any], content: Hashes) -> int:
    """Rows that repeat an earlier one's content under another identifier."""
    table = pd.DataFrame({"content": content, "identifier": np.asarray(identifiers).astype(str)})
    return int(table.drop_duplicates().duplicated("content").sum())
