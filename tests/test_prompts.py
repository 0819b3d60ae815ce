"""Prompts are as reviewed (models are trained on them); no figure and no text of an applicant is in them."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from applicants import applicant, changed
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import prompts, slots
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.product import consumer
from lendsafe.records import Assessment, Message, Reason, Style

GOLDEN = Path(__file__).parent / "golden" / "prompts"

APPLICANT = applicant(
    "A-1",
    loan_amount=20_000,
    loan_purpose="debt_consolidation",
    annual_income=48_000,
    debt_to_income=46.1,
    delinquencies_24m=2,
    inquiries_6m=6,
    oldest_account_months=250,
    revolving_utilization=12,
)
ADVERSE = (
    Reason(code="delinquency", contribution=1.2, strength="strong"),
    Reason(code="income_for_amount", contribution=0.7, strength="moderate"),
    Reason(code="unverified_income", contribution=0.2, strength="slight", knockout=True),
)
FAVORABLE = (
    Reason(code="utilization", contribution=-0.9, strength="moderate"),
    Reason(code="credit_history", contribution=-0.3, strength="slight"),
)


def assessment(decision, **parts) -> Assessment:
    return Assessment(applicant=APPLICANT, decision=decision, default_probability=0.3, cutoff=0.18, **parts)


CASES = {
    "declined": (assessment("declined", reasons=ADVERSE), Style(register="formal", detail="detailed")),
    "approved": (assessment("approved", strengths=FAVORABLE, reasons=ADVERSE[:1]), Style()),
    "approved-detailed": (
        assessment("approved", strengths=FAVORABLE, reasons=ADVERSE[:1]),
        Style(register="warm", detail="detailed"),
    ),
    "counteroffer": (
        assessment("counteroffer", reasons=ADVERSE[1:2], counteroffer_amount=9_000.0),
        Style(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_prompts_are_as_reviewed(name):
    """A prompt that changes makes every adapter trained so far stale; change the file only on purpose."""
    system, user = prompts.request(*CASES[name])
    assert (system.role, user.role) == ("system", "user")
    assert f"{system.content}\n----\n{user.content}\n" == (GOLDEN / f"{name}.txt").read_text()


def test_a_conversation_is_the_request_and_the_reply():
    one, style = CASES["declined"]
    assert prompts.conversation(one, style, "Because.") == [
        *prompts.request(one, style),
        Message("assistant", "Because."),
    ]


@given(st.integers(0, 2**32 - 1))
def test_no_figure_and_nothing_of_the_applicant_is_in_a_prompt(seed):
    one, style = random_assessment(random.Random(seed))
    text = prompts.describe(one, style)
    plain = re.sub(r"^\[(?:reason|strength|against) \d+\] ", "", slots.SLOT.sub("", text), flags=re.MULTILINE)
    assert not re.search(r"\d", plain)
    assert one.applicant.applicant_id not in text
    assert set(slots.names(text)) <= set(slots.facts(one))


@given(st.integers(0, 2**32 - 1))
def test_the_same_facts_with_other_values_have_the_same_prompt(seed):
    """What the model is told does not depend on a figure: it cannot copy one."""
    one, style = random_assessment(random.Random(seed))
    other = replace(one, applicant=changed(one.applicant, loan_amount=one.applicant["loan_amount"] + 500))
    assert prompts.describe(other, style) == prompts.describe(one, style)


@given(st.integers(0, 2**32 - 1))
def test_factors_stand_in_their_order_and_no_other_is_there(seed):
    one, style = random_assessment(random.Random(seed))
    lines = re.findall(
        r"^\[\w+ \d+\] (.+?) \((?:slight|moderate|strong)\)", prompts.describe(one, style), re.MULTILINE
    )
    if one.decision == "declined":
        expected = [consumer().reasons[r.code].statement for r in one.reasons]
    else:
        expected = [consumer().reasons[r.code].favorable for r in one.strengths]
        if style.detail == "detailed":
            expected += [consumer().reasons[r.code].statement for r in one.reasons]
    assert lines == expected
