"""Applications from a file: read by their product, checked, the protected columns apart.

``lendsafe data import`` writes ``OUT.csv`` (fields under their own names), ``OUT.json`` (the account of the
import) and ``OUT.protected.csv``, which no model ever reads. A raw file can be used without importing it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lendsafe.errors import DataError, ExistsError
from lendsafe.files import csv_cell, disk_errors, sha256, write_atomically, write_json
from lendsafe.product import Product
from lendsafe.product.evidence import LEAK, separation
from lendsafe.product.table import DECISION, IDENTIFIER, OUTCOME, Reject, Table, read_table
from lendsafe.product.written import written_frame
from lendsafe.risk.features import FeatureSet, feature_set

FORMAT = 2
MOST_BYTES = 10_000_000  # of an account; no import writes so much
ACCOUNT = {
    "set_aside": dict,
    "unmapped": list,
    "absent": list,
}  # of the raw file; an import lacks such columns


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Applications that were read.

    Attributes:
        frame: ``applicant_id``, fields, and ``defaulted``, ``decision``, ``date``, ``customer`` and ``weight``
            where the file has them.
        features: What a model may look at.
        protected: Protected columns in the order of ``frame``, NaN where not known; None without any.
        lineage: What reading said about the source.
        rejects: Rows that were left out.
    """

    frame: pd.DataFrame
    features: FeatureSet
    protected: pd.DataFrame | None
    lineage: dict[str, Any]
    rejects: tuple[Reject, ...] = ()


def import_file(source: Path, product: Product, out: Path, *, strict: bool = False) -> Table:
    """Read a raw file by a product and write it in our own form.

    Raises:
        DataError: If it cannot be used, or (if strict) naming line and column of everything that is wrong.
        ExistsError: If ``out`` is there already.
    """
    places = _places(out)
    if there := next((p for p in places if p.exists()), None):
        raise ExistsError(f"{there} is there already. Choose another --out.")
    table = read_table(source, product, strict=strict)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if table.protected.shape[1] > 1:
        write_atomically(places[2], table.protected.to_csv(index=False, lineterminator="\n"))
    write_atomically(out, written_frame(table, product).to_csv(index=False, lineterminator="\n"))
    if table.rejects:
        write_atomically(places[3], rejects_csv(table.rejects))
    lineage = table.lineage | {"applications_sha256": sha256(out)}
    write_json(places[1], {"format": FORMAT, "product": dict(product.table), "lineage": lineage})
    return table


def read(
    path: Path,
    product: Product,
    features: FeatureSet | None = None,
    protected: Path | None = None,
    *,
    strict: bool = False,
) -> Dataset:
    """Read applications, raw or as the import wrote them.

    Args:
        path: The file.
        product: What its columns mean.
        features: What the model in use looks at; what the file has of the product, if None.
        protected: Protected columns by ``applicant_id``; those of the file or of its import if None.
        strict: Refuse the file for one wrong row.

    Raises:
        DiskError: If a file cannot be read.
        DataError: Naming line and column of everything that is wrong.
    """
    table = read_table(path, product, strict=strict)
    beside = _places(path)[2]
    apart = protected or (beside if beside.exists() else None)
    order = table.frame[IDENTIFIER].astype(str).tolist()
    own = table.protected.drop(columns=IDENTIFIER)
    return Dataset(
        frame=table.frame,
        features=features or feature_set(product, table.present),
        protected=_protected(apart, order) if apart else (None if own.empty else own),
        lineage=table.lineage | _import(path, table.lineage["sha256"]),
        rejects=table.rejects,
    )


def _import(path: Path, digest: str) -> dict[str, Any]:
    """What the account of a file's import adds to its lineage; nothing if no account lies beside it."""
    place = _places(path)[1]
    if not place.exists() or place.stat().st_size > MOST_BYTES:
        return {}
    try:
        with disk_errors(place):
            table = json.loads(place.read_bytes())
        found = dict(table["lineage"]) if table["format"] == FORMAT else {}
    except (ValueError, KeyError, TypeError, RecursionError):  # another file that happens to have its name
        return {}
    if not isinstance(written := found.get("applications_sha256"), str):
        return {}
    kept = {key: found[key] for key, kind in ACCOUNT.items() if isinstance(found.get(key), kind)}
    return kept | {"edited_since_import": written != digest}


def with_decision_as_outcome(data: Dataset) -> Dataset:
    """The data with what the lender decided as the outcome: a model then learns decisions, not defaults.

    Raises:
        DataError: If the file has no column of decisions.
    """
    if DECISION not in data.frame:
        raise DataError("There is no column with the role 'decision'; --target decision learns from it.")
    decided = data.frame[DECISION]
    outcome = np.where(decided.isna(), np.nan, (decided == "declined").astype(float))
    return replace(data, frame=data.frame.assign(**{OUTCOME: outcome}))


def leaks(data: Dataset) -> list[tuple[str, float]]:
    """Features each of which alone tells the outcome, with the area under its curve.

    What a lender knows before the decision never does so well; it was known after it.
    """
    if OUTCOME not in data.frame:
        return []
    found = []
    for name in data.features.names:
        if name in data.frame:
            area = separation(data.frame[name].tolist(), data.frame[OUTCOME])
            if area is not None and area >= LEAK:
                found.append((name, area))
    return found


def rejects_csv(rejects: Sequence[Reject]) -> str:
    """Rows that were left out, as CSV: line, column, why; no cell, since it may be about a person."""
    table = pd.DataFrame(
        [{"line": r.line, "column": csv_cell(r.column), "why": csv_cell(r.why)} for r in rejects]
    )
    return str(table.to_csv(index=False, lineterminator="\n"))


def _places(out: Path) -> tuple[Path, Path, Path, Path]:
    stem = out.with_suffix("")
    return out, stem.with_suffix(".json"), Path(f"{stem}.protected.csv"), Path(f"{stem}.rejects.csv")


def _protected(path: Path, order: Sequence[str]) -> pd.DataFrame:
    """Protected columns in the order of the applications; NaN for one that is not in the file."""
    with disk_errors(path):
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        except (ValueError, pd.errors.ParserError) as problem:
            raise DataError(f"{path}: not a CSV file: {problem}.") from problem
    if IDENTIFIER not in table:
        raise DataError(f"{path}: no column '{IDENTIFIER}' to match the applications by.")
    if twice := table[IDENTIFIER][table[IDENTIFIER].duplicated()].tolist():
        raise DataError(f"{path}: '{twice[0]}' is there twice.")
    matched = table.set_index(IDENTIFIER).reindex(order).reset_index(drop=True)
    if matched.isna().all(axis=None):
        raise DataError(f"{path}: none of its applicants is among the applications.")
    return matched
