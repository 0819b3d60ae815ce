"""Patterns: what is written is what is drawn; both tables are sound, and no wording is in both."""

import itertools
import random
import re
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import slots
from lendsafe.corpus import wordings
from lendsafe.corpus.approved import purposes
from lendsafe.corpus.wordings import own_words, parse, patterns, pick, say
from lendsafe.product import PACKAGED, consumer, load
from lendsafe.product.model import PLACES
from lendsafe.product.patterns import FALLOFF, Choice, every
from lendsafe.records import Register, Strength

RNG = random.Random


def everything(pattern) -> set[str]:
    """Every text that a pattern can become, for one factor and for several."""
    texts = {""}
    for part in pattern:
        options = {part} if isinstance(part, str) else set().union(*map(everything, part.options))
        texts = {before + option for before in texts for option in options}
    return texts


def test_a_pattern_by_hand():
    pattern = parse("a (b|c (d|e)) [one|many] {slot}")
    assert everything(pattern) == {
        f"a {middle} {count} {{slot}}" for middle in ("b", "c d", "c e") for count in ("one", "many")
    }
    assert say(parse("[one|many]"), RNG(0)) == "one"
    assert say(parse("[one|many]"), RNG(0), several=True) == "many"
    assert parse("(a|b)") == (Choice((("a",), ("b",)), by_count=False),)


@pytest.mark.parametrize("text", ["(a", "a)", "[a", "a]", "(a]", "((a)", "(a|b"])
def test_unbalanced_brackets_are_refused(text):
    with pytest.raises(ValueError, match="pattern"):
        parse(text)


@given(
    st.text(st.characters(exclude_characters="()[]|", exclude_categories=("Cs",)), max_size=30), st.integers()
)
def test_text_without_brackets_says_itself(text, seed):
    assert say(parse(text), RNG(seed)) == text


@given(st.integers(1, 40), st.integers())
def test_a_pick_is_one_of_them(count, seed):
    assert 0 <= pick(count, RNG(seed)) < count


def test_each_alternative_is_drawn_less_often_than_the_one_before():
    rng = RNG(1)
    counts = Counter(pick(4, rng) for _ in range(40_000))
    total = sum(FALLOFF**i for i in range(4))
    for index in range(4):
        assert counts[index] / 40_000 == pytest.approx(FALLOFF**index / total, abs=0.01)


def test_every_is_everything():
    pattern = parse("a (b|c (d|e)) [one|many] {slot}")
    assert {*every(pattern), *every(pattern, several=True)} == everything(pattern)


def leaves(table):
    """Frames of a table, and every product's own words in it, by a name."""
    yield from wordings._tables()[table].items()
    for name in PACKAGED:
        for code, place, register in itertools.product(load(name).reasons, PLACES, get_args(Register)):
            held = getattr(load(name).reasons[code].held_out, place)
            if table == "train" or held:
                yield (
                    (f"{name}.{code}.{place}", register),
                    own_words(load(name), table, code, place, register),
                )


SLOTS = {"factor", *itertools.chain.from_iterable(slots.known(load(name)) for name in PACKAGED)}


def test_a_wording_of_one_table_is_not_in_the_other():
    """Sentences and noun phrases; a linking word such as "Next," may be in both."""
    said = {
        table: {
            text
            for _, options in leaves(table)
            for one in options
            for text in everything(one)
            if len(text.split()) > 3
        }
        for table in ("train", "held_out")
    }
    assert said["held_out"]
    assert not said["train"] & said["held_out"]


@pytest.mark.parametrize("table", ["train", "held_out"])
def test_every_wording_is_plain_and_its_slots_exist(table):
    for (path, _), options in leaves(table):
        for one in options:
            for text in everything(one):
                assert set(slots.names(text)) <= SLOTS | {"amount"}, path
                bare = slots.SLOT.sub("", text).replace("<purpose>", "")
                assert not re.search(r"[{}<>*_#!]", bare), text
                named = path.split(".")[0] in PACKAGED and not path.startswith(
                    "consumer."
                )  # after their labels
                assert named or not re.search(r"\d", bare), text
                assert text == text.strip()


def test_no_wording_has_two_spaces():
    for table in ("train", "held_out"):
        for _, options in leaves(table):
            assert not any("  " in text for one in options for text in everything(one))


@pytest.mark.parametrize("register", get_args(Register))
def test_every_place_has_a_wording_in_every_register(register):
    for table in ("train", "held_out"):
        for decision in ("approved", "declined"):
            for place in ("opening", "lead", "context", "closing"):
                assert patterns(table, f"{place}.{decision}", register)
        for side in ("adverse", "against", "favorable"):
            for strength in get_args(Strength):
                assert patterns(table, f"weight.{side}.{strength}", register)
        for code in consumer().reasons:
            for side in ("against", "in_favor"):
                assert own_words(consumer(), table, code, side, register)
                explained = code != "unverified_credit"  # whose words are those of Form C-1 alone
                assert bool(own_words(consumer(), table, code, f"why_{side}", register)) == explained


def test_many_surface_forms_for_each_reason_and_each_strength():
    """A weight with its factor, as one sentence: many for each strength, and never the same for two."""
    for code in consumer().reasons:
        forms = {}
        for strength in get_args(Strength):
            names = {
                t for one in own_words(consumer(), "train", code, "against", "plain") for t in everything(one)
            }
            weights = {
                t for one in patterns("train", f"weight.adverse.{strength}", "plain") for t in everything(one)
            }
            forms[strength] = {weight.replace("{factor}", name) for weight in weights for name in names}
            assert len(forms[strength]) >= 6, (code, strength)
        assert not forms["strong"] & forms["slight"]


def test_every_purpose_is_worded():
    assert set(purposes(consumer())) == set(consumer().fields["loan_purpose"].levels)


def test_an_unknown_place_is_named():
    with pytest.raises(KeyError, match=r"No wording for 'opening\.maybe'"):
        patterns("train", "opening.maybe", "plain")
