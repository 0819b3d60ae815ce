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

from lendsafe.mlx_lora.step.kernels import sum_of_rows

NOWHERE = -1
Index = dict[str, mx.array]  # "take", and "present" where some rows are zero
Map = dict[str, Index]  # "to" and "back"


def both_ways(index: np.ndarray, rows: int) -> Map:
    """A partial one-to-one map of rows and its transpose.

    Row ``m`` of the result is row ``index[m]`` of the input; where ``index[m]`` is ``NOWHERE`` it is some row, that
    nobody may read, and gets no gradient. Each input row is used at most once.

    Args:
        index: ``(M,)`` integers in ``[0, rows)`` or ``NOWHERE``.
        rows: Number of input rows, N.
    """
    inverse = np.full(rows, NOWHERE, dtype=np.int32)
    used = index != NOWHERE
    inverse[index[used]] = np.flatnonzero(used)
    return {"to": _index(index), "back": _index(inverse)}


def reversed_map(way: Map) -> Map:
    """The transpose of a map."""
    return {"to": way["back"], "back": way["to"]}


def move(x: mx.array, way: Map) -> mx.array:
    """Map ``(N, ...)`` to ``(M, ...)``; the backward pass is the transposed map, with zeros where nothing goes."""

    @mx.custom_function
    def moved(x: mx.array) -> mx.array:
        return x[way["to"]["take"]]

    @moved.vjp
    def moved_vjp(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        return _gather(cotangent, way["back"])

    return moved(x)  # type: ignore[return-value]  # its stub says object


def _index(index: np.ndarray) -> Index:
    nowhere = index == NOWHERE
    found = {"take": mx.array(np.where(nowhere, 0, index).astype(np.int32))}
    return found | ({"present": mx.array(~nowhere)} if nowhere.any() else {})


def _gather(x: mx.array, index: Index) -> mx.array:
    y = x[index["take"]]
    if "present" not in index:
        return y
    return mx.where(index["present"].reshape(-1, *[1] * (x.ndim - 1)), y, mx.zeros_like(y))


def copy_to_slots(x_ND: mx.array, rows_S: mx.array, slots_NK: mx.array, *, kernel: bool = False) -> mx.array:
    """Copy each row to its K slots: ``(N, D)`` to ``(S, D)``.

    Args:
        x_ND: Rows.
        rows_S: Row that goes to each slot; any, where a slot stays unused.
        slots_NK: The K slots of each row.
        kernel: Whether the backward pass adds up in a kernel.
    """

    @mx.custom_function
    def copy(x_ND: mx.array) -> mx.array:
        return x_ND[rows_S]

    @copy.vjp
    def copy_vjp(primal: Any, cotangent_SD: mx.array, output: Any) -> mx.array:
        return sum_of_rows(cotangent_SD, slots_NK, kernel=kernel)

    return copy(x_ND)  # type: ignore[return-value]  # its stub says object


def sum_slots(y_SD: mx.array, rows_S: mx.array, slots_NK: mx.array, *, kernel: bool = False) -> mx.array:
    """Add up each row's K slots, in float32: ``(S, D)`` to ``(N, D)``. The transpose of the above.

    The gradient of an unused slot is that of some row: whoever fills such slots has to weigh them with zero.
    """

    @mx.custom_function
    def add(y_SD: mx.array) -> mx.array:
        return sum_of_rows(y_SD, slots_NK, kernel=kernel)

    @add.vjp
    def add_vjp(primal: Any, cotangent_ND: mx.array, output: Any) -> mx.array:
        return cotangent_ND[rows_S]

    return add(y_SD)  # type: ignore[return-value]  # its stub says object


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
