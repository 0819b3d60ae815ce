"""The adapter folder that PEFT, mlx-lm and LendSafe load as it is: write, read, restore.

``adapter_config.json`` carries PEFT's keys, mlx-lm's (``fine_tune_type``, ``num_layers``,
``lora_parameters``) and ours (``lendsafe``); each tool passes over the others'.
``adapter_model.safetensors`` is PEFT's layout, ``adapters.safetensors`` mlx-lm's. Everything is float32;
nothing is ever pickled.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten
from safetensors import SafetensorError, safe_open
from safetensors import numpy as tensors

import lendsafe
from lendsafe.errors import ConfigError, DivergedError, LendSafeError, RefusedError
from lendsafe.fields import build, knob
from lendsafe.files import write_atomically, write_json
from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange import loading, peft_layout, targets
from lendsafe.mlx_lora.exchange.names import names
from lendsafe.mlx_lora.step.layers import linear_shape

CONFIG, MLX_FILE, PEFT_FILE = "adapter_config.json", "adapters.safetensors", "adapter_model.safetensors"
TEMPLATE = "chat_template.jinja"  # beside an adapter that was trained with another template than its base's
LARGEST_CONFIG = 1 << 20  # bytes
PEFT_KEYS = (
    "peft_type",
    "peft_version",
    "task_type",
    "base_model_name_or_path",
    "inference_mode",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "target_parameters",
    "bias",
    "init_lora_weights",
)
MLX_KEYS = ("fine_tune_type", "num_layers", "lora_parameters")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraParameters:
    """mlx-lm's ``lora_parameters``."""

    rank: int = knob(low=1, high=1 << 16)
    scale: float = knob(low=-1e9, high=1e9)
    dropout: float = knob(0.0, low=0, high=0.95)
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MlxKeys:
    """The keys of ``adapter_config.json`` that mlx-lm reads."""

    fine_tune_type: str = "lora"
    num_layers: int = knob(low=-1, high=1 << 16)
    lora_parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Our own key of ``adapter_config.json``: what the adapter belongs to.

    Attributes:
        version: Version of LendSafe that wrote it.
        model: Name of the base model, as it was given.
        base: Identity of the base model's configuration and weights.
        targets: Target names as they were asked for.
        day: ISO date that the chat template read as today.
        revision: The base's commit on the Hub, or nothing.
    """

    version: str
    model: str
    base: str
    targets: tuple[str, ...]
    day: str = ""
    revision: str = ""

    def source(self, folder: Path) -> str:
        """Name to load the base by, for an adapter in ``folder``."""
        name = loading.near(self.model, folder)
        return f"{name}@{self.revision}" if self.revision else name


def save(folder: Path, model: nn.Module, config: LoraConfig, base: loading.Base) -> None:
    """Write the adapters of a model into an existing folder, in both layouts.

    Layers that PEFT has no known place for, such as some architectures' experts, are written for mlx-lm alone.

    Raises:
        DivergedError: If a value is not finite; nothing is written then.
        DiskError: Naming path and reason.
    """
    found = {name: np.array(array) for name, array in arrays(model).items()}
    if bad := [name for name, array in found.items() if not np.isfinite(array).all()]:
        raise DivergedError(f"{folder}: '{bad[0]}' is not finite; the adapter was not written.")
    layers, kind = peft_layout.pairs(found), model_type(base)
    keys = mlx_keys(model, config) | {"lendsafe": origin(config, base)}
    theirs = names(base, linears(model))
    if not (peft_layout.unplaced(layers, kind) or theirs.unknown & layers.keys()):
        whole = peft_layout.fused(
            theirs.in_transformers(layers),
            theirs.in_transformers(outputs(model)),
            kind,
            peft_layout.TRANSFORMERS[0],
        )
        write_tensors(folder / PEFT_FILE, peft_layout.tensors(whole, kind, peft_layout.TRANSFORMERS[0]))
        keys |= peft_keys(model, config, base, whole)
    write_tensors(folder / MLX_FILE, found)
    if base.own_template:
        write_atomically(folder / TEMPLATE, str(base.template))
    write_json(folder / CONFIG, keys)


def load(folder: Path, base: loading.Base) -> targets.Adapted:
    """Put the adapters of a folder that LendSafe wrote around the layers of their base model.

    Raises:
        RefusedError: If a file is damaged, has unknown or impossible settings, or belongs to another base.
    """
    config = read_config(folder)
    mlx, mine = read_mlx_keys(folder, config), read_origin(folder, config)
    if mine.base != base.weights_identity:
        raise RefusedError(f"{folder}: trained on another base than '{base.name}' ({base.path}).")
    template = folder / TEMPLATE
    base.speak(template=template.read_text("utf-8") if template.is_file() else None, day=mine.day or None)
    return attach(base.model, read_arrays(folder / MLX_FILE), mlx, folder)


def arrays(model: nn.Module) -> dict[str, mx.array]:
    """Adapter arrays by mlx-lm's names, float32."""
    return {name: array.astype(mx.float32) for name, array in targets.trainable_arrays(model).items()}


