"""What a letter says, checked against text that was written by hand."""

import re
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from cases import (
    AGENCY,
    DATES,
    KEY_FACTORS,
    OTHER,
    PARTNER,
    PERSON,
    REASONS,
    SCORE,
    consumer,
    every_kind,
    grounds,
    in_german,
    letter,
    two_agencies,
)
from shared_data import shared_data

from lendsafe.errors import ConfigError, DataError, RefusedError
from lendsafe.notice import (
    Contact,
    Dates,
    Offer,
    Score,
    Terms,
    compose_all,
    demo_config,
    render_text,
    templates,
    validate,
)
from lendsafe.notice.case import best_tiers, months_after
from lendsafe.notice.config import Pricing
from lendsafe.notice.templates import _checked, fill


def ids(one):
    return [block.id for block in one.blocks]


def scored(**changes):
    return grounds(consumers=(consumer(scores=(replace(SCORE, **changes),)),))


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
    assert found["key_factors"] == KEY_FACTORS
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


def test_a_score_that_was_not_used_is_not_said_to_have_been():
    found = ids(every_kind()["denial, score not used"])
    assert {"report_used", "bureau", "not_decider", "free_report", "dispute"} <= set(found)
    assert not {"score", "score_used", "key_factors", "score_contact"} & set(found)


def test_a_score_that_was_wanted_and_not_there_is_said():
    text = " ".join(render_text(every_kind()["denial, no score to be had"]).split())
    assert f"A credit score about you was not available from {AGENCY}." in text
    assert "Your credit score:" not in text


def test_the_lenders_own_score_is_never_said_to_come_from_the_bureau():
    for kind in ("denial, own score", "denial, own score of more than the report"):
        text = render_text(every_kind()[kind])
        assert "480" in text
        assert "obtained your credit score from the consumer reporting agency" not in text


def test_a_score_of_more_than_the_report_is_not_said_to_reflect_the_report_alone():
    text = " ".join(render_text(every_kind()["denial, own score of more than the report"]).split())
    assert "reflects information in your consumer report and other information about you" in text
    assert "a number that reflects the information in your consumer report" not in text


def test_an_outside_source_is_named_where_a_reason_rests_on_one_and_nowhere_else():
    assert "outside_source" in ids(every_kind()["denial, outside source"])
    assert "outside_source" not in ids(letter())


def test_two_agencies_are_named_each_with_its_own_score_on_its_own_scale():
    one = every_kind()["denial, two agencies"]
    assert [block.items[0] for block in one.blocks if block.id == "bureau"] == [AGENCY, OTHER]
    rows = [dict(block.rows) for block in one.blocks if block.id == "score"]
    assert [(row["Your credit score"], row["Scores range"], row["Provided by"]) for row in rows] == [
        ("612", "from a low of 300 to a high of 850", AGENCY),
        ("702", "from a low of 250 to a high of 900", OTHER),
    ]
    told = [block.text for block in one.blocks if block.id == "key_factors_of"]
    assert [AGENCY in told[0], OTHER in told[1]] == [True, True]


def test_less_than_was_asked_is_a_counteroffer_even_if_called_an_approval():
    one = every_kind()["approved for less"]
    assert one.case.kind == "counteroffer"
    assert "  Amount: $8,000" in render_text(one)
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
    dates = replace(DATES, received=received, notice=received + timedelta(days))
    assert letter(scored(created=received), dates=dates).late is late


@pytest.mark.parametrize(
    ("received", "last"),
    [
        (date(2028, 1, 30), date(2028, 2, 29)),  # through a leap day
        (date(2026, 2, 7), date(2026, 3, 9)),  # the clock put forward on March 8
        (date(2026, 10, 5), date(2026, 11, 4)),  # and back on November 1
    ],
)
def test_days_are_counted_as_days_whatever_calendar_and_clock_do(received, last):
    dates = Dates(received=received, notice=last)
    assert letter(scored(created=received), dates=dates).case.deadline == last
    assert not letter(scored(created=received), dates=dates).late


