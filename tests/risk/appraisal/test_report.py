"""The report: what it must hold, that it needs nothing else, that its numbers are right, and hostile text."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from risk_cases import german, german_engine, people, small_engine

from lendsafe.risk import dataset
from lendsafe.risk.appraisal import charts, metrics, report
from lendsafe.risk.appraisal import measure as appraisal
from lendsafe.risk.model.training import test_rows as held_out


@pytest.fixture(scope="module")
def found():
    data = dataset.Dataset(
        frame=german().frame,
        features=german().features,
        protected=german().protected.drop(columns="applicant_id"),
        lineage=german().lineage,
    )
    return appraisal.appraise(german_engine(), data, resamples=100, alternatives=False)


@pytest.fixture(scope="module")
def synthetic():
    """New applicants with outcomes and groups, none of whom the model was trained on."""
    population = people(1500)
    data = dataset.Dataset(
        frame=population.applications(),
        features=small_engine().features,
        protected=population.protected.drop(columns="applicant_id"),
        lineage={"source": "new.csv", "sha256": "0" * 64, "product": "consumer"},
    )
    return appraisal.appraise(small_engine(), data, resamples=100)


def plain(frame):
    """Applications in our own columns, without protected ones."""
    return dataset.Dataset(
        frame=frame,
        features=small_engine().features,
        protected=None,
        lineage={"source": "x.csv", "sha256": "", "product": "consumer"},
    )


class Reader(HTMLParser):
    """Tags, alternative texts, and whatever would reach out of the page."""

    def __init__(self, html):
        super().__init__()
        self.open, self.alts, self.outside, self.headings, self.tags = [], [], [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        table = dict(attributes)
        self.outside += [v for k, v in attributes if k in ("src", "href", "action", "data", "srcset") and v]
        if tag == "svg":
            assert table["role"] == "img"
            self.alts.append(table["aria-label"])
        if tag not in ("meta", "br", "line", "circle", "rect", "polyline", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.mark.parametrize("which", ["found", "synthetic"])
def test_the_page_is_whole_and_needs_nothing_else(which, request):
    html = report.render(request.getfixturevalue(which))
    read = Reader(html)
    assert read.open == []
    assert read.outside == []
    assert not {"script", "link", "iframe", "img", "object"} & read.tags
    assert "http" not in html
    assert "url(" not in html
    assert len(read.alts) == 5
    assert all(len(alt) > 40 for alt in read.alts)
    for heading in ("Limits", "Data", "Ranking and calibration", "Scores and decisions", "Reasons",
                    "Features, constraints and reasons", "Groups", "Settings and versions"):  # fmt: skip
        assert heading in read.headings


def test_on_its_training_file_only_the_held_out_part_counts(found):
    out = held_out(german().frame, german_engine().config)
    assert (found["data"]["held_out"], found["data"]["rows"]) == (True, int(out.sum()))
    assert found["data"]["training_rows"] == 1000 - int(out.sum()) == found["model"]["training"]["rows"]


def test_the_numbers_are_those_of_the_measures(found):
    out = held_out(german().frame, german_engine().config)
    table = german().frame[out]
    probability = german_engine().score(table.reset_index(drop=True)).default_probability
    outcome = table["defaulted"].to_numpy(dtype=np.int64)
    performance = found["performance"]
    for name, statistic in metrics.METRICS.items():
        assert performance["model"][name]["value"] == pytest.approx(statistic(outcome, probability))
        one = performance["model"][name]
        assert one["low"] <= one["value"] <= one["high"] or name == "ks"
    assert performance["defaults"] == outcome.sum()
    assert sum(found["decisions"].values()) == len(table)
    assert performance["scorecard"]["auc"]["value"] > 0.6
    assert performance["beats_scorecard"] == (performance["auc_over_scorecard"]["low"] > 0)


def test_the_reasons_add_up(found, synthetic):
    for one in (found, synthetic):
        reasons = one["reasons"]
        firsts = sum(entry["first"] for entry in reasons["frequency"].values())
        given = sum(entry["given"] for entry in reasons["frequency"].values())
        assert firsts + reasons["without_any"] == reasons["declined_by_score"]
        assert given == pytest.approx(reasons["mean_number"] * reasons["declined_by_score"])
        assert reasons["counterfactual"]["toward_approval"] > 0.98


def test_new_data_are_measured_whole_and_said_to_be_new(synthetic):
    assert (synthetic["data"]["held_out"], synthetic["data"]["rows"]) == (False, 1500)
    assert "alternatives" not in synthetic
    assert synthetic["performance"]["scorecard"] is None
    assert any("not the data that the model was trained on" in line for line in synthetic["limits"])
    assert synthetic["psi"]["drift"] == 0
    assert set(synthetic["groups"]) == {"sex", "age_band", "race"}


def test_drifted_scores_are_said_to_have_drifted():
    population = people(1500)
    table = population.applications().assign(debt_to_income=lambda t: t["debt_to_income"] + 12)
    one = appraisal.appraise(small_engine(), plain(table), resamples=100)
    assert one["psi"]["drift"] == 1
    assert "the scores have drifted" in report.render(one)


def test_without_outcomes_and_groups_the_page_says_so():
    data = plain(people().frame)
    one = appraisal.appraise(small_engine(), data, resamples=100)
    assert one["performance"] is None
    html = report.render(one)
    assert "ranking and calibration are not measured" in html
    assert "Ranking and calibration" not in Reader(html).headings
    assert "differences between groups are not assessed" in html


def test_an_approval_rate_of_one_leaves_no_declines_and_a_page():
    import dataclasses

    engine = dataclasses.replace(small_engine(), cutoff=0.999999)
    data = plain(people().applications())
    one = appraisal.appraise(engine, data, resamples=100)
    assert one["reasons"] is None
    assert Reader(report.render(one)).open == []


def test_text_of_the_file_is_escaped_everywhere(found):
    hostile = '<script>alert("x")</script>&\''
    spoilt = json.loads(json.dumps(found).replace("german_credit.csv", "F").replace("foreign_worker", "G"))
    spoilt["data"]["source"] = hostile
    spoilt["data"]["set_aside"] = {hostile: f"leak: {hostile}"}
    spoilt["groups"][hostile] = spoilt["groups"].pop("age_in_years")
    for one in spoilt["groups"][hostile]["figures"]:
        one["group"] = hostile
    for one in spoilt["reasons"]["frequency"].values():
        one["statement"] = hostile
    html = report.render(spoilt)
    assert "<script" not in html
    assert Reader(html).open == []


def test_metrics_json_is_json_and_reproducible(tmp_path):
    data = plain(people().applications())
    for name in ("one", "two"):
        report.write(tmp_path / name, small_engine(), data, resamples=100)
    one, two = ((tmp_path / name / "metrics.json").read_text() for name in ("one", "two"))
    assert one == two
    assert "NaN" not in one
    table = json.loads(one)
    assert table["versions"]["xgboost"]
    assert table["model"]["background_sha256"] == small_engine().background_hash
    assert (tmp_path / "one" / "report.html").read_text() == (tmp_path / "two" / "report.html").read_text()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 37.2, [0, 5, 10, 15, 20, 25, 30, 35]),
        (386, 458, [390, 400, 410, 420, 430, 440, 450]),
        (0.78, 1.44, [0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert charts.ticks(low, high) == pytest.approx(expected)


def test_a_value_with_its_interval_as_a_reader_sees_it():
    assert report.shown({"value": 0.8119, "low": 0.79, "high": 0.8341}) == "0.812 [0.790, 0.834]"
    assert report.shown(None) == "–"
    assert (
        report.percent({"value": 0.654, "low": 0.546, "high": 0.749, "n": 81}) == "65.4% [54.6, 74.9], n 81"
    )
