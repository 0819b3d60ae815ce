"""Measures against scikit-learn, pencil values, and laws; the scorecard baseline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.model import scorecard
from lendsafe.risk.model.bins import score_bins


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
    assert metrics.calibration_line(outcome, probability) == pytest.approx((1, 0), abs=0.05)
    for one in metrics.reliability(outcome, probability):
        assert one["low"] - 0.01 <= one["predicted"] <= one["high"] + 0.01
        assert one["n"] == 4_000


def test_a_rate_and_its_interval_by_hand():
    """8 of 10: Wilson's interval is 0.490 to 0.943 (Newcombe 1998)."""
    one = metrics.rate(np.arange(10) < 8)
    assert one == pytest.approx((0.8, 0.4902, 0.9433, 10), abs=1e-4)
    assert metrics.rate(np.zeros(0, dtype=bool)) is None
    assert metrics.rate(np.zeros(5, dtype=bool)).low == pytest.approx(0, abs=1e-12)


def test_a_bootstrap_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = 0
    for seed in range(200):
        found = metrics.bootstrap(lambda v: float(v.mean()), rng.normal(size=100), resamples=200, seed=seed)
        inside += found.low <= 0 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_statistic_that_is_never_defined_has_no_interval():
    found = metrics.bootstrap(metrics.auc, np.ones(5, dtype=int), np.ones(5), resamples=100)
    assert np.isnan(found).all()


def test_psi_by_hand():
    """Half and half became three quarters and a quarter: 0.25 ln 3, but for the half row in each bin."""
    expected = {"edges": [0.5], "counts": [50_000, 50_000]}
    found = metrics.psi(expected, np.repeat([0.0, 1.0], [75_000, 25_000]))
    assert found["psi"] == pytest.approx(0.25 * np.log(3), abs=1e-4)
    assert found["threshold"] == pytest.approx(3.8415 * 2 / 100_000, rel=1e-3)
    assert found["drift"] == 1


@pytest.mark.parametrize("size", [100, 1_000])
def test_without_drift_psi_passes_its_threshold_once_in_twenty(size):
    """The usual 0.10 would cry wolf for samples of 100."""
    rng = np.random.default_rng(3)
    alarms = fixed = 0
    for _ in range(400):
        found = metrics.psi(score_bins(rng.normal(size=size)), rng.normal(size=size))
        alarms += found["drift"]
        fixed += found["psi"] > 0.10
    assert 0.02 <= alarms / 400 <= 0.09
    assert (fixed / 400 > 0.5) == (size == 100)


def test_a_shift_of_half_a_deviation_is_seen():
    rng = np.random.default_rng(4)
    assert metrics.psi(score_bins(rng.normal(size=500)), rng.normal(0.5, size=500))["drift"] == 1


def test_scores_of_one_value_have_one_bin_and_no_drift():
    assert metrics.psi(score_bins(np.full(50, 7)), np.full(20, 7))["drift"] == 0


def test_the_scorecard_ranks_and_reads_unknown_values():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3000, 3))
    outcome = (rng.random(3000) < 1 / (1 + np.exp(1 - values[:, 0] + values[:, 1]))).astype(int)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 2] = np.nan  # nothing known at all
    card = scorecard.fit(values[:2000], outcome[:2000])
    assert metrics.auc(outcome[2000:], card.predict_proba(values[2000:])) > 0.75


def test_a_weight_of_evidence_by_hand():
    """Of 10 good, 8 are low; of 10 bad, 2: ln(2.5/11) - ln(8.5/11) with half a row of smoothing in each."""
    values = np.repeat([0.0, 1.0, 0.0, 1.0], [8, 2, 2, 8])[:, None]
    card = scorecard.fit(values, np.repeat([0, 1], 10))
    low = card.weights[0][np.searchsorted(card.edges[0], 0.0, side="right")]
    assert low == pytest.approx(np.log(2.5) - np.log(8.5))
