"""What the checks know of a product is data: nothing is named in the code, and what is rules out a factor."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from lendsafe.reasons import catalogue
from untruths import subjects

from lendsafe.eval.truth import words as module
from lendsafe.eval.truth.lexicon import table
from lendsafe.eval.truth.words import Denial, words, words_of
from lendsafe.slots import FORMATS


def test_every_factor_and_every_slot_has_words():
    assert set(words().factors) == set(catalogue())
    assert set(words().facts) == set(FORMATS)
    assert {name for group in words().units.values() for name in group} == set(FORMATS)


def test_no_check_names_a_field_or_a_reason():
    names = (set(catalogue()) | set(FORMATS) | {"income_verified", "loan_purpose"}) - {
        "collections",
        "bankruptcies",
    }
    quoted = re.compile("|".join(rf"[\"\']{name}[\"\']" for name in sorted(names)))
    for path in sorted(Path(module.__file__).parent.glob("*.py")):
        if path.name != "stated.py":  # reads the prompts of one set of data, whose fields these are
            assert not quoted.search(path.read_text("utf-8")), path.name


@pytest.mark.parametrize(
    ("when", "denied", "allowed"),
    [
        ("none", (0, None, False), (1, 0.5, True)),
        ("some", (2, True), (0, None, False)),
        ("known", (0, 5, False), (None,)),
        ("unknown", (None,), (0, 5)),
    ],
)
def test_what_a_value_rules_out(when, denied, allowed):
    assert all(Denial("x", when).holds(value) for value in denied)
    assert not any(Denial("x", when).holds(value) for value in allowed)


def test_a_fact_is_named_where_it_denies():
    one, _ = subjects()["A"]
    assert words().denied("collections", "adverse", one) == "collections = 0"
    assert words().denied("delinquency", "favorable", one) == "delinquencies_24m = 3"
    assert words().denied("delinquency", "adverse", one) == ""
    unknown = replace(one, applicant=replace(one.applicant, delinquencies_24m=None))
    assert words().denied("delinquency", "adverse", unknown) == "delinquencies_24m = not known"
    assert words().denied("something_else", "adverse", one) == ""


def test_another_product_brings_its_own_words():
    entry = {
        "more": "favourable",
        "neutral": ["membership"],
        "denied": {"adverse": ["open_accounts", "none"]},
    }
    other = words_of({**table(), "factors": {"credit_history": entry}})
    assert list(other.factors) == ["credit_history"]
    assert not other.factors["credit_history"].more_is_adverse
