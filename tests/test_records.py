"""The nouns: frozen, in range, and the same after a trip through JSON."""

import copy
import json
import random
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest
from applicants import applicant, changed
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.product import consumer
from lendsafe.records import (
    Applicant,
    Assessment,
    Explanation,
    Finding,
    Message,
    Reason,
    Strength,
    Style,
    assessment_from_json,
    narrative_type,
    to_json,
)

ONE = applicant("x", loan_amount=10_000)


def a_random(seed: int) -> Assessment:
    return random_assessment(random.Random(seed))[0]


def test_records_cannot_be_changed():
    reason = Reason(code="delinquency", contribution=1.0, strength="strong")
    assessment = Assessment(applicant=ONE, decision="declined", default_probability=0.5, cutoff=0.1)
    explanation = Explanation(assessment=assessment, style=Style(), slot_text="", text="", source="model")
    for record in (ONE, reason, assessment, explanation, Style(), Message("user", "x"), Finding("G1", "x")):
        name = fields(record)[0].name
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, None)
        with pytest.raises((AttributeError, TypeError)):
            record.other = 1
        hash(record)  # so it can be a key, and nothing in it is mutable


NUMBERS = [f for f in consumer().values.values() if f.numeric and f.formula is None]


@pytest.mark.parametrize("field", NUMBERS, ids=lambda f: f.name)
def test_a_number_is_allowed_up_to_its_limits_and_not_beyond(field):
    low, high = field.low, field.high
    for inside in (low, high):
        assert changed(ONE, **{field.name: inside})[field.name] == inside
    for outside in (low - 1, high + 1):
        wanted = f"'{field.name}' is {outside:.15g}; expected .* from {low:.15g} to {high:.15g}"
        with pytest.raises(DataError, match=wanted):
            changed(ONE, **{field.name: int(outside)})
    for wrong in ("seven", [7], float("nan"), float("inf"), True):
        with pytest.raises(DataError, match=f"'{field.name}' is "):
            changed(ONE, **{field.name: wrong})


def test_an_applicant_names_what_is_wrong():
    with pytest.raises(DataError, match="'loan_purpose' is 'boat'; expected one of debt_consolidation, "):
        changed(ONE, loan_purpose="boat")
    with pytest.raises(DataError, match=r"'incme' is no field of product 'consumer'"):
        changed(ONE, incme=5)
    with pytest.raises(DataError, match="'applicant_id' is missing"):
        Applicant(None, {})


def test_what_is_not_known_is_none_and_what_is_no_field_is_refused():
    for name in ("credit_score", "annual_income", "debt_to_income", "revolving_utilization"):
        assert ONE[name] is None
    with pytest.raises(KeyError, match="shoe_size"):
        ONE["shoe_size"]


def test_formulas_are_worked_out_and_never_given():
    one = applicant("x", loan_amount=10_000, annual_income=40_000)
    assert one["amount_to_income"] == 25.0
    assert one["no_credit_file"] is True
    assert changed(one, collections=0)["no_credit_file"] is False
    assert changed(one, annual_income=None)["amount_to_income"] is None
    assert "amount_to_income" not in to_json(one)


def test_an_applicant_is_checked_again_in_another_process():
    one = applicant("x", loan_amount=10_000, annual_income=40_000)
    assert copy.copy(one) == one
    assert changed(one) == one
    assert hash(changed(one)) == hash(one)


@given(st.integers(0, 2**32 - 1))
def test_an_assessment_survives_json(seed):
    assessment = a_random(seed)
    assert assessment_from_json(json.loads(json.dumps(to_json(assessment)))) == assessment


def test_every_problem_of_an_assessment_is_raised_at_once():
    table = to_json(a_random(3))
    table["decision"] = "perhaps"
    table["applicant"]["loan_amount"] = -1
    table["cutof"] = table.pop("cutoff")
    table["default_probability"] = 1.01
    with pytest.raises(DataError) as caught:
        assessment_from_json(table, "a.json")
    message = str(caught.value)
    assert message.startswith("a.json: ")
    for part in (
        "'decision' is 'perhaps'",
        "'applicant.loan_amount' is -1",
        "'cutof' is an unknown key. Did you mean 'cutoff'?",
        "'cutoff' is missing",
        "'default_probability' is 1.01; expected from 0 to 1",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("applicant", None, "'applicant' is None; expected an object"),
        ("applicant", [1], "'applicant' is [1]; expected an object"),
        ("reasons", {"code": "x"}, "'reasons' is {'code': 'x'}; expected a list of objects"),
        ("reasons", ["x"], "'reasons' is 'x'; expected an object"),
        ("missing", "income", "'missing' is 'income'; expected a list of text"),
        ("score", 1.5, "'score' is 1.5; expected a whole number or nothing"),
    ],
)
def test_a_part_of_another_kind_is_refused(key, value, said):
    with pytest.raises(DataError) as caught:
        assessment_from_json(to_json(a_random(3)) | {key: value})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("decision", "detail", "kind"),
    [
        ("approved", "standard", "standard_approval"),
        ("approved", "detailed", "detailed_factor_analysis"),
        ("declined", "standard", "adverse_action"),
        ("declined", "detailed", "adverse_action"),
        ("counteroffer", "standard", "adverse_action"),
        ("incomplete", "detailed", "adverse_action"),
    ],
)
def test_narrative_types(decision, detail, kind):
    assessment = Assessment(applicant=ONE, decision=decision, default_probability=0.5, cutoff=0.1)
    assert narrative_type(assessment, Style(detail=detail)) == kind


@given(st.integers(0, 2**32 - 1))
def test_random_assessments_are_coherent(seed):
    """What the tests of everything else are fed with."""
    assessment, style = random_assessment(random.Random(seed))
    reasons, strengths = assessment.reasons, assessment.strengths
    assert len({one.code for one in (*reasons, *strengths)}) == len(reasons) + len(strengths)
    assert all(
        one.code in consumer().reasons and one.strength in get_args(Strength)
        for one in (*reasons, *strengths)
    )
    assert all(one.contribution > 0 for one in reasons)
    assert all(one.contribution < 0 for one in strengths)
    assert [abs(r.contribution) for r in reasons] == sorted(
        (abs(r.contribution) for r in reasons), reverse=True
    )
    if assessment.decision == "declined":
        assert 1 <= len(reasons) <= 4
        assert not strengths
    else:
        assert assessment.decision == "approved"
        assert strengths
    assert isinstance(style, Style)
