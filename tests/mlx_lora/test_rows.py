"""Row movements equal plain gathers, forwards and backwards, and their backward pass is a movement."""

import math

import mlx.core as mx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.mlx_lora.step.kernels import sum_of_rows
from lendsafe.mlx_lora.step.pointwise import row_sums
from lendsafe.mlx_lora.step.routing import Route
from lendsafe.mlx_lora.step.rows import NOWHERE, both_ways, copy_to_slots, move, reversed_map, sum_slots


def row_map(index, rows):
    """A map whose rows from nowhere are not read."""
    way, present = both_ways(index, rows), mx.array((index != NOWHERE).astype(np.float32))[:, None]
    return lambda x: move(x, way) * present


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
    assert_same(row_map(index, rows), lambda x: x[mx.array(np.maximum(index, 0))] * present, x, weights)


def test_a_row_map_by_hand():
    x = mx.array([[1.0], [2.0], [3.0]])
    assert row_map(np.array([2, NOWHERE, 0]), 3)(x).tolist() == [[3.0], [0.0], [1.0]]
    grad = mx.vjp(row_map(np.array([2, NOWHERE, 0]), 3), [x], [mx.array([[10.0], [20.0], [30.0]])])[1][0]
    assert grad.tolist() == [[30.0], [0.0], [10.0]]


def route(rng, rows, copies, block):
    return Route(mx.array(rng.integers(0, 5, (rows, copies)).astype(np.int32)), 5, block)


sizes = {"rows": st.integers(1, 9), "copies": st.integers(1, 4), "block": st.sampled_from([1, 2, 4])}


@quick
@given(seed=seeds, **sizes)
def test_every_pair_gets_a_slot_of_its_own_in_a_block_of_its_expert(seed, rows, copies, block):
    rng = np.random.default_rng(seed)
    experts = rng.integers(0, 5, (rows, copies)).astype(np.int32)
    way = Route(mx.array(experts), 5, block)
    slots, owners = np.array(way.slots_NK), np.repeat(np.array(way.blocks.experts), block)
    assert len(set(slots.ravel().tolist())) == rows * copies
    np.testing.assert_array_equal(owners[slots], experts)
    assert (np.diff(owners) >= 0).all()
    assert (np.array(way.rows_S)[slots] == np.arange(rows)[:, None]).all()
    gates = np.array(way.gates(mx.ones((rows, copies))))[:, 0]
    assert gates[slots].min() == 1
    assert gates.sum() == rows * copies


@quick
@given(seed=seeds, **sizes)
def test_copying_rows_to_slots_equals_a_gather(seed, rows, copies, block):
    rng = np.random.default_rng(seed)
    way = route(rng, rows, copies, block)
    used = np.array(way.gates(mx.ones((rows, copies))))
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    weights = rng.normal(size=(len(used), 3)).astype(np.float32) * used
    assert_same(lambda x: copy_to_slots(x, way.rows_S, way.slots_NK), lambda x: x[way.rows_S], x, weights)


@quick
@given(seed=seeds, **sizes)
def test_summing_slots_is_the_transpose_of_copying(seed, rows, copies, block):
    rng = np.random.default_rng(seed)
    way = route(rng, rows, copies, block)
    used = way.gates(mx.ones((rows, copies)))
    y = rng.normal(size=(used.size, 3)).astype(np.float32)
    weights = rng.normal(size=(rows, 3)).astype(np.float32)
    assert_same(
        lambda y: sum_slots(y * used, way.rows_S, way.slots_NK),
        lambda y: (y * used)[way.slots_NK].sum(axis=1),
        y,
        weights,
    )


@quick
@given(seed=seeds, **sizes)
def test_the_gate_of_a_slot_is_that_of_its_pair(seed, rows, copies, block):
    rng = np.random.default_rng(seed)
    way = route(rng, rows, copies, block)
    gates = rng.normal(size=(rows, copies)).astype(np.float32)
    moved, grad = forward_and_gradient(way.gates, gates, np.ones((way.rows_S.size, 1), np.float32))
    np.testing.assert_array_equal(moved[np.array(way.slots_NK), 0], gates)
    np.testing.assert_array_equal(grad, np.ones_like(gates))


def test_no_backward_pass_scatters():
    """A scatter adds in whichever order a GPU's threads arrive; a gather always gives the same bits."""
    way = route(np.random.default_rng(0), 4, 2, 2)
    slots = way.rows_S.size
    movements = [
        (4, row_map(np.array([3, 0, NOWHERE]), 4)),
        (4, lambda x: copy_to_slots(x, way.rows_S, way.slots_NK)),
        (slots, lambda x: sum_slots(x, way.rows_S, way.slots_NK)),
        (4, way.gates),
    ]
    for rows, function in movements:
        graph = primitives(mx.grad(lambda x, f=function: (f(x) ** 2).sum())(mx.ones((rows, 2))))
        assert "Gather" in graph
        assert "Scatter" not in graph
    assert "Scatter" in primitives(mx.grad(lambda x: (x[way.slots_NK] ** 2).sum())(mx.ones((slots, 2))))


def primitives(array: mx.array) -> str:
    """The operations that lead to an array, as text."""
    import io

    graph = io.StringIO()
    mx.export_to_dot(graph, array)
    return graph.getvalue()


@quick
@given(seed=seeds, rows=st.integers(1, 12), extra=st.integers(0, 5))
def test_the_way_back_is_the_transpose(seed, rows, extra):
    rng = np.random.default_rng(seed)
    index = rng.permutation(np.concatenate([np.arange(rows), np.full(extra, NOWHERE)]))
    way, x = both_ways(index, rows), mx.array(rng.normal(size=(rows, 2)))
    np.testing.assert_array_equal(np.array(move(move(x, way), reversed_map(way))), np.array(x))


def test_rows_from_nowhere_get_no_gradient():
    way = both_ways(np.array([1, NOWHERE, 0]), 3)
    grad = mx.vjp(lambda x: move(x, way), [mx.ones((3, 1))], [mx.array([[1.0], [math.nan], [3.0]])])[1][0]
    assert grad.tolist() == [[3.0], [1.0], [0.0]]


def reduced(function, *arrays: mx.array) -> list[mx.Dtype]:
    """Types of the numbers that a function adds up."""
    found = []

    def see(entry):
        if entry["type"] == "primitive" and entry["name"] == "Reduce":
            found.append(entry["inputs"][0][2])

    mx.export_function(see, function, *arrays)
    return found


def test_half_precision_is_added_up_in_single_precision():
    """Metal reduces in the type it is given: 512 products, or a row's experts, would be added in float16."""
    half, slots = mx.ones((6, 512), mx.float16), mx.array([[0, 3], [1, 2]])
    for function in (row_sums, lambda x: sum_of_rows(x, slots, kernel=False)):
        assert reduced(function, half) == [mx.float32]
        assert function(half).dtype == mx.float16
