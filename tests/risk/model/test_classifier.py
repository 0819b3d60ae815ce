"""The classifier: scikit-learn's own checks, monotone, seeded, calibrated, split by application."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from lendsafe.errors import ConfigError
from lendsafe.risk.model import splits
from lendsafe.risk.model.classifier import RiskModel, calibrate


@parametrize_with_checks([RiskModel(max_trees=30, patience=5)])
def test_the_classifier_keeps_every_rule_of_scikit_learn(estimator, check):
    check(estimator)


def test_no_check_of_scikit_learn_is_skipped():
    """One check runs only with SCIPY_ARRAY_API set before scipy is imported, so in a process of its own."""
    code = (
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from lendsafe.risk.model.classifier import RiskModel\n"
        "found = check_estimator(RiskModel(max_trees=20, patience=3), on_skip=None, on_fail=None)\n"
        "assert len(found) > 50; print([one['check_name'] for one in found if one['status'] != 'passed'])"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 4))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    known = np.nan_to_num(rows)
    outcome = rng.random(3000) < 1 / (
        1 + np.exp(1 - known[:, 0] + 0.8 * known[:, 1] - 0.3 * np.sin(3 * known[:, 2]))
    )
    return rows, outcome.astype(int)


def test_probability_never_falls_as_a_riskier_value_rises(table):
    model = RiskModel(constraints=(1, -1, 0, 1)).fit(*table)
    for column, sign in ((0, 1), (1, -1), (3, 1)):
        sweep = np.repeat(table[0][:100], 50, axis=0)
        sweep[:, column] = np.tile(np.linspace(-3, 3, 50), 100)
        steps = np.diff(model.predict_proba(sweep)[:, 1].reshape(100, 50), axis=1)
        assert (sign * steps >= -1e-7).all()


def test_without_constraints_some_sweep_turns_round(table):
    model = RiskModel(max_trees=200, patience=200).fit(*table)
    sweep = np.repeat(table[0][:100], 50, axis=0)
    sweep[:, 2] = np.tile(np.linspace(-3, 3, 50), 100)
    steps = np.diff(model.predict_proba(sweep)[:, 1].reshape(100, 50), axis=1)
    assert (steps > 1e-7).any()
    assert (steps < -1e-7).any()


def test_same_seed_gives_the_same_bits(table):
    one, two = RiskModel().fit(*table), RiskModel().fit(*table)
    assert one.booster_.save_raw() == two.booster_.save_raw()
    assert one.calibration_ == two.calibration_


def test_an_out_of_fold_overconfident_margin_is_shrunk():
    rng = np.random.default_rng(1)
    margins = rng.normal(size=20_000)
    outcome = (rng.random(20_000) < 1 / (1 + np.exp(-0.5 * margins - 0.3))).astype(int)
    found = calibrate(margins, outcome)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(0.3, abs=0.05)


def test_a_calibrated_margin_is_left_alone():
    rng = np.random.default_rng(2)
    margins = rng.normal(size=5_000)
    outcome = (rng.random(5_000) < 1 / (1 + np.exp(-margins))).astype(int)
    found = calibrate(margins, outcome)
    assert (found.slope, found.intercept) == (1.0, 0.0)
    assert found.p_value >= 0.05


def test_a_depth_that_attributions_cannot_follow_is_refused(table):
    with pytest.raises(ConfigError, match="'max_depth' is 4"):
        RiskModel(max_depth=4).fit(*table)


def test_rows_of_one_application_are_never_split_apart():
    groups = np.repeat(np.arange(200), 3)
    target = np.repeat(np.arange(200) % 4 == 0, 3).astype(int)
    fold = splits.folds(groups, target, 4, 0).reshape(200, 3)
    assert (fold == fold[:, :1]).all()
    assert np.ptp(np.bincount(fold[:, 0])) <= 1


def test_holding_out_does_not_depend_on_the_order_of_rows():
    names = [f"A{i}" for i in range(1000)]
    forward, backward = splits.held_out(names, 0.2, 7), splits.held_out(names[::-1], 0.2, 7)
    assert (forward == backward[::-1]).all()
    assert 150 < forward.sum() < 250


def test_an_additive_process_gets_additive_trees():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(4000, 3))
    outcome = (rng.random(4000) < 1 / (1 + np.exp(-rows @ [1.0, -1.0, 0.5]))).astype(int)
    assert RiskModel().fit(rows, outcome).depth_ == 1


def test_an_interaction_gets_deeper_trees():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(4000, 2))
    outcome = (rng.random(4000) < np.where(rows[:, 0] * rows[:, 1] > 0, 0.8, 0.2)).astype(int)
    assert RiskModel().fit(rows, outcome).depth_ >= 2
