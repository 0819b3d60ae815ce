"""Row movements whose backward pass is a movement too.

MLX's gather has a scatter-add for a backward pass: atomics on a GPU, so the order of additions, and
with it the last bits, changes from run to run. Every movement here is a partial permutation, or the
copy of a row to each of its experts, so its transpose is again a gather (and a sum over a short axis):
deterministic, and faster.

Shapes: N rows in, M rows out, K copies.
"""

from typing import Any

import mlx.core as mx
import numpy as np

NOWHERE = -1


class RowMap:
    """A partial one-to-one map of rows: row ``m`` of the result is row ``index[m]`` of the input.

    Where ``index[m]`` is ``NOWHERE`` the result is zero. Each input row is used at most once.

    Args:
        index: ``(M,)`` integers in ``[0, rows)`` or ``NOWHERE``.
        rows: Number of input rows, N.
    """

    def __init__(self, index: np.ndarray, rows: int) -> None:
        inverse = np.full(rows, NOWHERE, dtype=np.int32)
        used = index != NOWHERE
        inverse[index[used]] = np.flatnonzero(used)
        self._forward = _gather(index)
        self._backward = _gather(inverse)

        @mx.custom_function
        def move(x: mx.array) -> mx.array:
            return self._forward(x)

        @move.vjp
        def move_vjp(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
            return self._backward(cotangent)

        self._move = move

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``(N, ...)`` to ``(M, ...)``."""
        return self._move(x)  # type: ignore[return-value]  # its stub says object


def _gather(index: np.ndarray) -> Any:
    """A function that gathers rows, with zeros where the index is ``NOWHERE``."""
    nowhere = index == NOWHERE
    take = mx.array(np.where(nowhere, 0, index).astype(np.int32))
    present = mx.array(~nowhere) if nowhere.any() else None

    def gather(x: mx.array) -> mx.array:
        y = x[take]
        if present is None:
            return y
        return mx.where(present.reshape(-1, *[1] * (x.ndim - 1)), y, mx.zeros_like(y))

    return gather


@mx.custom_function
def copy_to_slots(x_ND: mx.array, rows_S: mx.array, slots_NK: mx.array) -> mx.array:
    """Copy each row to its K slots: ``(N, D)`` to ``(S, D)``.

    Args:
        x_ND: Rows.
        rows_S: Row that goes to each slot; any, where a slot stays unused.
        slots_NK: The K slots of each row.
    """
    return x_ND[rows_S]


@copy_to_slots.vjp
def _copy_to_slots_vjp(primals: Any, cotangent_SD: mx.array, output: Any) -> Any:
    _, rows_S, slots_NK = primals
    return cotangent_SD[slots_NK].sum(axis=1), mx.zeros_like(rows_S), mx.zeros_like(slots_NK)


@mx.custom_function
def sum_slots(y_SD: mx.array, rows_S: mx.array, slots_NK: mx.array) -> mx.array:
    """Add up each row's K slots: ``(S, D)`` to ``(N, D)``. The transpose of the above.

    The gradient of an unused slot is that of some row: whoever fills such slots has to weigh them with zero.
    """
    return y_SD[slots_NK].sum(axis=1)


@sum_slots.vjp
def _sum_slots_vjp(primals: Any, cotangent_ND: mx.array, output: Any) -> Any:
    _, rows_S, slots_NK = primals
    return cotangent_ND[rows_S], mx.zeros_like(rows_S), mx.zeros_like(slots_NK)


@mx.custom_function
def pairs_to_slots(x_P: mx.array, pairs_S: mx.array, slots_P: mx.array) -> mx.array:
    """Move one number per pair to its slot: ``(P,)`` to ``(S,)``; unused slots get any pair's.

    Args:
        x_P: One number per (row, expert) pair.
        pairs_S: Pair that goes to each slot.
        slots_P: Slot of each pair.
    """
    return x_P[pairs_S]


@pairs_to_slots.vjp
def _pairs_to_slots_vjp(primals: Any, cotangent_S: mx.array, output: Any) -> Any:
    _, pairs_S, slots_P = primals
    return cotangent_S[slots_P], mx.zeros_like(pairs_S), mx.zeros_like(slots_P)
