"""Loss and gradient of micro-batches, compiled once for every extent that occurs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora.step.forward import forward_of
from lendsafe.mlx_lora.step.layers import DropoutKeys
from lendsafe.mlx_lora.step.layout import Arrays, Extent
from lendsafe.mlx_lora.step.loss import placed_losses
from lendsafe.mlx_lora.step.objective import NEXT_TOKEN, Objective
from lendsafe.mlx_lora.step.techniques import Techniques


class Gradient:
    """Scaled loss sum of a micro-batch and its gradient to the adapters.

    Args:
        model: Adapted model; only adapters are trainable.
        keys: Dropout keys of the adapters.
        techniques: How it is computed.
        objective: What the examples are there for.
    """

    def __init__(
        self, model: nn.Module, keys: DropoutKeys, techniques: Techniques, objective: Objective = NEXT_TOKEN
    ) -> None:
        self._model, self._keys, self._techniques, self._objective = model, keys, techniques, objective
        self._forward = forward_of(model, techniques)
        self._functions: dict[Extent, Callable[..., Any]] = {}

    def __call__(self, batch: Sequence[Any], scale: mx.array, key: mx.array) -> tuple[mx.array, Any]:
        """Scaled loss sum, and a tree of gradients as the trainable parameters are.

        Args:
            batch: Examples.
            scale: Factor of the loss, a scalar.
            key: Of the dropout.
        """
        replies = self._objective.replies(batch)
        placed = self._forward.layout(replies)
        arrays = placed.arrays | {"objective": self._objective.arrays(batch, placed.extent)}
        parameters = self._model.trainable_parameters()
        try:
            found: tuple[mx.array, Any] = self._function(placed.extent)(parameters, arrays, scale, key)
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
            losses_M = placed_losses(self._forward, extent, arrays, fuse=self._techniques.fuse_loss)
            return scale * self._objective.loss(losses_M, arrays["objective"])
        finally:
            self._keys.set(None)
