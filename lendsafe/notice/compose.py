"""From a decision, its reasons and a narrative to a letter. No sentence of the law is written here.

The order follows Form C-1 (12 CFR 1002 appendix C): request, action, part I reasons, part II
outside sources with the score, whom to ask, the ECOA notice.
"""

from collections.abc import Sequence
from datetime import date

from lendsafe import slots
from lendsafe.errors import ConfigError, DataError
from lendsafe.notice.characters import paragraphs, visible
from lendsafe.notice.config import NoticeConfig
from lendsafe.notice.letter import Block, Case, Contact, Dates, Kind, Letter, Row, Section
from lendsafe.notice.templates import fill, templates
from lendsafe.records import Explanation

TITLES: dict[Kind, str] = {
    "approval": "Notice of Action Taken",
    "denial": "Notice of Action Taken and Statement of Reasons",
    "counteroffer": "Notice of Action Taken, Statement of Reasons and Counteroffer",
    "incomplete": "Notice of Incomplete Application and Request for Additional Information",
}
ACTIONS: dict[Kind, str] = {
    "approval": "action_approved",
    "denial": "action_denied",
    "counteroffer": "action_counteroffer",
    "incomplete": "action_incomplete",
}
CENTRAL_SOURCE = (Row("On the web", "AnnualCreditReport.com"), Row("By phone", "(877) 322-8228"))


def compose(explanation: Explanation, contact: Contact, config: NoticeConfig, dates: Dates) -> Letter:
    """Compose the letter that a decision asks for.

    Args:
        explanation: Narrative that passed every check, with the assessment that it explains.
        contact: Whom it goes to.
        config: The lender.
        dates: Days that the law counts from. A letter that is late is composed all the same, and
            :attr:`Letter.late` says so.

    Raises:
        ConfigError: If the configuration lacks what this letter has to name.
        DataError: If the assessment lacks what this letter has to say.
    """
    case = Case(
        assessment=explanation.assessment,
        narrative=explanation.text,
        contact=contact,
        config=config,
        dates=dates,
    )
    _refuse_incomplete_input(case)
    sections = [
        *_opening(case),
        *_body(case),
        *_outside_sources(case),
        *_ending(case),
        *_score_disclosure(case),
    ]
    return Letter(title=TITLES[case.kind], sections=tuple(sections), case=case)


def slot_values(case: Case) -> dict[str, str]:
    """Every value that a template may ask for, formatted as a reader sees it."""
    config = case.config
    return {
        "agency": config.agency.sentence,
        "applicant_name": case.contact.name,
        "bureau_name": config.bureau.name if config.bureau else "",
        "credit": credit(case),
        "due_date": long_date(case.due),
        "notice_date": long_date(case.dates.notice),
        "response_days": str(config.response_days),
        "score_provider": config.score.provider if config.score else "",
    }


def credit(case: Case) -> str:
    """The credit that was asked for, in words: amount, time, purpose."""
    applicant, facts = case.assessment.applicant, slots.facts(case.assessment)
    request = applicant.product.request
    amount = f"a loan of {facts[request.amount]}" if request.amount in facts else "a loan"
    term = f" over {facts[request.term]}" if request.term in facts else ""
    return f"{amount}{term} {applicant.purpose}".rstrip()


def long_date(day: date) -> str:
    """A date as an American letter writes it: ``November 24, 2026``."""
    return f"{day:%B} {day.day}, {day.year}"


def information(case: Case) -> dict[str, str]:
    """How a letter names what an applicant has to supply, by field."""
    fields = case.assessment.applicant.product.fields
    return {name: fields[name].ask or f"Your {fields[name].called}" for name in case.assessment.missing}


def _refuse_incomplete_input(case: Case) -> None:
    assessment, config = case.assessment, case.config
    if case.adverse and not assessment.reasons:
        raise DataError(f"A letter of {case.kind} states reasons, and the assessment has none.")
    if case.kind == "counteroffer" and assessment.counteroffer_amount is None:
        raise DataError("A counteroffer names an amount; set counteroffer_amount.")
    if case.kind == "incomplete" and not assessment.missing:
        raise DataError("A notice of incompleteness names what is missing; the assessment lists nothing.")
    if case.adverse and case.report_used and config.bureau is None:
        raise ConfigError(
            "A consumer report was used, and the configuration has no [bureau] (15 USC 1681m(a)(3))."
        )
    if _discloses_score(case) and case.dates.score_created is None:
        raise DataError("A disclosed score is dated (15 USC 1681g(f)(1)(D)); set score_created.")


def _discloses_score(case: Case) -> bool:
    if case.score is None:
        return False
    return (case.adverse and case.report_used) or (
        case.kind == "approval" and case.config.approval_score_notice
    )


def _opening(case: Case) -> list[Section]:
    config, applicant = case.config, case.contact
    marks = [_block("specimen", case)] if config.specimen else []
    return [
        Section(
            heading="",
            look="letterhead",
            blocks=(_block("creditor", case, items=config.creditor.lines), *marks),
        ),
        Section(
            heading="",
            blocks=(
                _block("date", case),
                _block("applicant", case, items=(applicant.name, *applicant.address)),
            ),
        ),
    ]


