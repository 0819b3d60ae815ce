"""Adapters that PEFT or mlx-lm trained, as ours; what ours cannot represent is refused by name."""

import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import numpy as np

from lendsafe.errors import RefusedError
from lendsafe.fields import knob
from lendsafe.files import disk_errors, refuse_existing, write_json
from lendsafe.mlx_lora.config import LoraConfig, TrainConfig
from lendsafe.mlx_lora.exchange import adapter, loading, peft_layout, verify
from lendsafe.mlx_lora.exchange.names import names

# Keys of PEFT's configuration that do not change what an adapter computes, or that its tensors show.
PEFT_DESCRIPTIVE = (
    "task_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "lendsafe",
)
# Keys of mlx-lm's that say how an adapter was trained, not what it computes.
MLX_DESCRIPTIVE = (
    "model",
    "train",
    "optimizer",
    "optimizer_config",
    "data",
    "seed",
    "batch_size",
    "iters",
    "val_batches",
    "learning_rate",
    "steps_per_report",
    "steps_per_eval",
    "resume_adapter_file",
    "adapter_path",
    "save_every",
    "test",
    "test_batches",
    "max_seq_length",
    "config",
    "grad_checkpoint",
    "grad_accumulation_steps",
    "clear_cache_threshold",
    "lr_schedule",
    "mask_prompt",
    "report_to",
    "project_name",
    "trust_remote_code",
    "wandb",
    "lendsafe",
)
LARGEST = 1e9  # rank or alpha
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeftKeys:
    """The keys of PEFT's configuration that say what an adapter computes, with the values we take."""

    peft_type: Literal["LORA"]
    r: int = knob(low=1, high=1 << 16)
    lora_alpha: float = knob(low=-LARGEST, high=LARGEST)
    lora_dropout: float = knob(0.0, low=0, high=0.95)
    use_rslora: bool = False
    rank_pattern: dict[str, Any] | None = None
    alpha_pattern: dict[str, Any] | None = None
    target_modules: tuple[str, ...] | str | None = None
    target_parameters: tuple[str, ...] | None = None
    bias: Literal["none"] = "none"
    # PiSSA, OLoRA, CorDA and LoftQ change the base, so such an adapter is of another one.
    init_lora_weights: Literal[True, False, "gaussian", "orthogonal", "eva"] = field(default=True)


def import_adapter(source: Path, base: loading.Base, out: Path) -> LoraConfig:
    """Turn an adapter folder of PEFT or mlx-lm into a run folder, and verify it by loading it back.

    Args:
        source: Folder with ``adapter_config.json`` and safetensors.
        base: The model that it was trained on; gets the adapters.
        out: Folder to write; new or empty.

    Returns:
        Rank, scale, dropout and targets of the run.

    Raises:
        RefusedError: Naming what cannot be represented, or does not fit the model.
        ExistsError: If ``out`` holds something.
    """
    refuse_existing(out)
    config, found = read(source, base)
    parameters = adapter.LoraParameters(rank=config.rank, scale=config.scale, dropout=config.dropout)
    adapter.attach(base.model, found, parameters, source)
    expected = probe(base)
    with cleared_on_failure(out):
        adapter.save(out, base.model, config, base)
        write_json(out / "run.json", _record(source, base, config))
        adapter.load(out, base)
        require_equal(probe(base), expected, out, tolerance=0.0)
    return config


@contextmanager
def cleared_on_failure(out: Path) -> Iterator[None]:
    """Make a folder; if the block fails, nothing of it is left."""
    there = out.exists()
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for one in out.iterdir():
            if one.is_dir():
                shutil.rmtree(one)
            else:
                one.unlink()
        if not there:
            out.rmdir()
        raise


