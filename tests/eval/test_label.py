"""Labels for replies without: each sentence where it belongs, and what has no place is listed."""

import random

import pytest
from applicants import applicant
from approved import language
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe import parts, template
from lendsafe.corpus.grammar import narrative
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.eval.truth.label import label
from lendsafe.records import Assessment, Reason, Style

ONE = Assessment(
    applicant=applicant(
        "L-1", loan_amount=9_000, debt_to_income=44, revolving_utilization=91, inquiries_6m=5
    ),
    decision="declined",
    default_probability=0.4,
    cutoff=0.2,
    reasons=(
        Reason(code="debt_to_income", contribution=1.2, strength="strong"),
        Reason(code="utilization", contribution=0.5, strength="moderate"),
    ),
)
SAID = (
    "We cannot lend you {loan_amount}.",
    "Two things led us there.",
    "Your debts are high for your income.",
    "They take {debt_to_income} of it.",
    "Then your cards are nearly full, at {revolving_utilization} of their limits.",
    "Please write to us if this is wrong.",
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_what_is_labelled_is_the_reply_in_its_parts(seed):
    rng = random.Random(seed)
    one, style = random_assessment(rng)
    for text in (template.template(one, style), narrative(one, style, rng, wording="all")):
        for known in (language(), None):
            found = label(text, one, style, known)
            assert parts.narrative(found.texts) == text or found.unplaced
            if found.reply:
                assert parts.split(found.reply, parts.of(one, style)) == list(found.texts)


def test_sentences_of_others_go_where_their_slots_and_words_say():
    found = label(" ".join(SAID), ONE, Style())
    assert found.unplaced == ()
    assert found.texts == (" ".join(SAID[:2]), " ".join(SAID[2:4]), SAID[4], SAID[5])


@pytest.mark.parametrize(
    ("said", "rule", "named"),
    [
        (SAID[:2] + SAID[4:], "missing", "[reason 1]"),
        (SAID[:2] + SAID[4:5] + SAID[2:4] + SAID[5:], "order", "Your debts are high"),
    ],
)
def test_what_has_no_place_is_listed(said, rule, named):
    found = label(" ".join(said), ONE, Style())
    assert found.reply == ""
    assert [(one.rule, named in one.message) for one in found.unplaced if named in one.message] == [
        (rule, True)
    ]


def test_a_reply_with_brackets_is_not_labelled():
    assert label(f"{' '.join(SAID)} [end]", ONE, Style()).reply == ""
