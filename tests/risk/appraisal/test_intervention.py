"""Proof by intervention: enough, needed, nothing stronger left out."""

import dataclasses

import numpy as np
import pytest
from risk_cases import german, german_engine, people, small_engine
from scipy.special import logit

from lendsafe.risk.appraisal import intervention


def stated(engine, frame):
    decided = engine.decide(frame)
    rows = [
        [c for c in row if isinstance(c, str)]
        for row in decided[[f"reason_{i}" for i in range(1, 5)]].to_numpy().tolist()
    ]
    score = (decided["default_probability"] > engine.cutoff).to_numpy() & ~engine.blocked(frame)
    return frame[score].reset_index(drop=True), [row for row, out in zip(rows, score, strict=True) if out]


@pytest.mark.parametrize(("which", "least"), [("synthetic", 0.9), ("german", 0.85)])
def test_the_stated_reasons_suffice_for_most_declines(which, least):
    engine = small_engine() if which == "synthetic" else german_engine()
    frame, reasons = stated(engine, people(1_000).frame if which == "synthetic" else german().frame)
    found = intervention.summary(intervention.intervene(engine, frame, reasons))
    assert found.n == len(frame)
    assert found.sufficient.value >= least
    assert found.omitted.value < 0.1
    assert found.moved < 0


def test_of_an_additive_model_every_figure_is_a_sum_of_pushes():
    engine = small_engine(max_depth=1)
    engine = dataclasses.replace(engine, background=engine.background[:32])
    frame, reasons = stated(engine, people().frame)
    scored = engine.score(frame)
    for i, one in enumerate(intervention.intervene(engine, frame, reasons)):
        pushes = dict(zip(scored.codes, scored.contributions[i], strict=True))
        total = sum(pushes[code] for code in reasons[i])
        assert one.before == pytest.approx(
            float(logit(scored.default_probability[i]) - logit(engine.cutoff)), abs=1e-5
        )
        assert one.after == pytest.approx(one.before - total, abs=1e-4)
        assert one.sufficient == (one.after <= 0)
        for code, needed in zip(one.reasons, one.needed, strict=True):
            assert needed == (one.before - total + pushes[code] > 0)
        assert one.stronger == ""


def test_a_weak_reason_in_place_of_the_strongest_is_an_omission():
    engine = small_engine()
    frame, reasons = stated(engine, people(1_000).frame)
    scored = engine.score(frame)
    strong = [i for i, row in enumerate(reasons) if len(row) > 1 and scored.contributions[i].max() > 1]
    weak = [[scored.codes[int(np.argmin(np.abs(scored.contributions[i])))]] for i in strong]
    found = intervention.intervene(engine, frame.iloc[strong].reset_index(drop=True), weak)
    named = [(one, i) for one, i in zip(found, strong, strict=True) if one is not None]
    assert named
    assert sum(bool(one.stronger) for one, _ in named) > 0.9 * len(named)
    assert sum(one.sufficient for one, _ in named) < 0.3 * len(named)


def test_without_a_reason_of_the_score_there_is_nothing_to_intervene_on():
    assert intervention.intervene(small_engine(), people().frame[:2], [[], ["foreclosure"]]) == [None, None]
    assert intervention.summary([None]) is None