def test_each_kind_has_its_own_last_day():
    found = every_kind()
    assert found["incomplete"].case.deadline == date(2026, 12, 2)
    assert found["answer to a request for reasons"].case.deadline == date(2026, 12, 20)
    assert found["account review"].case.deadline == date(2026, 11, 25)
    assert found["account"].case.deadline == date(2026, 12, 2)
    assert found["right of a business to reasons"].case.deadline is None
    assert found["denial in the European Union"].case.deadline is None


def test_the_thirty_days_run_from_the_day_the_application_was_complete():
    dates = Dates(
        received=date(2026, 1, 1),
        completed=date(2026, 2, 1),
        notice=date(2026, 3, 3),
    )
    one = letter(scored(created=date(2026, 2, 1)), dates=dates)
    assert one.case.deadline == date(2026, 3, 3)
    assert not one.late


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
        (lambda: letter(grounds(reasons=())), DataError, "states reasons"),
        (lambda: letter(grounds(action="counteroffer")), DataError, "counteroffer_amount"),
        (lambda: letter(grounds(action="incomplete")), DataError, "lists nothing"),
        (lambda: letter(grounds(action="account")), DataError, "what was done to it"),
        (lambda: letter(grounds(action="reasons")), DataError, "'denied' and 'requested'"),
        (lambda: letter(grounds(action="right")), DataError, "business credit"),
        (lambda: letter(config=replace(demo_config(), bureaus=())), ConfigError, r"no \[bureau\]"),
        (
            lambda: letter(config=replace(demo_config(), score_disclosed="none")),
            ConfigError,
            "score_disclosed is 'none'",
        ),
        (lambda: letter(scored(created=None)), DataError, "score_created"),
        (lambda: letter(scored(created=date(2026, 11, 25))), DataError, "up to the letter's"),
        (lambda: letter(scored(created=date(1, 1, 1))), DataError, "up to the letter's"),
        (lambda: letter(scored(key_factors=None)), DataError, "'key_factors'"),
        (lambda: letter(grounds(consumers=(consumer(scores=()),))), DataError, "the application names none"),
        (lambda: grounds(consumers=(consumer(role="joint"),)), DataError, "one primary applicant"),
        (lambda: Offer(amount=8_000, months=36, annual_rate=9.9, payment=240), DataError, "give 257.76"),
        (lambda: Offer(amount=0), DataError, "'amount'"),
        (lambda: Offer(amount=1, annual_rate=-1), DataError, "'annual_rate'"),
        (lambda: Contact(name="x", address=("y",), email="no mailbox"), DataError, "mailbox"),
        (lambda: Contact(name=" \u200b", address=("x",)), DataError, "empty"),
        (lambda: Contact(name="x", address=()), DataError, "empty"),
        (lambda: Contact(name="x" * 121, address=("x",)), DataError, "too long"),
        (lambda: Dates(received=date(2026, 2, 1), notice=date(2026, 1, 1)), DataError, "out of order"),
    ],
)
def test_what_a_letter_cannot_do_without_is_asked_for(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize("name", ["received", "notice", "completed", "acted", "denied", "requested"])
@pytest.mark.parametrize("day", [date(1, 1, 1), date(1999, 12, 31), date(2099, 1, 1), date.max])
def test_a_day_that_stands_for_none_is_refused_by_name(name, day):
    with pytest.raises(DataError, match=f"'{name}' is {day}; expected a day from 2000-01-01"):
        replace(DATES, **{name: day})


NOT_KNOWN = re.compile(
    r"careful|with care|whole application|every (item|fact)|thorough|we (read|list)|looked at", re.IGNORECASE
)


@pytest.mark.parametrize("name", sorted(templates()))
def test_no_block_speaks_of_a_process_that_nobody_knows_to_have_happened(name):
    assert not NOT_KNOWN.search(templates()[name].text)


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
PRICING_BLOCKS = [
    *("history_in_report", "terms_set", "terms_less_favorable", "account_reviewed", "rate_increased"),
    *(
        "report_rights",
        "report_without_charge",
        "terms_score",
        "report_meaning",
        "score_meaning",
        "score_effect",
    ),
    *("report_contents", "score_importance", "no_score_effect", "annual_report"),
]
# The regulation speaks of the consumer; a letter speaks to the consumer, and of the letter as this notice
TO_THE_READER = [
    ("the consumer is encouraged", "you are encouraged"),
    ("his or her consumer reports", "your consumer reports"),
    ("whether the consumer pays his or her obligations", "whether you pay your obligations"),
    ("the consumer owes", "you owe"),
    ("gives the consumer", "gives you"),
    ("the consumer can", "you can"),
    ("and has the right", "and have the right"),
    ("the consumer's", "your"),
    ("identified in the notice", "identified in this notice"),
    ("the person has conducted", "we have conducted"),
    ("as a result of the review", "as a result of the review"),
    ("about the consumer", "about you"),
]
# What stands between the words that are quoted
GLUE = re.compile(r"\b(and|the type of information included in that (credit )?history|that)\b")


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


def quoted(name):
    """The parts of a block's sentences that are the regulation's own words, said to the reader."""
    text = regulation("reg_v_1022.xml").lower()
    for theirs, ours in TO_THE_READER:
        text = text.replace(theirs, ours)
    plain = " ".join(re.sub("[^a-z' -]", " ", GLUE.sub(" ", text)).split())
    words = " ".join(re.sub("[^a-z' -]", " ", GLUE.sub(" ", templates()[name].text.lower())).split()).split()
    found, at = [], 0
    while at < len(words):
        length = next((n for n in range(len(words) - at, 3, -1) if " ".join(words[at : at + n]) in plain), 0)
        found += words[at : at + length]
        at += length or 1
    return len(found) / len(words)


@pytest.mark.parametrize("name", PRICING_BLOCKS)
def test_the_statements_of_the_pricing_rules_are_the_regulations_own_words(name):
    assert quoted(name) >= 0.8


def test_words_that_are_not_the_regulations_are_seen(monkeypatch):
    other = replace(
        templates()["terms_set"], text="Our team looked at many things before it set your rate today."
    )
    monkeypatch.setitem(templates(), "terms_set", other)
    assert quoted("terms_set") < 0.3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "reasons_on_request",
            "We will provide you with the statement of reasons within 30 days after receiving",
        ),
        (
            "business_right",
            "If your application for business credit is denied, you have the right to a written",
        ),
        (
            "business_right",
            "We will send you a written statement of reasons for the denial within 30 days of",
        ),
        ("action_business", "Thank you for applying to us for credit"),
    ],
)
def test_forms_c5_to_c8_are_quoted(name, words):
    assert words in templates()[name].text
    assert words in regulation("reg_b_1002.xml")


