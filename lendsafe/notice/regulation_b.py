"""Items B1 to B22: what 12 CFR 1002 (Regulation B) and its official commentary ask of a letter."""

import re
from collections.abc import Iterator

from lendsafe.notice.case import (
    BUSINESS_RETENTION_MONTHS,
    REQUEST_DAYS,
    RETENTION_MONTHS,
    Case,
    months_after,
)
from lendsafe.notice.characters import visible
from lendsafe.notice.letter import Letter
from lendsafe.notice.rule import Flaw, Rule, adverse, find, kind, stated

_VAGUE = re.compile(
    r"internal (standards?|polic(y|ies)|criteria|guidelines?)"
    r"|our (standards|policies|criteria|algorithm|model) (decided|denied|declined)"
    r"|qualifying score|insufficient score|minimum score|credit scoring system"
    r"|(did not|failed to) (score|achieve|reach|meet)[^.]{0,40}\b(score|points|standards?|polic)",
    re.IGNORECASE,
)


def statements(case: Case) -> tuple[str, ...]:
    """The principal reasons, in order."""
    return tuple(one.statement for one in case.grounds.reasons)


def _in_time(letter: Letter) -> Iterator[Flaw]:
    """Day 30 is the last for every kind, day 5 for a raised rate.

    A counteroffer carries the notice of adverse action (Form C-4), so that no second letter is due 90 days
    after it (comment 9(a)(1)-6).
    """
    case, start = letter.case, letter.case.counted_from
    if start is not None and (days := (case.dates.notice - start).days) > case.days_allowed:
        yield "", f"the letter is dated day {days}; {case.days_allowed} are allowed"


def _asked_in_time(letter: Letter) -> Iterator[Flaw]:
    """A statement of reasons need be given only if it is asked for within 60 days."""
    dates = letter.case.dates
    if dates.denied and dates.requested and (dates.requested - dates.denied).days > REQUEST_DAYS:
        yield "", f"the reasons were asked for after more than {REQUEST_DAYS} days"


def _action_stated_once(letter: Letter) -> Iterator[Flaw]:
    stated_actions = [block.id for block in letter.blocks if block.id.startswith("action_")]
    for name in stated_actions[1:]:
        yield name, "more than one action is stated"


def _specific(letter: Letter) -> Iterator[Flaw]:
    for name in ("reasons", "narrative"):
        for block in find(letter, name):
            if found := _VAGUE.search(block.content):
                yield name, f"'{found[0]}' is no specific reason"


