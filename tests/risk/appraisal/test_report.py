"""The report: what it must hold, that it needs nothing else, that its numbers are right, and hostile text."""

import dataclasses
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from risk_cases import german, german_engine, people, small_engine

from lendsafe.errors import DataError
from lendsafe.risk.appraisal import charts, html, metrics, report
from lendsafe.risk.appraisal.limits import limits
from lendsafe.risk.appraisal.measure import appraise
from lendsafe.risk.appraisal.records import Sample
from lendsafe.risk.model import training


def german_sample(**more):
    return Sample(
        frame=german().frame,
        protected=german().protected,
        lineage=german().lineage,
        **more,
    )


@pytest.fixture(scope="module")
def found():
    return appraise(german_engine(), german_sample(), resamples=100)


@pytest.fixture(scope="module")
def synthetic():
    """New applicants with outcomes, dates, decisions and groups, none of whom the model was trained on."""
    population = people(1500)
    chance = np.random.default_rng(0).random(1500)
    sample = Sample(
        frame=population.applications().assign(decision=np.where(chance < 0.2, "declined", "approved")),
        protected=population.protected.drop(columns="applicant_id"),
        lineage={"source": "new.csv", "sha256": "0" * 64, "product": "consumer"},
        dates=np.datetime64("2026-01-01") + np.arange(1500) // 5,
    )
    return appraise(small_engine(), sample, resamples=100)


def plain(frame):
    """Applications in our own columns, without protected ones."""
    return Sample(frame=frame, lineage={"source": "x.csv", "sha256": "", "product": "consumer"})


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
    page = report.render(request.getfixturevalue(which))
    read = Reader(page)
    assert read.open == []
    assert read.outside == []
    assert not {"script", "link", "iframe", "img", "object"} & read.tags
    assert "http" not in page
    assert "url(" not in page
    assert len(read.alts) in (4, 5)
    assert all(len(alt) > 40 for alt in read.alts)
    for heading in ("Limits", "Data", "Ranking and calibration", "Scores and decisions", "Reasons",
                    "Features, constraints and reasons", "Groups", "Settings and versions"):  # fmt: skip
        assert heading in read.headings


def held_out():
    past = training.prepare(german().frame, german_engine().config, german().features)
    return past.held_out


def test_on_its_training_file_only_the_held_out_part_counts(found):
    out = held_out()
    assert (found.data.held_out, found.data.rows) == (True, int(out.sum()))
    assert found.data.left_out == 1000 - int(out.sum()) == found.model.training.rows


def test_one_more_row_another_order_and_other_names_change_no_figure(found):
    """One row more once turned the report in-sample: AUC .948 became .970."""
    again = german_sample()
    frame = again.frame.sample(frac=1, random_state=1)
    protected = again.protected.loc[frame.index]
    extra = frame.iloc[[0]].assign(credit_amount=frame["credit_amount"].iloc[0] + 1, defaulted=pd.NA)
    frame = pd.concat([frame, extra]).assign(applicant_id=[f"N-{i}" for i in range(1001)])
    protected = pd.concat([protected, protected.iloc[[0]]])
    other = appraise(german_engine(), Sample(frame=frame, protected=protected), resamples=100, search=False)
    assert other.data.left_out == found.data.left_out
    assert other.data.rows == found.data.rows + 1
    assert other.performance.model.auc.value == pytest.approx(found.performance.model.auc.value)
    assert "in training, known by their content; they are left out" in " ".join(limits(other))


def test_a_file_of_training_rows_alone_has_nothing_to_measure_on():
    inside = german().frame[~held_out()]
    with pytest.raises(DataError, match="trained on all"):
        appraise(german_engine(), plain(inside), resamples=100)


def test_the_numbers_are_those_of_the_measures(found):
    table = german().frame[held_out()]
    probability = german_engine().score(table.reset_index(drop=True)).default_probability
    outcome = table["defaulted"].to_numpy(dtype=np.int64)
    performance = found.performance
    for name, statistic in metrics.METRICS.items():
        one = getattr(performance.model, name)
        assert one.value == pytest.approx(statistic(outcome, probability))
        assert one.low <= one.value <= one.high or name == "ks"
    assert performance.defaults == outcome.sum()
    assert sum(found.decisions.values()) == len(table)
    assert performance.scorecard.auc.value > 0.7
    assert (performance.recommended == "model") == (performance.auc_over_scorecard.low > 0)


def test_where_the_scorecard_is_as_good_it_is_recommended(found):
    assert found.performance.recommended == "scorecard"
    assert any("The scorecard is recommended" in line for line in limits(found))
    assert "the scorecard is recommended" in report.render(found)


def test_the_reasons_add_up(found, synthetic):
    for one in (found, synthetic):
        reasons = one.reasons
        assert sum(entry.first for entry in reasons.frequency) == reasons.declined_by_score
        given = sum(entry.given for entry in reasons.frequency)
        assert given == pytest.approx(reasons.mean_number * reasons.declined_by_score)
        assert reasons.toward_approval > 0.98
        assert reasons.interventions.sufficient.value >= 0.85


def test_stability_under_refitting_stands_beside_the_backgrounds(found):
    assert 0.3 < found.reasons.refit.same_set < found.reasons.redraw.same_set <= 1
    assert "Refitted on nine tenths of the training rows" in report.render(found)


