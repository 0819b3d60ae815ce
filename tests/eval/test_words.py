"""What the checks know of a product is data: nothing is named in the code."""

import re
from dataclasses import replace
from pathlib import Path

from applicants import about
from untruths import subjects

from lendsafe.eval.truth import words as module
from lendsafe.eval.truth.lexicon import table
from lendsafe.eval.truth.words import words, words_of
from lendsafe.product import packaged

CONSUMER = packaged("consumer")


def test_every_factor_and_every_value_that_is_shown_has_words():
    assert set(words().factors) == set(CONSUMER.reasons)
    numeric = {name for name, one in CONSUMER.values.items() if one.numeric}
    assert numeric <= set(words().facts)


def test_no_check_names_a_field_or_a_reason():
    plain = {"collections", "bankruptcies"}  # words of the language, too
    names = (set(CONSUMER.reasons) | set(CONSUMER.values)) - plain
    quoted = re.compile("|".join(rf"[\"\']{name}[\"\']" for name in sorted(names)))
    for path in sorted(Path(module.__file__).parent.glob("*.py")):
        if path.name != "stated.py":  # reads the prompts of one set of data, whose fields these are
            assert not quoted.search(path.read_text("utf-8")), path.name


def test_a_fact_is_named_where_it_denies():
    one, _ = subjects()["A"]
    assert words().denied("collections", "adverse", one) == "collections = 0"
    assert words().denied("delinquency", "favorable", one) == "delinquencies_24m = 3"
    assert words().denied("delinquency", "adverse", one) == ""
    unknown = about(one, delinquencies_24m=None)
    assert words().denied("delinquency", "adverse", unknown) == "delinquencies_24m = not known"
    assert words().denied("something_else", "adverse", one) == ""


def test_another_product_brings_its_own_words():
    entry = {"more": "favourable", "neutral": ["membership"]}
    other = words_of({**table(), "factors": {"credit_history": entry}})
    assert list(other.factors) == ["credit_history"]
    assert not other.factors["credit_history"].more_is_adverse
    assert replace(other.factors["credit_history"]) == other.factors["credit_history"]
