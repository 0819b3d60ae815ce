"""Whole numbers with exact margins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.corpus.quotas import fit_table, largest_remainder, spread


@given(st.integers(0, 500), st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_largest_remainder_sums_to_the_total_and_is_off_by_less_than_one(total, weights):
    counts = largest_remainder(total, weights)
    assert sum(counts) == total
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1


@given(st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_a_fitted_table_has_exactly_the_margins(total, seed):
    rng = np.random.default_rng(seed)
    shape = (3, 3, 3)
    margins = [(1 + np.bincount(rng.integers(0, size, total), minlength=size)).tolist() for size in shape]
    table = fit_table(margins, rng.integers(0, 9, shape).astype(float))
    assert (table >= 0).all()
    for axis, wanted in enumerate(margins):
        others = tuple(one for one in range(3) if one != axis)
        assert table.sum(axis=others).tolist() == wanted


def test_a_table_that_has_the_margins_already_stays_as_it_is():
    observed = np.array([[3.0, 1.0], [2.0, 4.0]])
    assert fit_table([[4, 6], [5, 5]], observed).tolist() == observed.tolist()


def test_spread_is_in_proportion():
    assert spread(6, {(0,): 10, (1,): 20}) == {(0,): 2, (1,): 4}
