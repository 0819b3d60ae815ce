"""The letters' statutory sentences are the law's of the day, and a change of one character is seen."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.law import Amendment, Law, Row, Snapshot, compare
from lendsafe.notice import templates
from lendsafe.pipeline.law import drift

LAW, DAY = Law.load(), date(2026, 11, 27)
NOTICE = templates()["ecoa_notice"]


def verdicts(text: str, cited: str = NOTICE.citation, law: Law = LAW, day: date = DAY) -> list[str]:
    return [one.verdict for one in compare([("block", cited, text)], law, day).sentences]


def test_every_statutory_sentence_is_the_law_of_the_day():
    found = drift(LAW, DAY)
    assert found.problems == ()
    verbatim = {one.where for one in found.sentences if one.verdict == "verbatim"}
    assert {
        "ecoa_notice",
        "agency",
        "report_used",
        "not_decider",
        "free_report",
        "dispute",
        "score_used",
    } <= verbatim
    assert len([one for one in found.sentences if one.verdict == "verbatim"]) >= 25


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(NOTICE.text) - 2), st.sampled_from("xQ7"))
def test_one_other_character_is_drift(place, other):
    if NOTICE.text[place] == other:
        return
    changed = NOTICE.text[:place] + other + NOTICE.text[place + 1 :]
    assert verdicts(changed) == ["differs"]


def later(text: str | None) -> Law:
    """The law after a rule that changed the notice, and the new text if it was read."""
    day = DAY + timedelta(days=30)
    rule = Amendment(day=day, citation="92 FR 1", summary="Another notice", changes=("1002-9-b-1",))
    rows = (Row("1002-9-b-1", "ECOA notice.", text),) if text else ()
    read = (Snapshot(day=day, covers=("1002-9-b-1",), source="later", rows=rows),) if text else ()
    return Law((*LAW.snapshots, *read), (*LAW.amendments, rule), day)


def test_a_rule_whose_text_is_not_at_hand_is_said():
    after = DAY + timedelta(days=31)
    assert verdicts(NOTICE.text, law=later(None), day=after) == ["not at hand"]
    assert verdicts(NOTICE.text, law=later(None)) == ["verbatim"]


def test_what_the_law_said_before_and_says_no_more_is_drift():
    new = later("The creditor shall provide a notice. The Act forbids it.")
    assert verdicts(NOTICE.text, law=new, day=DAY + timedelta(days=31)) == ["differs"]


def test_a_slot_stands_for_the_laws_blank():
    assert verdicts(
        "Thank you for your recent application for {credit}.", "12 CFR 1002 appendix C, Form C-3"
    ) == ["verbatim"]
    assert verdicts("Dear {applicant_name}:", "12 CFR 1002 appendix C, Form C-3") == ["verbatim"]


def test_words_of_our_own_are_no_drift():
    assert verdicts("We have approved your request.", "12 CFR 1002.9(a)(1)(i)") == ["own words"]


def test_a_citation_of_nothing_is_a_problem():
    found = compare([("block", "12 CFR 1002.9(z)", "")], LAW, DAY)
    assert found.problems == ("block: '12 CFR 1002.9(z)' names no paragraph",)


@pytest.mark.parametrize("block", sorted(templates()))
def test_every_block_cites_what_is_there(block):
    template = templates()[block]
    assert compare([(block, template.citation, "")], LAW, DAY).unresolved == ()
    assert re.search(r"\d", template.citation) or template.citation == "not part of a notice"
