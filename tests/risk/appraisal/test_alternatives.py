"""The search: like with like, chosen on some rows and reported on others, groups read only to measure."""

import numpy as np
import pandas as pd
import pytest
from risk_cases import features_of, german, german_engine

from lendsafe.risk.appraisal import alternatives, metrics
from lendsafe.risk.appraisal.alternatives import Part
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import training


def drawn(n, seed):
    """A feature that predicts the group, and the outcome hardly at all."""
    rng = np.random.default_rng(seed)
    group = rng.random(n) < 0.4
    signal, proxy = rng.normal(size=n), group + rng.normal(0, 0.5, n)
    outcome = (rng.random(n) < 1 / (1 + np.exp(1 - 1.2 * signal - 0.5 * proxy))).astype(np.int64)
    return Part(
        values=np.stack([signal, proxy, rng.normal(size=n)], axis=1),
        outcome=outcome,
        blocked=np.zeros(n, dtype=bool),
        protected=pd.DataFrame({"group": np.where(group, "b", "a")}),
    )


FEATURES = features_of(signal="+", proxy="+", noise="")


@pytest.fixture(scope="module")
def found():
    return alternatives.search(
        drawn(3000, 1), drawn(2000, 2), FEATURES, RiskConfig(), depth=2, trees=40, resamples=200
    )


def test_the_search_finds_the_alternative_that_drops_a_planted_proxy(found):
    assert found[0].name == "the model at hand"
    assert found[0].reported.auc_cost == found[0].reported.air_gain == (0, 0, 0)
    named = {one.name: one for one in found}
    best = named["without proxy"].reported
    assert best.air_gain.low > 0.05
    assert best.significant
    assert best.auc_cost.low <= best.auc_cost.value <= best.auc_cost.high
    ratios = [one.selected.adverse_impact_ratio for one in found[1:]]
    assert ratios == sorted(ratios, reverse=True)
    assert {"without monotone constraints", "depth 1", "unknown values where the trees put them"} <= set(
        named
    )


def test_only_what_looked_better_is_reported_and_five_at_most(found):
    base = found[0].selected.adverse_impact_ratio
    reported = [one for one in found[1:] if one.reported]
    assert len(reported) <= 5
    assert all(one.selected.adverse_impact_ratio > base for one in reported)


def test_noise_is_no_significant_gain():
    """Without groups that differ, nothing that is chosen helps on other rows."""
    train, test = drawn(1500, 3), drawn(1500, 4)
    rng = np.random.default_rng(0)
    shuffled = [
        Part(values=p.values, outcome=p.outcome, blocked=p.blocked,
             protected=pd.DataFrame({"group": rng.choice(["a", "b"], 1500)}))
        for p in (train, test)
    ]  # fmt: skip
    found = alternatives.search(*shuffled, FEATURES, RiskConfig(), depth=2, trees=40, resamples=200)
    assert not any(one.reported and one.reported.significant for one in found)


def parts(groups):
    engine = german_engine()
    past = training.prepare(german().frame, engine.config, german().features)
    return [
        Part(values=past.values[rows], outcome=past.outcome[rows], blocked=engine.blocked(past.frame[rows]),
             protected=groups[rows].reset_index(drop=True))
        for rows in (~past.held_out, past.held_out)
    ]  # fmt: skip


def test_the_model_at_hand_is_the_engine_itself():
    """Same settings, same folds: its AUC on the held-out rows is the engine's, and costs are against it."""
    engine = german_engine()
    train, test = parts(german().protected[["foreign_worker"]])
    found = alternatives.search(
        train, test, engine.features, engine.config, depth=engine.training.depth,
        trees=engine.training.trees, resamples=100,
    )  # fmt: skip
    auc = metrics.auc(test.outcome, engine.default_probability(test.values))
    assert found[0].reported.auc.value == pytest.approx(auc, abs=1e-12)


def test_protected_attributes_are_read_to_measure_and_never_to_fit():
    """With the groups of the held-out rows shuffled, every AUC is the same to the bit."""
    engine = german_engine()
    groups = german().protected[["foreign_worker"]]

    def aucs(chosen):
        train, test = parts(chosen)
        found = alternatives.search(
            train, test, engine.features, RiskConfig(), depth=1, trees=20, resamples=100
        )
        return {one.name: one.selected.auc for one in found if " and " not in one.name}

    shuffled = groups.sample(frac=1, random_state=0).reset_index(drop=True)
    assert aucs(groups) == aucs(shuffled)


def test_rules_and_missing_items_are_applied():
    """Blocked applications are never approved, and each model approves as many of the others."""
    risk, blocked = np.linspace(0, 1, 100), np.arange(100) < 30
    passed = alternatives.approved(risk, blocked, 0.5)
    assert not passed[blocked].any()
    assert passed.sum() == 50