def restore(model: nn.Module, found: Mapping[str, mx.array]) -> None:
    """Set the adapter arrays of an adapted model.

    Raises:
        RefusedError: If names or shapes are not those of the model's adapters.
    """
    expected = {name: array.shape for name, array in targets.trainable_arrays(model).items()}
    given = {name: array.shape for name, array in found.items()}
    if expected != given:
        wrong = min(n for n in expected.keys() | given.keys() if expected.get(n) != given.get(n))
        raise RefusedError(
            f"adapter array {wrong!r} has shape {given.get(wrong)}; the model has {expected.get(wrong)}"
        )
    model.update(tree_unflatten([(name, array.astype(mx.float32)) for name, array in found.items()]))
    mx.eval(model.trainable_parameters())


def attach(
    model: nn.Module, found: Mapping[str, mx.array], mlx: LoraParameters, folder: Path
) -> targets.Adapted:
    """Build the adapters that arrays are for, and set them.

    Args:
        model: mlx-lm model.
        found: Arrays by name; the layers are taken from the names.
        mlx: Rank, scale and dropout.
        folder: To name in messages.

    Raises:
        RefusedError: If the arrays do not fit the model; its layers are as before then.
    """
    layers = sorted({name.rpartition(".")[0] for name in found})
    targets.remove_adapters(model)
    known = shapes(model)
    if missing := [layer for layer in layers if layer not in known]:
        raise refused(folder, f"this model has no layer {missing[0]!r} to adapt")
    try:
        asked = LoraConfig(
            rank=mlx.rank,
            alpha=abs(mlx.scale) * mlx.rank,
            dropout=mlx.dropout,
            targets=layer_keys(model, layers)[0],
        )
        adapted = targets.add_adapters(model, asked)
        for layer in targets.adapters(model).values():
            layer.scale = mlx.scale
        restore(model, found)
    except LendSafeError as problem:
        targets.remove_adapters(model)
        raise refused(folder, str(problem)) from problem
    return adapted


# -- the parts of the folder ---------------------------------------------------------------------


def peft_keys(
    model: nn.Module,
    config: LoraConfig,
    base: loading.Base,
    whole: Mapping[peft_layout.Weight, peft_layout.Pair],
    transformers: int = peft_layout.TRANSFORMERS[0],
) -> dict[str, Any]:
    """PEFT's part of ``adapter_config.json``; dropout is 0 where PEFT cannot have it."""
    paths = names(base, linears(model)).in_transformers(dict(model.named_modules()))
    every = {peft_layout.weight_of(path, model_type(base), transformers) for path in paths}
    adapted = peft_layout.config(whole, every, scale=config.scale, rslora=config.rslora)
    return adapted | {
        "peft_type": "LORA",
        "peft_version": ".".join(map(str, (*peft_layout.VERSION, 0))),
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": loading.ALIASES.get(base.name, base.name),
        "inference_mode": True,
        "lora_dropout": 0.0 if "target_parameters" in adapted else config.dropout,
        "bias": "none",
        "init_lora_weights": True,
    }


def mlx_keys(model: nn.Module, config: LoraConfig) -> dict[str, Any]:
    """mlx-lm's part of ``adapter_config.json``."""
    keys, layers = layer_keys(model, list(targets.adapters(model)))
    return {
        "fine_tune_type": "lora",
        "num_layers": layers,
        "lora_parameters": {
            "rank": config.rank,
            "scale": config.scale,
            "dropout": config.dropout,
            "keys": list(keys),
        },
    }


def origin(config: LoraConfig, base: loading.Base) -> dict[str, Any]:
    """Our own part of ``adapter_config.json``."""
    return {
        "version": lendsafe.__version__,
        "model": base.name,
        "base": base.weights_identity,
        "targets": list(config.targets),
        "day": base.day,
        "revision": base.revision,
    }


def layer_keys(model: nn.Module, paths: list[str]) -> tuple[tuple[str, ...], int]:
    """mlx-lm's ``keys`` and ``num_layers`` for adapters at ``paths``.

    Names within a block, if they select those paths and no other; else the full paths, which it takes too.
    """
    blocks = {id(block) for block in model.layers}
    prefixes = [path + "." for path, module in model.named_modules() if id(module) in blocks]

    def within(path: str) -> str:
        found = next((prefix for prefix in prefixes if path.startswith(prefix)), "")
        return path.removeprefix(found)

    keys = {within(path) for path in paths}
    selected = {path for path in shapes(model) if within(path) in keys}
    return tuple(sorted(keys if selected == set(paths) else paths)), len(blocks)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """(O, I), or (E, O, I), of every layer that can have an adapter or has one, by path."""
    found: dict[str, tuple[int, ...]] = {}
    wrapped = {f"{path}.linear": path for path in targets.adapters(model)}
    for inner, module in model.named_modules():
        path = wrapped.get(inner, inner)
        if isinstance(module, targets.SWITCH):
            found[path] = (module.num_experts, module.output_dims, module.input_dims)
        elif isinstance(module, targets.LINEAR) and path != "lm_head":
            found[path] = linear_shape(module)
    return found


