"""Monitoring: quiet where nothing changed, loud where it did, on small files and large ones."""

import dataclasses
import json

import numpy as np
import pytest
from risk_cases import people, small_engine

from lendsafe.corpus import process
from lendsafe.errors import ConfigError
from lendsafe.risk.appraisal import monitoring
from lendsafe.risk.appraisal.monitoring import Limits
from lendsafe.risk.appraisal.records import Sample


def sample(n=1_500, seed=3, change=lambda frame: frame, **more):
    population = people(n, seed)
    return Sample(frame=change(population.applications()), **more)


def test_without_change_nothing_is_exceeded():
    found = monitoring.monitor(small_engine(), sample())
    assert found.exceeded == ()
    assert not found.score.drifted
    assert {one.name for one in found.features} == {f.name for f in small_engine().features.features}


@pytest.mark.parametrize("n", [60, 300])
def test_small_files_raise_no_alarm_by_chance(n):
    """The usual 0.10 would, on most of them."""
    alarms = sum(bool(monitoring.monitor(small_engine(), sample(n, seed)).exceeded) for seed in range(20, 32))
    assert alarms <= 2


def test_a_feature_that_moves_is_named_with_what_it_does_to_score_and_reasons():
    found = monitoring.monitor(
        small_engine(), sample(change=lambda t: t.assign(debt_to_income=t["debt_to_income"] + 12))
    )
    assert found.features[0].name == "debt_to_income"
    assert found.features[0].drifted
    assert found.score.drifted
    assert found.reasons.drifted
    assert any("'debt_to_income' moved" in line for line in found.exceeded)
    assert any("are approved; at development" in line for line in found.exceeded)


def test_more_defaults_than_predicted_are_seen_and_months_have_figures():
    dates = np.datetime64("2026-01-01") + np.arange(1_500) // 25
    tenth = np.arange(1_500) % 10 == 0
    worse = sample(change=lambda t: t.assign(defaulted=np.maximum(t["defaulted"], tenth)), dates=dates)
    found = monitoring.monitor(small_engine(), worse)
    assert found.calibration.low > 0.03
    assert any("off what was predicted" in line for line in found.exceeded)
    assert [one.period for one in found.months] == ["2026-01", "2026-02", "2026-03"]
    assert all(one.calibration.intercept.low < one.calibration.intercept.high for one in found.months[:2])


def test_values_that_are_no_longer_known_are_drift():
    third = np.arange(1_500) % 3 == 0
    lost = sample(change=lambda t: t.assign(inquiries_6m=t["inquiries_6m"].where(~third)))
    assert monitoring.monitor(small_engine(), lost).features[0].name == "inquiries_6m"


def test_groups_have_rates_and_a_ratio_below_the_limit_is_an_alarm():
    population = people(1_500)
    approved = (small_engine().decide(population.frame)["decision"] == "approved").to_numpy()
    groups = population.protected[["sex"]].assign(
        planted=np.where(approved | (np.arange(1_500) % 5 > 0), "x", "y")
    )
    found = monitoring.monitor(
        small_engine(), Sample(frame=population.applications(), protected=groups, references={"planted": "x"})
    )
    assert [name for name, _ in found.groups] == ["sex", "planted"]
    assert len(found.exceeded) == 1
    assert found.exceeded[0].startswith("y (planted): adverse impact ratio 0.00")


def test_the_page_and_the_json_are_written_and_escaped(tmp_path):
    found = monitoring.monitor(small_engine(), sample(lineage={"source": "<script>x</script>"}))
    monitoring.write(str(tmp_path / "out"), dataclasses.replace(found, exceeded=("<b>x</b>",)))
    page = (tmp_path / "out" / "monitor.html").read_text()
    assert "<script" not in page
    assert "<b>x</b>" not in page
    table = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert table["n"] == 1_500
    assert table["limits"]["score_psi"] == 0.1


def test_limits_are_read_and_a_wrong_one_is_named():
    assert monitoring.read_limits({"ratio": 0.9}, "l.toml") == Limits(ratio=0.9)
    with pytest.raises(ConfigError, match="'ratios' is an unknown key"):
        monitoring.read_limits({"ratios": 0.9}, "l.toml")
    with pytest.raises(ConfigError, match="from 0 to 1"):
        monitoring.read_limits({"ratio": 9.0}, "l.toml")


def test_the_development_file_itself_has_not_moved():
    found = monitoring.monitor(small_engine(), Sample(frame=process.history(3_000, 7).applications()))
    assert found.exceeded == ()
    assert max(one.psi for one in found.features) < 0.02
