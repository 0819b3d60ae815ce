"""The engine as a person meets it in Python: fit, decide, explain, its names, and what fitting takes."""

import numpy as np
import pandas as pd
import pytest
from risk_cases import german, german_engine, people, small_engine

import lendsafe
from lendsafe.corpus import process
from lendsafe.errors import DataError
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import training
from lendsafe.risk.model.engine import RiskEngine

QUICK = RiskConfig(max_trees=20, patience=5)


@pytest.fixture(scope="module")
def past():
    return process.history(2_000, 5).applications()


def test_it_introduces_itself_in_a_line_and_as_a_table():
    engine = german_engine()
    assert repr(engine).startswith(f"RiskEngine({engine.identity}: ")
    assert len(repr(engine)) < 200
    html = engine._repr_html_()
    assert engine.identity in html
    assert "<script" not in html


def test_a_folder_may_be_a_text_or_a_path(tmp_path):
    small_engine().save(str(tmp_path / "risk"))
    one, other = RiskEngine.load(str(tmp_path / "risk")), RiskEngine.load(tmp_path / "risk")
    assert one.identity == other.identity == small_engine().identity
    table = people().frame
    expected = small_engine().decide(table)
    assert lendsafe.score(table, str(tmp_path / "risk")).equals(expected)
    assert lendsafe.score(table, small_engine()).equals(expected)


def test_fitting_and_scoring_need_two_lines(past):
    engine = lendsafe.fit_risk(past, QUICK)
    assert lendsafe.score(past, engine)["decision"].isin(["approved", "declined", "incomplete"]).all()


def test_it_decides_and_explains_the_frame_it_came_from(past):
    """Outcome, identifiers and further columns are no hindrance, in any order and kind of number."""
    engine = RiskEngine.fit(past, QUICK)
    odd = past.assign(note="x", inquiries_6m=past["inquiries_6m"].astype("Int64"))[sorted([*past, "note"])]
    assert engine.decide(odd).equals(engine.decide(past))
    found = engine.explain(odd.head(3))
    assert [one.applicant_id for one in found] == past["applicant_id"].head(3).tolist()
    assert [one.decision for one in found] == engine.decide(past)["decision"].head(3).tolist()


def test_whole_numbers_are_shown_without_a_fraction():
    found = german_engine().explain(german().frame.head(50))
    values = [f.value for one in found for factor in one.reasons for f in factor.features]
    assert any(isinstance(v, int) for v in values)
    assert not any(isinstance(v, float) and v.is_integer() for v in values)


def test_a_customers_loans_stay_on_one_side(past):
    customers = [f"C-{i // 4}" for i in range(len(past))]
    prepared = training.prepare(past, QUICK, small_engine().features, groups=customers)
    sides = pd.Series(prepared.held_out).groupby(np.arange(len(past)) // 4).nunique()
    assert (sides == 1).all()
    engine = RiskEngine.fit(past, QUICK, groups=customers)
    assert engine.training.split == "by customer"
    assert engine.training.groups == int((~prepared.held_out).sum() / 4)


def test_with_dates_the_latest_fifth_is_held_out(past):
    dates = pd.Series(np.datetime64("2025-01-01") + np.arange(len(past)) // 10).sample(frac=1, random_state=0)
    prepared = training.prepare(past, QUICK, small_engine().features, dates=list(dates))
    held = dates.to_numpy()[prepared.held_out]
    assert held.min() > dates.to_numpy()[~prepared.held_out].max()
    assert 0.15 <= prepared.held_out.mean() <= 0.2
    assert prepared.until == str(dates.to_numpy()[~prepared.held_out].max())[:10]


def test_copies_are_counted_and_stay_on_one_side(past):
    copies = past.head(100).assign(applicant_id=[f"copy-{i}" for i in range(100)])
    both = pd.concat([past, copies], ignore_index=True)
    prepared = training.prepare(both, QUICK, small_engine().features)
    assert prepared.duplicates == 100
    assert (prepared.held_out[:100] == prepared.held_out[-100:]).all()


def test_weights_undo_a_sample_that_took_defaults_more_often(past):
    """Half of the repaid loans, each for two: about the probabilities of the whole file."""
    rng = np.random.default_rng(0)
    kept = (past["defaulted"] == 1) | (rng.random(len(past)) < 0.5)
    part = past[kept].reset_index(drop=True)
    weights = np.where(part["defaulted"] == 1, 1.0, 2.0)
    values = small_engine().features.encode(past).to_numpy()
    mean = [
        RiskEngine.fit(part, QUICK, weights=w).default_probability(values).mean() for w in (weights, None)
    ]
    assert mean[0] == pytest.approx(past["defaulted"].mean(), abs=0.03)
    assert mean[1] > past["defaulted"].mean() + 0.06


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"weights": [0.0] * 2_000}, "A weight is 0"),
        ({"weights": [float("nan")] * 2_000}, "A weight is nan"),
        ({"dates": ["soon"] * 2_000}, "A date is 'soon'"),
    ],
)
def test_what_cannot_be_used_is_named(past, more, message):
    with pytest.raises(DataError, match=message):
        RiskEngine.fit(past, QUICK, **more)