def _number_of_reasons(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if not 1 <= len(block.items) <= 4:
            yield "reasons", f"{len(block.items)} reasons are stated; one to four are"


def _actually_considered(letter: Letter) -> Iterator[Flaw]:
    """The reasons are those of the decision, weighed against the applicant, and the facts bear them out."""
    known = set(statements(letter.case))
    for block in find(letter, "reasons"):
        if any(item not in known for item in block.items):
            yield "reasons", "a stated reason is not among those of the assessment"
    for place, reason in enumerate(letter.case.grounds.reasons, start=1):
        if reason.contribution <= 0 and not reason.knockout:
            yield "reasons", "a reason did not weigh against the applicant"
        if reason.denied:
            yield "reasons", f"the facts deny reason {place}: {reason.denied}"


def _none_left_out(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if any(statement not in block.items for statement in statements(letter.case)):
            yield "reasons", "a principal reason is left out"


def _method_recorded(letter: Letter) -> Iterator[Flaw]:
    if not letter.case.grounds.method:
        yield "", "the assessment does not name the model, whose file documents the baseline"


def _right_component(letter: Letter) -> Iterator[Flaw]:
    """A score that passed gives no reasons; what failed does."""
    grounds = letter.case.grounds
    if grounds.passed and not all(reason.knockout for reason in grounds.reasons):
        yield "reasons", "the score passed, and a factor of the score is stated as a reason"


def _knockouts_stated(letter: Letter) -> Iterator[Flaw]:
    wanted = [one.statement for one in letter.case.grounds.reasons if one.knockout]
    for block in find(letter, "reasons"):
        if any(statement not in block.items for statement in wanted):
            yield "reasons", "the factor that called for automatic denial is not stated"


def _two_lists(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if block.items != statements(letter.case):
            yield "reasons", "the statement of reasons is not the list of principal reasons, in order"
    own = [one.score.key_factors for one in letter.case.scores_used if one.score.key_factors]
    for block, factors in zip(find(letter, "key_factors"), own, strict=False):
        if block.items != tuple(map(visible, factors)):
            yield "key_factors", "the key factors are not the score's own list, in order"


def _incompleteness_is_no_reason(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if any("incomplete" in item.lower() for item in block.items):
            yield "reasons", "an application that could be decided is not denied as incomplete"


def _consented(letter: Letter) -> Iterator[Flaw]:
    contact, day = letter.case.recipient.contact, letter.case.dates.notice
    if contact.delivery != "electronic":
        return
    if not contact.esign_consent and contact.consent is None:
        yield "", "the letter is sent electronically without the applicant's consent"
    elif contact.consent is None:
        yield "", "the letter is sent electronically, and no evidence of the consent is there"
    elif not contact.consent.holds(day):
        yield "", f"the letter is sent electronically, and the consent does not hold on {day}"


def _in_english(letter: Letter) -> Iterator[Flaw]:
    if letter.language != "en" or any(section.language != "en" for section in letter.sections):
        yield "", f"the letter is in '{letter.language}', and the English one is not there"


def _kept_long_enough(letter: Letter) -> Iterator[Flaw]:
    months = BUSINESS_RETENTION_MONTHS if letter.case.grounds.business else RETENTION_MONTHS
    if letter.retain_until < months_after(letter.case.dates.notice, months):
        yield "", f"the record ends {letter.retain_until}, before {months} months have passed"


def _less_is_a_counteroffer(letter: Letter) -> Iterator[Flaw]:
    less = letter.case.grounds.less
    if less and find(letter, "action_approved"):
        yield "action_approved", "less than the amount requested is a counteroffer, not an approval"
    if letter.case.kind == "counteroffer" and not less:
        yield "counteroffer", "the offer is not for less than was requested"


def _in_its_words(letter: Letter) -> Iterator[Flaw]:
    known = set(statements(letter.case))
    for block in find(letter, "reasons"):
        if any(item not in known for item in block.items):
            yield "reasons", "a reason is not worded as in the catalogue"


def _primary_first(letter: Letter) -> Iterator[Flaw]:
    case = letter.case
    if case.recipient not in case.grounds.consumers:
        yield "applicant", "the letter goes to nobody of the application"


def _approved(case: Case) -> bool:
    return case.kind == "approval" and case.recipient.role != "cosigner"


def _cosigned(case: Case) -> bool:
    return case.kind == "approval" and case.recipient.role == "cosigner"


def _denied(case: Case) -> bool:
    return case.kind == "denial" and not case.grounds.business


def _business_denied(case: Case) -> bool:
    return case.kind == "denial" and bool(case.grounds.business)


def _weighed(case: Case) -> bool:
    """Letters whose decision rests on reasons, whether they state them or not."""
    return case.kind in ("denial", "counteroffer", "account", "reasons")


_A2 = "12 CFR 1002.9(a)(2)"
_STATED = "In writing, stating the action taken."
_ACTIONS = (
    ("action_approved", _approved),
    ("action_cosigned", _cosigned),
    ("action_denied", _denied),
    ("action_business", _business_denied),
    ("action_counteroffer", kind("counteroffer")),
    ("action_incomplete", kind("incomplete")),
    ("action_account", kind("account")),
    ("action_reviewed", kind("review")),
    ("action_reasons", kind("reasons")),
)


def _federal_notice(case: Case) -> bool:
    return adverse(case) or case.kind == "right"


REGULATION_B: tuple[Rule, ...] = (
    Rule("B1", "12 CFR 1002.9(a)(1), (a)(2)(ii), (c)(1)", "Sent within 30 days.", "date", check=_in_time),
    *(Rule("B2", _A2, _STATED, name, applies, _action_stated_once) for name, applies in _ACTIONS),
    Rule("B3", _A2, "Name and address of the creditor.", "creditor"),
    Rule("B4", "12 CFR 1002.9(b)(1)", "The ECOA notice.", "ecoa_notice", _federal_notice),
    Rule("B5", f"{_A2}; appendix A", "Name and address of the agency.", "agency", _federal_notice),
    Rule("B6", f"{_A2}(i)", "The specific reasons.", "reasons", stated),
    Rule(
        "B6",
        f"{_A2}(ii)",
        "The right to the specific reasons, and from whom.",
        "reasons_on_request",
        lambda case: case.kind == "denial" and case.config.reasons == "on_request",
    ),
    Rule(
        "B6",
        f"{_A2}(ii)",
        "The right to the specific reasons, and from whom.",
        "account_reasons_on_request",
        lambda case: case.kind == "account" and case.config.reasons == "on_request",
    ),
    Rule(
        "B6",
        "12 CFR 1002.9(a)(3)(i)(B)",
        "The right to reasons, told to a business at application.",
        "business_right",
        kind("right"),
    ),
    Rule("B6", f"{_A2}(ii)", "Asked for within 60 days.", "", kind("reasons"), _asked_in_time),
    Rule("B7", "12 CFR 1002.9(b)(2)", "No reason that says nothing.", "", _weighed, _specific),
    Rule("B8", "comment 9(b)(2)-1", "One to four reasons.", "", _weighed, _number_of_reasons),
    Rule("B9", "comment 9(b)(2)-2", "Only factors actually considered.", "", _weighed, _actually_considered),
    Rule(
        "B10",
        "comment 9(b)(2)-3",
        "The factor named; how and why may stay open.",
        "",
        _weighed,
        _in_its_words,
    ),
    Rule("B11", "comment 9(b)(2)-4", "No principal reason left out.", "", _weighed, _none_left_out),
    Rule("B12", "comment 9(b)(2)-5", "How reasons are chosen is on record.", "", _weighed, _method_recorded),
    Rule("B13", "comment 9(b)(2)-7", "Reasons of the component that failed.", "", _weighed, _right_component),
    Rule("B14", "comment 9(b)(2)-8", "Automatic denial states its factor.", "", _weighed, _knockouts_stated),
    Rule("B15", "comment 9(b)(2)-9", "Reasons and key factors are two lists.", "", _weighed, _two_lists),
    Rule(
        "B16",
        "comment 9(a)(1)-4",
        "Incomplete is no reason for a decision.",
        "",
        _weighed,
        _incompleteness_is_no_reason,
    ),
    Rule(
        "B17",
        "12 CFR 1002.9(c)(2)",
        "What is needed, by when, and what follows if it does not come.",
        "information_needed information_due",
        kind("incomplete"),
    ),
    Rule("B18", "12 CFR 1002.4(d)", "In a form to keep; electronically only with consent.", check=_consented),
    Rule("B19", "12 CFR 1002.4(e)", "In English, with or without another language.", check=_in_english),
    Rule("B20", "12 CFR 1002.12(b)(1)", "Kept for 25 months.", check=_kept_long_enough),
    Rule(
        "B21",
        "12 CFR 1002.9(f)",
        "Addressed to the primary applicant, or to another of the application.",
        "applicant salutation",
        check=_primary_first,
    ),
    Rule(
        "B22",
        "12 CFR 1002.2(c)(1)(i)",
        "Less than was requested is a counteroffer.",
        check=_less_is_a_counteroffer,
    ),
    Rule(
        "B22",
        "12 CFR 1002.9(a)(1)(iv); appendix C, Form C-4",
        "The terms offered and how to accept them.",
        "counteroffer counteroffer_reply",
        kind("counteroffer"),
    ),
)
