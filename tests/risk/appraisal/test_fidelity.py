"""How firm the reasons are: matches by hand, the counterfactual, redraws; and the numbers on the synthetic 1,500."""

import dataclasses

import numpy as np
import pytest
from risk_cases import german, german_engine, people, small_engine

from lendsafe.corpus import process
from lendsafe.corpus.synth import SynthConfig, synthesize
from lendsafe.risk.appraisal import fidelity, metrics
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model.counterfactual import counterfactual
from lendsafe.risk.model.engine import RiskEngine


def test_matches_by_hand():
    found = fidelity.matches([["a", "b"], ["c"], []], [["a", "c"], ["c"], ["d"]])
    assert (found.n, found.first, found.precision) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (found.recall, found.f1) == (pytest.approx(2 / 4), pytest.approx(2 * 2 / (3 + 4)))


@pytest.mark.parametrize(("given", "true"), [([], []), ([["a"]], [[]]), ([["a"]], [["a"], ["b"]])])
def test_matches_of_nothing_are_refused(given, true):
    with pytest.raises(ValueError, match="at least one"):
        fidelity.matches(given, true)


@pytest.mark.parametrize("which", ["synthetic", "german"])
def test_with_its_reasons_at_the_backgrounds_values_a_decline_moves_toward_approval(which):
    engine = small_engine() if which == "synthetic" else german_engine()
    table = people().frame if which == "synthetic" else german().frame
    scored = engine.score(table)
    values = engine.features.encode(table).to_numpy()
    declined = scored.default_probability > engine.cutoff
    change = counterfactual(engine, values[declined], scored.contributions[declined])
    known = change[np.isfinite(change)]
    assert len(known) > 0.95 * declined.sum()
    assert (known < 0).mean() > 0.99


def test_the_counterfactual_of_an_additive_model_is_the_sum_of_the_reasons_pushes():
    engine = small_engine(max_depth=1)
    engine = dataclasses.replace(engine, background=engine.background[:64])
    scored = engine.score(people().frame)
    values = engine.features.encode(people().frame).to_numpy()
    change = counterfactual(engine, values, scored.contributions)
    for i, one in enumerate(engine.assess_many(people().frame)):
        pushed = sum(r.contribution for r in one.reasons if not r.knockout)
        if one.reasons and not any(r.knockout for r in one.reasons):
            assert change[i] == pytest.approx(-pushed, abs=1e-4)


def test_a_background_gives_its_own_reasons_again():
    engine = small_engine()
    values = engine.features.encode(people().frame).to_numpy()
    same = fidelity.stability(engine, values, [engine.background, engine.background[::-1]])
    assert (same.n, same.same_set, same.same_first) == (len(values), 1.0, 1.0)
    redrawn = fidelity.stability(engine, values, fidelity.redraws(engine.background[:20]))
    assert 0.2 < redrawn.same_set < 1
    assert 0.2 < redrawn.same_first < 1


def test_redraws_are_seeded_and_differ():
    background = small_engine().background
    one, two = fidelity.redraws(background, 2, seed=1), fidelity.redraws(background, 2, seed=1)
    assert np.array_equal(one[0], two[0], equal_nan=True)
    assert not np.array_equal(one[0], one[1], equal_nan=True)


def test_reasons_of_the_synthetic_1500_are_the_true_ones():
    """Where model and process both decline; trained on the past applicants that the data set brings.

    The process holds an unknown value against nobody. With the rule that unknown is never safer than
    known, which is the default, the first reason is the process's in 88 % and the AUC .003 lower.
    With a fifth of them the first reason is right in 84 to 91 %: the order of near ties needs the shapes.
    """
    config = SynthConfig()
    population = synthesize(config).population
    past = process.history(config.history, config.seed).applications()
    engine = RiskEngine.fit(past, RiskConfig(unknown_is_riskier=False))
    given, true = engine.assess_many(population.frame), process.assess(population)
    both = [
        ([r.code for r in a.reasons], [r.code for r in b.reasons])
        for a, b in zip(given, true, strict=True)
        if a.decision == b.decision == "declined" and b.reasons
    ]
    found = fidelity.matches([a for a, _ in both], [b for _, b in both])
    outcome = population.defaulted.astype(np.int64)
    auc = metrics.auc(outcome, np.array([a.default_probability for a in given]))
    assert found.first >= 0.90
    assert found.f1 >= 0.95
    assert abs(auc - metrics.auc(outcome, population.default_probability)) <= 0.01
