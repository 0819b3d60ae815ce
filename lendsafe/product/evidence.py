"""What a file's own values say of its columns: leaks, signs, protected texts. No model is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEAK = 0.985  # area under the curve of one column alone, from which on it knows the outcome
FEWEST = 30  # rows of each outcome, from which on evidence counts
SIGN = 0.53  # area from which on the data show a sign
MOST_LEVELS = 50


def separation(values: Sequence[Any], outcome: Sequence[Any]) -> float | None:
    """How well one column alone tells defaults from repaid loans: the area under its curve, in [0.5, 1].

    A number counts by its rank, whichever way; a text by the share of defaults among the other half of the rows
    with it, so that a column of many texts does not look telling by chance. What is not known is a value too.

    Args:
        values: The column.
        outcome: 1 defaulted, 0 repaid, NaN not known.

    Returns:
        The area, or None where one outcome has fewer than 30 rows.
    """
    target = np.asarray(outcome, dtype=np.float64)
    known = ~np.isnan(target)
    if min((target[known] == 1).sum(), (target[known] == 0).sum()) < FEWEST:
        return None
    column = pd.Series(list(values))[known].reset_index(drop=True)
    found = area(_risk_of(column, target[known]), target[known])
    return max(found, 1 - found)


def area(risk: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Area under the ROC curve: the chance that a default's value is above a repaid loan's, ties half."""
    ranks = pd.Series(risk).rank().to_numpy()
    bad = target == 1
    count = bad.sum()
    return float((ranks[bad].sum() - count * (count + 1) / 2) / (count * (len(target) - count)))


def sign(values: Sequence[float], outcome: Sequence[float]) -> str:
    """``+`` if higher values default more in the data, ``-`` if less, empty where it does not show."""
    target, column = np.asarray(outcome, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known = ~np.isnan(target) & ~np.isnan(column)
    if min((target[known] == 1).sum(), (target[known] == 0).sum()) < FEWEST:
        return ""
    found = area(column[known], target[known])
    return "+" if found >= SIGN else "-" if found <= 1 - SIGN else ""


def _risk_of(column: pd.Series, target: NDArray[np.float64]) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() == column.notna().sum():
        absent = numbers.isna().to_numpy()
        lowest = numbers.min() - 1 if numbers.notna().any() else 0.0
        filled: NDArray[np.float64] = numbers.fillna(lowest).to_numpy(dtype=np.float64)
        if absent.any() and not absent.all() and target[absent].mean() > target.mean():
            filled = np.where(absent, np.nanmax(filled) + 1, filled)
        return filled
    texts = column.fillna("").astype(str)
    half = np.arange(len(texts)) % 2 == 0
    risk = np.empty(len(texts), dtype=np.float64)
    for here, there in ((half, ~half), (~half, half)):
        shares = pd.Series(target[there]).groupby(texts[there].to_numpy()).mean()
        risk[here] = texts[here].map(shares).fillna(target[there].mean()).to_numpy()
    return risk
