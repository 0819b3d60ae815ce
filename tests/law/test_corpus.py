"""The law by date: what is known of a day is said, what is not is not quoted."""

import itertools
from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import ConfigError, DataError
from lendsafe.law import Amendment, Law, Row, Snapshot, day_of

TODAY = date(2026, 11, 27)
START = date(2020, 1, 1)


@cache
def law() -> Law:
    return Law.load()


def snapshot(day: int, text: str | None) -> Snapshot:
    rows = (Row("1002-9-a", "", text),) if text is not None else ()
    return Snapshot(day=START + timedelta(days=day), covers=("1002",), source=f"read on day {day}", rows=rows)


def rule(day: int) -> Amendment:
    return Amendment(
        day=START + timedelta(days=day), citation=f"{day} FR 1", summary="changed it", changes=("1002-9-a",)
    )


HISTORIES = st.builds(
    lambda read, changed: (dict(read), sorted(changed)),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["one", "two"])), min_size=1, max_size=4),
    st.sets(st.integers(1, 30), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(-3, 35))
def test_a_text_is_quoted_only_where_it_was_read_and_no_rule_changed_it_since(history, asked):
    read, changed = history
    made = Law(tuple(snapshot(*one) for one in sorted(read.items())), tuple(map(rule, changed)), TODAY)
    found = made.paragraph("1002-9-a", START + timedelta(days=asked))
    if found.text is None:
        assert found.note
        return
    before = [day for day in read if day <= asked]
    after = [day for day in read if day > asked]
    by_before = (
        bool(before)
        and read[max(before)] == found.text
        and not any(max(before) < one <= asked for one in changed)
    )
    # or a later reading shows it, and no rule lies between the day and that reading
    by_after = (
        bool(after)
        and read[min(after)] == found.text
        and not any(asked < one <= min(after) for one in changed)
    )
    assert by_before or by_after
    if (
        before and asked not in read
    ):  # two readings that differ without a known rule: the day of change is not known
        earlier, later = max(before), min(after) if after else None
        differs = later is not None and read[earlier] != read[later]
        assert not (differs and not any(earlier < one <= later for one in changed))


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_the_stretches_of_a_paragraph_cover_every_day_once(history):
    read, changed = history
    made = Law(tuple(snapshot(*one) for one in sorted(read.items())), tuple(map(rule, changed)), TODAY)
    stretches = made.versions("1002-9-a")
    assert stretches[0].start == date.min
    assert stretches[-1].end == date.max
    assert all(one.end == other.start for one, other in itertools.pairwise(stretches))
    assert all(one.start < one.end for one in stretches)


def test_nothing_that_a_known_rule_repealed_is_quoted_as_of_today():
    quoted = []
    for label in law().order:
        one = law().paragraph(label, TODAY)
        rules = [rule for rule in law().amendments if rule.changed(label)]
        if one.text is not None and any(rule.day > read_on(one.source) for rule in rules):
            quoted.append(label)
    assert quoted == []
    gone = law().find("1002.6(a)", TODAY)[0]
    assert (gone.status, gone.text) == ("not at hand", None)
    assert "91 FR 21620" in gone.note
    assert not any("effects test" in (law().paragraph(one, TODAY).text or "") for one in law().order)


def read_on(source: str) -> date:
    return next(one.day for one in law().snapshots if one.source == source)


def test_the_day_before_the_effects_test_was_still_there():
    before = law().find("1002.6(a)", date(2026, 7, 20))[0]
    assert before.status == "at hand"
    assert before.effective_to == date(2026, 7, 21)
    assert "effects test" in (before.text or "")


@pytest.mark.parametrize("day", [date(2022, 1, 1), date(2023, 4, 18), date(2023, 4, 19), TODAY])
def test_the_notice_lost_its_transition_sentence_with_the_rule_of_2023(day):
    text = law().find("1002.9(b)(1)", day)[0].text
    assert text is not None
    assert ("Until January 1, 2013" in text) == (day < date(2023, 4, 19))


def test_the_best_known_sentence_to_the_letter():
    (one,) = law().find("1002.9(b)(2)", date(2026, 7, 1))
    assert one.text == (
        "The statement of reasons for adverse action required by paragraph (a)(2)(i) of this section must be "
        "specific and indicate the principal reason(s) for the adverse action. Statements that the adverse action "
        "was based on the creditor's internal standards or policies or that the applicant, joint applicant, or "
        "similar party failed to achieve a qualifying score on the creditor's credit scoring system are insufficient."
    )
    assert one.heading == "Statement of specific reasons."
    assert one.headings[0] == "Notifications."


def test_a_section_that_came_later_did_not_exist_before():
    assert law().find("1002.104", date(2023, 8, 28))[0].status == "absent"
    assert law().find("1002.104", date(2023, 8, 29))[0].status == "not at hand"
    assert "91 FR 23530" in law().find("1002.104", TODAY)[0].note


def test_a_rule_that_changed_others_is_mentioned_where_it_did_not():
    one = law().find("1002.6(b)(5)", TODAY)[0]
    assert one.status == "at hand"
    assert "91 FR 21620" in one.note


def test_a_lead_in_that_is_not_at_hand_is_not_quoted_either():
    for label in law().order:
        one = law().paragraph(label, TODAY)
        texts = {law().paragraph(above, TODAY).text for above in law().order if label.startswith(f"{above}-")}
        assert set(one.lead_in) <= texts


def test_the_hash_follows_the_law():
    other = Law(law().snapshots, law().amendments[:-1], law().known_to)
    assert len({law().sha256, Law.load().sha256}) == 1
    assert other.sha256 != law().sha256


def test_what_is_not_there_is_said_in_one_line():
    with pytest.raises(DataError, match=r"'1002\.99' names no paragraph"):
        law().find("1002.99", TODAY)
    with pytest.raises(ConfigError, match="no day"):
        day_of("21.7.2026")
