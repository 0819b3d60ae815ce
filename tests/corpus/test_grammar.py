"""Narratives of any assessment: true, in their register, of the right length, and different each time."""

import random
from dataclasses import replace
from typing import get_args

import pytest
from applicants import applicant
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe import parts, slots
from lendsafe.corpus.grammar import narrative, narrative_parts
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.eval.truth.checks import check
from lendsafe.records import Assessment, Detail, Register, Style
from lendsafe.template import template

SEEDS = st.integers(0, 2**32 - 1)
STYLES = st.builds(
    Style, register=st.sampled_from(get_args(Register)), detail=st.sampled_from(get_args(Detail))
)


@settings(max_examples=150, deadline=None)
@given(SEEDS, STYLES, st.sampled_from(["train", "held_out", "all"]), st.integers())
def test_any_narrative_passes_every_check_and_has_60_to_180_words(seed, style, wording, chance):
    one, _ = random_assessment(random.Random(seed))
    text = narrative(one, style, random.Random(chance), wording=wording)
    assert check(text, one, style=style) == []
    assert 60 <= len(slots.render(text, slots.facts(one)).split()) <= 180
    assert text == narrative(one, style, random.Random(chance), wording=wording)


@settings(max_examples=60, deadline=None)
@given(SEEDS, STYLES)
def test_another_chance_gives_another_text(seed, style):
    one, _ = random_assessment(random.Random(seed))
    texts = [narrative(one, style, random.Random(chance)) for chance in range(6)]
    drawn = [text for text in texts if text != template(one, style)]  # which takes the place of too long ones
    assert len(set(drawn)) >= len(drawn) - 1
    assert drawn or len(one.reasons) + len(one.strengths) > 4


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_registers_share_no_opening(seed):
    one, _ = random_assessment(random.Random(seed))
    openings = {
        register: {
            narrative(one, Style(register=register), random.Random(chance)).split(".")[0]
            for chance in range(5)
        }
        for register in get_args(Register)
    }
    for first in openings:
        for second in openings:
            assert first == second or not openings[first] & openings[second]


def test_detail_makes_a_narrative_longer_on_average():
    def words(detail):
        pairs = [(random_assessment(random.Random(seed))[0], random.Random(seed)) for seed in range(150)]
        return sum(len(narrative(one, Style(detail=detail), rng).split()) for one, rng in pairs)

    assert words("detailed") > 1.1 * words("standard")


@given(SEEDS, STYLES)
def test_a_narrative_has_a_text_for_every_part_and_each_speaks_of_its_own_factor(seed, style):
    one, _ = random_assessment(random.Random(seed))
    opened, texts = parts.of(one, style), narrative_parts(one, style, random.Random(seed))
    assert parts.faults(parts.join(texts, opened), opened) == ()
    assert parts.narrative(texts) == narrative(one, style, random.Random(seed))
    amount = one.applicant.product.request.amount
    for part, text in zip(opened, texts, strict=True):
        if part.kind == "factor":
            assert set(slots.names(text)) <= set(one.applicant.product.reasons[part.code].slots)
        else:
            assert set(slots.names(text)) <= {amount}


def test_what_has_no_reference_narrative_is_refused():
    one = Assessment(
        applicant=applicant("x", loan_amount=9_000),
        decision="declined",
        default_probability=0.4,
        cutoff=0.1,
    )
    with pytest.raises(DataError, match="needs at least one reason"):
        narrative(one, Style(), random.Random(0))
    with pytest.raises(DataError, match="No reference narrative for the decision 'incomplete'"):
        narrative(replace(one, decision="incomplete"), Style(), random.Random(0))
