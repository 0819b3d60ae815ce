"""A reply is its parts, in order, each complete; whatever else it is has a name and a place."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import parts
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.parts import Part

SEEDS = st.integers(0, 2**32 - 1)
OPENED = (
    Part("decision", "approved"),
    Part("factor", "credit_history", "favorable", "strong"),
    Part("factor", "utilization", "favorable", "slight"),
    Part("factor", "inquiries", "against", "moderate"),
    Part("end", "approved"),
)
REPLY = (
    "[decision] Yes. [strength 1] A long one. [strength 2] A low one! [against 1] Many. [end] Write to us."
)


def rules(reply: str) -> list[str]:
    return [one.rule for one in parts.faults(reply, OPENED)]


@given(SEEDS)
def test_an_assessment_opens_the_decision_its_factors_in_order_and_the_end(seed):
    one, style = random_assessment(random.Random(seed))
    first, *middle, last = parts.of(one, style)
    assert (first, last) == (Part("decision", one.decision), Part("end", one.decision))
    assert [(part.code, part.side, part.strength) for part in middle] == [
        (factor.code, side, factor.strength) for factor, side in expected_factors(one, style)
    ]


def expected_factors(one, style):
    if one.decision != "approved":
        return [(reason, "adverse") for reason in one.reasons]
    against = one.reasons if style.detail == "detailed" else ()
    return [
        *((reason, "favorable") for reason in one.strengths),
        *((reason, "against") for reason in against),
    ]


def test_what_is_spoken_of_any_reply_is_without_labels():
    assert parts.spoken(REPLY) == "Yes. A long one. A low one! Many. Write to us."
    assert parts.spoken(REPLY) == parts.narrative(parts.split(REPLY, OPENED))
    assert parts.spoken("No label at all.") == "No label at all."
    assert parts.spoken("Well. [end] [x] So.") == "Well. So."


@given(SEEDS, st.lists(st.text("abc {}_,'", min_size=1), min_size=9, max_size=9))
def test_what_is_joined_is_split(seed, words):
    one, style = random_assessment(random.Random(seed))
    opened = parts.of(one, style)
    texts = [f"{(word.strip() or 'a')}." for word in words[: len(opened)]]
    texts += ["a."] * (len(opened) - len(texts))
    reply = parts.join(texts, opened)
    assert parts.split(reply, opened) == texts
    assert parts.narrative(texts) == " ".join(texts)
    assert not parts.LABEL.search(parts.narrative(texts))


def test_labels_by_hand():
    assert parts.labels(OPENED) == ("[decision]", "[strength 1]", "[strength 2]", "[against 1]", "[end]")
    assert parts.split(REPLY, OPENED) == ["Yes.", "A long one.", "A low one!", "Many.", "Write to us."]


def test_the_end_may_be_empty_and_nothing_else():
    assert parts.split(REPLY.removesuffix(" Write to us."), OPENED)[-1] == ""
    assert rules(REPLY.replace(" Many.", "")) == ["missing"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", ["missing"] * 4 + ["cut off"]),
        ("We approve.", ["extra"] + ["missing"] * 4 + ["cut off"]),
        (REPLY.removesuffix(" [end] Write to us."), ["cut off"]),
        (REPLY.removesuffix("."), ["cut off"]),
        (REPLY.replace("A long one.", "A long"), ["cut off"]),
        (REPLY.replace("[strength 2] A low one! ", ""), ["missing"]),
        (REPLY.replace("[against 1]", "[reason 1]"), ["missing", "extra"]),
        (REPLY.replace("[against 1]", "[strength 3]"), ["missing", "extra"]),
        (REPLY.replace("[strength 2]", "[strength 1]"), ["missing", "extra"]),
        (REPLY.replace("[strength 1]", "[strength 9]").replace("[strength 2]", "[strength 1]")
            .replace("[strength 9]", "[strength 2]"), ["order"]),
        (REPLY + " [strength 1] More.", ["goes on"]),
        (REPLY + " [end] More.", ["goes on"]),
        (REPLY + "\n\nThe user asks again.", ["goes on"]),
        ("Well. " + REPLY, ["extra"]),
        (REPLY.replace("Many.", "Many ]."), ["extra"]),
        (REPLY.replace("Many.", "Many [x."), ["extra"]),
    ],
)  # fmt: skip
def test_what_is_not_the_parts_is_named(reply, expected):
    assert rules(reply) == expected
    with pytest.raises(DataError):
        parts.split(reply, OPENED)


@given(st.text("[]abdecision regth12. \n", max_size=60))
def test_any_text_is_read_and_spans_lie_in_it(reply):
    for one in parts.faults(reply, OPENED):
        assert 0 <= one.start <= one.end <= len(reply)


def test_a_text_with_a_bracket_is_not_joined():
    with pytest.raises(DataError, match="cannot hold"):
        parts.join(["a [end].", "b."], OPENED[:2])
    with pytest.raises(DataError, match="as many texts"):
        parts.join(["a."], OPENED)
