"""Applications known again by their content: order, names, types and one row more change nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_cases import people, small_engine

from lendsafe.corpus import process
from lendsafe.errors import RefusedError
from lendsafe.product import consumer
from lendsafe.risk import dataset
from lendsafe.risk.model import seen

rows = st.lists(st.integers(0, 6), max_size=30)


def content(frame):
    return seen.hashes(small_engine().features.encode(frame).to_numpy())


@given(rows, rows)
def test_of_equal_rows_as_many_are_known_as_were_fitted_on(file, fitted):
    found = seen.among(np.array(file, dtype=np.uint64), np.array(fitted, dtype=np.uint64))
    for value in set(file):
        known = sum(found[i] for i, one in enumerate(file) if one == value)
        assert known == min(file.count(value), fitted.count(value))


@given(rows)
def test_hashes_come_back_from_their_text_sorted(values):
    found = np.array(values, dtype=np.uint64)
    assert seen.unpacked(seen.packed(found)).tolist() == sorted(values)


@pytest.mark.parametrize("text", ["no base 85 \n", "00000"])
def test_a_text_that_holds_no_hashes_is_refused(text):
    with pytest.raises(RefusedError, match="cannot be read"):
        seen.unpacked(text)


def test_a_file_read_either_way_is_the_same_content(tmp_path):
    people().applications().to_csv(tmp_path / "h.csv", index=False)
    one, other = pd.read_csv(tmp_path / "h.csv"), dataset.read(tmp_path / "h.csv", consumer()).frame
    assert (content(one) == content(other)).all()
    assert (content(other[::-1])[::-1] == content(other)).all()
    changed = other.assign(loan_amount=other["loan_amount"] + 1)
    known = other["annual_income"].notna().to_numpy()  # without it the amount is in no feature
    assert not (content(changed) == content(other))[known].any()


def test_a_negative_zero_is_a_zero_and_one_unknown_is_like_another():
    values = np.array([[0.0, np.nan], [-0.0, -np.nan]])
    assert len(set(seen.hashes(values).tolist())) == 1


def test_the_training_rows_of_a_model_are_known_under_other_names_and_in_another_order():
    frame = process.history(3_000, 7).applications()
    fitted = seen.unpacked(small_engine().training.seen)
    again = frame.sample(frac=1, random_state=0).assign(applicant_id=[f"new-{i}" for i in range(3_000)])
    assert int(seen.among(content(again), fitted).sum()) == small_engine().training.rows == len(fitted)
    assert not seen.among(content(people(500, 99).frame), fitted).any()
