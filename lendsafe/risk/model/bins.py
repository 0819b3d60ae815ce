"""Values at development in bins of about equal size: what later values are compared with."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.fields import knob
from lendsafe.product import Product
from lendsafe.risk.features import FeatureSet, numbers

Floats = NDArray[np.float64]
MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """How values were spread at development.

    Attributes:
        name: Score or feature.
        edges: Inner edges, rising.
        counts: Values in each bin, one more than edges, and last those that were not known.
        median: Of the values that were known; None if none was.
    """

    name: str = knob()
    edges: tuple[float, ...] = knob()
    counts: tuple[int, ...] = knob()
    median: float | None = knob(None)

    @classmethod
    def of(cls, name: str, values: Any) -> Self:
        """Bins of about equal size; as many as there are values if these are few.

        Args:
            name: What is binned.
            values: Numbers, ``(n,)``, NaN where not known.
        """
        known = np.asarray(values, dtype=np.float64)
        known = known[~np.isnan(known)]
        edges: tuple[float, ...] = ()
        if len(known):
            distinct = np.unique(known)
            if len(distinct) > MOST:
                distinct = np.unique(np.quantile(known, np.linspace(0, 1, MOST + 1)[:-1]))
            edges = tuple(distinct[1:].tolist())
        empty = cls(name=name, edges=edges, counts=())
        median = float(np.median(known)) if len(known) else None
        return cls(name=name, edges=edges, counts=tuple(empty.count(values).tolist()), median=median)

    def place(self, values: Any) -> NDArray[np.int64]:
        """Bin of each value, ``(n,)``; the last one for those that are not known."""
        numbers = np.asarray(values, dtype=np.float64)
        found = np.searchsorted(np.asarray(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), len(self.edges) + 1, found)

    def count(self, values: Any) -> NDArray[np.int64]:
        """Values in each bin."""
        return np.bincount(self.place(values), minlength=len(self.edges) + 2)


def fields_read(frame: pd.DataFrame, product: Product) -> dict[str, Floats]:
    """The numeric fields that are read, as columns, ``(n,)`` each; NaN where a value is not known.

    Args:
        frame: Applications.
        product: What its columns mean.
    """
    wanted = [one.name for one in product.values.values() if one.numeric and one.formula is None]
    return {name: numbers(frame, name) for name in wanted if name in frame}


def inputs(values: Floats, features: FeatureSet) -> dict[str, Floats]:
    """Encoded rows as one column per feature, ``(n,)`` each; texts without order as their number.

    Args:
        values: Encoded rows, ``(n, columns)``.
        features: Their declarations.
    """
    found, at = {}, 0
    for f in features.features:
        width = len(f.levels) if f.levels and not f.ordered else 1
        part = values[:, at : at + width]
        at += width
        if width == 1:
            found[f.name] = part[:, 0]
        else:
            found[f.name] = np.where(np.isnan(part[:, 0]), np.nan, part.argmax(axis=1).astype(np.float64))
    return found
