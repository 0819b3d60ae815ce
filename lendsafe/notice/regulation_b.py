"""Items B1 to B22: what 12 CFR 1002 (Regulation B) and its official commentary ask of a letter."""

import re
from collections.abc import Callable, Iterator

from lendsafe.notice.contents import expected, statements
from lendsafe.notice.letter import NOTICE_DAYS, RETENTION_MONTHS, Case, Letter, months_after
from lendsafe.notice.rule import Flaw, Rule, adverse, find

_VAGUE = re.compile(
    r"internal (standards?|polic(y|ies)|criteria|guidelines?)"
    r"|our (standards|policies|criteria|algorithm|model) (decided|denied|declined)"
    r"|qualifying score|insufficient score|minimum score|credit scoring system"
    r"|(did not|failed to) (score|achieve|reach|meet)[^.]{0,40}\b(score|points|standards?|polic)",
    re.IGNORECASE,
)


def _in_time(letter: Letter) -> Iterator[Flaw]:
    """Day 30 is the last for every kind.

    A counteroffer carries the notice of adverse action (Form C-4), so that no second letter is due 90 days
    after it (comment 9(a)(1)-6).
    """
    case = letter.case
    start = case.dates.received if case.kind == "incomplete" else case.dates.completed or case.dates.received
    days = (case.dates.notice - start).days
    if days > NOTICE_DAYS:
        yield "", f"the letter is dated day {days}; {NOTICE_DAYS} are allowed"


def _action_stated_once(letter: Letter) -> Iterator[Flaw]:
    stated = [block.id for block in letter.blocks if block.id.startswith("action_")]
    for name in stated[1:]:
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
    known = set(statements(letter.case))
    for block in find(letter, "reasons"):
        if any(item not in known for item in block.items):
            yield "reasons", "a stated reason is not among those of the assessment"
    if any(reason.contribution <= 0 and not reason.knockout for reason in letter.case.assessment.reasons):
        yield "reasons", "a reason did not weigh against the applicant"


