"""What each block has to carry, derived from the case alone and not from how letters are composed."""

from collections.abc import Callable

from lendsafe import slots
from lendsafe.notice.characters import paragraphs, visible
from lendsafe.notice.compose import CENTRAL_SOURCE, credit, information, long_date
from lendsafe.notice.letter import Case, Row

Items = tuple[str, ...]
Rows = tuple[Row, ...]


def expected(name: str, case: Case) -> tuple[Items, Rows]:
    """Items and rows of a block; both empty where it is nothing but its sentences."""
    items = ITEMS[name](case) if name in ITEMS else ()
    return items, (ROWS[name](case) if name in ROWS else ())


def statements(case: Case) -> Items:
    """The principal reasons in the words of the catalogue, in order."""
    return tuple(case.assessment.applicant.product.reasons[reason.code].statement for reason in case.assessment.reasons)


def _creditor(case: Case) -> Items:
    return case.config.creditor.lines


def _addressee(case: Case) -> Items:
    return (case.contact.name, *case.contact.address)


def _signature(case: Case) -> Items:
    return tuple(line for line in (case.config.creditor.office, case.config.creditor.name) if line)


def _reply_to(case: Case) -> Items:
    return (case.config.creditor.name, *case.config.creditor.address)


def _bureau(case: Case) -> Items:
    return case.config.bureau.lines if case.config.bureau else ()


def _score_questions(case: Case) -> Items:
    source = case.config.score
    return (source.provider, *source.address, f"Telephone: {source.phone}") if source else ()


def _needed(case: Case) -> Items:
    return tuple(dict.fromkeys(information(case).values()))


def _key_factors(case: Case) -> Items:
    return tuple(map(visible, case.assessment.key_factors))


def _narrative(case: Case) -> Items:
    return paragraphs(case.narrative)


def _request(case: Case) -> Rows:
    return (
        Row("Application", visible(case.assessment.applicant.applicant_id)),
        Row("Received", long_date(case.dates.received)),
        Row("Credit requested", credit(case)),
    )


def _offer(case: Case) -> Rows:
    facts = slots.facts(case.assessment)
    return (
        Row("Amount", facts.get("counteroffer_amount", "")),
        Row("Time to repay", facts.get(case.assessment.applicant.product.request.term, "as requested")),
    )


def _score(case: Case) -> Rows:
    source, day = case.config.score, case.dates.score_created
    if source is None or day is None:
        return ()
    return (
        Row("Your credit score", str(case.score)),
        Row("Date", long_date(day)),
        Row("Scores range", f"from a low of {source.low} to a high of {source.high}"),
        Row("Provided by", source.provider),
    )


def _bars(case: Case) -> Rows:
    bars = case.config.score.distribution if case.config.score else ()
    return tuple(Row(f"{bar.low}–{bar.high}", f"{bar.percent:g}%") for bar in bars)


ITEMS: dict[str, Callable[[Case], Items]] = {
    "creditor": _creditor,
    "applicant": _addressee,
    "information_needed": _needed,
    "reasons": statements,
    "narrative": _narrative,
    "counteroffer_reply": _reply_to,
    "bureau": _bureau,
    "key_factors": _key_factors,
    "score_contact": _score_questions,
    "contact": _creditor,
    "closing": _signature,
}
ROWS: dict[str, Callable[[Case], Rows]] = {
    "credit_requested": _request,
    "counteroffer": _offer,
    "score": _score,
    "approval_score": _score,
    "score_distribution": _bars,
    "central_source": lambda _: CENTRAL_SOURCE,
}
