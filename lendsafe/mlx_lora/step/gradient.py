"""Loss and gradient of micro-batches, compiled once for every extent that occurs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora.step.forward import forward_of
from lendsafe.mlx_lora.step.layers import DropoutKeys
from lendsafe.mlx_lora.step.layout import Arrays, Extent
from lendsafe.mlx_lora.step.loss import placed_loss
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens


class Gradient:
    """Scaled loss sum of a micro-batch and its gradient to the adapters.

    Args:
        model: Adapted model; only adapters are trainable.
        keys: Dropout keys of the adapters.
        techniques: How it is computed.
    """

    def __init__(self, model: nn.Module, keys: DropoutKeys, techniques: Techniques) -> None:
        self._model, self._keys, self._techniques = model, keys, techniques
        self._forward = forward_of(model, techniques)
        self._functions: dict[Extent, Callable[..., Any]] = {}

    def __call__(self, batch: Sequence[Tokens], scale: mx.array, key: mx.array) -> tuple[mx.array, Any]:
        """Scaled loss sum, and a tree of gradients as the trainable parameters are.

        Args:
            batch: Examples.
            scale: Factor of the loss, a scalar.
            key: Of the dropout.
        """
        placed = self._forward.layout(batch)
        parameters = self._model.trainable_parameters()
        try:
            found: tuple[mx.array, Any] = self._function(placed.extent)(parameters, placed.arrays, scale, key)
            return found
        finally:
            self._model.update(parameters)  # tracing left its own there

    def _function(self, extent: Extent) -> Callable[..., Any]:
        if extent not in self._functions:
            function = mx.value_and_grad(partial(self._scaled, extent))
            self._functions[extent] = mx.compile(function) if self._techniques.compiled else function
        return self._functions[extent]

    def _scaled(
        self, extent: Extent, parameters: Any, arrays: Arrays, scale: mx.array, key: mx.array
    ) -> mx.array:
        self._model.update(parameters)
        self._keys.set(key, stored=not self._techniques.kernels)
        try:
            return scale * placed_loss(self._forward, extent, arrays, fuse=self._techniques.fuse_loss)
        finally:
            self._keys.set(None)