def _none_left_out(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if any(statement not in block.items for statement in statements(letter.case)):
            yield "reasons", "a principal reason is left out"


def _method_recorded(letter: Letter) -> Iterator[Flaw]:
    if not letter.case.assessment.risk_model:
        yield "", "the assessment does not name the model, whose file documents the baseline"


def _right_component(letter: Letter) -> Iterator[Flaw]:
    """A score that passed gives no reasons; what failed does."""
    assessment = letter.case.assessment
    passed = assessment.default_probability <= assessment.cutoff
    if passed and not all(reason.knockout for reason in assessment.reasons):
        yield "reasons", "the score passed, and a factor of the score is stated as a reason"


def _knockouts_stated(letter: Letter) -> Iterator[Flaw]:
    wanted = [letter.case.assessment.applicant.product.reasons[r.code].statement for r in letter.case.assessment.reasons if r.knockout]
    for block in find(letter, "reasons"):
        if any(statement not in block.items for statement in wanted):
            yield "reasons", "the factor that called for automatic denial is not stated"


def _two_lists(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if block.items != statements(letter.case):
            yield "reasons", "the statement of reasons is not the list of principal reasons, in order"
    for block in find(letter, "key_factors"):
        if (block.items, block.rows) != expected("key_factors", letter.case):
            yield "key_factors", "the key factors are not the score's own list, in order"


def _incompleteness_is_no_reason(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "reasons"):
        if any("incomplete" in item.lower() for item in block.items):
            yield "reasons", "an application that could be decided is not denied as incomplete"


def _consented(letter: Letter) -> Iterator[Flaw]:
    if letter.case.contact.delivery == "electronic" and not letter.case.contact.esign_consent:
        yield "", "the letter is sent electronically without the applicant's consent"


def _in_english(letter: Letter) -> Iterator[Flaw]:
    if letter.language != "en":
        yield "", f"the letter is in '{letter.language}', and the English one is not there"


def _kept_long_enough(letter: Letter) -> Iterator[Flaw]:
    if letter.retain_until < months_after(letter.case.dates.notice, RETENTION_MONTHS):
        yield "", f"the record ends {letter.retain_until}, before {RETENTION_MONTHS} months have passed"


def _less_is_a_counteroffer(letter: Letter) -> Iterator[Flaw]:
    assessment = letter.case.assessment
    less = (
        assessment.counteroffer_amount is not None
        and assessment.counteroffer_amount < (assessment.applicant.amount or 0)
    )
    if less and find(letter, "action_approved"):
        yield "action_approved", "less than the amount requested is a counteroffer, not an approval"
    if letter.case.kind == "counteroffer" and not less:
        yield "counteroffer", "the offer is not for less than was requested"


def _in_its_words(letter: Letter) -> Iterator[Flaw]:
    known = set(letter.case.assessment.applicant.product.statements.values())
    for block in find(letter, "reasons"):
        if any(item not in known for item in block.items):
            yield "reasons", "a reason is not worded as in the catalogue"


def _kind(kind: str) -> Callable[[Case], bool]:
    return lambda case: case.kind == kind


_ACTIONS = {
    "approval": "action_approved",
    "denial": "action_denied",
    "counteroffer": "action_counteroffer",
    "incomplete": "action_incomplete",
}

REGULATION_B: tuple[Rule, ...] = (
    Rule("B1", "12 CFR 1002.9(a)(1)(i), (c)(1)", "Sent within 30 days.", "date", check=_in_time),
    *(
        Rule(
            "B2",
            "12 CFR 1002.9(a)(2)",
            "In writing, stating the action taken.",
            action,
            _kind(kind),
            _action_stated_once,
        )
        for kind, action in _ACTIONS.items()
    ),
    Rule("B3", "12 CFR 1002.9(a)(2)", "Name and address of the creditor.", "creditor"),
    Rule("B4", "12 CFR 1002.9(b)(1)", "The ECOA notice.", "ecoa_notice", adverse),
    Rule("B5", "12 CFR 1002.9(a)(2); appendix A", "Name and address of the agency.", "agency", adverse),
    Rule("B6", "12 CFR 1002.9(a)(2)(i)", "The specific reasons.", "reasons", adverse),
    Rule("B7", "12 CFR 1002.9(b)(2)", "No reason that says nothing.", "", adverse, _specific),
    Rule("B8", "comment 9(b)(2)-1", "One to four reasons.", "", adverse, _number_of_reasons),
    Rule("B9", "comment 9(b)(2)-2", "Only factors actually considered.", "", adverse, _actually_considered),
    Rule(
        "B10", "comment 9(b)(2)-3", "The factor named; how and why may stay open.", "", adverse, _in_its_words
    ),
    Rule("B11", "comment 9(b)(2)-4", "No principal reason left out.", "", adverse, _none_left_out),
    Rule(
        "B12",
        "comment 9(b)(2)-5",
        "The method of choosing reasons is on record.",
        "",
        adverse,
        _method_recorded,
    ),
    Rule(
        "B13",
        "comment 9(b)(2)-7",
        "Reasons come from the component that failed.",
        "",
        adverse,
        _right_component,
    ),
    Rule(
        "B14", "comment 9(b)(2)-8", "An automatic denial states its factor.", "", adverse, _knockouts_stated
    ),
    Rule("B15", "comment 9(b)(2)-9", "Reasons and key factors are two lists.", "", adverse, _two_lists),
    Rule(
        "B16",
        "comment 9(a)(1)-4",
        "Incomplete is no reason for a decision.",
        "",
        adverse,
        _incompleteness_is_no_reason,
    ),
    Rule(
        "B17",
        "12 CFR 1002.9(c)(2)",
        "What is needed, by when, and what follows if it does not come.",
        "information_needed information_due",
        _kind("incomplete"),
    ),
    Rule("B18", "12 CFR 1002.4(d)", "In a form to keep; electronically only with consent.", check=_consented),
    Rule("B19", "12 CFR 1002.4(e)", "In English.", check=_in_english),
    Rule("B20", "12 CFR 1002.12(b)(1)", "Kept for 25 months.", check=_kept_long_enough),
    Rule("B21", "12 CFR 1002.9(f)", "Addressed to the primary applicant.", "applicant salutation"),
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
        _kind("counteroffer"),
    ),
)