def test_new_data_are_measured_whole_and_said_to_be_new(synthetic):
    assert (synthetic.data.held_out, synthetic.data.rows, synthetic.data.left_out) == (False, 1500, 0)
    assert synthetic.alternatives == ()
    assert synthetic.performance.scorecard is None
    assert any("does not hold the training rows" in line for line in limits(synthetic))
    assert not synthetic.drift.drifted
    assert {one.attribute for one in synthetic.groups} == {"sex", "age_band", "race"}


def test_quarters_have_figures_of_their_own(synthetic):
    assert [one.period for one in synthetic.vintages] == ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    assert sum(one.n for one in synthetic.vintages) == 1500
    for one in synthetic.vintages[:3]:
        assert one.auc.low < one.auc.value < one.auc.high
        assert one.calibration.slope.low < 1.6
        assert one.in_training == 0
    assert "Out of time" in Reader(report.render(synthetic)).headings


def test_the_lenders_decisions_stand_beside_the_models(synthetic):
    """They were drawn by chance: 20 % declined of whomever the model would approve."""
    found = synthetic.overrides
    assert found.high_side.low < 0.2 < found.high_side.high
    assert found.low_side.low < 0.8 < found.low_side.high
    assert sum(one.n for one in found.cells) == 1500
    assert all(one.difference.low < 0.3 for one in found.profile)
    assert all(len(one.lender) == len(one.figures) for one in synthetic.groups)
    page = report.render(synthetic)
    assert "No reject inference" in page
    assert "The lender&#39;s own decisions" in page or "The lender's own decisions" in page


def test_a_group_of_whom_nobody_is_measured_is_said():
    sample = german_sample()
    protected = sample.protected.copy()
    protected["rare"] = np.where(held_out(), "many", "few")
    one = appraise(
        german_engine(), Sample(frame=sample.frame, protected=protected), resamples=100, search=False
    )
    assert one.data.groups_absent == ("rare few",)
    assert "Nobody is measured of: rare few" in report.render(one)


def test_a_reference_group_can_be_chosen_and_has_to_exist():
    population = people(1500)
    sample = Sample(
        frame=population.applications(),
        protected=population.protected[["sex"]],
        references={"sex": "female"},
    )
    one = appraise(small_engine(), sample, resamples=100)
    assert {g.reference for g in one.groups[0].figures} == {"female"}
    with pytest.raises(DataError, match="Nobody is in the reference group 'other'"):
        appraise(small_engine(), Sample(frame=sample.frame, protected=sample.protected,
                                        references={"sex": "other"}), resamples=100)  # fmt: skip


def test_drifted_scores_are_said_to_have_drifted():
    population = people(1500)
    table = population.applications().assign(debt_to_income=lambda t: t["debt_to_income"] + 12)
    one = appraise(small_engine(), plain(table), resamples=100)
    assert one.drift.drifted
    assert "the scores have drifted" in report.render(one)


def test_without_outcomes_and_groups_the_page_says_so():
    one = appraise(small_engine(), plain(people().frame), resamples=100)
    assert one.performance is None
    page = report.render(one)
    assert "ranking and calibration are not measured" in page
    assert "Ranking and calibration" not in Reader(page).headings
    assert "differences between groups are not assessed" in page


def test_an_approval_rate_of_one_leaves_no_declines_and_a_page():
    engine = dataclasses.replace(small_engine(), cutoff=0.999999)
    one = appraise(engine, plain(people().applications()), resamples=100)
    assert one.reasons is None
    assert Reader(report.render(one)).open == []


def test_text_of_the_file_is_escaped_everywhere(found):
    hostile = '<script>alert("x")</script>&\''
    reasons = tuple(dataclasses.replace(one, statement=hostile) for one in found.reasons.frequency)
    figures = tuple(dataclasses.replace(one, group=hostile) for one in found.groups[0].figures)
    spoilt = dataclasses.replace(
        found,
        data=dataclasses.replace(
            found.data, source=hostile, set_aside=((hostile, f"leak: {hostile}"),), groups_absent=(hostile,)
        ),
        groups=(dataclasses.replace(found.groups[0], attribute=hostile, figures=figures),),
        reasons=dataclasses.replace(found.reasons, frequency=reasons),
        alternatives=(dataclasses.replace(found.alternatives[0], name=hostile),),
    )
    page = report.render(spoilt)
    assert "<script" not in page
    assert Reader(page).open == []


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
    assert table["limits"]
    assert (tmp_path / "one" / "report.html").read_text() == (tmp_path / "two" / "report.html").read_text()


def test_the_scorecard_is_exported_beside_the_report_of_a_training_file(tmp_path):
    report.write(str(tmp_path / "out"), german_engine(), german_sample(), resamples=100, search=False)
    names = {one.name for one in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "metrics.json", "scorecard.csv", "scorecard.sql", "scorecard.py"}


def test_nothing_is_cut_in_print(found):
    """No closed parts, and tables that would scroll on a screen are whole on paper."""
    page = report.render(found)
    assert "details" not in Reader(page).tags
    printed = page[page.index("@media print") :]
    assert ".wide, dd { overflow: visible; }" in printed
    assert "white-space: normal" in printed


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
    assert html.shown(metrics.Interval(0.8119, 0.79, 0.8341)) == "0.812 [0.790, 0.834]"
    assert html.shown(None) == "–"
    assert html.percent(metrics.Rate(0.654, 0.546, 0.749, 81)) == "65.4% [54.6, 74.9], n 81"
