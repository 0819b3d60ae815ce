"""What a window of examples is trained for: a loss that sums over micro-batches, and what it is divided by.

Two of them. The next token: tokens' losses over tokens. And direct preference optimisation (DPO): pairs' losses
over pairs (Rafailov et al., 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward
Model", equation 7).

Shapes: M learned positions, S sequences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora.step.forward import forward_of
from lendsafe.mlx_lora.step.layout import Arrays, Extent, filled
from lendsafe.mlx_lora.step.loss import learned_tokens, placed_losses
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss as a sum and a count.

    Attributes:
        replies: The sequences of a micro-batch of examples.
        arrays: What else the loss asks for, of a micro-batch; shapes follow from its extent.
        loss: Sum over a micro-batch, from the loss of each learned token, ``(M,)``, and those arrays.
        count: What the sum over a window of examples is divided by.
    """

    replies: Callable[[Sequence[Any]], Sequence[Tokens]]
    arrays: Callable[[Sequence[Any], Extent], Arrays]
    loss: Callable[[mx.array, Arrays], mx.array]
    count: Callable[[Sequence[Any]], int]


NEXT_TOKEN = Objective(
    replies=lambda batch: batch,
    arrays=lambda batch, extent: {},  # noqa: ARG005  # nothing else
    loss=lambda losses_M, arrays: losses_M.sum(),  # noqa: ARG005
    count=learned_tokens,
)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two replies to one prompt, the one better than the other.

    Attributes:
        chosen: The better one.
        rejected: The other one.
        reference: Log-probability of the chosen reply less that of the rejected one, in nats, under the model that
            training began with.
    """

    chosen: Tokens
    rejected: Tokens
    reference: float = 0.0

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)


def preference(beta: float) -> Objective:
    """DPO: the sum over pairs of ``-log sigmoid(beta * (margin - reference))``, in nats; the count is the pairs'.

    Args:
        beta: How dear it is to leave the reference; above 0.
    """

    def loss(losses_M: mx.array, arrays: Arrays) -> mx.array:
        return mx.logaddexp(0.0, -beta * (_margins(losses_M, arrays) - arrays["references"])).sum()

    return Objective(_replies, _arrays, loss, len)


def margins(model: nn.Module, batch: Sequence[Pair], techniques: Techniques) -> mx.array:
    """Log-probability of each chosen reply less that of the rejected one, in nats, ``(pairs,)``."""
    forward = forward_of(model, techniques)
    placed = forward.layout(_replies(batch))
    losses_M = placed_losses(forward, placed.extent, placed.arrays, fuse=techniques.fuse_loss)
    return _margins(losses_M, _arrays(batch, placed.extent))


def _replies(batch: Sequence[Pair]) -> list[Tokens]:
    return [reply for pair in batch for reply in (pair.chosen, pair.rejected)]


def _arrays(batch: Sequence[Pair], extent: Extent) -> Arrays:
    """References, and the sequence of each learned row; rows that were added have no loss and go to the first."""
    sequences = np.repeat(np.arange(2 * len(batch)), [learned_tokens([one]) for one in _replies(batch)])
    return {
        "references": mx.array([pair.reference for pair in batch]),
        "sequences": mx.array(filled(sequences, extent.learned, 0).astype(np.int32)),
    }


def _margins(losses_M: mx.array, arrays: Arrays) -> mx.array:
    losses_S = mx.zeros(2 * arrays["references"].size).at[arrays["sequences"]].add(losses_M)
    return losses_S[1::2] - losses_S[0::2]
