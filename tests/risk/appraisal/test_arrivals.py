"""A new file whose column is in other units, or not there, is told before a letter is written."""

import dataclasses
import json

import numpy as np
import pytest
from command import lendsafe
from lending import approved, declined, engine, risk_folder

from lendsafe.corpus import process
from lendsafe.product import consumer
from lendsafe.risk.appraisal import arrivals
from lendsafe.risk.model import RiskEngine
from lendsafe.risk.model.bins import Bins


@pytest.fixture(scope="module")
def fresh():
    """New applications of the same process."""
    return process.history(400, 99).applications().drop(columns="defaulted")


def said(frame):
    return arrivals.warning(engine().training, consumer(), frame)


def test_a_file_like_the_one_at_development_is_passed_in_silence(fresh):
    assert said(fresh) == ""
    assert [said(process.history(60, seed).applications()) for seed in range(8)] == [""] * 8


@pytest.mark.parametrize(
    ("field", "factor"),
    [("annual_income", 12), ("loan_amount", 0.01), ("debt_to_income", 100), ("employment_months", 12)],
)
def test_a_column_in_other_units_is_named_with_its_medians_and_its_factor(fresh, field, factor):
    line = said(fresh.assign(**{field: fresh[field] / factor}))
    now = np.nanmedian(fresh[field].astype(float)) / factor
    (before,) = [one.median for one in engine().training.fields if one.name == field]
    assert line.startswith(f"'{field}' is not as at development: median {now:,.6g}, then {before:,.6g} (")
    assert f'scales = {{ "{field}" = {factor:g} }} in [fields.{field}]' in line
    assert "\n" not in line


def test_a_column_that_is_not_there_is_named(fresh):
    line = said(fresh.drop(columns="revolving_utilization"))
    assert line.startswith("'revolving_utilization' is not as at development: median not known, then ")
    assert "[fields.revolving_utilization]" in line


def test_the_others_that_moved_are_named_behind_the_first(fresh):
    line = said(fresh.assign(annual_income=fresh.annual_income / 12, loan_amount=fresh.loan_amount / 100))
    assert line.count("Also moved: '") == 1
    assert "'annual_income'" in line
    assert "'loan_amount'" in line


def test_fewer_than_fifty_applications_say_nothing(fresh):
    wrong = fresh.assign(annual_income=fresh.annual_income / 12)
    assert (said(wrong.head(49)), bool(said(wrong.head(50)))) == ("", True)


def test_records_and_tables_say_the_same(fresh):
    wrong = fresh.assign(annual_income=fresh.annual_income / 12)
    people = [one.applicant for one in engine().assess_many(wrong)]
    assert arrivals.warning(engine().training, consumer(), people) == said(wrong)


def test_an_index_that_is_checkable_by_hand():
    before = Bins.of("x", [0.0] * 500 + [1.0] * 500)  # halves
    training = dataclasses.replace(engine().training, fields=(before,))
    (one,) = arrivals.moved(training, {"x": np.array([0.0] * 10 + [1.0] * 90)}, 100)
    # (0.1 - 0.5) ln(0.1 / 0.5) + (0.9 - 0.5) ln(0.9 / 0.5) = 0.879, less half a row in each bin
    assert one.psi == pytest.approx(0.879, abs=0.03)
    assert (one.before, one.now) == (0.5, 1.0)


def test_what_a_model_was_trained_on_is_stored_with_it(tmp_path):
    loaded = RiskEngine.load(risk_folder(tmp_path))
    assert loaded.training.fields == engine().training.fields
    assert {one.name for one in loaded.training.fields} >= {"annual_income", "loan_amount", "credit_score"}


def test_both_commands_warn_before_they_write(tmp_path, fresh):
    risk, file = risk_folder(tmp_path), tmp_path / "new.csv"
    fresh.assign(annual_income=fresh.annual_income / 12).head(60).to_csv(file, index=False)
    for words in (
        ("risk", "score", file, "--risk", risk, "--out", tmp_path / "scored.csv"),
        ("explain", file, "--risk", risk, "--out", tmp_path / "letters.jsonl"),
    ):
        ran = lendsafe(*words)
        assert ran.code == 0
        (line,) = [one for one in ran.err.splitlines() if one.startswith("Warning")]
        assert line.startswith(f"Warning: {file}: 'annual_income' is not as at development")


def test_one_application_is_not_held_against_a_population(tmp_path):
    risk, file = risk_folder(tmp_path), tmp_path / "one.json"
    for table in (declined(), approved(annual_income=1)):
        file.write_text(json.dumps(table))
        assert "not as at development" not in lendsafe("explain", file, "--risk", risk).err
