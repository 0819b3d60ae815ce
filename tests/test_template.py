"""The deterministic narrative passes every check whatever the assessment; it is what is said when all else fails."""

import random
from dataclasses import replace
from typing import get_args

import pytest
from applicants import applicant
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe import slots, template
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.eval.truth.checks import check
from lendsafe.product import consumer
from lendsafe.records import Assessment, Detail, Reason, Register, Style

SEEDS = st.integers(0, 2**32 - 1)
STYLES = st.builds(
    Style, register=st.sampled_from(get_args(Register)), detail=st.sampled_from(get_args(Detail))
)


def passes(assessment: Assessment, style: Style, *, unknown: bool = False) -> None:
    """No check finds anything; of a reason whose fact is not known, that alone."""
    text = template.template(assessment, style)
    shown = slots.render(text, slots.facts(assessment))
    found = [*check(text, assessment, style=style), *check(shown, assessment, style=style, rendered=True)]
    assert [one for one in found if not (unknown and one.fact.endswith("not known"))] == []
    assert text == template.template(assessment, style)


@settings(max_examples=120, deadline=None)
@given(SEEDS, STYLES)
def test_any_approval_and_any_decline(seed, style):
    passes(random_assessment(random.Random(seed))[0], style)


@settings(max_examples=60, deadline=None)
@given(SEEDS, STYLES, st.floats(500, 900_000))
def test_any_counteroffer(seed, style, amount):
    one, _ = random_assessment(random.Random(seed))
    reasons = one.reasons or (Reason(code="debt_to_income", contribution=0.5, strength="moderate"),)
    offer = replace(
        one,
        decision="counteroffer",
        strengths=(),
        reasons=reasons,
        counteroffer_amount=round(amount / 100) * 100.0,
    )
    passes(offer, style)


ITEMS = [name for name, one in consumer().values.items() if one.ask]  # what an applicant can be asked for


@settings(max_examples=40, deadline=None)
@given(SEEDS, STYLES, st.lists(st.sampled_from(ITEMS), min_size=1, max_size=6, unique=True))
def test_any_incomplete_application(seed, style, missing):
    one, _ = random_assessment(random.Random(seed))
    passes(replace(one, decision="incomplete", reasons=(), strengths=(), missing=tuple(missing)), style)


@pytest.mark.parametrize("code", consumer().reasons)
@pytest.mark.parametrize("strength", ["slight", "moderate", "strong"])
def test_each_reason_alone_with_nothing_else_known(code, strength):
    person = applicant("x", loan_amount=5_000)
    reason = Reason(code=code, contribution=0.5, strength=strength)
    for register in get_args(Register):
        passes(
            Assessment(
                applicant=person,
                decision="declined",
                default_probability=0.5,
                cutoff=0.1,
                reasons=(reason,),
            ),
            Style(register=register),
            unknown=True,
        )


def test_one_by_hand():
    one = Assessment(
        applicant=applicant("x", loan_amount=5_000, debt_to_income=44.5),
        decision="declined",
        default_probability=0.5,
        cutoff=0.1,
        reasons=(Reason(code="debt_to_income", contribution=1.4, strength="strong"),),
    )
    text = slots.render(template.template(one, Style()), slots.facts(one))
    assert text.startswith("We have declined your request for $5,000. ")
    assert "A major reason is a high level of debt in relation to income." in text
    assert "Your debt payments take 44.5% of your income." in text


@pytest.mark.parametrize("decision", ["declined", "counteroffer"])
def test_a_refusal_without_a_reason_is_refused(decision):
    one = Assessment(
        applicant=applicant("x", loan_amount=5_000),
        decision=decision,
        default_probability=0.5,
        cutoff=0.1,
        counteroffer_amount=1_000.0,
    )
    with pytest.raises(DataError, match="needs at least one reason"):
        template.template(one, Style())
