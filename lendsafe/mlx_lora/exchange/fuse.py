"""Adapters folded into their base, as a model folder that transformers and mlx-lm load.

The base's own tensors are read one by one from disk, under their published names and in full precision, so
nothing has to be guessed back: a weight that has an adapter gets ``scale * B @ A`` added in float32, all
others pass through.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from lendsafe.errors import DiskError, RefusedError
from lendsafe.files import disk_errors, replace_file, write_atomically, write_json
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.exchange.names import TRANSPOSED
from lendsafe.mlx_lora.exchange.peft_layout import Pair
from lendsafe.mlx_lora.step import architectures

SHARD = 4 << 30  # bytes per file
# Names on disk of weights that mlx-lm holds otherwise; "{e}" numbers the experts that are stored one by one.
_STORED = {kind: family.stored for kind, family in architectures.every().items()}


def write_fused(
    base: loading.Base, layers: Mapping[str, Pair], scale: float, out: Path, *, precision: str = "auto"
) -> None:
    """Write the fused model into an existing folder: weights, configuration, tokenizer, template.

    Args:
        base: The base; only its folder and configuration are used.
        layers: Factors by layer of mlx-lm's model.
        scale: Factor of every correction.
        out: Folder.
        precision: Type of the written weights; ``auto`` is the type that they are stored in.

    Raises:
        RefusedError: If a layer has no weight in the base's files.
        DiskError: Naming path, reason and space needed.
    """
    weights = _published(loading.read_weights(base.path), base.config)
    changes = _changes(layers, str(base.config["model_type"]), set(weights))
    dtype = _stored_type(weights) if precision == "auto" else getattr(mx, precision)
    _write_weights(out, weights, changes, scale, dtype)
    write_json(out / "config.json", fused_config(base.config, str(dtype).removeprefix("mlx.core.")))
    for path in sorted(base.path.iterdir()):
        text = path.suffix in (".json", ".jinja", ".txt") or path.name == "tokenizer.model"
        if text and path.name != "config.json" and not path.name.endswith(".index.json"):
            with disk_errors(path):
                write_atomically(out / path.name, path.read_bytes())


def fused_config(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Configuration of the fused model: not quantised, the rotary base where every version looks for it."""
    found = {key: value for key, value in config.items() if not key.startswith("quantization")}
    if isinstance(nested := found.get("text_config"), dict):
        found["text_config"] = fused_config(nested, dtype)
    for key in (
        "rope_theta",
        "rope_scaling",
        "partial_rotary_factor",
    ):  # where older versions and mlx-lm look
        if (value := loading.for_mlx(config).get(key)) is not None and "text_config" not in found:
            found.setdefault(key, value)
    if "rope_theta" in found and not isinstance(
        (found.get("rope_parameters") or {}).get("full_attention"), dict
    ):
        scaling = found.get("rope_scaling") or {}
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        stored = found.get("rope_parameters") or {}
        found["rope_parameters"] = (
            {"rope_type": kind} | scaling | stored | {"rope_theta": found["rope_theta"]}
        )
    return found | {"dtype": dtype, "torch_dtype": dtype}


class _Change:
    """What is added to one stored tensor: corrections of row ranges."""

    def __init__(self, *, transposed: bool = False) -> None:
        self.transposed = transposed
        self.parts: list[tuple[int, np.ndarray, np.ndarray]] = []  # first row, A, B

    def apply(self, weight: mx.array, scale: float) -> mx.array:
        """The changed weight, float32."""
        weight = weight.astype(mx.float32)
        for start, a, b in self.parts:
            delta = scale * (mx.array(b) @ mx.array(a))
            if self.transposed:
                delta = delta.T
            before, after = start, weight.shape[-2] - start - delta.shape[-2]
            padding = [(0, 0)] * (delta.ndim - 2) + [(before, after), (0, 0)]
            weight = weight + mx.pad(delta, padding)
        return weight


def _changes(layers: Mapping[str, Pair], model_type: str, stored: set[str]) -> dict[str, _Change]:
    """Changes by the name of the stored tensor."""
    changes: dict[str, _Change] = {}
    for layer, pair in layers.items():
        for name, start, a, b in _stored_parts(layer, pair, model_type):
            if name not in stored:
                raise RefusedError(f"'{layer}': the base has no tensor '{name}' to add the adapter to.")
            change = changes.setdefault(name, _Change(transposed=model_type in TRANSPOSED))
            change.parts.append((start, a, b))
    return changes


