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


def micro_batches(
    examples: Sequence[Tokens], budget: int, workers: int = 1, *, sort: bool = True
) -> list[list[Tokens]]:
    """Cut a window, or one process's share of it, into micro-batches (:func:`cut`)."""
    parts = cut([len(one) for one in examples], budget, workers, sort=sort)
    return [[examples[i] for i in part] for part in parts]


def cut(lengths: Sequence[int], budget: int, workers: int = 1, *, sort: bool = True) -> list[list[int]]:
    """Cut examples into micro-batches of about equal work.

    Args:
        lengths: Tokens of each example.
        budget: Most tokens at a time, in all micro-batches that are computed side by side. A longer example
            gets a micro-batch of its own.
        workers: Micro-batches that are computed side by side; their number is a multiple of it if there are
            enough examples.
        sort: Put similar lengths together.

    Returns:
        The examples' numbers, by micro-batch.
    """
    if not lengths:
        return []
    ordered = sorted(range(len(lengths)), key=lambda i: lengths[i] if sort else 0)
    limit = max(budget // workers, 1)
    rounds = max(-(-sum(lengths) // (limit * workers)), 1)
    while True:
        parts = _even_parts(ordered, lengths, rounds * workers)
        if all(len(part) == 1 or sum(lengths[i] for i in part) <= limit for part in parts):
            return parts
        rounds += 1


def _even_parts(ordered: Sequence[int], lengths: Sequence[int], parts: int) -> list[list[int]]:
    """Cut numbers into ``parts`` of about as many tokens each; none is empty, so there may be fewer."""
    sizes = np.array([lengths[i] for i in ordered])
    middles = np.cumsum(sizes) - sizes / 2
    places = (middles * parts / sizes.sum()).astype(int) if len(ordered) > parts else np.arange(len(ordered))
    found: dict[int, list[int]] = {}
    for place, number in zip(places.tolist(), ordered, strict=True):
        found.setdefault(place, []).append(number)
    return list(found.values())


def optimiser_steps(count: int, window: int, epochs: int) -> int:
    """Optimiser steps of a run: every epoch ends with a short window if need be."""
    return epochs * -(-count // window)