def read(source: Path, base: loading.Base) -> tuple[LoraConfig, dict[str, mx.array]]:
    """Settings and adapter arrays of a folder that PEFT or mlx-lm wrote, ranks filled up to the largest.

    Raises:
        RefusedError: Naming what cannot be represented, or does not fit the model.
    """
    table = adapter.read_config(source)
    if "peft_type" in table and (source / adapter.PEFT_FILE).exists():
        return _read_peft(source, table, base)
    if "lora_parameters" in table:
        return _read_mlx(source, table, base)
    pickles = sorted(one.name for one in source.iterdir() if one.suffix in PICKLES)
    if pickles:
        raise adapter.refused(
            source / pickles[0],
            "a pickle, which can run code when it is read; save the adapter as safetensors first",
        )
    raise adapter.refused(source, f"neither {adapter.PEFT_FILE} nor mlx-lm's 'lora_parameters'")


def probe(base: loading.Base) -> np.ndarray:
    """Logits of a fixed batch, ``(2, 16, vocabulary)`` float32: what a model computes."""
    return np.array(base.model(mx.array(verify.tokens(base))).astype(mx.float32))


def require_equal(got: np.ndarray, expected: np.ndarray, path: Path, *, tolerance: float) -> float:
    """Compare logits.

    Args:
        got: Of what was written.
        expected: Of what should have been.
        path: Folder to name.
        tolerance: Largest norm of the difference as a share of the norm of ``expected``.

    Returns:
        That share.

    Raises:
        RefusedError: If it is larger.
    """
    error = float(np.linalg.norm(got - expected) / max(float(np.linalg.norm(expected)), 1e-30))
    if not error <= tolerance:
        raise RefusedError(f"{path}: loaded back, its logits differ by {error:.2g} (at most {tolerance:g}).")
    return error


def _read_peft(
    source: Path, table: dict[str, Any], base: loading.Base
) -> tuple[LoraConfig, dict[str, mx.array]]:
    path = source / adapter.CONFIG
    known = set(PeftKeys.__dataclass_fields__)
    _refuse_unknown(path, table, known.union(PEFT_DESCRIPTIVE, adapter.MLX_KEYS))
    keys = adapter.checked(PeftKeys, {key: table[key] for key in table if key in known}, path)
    kind = adapter.model_type(base)
    stored = {n: np.array(a) for n, a in adapter.read_arrays(source / adapter.PEFT_FILE).items()}
    try:
        whole = peft_layout.read_tensors(stored, keys.target_parameters or (), kind)
        ranks = {w: _pattern(keys.rank_pattern, w.name, keys.r) for w in whole}
        alphas = {w: _pattern(keys.alpha_pattern, w.name, keys.lora_alpha) for w in whole}
        scales = {w: alphas[w] / (ranks[w] ** 0.5 if keys.use_rslora else ranks[w]) for w in whole}
        scale = _most_common(list(scales.values()))
        whole = {w: (a, _rescaled(b, scales[w], scale)) for w, (a, b) in whole.items()}
        theirs = names(base, adapter.linears(base.model))
        split = peft_layout.split(
            whole,
            theirs.in_transformers(adapter.shapes(base.model)),
            _whole_numbers(ranks),
            kind,
            swapped=_version(table) < peft_layout.VERSION,
        )
        layers = theirs.from_transformers(split)
    except RefusedError as problem:
        raise adapter.refused(source, str(problem)) from problem
    rank = max(pair.rank for pair in layers.values())
    found = peft_layout.arrays({name: peft_layout.pad(pair, rank) for name, pair in layers.items()})
    settings = {
        "rank": rank,
        "alpha": peft_layout.alpha(scale, rank, rslora=keys.use_rslora),
        "dropout": _dropout(keys, table),
        "targets": _targets(table, base, list(layers)),
        "rslora": keys.use_rslora,
    }
    return adapter.checked(LoraConfig, settings, path), {
        name: mx.array(array) for name, array in found.items()
    }