def _stored_parts(
    layer: str, pair: Pair, model_type: str
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Stored tensor, first row, A and B of each part of a layer's correction."""
    for place in _STORED.get(model_type, ()):
        for number, part in enumerate(place.parts):
            if not layer.endswith("." + part):
                continue
            stem = layer.removesuffix(part) + place.module
            if "{e}" in stem:
                yield from (
                    (f"{stem.format(e=e)}.weight", 0, pair.a[e], pair.b[e]) for e in range(len(pair.a))
                )
            else:
                yield f"{stem}.weight", number * pair.b.shape[-2], pair.a, pair.b  # parts have equal rows
            return
    yield f"{layer}.weight", 0, pair.a, pair.b


def _published(weights: dict[str, mx.array], config: Mapping[str, Any]) -> dict[str, mx.array]:
    """Weights under their published names and unquantised, also if mlx-lm converted the folder."""
    if quantization := config.get("quantization"):
        weights = _dequantized(weights, quantization)
    for place in _STORED.get(str(config["model_type"]), ()):
        first = f".{place.parts[0]}.weight"
        for stem in [name.removesuffix(first[1:]) for name in weights if name.endswith(first)]:
            parts = [weights.pop(f"{stem}{part}.weight") for part in place.parts]
            if "{e}" in place.module:
                weights |= {f"{stem}{place.module.format(e=e)}.weight": w for e, w in enumerate(parts[0])}
            else:
                weights[f"{stem}{place.module}.weight"] = mx.concatenate(parts, axis=-2)
    for name, weight in weights.items():
        if name.endswith("conv1d.weight") and weight.shape[-1] == 1 != weight.shape[1]:
            weights[name] = weight.moveaxis(2, 1)  # mlx-lm keeps the channels last
    return weights


def _dequantized(weights: dict[str, mx.array], quantization: Mapping[str, Any]) -> dict[str, mx.array]:
    found = {}
    for name, weight in weights.items():
        layer = name.removesuffix(".weight")
        if f"{layer}.scales" in weights and name.endswith(".weight"):
            own = quantization.get(layer)
            settings = own if isinstance(own, dict) else quantization
            found[name] = mx.dequantize(
                weight,
                weights[f"{layer}.scales"],
                weights.get(f"{layer}.biases"),
                group_size=settings["group_size"],
                bits=settings["bits"],
                mode=settings.get("mode", "affine"),
            )
        elif not (name.endswith((".scales", ".biases")) and f"{name.rpartition('.')[0]}.scales" in weights):
            found[name] = weight
    return found


def _stored_type(weights: Mapping[str, mx.array]) -> mx.Dtype:
    """The type of most of the weights."""
    sizes: dict[mx.Dtype, int] = {}
    for weight in weights.values():
        sizes[weight.dtype] = sizes.get(weight.dtype, 0) + weight.size
    return max(sizes, key=lambda dtype: sizes[dtype])


def _write_weights(
    out: Path, weights: dict[str, mx.array], changes: Mapping[str, _Change], scale: float, dtype: mx.Dtype
) -> None:
    """Write shard by shard; only one shard is ever held in memory."""
    shards: list[list[str]] = [[]]
    size = total = 0
    for name in sorted(weights):
        own = weights[name].size * dtype.size
        if shards[-1] and size + own > SHARD:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size, total = size + own, total + own
    _require_space(out, total)
    index: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = (
            "model.safetensors"
            if len(shards) == 1
            else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        )
        arrays = {}
        for name in names:
            weight = weights.pop(name)
            arrays[name] = (changes[name].apply(weight, scale) if name in changes else weight).astype(dtype)
            mx.eval(arrays[name])
        _write_shard(out / file, arrays)
        index |= dict.fromkeys(names, file)
        del arrays
        mx.clear_cache()
    if len(shards) > 1:
        table = {"metadata": {"total_size": total}, "weight_map": index}
        write_atomically(out / "model.safetensors.index.json", json.dumps(table, indent=1))


def _write_shard(path: Path, arrays: dict[str, mx.array]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            mx.save_safetensors(file, arrays, {"format": "pt"})

    replace_file(path, write, sum(array.nbytes for array in arrays.values()))


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskError(
            f"{folder}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed for the fused model."
        )
