"""What is known about applications beside their features: when, whose, and how many they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lendsafe.errors import DataError
from lendsafe.files import disk_errors

IDENTIFIER = "applicant_id"
COLUMNS = ("date", "customer", "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """By application, in their order; None where the file does not say.

    Attributes:
        dates: Date of each.
        customers: Whose it is.
        weights: Loans that it stands for.
    """

    dates: Sequence[Any] | None = None
    customers: Sequence[Any] | None = None
    weights: Sequence[float] | None = None


def read_about(path: Path | str | None, order: Sequence[Any] | pd.Series) -> About:
    """Read a CSV of ``applicant_id`` and any of ``date``, ``customer``, ``weight``.

    Args:
        path: The file; nothing is known if None.
        order: Identifiers of the applications.

    Raises:
        DiskError: If it cannot be read.
        DataError: If it is no such table, or lacks an application.
    """
    if path is None:
        return About()
    with disk_errors(Path(path)):
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        except (ValueError, pd.errors.ParserError) as problem:
            raise DataError(f"{path}: not a CSV file: {problem}.") from problem
    if IDENTIFIER not in table or not set(COLUMNS) & set(table):
        raise DataError(f"{path}: needs '{IDENTIFIER}' and one of {', '.join(COLUMNS)}.")
    if twice := table[IDENTIFIER][table[IDENTIFIER].duplicated()].tolist():
        raise DataError(f"{path}: '{twice[0]}' is there twice.")
    names = pd.Series(list(order)).astype(str)
    if absent := sorted(set(names) - set(table[IDENTIFIER])):
        raise DataError(f"{path}: nothing about '{absent[0]}' and {len(absent) - 1} other applications.")
    found = table.set_index(IDENTIFIER).reindex(names).reset_index(drop=True)
    weights = pd.to_numeric(found["weight"], errors="coerce") if "weight" in found else None
    return About(
        dates=found["date"].tolist() if "date" in found else None,
        customers=found["customer"].tolist() if "customer" in found else None,
        weights=None if weights is None else weights.tolist(),
    )
