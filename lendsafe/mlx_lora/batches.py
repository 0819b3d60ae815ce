"""Examples to optimiser windows to micro-batches.

The window (batch size times accumulation) fixes the gradient. How it is cut into micro-batches is a
matter of memory and speed and changes nothing but rounding.
"""

import hashlib
from collections.abc import Sequence

from lendsafe.mlx_lora.tokens import Tokens


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """A permutation of ``range(count)`` that depends on seed and epoch alone."""
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}/{epoch}/{i}".encode()).digest())


def windows(count: int, window: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch as optimiser windows of example numbers: every example once, the last window short."""
    order = epoch_order(count, seed, epoch)
    return [order[start : start + window] for start in range(0, count, window)]


def micro_batches(examples: Sequence[Tokens], budget: int) -> list[list[Tokens]]:
    """Cut a window into micro-batches of at most ``budget`` tokens, similar lengths together.

    An example longer than the budget gets a micro-batch of its own.
    """
    cut: list[list[Tokens]] = []
    used = 0
    for example in sorted(examples, key=len):
        if not cut or used + len(example) > budget:
            cut.append([])
            used = 0
        cut[-1].append(example)
        used += len(example)
    return cut


def optimiser_steps(count: int, window: int, epochs: int) -> int:
    """Optimiser steps of a run: every epoch ends with a short window if need be."""
    return epochs * -(-count // window)
