"""Next-token loss as a sum and a count, so that the average is taken exactly once.

Shapes: B sequences, T tokens, M learned positions, D hidden, V vocabulary.
"""

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora import packed
from lendsafe.mlx_lora.pointwise import cross_entropy
from lendsafe.mlx_lora.tokens import Tokens

LOGITS = 1 << 26  # logits held at a time: 268 MB in float32, 1,365 rows of Granite's 49,155


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
    return _projected_loss(model, hidden, layout.targets_M)


def learned_tokens(batch: Sequence[Tokens]) -> int:
    """Tokens that the loss counts: the replies and their end marks."""
    return sum(len(one.ids) - one.reply_start for one in batch)


def _projected_loss(model: nn.Module, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """Project to the vocabulary and sum the loss, a chunk of rows at a time if there are many.

    A chunk's logits are computed again in the backward pass: 1 % more work, and only one chunk in memory.
    """
    rows, chunk = hidden_MD.shape[0], logit_rows(model)
    if rows <= chunk:
        return cross_entropy(_logits(model, hidden_MD), targets_M).sum()
    total = mx.array(0.0)
    for start in range(0, rows, chunk):
        targets = targets_M[start : start + chunk]

        @mx.checkpoint
        def chunk_loss(h: mx.array, targets: mx.array = targets) -> mx.array:
            return cross_entropy(_logits(model, h), targets).sum()

        total = total + chunk_loss(hidden_MD[start : start + chunk])
    return total


def logit_rows(model: nn.Module) -> int:
    """Rows that are projected to the vocabulary at a time."""
    return max(LOGITS // int(model.model.embed_tokens.weight.shape[0]), 1)


def _logits(model: nn.Module, hidden_MD: mx.array) -> mx.array:
    head = model.lm_head if "lm_head" in model else model.model.embed_tokens.as_linear
    return head(hidden_MD) / model.logits_scaling


def _padded_loss(model: nn.Module, batch: Sequence[Tokens]) -> mx.array:
    width = max(len(one.ids) for one in batch)
    tokens = np.zeros((len(batch), width), np.int32)
    learned = np.zeros((len(batch), width), bool)
    for row, one in enumerate(batch):
        tokens[row, : len(one.ids)] = one.ids
        learned[row, one.reply_start : len(one.ids)] = True
    tokens_BT = mx.array(tokens)
    logits = model(tokens_BT[:, :-1])
    losses = cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens_BT[:, 1:].flatten())
    return (losses * mx.array(learned[:, 1:].ravel())).sum()
