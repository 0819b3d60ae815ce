"""What a window of examples is trained for: a loss that sums over micro-batches, and what it is divided by.

Two of them. The next token: tokens' losses over tokens. And direct preference optimisation (DPO): pairs' losses
over pairs (Rafailov et al., 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward
Model", equation 7).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora.step.loss import learned_tokens, loss_sum, token_losses
from lendsafe.mlx_lora.step.packed import Techniques
from lendsafe.mlx_lora.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss as a sum and a count.

    Attributes:
        loss_sum: Of a model, a micro-batch of examples and techniques: a scalar, float32.
        count: What the sum over a window of examples is divided by.
    """

    loss_sum: Callable[[nn.Module, Sequence[Any], Techniques | None], mx.array]
    count: Callable[[Sequence[Any]], int]


NEXT_TOKEN = Objective(loss_sum, learned_tokens)


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
    """DPO's objective.

    Args:
        beta: How dear it is to leave the reference; above 0.
    """
    return Objective(partial(preference_loss_sum, beta=beta), len)


def preference_loss_sum(
    model: nn.Module, batch: Sequence[Pair], techniques: Techniques | None, *, beta: float
) -> mx.array:
    """Sum over pairs of ``-log sigmoid(beta * (margin - reference))``, in nats; the count is the pairs'."""
    references = mx.array([pair.reference for pair in batch])
    return mx.logaddexp(0.0, -beta * (margins(model, batch, techniques) - references)).sum()


def margins(model: nn.Module, batch: Sequence[Pair], techniques: Techniques | None) -> mx.array:
    """Log-probability of each chosen reply less that of the rejected one, in nats, ``(pairs,)``."""
    replies = [reply for pair in batch for reply in (pair.chosen, pair.rejected)]
    losses_M = token_losses(model, replies, techniques)
    ends = accumulate((learned_tokens([reply]) for reply in replies), initial=0)
    losses = mx.stack([losses_M[start:end].sum() for start, end in pairwise(ends)])
    return losses[1::2] - losses[0::2]
