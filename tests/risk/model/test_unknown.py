"""Unknown is never safer than known: exact where the sign is known, for each tree where it is not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_cases import german, german_engine, people, small_engine

from lendsafe.product import product_from
from lendsafe.risk.appraisal import unknowns
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import feature_set
from lendsafe.risk.model import trees
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.unknown import BEYOND, filled


def signed(engine):
    return [i for i, f in enumerate(engine.features.columns) if f.constraint]


@given(st.integers(0, 399), st.sets(st.integers(0, 12), min_size=1, max_size=4), st.floats(-1e9, 1e9))
@settings(max_examples=150, deadline=None)
def test_no_known_value_of_a_signed_feature_is_riskier_than_an_unknown_one(row, columns, value):
    """Whatever else is known, and whatever value it is."""
    engine = small_engine()
    names = [f.name for f in engine.features.columns]
    values = engine.features.encode(people().frame).to_numpy()[[row]]
    values[0, names.index("no_credit_file")] = 0
    chosen = [c for c in columns if c in signed(engine) and names[c] != "no_credit_file"]
    blank, known = values.copy(), values.copy()
    blank[0, chosen], known[0, chosen] = np.nan, value
    assert engine.log_odds(blank)[0] >= engine.log_odds(known)[0] - 1e-6


def test_leaving_a_value_out_approves_no_decline():
    engine = small_engine()
    values = engine.features.encode(people(2_000).frame).to_numpy()
    declined = values[engine.default_probability(values) > engine.cutoff]
    found = unknowns.measure(engine, declined)
    assert (found.approves.value, found.by_feature) == (0, ())


def test_without_the_rule_it_approves_some_and_the_cost_is_measured():
    engine = small_engine(unknown_is_riskier=False)
    population = people(2_000)
    values = engine.features.encode(population.frame).to_numpy()
    declined = values[engine.default_probability(values) > engine.cutoff]
    found = unknowns.measure(engine, declined, (values, population.defaulted.astype(np.int64)))
    assert found.approves.value > 0.03
    assert found.auc == found.auc_learned
    ruled = unknowns.measure(small_engine(), declined, (values, population.defaulted.astype(np.int64)))
    assert ruled.auc_learned == pytest.approx(found.auc_learned, abs=0.01)
    assert 0 < ruled.auc_learned - ruled.auc < 0.03


def test_texts_without_order_are_no_safer_when_unknown():
    """One of four levels is risky; whoever does not say counts as risky as that."""
    rng = np.random.default_rng(0)
    home, other = rng.integers(0, 4, 4_000), rng.normal(size=4_000)
    outcome = (rng.random(4_000) < 1 / (1 + np.exp(1.5 - 1.5 * (home == 2) - other))).astype(int)
    frame = pd.DataFrame({"home": np.array(list("abcd"))[home], "other": other, "defaulted": outcome})
    table = {
        "name": "made-up",
        "fields": {
            "home": {"kind": "category", "levels": list("abcd"), "reason": "r", "when_missing": "r"},
            "other": {"kind": "number", "reason": "s", "risk": "+"},
        },
        "reasons": {"r": {"statement": "R"}, "s": {"statement": "S"}},
    }
    features = feature_set(product_from(table, "made-up"))
    engine = RiskEngine.fit(frame, RiskConfig(max_depth=1), features)
    row = frame.iloc[[0]].assign(other=0.0)
    risk = {
        home: engine.log_odds(features.encode(row.assign(home=home)).to_numpy())[0]
        for home in ("a", "b", "c", "d", None)
    }
    assert risk[None] >= max(risk.values()) - 1e-6
    assert risk["c"] == max(v for k, v in risk.items() if k)


def test_no_credit_file_is_a_fact_of_its_own():
    """Its items are left to the trees, and nothing else is."""
    engine = small_engine()
    names = [f.name for f in engine.features.columns]
    values = engine.features.encode(people(1_000).frame).to_numpy()
    seen = filled(values, engine.features, engine.config)
    without = values[:, names.index("no_credit_file")] > 0
    bureau = np.array([f.report and not f.no_file for f in engine.features.columns])
    assert without.any()
    assert np.isnan(seen[without][:, bureau]).all()
    assert not np.isnan(seen[~without]).any()
    assert (np.abs(seen[~without][np.isnan(values[~without])]) == BEYOND).all()
    known = ~np.isnan(values)
    assert (seen[known] == values[known]).all()


def test_the_rule_can_be_turned_off_and_needs_the_constraints():
    values = np.array([[np.nan] * 13])
    features = small_engine().features
    for config in (RiskConfig(unknown_is_riskier=False), RiskConfig(monotone=False)):
        assert np.isnan(filled(values, features, config)).all()


@pytest.mark.parametrize("which", ["german", "synthetic"])
def test_the_trees_themselves_say_what_xgboost_computes(which):
    engine = german_engine() if which == "german" else small_engine()
    frame = german().frame if which == "german" else people().frame
    values = engine.features.encode(frame).to_numpy()
    seen = filled(values, engine.features, engine.config)
    ours = engine.calibration.slope * trees.margins(engine.ensemble, seen) + engine.calibration.intercept
    assert np.abs(ours - engine.log_odds(values)).max() <= 1e-5


def test_the_riskier_side_is_the_one_with_the_higher_mean():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(500, 2))
    outcome = (rows[:, 0] > 0).astype(int)
    fitted = RiskModel(max_depth=1, max_trees=5, unknown_is_riskier=True).fit(rows, outcome)
    unknown = np.array([[np.nan, 0.0]])
    assert fitted.margins(unknown)[0] >= fitted.margins(rows).max() - 1e-6
