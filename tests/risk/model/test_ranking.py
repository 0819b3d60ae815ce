"""Ranking: grouped before ranked, adverse only, material only, at most four, ties by fixed order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import ranking

CODES = [f"c{i}" for i in range(6)]
CONFIG = RiskConfig()
pushes = arrays(np.float64, (5, 6), elements=st.floats(-3, 3))


@given(pushes)
def test_reasons_are_adverse_material_sorted_and_at_most_four(contributions):
    for row, reasons in zip(contributions, ranking.rank(contributions, CODES, CONFIG), strict=True):
        values = [r.contribution for r in reasons]
        assert values == sorted(values, reverse=True)
        assert len(reasons) == min(4, int((row >= CONFIG.materiality).sum()))
        assert all(v >= CONFIG.materiality for v in values)


@given(pushes)
def test_no_larger_push_is_left_out(contributions):
    for row, reasons in zip(contributions, ranking.rank(contributions, CODES, CONFIG), strict=True):
        given_codes = {r.code for r in reasons}
        left_out = [row[i] for i, code in enumerate(CODES) if code not in given_codes]
        assert not reasons or len(reasons) < 4 or max(left_out) <= min(r.contribution for r in reasons) + 1e-9


@given(pushes)
def test_strengths_are_the_reasons_of_the_negated_pushes(contributions):
    strengths = ranking.rank_strengths(contributions, CODES, CONFIG)
    mirrored = ranking.rank(-contributions, CODES, CONFIG)
    assert [[s.code for s in row] for row in strengths] == [[r.code for r in row] for row in mirrored]
    assert all(s.contribution < 0 for row in strengths for s in row)


def test_equal_pushes_keep_the_order_of_the_product():
    reasons = ranking.rank(np.array([[0.5, 0.7, 0.5, 0.7, 0.0, 0.5]]), CODES, CONFIG)[0]
    assert [r.code for r in reasons] == ["c1", "c3", "c0", "c2"]


def test_pushes_of_one_reason_are_summed_before_ranking():
    contributions = np.array([[0.3, 0.3, 0.5]])
    grouped = ranking.grouped(contributions, np.array([[1, 1, 0]]), 2)
    assert grouped == pytest.approx(np.array([[0.5, 0.6]]))


@pytest.mark.parametrize(
    ("push", "word"), [(0.2, "slight"), (0.5, "moderate"), (-0.7, "moderate"), (1.0, "strong")]
)
def test_strength_in_words_follows_the_documented_thresholds(push, word):
    assert ranking.strength(push, CONFIG) == word
