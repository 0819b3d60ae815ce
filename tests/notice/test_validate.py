"""Whatever is taken out of a letter, emptied or altered, the validator names it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from cases import CONTACT, DATES, assessment, every_kind, letter, reason
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.notice import checklist, validate
from lendsafe.notice.letter import Block, Letter, Row
from lendsafe.notice.validate import RULES

KINDS = every_kind()
PLACES = [(kind, number) for kind, one in KINDS.items() for number in range(len(list(one.blocks)))]


def changed(one: Letter, number: int, change) -> Letter:
    """The letter with its ``number``-th block put through ``change`` (None takes it out)."""
    sections, at = [], 0
    for section in one.sections:
        kept = []
        for block in section.blocks:
            new = change(block) if at == number else block
            kept += [new] if new is not None else []
            at += 1
        sections.append(replace(section, blocks=tuple(kept)))
    return replace(one, sections=tuple(sections))


def altered(block: Block, at: int) -> Block:
    """The block with one character of its content doubled, or one item dropped."""
    if block.text:
        place = at % len(block.text)
        return replace(block, text=block.text[:place] + "#" + block.text[place + 1 :])
    if block.rows:
        place = at % len(block.rows)
        return replace(
            block, rows=(*block.rows[:place], Row(block.rows[place].label, "0"), *block.rows[place + 1 :])
        )
    place = at % len(block.items)
    return replace(block, items=(*block.items[:place], block.items[place] + "s", *block.items[place + 1 :]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_composed_letter_carries_every_item(kind):
    assert validate(KINDS[kind]) == []


@pytest.mark.parametrize(("kind", "number"), PLACES)
def test_removing_emptying_or_doubling_a_block_is_named(kind, number):
    one = KINDS[kind]
    block = list(one.blocks)[number]
    empty = replace(block, text="", items=(), rows=())
    for change in (lambda _: None, lambda _: empty):
        found = validate(changed(one, number, change))
        assert block.id in {finding.fact for finding in found}
        assert all(finding.message.endswith(")") for finding in found)
    twice = replace(one, sections=(*one.sections, replace(one.sections[0], blocks=(block,))))
    assert block.id in {finding.fact for finding in validate(twice)}


@given(place=st.sampled_from(PLACES), at=st.integers(0, 2000))
@settings(max_examples=300, deadline=None)
def test_altering_any_block_is_named(place, at):
    kind, number = place
    block = list(KINDS[kind].blocks)[number]
    found = validate(changed(KINDS[kind], number, lambda one: altered(one, at)))
    assert block.id in {finding.fact for finding in found}


@given(place=st.sampled_from(PLACES), extra=st.sampled_from(["items", "rows"]))
@settings(max_examples=100, deadline=None)
def test_adding_to_any_block_is_named(place, extra):
    kind, number = place
    more = {"items": ("More.",)} if extra == "items" else {"rows": (Row("a", "b"),)}
    block = list(KINDS[kind].blocks)[number]
    added = changed(KINDS[kind], number, lambda b: replace(b, **{extra: getattr(b, extra) + more[extra]}))
    assert block.id in {finding.fact for finding in validate(added)}


@given(place=st.sampled_from(PLACES), other=st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_two_blocks_in_each_others_place_are_named(place, other):
    kind, number = place
    blocks = list(KINDS[kind].blocks)
    second = other % len(blocks)
    if second == number:
        return
    swapped = changed(
        changed(KINDS[kind], number, lambda _: blocks[second]), second, lambda _: blocks[number]
    )
    assert any(finding.rule == "FORM" and "order" in finding.message for finding in validate(swapped))


def rules(one: Letter) -> set[str]:
    return {finding.rule for finding in validate(one)}


def with_items(one: Letter, name: str, items: tuple[str, ...]) -> Letter:
    number = [block.id for block in one.blocks].index(name)
    return changed(one, number, lambda block: replace(block, items=items))


SERVES = [
    ("date", "B1", "denial with score"),
    ("action_denied", "B2", "denial with score"),
    ("action_approved", "B2", "approval with score"),
    ("action_counteroffer", "B2", "counteroffer"),
    ("creditor", "B3", "denial with score"),
    ("ecoa_notice", "B4", "denial with score"),
    ("agency", "B5", "denial with score"),
    ("reasons", "B6", "denial with score"),
    ("information_needed", "B17", "incomplete"),
    ("information_due", "B17", "incomplete"),
    ("applicant", "B21", "denial with score"),
    ("counteroffer", "B22", "counteroffer"),
    ("counteroffer_reply", "B22", "counteroffer"),
    ("report_used", "F1", "denial with score"),
    ("score", "F2", "denial with score"),
    ("score_used", "F2", "denial with score"),
    ("own_score_used", "F2", "denial, own score"),
    ("key_factors", "F3", "denial with score"),
    ("no_key_factors", "F3", "denial without key factors"),
    ("bureau", "F4", "denial without score"),
    ("not_decider", "F5", "denial without score"),
    ("free_report", "F6", "denial without score"),
    ("dispute", "F7", "denial without score"),
    ("outside_source", "F8", "denial, outside source"),
]


@pytest.mark.parametrize(("block", "item", "kind"), SERVES)
def test_each_block_is_missed_by_the_item_that_it_serves(block, item, kind):
    one = KINDS[kind]
    number = [each.id for each in one.blocks].index(block)
    assert {f.rule for f in validate(changed(one, number, lambda _: None)) if f.fact == block} == {item}


def test_day_31_breaks_b1_of_the_letter_as_a_whole():
    dates = replace(DATES, notice=DATES.received + timedelta(31))
    found = validate(letter(dates=dates))
    assert [(one.rule, one.fact) for one in found] == [("B1", "")]
    assert "day 31; 30 are allowed" in found[0].message


def test_records_that_are_kept_too_short_break_b20():
    config = replace(KINDS["denial with score"].case.config, retention_months=24)
    assert rules(letter(config=config)) == {"B20"}


def test_vague_reasons_break_b7():
    one = with_items(letter(), "reasons", ("You failed to achieve a qualifying score",))
    assert {"B7", "B9", "B10", "B11"} <= rules(one)


def test_five_reasons_break_b8():
    five = tuple(map(reason, ("debt_to_income", "delinquency", "utilization", "inquiries", "collections")))
    assert rules(letter(assessment(reasons=five))) == {"B8"}


def test_a_factor_in_the_applicants_favour_breaks_b9():
    assert rules(letter(assessment(reasons=(reason("debt_to_income", -0.2),)))) == {"B9"}


def test_an_unnamed_model_breaks_b12():
    assert rules(letter(assessment(risk_model=""))) == {"B12"}


def test_a_reason_of_a_score_that_passed_breaks_b13():
    assert rules(letter(assessment(default_probability=0.1))) == {"B13"}


def test_a_rule_that_is_not_stated_breaks_b14():
    one = letter(assessment(reasons=(reason("bankruptcy", knockout=True), reason("debt_to_income"))))
    assert "B14" in rules(with_items(one, "reasons", ("Excessive obligations in relation to income",)))


def test_key_factors_given_as_reasons_break_b15():
    one = letter()
    assert "B15" in rules(with_items(one, "reasons", assessment().key_factors))


def test_incompleteness_as_a_reason_breaks_b16():
    assert "B16" in rules(with_items(letter(), "reasons", ("Credit application incomplete",)))


def test_electronic_delivery_without_consent_breaks_b18():
    assert rules(letter(contact=replace(CONTACT, delivery="electronic"))) == {"B18"}
    assert rules(letter(contact=replace(CONTACT, delivery="electronic", esign_consent=True))) == set()


def test_another_language_alone_breaks_b19():
    assert rules(replace(letter(), language="es")) == {"B19"}


def test_an_offer_of_more_is_no_counteroffer():
    assert "B22" in rules(letter(assessment(decision="counteroffer", counteroffer_amount=20_000.0)))


def test_a_score_outside_its_range_breaks_f2():
    one = letter(assessment(score=1000), config=KINDS["denial, own score"].case.config)
    assert rules(one) == {"F2"}


@pytest.mark.parametrize(
    ("count", "inquiries", "right"), [(4, False, True), (5, False, False), (5, True, True), (6, True, False)]
)
def test_four_key_factors_or_five_with_inquiries(count, inquiries, right):
    factors = tuple(f"Factor {n}" for n in range(count - inquiries)) + (
        ("Number of recent inquiries",) if inquiries else ()
    )
    assert rules(letter(assessment(key_factors=factors))) == (set() if right else {"F3"})


def test_a_block_of_another_kind_does_not_belong():
    notice = next(section for section in letter().sections if section.heading == "Notice")
    approval = KINDS["approval, no disclosure"]
    found = validate(replace(approval, sections=(*approval.sections, notice)))
    assert {finding.fact for finding in found} >= {"ecoa_notice", "agency"}


def test_the_checklist_has_every_item_of_the_law_with_its_citation():
    names = {rule.id for rule in RULES}
    assert {f"B{n}" for n in range(1, 23)} | {f"F{n}" for n in range(1, 9)} <= names
    assert all(rule.citation and rule.requirement for rule in RULES)
    concerned = {item.rule.id for item in checklist(KINDS["denial, outside source"]) if item.applies}
    assert {f"F{n}" for n in range(1, 9)} <= concerned


def test_a_date_that_is_not_the_notices_is_named():
    one = letter()
    number = [block.id for block in one.blocks].index("date")
    assert date(2026, 11, 24) == one.case.dates.notice
    assert "B1" in rules(changed(one, number, lambda block: replace(block, text="November 25, 2026")))
