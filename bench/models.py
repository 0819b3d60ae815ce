"""Models of any real shape with random weights, so that nobody needs a download to measure a machine."""

from math import sqrt
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from bench import shapes
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.planning import footprint


def base(model: str, precision: str, *, random: bool) -> tuple[dict[str, Any], dict[str, mx.array]]:
    """Configuration and weights of a model.

    Args:
        model: Name of a shape (with ``random``), or a model that
            :func:`lendsafe.mlx_lora.exchange.loading.resolve` finds.
        precision: Type of the weights.
        random: Whether to draw the weights; nothing is read then.
    """
    if random:
        shape = shapes.named(model) or footprint.shape_of(model)
        return shape, random_weights(shape, precision)
    path = loading.resolve(model)
    shape = loading.read_config(path)
    loaded = loading.load_model(path, shape, precision=precision, quantize=None)
    return shape, loading.named_arrays(loaded.parameters())


def precision_of(config: TrainConfig) -> str:
    """Precision of a recipe, decided."""
    return backend.default_precision() if config.precision == "auto" else config.precision


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
