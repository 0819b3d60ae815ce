"""What a model was not taught is found; a stranger's untrue sentences with it."""

import random
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.corpus import synth
from lendsafe.corpus.grammar import narrative
from lendsafe.corpus.wordings import patterns, say
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.vocabulary import Vocabulary, learned, vocabulary

STRANGERS = tomllib.loads(Path(__file__).with_name("strangers.toml").read_text("utf-8"))


@cache
def rows():
    return synth.synthesize(synth.SynthConfig(n=900, history=0, seed=7)).rows


@cache
def replies():
    return [row.example.reply for row in rows()]


@cache
def taught():
    found = vocabulary(replies()[:600], replies()[600:])
    assert found
    return found


@given(st.lists(st.text(max_size=20), max_size=4))
def test_a_text_holds_nothing_that_it_does_not(texts):
    known = learned(texts)
    assert not any(known.unknown(text.lower()) for text in texts)
    assert Vocabulary.from_lines(known.lines()) == Vocabulary(known.words, known.pairs or None)


def test_words_and_pairs_by_hand():
    known = learned(["Your debt isn\u2019t {debt_to_income}, it is 12.5%."])
    assert known.words == {"your", "debt", "isn't", "it", "is"}
    assert known.pairs == {
        ("your", "debt"), ("debt", "isn't"), ("isn't", "{}"), ("{}", ","), (",", "it"), ("it", "is"), ("is", "{}"),
        ("{}", "."),
    }  # fmt: skip
    assert known.unknown("your debt is $3,000.") == [(5, 12, "debt is")]
    assert known.unknown("your pet isn't {credit_score}.") == [(5, 8, "pet")]
    assert Vocabulary(known.words).unknown("debt your is") == []


def test_pairs_are_of_use_where_texts_repeat_themselves_and_nothing_is_where_they_do_not():
    texts = ["a b c", "b c d"]
    assert vocabulary(texts, ["a b", "c d"]) == learned(texts)
    assert vocabulary(texts, ["d a"]) == Vocabulary(learned(texts).words)
    assert vocabulary(texts, ["a b", "e"]) is None
    assert vocabulary(texts, []) is None


def test_words_that_were_not_taught_are_found_where_they_stand():
    row = next(row.example for row in rows() if row.example.assessment.decision == "declined")
    known = learned([row.reply])
    assert not check(row.reply, row.assessment, style=row.style, vocabulary=known)
    odd = f"{row.reply} We read it in zebra order."
    assert not check(odd, row.assessment, style=row.style)
    found = check(odd, row.assessment, style=row.style, vocabulary=known)
    assert {one.rule for one in found} == {"G14"}
    assert "zebra" in {odd[one.start : one.end] for one in found}


def test_what_the_grammar_writes_for_others_is_nearly_always_in_what_was_taught():
    assert taught().pairs
    rng = random.Random(1)
    others = [
        narrative(row.example.assessment, row.example.style, rng, wording="train") for row in rows()[600:]
    ]
    assert sum(bool(taught().unknown(text.lower())) for text in others) <= 0.05 * len(others)


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
        sys.stdout.write(f"\nfound by the rules, and with what was taught: {report}\n")
    assert closed.total() >= 0.98 * planted.total(), report
    assert found.total() < closed.total(), "the vocabulary adds nothing: leave it out"


def _name(example, at, rng):
    code = example.assessment.reasons[at].code
    return say(rng.choice(patterns("train", f"factor.{code}.adverse.name", example.style.register)), rng)


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_wrote_several_of_each_kind(kind):
    assert len(set(STRANGERS[kind])) >= 8
