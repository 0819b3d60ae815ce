"""One optimiser step on the device: average, check, clip, apply, scale. Nothing is read back on the way.

A step whose loss or gradient is not finite leaves parameters, moments and their count exactly as they were.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import Optimizer
from mlx.utils import tree_flatten, tree_map

GROWTH_INTERVAL, LARGEST = 100, 65536.0


@dataclass
class LossScale:
    """Dynamic loss scale, for activation gradients in float16.

    The scaled quantity is the *sum* of token losses, so a token's gradient is not divided by the token
    count before float16 has carried it; a start of 2^10 then leaves room in both directions.

    Attributes:
        value: Present factor, a power of two.
        good_steps: Finite steps since the last change.
        enabled: Else it stays as it is.
    """

    value: float = 1024.0
    good_steps: int = 0
    enabled: bool = True

    def update(self, *, finite: bool) -> None:
        """Halve after a non-finite step, double after 100 finite ones in a row; the same as :func:`_scaled_on`."""
        if not self.enabled:
            return
        if not finite:
            self.value, self.good_steps = max(self.value / 2, 1.0), 0
            return
        self.good_steps += 1
        if self.good_steps >= GROWTH_INTERVAL:
            self.value, self.good_steps = min(self.value * 2, LARGEST), 0


class Update:
    """The optimiser step of one model.

    Args:
        model: Adapted model, updated in place.
        optimizer: With its state, updated in place.
        scale: Where the loss scale stands; it is followed on the device from there.
        clip: Largest norm of the gradient; 0 for none.
        compiled: Whether to fuse what can be fused.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, scale: LossScale, *, clip: float, compiled: bool
    ) -> None:
        self._model, self._optimizer, self._clip = model, optimizer, clip
        self._enabled = scale.enabled
        self.scale = mx.array(scale.value)
        self._good = mx.array(scale.good_steps, mx.int32)
        optimizer.init(model.trainable_parameters())
        self._function: Callable[..., Any] = mx.compile(self._applied) if compiled else self._applied

    def __call__(self, loss: mx.array, grads: Any, *, learned: int, rate: float) -> mx.array:
        """Apply scaled sums of a window; lazily: the caller evaluates.

        Args:
            loss: Scaled sum of the losses.
            grads: Scaled sum of the gradients.
            learned: Tokens that they sum over.
            rate: Learning rate.

        Returns:
            Loss sum and norm of the averaged gradient before clipping, ``(2,)``.
        """
        parameters, moments = self._model.trainable_parameters(), self._optimizer.state
        numbers = mx.array([1 / learned, rate], mx.float32)
        try:
            parameters, moments, self.scale, self._good, facts = self._function(
                parameters, moments, grads, loss, self.scale, self._good, numbers
            )
        finally:
            self._model.update(parameters)
            self._optimizer.state = moments
        found: mx.array = facts
        return found

    def arrays(self) -> list[Any]:
        """All that the step changed."""
        return [self._model.trainable_parameters(), self._optimizer.state, self.scale, self._good]

    def _applied(
        self,
        parameters: Any,
        moments: Any,
        grads: Any,
        loss: mx.array,
        scale: mx.array,
        good: mx.array,
        numbers: mx.array,
    ) -> Any:
        factor = numbers[0] / scale
        grads = tree_map(lambda g: g.astype(mx.float32) * factor, grads)
        norm = mx.sqrt(sum((mx.square(g).sum() for _, g in _leaves(grads)), mx.array(0.0)))
        finite = mx.isfinite(norm) & mx.isfinite(loss)
        if self._clip:
            share = mx.where(norm > self._clip, self._clip / norm, 1.0)
            grads = tree_map(lambda g: g * share, grads)
        optimizer = self._optimizer
        optimizer.state = tree_map(
            lambda one: one, moments
        )  # a tree of its own: the optimiser writes into it
        optimizer.learning_rate = numbers[1]
        applied = optimizer.apply_gradients(grads, parameters)

        def kept(new: mx.array, old: mx.array) -> mx.array:
            return mx.where(finite, new, old)

        changed = tree_map(kept, optimizer.state, moments)
        scale_after, good = self._scaled_on(scale, good, finite)
        facts = mx.stack([loss / scale, norm])
        return tree_map(kept, applied, parameters), changed, scale_after, good, facts

    def _scaled_on(self, scale: mx.array, good: mx.array, finite: mx.array) -> tuple[mx.array, mx.array]:
        if not self._enabled:
            return scale, good
        good = mx.where(finite, good + 1, 0)
        grows = good >= GROWTH_INTERVAL
        grown = mx.where(grows, mx.minimum(scale * 2, LARGEST), scale)
        return mx.where(finite, grown, mx.maximum(scale / 2, 1.0)), mx.where(grows, 0, good)


def _leaves(tree: Any) -> list[tuple[str, mx.array]]:
    found: Any = tree_flatten(tree)
    return sorted(found)
