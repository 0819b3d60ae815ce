"""Where the (row, expert) pairs of a mixture go, so that each expert's rows lie together.

Each expert's rows fill whole blocks; the rest of its last block stays unused. The number of blocks depends on
the sizes alone, never on the counts, so that nothing has to wait for the router's choice: the graph stays
lazy, and a step never reads back from the device. With blocks of one row this is a plain sort.

Shapes: N rows, K experts per row, P = N * K pairs, S slots, E experts.
"""

from functools import lru_cache
from typing import Any

import mlx.core as mx
import numpy as np

from lendsafe.mlx_lora.step.layers import Blocks
from lendsafe.mlx_lora.step.rows import pairs_to_slots


class Route:
    """The way of each pair to its slot.

    Attributes:
        blocks: Expert of each block of slots.
        rows_S: Row in each slot; unused slots hold some row, with a gate of zero.
        slots_NK: Slots of each row.

    Args:
        experts_NK: Experts chosen for each row.
        experts: E.
        block: Rows in a block.
    """

    def __init__(self, experts_NK: mx.array, experts: int, block: int) -> None:
        rows, copies = experts_NK.shape
        pairs = rows * copies
        flat_P = mx.stop_gradient(experts_NK).flatten()
        order_P = mx.argsort(flat_P)
        inverse_P = mx.argsort(order_P)
        if block == 1:
            pairs_S, slots_P, self._used_S = order_P, inverse_P, None
            self.blocks = Blocks(flat_P[order_P], 1)
        else:
            blocks = (pairs + min(experts, pairs) * (block - 1)) // block
            counts_E = (flat_P[:, None] == _numbers(experts)).sum(axis=0).astype(mx.int32)
            sizes_E = (counts_E + block - 1) // block * block
            ends_E = mx.cumsum(sizes_E)
            begins_E, firsts_E = ends_E - sizes_E, mx.cumsum(counts_E) - counts_E
            shifts_E = begins_E - firsts_E  # from an expert's place among the sorted pairs to its slots
            slots_P = inverse_P + shifts_E[flat_P]
            starts = _numbers(blocks, block)
            owners = mx.minimum((starts[:, None] >= ends_E).sum(axis=1), experts - 1).astype(mx.uint32)
            owners_S = mx.repeat(owners, block)
            slots_S = _numbers(blocks * block)
            self._used_S = slots_S < (begins_E + counts_E)[owners_S]
            pairs_S = order_P[mx.where(self._used_S, slots_S - shifts_E[owners_S], 0)]
            self.blocks = Blocks(owners, block)
        self.rows_S = pairs_S // copies
        self.slots_NK = slots_P.reshape(rows, copies)
        self._pairs_S = pairs_S

    def gates(self, gates_NK: mx.array) -> mx.array:
        """The gate of each slot, ``(S, 1)``; zero where nothing counts."""
        gates_S: Any = pairs_to_slots(gates_NK.flatten(), self._pairs_S, self.slots_NK.flatten())
        if self._used_S is not None:
            gates_S = mx.where(self._used_S, gates_S, mx.zeros_like(gates_S))
        column: mx.array = gates_S[:, None]
        return column


@lru_cache(maxsize=64)
def _numbers(count: int, step: int = 1) -> mx.array:
    """0, ``step``, ...: a constant, not an operation of every layer."""
    return mx.array(np.arange(0, count * step, step, dtype=np.int32))
