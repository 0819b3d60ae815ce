"""Group figures: fairlearn, a hand computation on the Boston decisions, laws; proxies and alternatives."""

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as oracle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shared_data import shared_data

from lendsafe.errors import DataError
from lendsafe.product import load
from lendsafe.risk import dataset
from lendsafe.risk.appraisal import fairness


@pytest.fixture(scope="module")
def boston():
    found = dataset.read(shared_data("lending/boston_loanapp.csv"), load("boston"))
    return (found.frame["decision"] == "approved").to_numpy(), found.protected, found.frame


def figures(attribute, groups, approved, reference=None, **more):
    observed = fairness.Observed(decisions=np.where(approved, "approved", "declined").astype(object), **more)
    return {one.group: one for one in fairness.assess(attribute, groups, observed, reference)}


def test_the_boston_ratio_by_hand(boston):
    """1,527 of 1,681 white applicants were approved, and 218 of 308 others."""
    approved, protected, _ = boston
    one = figures("race_group", protected["race_group"], approved)["not white"]
    assert (one.n, one.reference) == (308, "white")
    assert one.approval_rate.value == pytest.approx(218 / 308)
    assert one.adverse_impact_ratio.value == pytest.approx((218 / 308) / (1527 / 1681))
    assert one.adverse_impact_ratio.value == pytest.approx(0.7792, abs=1e-4)
    assert one.marginal_effect.value == pytest.approx(218 / 308 - 1527 / 1681)
    assert one.adverse_impact_ratio.low < 0.7792 < one.adverse_impact_ratio.high


@pytest.mark.parametrize("attribute", ["race_group", "black", "hispanic", "sex_group", "married"])
def test_boston_figures_equal_fairlearns(boston, attribute):
    approved, protected, frame = boston
    known = protected[attribute].notna().to_numpy()
    labels, decided = protected[attribute][known], approved[known]
    outcome = (frame["consumer_history"].to_numpy(dtype=float)[known] > 3).astype(
        float
    )  # some truth to err about
    ours = figures(attribute, labels, decided, outcome=outcome)
    rates = oracle.MetricFrame(
        metrics={
            "selection": oracle.selection_rate, "declined_good": oracle.false_negative_rate,
            "approved_bad": oracle.false_positive_rate, "n": oracle.count,
        },
        y_true=1 - outcome, y_pred=decided.astype(int), sensitive_features=labels.to_numpy(),
    ).by_group  # fmt: skip
    for group, row in rates.iterrows():
        assert ours[group].n == row["n"]
        assert ours[group].approval_rate.value == pytest.approx(row["selection"])
        assert ours[group].false_positive_rate.value == pytest.approx(row["declined_good"])
        assert ours[group].false_negative_rate.value == pytest.approx(row["approved_bad"])
    other = next(one for one in ours.values() if one.group != one.reference)
    ratio = oracle.demographic_parity_ratio(
        1 - outcome, decided.astype(int), sensitive_features=labels.to_numpy()
    )
    difference = oracle.demographic_parity_difference(
        1 - outcome, decided.astype(int), sensitive_features=labels.to_numpy()
    )
    air = other.adverse_impact_ratio.value
    assert min(air, 1 / air) == pytest.approx(ratio)
    assert abs(other.marginal_effect.value) == pytest.approx(difference)


def test_the_standardised_mean_difference_by_hand():
    score, member = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False])
    assert fairness.standardised_mean_difference(score, member) == pytest.approx(-2 / np.sqrt(5 / 3))


def test_the_calibration_gap_by_hand():
    labels = np.repeat(["a", "b"], [40, 60])
    outcome = np.tile([1.0, 0.0], 50)
    found = figures("x", labels, np.ones(100, dtype=bool), probability=np.full(100, 0.2), outcome=outcome)
    assert found["a"].calibration_gap.value == pytest.approx(0.3)
    assert found["a"].default_rate.n == 40