def linears(model: nn.Module) -> list[str]:
    """Paths of the linear layers that can have an adapter."""
    return [path for path, shape in shapes(model).items() if len(shape) == 2]


def outputs(model: nn.Module) -> dict[str, int]:
    """Output width of every layer that can have an adapter."""
    return {path: shape[-2] for path, shape in shapes(model).items()}


def model_type(base: loading.Base) -> str:
    """``model_type`` of a base's configuration."""
    return str(base.config.get("model_type"))


# -- reading what others may have written ---------------------------------------------------------


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``adapter_config.json``.

    Raises:
        RefusedError: If it is missing, too large, or not a JSON object.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise refused(path, f"larger than {LARGEST_CONFIG} bytes")
        config = json.loads(path.read_bytes())
    except FileNotFoundError as problem:
        raise RefusedError(f"{folder}: no {CONFIG}; not an adapter.") from problem
    except (OSError, ValueError, RecursionError) as problem:
        raise refused(path, str(problem)) from problem
    if not isinstance(config, dict):
        raise refused(path, "not a JSON object")
    return config


def read_mlx_keys(folder: Path, config: Mapping[str, Any]) -> LoraParameters:
    """mlx-lm's part of a configuration.

    Raises:
        RefusedError: Naming what is missing, of the wrong type, or not representable.
    """
    path = folder / CONFIG
    given = {key: config[key] for key in MLX_KEYS if key in config}
    keys = checked(MlxKeys, given, path)
    if keys.fine_tune_type != "lora":
        raise refused(path, f"fine_tune_type {keys.fine_tune_type!r} cannot be represented; expected 'lora'")
    return checked(LoraParameters, keys.lora_parameters, path)


def read_origin(folder: Path, config: Mapping[str, Any]) -> Origin:
    """Our own part of a configuration, all of whose keys have to be ones that we write.

    Raises:
        RefusedError: If it is not of our making.
    """
    path = folder / CONFIG
    if unknown := sorted(config.keys() - {*MLX_KEYS, "lendsafe", *PEFT_KEYS}):
        raise refused(path, f"unknown key {unknown[0]!r}; other tools' adapters: lendsafe import-adapter")
    table = config.get("lendsafe")
    if not isinstance(table, dict):
        raise refused(path, "no 'lendsafe' table; other tools' adapters: lendsafe import-adapter")
    found = checked(Origin, table, path)
    if found.day and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", found.day, re.ASCII):
        raise refused(path, f"day {found.day!r} is no date")
    return found


def read_arrays(path: Path) -> dict[str, mx.array]:
    """Read adapter tensors, float32.

    Raises:
        RefusedError: If the file is damaged or holds anything but finite floating-point factors.
    """
    if not path.is_file():
        raise RefusedError(f"{path}: missing.")
    found: dict[str, mx.array] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                if file.get_slice(name).get_dtype() not in ("F32", "F16", "BF16"):
                    raise refused(path, f"tensor {name!r} is not of a floating-point type")
                if name.endswith((".lora_a", ".lora_b")) and len(file.get_slice(name).get_shape()) not in (
                    2,
                    3,
                ):
                    raise refused(path, f"tensor {name!r} has a wrong number of axes")
    except (SafetensorError, OSError, ValueError) as problem:
        raise refused(path, f"not a sound safetensors file: {problem}") from problem
    loaded: Any = mx.load(str(path))
    for name, array in loaded.items():
        found[name] = array.astype(mx.float32)
        if not bool(mx.isfinite(found[name]).all()):
            raise refused(path, f"tensor {name!r} is not finite")
    if not found:
        raise refused(path, "it holds no tensors")
    return found


def write_tensors(
    path: Path, found: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors as safetensors, atomically."""
    content = tensors.save(dict(sorted(found.items())), metadata=metadata or {"format": "pt"})
    write_atomically(path, content)


def checked(kind: type[T], table: Mapping[str, Any], path: Path) -> T:
    """Build a record from a file's table.

    Raises:
        RefusedError: On one line, whatever the file holds.
    """
    try:
        return build(kind, table)
    except ConfigError as problem:
        raise refused(path, str(problem)) from problem


def refused(path: Path, why: str) -> RefusedError:
    """A refusal on one line, however long or broken the text that it quotes."""
    text = " ".join(why.split())
    return RefusedError(f"{path}: {text if len(text) <= 300 else text[:297] + '...'}")
