"""An imported file on disk: features, what they mean and where they came from, protected columns apart.

``applications.csv`` holds identifier, features and outcome. ``applications.json`` beside it holds the
features' declarations, the reasons and the lineage, so that a table of any kind can be trained on.
``applications.protected.csv`` holds the protected columns; no model ever reads it.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lendsafe.errors import DataError, ExistsError
from lendsafe.files import disk_errors, sha256, write_atomically, write_json
from lendsafe.risk.features import FeatureSet, application_set, read_features
from lendsafe.risk.ingest import IDENTIFIER, Imported, read_applications, read_file
from lendsafe.risk.schema import Schema, load

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Applications that were read back.

    Attributes:
        frame: ``applicant_id``, features, and ``defaulted`` or ``decision`` where the file has them.
        features: What a model may look at.
        protected: Protected columns in the order of ``frame``, NaN where not known; None without any.
        lineage: What the import said about the source; of our own files, name, hash and rows.
    """

    frame: pd.DataFrame
    features: FeatureSet
    protected: pd.DataFrame | None
    lineage: dict[str, Any]


def import_file(source: Path, schema: Schema | str, out: Path) -> Imported:
    """Read a credit file by a schema and write the dataset.

    Raises:
        DataError: Naming line and column of everything that is wrong with ``source``.
        ExistsError: If ``out`` is there already.
    """
    places = _places(out)
    if there := next((p for p in places if p.exists()), None):
        raise ExistsError(f"{there} is there already. Choose another --out.")
    imported = read_file(source, load(schema) if isinstance(schema, str) else schema)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if imported.protected.shape[1] > 1:
        write_atomically(places[2], imported.protected.to_csv(index=False, lineterminator="\n"))
    content = imported.frame.to_csv(index=False, lineterminator="\n")
    write_atomically(out, content)
    table = {
        "format": FORMAT,
        "kind": imported.features.kind,
        "features": [dataclasses.asdict(f) for f in imported.features.features],
        "statements": [list(pair) for pair in imported.features.statements.items()],
        "lineage": imported.lineage | {"applications_sha256": sha256(out)},
    }
    write_json(places[1], table)
    return imported


def read(path: Path, features: FeatureSet | None = None, protected: Path | None = None) -> Dataset:
    """Read applications, of an import or in our own columns.

    Args:
        path: ``applications.csv``.
        features: What the model in use looks at; what the import declares, or an Applicant's fields, if None.
        protected: Protected columns by ``applicant_id``; those of the import if None.

    Raises:
        DiskError: If a file cannot be read.
        DataError: Naming line and column of everything that is wrong.
    """
    _, table_path, protected_path = _places(path)
    digest = sha256(path)
    lineage: dict[str, Any] = {"source": path.name, "sha256": digest, "schema": "application"}
    declared = application_set()
    if table_path.exists():
        declared, lineage = _table(table_path)
        lineage["edited_since_import"] = lineage.pop("applications_sha256", "") != digest
    frame = read_applications(path, features or declared)
    lineage["rows"] = len(frame)
    apart = protected or (protected_path if protected_path.exists() else None)
    return Dataset(
        frame=frame,
        features=features or declared,
        protected=_protected(apart, frame[IDENTIFIER].astype(str).tolist()) if apart else None,
        lineage=lineage,
    )


def _places(out: Path) -> tuple[Path, Path, Path]:
    return out, out.with_suffix(".json"), out.with_suffix(".protected.csv")


def _table(path: Path) -> tuple[FeatureSet, dict[str, Any]]:
    try:
        with disk_errors(path):
            table = json.loads(path.read_bytes())
        if table["format"] != FORMAT or table["kind"] not in ("application", "table"):
            raise ValueError(f"format {table['format']!r}, kind {table['kind']!r}")
        statements = {str(code): str(text) for code, text in table["statements"]}
        rows = {one["name"]: {k: v for k, v in one.items() if k != "name"} for one in table["features"]}
        lineage = dict(table["lineage"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise DataError(
            f"{path}: not what `lendsafe data import` wrote: {problem}. Import again."
        ) from problem
    if table["kind"] == "application":
        return application_set(), lineage
    features = read_features(rows, str(path), tuple(statements))
    return FeatureSet(kind="table", features=features, statements=statements), lineage


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
