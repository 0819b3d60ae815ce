"""A risk model on disk: ``model.ubj`` (trees) and ``model.json`` (everything else, and hashes).

Nothing here runs code from a file, and XGBoost never reads one: bytes are decoded and checked by
``ubjson`` and ``trees``, every table is built by ``lendsafe.fields``, and both hashes must match.
"""

import dataclasses
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import LendSafeError, RefusedError
from lendsafe.fields import build
from lendsafe.files import disk_errors, write_atomically, write_json
from lendsafe.product import product_from
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Policy
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.model import backend, seen, ubjson
from lendsafe.risk.model.classifier import Calibration
from lendsafe.risk.model.fitted import Fitted, Training
from lendsafe.risk.model.trees import Ensemble, from_document
from lendsafe.risk.model.unknown import filled

FORMAT = 2
TREES, TABLE = "model.ubj", "model.json"
MOST_BYTES = 256_000_000


def save(fitted: Fitted, folder: Path) -> None:
    """Write both files; ``model.json`` last, because it carries the hash of the other."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    trees = bytes(backend.booster(fitted.ensemble).save_raw("ubj"))
    write_atomically(folder / TREES, trees)
    table = {
        "format": FORMAT,
        "identity": fitted.identity,
        "product": fitted.features.product.text,  # as text: the order of its tables counts
        "features": list(fitted.features.names),
        "calibration": dataclasses.asdict(fitted.calibration),
        "background": [[None if np.isnan(v) else v for v in row] for row in fitted.background.tolist()],
        "cutoff": fitted.cutoff,
        "config": dataclasses.asdict(fitted.config),
        "training": dataclasses.asdict(fitted.training),
        "versions": {
            "python": platform.python_version(),
            "xgboost": version("xgboost"),
            "numpy": np.__version__,
        },
        "manifest": {TREES: hashlib.sha256(trees).hexdigest()},
    }
    write_json(folder / TABLE, table | {"sha256": digest(table)})


def load(folder: Path) -> Fitted:
    """Read and check both files.

    Raises:
        DiskError: If one cannot be read.
        RefusedError: If anything in them is not as it was written.
    """
    table = _read_table(folder / TABLE)
    trees = _read(folder / TREES)
    expected = table["manifest"].get(TREES) if isinstance(table["manifest"], dict) else None
    if hashlib.sha256(trees).hexdigest() != expected:
        raise RefusedError(f"{folder / TREES}: its SHA-256 is not the one in {TABLE}; copy the model again.")
    try:
        fitted = _build(table, from_document(ubjson.loads(trees)))
        backend.check(fitted.ensemble, filled(fitted.background, fitted.features, fitted.config))
        return fitted
    except RefusedError as problem:
        raise RefusedError(f"{folder}: {problem}") from problem
    except (LendSafeError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as problem:
        raise RefusedError(f"{folder / TABLE}: {problem}") from problem


def digest(table: dict[str, Any]) -> str:
    """SHA-256 of a table's canonical JSON."""
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> bytes:
    with disk_errors(path):
        if path.stat().st_size > MOST_BYTES:
            raise RefusedError(f"{path}: larger than {MOST_BYTES} bytes; no risk model is.")
        return path.read_bytes()


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(_read(path), parse_constant=_no_constant)
        found = table.pop("sha256", None) if isinstance(table, dict) else None
        written = digest(table)  # refuses 1e999 and half a surrogate pair
    except (ValueError, RecursionError) as problem:
        raise RefusedError(f"{path}: not readable JSON: {problem}") from problem
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise RefusedError(f"{path}: not a risk model of format {FORMAT}.")
    if found != written:
        raise RefusedError(f"{path}: its content was changed after it was written; copy the model again.")
    if absent := [key for key in KEYS if key not in table]:
        raise RefusedError(f"{path}: {', '.join(absent)} missing.")
    return table


KEYS = (
    "product", "features", "calibration", "background", "cutoff", "config", "training", "manifest",
)  # fmt: skip


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _build(table: dict[str, Any], ensemble: Ensemble) -> Fitted:
    if not isinstance(table["product"], str) or not isinstance(table["features"], list):
        raise RefusedError("'product' is no text or 'features' no list.")
    product = product_from(json.loads(table["product"]), "its product")
    known = {f.name for f in product.features}
    if not table["features"] or not all(isinstance(one, str) and one in known for one in table["features"]):
        raise RefusedError("'features' names what is no feature of its product.")
    features = FeatureSet(product=product, names=tuple(table["features"]))
    if len(features.columns) != ensemble.features:
        raise RefusedError(f"{len(features.columns)} columns declared, {ensemble.features} in the trees.")
    return Fitted(
        ensemble=ensemble,
        features=features,
        calibration=_finite(build(Calibration, table["calibration"], "calibration")),
        background=_background(table["background"], ensemble.features),
        cutoff=_probability(table["cutoff"]),
        policy=Policy(features),
        config=build(RiskConfig, table["config"], "config"),
        training=_training(table["training"]),
    )


def _training(table: Any) -> Training:
    training = build(Training, table, "training")
    bins = (training.scores, *training.inputs, *training.fields)
    if any(
        len(one.counts) != len(one.edges) + 2 or list(one.edges) != sorted(set(one.edges)) for one in bins
    ):
        raise RefusedError("The values at development are not in rising bins.")
    seen.unpacked(training.seen)
    return training


def _finite(calibration: Calibration) -> Calibration:
    if not 0 < calibration.slope < 100 or not abs(calibration.intercept) < 100:
        raise RefusedError(f"The calibration is {calibration.slope}, {calibration.intercept}.")
    return calibration


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise RefusedError(f"'cutoff' is {str(value)[:40]!r}; expected a probability.")
    return float(value)


def _background(rows: Any, columns: int) -> NDArray[np.float64]:
    values = np.array([[np.nan if v is None else float(v) for v in row] for row in rows], dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != columns or not len(values):
        raise RefusedError(f"The background is {values.shape}; expected rows of {columns} columns.")
    if np.isinf(values).any():
        raise RefusedError("The background holds an infinite value.")
    return values
