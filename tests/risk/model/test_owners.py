"""Which rows belong together: identifiers, customers, copies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.risk.model import splits
from lendsafe.risk.model.owners import duplicates, owners

NAMES = np.array([f"A-{i}" for i in range(10)])


def content(*values):
    return np.array(values, dtype=np.uint64)


def test_rows_that_share_nothing_keep_their_names():
    assert owners(NAMES, np.arange(10, dtype=np.uint64)).tolist() == NAMES.tolist()


def test_rows_of_one_customer_and_copies_of_a_loan_belong_together():
    groups = ["x", "x", None, None, "y", "y", None, None, None, None]
    same = content(0, 1, 1, 3, 4, 5, 6, 7, 8, 9)  # rows 1 and 2 are copies
    found = owners(NAMES, same, groups)
    assert found.tolist() == ["A-0", "A-0", "A-0", "A-3", "A-4", "A-4", "A-6", "A-7", "A-8", "A-9"]
    assert duplicates(NAMES, same) == 1


def test_equal_rows_of_a_coarse_file_are_no_copies():
    assert owners(NAMES, content(*[1, 2] * 5)).tolist() == NAMES.tolist()


def test_a_row_twice_under_one_name_is_no_duplicate():
    assert duplicates(np.array(["A", "A", "B"]), content(1, 1, 2)) == 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=25), st.integers(0, 99))
def test_no_customer_is_on_both_sides(groups, seed):
    names = np.array([f"A-{i}" for i in range(len(groups))])
    owner = owners(names, np.arange(len(groups), dtype=np.uint64), groups)
    out = splits.held_out(list(owner), 0.5, seed)
    for group in set(groups):
        assert len({bool(out[i]) for i, one in enumerate(groups) if one == group}) == 1


@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), st.floats(0.1, 0.5))
def test_the_latest_days_are_held_out_whole(numbers, share):
    dates = np.datetime64("2025-01-01") + np.array(numbers)
    out = splits.latest(dates, share)
    if out.any() and not out.all():
        assert dates[out].min() > dates[~out].max()
    days = len(set(numbers))
    assert out.any() == (days > 1)
    assert out.mean() <= share or set(dates[out]) == {dates.max()}
