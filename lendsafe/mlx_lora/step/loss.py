"""Next-token loss as a sum and a count, so that the average is taken exactly once.

Shapes: B sequences, T tokens, M learned positions, D hidden, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step import packed
from lendsafe.mlx_lora.step.pointwise import cross_entropy
from lendsafe.mlx_lora.tokens import Tokens

GRADIENT_SCALE = 1024.0  # in float16, so that small probabilities do not become zero


def loss_sum(model: nn.Module, batch: Sequence[Tokens], techniques: packed.Techniques | None) -> mx.array:
    """Sum of the next-token losses of a micro-batch, in nats, float32.

    Args:
        model: mlx-lm model, adapted or not.
        batch: Examples; a token is learned if and only if it belongs to the reply or is its end mark.
        techniques: How to compute it; None computes it plainly, padded, through the model's own forward
            pass, which works for every architecture.

    Returns:
        A scalar. The count is :func:`learned_tokens`.
    """
    if techniques is None:
        return _padded_loss(model, batch)
    layout = packed.Layout(batch, share_prefix=techniques.share_prefix)
    hidden = packed.hidden_states(model, layout, techniques)
    project = projected_loss_with_gradient if techniques.fuse_loss else projected_loss
    return project(model, hidden, layout.targets_M)


def learned_tokens(batch: Sequence[Tokens]) -> int:
    """Tokens that the loss counts: the replies and their end marks."""
    return sum(len(one.ids) - one.reply_start for one in batch)


def projected_loss(model: nn.Module, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """Project to the vocabulary and sum the loss, a chunk of rows at a time."""
    rows, total = logit_rows(model), mx.array(0.0)
    for start in range(0, hidden_MD.shape[0], rows):
        hidden = hidden_MD[start : start + rows]
        if start:  # or the chunks' logits would be there together
            hidden = mx.depends(hidden, total)
        total = total + cross_entropy(_logits(model, hidden), targets_M[start : start + rows]).sum()
    return total


def projected_loss_with_gradient(model: nn.Module, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """The same, with the gradient to the hidden states computed at once, while a chunk's logits are there.

    Only one chunk of logits is ever in memory, and nothing is computed again in the backward pass. The vocabulary
    projection itself is frozen, always.
    """
    rows = logit_rows(model)

    @mx.custom_function
    def summed(hidden_MD: mx.array) -> Any:
        total, gradients = mx.array(0.0), list[mx.array]()
        for start in range(0, hidden_MD.shape[0], rows):
            targets, hidden = targets_M[start : start + rows], hidden_MD[start : start + rows]
            if gradients:  # or the chunks' logits would be there together
                hidden = mx.depends(hidden, gradients[-1])
            part, gradient = mx.value_and_grad(
                lambda h, t=targets: cross_entropy(_logits(model, h), t).sum() * GRADIENT_SCALE
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


def logit_rows(model: nn.Module) -> int:
    """Rows that are projected to the vocabulary at a time."""
    return backend.logit_rows(int(model.model.embed_tokens.weight.shape[0]), cpu=backend.name() == "cpu")


def _logits(model: nn.Module, hidden_MD: mx.array) -> mx.array:
    head = model.lm_head if "lm_head" in model else model.model.embed_tokens.as_linear
    return head(hidden_MD) / model.logits_scaling


def _padded_loss(model: nn.Module, batch: Sequence[Tokens]) -> mx.array:
    width = max(*(len(one.ids) for one in batch), packed.SHORTEST + 1)  # the last token is only a target
    tokens = np.zeros((len(batch), width), np.int32)
    learned = np.zeros((len(batch), width), bool)
    for row, one in enumerate(batch):
        tokens[row, : len(one.ids)] = one.ids
        learned[row, one.reply_start : len(one.ids)] = True
    tokens_BT = mx.array(tokens)
    logits = model(tokens_BT[:, :-1])
    losses = cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens_BT[:, 1:].flatten())
    return (losses * mx.array(learned[:, 1:].ravel())).sum()
