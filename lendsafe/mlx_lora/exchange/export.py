"""Adapters and fused models for other tools, each verified by loading it back and comparing logits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lendsafe.files import disk_errors, refuse_existing, write_json
from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange import adapter, foreign, fuse, loading, peft_layout

Form = Literal["peft", "mlx", "fused"]
# Largest difference of the logits, as a share of their norm, that rounding the written weights explains.
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: The folder.
        to: The form.
        error: Norm of the logits' difference after loading it back, as a share of their norm.
    """

    path: Path
    to: Form
    error: float


def export(
    folder: Path,
    out: Path,
    to: Form,
    *,
    model: str | None = None,
    transformers: int = peft_layout.TRANSFORMERS[0],
    precision: str = "auto",
) -> Exported:
    """Write an adapter, or the model that it makes of its base, and verify it by loading it back.

    Args:
        folder: Run, or ``best/`` of one.
        out: Folder to write; new or empty.
        to: ``peft`` for PEFT alone, ``mlx`` for mlx-lm alone, ``fused`` for a whole model.
        model: The base, if it is not where it was.
        transformers: Major version whose names of experts PEFT's files use.
        precision: Type of a fused model's weights; ``auto`` is the type that the base is stored in.

    Raises:
        ExistsError: If ``out`` holds something.
        RefusedError: If the adapter is not the base's, cannot be expressed in that form, or what was
            written does not compute the same.
    """
    refuse_existing(out)
    table = adapter.read_config(folder)
    origin = adapter.read_origin(folder, table)
    base = loading.load(model or origin.model)
    adapter.load(folder, base)
    parameters = adapter.read_mlx_keys(folder, table)
    config = LoraConfig(
        rank=parameters.rank,
        alpha=peft_layout.alpha(parameters.scale, parameters.rank, rslora=bool(table.get("use_rslora"))),
        dropout=parameters.dropout,
        targets=origin.targets,
        rslora=bool(table.get("use_rslora")),
    )
    expected = foreign.probe(base)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    if to == "fused":
        error = _fused(base, config.scale, out, expected, precision)
    else:
        keys = _peft(base, config, out, transformers) if to == "peft" else _mlx(base, config, out)
        write_json(out / adapter.CONFIG, keys)
        _, found = foreign.read(out, base)
        adapter.attach(base.model, found, parameters, out)
        error = foreign.require_equal(foreign.probe(base), expected, out, tolerance=1e-6)
    return Exported(path=out, to=to, error=error)


def _peft(base: loading.Base, config: LoraConfig, out: Path, transformers: int) -> dict[str, Any]:
    """Write PEFT's tensors; its part of the configuration."""
    kind = adapter.model_type(base)
    layers, outputs = _layers(base), adapter.outputs(base.model)
    whole = peft_layout.fused(layers, outputs, kind, transformers)
    adapter.write_tensors(out / adapter.PEFT_FILE, peft_layout.tensors(whole, kind, transformers))
    return adapter.peft_keys(base.model, config, base, whole, transformers)


def _mlx(base: loading.Base, config: LoraConfig, out: Path) -> dict[str, Any]:
    """Write mlx-lm's tensors; its part of the configuration."""
    adapter.write_tensors(out / adapter.MLX_FILE, peft_layout.arrays(_layers(base)))
    return adapter.mlx_keys(base.model, config)


def _fused(base: loading.Base, scale: float, out: Path, expected: np.ndarray, precision: str) -> float:
    """Write and verify a fused model; the adapted one is let go before the fused one is loaded."""
    layers = _layers(base)
    fuse.write_fused(base, layers, scale, out, precision=precision)
    base.model.clear()
    again = loading.load(str(out))
    tolerance = TOLERANCE[again.config["dtype"]]
    return foreign.require_equal(foreign.probe(again), expected, out, tolerance=tolerance)


def _layers(base: loading.Base) -> dict[str, peft_layout.Pair]:
    return peft_layout.pairs({name: np.array(array) for name, array in adapter.arrays(base.model).items()})
