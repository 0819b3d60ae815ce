"""An answer quotes to the letter, cites, or is not shown."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.law import ADVICE, Hit, Law, answer
from lendsafe.law.answers import as_json, conversation, in_words

LAW, DAY = Law.load(), date(2026, 11, 27)
HITS = [Hit(LAW.paragraph(label, DAY), 1.0) for label in ("1002-9-b-2-Interp-1", "1002-9-b-2", "1002-6-a")]
QUOTE = "disclosure of more than four reasons is not likely to be helpful to the applicant"


def ask(written: str | None):
    return answer("How many reasons?", DAY, HITS, written)


def test_without_a_model_the_paragraphs_are_the_answer():
    found = ask(None)
    assert found.sentences == ()
    assert [one.label for one in found.paragraphs] == ["1002-9-b-2-Interp-1", "1002-9-b-2", "1002-6-a"]
    assert (found.day, found.note) == (DAY, ADVICE)


def test_a_sentence_with_a_verbatim_quotation_and_its_paragraph_is_shown():
    found = ask(f'The regulation says "{QUOTE}" [1].')
    assert [one.text for one in found.sentences] == [f'The regulation says "{QUOTE}".']
    assert found.sentences[0].paragraphs == (HITS[0].paragraph,)
    assert found.refused == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(QUOTE) - 1), st.sampled_from("xq7Z#"))
def test_one_other_character_in_a_quotation_refuses_the_whole_answer(place, other):
    changed = QUOTE[:place] + other + QUOTE[place + 1 :]
    found = ask(f'The reasons "{QUOTE}" [1]. The regulation says "{changed}" [1].')
    assert found.sentences == ()
    assert "quotation is not in the paragraph" in found.refused[0]
    assert found.paragraphs  # the law is shown in its place


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f'The regulation says "{QUOTE}".', "no paragraph is cited"),
        (f'The regulation says "{QUOTE}" [7].', "no paragraph is cited"),
        (f'The regulation says "{QUOTE}", see comment 9(b)(2)-2.', "no paragraph is cited"),
        ("Four reasons are plenty [1].", "does not say"),
        (f'You need not care: "{QUOTE}" [1].', "does not say"),
        (f'In 17 cases "{QUOTE}" [1].', "does not say"),
        (
            f'Bake sourdough bread slowly in a preheated dutch oven overnight, then whisk "{QUOTE[:20]}" [1].',
            "does not say",
        ),
    ],
)
def test_what_no_paragraph_carries_is_not_shown(written, why):
    found = ask(written)
    assert found.sentences == ()
    assert why in found.refused[0]


def test_a_quotation_of_another_paragraph_is_no_quotation_of_this_one():
    assert "quotation" in ask(f'The regulation says "{QUOTE}" [2].').refused[0]


def test_one_sentence_may_stand_where_another_falls():
    found = ask(f'The regulation says "{QUOTE}" [1]. Everybody is happy [1].')
    assert len(found.sentences) == len(found.refused) == 1


def test_a_model_is_not_given_what_is_not_at_hand():
    told = conversation("How many reasons?", HITS)[1].content
    assert "[2]" in told
    assert "[3]" not in told
    assert "effects test" not in told


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_whatever_a_model_writes_is_checked(written):
    found = ask(written)
    for one in found.sentences:
        assert any(part.text and part in [hit.paragraph for hit in HITS] for part in one.paragraphs)


def test_a_paragraph_in_words_quotes_nothing_that_is_not_at_hand():
    for label in LAW.order:
        one = LAW.paragraph(label, DAY)
        if one.text is None and len(one.last_text) > 40:
            assert one.last_text not in in_words(one)
            assert one.last_text not in str(as_json(one))
            assert one.note in in_words(one)
