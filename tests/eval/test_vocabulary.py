"""A word that a model was not taught is found; a stranger's untrue sentences with it."""

import random
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import slots
from lendsafe.corpus import synth
from lendsafe.corpus.grammar import narrative
from lendsafe.corpus.wordings import patterns, say
from lendsafe.eval.checks import check
from lendsafe.eval.vocabulary import places, vocabulary, words

STRANGERS = tomllib.loads(Path(__file__).with_name("strangers.toml").read_text("utf-8"))


@cache
def rows():
    return synth.synthesize(synth.SynthConfig(n=700, history=0, seed=7)).rows


@cache
def taught():
    return vocabulary(row.example.reply for row in rows()[:500])


@given(st.lists(st.text(max_size=20), max_size=4))
def test_every_word_of_a_text_is_in_its_vocabulary(texts):
    known = vocabulary(texts)
    assert all(words(text) <= known for text in texts)


def test_words_by_hand():
    assert words("Your long-term debt isn\u2019t {debt_to_income}: 12 % of $3,000.") == {
        "your", "long", "term", "debt", "isn't", "of",
    }  # fmt: skip
    assert places("no {loan_amount} now") == [(0, 2, "no"), (17, 20, "now")]


def test_a_word_that_was_not_taught_is_found_where_it_stands():
    row = next(row.example for row in rows() if row.example.assessment.decision == "declined")
    known = vocabulary([row.reply])
    for text in (row.reply, slots.render(row.reply, slots.facts(row.assessment))):
        assert not check(text, row.assessment, style=row.style, vocabulary=known)
        odd = f"{text} We read it in zebra order."
        assert not check(odd, row.assessment, style=row.style)
        found = check(odd, row.assessment, style=row.style, vocabulary=known | words("We read it in order."))
        assert [(one.rule, odd[one.start : one.end]) for one in found] == [("G14", "zebra")]


def test_what_the_grammar_writes_for_others_is_nearly_always_in_words_that_were_taught():
    rng = random.Random(1)
    texts = [
        narrative(row.example.assessment, row.example.style, rng, wording="train") for row in rows()[500:]
    ]
    assert sum(bool(words(text) - taught()) for text in texts) <= 0.03 * len(texts)


def test_most_of_a_strangers_untrue_sentences_are_found(capsys):
    rng, planted, found, closed = random.Random(3), Counter(), Counter(), Counter()
    declined = [row.example for row in rows() if row.example.assessment.decision == "declined"]
    for kind, sentences in STRANGERS.items():
        for sentence in sentences:
            about = rng.choice([one for one in declined if len(one.assessment.reasons) > 1])
            first, last = (_name(about, at, rng) for at in (0, -1))
            untrue = sentence.format(
                first=first, last=last, First=first[0].upper() + first[1:], Last=last[0].upper() + last[1:]
            )
            text = narrative(about.assessment, about.style, rng, wording="train").split(". ")
            text.insert(rng.randint(1, len(text) - 1), untrue.removesuffix("."))
            planted[kind] += 1
            joined = ". ".join(text)
            ours = check(joined, about.assessment, style=about.style)
            found[kind] += any(one.rule != "G11" for one in ours)  # not for its length
            ours = check(joined, about.assessment, style=about.style, vocabulary=taught())
            closed[kind] += any(one.rule != "G11" for one in ours)
    report = {kind: f"{found[kind]} and {closed[kind]} of {planted[kind]}" for kind in planted}
    with capsys.disabled():
        sys.stdout.write(f"\nfound by the rules, and with the vocabulary: {report}\n")
    assert closed.total() >= 0.95 * planted.total(), report
    assert found.total() < closed.total(), "the vocabulary adds nothing: leave it out"


def _name(example, at, rng):
    code = example.assessment.reasons[at].code
    return say(rng.choice(patterns("train", f"factor.{code}.adverse.name", example.style.register)), rng)


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_wrote_several_of_each_kind(kind):
    assert len(set(STRANGERS[kind])) >= 8