# ---------------------------------------------------------------- kinds of letters, written by hand


HEAD = ["creditor", "specimen", "date", "applicant", "credit_requested", "salutation"]
REPORT = ["report_used", "bureau", "file_disclosure", "not_decider", "free_report", "dispute"]
SCORED_PART = ["score_used", "score", "key_factors", "score_contact"]
TAIL, LAW = ["contact", "closing"], ["ecoa_notice", "agency"]
RISK = ["report_rights", "report_furnisher", "report_without_charge", "more_about_reports"]
BY_HAND = {
    "denial, reasons on request": [
        *HEAD, "action_denied", "reasons_on_request", *REPORT, *SCORED_PART, *TAIL, *LAW,
    ],
    "answer to a request for reasons": [*HEAD, "action_reasons", "reasons", "narrative", *TAIL],
    "denial of business credit": [
        *HEAD, "action_business", "reasons", "narrative", *REPORT, *SCORED_PART, *TAIL, *LAW,
    ],
    "right of a business to reasons": [*HEAD, "business_right", *TAIL, *LAW],
    "account": [*HEAD, "action_account", "reasons", "narrative", *REPORT, *SCORED_PART, *TAIL, *LAW],
    "counteroffer": [
        *HEAD, "action_counteroffer", "reasons", "narrative", "counteroffer", "counteroffer_reply",
        *REPORT, *SCORED_PART, *TAIL, *LAW,
    ],
    "incomplete": [*HEAD, "action_incomplete", "information_needed", "information_due", "narrative", *TAIL],
    "approval on less favorable terms": [
        *HEAD, "action_approved", "narrative", *TAIL,
        "history_in_report", "terms_set", "terms_less_favorable", *RISK,
    ],
    "approval on less favorable terms by score": [
        *HEAD, "action_approved", "narrative", *TAIL, "history_in_report", "terms_set", "terms_less_favorable",
        "terms_score", "pricing_score", "pricing_key_factors", *RISK,
    ],
    "account review": [
        *HEAD, "action_reviewed", "narrative", *TAIL, "history_in_report", "account_reviewed", "rate_increased", *RISK,
    ],
    "account review with score": [
        *HEAD, "action_reviewed", "narrative", *TAIL, "history_in_report", "account_reviewed", "rate_increased",
        "terms_score", "pricing_score", "pricing_key_factors", *RISK,
    ],
    "denial in Colorado": [
        *HEAD, "action_denied", "reasons", "narrative", *REPORT, *SCORED_PART,
        "co_system_decided", "co_inputs", "co_correction", "co_review", *TAIL, *LAW,
    ],
    "denial in the European Union": [
        *HEAD, "action_denied", "reasons", "narrative",
        "eu_system_decided", "eu_intervention", "eu_contact", "eu_database", *TAIL,
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_HAND)
def test_each_kind_has_the_blocks_that_were_written_down_for_it(kind):
    assert ids(every_kind()[kind]) == BY_HAND[kind]


def test_a_counteroffer_names_amount_time_rate_and_payment():
    text = render_text(every_kind()["counteroffer"])
    for label, value in (
        ("Amount", "$8,000"),
        ("Time to repay", "36 months"),
        ("Annual percentage rate", "9.9%"),
        ("Monthly payment", "$257.76"),
    ):
        assert re.search(rf"  {label}: +{re.escape(value)}\n", text)


def test_an_account_letter_says_what_was_done():
    text = render_text(every_kind()["account"])
    assert "Statement of Credit Termination or Change" in text
    assert "  Action taken: The credit limit was lowered from $5,000 to $2,000." in text


# ---------------------------------------------------------------- who gets a letter, and which form


def test_joint_applicants_and_cosigners_each_get_their_own_score_and_nobody_elses():
    partner = consumer(contact=PARTNER, role="joint", scores=(replace(SCORE, value=688),))
    helper = consumer(contact=PARTNER, role="cosigner", scores=(replace(SCORE, value=731),))
    for action, roles, block in (
        ("approved", ["primary", "joint", "cosigner"], "approval_score"),
        ("declined", ["primary", "joint"], "score"),
    ):
        one = grounds(
            action=action,
            consumers=(PERSON, partner, helper),
            reasons=() if action == "approved" else REASONS,
            score_used=action == "declined",
        )
        found = compose_all(one, "", demo_config(), DATES)
        assert [each.case.recipient.role for each in found] == roles
        for each in found:
            assert validate(each) == []
            scores = [dict(b.rows)["Your credit score"] for b in each.blocks if b.id == block]
            assert scores == [str(each.case.recipient.scores[0].value)]
        assert "Maria Álvarez-O'Brien and Jordan Sample" in render_text(found[0])


def test_what_explains_the_primary_applicants_facts_goes_to_nobody_else():
    partner = consumer(contact=PARTNER, role="joint", scores=(replace(SCORE, value=688),))
    first, second = compose_all(grounds(consumers=(PERSON, partner)), "You were late.", demo_config(), DATES)
    assert "You were late." in render_text(first)
    assert "You were late." not in render_text(second)
    assert validate(second) == []


def test_a_joint_applicant_of_whom_no_report_was_used_needs_no_letter_of_denial():
    partner = consumer(contact=PARTNER, role="joint", bureaus=(), scores=())
    found = compose_all(grounds(consumers=(PERSON, partner)), "", demo_config(), DATES)
    assert [one.case.recipient.role for one in found] == ["primary"]


@pytest.mark.parametrize(
    ("tiers", "best"), [(1, 1), (2, 1), (4, 1), (5, 2), (6, 2), (7, 2), (8, 3), (9, 3), (10, 3), (11, 4)]
)
def test_the_lowest_priced_tiers_get_no_notice(tiers, best):
    assert best_tiers(tiers) == best  # nine tiers: the example of 12 CFR 1022.72(b)(2)(iii)


def form(pricing=None, terms=None, **changes):
    config = replace(two_agencies(), approval_score_notice=pricing is None, pricing=pricing)
    return letter(
        grounds(**({"action": "approved", "reasons": (), "terms": terms or Terms()} | changes)), config=config
    ).case.pricing_form


NO_SCORE = consumer(scores=(Score(value=None, provider=AGENCY),))


@pytest.mark.parametrize(
    ("pricing", "terms", "changes", "wanted"),
    [
        (None, None, {}, "H-4"),
        (None, None, {"consumers": (NO_SCORE,)}, "H-5"),
        (None, None, {"business": "small"}, ""),
        (None, None, {"action": "declined", "reasons": REASONS}, ""),
        ("direct", Terms(less_favorable=False), {}, ""),
        ("direct", Terms(less_favorable=True), {}, "H-1"),
        ("direct", Terms(less_favorable=True, score_used=True), {}, "H-6"),
        ("proxy", Terms(score_used=True), {}, "H-6"),
        ("proxy high", Terms(score_used=True), {}, ""),
        ("proxy", Terms(score_used=True), {"consumers": (NO_SCORE,)}, "H-1"),
        ("tiers", Terms(tier=1), {}, ""),
        ("tiers", Terms(tier=2), {}, "H-1"),
        ("tiers", Terms(tier=2), {"consumers": (consumer(bureaus=()),)}, ""),
        (None, Terms(), {"action": "account_review", "change": "x"}, "H-2"),
        (None, Terms(score_used=True), {"action": "account_review", "change": "x"}, "H-7"),
    ],
)
def test_the_form_follows_from_the_rule(pricing, terms, changes, wanted):
    methods = {
        "direct": Pricing(method="direct"),
        "proxy": Pricing(method="score_proxy", cutoff=720, cutoff_of=date(2026, 1, 1)),
        "proxy high": Pricing(method="score_proxy", cutoff=612, cutoff_of=date(2026, 1, 1)),
        "tiers": Pricing(method="tiers", tiers=4),
    }
    assert form(methods.get(pricing), terms, **changes) == wanted


def test_a_state_and_a_union_have_their_rules_from_their_day():
    found = every_kind()
    assert "co_review" in ids(found["denial in Colorado"])
    early = replace(found["denial in Colorado"].case, dates=DATES)
    assert not early.under("US-CO")
    elsewhere = replace(found["denial in Colorado"].case, recipient=PERSON)
    assert not elsewhere.under("US-CO")
    european = found["denial in the European Union"].case
    with pytest.raises(ConfigError, match="from 2026-11-20"):
        letter(
            european.grounds,
            config=european.config,
            dates=Dates(received=date(2026, 11, 2), notice=date(2026, 11, 19)),
        )


def test_a_second_language_stands_beside_the_english_and_never_instead():
    one = every_kind()["denial in two languages"]
    assert {section.language for section in one.sections} == {"en"}
    assert {section.language for section in one.translated} == {"de"}
    text = " ".join(render_text(one).split())
    assert "1. Excessive obligations in relation to income" in text
    assert "1. Grund: Excessive obligations in relation to income" in text
    assert "Auf Deutsch: The Federal Equal Credit Opportunity Act" in text


def test_a_translation_of_an_older_text_or_without_a_reason_is_refused():
    plain = in_german()
    old = replace(plain.translation, sha256={**plain.translation.sha256, "dispute": "0" * 64})
    with pytest.raises(ConfigError, match="another text of: dispute"):
        letter(config=replace(plain, translation=old))
    phrases = {k: v for k, v in plain.translation.phrases.items() if "Delinquent" not in k}
    with pytest.raises(ConfigError, match="Delinquent past"):
        letter(config=replace(plain, translation=replace(plain.translation, phrases=phrases)))


def test_every_path_ends_in_a_letter_whose_narrative_follows_its_reasons():
    for one in every_kind().values():
        for before, after in pairwise(ids(one)):
            assert (before, after) != ("narrative", "reasons")
