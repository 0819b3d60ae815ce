"""Estimates: values by hand, intervals that cover, and laws of the bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.errors import DataError
from lendsafe.eval.scoring import metrics
from lendsafe.eval.truth import readability

BOOLEANS = st.lists(st.booleans(), min_size=1, max_size=40)


def test_mean_by_hand():
    one = metrics.mean([1.0, 2.0, 3.0])
    assert (one.value, one.n) == (2.0, 3)
    assert metrics.mean([4.0] * 9) == metrics.Estimate(4.0, 4.0, 4.0, 9)


def test_the_bootstrap_interval_agrees_with_the_normal_one():
    data = np.random.default_rng(1).normal(5, 2, 400)
    one = metrics.mean(data)
    half = 1.96 * data.std() / 20
    assert one.low == pytest.approx(data.mean() - half, abs=0.03)
    assert one.high == pytest.approx(data.mean() + half, abs=0.03)


def test_the_interval_covers_the_true_mean_in_95_of_100_samples():
    rng = np.random.default_rng(2)
    hits = [one.low <= 1.0 <= one.high for _ in range(200) for one in [metrics.mean(rng.exponential(1, 80))]]
    assert 0.88 <= np.mean(hits) <= 0.99


@given(BOOLEANS)
def test_rates_and_their_complements_mirror_each_other(events):
    yes, no = metrics.rate(events), metrics.rate([not one for one in events])
    assert yes.value == pytest.approx(1 - no.value)
    assert 0 <= yes.low <= yes.value <= yes.high <= 1
    assert yes.low == pytest.approx(1 - no.high)


def test_rule_of_three():
    assert metrics.rate([False] * 150) == (0.0, 0.0, 0.02, 150)
    assert metrics.rate([True] * 150) == (1.0, 0.98, 1.0, 150)
    assert metrics.rate([False] * 2).high == 1.0
    assert metrics.ratio([0, 0], [100, 50]) == (0.0, 0.0, 0.02, 150)


def test_ratio_divides_sums_not_means():
    one = metrics.ratio([1, 30], [1, 60])
    assert one.value == pytest.approx(31 / 61)  # the mean of the ratios would be 0.75
    assert one.n == 61
    assert metrics.ratio([0, 0], [0, 0]) is None


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.floats(0.01, 3))
def test_a_constant_gap_has_an_interval_of_no_width(values, gap):
    one = metrics.difference([value + gap for value in values], values)
    assert one.low == pytest.approx(gap, abs=1e-6)
    assert one.high == pytest.approx(gap, abs=1e-6)


def test_pairing_narrows_the_interval_of_a_difference():
    rng = np.random.default_rng(3)
    theirs = rng.normal(0, 1, 200)
    ours = theirs + rng.normal(0.1, 0.05, 200)
    paired = metrics.difference(ours, theirs)
    apart = metrics.difference(ours, rng.permutation(theirs))
    assert paired.low > 0
    assert apart.high - apart.low > 10 * (paired.high - paired.low)


def test_the_same_seed_gives_the_same_interval():
    data = list(range(30))
    assert metrics.mean(data, seed=7) == metrics.mean(data, seed=7)
    assert metrics.mean(data, seed=7) != metrics.mean(data, seed=8)


def test_distinct_by_hand():
    texts = ["a b a b", "b a c"]
    assert metrics.distinct(texts, 1).value == pytest.approx(3 / 7)
    assert metrics.distinct(texts, 2).value == pytest.approx(3 / 5)  # ab ba ab | ba ac
    assert metrics.distinct(["one text"] * 20, 2).value == pytest.approx(1 / 20)


@given(
    st.lists(
        st.text("abc ", min_size=3, max_size=30).filter(lambda t: len(t.split()) > 1), min_size=2, max_size=8
    )
)
def test_distinct_counts_what_a_set_counts(texts):
    for n in (1, 2):
        grams = [tuple(w[i : i + n]) for w in (t.split() for t in texts) for i in range(len(w) - n + 1)]
        one = metrics.distinct(texts, n)
        assert one.value == pytest.approx(len(set(grams)) / len(grams))
        assert one.low <= one.value + 1e-9
        assert one.high >= one.value - 1e-9


def test_distinct_does_not_depend_on_the_size_of_a_block(monkeypatch):
    texts = [f"word{i % 7} and word{i} then word{i % 3}" for i in range(40)]
    whole = metrics.distinct(texts, 2)
    monkeypatch.setattr(metrics, "_CELLS", 5_000)
    parts = metrics.distinct(texts, 2)
    assert parts.value == whole.value
    assert parts.low == pytest.approx(whole.low, abs=0.01)


@pytest.mark.parametrize("measure", [metrics.mean, metrics.rate])
def test_an_empty_set_has_no_score(measure):
    with pytest.raises(DataError, match="No cases to score"):
        measure([])


def test_unequal_lengths_cannot_be_paired():
    with pytest.raises(DataError, match="2 and 3 cases cannot be paired"):
        metrics.difference([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="1 and 2 cases cannot be paired"):
        metrics.ratio([1], [1, 2])


@pytest.mark.parametrize(
    ("rouge", "bert", "grade"),
    [
        (0.5, 0.85, "Excellent"),
        (0.49, 0.9, "Good"),
        (0.4, 0.8, "Good"),
        (0.35, 0.5, "Fair"),
        (0.1, 0.76, "Fair"),
        (0.1, 0.1, "Poor"),
    ],
)
def test_grade_of_the_first_system(rouge, bert, grade):
    assert metrics.grade(rouge, bert) == grade


def test_the_stricter_grade_asks_for_no_untrue_statement():
    assert metrics.strict_grade("Excellent", 0) == "Excellent"
    assert metrics.strict_grade("Excellent", 1) == "Good"
    assert metrics.strict_grade("Fair", 3) == "Fair"


def test_flesch_kincaid_by_hand():
    # 6 words, 1 sentence, 6 syllables: 0.39 * 6 + 11.8 * 1 - 15.59
    assert readability.grade("The cat sat on the mat.") == pytest.approx(-1.45)
    assert readability.grade("") == 0.0


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("the", 1),
        ("income", 2),
        ("created", 3),
        ("report", 2),
        ("delinquency", 4),
        ("score", 1),
        ("responsibility", 6),
    ],
)
def test_syllables(word, count):
    assert readability.syllables(word) == count
