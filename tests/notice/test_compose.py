"""What a letter says, checked against text that was written by hand."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from cases import CONTACT, DATES, assessment, every_kind, letter, reason
from shared_data import shared_data

from lendsafe.errors import ConfigError, DataError, RefusedError
from lendsafe.notice import Contact, Dates, demo_config, render_text, templates
from lendsafe.notice.letter import months_after
from lendsafe.notice.templates import _checked, fill


def ids(one):
    return [block.id for block in one.blocks]


def test_a_denial_has_the_blocks_of_form_c1_in_its_order():
    assert ids(letter()) == [
        *("creditor", "specimen", "date", "applicant", "credit_requested", "salutation", "action_denied"),
        *(
            "reasons",
            "narrative",
            "report_used",
            "bureau",
            "file_disclosure",
            "not_decider",
            "free_report",
            "dispute",
        ),
        *(
            "score_used",
            "score",
            "key_factors",
            "score_contact",
            "contact",
            "closing",
            "ecoa_notice",
            "agency",
        ),
    ]


def test_reasons_and_key_factors_stay_two_lists():
    found = {block.id: block.items for block in letter().blocks}
    assert found["reasons"] == (
        "Excessive obligations in relation to income",
        "Delinquent past or present credit obligations with others",
        "Proportion of revolving balances to revolving credit limits",
    )
    assert found["key_factors"] == assessment().key_factors
    assert not set(found["reasons"]) & set(found["key_factors"])


def test_the_score_box_shows_score_date_range_and_provider():
    rows = next(block.rows for block in letter().blocks if block.id == "score")
    assert [tuple(row) for row in rows] == [
        ("Your credit score", "612"),
        ("Date", "November 3, 2026"),
        ("Scores range", "from a low of 300 to a high of 850"),
        ("Provided by", "Specimen Consumer Reporting Agency"),
    ]


def test_without_a_consumer_report_nothing_is_said_of_one():
    text = render_text(every_kind()["denial without report"])
    assert "consumer reporting agency" not in text.lower()
    assert "Equal Credit Opportunity Act" in text


def test_without_a_score_the_rights_remain_and_the_score_goes():
    found = ids(every_kind()["denial without score"])
    assert {"report_used", "bureau", "not_decider", "free_report", "dispute"} <= set(found)
    assert not {"score", "score_used", "key_factors", "score_contact"} & set(found)


def test_no_file_at_the_bureau_is_information_from_a_report():
    assert "bureau" in ids(letter(assessment(items={}, reasons=(reason("no_credit_file"),))))


def test_the_lenders_own_score_is_never_said_to_come_from_the_bureau():
    text = render_text(every_kind()["denial, own score"])
    assert "480" in text
    assert "obtained your credit score from the consumer reporting agency" not in text


def test_less_than_was_asked_is_a_counteroffer_even_if_called_an_approval():
    one = every_kind()["approved for less"]
    assert one.case.kind == "counteroffer"
    assert "  Amount:        $8,000" in render_text(one)
    assert "notify us within 30 days" in render_text(one)


def test_a_notice_of_incompleteness_names_items_day_and_consequence():
    text = " ".join(render_text(every_kind()["incomplete"]).split())
    assert "1. Your gross yearly income, before taxes 2. Your monthly debt payments" in text
    assert "We need to receive this information by December 24, 2026." in text
    assert "unable to give further consideration to your credit request" in text


def test_the_score_disclosure_of_an_approval_stands_on_a_page_of_its_own():
    one = every_kind()["approval with score"]
    last = one.sections[-1]
    assert last.look == "page"
    assert {"approval_score", "score_distribution", "central_source"} <= {block.id for block in last.blocks}
    assert not {"approval_score", "score_distribution"} & {b.id for s in one.sections[:-1] for b in s.blocks}


@pytest.mark.parametrize(("days", "late"), [(0, False), (30, False), (31, True)])
def test_a_letter_is_late_from_day_31(days, late):
    received = date(2026, 1, 31)
    assert letter(dates=replace(DATES, received=received, notice=received + timedelta(days))).late is late


def test_the_thirty_days_run_from_the_day_the_application_was_complete():
    dates = Dates(
        received=date(2026, 1, 1),
        completed=date(2026, 2, 1),
        notice=date(2026, 3, 3),
        score_created=date(2026, 2, 1),
    )
    assert letter(dates=dates).case.deadline == date(2026, 3, 3)
    assert not letter(dates=dates).late


@pytest.mark.parametrize(
    ("day", "later"),
    [
        (date(2026, 11, 24), date(2028, 12, 24)),
        (date(2026, 1, 31), date(2028, 2, 29)),
        (date(2026, 1, 30), date(2028, 2, 29)),
        (date(2024, 1, 31), date(2026, 2, 28)),
    ],
)
def test_twenty_five_months_end_on_the_same_day_or_the_months_last(day, later):
    assert months_after(day, 25) == later


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: letter(assessment(reasons=())), DataError, "states reasons"),
        (lambda: letter(assessment(decision="counteroffer")), DataError, "counteroffer_amount"),
        (lambda: letter(assessment(decision="incomplete")), DataError, "lists nothing"),
        (
            lambda: letter(assessment(decision="incomplete", missing=("open_accounts",))),
            DataError,
            "open_accounts",
        ),
        (lambda: letter(config=replace(demo_config(), bureau=None)), ConfigError, r"no \[bureau\]"),
        (lambda: letter(dates=replace(DATES, score_created=None)), DataError, "score_created"),
        (lambda: Contact(name=" \u200b", address=("x",)), DataError, "empty"),
        (lambda: Contact(name="x", address=()), DataError, "empty"),
        (lambda: Contact(name="x" * 121, address=("x",)), DataError, "too long"),
        (lambda: Dates(received=date(2026, 2, 1), notice=date(2026, 1, 1)), DataError, "out of order"),
    ],
)
def test_what_a_letter_cannot_do_without_is_asked_for(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize("name", ["received", "notice", "completed", "score_created"])
@pytest.mark.parametrize("day", [date(1, 1, 1), date(1999, 12, 31), date(2099, 1, 1), date.max])
def test_a_day_that_stands_for_none_is_refused_by_name(name, day):
    with pytest.raises(DataError, match=f"'{name}' is {day}; expected a day from 2000-01-01"):
        replace(DATES, **{name: day})


def test_a_value_is_never_filled_a_second_time():
    assert fill("Dear {applicant_name}:", {"applicant_name": "{agency}", "agency": "no"}) == "Dear {agency}:"


def test_a_template_that_was_edited_is_refused():
    one = templates()["ecoa_notice"]
    with pytest.raises(RefusedError, match="ecoa_notice"):
        _checked(
            "ecoa_notice",
            {"version": 1, "citation": "", "text": one.text.replace("sex", "gender"), "sha256": one.sha256},
        )


@cache
def regulation(name):
    return " ".join(
        "".join(ElementTree.parse(shared_data(f"regulations/{name}")).getroot().itertext()).split()
    )


SAMPLE_FORM_BLOCKS = [
    *("ecoa_notice", "file_disclosure", "not_decider", "free_report", "dispute", "report_used", "score_used"),
    *("outside_source", "contact", "key_factors", "information_needed", "counteroffer"),
]


@pytest.mark.parametrize("name", SAMPLE_FORM_BLOCKS)
def test_the_sentences_of_the_sample_forms_are_quoted_to_the_letter(name):
    assert templates()[name].text in regulation("reg_b_1002.xml")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "agency",
            "The Federal agency that administers compliance with this law concerning this creditor is",
        ),
        (
            "information_due",
            "If we do not receive it by that date, we will regrettably be unable to give further consideration",
        ),
        ("action_denied", "We regret that we are unable to approve your request."),
        ("counteroffer_reply", "If this offer is acceptable to you, please notify us within"),
    ],
)
def test_sentences_with_a_slot_are_quoted_up_to_it(name, words):
    assert words in templates()[name].text
    assert words in regulation("reg_b_1002.xml")


def test_every_path_ends_in_a_letter_whose_narrative_follows_its_reasons():
    for one in every_kind().values():
        assert one.case.contact == CONTACT
        for before, after in pairwise(ids(one)):
            assert (before, after) != ("narrative", "reasons")
