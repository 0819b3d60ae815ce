"""Row movements equal plain gathers, forwards and backwards, and their backward pass is a movement."""

import mlx.core as mx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.mlx_lora.rows import NOWHERE, RowMap, copy_to_pairs, permute_rows, sum_pairs

quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def forward_and_gradient(function, x, weights):
    """Value, and the gradient of its sum weighted by ``weights``."""
    value, (grad,) = mx.vjp(function, [mx.array(x)], [mx.array(weights)])
    return np.array(value[0]), np.array(grad)


def assert_same(moved, plain, x, weights):
    for got, expected in zip(
        forward_and_gradient(moved, x, weights), forward_and_gradient(plain, x, weights), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@quick
@given(seed=seeds, rows=st.integers(1, 12), extra=st.integers(0, 5))
def test_a_row_map_equals_a_gather_with_zeros_where_nothing_goes(seed, rows, extra):
    rng = np.random.default_rng(seed)
    index = np.concatenate([np.arange(rows), np.full(extra, NOWHERE)])
    index = rng.permutation(index)[: rng.integers(1, rows + extra + 1)]
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    weights = rng.normal(size=(len(index), 3)).astype(np.float32)
    present = mx.array((index != NOWHERE).astype(np.float32))[:, None]
    assert_same(RowMap(index, rows), lambda x: x[mx.array(np.maximum(index, 0))] * present, x, weights)


def test_a_row_map_by_hand():
    x = mx.array([[1.0], [2.0], [3.0]])
    assert RowMap(np.array([2, NOWHERE, 0]), 3)(x).tolist() == [[3.0], [0.0], [1.0]]
    grad = mx.vjp(RowMap(np.array([2, NOWHERE, 0]), 3), [x], [mx.array([[10.0], [20.0], [30.0]])])[1][0]
    assert grad.tolist() == [[30.0], [0.0], [10.0]]


def sorted_pairs(rng, rows, copies):
    order = np.argsort(rng.integers(0, 5, rows * copies), kind="stable")
    return mx.array(order.astype(np.int32)), mx.array(np.argsort(order).astype(np.int32))


@quick
@given(seed=seeds, rows=st.integers(1, 9), copies=st.integers(1, 4))
def test_copying_rows_to_pairs_equals_a_gather(seed, rows, copies):
    rng = np.random.default_rng(seed)
    order, inverse = sorted_pairs(rng, rows, copies)
    x, weights = (rng.normal(size=(n, 3)).astype(np.float32) for n in (rows, rows * copies))
    assert_same(lambda x: copy_to_pairs(x, order, inverse), lambda x: x[order // copies], x, weights)


@quick
@given(seed=seeds, rows=st.integers(1, 9), copies=st.integers(1, 4))
def test_summing_pairs_is_the_transpose_of_copying(seed, rows, copies):
    rng = np.random.default_rng(seed)
    order, inverse = sorted_pairs(rng, rows, copies)
    y, weights = (rng.normal(size=(n, 3)).astype(np.float32) for n in (rows * copies, rows))
    of = mx.zeros((rows, 0))
    assert_same(
        lambda y: sum_pairs(y, order, inverse, of),
        lambda y: y[inverse].reshape(rows, copies, 3).sum(axis=1),
        y,
        weights,
    )


@quick
@given(seed=seeds, rows=st.integers(1, 20))
def test_permuting_rows_equals_a_gather(seed, rows):
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows).astype(np.int32)
    inverse = mx.array(np.argsort(order).astype(np.int32))
    x, weights = (rng.normal(size=(rows, 3)).astype(np.float32) for _ in range(2))
    assert_same(lambda x: permute_rows(x, mx.array(order), inverse), lambda x: x[mx.array(order)], x, weights)


def test_no_backward_pass_scatters():
    """A scatter adds in whichever order a GPU's threads arrive; a gather always gives the same bits."""
    order, inverse = sorted_pairs(np.random.default_rng(0), 4, 2)
    of = mx.zeros((4, 0))
    movements = {
        4: (
            RowMap(np.array([3, 0, NOWHERE]), 4),
            lambda x: copy_to_pairs(x, order, inverse),
        ),
        8: (
            lambda x: sum_pairs(x, order, inverse, of),
            lambda x: permute_rows(x, order, inverse),
        ),
    }
    for rows, functions in movements.items():
        for function in functions:
            graph = primitives(mx.grad(lambda x, f=function: (f(x) ** 2).sum())(mx.ones((rows, 2))))
            assert "Gather" in graph
            assert "Scatter" not in graph
    assert "Scatter" in primitives(mx.grad(lambda x: (x[order] ** 2).sum())(mx.ones((8, 2))))


def primitives(array: mx.array) -> str:
    """The operations that lead to an array, as text."""
    import io

    graph = io.StringIO()
    mx.export_to_dot(graph, array)
    return graph.getvalue()