def _body(case: Case) -> list[Section]:
    request = [
        Row("Application", visible(case.assessment.applicant.applicant_id)),
        Row("Received", long_date(case.dates.received)),
        Row("Credit requested", credit(case)),
    ]
    first = [
        _block("credit_requested", case, rows=request),
        _block("salutation", case),
        _block(ACTIONS[case.kind], case),
    ]
    if case.kind == "incomplete":
        needed = list(dict.fromkeys(information(case).values()))
        first += [_block("information_needed", case, items=needed), _block("information_due", case)]
    sections = [Section(heading=TITLES[case.kind], blocks=tuple(first))]
    if case.adverse:
        stated = [case.assessment.applicant.product.reasons[reason.code].statement for reason in case.assessment.reasons]
        heading = (
            "Principal reasons for credit denial"
            if case.kind == "denial"
            else "Principal reasons for our decision"
        )
        sections.append(Section(heading=heading, blocks=(_block("reasons", case, items=stated),)))
    if told := paragraphs(case.narrative):
        heading = "What these reasons mean" if case.adverse else "About our decision"
        heading = "About your application" if case.kind == "incomplete" else heading
        sections.append(Section(heading=heading, blocks=(_block("narrative", case, items=told),)))
    return [*sections, *_offer(case)]


def _offer(case: Case) -> list[Section]:
    if case.kind != "counteroffer":
        return []
    facts = slots.facts(case.assessment)
    terms = [Row("Amount", facts["counteroffer_amount"]), Row("Time to repay", facts.get(case.assessment.applicant.product.request.term, "as requested"))]
    where = (case.config.creditor.name, *case.config.creditor.address)
    blocks = (_block("counteroffer", case, rows=terms), _block("counteroffer_reply", case, items=where))
    return [Section(heading="What we can offer you", blocks=blocks)]


def _outside_sources(case: Case) -> list[Section]:
    if not case.adverse:
        return []
    sections = []
    if case.report_used and case.config.bureau:
        rights = [_block(name, case) for name in ("file_disclosure", "not_decider", "free_report", "dispute")]
        blocks = (
            _block("report_used", case),
            _block("bureau", case, items=case.config.bureau.lines),
            *rights,
        )
        sections.append(Section(heading="Use of information from a consumer report", blocks=blocks))
        if case.score is not None:
            sections.append(
                Section(heading="Information about your credit score", look="panel", blocks=_score(case))
            )
    if case.config.outside_source:
        blocks = (_block("outside_source", case),)
        sections.append(Section(heading="Use of information from another outside source", blocks=blocks))
    return sections


def _score(case: Case) -> tuple[Block, ...]:
    used = "score_used" if case.config.score_disclosed == "bureau" else "own_score_used"
    factors = tuple(map(visible, case.assessment.key_factors))
    source = case.config.score
    assert source is not None  # NoticeConfig has a [score] wherever a score is disclosed
    blocks = [
        _block(used, case),
        _block("score", case, rows=_score_rows(case)),
        _block("key_factors", case, items=factors) if factors else _block("no_key_factors", case),
    ]
    if source.address and source.phone:
        lines = (source.provider, *source.address, f"Telephone: {source.phone}")
        blocks.append(_block("score_contact", case, items=lines))
    return tuple(blocks)


def _score_rows(case: Case) -> list[Row]:
    source, created = case.config.score, case.dates.score_created
    assert source is not None  # NoticeConfig has a [score] wherever a score is disclosed
    assert created is not None  # refused before
    return [
        Row("Your credit score", str(case.score)),
        Row("Date", long_date(created)),
        Row("Scores range", f"from a low of {source.low} to a high of {source.high}"),
        Row("Provided by", source.provider),
    ]


def _ending(case: Case) -> list[Section]:
    creditor = case.config.creditor
    signed = tuple(line for line in (creditor.office, creditor.name) if line)
    sections = [
        Section(heading="Questions", blocks=(_block("contact", case, items=creditor.lines),)),
        Section(heading="", blocks=(_block("closing", case, items=signed),)),
    ]
    if case.adverse:
        notice = (_block("ecoa_notice", case), _block("agency", case))
        sections.append(Section(heading="Notice", blocks=notice))
    return sections


def _score_disclosure(case: Case) -> list[Section]:
    """The page of its own that 12 CFR 1022.74(e)(2)(ii), (f)(3)(ii) ask for."""
    config = case.config
    if case.kind != "approval" or not config.approval_score_notice or config.score_disclosed == "none":
        return []
    rights = [_block(name, case) for name in ("accuracy", "annual_report")]
    rights += [_block("central_source", case, rows=CENTRAL_SOURCE), _block("bureau_site", case)]
    about: list[Block]
    if case.score is not None and config.score:
        heading = "Your credit score and the price you pay for credit"
        bars = [Row(f"{bar.low}–{bar.high}", f"{bar.percent:g}%") for bar in config.score.distribution]
        about = [
            _block("approval_score", case, rows=_score_rows(case)),
            *(_block(name, case) for name in ("report_meaning", "score_meaning", "score_effect")),
            _block("score_distribution", case, rows=bars),
        ]
    elif config.bureau:
        heading = "Credit scores and the price you pay for credit"
        names = ("no_score", "report_contents", "score_meaning", "score_importance", "no_score_effect")
        about = [_block(name, case) for name in names]
    else:
        return []
    return [Section(heading=heading, look="page", blocks=(*about, *rights))]


def _block(name: str, case: Case, items: Sequence[str] = (), rows: Sequence[Row] = ()) -> Block:
    template = templates()[name]
    return Block(
        id=name,
        version=template.version,
        citation=template.citation,
        shape=template.shape,
        text=fill(template.text, slot_values(case)) if template.text else "",
        items=tuple(items),
        rows=tuple(rows),
    )
