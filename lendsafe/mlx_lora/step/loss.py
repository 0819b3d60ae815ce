"""Next-token loss as a sum and a count, so that the average is taken exactly once.

Shapes: B sequences, T tokens, M learned positions, D hidden, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step.forward import Forward, forward_of
from lendsafe.mlx_lora.step.layout import Arrays, Extent
from lendsafe.mlx_lora.step.pointwise import cross_entropy
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

GRADIENT_SCALE = 1024.0  # in float16, so that small probabilities do not become zero


def loss_sum(model: nn.Module, batch: Sequence[Tokens], techniques: Techniques) -> mx.array:
    """Sum of the next-token losses of a micro-batch, in nats, float32.

    Args:
        model: mlx-lm model, adapted or not.
        batch: Examples; a token is learned if and only if it belongs to the reply or is its end mark.
        techniques: How to compute it.

    Returns:
        A scalar. The count is :func:`learned_tokens`.
    """
    forward = forward_of(model, techniques)
    placed = forward.layout(batch)
    return placed_loss(forward, placed.extent, placed.arrays, fuse=techniques.fuse_loss)


def placed_loss(forward: Forward, extent: Extent, arrays: Arrays, *, fuse: bool) -> mx.array:
    """The same for a micro-batch whose tokens have their places."""
    project = projected_loss_with_gradient if fuse else projected_loss
    return project(forward, forward.hidden(extent, arrays), arrays["targets"], arrays.get("counted"))


def learned_tokens(batch: Sequence[Tokens]) -> int:
    """Tokens that the loss counts: the replies and their end marks."""
    return sum(len(one.ids) - one.reply_start for one in batch)


def projected_loss(
    forward: Forward, hidden_MD: mx.array, targets_M: mx.array, counted_M: mx.array | None
) -> mx.array:
    """Project to the vocabulary and sum the loss, a chunk of rows at a time."""
    total, start = mx.array(0.0), 0
    for rows in _chunks(forward, hidden_MD):
        hidden = hidden_MD[rows]
        if start:  # or the chunks' logits would be there together
            hidden = mx.depends(hidden, total)
        total, start = total + _chunk_loss(forward, hidden, targets_M, counted_M, rows), 1
    return total


def projected_loss_with_gradient(
    forward: Forward, hidden_MD: mx.array, targets_M: mx.array, counted_M: mx.array | None
) -> mx.array:
    """The same, with the gradient to the hidden states computed at once, while a chunk's logits are there.

    Only one chunk of logits is ever in memory, and nothing is computed again in the backward pass. The vocabulary
    projection itself is frozen, always.
    """

    @mx.custom_function
    def summed(hidden_MD: mx.array) -> Any:
        total, gradients = mx.array(0.0), list[mx.array]()
        for rows in _chunks(forward, hidden_MD):
            hidden = hidden_MD[rows]
            if gradients:  # or the chunks' logits would be there together
                hidden = mx.depends(hidden, gradients[-1])
            part, gradient = mx.value_and_grad(
                lambda h, rows=rows: _chunk_loss(forward, h, targets_M, counted_M, rows) * GRADIENT_SCALE
            )(hidden)
            total = total + part / GRADIENT_SCALE
            gradients.append(gradient.astype(mx.float32) / GRADIENT_SCALE)
        return total, mx.concatenate(gradients)

    @summed.vjp
    def summed_vjp(hidden_MD: mx.array, cotangents: Any, outputs: Any) -> mx.array:
        return (outputs[1] * cotangents[0]).astype(hidden_MD.dtype)

    parts: Any = summed(hidden_MD)
    total: mx.array = parts[0]
    return total


def _chunks(forward: Forward, hidden_MD: mx.array) -> list[slice]:
    """Rows that are projected together."""
    step = backend.logit_rows(forward.vocabulary, cpu=backend.name() == "cpu")
    return [slice(start, start + step) for start in range(0, hidden_MD.shape[0], step)]


def _chunk_loss(
    forward: Forward, hidden_MD: mx.array, targets_M: mx.array, counted_M: mx.array | None, rows: slice
) -> mx.array:
    losses = cross_entropy(forward.logits(hidden_MD), targets_M[rows])
    return (losses if counted_M is None else losses * counted_M[rows]).sum()
