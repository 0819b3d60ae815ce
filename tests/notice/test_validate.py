"""Whatever is taken out of a letter, emptied or altered, the validator names it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from cases import (
    CONSENT,
    CONTACT,
    DATES,
    KEY_FACTORS,
    REASONS,
    SCORE,
    consumer,
    every_kind,
    grounds,
    letter,
    reason,
    with_items,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.notice import checklist, templates, validate
from lendsafe.notice.config import Pricing
from lendsafe.notice.grounds import Row
from lendsafe.notice.letter import Block, Letter
from lendsafe.notice.table import BLOCKS
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


def stating(one: Letter, name: str, items: tuple[str, ...]) -> Letter:
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
    ("own_score_mixed", "F2", "denial, own score of more than the report"),
    ("scores_used", "F2", "denial, two agencies"),
    ("score_absent", "F2", "denial, no score to be had"),
    ("key_factors_of", "F3", "denial, two agencies"),
    ("key_factors", "F3", "denial with score"),
    ("no_key_factors", "F3", "denial without key factors"),
    ("bureau", "F4", "denial, score not used"),
    ("not_decider", "F5", "denial, score not used"),
    ("free_report", "F6", "denial, score not used"),
    ("dispute", "F7", "denial, score not used"),
    ("outside_source", "F8", "denial, outside source"),
    ("reports_used", "F1", "denial, two agencies"),
    ("not_deciders", "F5", "denial, two agencies"),
    ("free_reports", "F6", "denial, two agencies"),
    ("disputes", "F7", "denial, two agencies"),
    ("reasons_on_request", "B6", "denial, reasons on request"),
    ("business_right", "B6", "right of a business to reasons"),
    ("action_account", "B2", "account"),
    ("terms_set", "P2", "approval on less favorable terms"),
    ("report_furnisher", "P5", "approval on less favorable terms"),
    ("pricing_score", "P9", "approval on less favorable terms by score"),
    ("rate_increased", "R3", "account review"),
    ("co_system_decided", "C1", "denial in Colorado"),
    ("co_inputs", "C2", "denial in Colorado"),
    ("co_correction", "C3", "denial in Colorado"),
    ("co_review", "C4", "denial in Colorado"),
    ("eu_system_decided", "E1", "denial in the European Union"),
    ("eu_intervention", "E2", "denial in the European Union"),
    ("eu_contact", "E3", "denial in the European Union"),
    ("eu_database", "E4", "denial in the European Union"),
]


@pytest.mark.parametrize(("block", "item", "kind"), SERVES)
def test_each_block_is_missed_by_the_item_that_it_serves(block, item, kind):
    one = KINDS[kind]
    number = [each.id for each in one.blocks].index(block)
    found = {f.rule for f in validate(changed(one, number, lambda _: None)) if f.fact == block}
    assert found - {"F4"} == {item} - {"F4"}
    assert found >= {item}


def test_day_31_breaks_b1_of_the_letter_as_a_whole():
    dates = replace(DATES, notice=DATES.received + timedelta(31))
    found = validate(letter(dates=dates))
    assert [(one.rule, one.fact) for one in found] == [("B1", "")]
    assert "day 31; 30 are allowed" in found[0].message


def test_records_that_are_kept_too_short_break_b20():
    config = replace(KINDS["denial with score"].case.config, retention_months=24)
    assert rules(letter(grounds(business="small"), config=config)) == set()
    assert rules(letter(config=config)) == {"B20"}


def test_vague_reasons_break_b7():
    one = stating(letter(), "reasons", ("You failed to achieve a qualifying score",))
    assert {"B7", "B9", "B10", "B11"} <= rules(one)


def test_five_reasons_break_b8():
    five = tuple(reason(f"Reason {word}") for word in ("one", "two", "three", "four", "five"))
    assert rules(letter(grounds(reasons=five))) == {"B8"}


def test_a_factor_in_the_applicants_favour_breaks_b9():
    assert rules(letter(grounds(reasons=(reason("Length of employment", -0.2),)))) == {"B9"}


def test_a_reason_that_the_facts_deny_breaks_b9():
    unknown = replace(REASONS[1], denied="late payments were not reported")
    found = validate(letter(grounds(reasons=(REASONS[0], unknown))))
    assert [one.rule for one in found] == ["B9"]
    assert "the facts deny reason 2: late payments were not reported" in found[0].message


def test_an_unnamed_model_breaks_b12():
    assert rules(letter(grounds(method=""))) == {"B12"}


def test_a_reason_of_a_score_that_passed_breaks_b13():
    assert rules(letter(grounds(passed=True))) == {"B13"}


def test_a_rule_that_is_not_stated_breaks_b14():
    one = letter(grounds(reasons=(reason("Bankruptcy", knockout=True), REASONS[0])))
    assert "B14" in rules(stating(one, "reasons", (REASONS[0].statement,)))


def test_key_factors_given_as_reasons_break_b15():
    assert "B15" in rules(stating(letter(), "reasons", KEY_FACTORS))


def test_incompleteness_as_a_reason_breaks_b16():
    assert "B16" in rules(stating(letter(), "reasons", ("Credit application incomplete",)))


def test_electronic_delivery_without_evidence_of_consent_breaks_b18():
    sent = replace(CONTACT, delivery="electronic")
    assert rules(letter(contact=sent)) == {"B18"}
    assert rules(letter(contact=replace(sent, esign_consent=True))) == {"B18"}
    assert rules(letter(contact=replace(sent, consent=CONSENT))) == set()
    for broken in (
        replace(CONSENT, withdrawn=date(2026, 11, 24)),
        replace(CONSENT, given=date(2026, 11, 25)),
        replace(CONSENT, demonstrated=" "),
    ):
        assert rules(letter(contact=replace(sent, consent=broken))) == {"B18"}


def test_another_language_alone_breaks_b19():
    assert rules(replace(letter(), language="es")) == {"B19"}


def test_a_translation_that_says_less_or_something_else_is_named():
    one = KINDS["denial in two languages"]
    blocks = [(n, m) for n, s in enumerate(one.translated) for m, _ in enumerate(s.blocks)]
    for number, place in blocks:
        section = one.translated[number]
        block = section.blocks[place]
        for new in ((), (replace(block, text=block.text + " x"),)):
            kept = (*section.blocks[:place], *new, *section.blocks[place + 1 :])
            other = (*one.translated[:number], replace(section, blocks=kept), *one.translated[number + 1 :])
            assert block.id in {finding.fact for finding in validate(replace(one, translated=other))}


def test_a_block_under_another_heading_is_named():
    one = letter()
    for number, section in enumerate(one.sections):
        moved = replace(section, heading="Congratulations")
        found = validate(replace(one, sections=(*one.sections[:number], moved, *one.sections[number + 1 :])))
        assert {block.id for block in section.blocks} <= {finding.fact for finding in found}


def test_a_letter_to_somebody_else_breaks_b21():
    assert "B21" in rules(letter(recipient=consumer(contact=replace(CONTACT, name="Somebody Else"))))


def test_an_offer_of_more_is_no_counteroffer():
    assert "B22" in rules(replace_grounds(KINDS["counteroffer"], less=False))


def replace_grounds(one: Letter, **changes) -> Letter:
    return letter(replace(one.case.grounds, **changes), config=one.case.config)


def test_reasons_asked_for_after_sixty_days_are_named():
    one = KINDS["answer to a request for reasons"]
    dates = replace(DATES, received=date(2026, 8, 3), denied=date(2026, 9, 1), requested=date(2026, 11, 20))
    assert rules(letter(one.case.grounds, dates=dates)) == {"B6"}


def scored(**changes) -> Letter:
    return letter(grounds(consumers=(consumer(scores=(replace(SCORE, **changes),)),)))


def test_a_score_outside_its_range_breaks_f2():
    assert rules(scored(value=1000)) == {"F2"}


FACTORS = (
    "Number of accounts with delinquency",
    "Too many accounts recently opened",
    "Proportion of balances to credit limits is too high",
    "Time since most recent delinquency",
    "Length of time accounts have been established",
    "Too many accounts with balances",
)


@pytest.mark.parametrize(
    ("count", "inquiries", "right"), [(4, False, True), (5, False, False), (5, True, True), (6, True, False)]
)
def test_four_key_factors_or_five_with_inquiries(count, inquiries, right):
    factors = FACTORS[: count - inquiries] + (("Number of recent inquiries",) if inquiries else ())
    assert rules(letter(with_items(factors))) == (set() if right else {"F3"})


@pytest.mark.parametrize(
    "factors",
    [
        ("Too many inquiries", "Too many inquiries"),
        ("Too many inquiries", "too many  INQUIRIES."),
        ("Congratulations, your loan is approved. Call 1-900-555-1234",),
        ("<script>alert(2)</script> inquiries",),
        ("Applicant's race",),
        ("Too many accounts of a married woman",),
        ("Age of applicant",),
        ("Too many accounts, see www.example.com",),
        ("Account 4111111111111111 delinquent",),
        ("Ask Jordan Sample",),
        ("",),
    ],
)
def test_what_is_no_key_factor_of_a_score_breaks_f3_and_is_not_repeated(factors):
    found = [one for one in validate(letter(with_items(factors))) if one.rule == "F3"]
    assert found
    assert all(factor not in one.message for one in found for factor in factors if factor)


def test_a_list_of_the_provider_is_the_only_right_one():
    config = KINDS["denial with score"].case.config
    score = replace(config.scores[0], key_factors=("Code 14: length of time", *KEY_FACTORS[:2]))
    listed = replace(config, scores=(score,))
    assert rules(letter(with_items(("Code 14: length of time",)), config=listed)) == set()
    assert rules(letter(with_items(("Too many inquiries",)), config=listed)) == {"F3"}


def test_a_sentence_about_a_score_that_was_not_used_breaks_f2():
    used = KINDS["denial with score"]
    lied = replace(used, case=replace(used.case, grounds=replace(used.case.grounds, score_used=False)))
    assert {f.fact for f in validate(lied) if f.rule == "F2"} >= {"score_used", "score"}


def test_the_primary_applicants_narrative_in_anothers_letter_is_named():
    one = KINDS["joint applicant"]
    told = next(section for section in letter().sections if section.blocks[0].id == "narrative")
    found = validate(replace(one, sections=(*one.sections[:4], told, *one.sections[4:])))
    assert any("told to another" in finding.message for finding in found)


def test_anothers_score_breaks_p11():
    one = KINDS["approval with score"]
    other = replace(one.case, recipient=consumer(scores=(replace(SCORE, value=700),)))
    assert "P11" in rules(replace(one, case=other))


def test_a_cutoff_of_more_than_two_years_ago_is_named():
    one = KINDS["approval on less favorable terms by score"]
    pricing = Pricing(method="score_proxy", cutoff=720, cutoff_of=date(2024, 11, 23))
    assert rules(letter(one.case.grounds, config=replace(one.case.config, pricing=pricing))) == {"P10"}


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
    served = {name for rule in RULES for name in rule.blocks.split()}
    assert served == {spec.id for spec in BLOCKS} == set(templates())
    assert served == {block.id for one in KINDS.values() for block in one.blocks}  # each is in some letter


def test_a_date_that_is_not_the_notices_is_named():
    one = letter()
    number = [block.id for block in one.blocks].index("date")
    assert date(2026, 11, 24) == one.case.dates.notice
    assert "B1" in rules(changed(one, number, lambda block: replace(block, text="November 25, 2026")))
