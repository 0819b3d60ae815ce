"""Next-token loss as a sum and a count, so that the average is taken exactly once.

Shapes: B sequences, T tokens, M learned positions, D hidden, V vocabulary.
"""

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora import backend, packed
from lendsafe.mlx_lora.tokens import Tokens

LOGIT_ROWS = 4096  # rows projected to the vocabulary at a time: 0.8 GB in float32 at Granite's 49,155


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


def cross_entropy(logits_MV: mx.array, targets_M: mx.array) -> mx.array:
    """Loss of each row in nats, ``(M,)``, reduced in float32 on every back end."""
    if backend.fused_cross_entropy():
        return mx.fast.cross_entropy(logits_MV, targets_M)
    logits_MV = logits_MV.astype(mx.float32)
    chosen = mx.take_along_axis(logits_MV, targets_M[:, None], axis=-1)[:, 0]
    return mx.logsumexp(logits_MV, axis=-1) - chosen


def _projected_loss(model: nn.Module, hidden_MD: mx.array, targets_M: mx.array) -> mx.array:
    """Project to the vocabulary and sum the loss, a chunk of rows at a time if there are many."""
    rows = hidden_MD.shape[0]
    if rows <= LOGIT_ROWS:
        return cross_entropy(_logits(model, hidden_MD), targets_M).sum()
    total = mx.array(0.0)
    chunk = mx.checkpoint(lambda h, t: cross_entropy(_logits(model, h), t).sum())
    for start in range(0, rows, LOGIT_ROWS):
        total = total + chunk(hidden_MD[start : start + LOGIT_ROWS], targets_M[start : start + LOGIT_ROWS])
    return total


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
