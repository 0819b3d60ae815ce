"""Recomputation of activations in the backward pass: memory for time.

For models that run through their own forward pass, classes are never patched: for the time of a ``with`` block the
given instances are of a class of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten


@contextmanager
def recomputed(model: nn.Module, what: str) -> Iterator[None]:
    """Compute the inner activations of some layers of a model again in the backward pass, to save memory.

    Args:
        model: mlx-lm model.
        what: ``layer`` for whole blocks, ``experts`` for mixtures of experts, ``none``.
    """
    chosen: list[Any] = []
    if what == "layer":
        chosen = list(model.layers)
    elif what == "experts":
        chosen = [module for _, module in model.named_modules() if "switch_mlp" in module]
    before = [type(layer) for layer in chosen]
    try:
        for layer, kind in zip(chosen, before, strict=True):
            layer.__class__ = _recomputing(kind)  # type: ignore[arg-type]  # a class is hashable
        yield
    finally:
        for layer, kind in zip(chosen, before, strict=True):
            layer.__class__ = kind


@cache
def _recomputing(kind: Any) -> Any:
    """A subclass of a layer's class whose call keeps nothing but its inputs for the backward pass."""

    def call(self: Any, x: mx.array, *arguments: Any, **named: Any) -> Any:
        return computed_again(lambda layer, x: kind.__call__(layer, x, *arguments, **named), self)(x)

    return type(kind.__name__, (kind,), {"__call__": call})


def computed_again(function: Any, module: nn.Module) -> Any:
    """``function(module, x)`` whose inner activations are computed again in the backward pass.

    As ``mx.checkpoint``, but the second time waits for the gradient that asks for it, and the gradient goes on
    only when those of the parameters are there: else MLX is free to compute every layer again at once, which keeps
    all that this is to save.
    """
    parameters = module.trainable_parameters()
    named: Any = tree_flatten(parameters)

    def inner(x: mx.array, *arrays: mx.array) -> Any:
        module.update(tree_unflatten([(name, one) for (name, _), one in zip(named, arrays, strict=True)]))
        try:
            return function(module, x)
        finally:
            module.update(parameters)

    call = mx.custom_function(inner)

    @call.vjp
    def call_vjp(primals: Any, cotangent: mx.array, _: Any) -> Any:
        inputs = list(primals) if isinstance(primals, list | tuple) else [primals]
        toward_x, *toward_arrays = mx.vjp(inner, mx.depends(inputs, cotangent), [cotangent])[1]
        return [mx.depends(toward_x, toward_arrays) if toward_arrays else toward_x, *toward_arrays]

    return lambda x: call(x, *(array for _, array in named))
