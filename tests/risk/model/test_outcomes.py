"""Decisions and their reasons: rules before completeness, no decline without a reason, offers by search."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from risk_cases import frame, people, small_engine
from shared_data import shared_data

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import engine as engine_module
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.outcomes import in_doubt


def test_incomplete_never_hides_a_knock_out():
    """The rule suffices for a decision; the score, which lacks an item, gives no reason beside it."""
    found = small_engine().assess_many(frame(bankruptcies=2.0, annual_income=None, inquiries_6m=9.0))[0]
    assert found.decision == "declined"
    assert [(r.code, r.knockout) for r in found.reasons] == [("bankruptcy", True)]
    decided = small_engine().decide(frame(bankruptcies=2.0, annual_income=None))
    assert (decided["decision"][0], decided["reason_1"][0]) == ("declined", "bankruptcy")


@pytest.mark.parametrize("baseline", ["near_cutoff", "all_applicants"])
@pytest.mark.parametrize("materiality", [0.2, 2.0])
def test_no_decline_is_without_a_reason(baseline, materiality):
    engine = small_engine(baseline=baseline)
    engine = dataclasses.replace(
        engine, config=dataclasses.replace(engine.config, materiality=materiality), cutoff=0.08
    )
    decided = engine.decide(people(1_000).frame)
    declined = decided[decided["decision"] == "declined"]
    assert len(declined) > 100
    assert declined["reason_1"].notna().all()
    scored = engine.score(people(1_000).frame)
    below = scored.contributions[declined.index].max(axis=1) < materiality
    rules = engine.blocked(people(1_000).frame)[declined.index]
    assert declined["review"][below & ~rules].all()  # a person looks where no reason is material


def test_the_only_reason_is_the_most_adverse_factor():
    engine = small_engine()
    engine = dataclasses.replace(engine, config=dataclasses.replace(engine.config, materiality=2.0))
    scored = engine.score(people(1_000).frame)
    for i, one in enumerate(engine.assess_many(people(1_000).frame)):
        if one.decision == "declined" and scored.contributions[i].max() < 2 and not one.reasons[0].knockout:
            assert [r.code for r in one.reasons] == [scored.codes[int(scored.contributions[i].argmax())]]
            assert one.reasons[0].strength != "strong" or one.reasons[0].contribution >= engine.config.strong


def test_doubt_by_hand():
    config = RiskConfig()
    assert in_doubt("declined", [], 1.0, config)
    assert not in_doubt("approved", [], 1.0, config)
    assert in_doubt("approved", [], 0.5, config)
    assert not in_doubt("approved", [], None, config)


def by_trying(engine, row, share=0.3):
    """Every smaller amount, largest first."""
    asked = float(row["loan_amount"].iloc[0])
    for step in range(int(np.ceil(asked / 500)) - 1, int(np.ceil(share * asked / 500)) - 1, -1):
        values = engine.features.encode(row.assign(loan_amount=step * 500.0)).to_numpy()
        if step and engine.default_probability(values)[0] <= engine.cutoff:
            return step * 500.0
    return None


def test_without_constraints_an_offer_is_found_wherever_there_is_one():
    """A file in which middling amounts are the risky ones: halving missed most of the offers."""
    path = shared_data("../cases/risk/ushape.csv")
    table = pd.read_csv(path)
    engine = RiskEngine.fit(table, RiskConfig(monotone=False, counteroffer_share=0.3, max_trees=60))
    some = table.sample(400, random_state=0).reset_index(drop=True)
    decided = engine.decide(some)
    failed = decided.index[decided["decision"].isin(["declined", "counteroffer"]) & ~engine.blocked(some)]
    expected = [by_trying(engine, some.iloc[[i]]) for i in failed[:60]]
    found = [None if np.isnan(v) else v for v in decided["counteroffer_amount"][failed[:60]]]
    assert found == expected
    assert any(expected)


def test_halving_and_trying_agree_where_smaller_is_safer():
    low, high, best = np.array([1, 5, 4, 2]), np.array([9, 9, 3, 2]), np.array([6, 9, 9, 1])

    def passes(which, steps):
        return steps <= best[which]

    one, other = engine_module._halving(low, high, passes), engine_module._descent(low, high, passes)
    assert np.array_equal(one, other, equal_nan=True)
    assert one[:2].tolist() == [6, 9]
    assert np.isnan(one[2:]).all()