@given(arrays(bool, 60), arrays(bool, 60), st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_rows(approved, member, rng):
    order = list(range(60))
    rng.shuffle(order)
    for statistic in (fairness.adverse_impact_ratio, fairness.marginal_effect):
        one, other = statistic(approved, member), statistic(approved[order], member[order])
        assert one == other or (np.isnan(one) and np.isnan(other))


@given(arrays(bool, 40), arrays(bool, 40))
def test_the_ratio_of_the_others_is_one_over_it(approved, member):
    one = fairness.adverse_impact_ratio(approved, member)
    other = fairness.adverse_impact_ratio(approved, ~member)
    if np.isfinite(one) and np.isfinite(other) and one and other:
        assert one * other == pytest.approx(1)


def test_a_group_under_thirty_gets_no_ratio_and_blanks_are_a_group_of_their_own():
    labels = pd.Series(["a"] * 100 + ["b"] * 29 + [None] * 10)
    found = figures("x", labels, np.ones(139, dtype=bool))
    assert found["b"].adverse_impact_ratio is None
    assert {name: one.n for name, one in found.items()} == {"a": 100, "b": 29, "not known": 10}


def test_a_reference_group_can_be_chosen():
    labels = pd.Series(["a"] * 100 + ["b"] * 50)
    found = figures("x", labels, np.arange(150) % 2 == 0, reference="b")
    assert found["a"].reference == "b"
    assert found["b"].adverse_impact_ratio is None
    with pytest.raises(DataError, match="Groups: a, b"):
        figures("x", labels, np.ones(150, dtype=bool), reference="c")


def test_incomplete_and_counteroffers_are_not_declined():
    """Of 100 members 40 are approved and 10 declined; the rest were not decided or got less."""
    decisions = np.array(
        ["approved"] * 40 + ["declined"] * 10 + ["incomplete"] * 30 + ["counteroffer"] * 20
        + ["approved"] * 80 + ["declined"] * 20, dtype=object,
    )  # fmt: skip
    labels = np.repeat(["a", "b"], 100)
    found = {
        one.group: one for one in fairness.assess("x", labels, fairness.Observed(decisions=decisions), "b")
    }
    one = found["a"]
    assert (one.n, one.decided, one.approval_rate.value) == (100, 50, 0.8)
    assert one.adverse_impact_ratio.value == pytest.approx(1.0)
    assert (one.incomplete_rate.value, one.counteroffer_rate.value) == (0.3, 0.2)


def test_the_intervals_cover_as_often_as_they_say():
    """Two groups alike: ratio 1, effect 0, difference 0."""
    rng = np.random.default_rng(0)
    member = np.arange(300) < 120
    inside = np.zeros(3)
    for _ in range(300):
        approved, score = rng.random(300) < 0.6, rng.normal(size=300)
        for k, (one, truth) in enumerate(
            [
                (fairness.ratio_interval(approved, member), 1),
                (fairness.effect_interval(approved, member), 0),
                (fairness.difference_interval(score, member), 0),
            ]
        ):
            inside[k] += one.low <= truth <= one.high
    assert (inside >= 0.91 * 300).all()
    assert (inside <= 0.99 * 300).all()


def test_a_ratio_of_nothing_approved_has_an_upper_end():
    found = fairness.ratio_interval(np.arange(200) >= 100, np.arange(200) < 100)
    assert (found.value, found.low) == (0.0, 0.0)
    assert 0 < found.high < 0.2


def test_katz_interval_by_hand():
    """0.5 against 0.8 of 100 each: exp(ln 0.625 +- 1.96 sqrt(1/50 - 1/100 + 1/80 - 1/100))."""
    approved = np.concatenate([np.arange(100) < 50, np.arange(100) < 80])
    found = fairness.ratio_interval(approved, np.arange(200) < 100)
    assert found == pytest.approx((0.625, 0.50201, 0.77812), abs=1e-4)


def test_intersections_join_two_attributes_where_both_are_known():
    table = pd.DataFrame({"sex": ["f", "m", None, "f"], "race": ["x", "y", "x", "x"]})
    found = fairness.intersections(table)
    assert list(found) == ["sex x race"]
    assert found["sex x race"].tolist()[:2] == ["f x x", "m x y"]
    assert found["sex x race"].isna().tolist() == [False, False, True, False]


def test_a_proxy_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 600, p=[0.7, 0.3])
    values = pd.DataFrame({"noise": rng.normal(size=600), "proxy": (group == "b") + rng.normal(0, 0.3, 600)})
    strong = fairness.proxy_test(values, group, resamples=200)
    assert list(strong) == ["b"]  # of two groups, one tells the other
    assert strong["b"].low > 0.9
    weak = fairness.proxy_test(values[["noise"]], group, resamples=200)["b"]
    assert weak.low < 0.5 < weak.high + 0.03


def test_the_words_are_those_of_an_assessment():
    from pathlib import Path

    from lendsafe import risk

    for path in Path(risk.__file__).parent.rglob("*"):
        if path.suffix in (".py", ".j2", ".toml"):
            text = path.read_text("utf-8").lower()
            assert not [
                w for w in ("fairness score", "unbiased", "debias", "bias-free", "is compliant") if w in text
            ]
