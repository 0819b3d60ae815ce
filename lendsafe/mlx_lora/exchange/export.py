"""Adapters and fused models for other tools, each verified by loading it back and comparing logits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lendsafe.errors import RefusedError
from lendsafe.files import refuse_existing, write_json
from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange import adapter, foreign, fuse, loading, peft_layout, verify
from lendsafe.mlx_lora.exchange.names import names

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
        by: Tool that computed them by its own code, or nothing.
        unchecked: Why no other tool did, if none did.
    """

    path: Path
    to: Form
    error: float
    by: str = ""
    unchecked: str = ""


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

    It is loaded by the code of the tool that it is for, where that is installed, else by ours.

    Args:
        folder: Run, or ``best/`` of one.
        out: Folder to write; new or empty. If anything fails, nothing is left in it.
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
    base = loading.load(model or origin.source(folder))
    adapter.load(folder, base)
    parameters = adapter.read_mlx_keys(folder, table)
    config = LoraConfig(
        rank=parameters.rank,
        alpha=peft_layout.alpha(parameters.scale, parameters.rank, rslora=bool(table.get("use_rslora"))),
        dropout=parameters.dropout,
        targets=origin.targets,
        rslora=bool(table.get("use_rslora")),
    )
    expected, batch = foreign.probe(base), verify.tokens(base)
    with foreign.cleared_on_failure(out):
        if to == "fused":
            return _fused(base, config.scale, out, expected, batch, precision)
        keys = _peft(base, config, out, transformers) if to == "peft" else _mlx(base, config, out)
        write_json(out / adapter.CONFIG, keys)
        _, found = foreign.read(out, base)
        adapter.attach(base.model, found, parameters, out)
        error = foreign.require_equal(foreign.probe(base), expected, out, tolerance=1e-6)
        return _checked(base, out, to, expected, batch, error, transformers)


def _checked(
    base: loading.Base,
    out: Path,
    to: Form,
    expected: np.ndarray,
    batch: np.ndarray,
    error: float,
    transformers: int,
) -> Exported:
    """Load an adapter by the tool that it is for."""
    computed_in = str(loading.activation_type(base.model)).removeprefix("mlx.core.")
    if to == "mlx":
        base.model.clear()
        logits: np.ndarray | None
        logits, who = verify.by_mlx_lm(base, out, batch, "auto")
    elif installed_major() not in (None, transformers):
        logits, who = None, f"transformers {installed_major()} is installed, not {transformers}"
    else:
        base.model.clear()
        logits, who = verify.by_transformers(base.path, base.config, batch, out)
    if logits is None:
        return Exported(path=out, to=to, error=error, unchecked=who)
    error = foreign.require_equal(logits, expected, out, tolerance=TOLERANCE[computed_in])
    return Exported(path=out, to=to, error=error, by=who)


def installed_major() -> int | None:
    """Major version of transformers that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return int(version("transformers").partition(".")[0])
    except PackageNotFoundError:
        return None


def _peft(base: loading.Base, config: LoraConfig, out: Path, transformers: int) -> dict[str, Any]:
    """Write PEFT's tensors; its part of the configuration."""
    kind = adapter.model_type(base)
    layers, theirs = _layers(base), names(base, adapter.linears(base.model))
    if lost := sorted(theirs.unknown & layers.keys()):
        raise RefusedError(
            f"'{lost[0]}': the base's files have no such layer, so PEFT's name of it is not known. Export with --to mlx"
            " instead."
        )
    outputs = theirs.in_transformers(adapter.outputs(base.model))
    whole = peft_layout.fused(theirs.in_transformers(layers), outputs, kind, transformers)
    adapter.write_tensors(out / adapter.PEFT_FILE, peft_layout.tensors(whole, kind, transformers))
    return adapter.peft_keys(base.model, config, base, whole, transformers)


def _mlx(base: loading.Base, config: LoraConfig, out: Path) -> dict[str, Any]:
    """Write mlx-lm's tensors; its part of the configuration."""
    adapter.write_tensors(out / adapter.MLX_FILE, peft_layout.arrays(_layers(base)))
    return adapter.mlx_keys(base.model, config)


def _fused(
    base: loading.Base, scale: float, out: Path, expected: np.ndarray, batch: np.ndarray, precision: str
) -> Exported:
    """Write and verify a fused model; the adapted one is let go before the fused one is loaded."""
    layers = names(base, adapter.linears(base.model)).in_files(_layers(base))
    fuse.write_fused(base, layers, scale, out, precision=precision)
    base.model.clear()
    again = loading.load(str(out))
    tolerance = TOLERANCE[again.config["dtype"]]
    error = foreign.require_equal(foreign.probe(again), expected, out, tolerance=tolerance)
    again.model.clear()
    logits, who = verify.by_transformers(out, again.config, batch)
    if logits is None:
        return Exported(path=out, to="fused", error=error, unchecked=who)
    error = foreign.require_equal(logits, expected, out, tolerance=tolerance)
    return Exported(path=out, to="fused", error=error, by=who)


def _layers(base: loading.Base) -> dict[str, peft_layout.Pair]:
    return peft_layout.pairs({name: np.array(array) for name, array in adapter.arrays(base.model).items()})
