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
        moved: mx.array = self._move(x)
        return moved


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
def copy_to_pairs(x_ND: mx.array, order_P: mx.array, inverse_P: mx.array) -> mx.array:
    """Copy each row to its K pairs, in sorted order: ``(N, D)`` to ``(N * K, D)``.

    Args:
        x_ND: Rows.
        order_P: Pair at each sorted position; pair ``p`` belongs to row ``p // K``.
        inverse_P: Sorted position of each pair.
    """
    return x_ND[order_P // (order_P.size // x_ND.shape[0])]


@copy_to_pairs.vjp
def _copy_to_pairs_vjp(primals: Any, cotangent_PD: mx.array, output: Any) -> Any:
    x_ND, order_P, inverse_P = primals
    grad = cotangent_PD[inverse_P].reshape(x_ND.shape[0], -1, x_ND.shape[1]).sum(axis=1)
    return grad, mx.zeros_like(order_P), mx.zeros_like(inverse_P)


@mx.custom_function
def sum_pairs(y_PD: mx.array, order_P: mx.array, inverse_P: mx.array, rows: mx.array) -> mx.array:
    """Add up each row's K pairs: ``(N * K, D)`` in sorted order to ``(N, D)``. The transpose of the above.

    Args:
        y_PD: One row per pair, sorted.
        order_P: Pair at each sorted position.
        inverse_P: Sorted position of each pair.
        rows: ``(N, 0)``; its first dimension says N.
    """
    return y_PD[inverse_P].reshape(rows.shape[0], -1, y_PD.shape[1]).sum(axis=1)


@sum_pairs.vjp
def _sum_pairs_vjp(primals: Any, cotangent_ND: mx.array, output: Any) -> Any:
    _, order_P, inverse_P, rows = primals
    grad = cotangent_ND[order_P // (order_P.size // rows.shape[0])]
    return grad, mx.zeros_like(order_P), mx.zeros_like(inverse_P), mx.zeros_like(rows)


@mx.custom_function
def permute_rows(x_PD: mx.array, order_P: mx.array, inverse_P: mx.array) -> mx.array:
    """Reorder rows by a permutation; the backward pass is the inverse permutation."""
    return x_PD[order_P]


@permute_rows.vjp
def _permute_rows_vjp(primals: Any, cotangent_PD: mx.array, output: Any) -> Any:
    _, order_P, inverse_P = primals
    return cotangent_PD[inverse_P], mx.zeros_like(order_P), mx.zeros_like(inverse_P)
