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
    return placed_losses(forward, placed.extent, placed.arrays, fuse=techniques.fuse_loss).sum()


def placed_losses(forward: Forward, extent: Extent, arrays: Arrays, *, fuse: bool) -> mx.array:
    """Next-token loss at every learned position of a micro-batch whose tokens have their places.

    Returns:
        ``(M,)``, in nats, float32, example after example; 0 in rows that were added.
    """
    project = projected_losses_with_gradient if fuse else projected_losses
    losses = project(forward, forward.hidden(extent, arrays), arrays["targets"])
    return losses * arrays["counted"] if "counted" in arrays else losses


def learned_tokens(batch: Sequence[Tokens]) -> int:
    """Tokens that the loss counts: the replies and their end marks."""
    return sum(len(one.ids) - one.reply_start for one in batch)


def projected_losses(forward: Forward, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """Project to the vocabulary and take the loss of each row, a chunk of rows at a time."""
    losses = list[mx.array]()
    for rows in _chunks(forward, hidden_MD):
        hidden = hidden_MD[rows]
        if losses:  # or the chunks' logits would be there together
            hidden = mx.depends(hidden, losses[-1])
        losses.append(cross_entropy(forward.logits(hidden), targets_M[rows]))
    return mx.concatenate(losses)


def projected_losses_with_gradient(forward: Forward, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """The same, with the gradient to the hidden states computed at once, while a chunk's logits are there.

    Only one chunk of logits is ever in memory, and nothing is computed again in the backward pass. The vocabulary
    projection itself is frozen, always.
    """

    @mx.custom_function
    def projected(hidden_MD: mx.array) -> Any:
        losses, gradients = list[mx.array](), list[mx.array]()
        for rows in _chunks(forward, hidden_MD):
            hidden, targets = hidden_MD[rows], targets_M[rows]
            if gradients:  # or the chunks' logits would be there together
                hidden = mx.depends(hidden, gradients[-1])
            (part,), (gradient,) = mx.vjp(
                lambda h, t=targets: cross_entropy(forward.logits(h), t),
                [hidden],
                [mx.full(targets.shape, GRADIENT_SCALE)],
            )
            losses.append(part)
            gradients.append(gradient.astype(mx.float32) / GRADIENT_SCALE)
        return mx.concatenate(losses), mx.concatenate(gradients)

    @projected.vjp
    def projected_vjp(hidden_MD: mx.array, cotangents: Any, outputs: Any) -> mx.array:
        return (outputs[1] * cotangents[0][:, None]).astype(hidden_MD.dtype)

    parts: Any = projected(hidden_MD)
    losses: mx.array = parts[0]
    return losses


def _chunks(forward: Forward, hidden_MD: mx.array) -> list[slice]:
    """Rows that are projected together."""
    step = backend.logit_rows(forward.vocabulary, cpu=backend.name() == "cpu")
    return [slice(start, start + step) for start in range(0, hidden_MD.shape[0], step)]
