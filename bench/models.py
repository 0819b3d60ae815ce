"""Models of any real shape with random weights, so that nobody needs a download to measure a machine."""

from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from lendsafe.errors import ConfigError
from lendsafe.fields import did_you_mean, parse_toml
from lendsafe.mlx_lora import backend, loading
from lendsafe.mlx_lora.plan import granite_moe, published_shapes


def shape(name: str) -> dict[str, Any]:
    """Configuration of a shape in ``shapes.toml``, as ``config.json`` would hold it.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in _shapes():
        raise ConfigError(f"No shape '{name}'.{did_you_mean(name, list(_shapes()))}")
    return granite_moe(_shapes()[name])


@cache
def _shapes() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("shapes.toml")
    return published_shapes() | parse_toml(path.read_text("utf-8"), path.name)


def random_weights(config: dict[str, Any], precision: str, *, seed: int = 0) -> dict[str, mx.array]:
    """Weights for a shape, drawn array by array in the type they stay in.

    Matrices are drawn so that every layer keeps the size of its input; norms are one. Such a model
    computes what a real one does, finitely, and its experts are used evenly.
    """
    dtype = dtype_of(precision)
    weights = {}
    for number, (name, array) in enumerate(sorted(tree_flatten(loading.empty_model(config).parameters()))):
        if array.ndim == 1:
            weights[name] = mx.ones(array.shape, dtype)
        else:
            key = mx.random.key(seed * 100_003 + number)
            weights[name] = mx.random.normal(array.shape, dtype, scale=1 / sqrt(array.shape[-1]), key=key)
        mx.eval(weights[name])
    return weights


def model_with(
    config: dict[str, Any], weights: dict[str, mx.array], *, quantize: int | None = None
) -> nn.Module:
    """A frozen model that shares the given arrays."""
    model = loading.empty_model(config)
    model.update(tree_unflatten(list(weights.items())))
    if quantize:
        nn.quantize(model, loading.GROUP_SIZE, quantize, class_predicate=_quantizable)
    model.freeze()
    mx.eval(model.parameters())
    return model


def _quantizable(_: str, module: nn.Module) -> bool:
    return hasattr(module, "to_quantized") and module.weight.shape[-1] % loading.GROUP_SIZE == 0


def dtype_of(precision: str) -> mx.Dtype:
    """MLX's type of a precision setting."""
    dtype: mx.Dtype = getattr(mx, backend.default_precision() if precision == "auto" else precision)
    return dtype