def _read_mlx(
    source: Path, table: dict[str, Any], base: loading.Base
) -> tuple[LoraConfig, dict[str, mx.array]]:
    path = source / adapter.CONFIG
    _refuse_unknown(path, table, {*MLX_DESCRIPTIVE, *adapter.MLX_KEYS, *adapter.PEFT_KEYS})
    parameters = adapter.read_mlx_keys(source, table)
    found = adapter.read_arrays(source / adapter.MLX_FILE)
    for name in found:
        if not name.endswith((".lora_a", ".lora_b")):
            raise adapter.refused(source / adapter.MLX_FILE, f"tensor {name!r} is no LoRA factor")
    settings = {
        "rank": parameters.rank,
        "alpha": peft_layout.alpha(parameters.scale, parameters.rank, rslora=False),
        "dropout": parameters.dropout,
        "targets": _targets(table, base, sorted({name.rpartition(".")[0] for name in found})),
    }
    return adapter.checked(LoraConfig, settings, path), found


def _refuse_unknown(path: Path, table: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a key that we do not know, unless it is switched off."""
    for key, value in table.items():
        if key not in known and value not in (None, False, "", [], {}):
            raise adapter.refused(path, f"{key} = {value!r} cannot be represented")


def _pattern(patterns: Mapping[str, Any] | None, name: str, default: float) -> float:
    """The value of the first pattern that a weight's name ends with, as PEFT looks it up."""
    for pattern, value in (patterns or {}).items():
        literal = pattern.removeprefix("^").replace("\\.", ".")
        if not re.fullmatch(r"[\w.-]+", literal):  # never run a stranger's regular expression
            raise RefusedError(f"pattern {pattern!r} is not the name of a layer")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 < value < LARGEST):
            raise RefusedError(f"pattern {pattern!r} has the value {value!r}; expected a positive number")
        if f".{name}".endswith(f".{literal}"):
            return float(value)
    return default


def _whole_numbers(ranks: Mapping[peft_layout.Weight, float]) -> dict[peft_layout.Weight, int]:
    if wrong := [weight.name for weight, rank in ranks.items() if rank != int(rank)]:
        raise RefusedError(f"the rank of '{wrong[0]}' is not a whole number")
    return {weight: int(rank) for weight, rank in ranks.items()}


def _most_common(scales: list[float]) -> float:
    nonzero = [scale for scale in scales if scale]
    return Counter(nonzero).most_common(1)[0][0] if nonzero else 0.0


def _rescaled(b: np.ndarray, own: float, scale: float) -> np.ndarray:
    """B for the run's scale in place of the weight's own."""
    if math.isclose(own, scale, rel_tol=1e-9):
        return b
    scaled: np.ndarray = b * np.float32(own / scale)
    if not np.isfinite(scaled).all():
        raise RefusedError(f"alpha and rank give a factor of {own / scale:g}, beyond float32")
    return scaled


def _version(table: Mapping[str, Any]) -> tuple[int, ...]:
    """Version of PEFT that wrote a configuration; those before 0.18 did not say."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", str(table.get("peft_version")), re.ASCII)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _dropout(keys: PeftKeys, table: Mapping[str, Any]) -> Any:
    """Dropout, not yet checked: PEFT cannot have any with experts, so ours is in mlx-lm's keys."""
    ours = table.get("lora_parameters")
    value = ours.get("dropout") if isinstance(ours, dict) and "lendsafe" in table else None
    return keys.lora_dropout if value is None else value


def _targets(table: Mapping[str, Any], base: loading.Base, layers: list[str]) -> tuple[str, ...]:
    """Target names: as they were asked for, if we wrote the folder, else those of the layers."""
    ours = table.get("lendsafe")
    asked = ours.get("targets") if isinstance(ours, dict) else None
    if isinstance(asked, list) and asked and all(isinstance(name, str) for name in asked):
        return tuple(asked)
    known = adapter.shapes(base.model)
    return adapter.layer_keys(base.model, [name for name in layers if name in known] or layers)[0]


def _record(source: Path, base: loading.Base, config: LoraConfig) -> dict[str, Any]:
    """``run.json`` of an imported run."""
    settings = TrainConfig(**asdict(config))
    return {
        "settings": asdict(settings) | {"targets": list(config.targets)},
        "base": {
            "name": base.name,
            "identity": base.identity,
            "weights": base.weights_identity,
            "revision": base.revision,
            "day": base.day,
        },
        "data": {"source": "", "identity": ""},
        "imported_from": str(source),
    }
