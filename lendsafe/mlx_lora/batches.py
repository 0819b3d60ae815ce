"""Examples to optimiser windows to micro-batches.

The window (batch size times accumulation) fixes the gradient. How it is cut into micro-batches is a
matter of memory and speed and changes nothing but rounding.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from lendsafe.mlx_lora.tokens import Tokens


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """A permutation of ``range(count)`` that depends on seed and epoch alone."""
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}/{epoch}/{i}".encode()).digest())


def windows(count: int, window: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch as optimiser windows of example numbers: every example once, the last window short."""
    order = epoch_order(count, seed, epoch)
    return [order[start : start + window] for start in range(0, count, window)]


def micro_batches(examples: Sequence[Tokens], budget: int, workers: int = 1) -> list[list[Tokens]]:
    """Cut a window into micro-batches of about equal work, similar lengths together.

    Args:
        examples: A window, or one process's share of it.
        budget: Most tokens at a time, in all micro-batches that are computed side by side. A longer example
            gets a micro-batch of its own.
        workers: Micro-batches that are computed side by side; their number is a multiple of it if there are
            enough examples.
    """
    ordered = sorted(examples, key=len)
    limit = max(budget // workers, 1)
    rounds = max(-(-sum(map(len, examples)) // (limit * workers)), 1)
    while True:
        cut = _even_parts(ordered, rounds * workers)
        if all(len(part) == 1 or sum(map(len, part)) <= limit for part in cut):
            return cut
        rounds += 1


def _even_parts(ordered: Sequence[Tokens], parts: int) -> list[list[Tokens]]:
    """Cut a list into ``parts`` of about as many tokens each; none is empty, so there may be fewer."""
    ends = np.cumsum([len(one) for one in ordered])
    middles = ends - np.array([len(one) for one in ordered]) / 2
    places = (middles * parts / ends[-1]).astype(int) if len(ordered) > parts else np.arange(len(ordered))
    cut: dict[int, list[Tokens]] = {}
    for place, one in zip(places.tolist(), ordered, strict=True):
        cut.setdefault(place, []).append(one)
    return list(cut.values())


def optimiser_steps(count: int, window: int, epochs: int) -> int:
    """Optimiser steps of a run: every epoch ends with a short window if need be."""
    return epochs * -(-count // window)
