"""Recomputation of activations for models that run through their own forward pass.

Classes are never patched: for the time of a ``with`` block the given instances are of a class of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn


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

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        def inner(parameters: Any, *arguments: Any, **named: Any) -> Any:
            self.update(parameters)
            return kind.__call__(self, *arguments, **named)

        return mx.checkpoint(inner)(self.trainable_parameters(), *arguments, **named)

    return type(kind.__name__, (kind,), {"__call__": call})
