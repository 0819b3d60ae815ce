"""Measures against scikit-learn, pencil values, and laws; the scorecard baseline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model.bins import Bins


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    probability = rng.random(500).round(2)  # ties
    return (rng.random(500) < probability).astype(int), probability


def test_measures_equal_scikit_learns(sample):
    outcome, probability = sample
    assert metrics.auc(*sample) == pytest.approx(oracle.roc_auc_score(*sample))
    assert metrics.gini(*sample) == pytest.approx(2 * oracle.roc_auc_score(*sample) - 1)
    assert metrics.brier(*sample) == pytest.approx(oracle.brier_score_loss(*sample))
    assert metrics.log_loss(*sample) == pytest.approx(
        oracle.log_loss(outcome, np.clip(probability, 1e-12, 1 - 1e-12))
    )
    false_rate, true_rate, _ = oracle.roc_curve(*sample, drop_intermediate=False)
    assert metrics.ks(*sample) == pytest.approx((true_rate - false_rate).max())
    assert metrics.roc(*sample)[0] == pytest.approx(false_rate)
    assert metrics.roc(*sample)[1] == pytest.approx(true_rate)


def test_measures_by_hand():
    outcome, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    assert metrics.auc(outcome, probability) == 0.75  # three of four pairs
    assert metrics.ks(outcome, probability) == 0.5
    assert metrics.brier(outcome, probability) == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=4, max_size=50))
def test_turning_outcomes_round_turns_the_auc_round(rows):
    outcome = np.array([int(a) for a, _ in rows])
    probability = np.array([b for _, b in rows])
    one, other = metrics.auc(outcome, probability), metrics.auc(1 - outcome, probability)
    assert (np.isnan(one) and np.isnan(other)) or one + other == pytest.approx(1)


def test_calibrated_probabilities_have_slope_one_and_no_intercept():
    rng = np.random.default_rng(1)
    probability = rng.uniform(0.02, 0.98, 40_000)
    outcome = (rng.random(40_000) < probability).astype(int)
    line = metrics.calibration_line(outcome, probability)
    assert (line.slope.value, line.intercept.value) == pytest.approx((1, 0), abs=0.05)
    assert line.slope.low < 1 < line.slope.high
    assert line.intercept.low < 0 < line.intercept.high
    for one in metrics.reliability(outcome, probability):
        assert one.low - 0.01 <= one.predicted <= one.high + 0.01
        assert one.n == 4_000


def test_a_rate_and_its_interval_by_hand():
    """8 of 10: Wilson's interval is 0.490 to 0.943 (Newcombe 1998)."""
    one = metrics.rate(np.arange(10) < 8)
    assert one == pytest.approx((0.8, 0.4902, 0.9433, 10), abs=1e-4)
    assert metrics.rate(np.zeros(0, dtype=bool)) is None
    assert metrics.rate(np.zeros(5, dtype=bool)).low == pytest.approx(0, abs=1e-12)


def test_a_bootstrap_interval_covers_as_often_as_it_says():
    """The AUC of a score that is one deviation higher for defaults is Phi(1 / sqrt 2) = 0.760."""
    rng = np.random.default_rng(2)
    inside = 0
    for seed in range(150):
        outcome = np.repeat([0, 1], [80, 40])
        found = metrics.compare(outcome, [rng.normal(outcome)], resamples=200, seed=seed)[0][0].auc
        inside += found.low <= 0.76025 <= found.high
    assert 0.88 <= inside / 150 <= 0.99


def test_the_figures_of_a_comparison_are_the_measures(sample):
    outcome, probability = sample
    other = np.clip(probability**2, 0.01, 0.99)
    qualities, over = metrics.compare(outcome, [probability, other], resamples=50)
    for name, statistic in metrics.METRICS.items():
        assert getattr(qualities[0], name).value == pytest.approx(statistic(outcome, probability))
        assert getattr(qualities[1], name).value == pytest.approx(statistic(outcome, other))
    assert over[0].value == pytest.approx(metrics.auc(outcome, probability) - metrics.auc(outcome, other))


def test_a_score_compared_with_itself_differs_by_nothing(sample):
    _, over = metrics.compare(sample[0], [sample[1], sample[1]], resamples=50)
    assert over[0] == (0, 0, 0)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 0.99), st.integers(1, 3)), min_size=4, max_size=40)
)
def test_a_weighted_measure_is_that_of_repeated_rows(rows):
    outcome, probability, weights = (np.array(column) for column in zip(*rows, strict=True))
    for statistic in metrics.METRICS.values():
        one = statistic(outcome, probability, weights.astype(float))
        other = statistic(np.repeat(outcome, weights), np.repeat(probability, weights))
        assert one == pytest.approx(other, nan_ok=True)


def test_psi_by_hand():
    """Half and half became three quarters and a quarter: 0.25 ln 3, but for the half row in each bin."""
    expected = Bins(name="score", edges=(0.5,), counts=(50_000, 50_000, 0))
    found = metrics.psi(expected, np.repeat([0.0, 1.0], [75_000, 25_000]))
    assert found.psi == pytest.approx(0.25 * np.log(3), abs=1e-4)
    assert found.threshold == pytest.approx(3.8415 * 2 / 100_000, rel=1e-3)
    assert found.drifted


@pytest.mark.parametrize("size", [100, 1_000])
def test_without_drift_psi_passes_its_threshold_once_in_twenty(size):
    """The usual 0.10 would cry wolf for samples of 100."""
    rng = np.random.default_rng(3)
    alarms = fixed = 0
    for _ in range(400):
        found = metrics.psi(Bins.of("score", rng.normal(size=size)), rng.normal(size=size))
        alarms += found.drifted
        fixed += found.psi > 0.10
    assert 0.02 <= alarms / 400 <= 0.09
    assert (fixed / 400 > 0.5) == (size == 100)


def test_a_shift_of_half_a_deviation_is_seen():
    rng = np.random.default_rng(4)
    assert metrics.psi(Bins.of("score", rng.normal(size=500)), rng.normal(0.5, size=500)).drifted


def test_values_that_are_suddenly_not_known_are_drift():
    rng = np.random.default_rng(4)
    later = np.where(rng.random(500) < 0.3, np.nan, rng.normal(size=500))
    assert metrics.psi(Bins.of("x", rng.normal(size=500)), later).drifted


def test_scores_of_one_value_have_one_bin_and_no_drift():
    assert not metrics.psi(Bins.of("score", np.full(50, 7)), np.full(20, 7)).drifted
