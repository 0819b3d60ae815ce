"""Where each token of a micro-batch sits, worked out on the host.

A layout has two parts: its extent, plain numbers that fix the shapes of everything computed, and its arrays. So a
step compiled for one extent serves every micro-batch of that extent. To have few of them, sizes may be rounded up:
rows that are added belong to no sequence, get no gradient and are not counted by the loss.

Shapes: N flat tokens, P prefix tokens, B sequences, L longest own part, M learned positions, T padded length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from lendsafe.mlx_lora.step.rows import NOWHERE, both_ways
from lendsafe.mlx_lora.tokens import Tokens

Arrays = dict[str, Any]  # a tree of arrays

# Metal's attention has no gradient for eight queries or fewer (MLX 0.32.4), so neither prefix nor own part is shorter.
FEWEST_QUERIES = 16
# Sizes are rounded up: flat and learned rows to multiples of 256, the longest own part to odd multiples of 64. An even
# one would be a multiple of 128, where CUDA takes cuDNN's backward pass, which does not give the same bits twice.
ROWS, LENGTH = 256, 64


@dataclass(frozen=True)
class Extent:
    """Sizes of a micro-batch.

    Attributes:
        tokens: N, rows that were added included.
        learned: M, likewise.
        sequences: B.
        length: L of the packed way, T of the padded one.
        prefix: P.
        rounded: Whether sizes were rounded up.
    """

    tokens: int
    learned: int
    sequences: int
    length: int
    prefix: int = 0
    rounded: bool = False


@dataclass(frozen=True)
class Layout:
    """Extent and arrays of a micro-batch; the arrays' names are those that the forward pass asks for."""

    extent: Extent
    arrays: Arrays


def packed(batch: Sequence[Tokens], *, share_prefix: bool = True, rounded: bool = False) -> Layout:
    """All tokens on one flat axis, the shared prefix first and once.

    Args:
        batch: Sequences with at least one learned token each.
        share_prefix: Whether to place the common prefix once.
        rounded: Whether to round sizes up.
    """
    inputs = [one.ids[:-1] for one in batch]
    prefix = shared(batch) if share_prefix else 0
    own = [len(ids) - prefix for ids in inputs]
    starts = np.cumsum([0, *own[:-1]])
    extent = extent_of(own, [len(one) - one.reply_start for one in batch], prefix, rounded=rounded)
    length = extent.length
    padded = np.full((len(batch), length), NOWHERE)
    rows, slots = [], []
    for b, (one, n, start) in enumerate(zip(batch, own, starts, strict=True)):
        padded[b, :n] = start + np.arange(n)
        learned = np.arange(one.reply_start - 1, len(one.ids) - 1) - prefix  # predicts the next token
        rows.append(start + learned)
        slots.append(b * length + learned)
    slots_M = filled(np.concatenate(slots), extent.learned)
    slot_of_row = np.full(len(batch) * length, NOWHERE)
    slot_of_row[np.concatenate(slots)] = np.arange(sum(map(len, rows)))
    flat = np.concatenate([inputs[0][:prefix], *(i[prefix:] for i in inputs)])
    positions = np.concatenate([np.arange(prefix), *(prefix + np.arange(n) for n in own)])
    arrays: Arrays = {
        "tokens": _integers(filled(flat, extent.tokens, 0)),
        "positions": _integers(filled(positions, extent.tokens, 0)),
        "own": both_ways(padded.ravel(), extent.tokens - prefix),
        "learned": both_ways(filled(prefix + np.concatenate(rows), extent.learned), extent.tokens),
        "own_learned": both_ways(slot_of_row, extent.learned),
        "positions_learned": _integers(prefix + np.maximum(slots_M, 0) % length),
    }
    return Layout(extent, arrays | _targets(batch, extent))


def padded(batch: Sequence[Tokens], *, rounded: bool = False) -> Layout:
    """One sequence a row, padded on the right."""
    width = max(len(one.ids) for one in batch) - 1
    width = odd_multiple(width) if rounded else width
    tokens = np.zeros((len(batch), width), np.int32)
    places = []
    for row, one in enumerate(batch):
        tokens[row, : len(one.ids) - 1] = one.ids[:-1]
        places.append(row * width + np.arange(one.reply_start - 1, len(one.ids) - 1))
    index = np.concatenate(places)
    learned = -(-len(index) // ROWS) * ROWS if rounded else len(index)
    extent = Extent(tokens.size, learned, len(batch), width, rounded=rounded)
    arrays: Arrays = {
        "tokens": mx.array(tokens),
        "learned": both_ways(filled(index, learned), tokens.size),
    }
    return Layout(extent, arrays | _targets(batch, extent))


def extent_of(own: Sequence[int], learned: Sequence[int], prefix: int, *, rounded: bool) -> Extent:
    """Extent of a packed micro-batch, from the inputs after the prefix and the learned tokens of each sequence."""
    tokens, targets, length = prefix + sum(own), sum(learned), max(*own, FEWEST_QUERIES)
    if rounded:
        tokens, targets = -(-tokens // ROWS) * ROWS, -(-targets // ROWS) * ROWS
        length = odd_multiple(length)
    return Extent(tokens, targets, len(own), length, prefix, rounded)


def common_prefix(batch: Sequence[Tokens]) -> int:
    """Length of the prefix that all sequences share; the position before each reply stays outside."""
    first = batch[0].ids
    limit = min(one.reply_start - 1 for one in batch)
    for one in batch[1:]:
        differing = np.flatnonzero(first[:limit] != one.ids[:limit])
        limit = int(differing[0]) if differing.size else limit
    return limit


def shared(batch: Sequence[Tokens]) -> int:
    """Length of the prefix that is computed once: the common one of several sequences, or none if it is short."""
    return worth_sharing(common_prefix(batch), len(batch))


def worth_sharing(prefix: int, sequences: int) -> int:
    """What of a common prefix is computed once: all, or nothing; all but one of a multiple of 128 (:data:`LENGTH`)."""
    if sequences < 2 or prefix < FEWEST_QUERIES:
        return 0
    return prefix - (prefix % (2 * LENGTH) == 0)


def odd_multiple(length: int) -> int:
    """A length rounded up to an odd multiple of 64."""
    return (-(-(length - LENGTH) // (2 * LENGTH)) * 2 + 1) * LENGTH if length > LENGTH else LENGTH


def filled(index: np.ndarray, size: int, value: int = NOWHERE) -> np.ndarray:
    """An index with ``value`` added at its end, up to a size."""
    return np.concatenate([index, np.full(size - len(index), value)])


def _targets(batch: Sequence[Tokens], extent: Extent) -> Arrays:
    """What is to be predicted, and, where rows were added, which rows count."""
    targets = np.concatenate([one.ids[one.reply_start :] for one in batch])
    found: Arrays = {"targets": _integers(filled(targets, extent.learned, 0))}
    if extent.rounded:
        found["counted"] = mx.array((np.arange(extent.learned) < len(targets)).astype(np.float32))
    return found


def _integers(numbers: np.ndarray) -> mx.array:
    return mx.array(numbers.astype(np.int32))
