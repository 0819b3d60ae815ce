"""Attributions: the definition by brute force, the `shap` package, additivity."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import xgboost
from risk_cases import german, german_engine, people, small_engine

from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.shapley import Attribution
from lendsafe.risk.model.trees import from_document
from lendsafe.risk.model.ubjson import loads


def boosted(rows, outcome, **parameters):
    settings = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.5, "seed": 0, "nthread": 1}
    return xgboost.train(settings | parameters, xgboost.DMatrix(rows, outcome), 12)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4)).round(1)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    known = np.nan_to_num(rows)
    return rows, (rng.random(400) < 1 / (1 + np.exp(-known[:, 0] * known[:, 1] - known[:, 2]))).astype(int)


def test_values_are_those_of_the_definition(table):
    """Mean over orders of a feature's effect, absent features from one background row after the other."""
    rows, outcome = table
    booster = boosted(rows, outcome)
    background, x = rows[:5], rows[50]
    found = Attribution(from_document(loads(bytes(booster.save_raw("ubj")))), background)(x[None])[0]

    def output(chosen, z):
        mixed = np.where(np.isin(np.arange(4), chosen), x, z)
        return booster.inplace_predict(mixed[None], predict_type="margin", missing=np.nan)[0]

    for feature in range(4):
        others, expected = [i for i in range(4) if i != feature], 0.0
        for size in range(4):
            weight = factorial(size) * factorial(3 - size) / factorial(4)
            for chosen in combinations(others, size):
                effect = np.mean([output((*chosen, feature), z) - output(chosen, z) for z in background])
                expected += weight * effect
        assert found[feature] == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", ["synthetic", "german"])
def test_values_equal_the_shap_package(which):
    import shap

    engine = small_engine() if which == "synthetic" else german_engine()
    sample = people().frame if which == "synthetic" else german().frame[:300]
    values = engine.features.encode(sample).to_numpy()
    background = engine.background[:100]
    explainer = shap.TreeExplainer(engine._booster(), background, feature_perturbation="interventional")
    expected = explainer.shap_values(values, check_additivity=False)
    found = Attribution(engine.ensemble, background)(values)
    assert np.abs(found - expected).max() < 1e-5


def test_contributions_add_up_to_the_difference_from_the_background():
    engine = small_engine()
    values = engine.features.encode(people().frame).to_numpy()
    total = engine.attribute(values).sum(axis=1)
    assert total == pytest.approx(
        engine.log_odds(values) - engine.log_odds(engine.background).mean(), abs=1e-4
    )


def test_one_row_gets_what_it_gets_among_many():
    """Few rows go another way through the tables than many."""
    engine = small_engine()
    values = engine.features.encode(people().frame).to_numpy()
    assert engine.attribute(values[:1])[0] == pytest.approx(engine.attribute(values)[0], abs=1e-12)


def test_a_feature_that_no_tree_uses_gets_nothing(table):
    rows, outcome = table
    rows = np.column_stack([rows, np.zeros(len(rows))])
    ensemble = from_document(loads(bytes(boosted(rows, outcome).save_raw("ubj"))))
    assert (Attribution(ensemble, rows)(rows)[:, 4] == 0).all()


def test_a_value_at_the_threshold_goes_where_xgboost_sends_it():
    rows = np.repeat([[1.0], [2.0], [np.nan]], 50, axis=0)
    booster = boosted(rows, np.repeat([0, 1, 1], 50), max_depth=1)
    attribution = Attribution(from_document(loads(bytes(booster.save_raw("ubj")))), rows)
    margin = booster.inplace_predict(rows, predict_type="margin", missing=np.nan)
    assert attribution(rows)[:, 0] + attribution.expected == pytest.approx(margin, abs=1e-6)


def test_native_contributions_are_the_cross_check_and_add_up():
    engine: RiskEngine = small_engine()
    values = engine.features.encode(people().frame).to_numpy()
    native = engine._native(values)
    spread = engine.log_odds(values) - native.sum(axis=1)  # the bias term, one number for all rows
    assert np.ptp(spread) < 1e-4
