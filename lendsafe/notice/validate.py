"""Is everything in the letter that has to be there, and nothing else? Rule by rule, with citations.

The rules do not ask how a letter was composed. They derive what has to be in it from the decision,
the dates and the configuration, and read the letter against that.

B1 to B22 are items of 12 CFR 1002 (Regulation B) and its commentary, F1 to F8 of 15 USC 1681m
(FCRA 615), S1 to S9 and N1 to N9 of 12 CFR 1022.74(e) and (f). FORM is the order of the sample
forms (12 CFR 1002 appendix C).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lendsafe import slots
from lendsafe.errors import LendSafeError
from lendsafe.notice.characters import paragraphs, visible
from lendsafe.notice.compose import CENTRAL_SOURCE, credit, information, long_date, slot_values
from lendsafe.notice.config import is_toll_free
from lendsafe.notice.letter import NOTICE_DAYS, RETENTION_MONTHS, Block, Case, Letter, Row, months_after
from lendsafe.notice.templates import fill, templates
from lendsafe.reasons import catalogue
from lendsafe.records import Finding

ORDER = (
    "creditor specimen date applicant credit_requested salutation action_approved action_denied action_counteroffer "
    "action_incomplete information_needed information_due reasons narrative counteroffer counteroffer_reply report_used "
    "bureau file_disclosure not_decider free_report dispute score_used own_score_used score key_factors no_key_factors "
    "score_contact outside_source contact closing ecoa_notice agency approval_score no_score report_meaning "
    "report_contents score_meaning score_importance score_effect no_score_effect score_distribution accuracy "
    "annual_report central_source bureau_site"
).split()
_VAGUE = re.compile(
    r"internal (standards?|polic(y|ies)|criteria|guidelines?)|our (standards|policies|criteria|algorithm|model) (decided|denied|declined)"
    r"|qualifying score|insufficient score|(did not|failed to) (score|achieve|reach|meet)[^.]{0,40}\b(score|points|standards?|polic)"
    r"|minimum score|credit scoring system",
    re.IGNORECASE,
)

Flaw = tuple[str, str]  # (block id, or "" for the letter as a whole; what is wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that the law asks of a letter.

    Attributes:
        id: ``B4``, ``F2`` ...
        citation: The provision.
        requirement: What it asks for, in a sentence.
        blocks: Blocks that serve it; each has to be there once, and as its template says.
        applies: Whether it concerns this case.
        check: What else is wrong, given the letter.
    """

    id: str
    citation: str
    requirement: str
    blocks: tuple[str, ...] = ()
    applies: Callable[[Case], bool] = lambda _: True
    check: Callable[[Letter], Iterator[Flaw]] = lambda _: iter(())


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a checklist: a rule, whether it concerns this letter, and what it found."""

    rule: Rule
    applies: bool
    findings: tuple[Finding, ...]


def validate(letter: Letter) -> list[Finding]:
    """Everything that is missing, altered, misplaced, late or too much; empty if nothing is.

    Returns:
        Findings whose ``rule`` is the item, whose message ends in its citation, and whose ``fact``
        is the block concerned (empty if it is the letter as a whole).
    """
    return [finding for item in checklist(letter) for finding in item.findings]


def checklist(letter: Letter) -> list[Item]:
    """Every rule with what it found, in order; for a reviewer's screen."""
    items = []
    for rule in RULES:
        applies = rule.applies(letter.case)
        flaws = [*_blocks_as_they_should_be(rule, letter), *rule.check(letter)] if applies else []
        findings = tuple(
            Finding(rule.id, f"{what} ({rule.citation})", fact=block) for block, what in dict.fromkeys(flaws)
        )
        items.append(Item(rule, applies, findings))
    return items


# What holds for any block ------------------------------------------------------------------------


def _blocks_as_they_should_be(rule: Rule, letter: Letter) -> Iterator[Flaw]:
    there = {block.id: block for block in letter.blocks}
    for name in rule.blocks:
        if name not in there:
            yield name, f"'{name}' is missing"
        elif not there[name].content.strip():
            yield name, f"'{name}' is empty"
        elif problem := _template_problem(there[name], letter.case):
            yield name, problem


def _template_problem(block: Block, case: Case) -> str:
    template = templates()[block.id]
    try:
        expected = fill(template.text, slot_values(case))
    except LendSafeError as problem:
        return f"'{block.id}': {problem}"
    if (block.version, block.citation, block.shape) != (template.version, template.citation, template.shape):
        return f"'{block.id}' is not version {template.version} of its template"
    if block.text != expected:
        return f"'{block.id}' does not say what its template says"
    return ""


def _exactly(name: str, items: Callable[[Case], tuple[str, ...]]) -> Callable[[Letter], Iterator[Flaw]]:
    """The block's items are these, no more, in this order."""

    def check(letter: Letter) -> Iterator[Flaw]:
        for block in _find(letter, name):
            if block.items != items(letter.case) or block.rows:
                yield name, f"'{name}' does not carry what it should, in order"

    return check


def _rows(name: str, rows: Callable[[Case], tuple[Row, ...]]) -> Callable[[Letter], Iterator[Flaw]]:
    """The block's table is this one."""

    def check(letter: Letter) -> Iterator[Flaw]:
        for block in _find(letter, name):
            if block.rows != rows(letter.case) or block.items:
                yield name, f"'{name}' does not carry what it should, in order"

    return check


def _find(letter: Letter, name: str) -> list[Block]:
    return [block for block in letter.blocks if block.id == name]


def _all(*checks: Callable[[Letter], Iterator[Flaw]]) -> Callable[[Letter], Iterator[Flaw]]:
    def check(letter: Letter) -> Iterator[Flaw]:
        for one in checks:
            yield from one(letter)

    return check


# Which cases a rule concerns ---------------------------------------------------------------------


def _adverse(case: Case) -> bool:
    return case.kind in ("denial", "counteroffer")


def _kind(kind: str) -> Callable[[Case], bool]:
    return lambda case: case.kind == kind


def _from_report(case: Case) -> bool:
    return _adverse(case) and case.report_used


def _scored(case: Case) -> bool:
    return _from_report(case) and case.score is not None


def _score_page(case: Case) -> bool:
    wanted = case.config.approval_score_notice and case.config.score_disclosed != "none"
    return case.kind == "approval" and wanted and case.score is not None


def _no_score_page(case: Case) -> bool:
    wanted = case.config.approval_score_notice and case.config.score_disclosed != "none"
    return case.kind == "approval" and wanted and case.score is None and case.config.bureau is not None


def _score_contact(case: Case) -> bool:
    source = case.config.score
    return _scored(case) and source is not None and bool(source.address and source.phone)


# What the facts of a case are --------------------------------------------------------------------


def _statements(case: Case) -> tuple[str, ...]:
    return tuple(catalogue()[reason.code].statement for reason in case.assessment.reasons)


def _score_facts(case: Case) -> tuple[Row, ...]:
    source, day = case.config.score, case.dates.score_created
    if source is None or day is None:
        return ()
    return (
        Row("Your credit score", str(case.score)),
        Row("Date", long_date(day)),
        Row("Scores range", f"from a low of {source.low} to a high of {source.high}"),
        Row("Provided by", source.provider),
    )


def _score_in_range(letter: Letter) -> Iterator[Flaw]:
    source, score = letter.case.config.score, letter.case.score
    if source and score is not None and not source.low <= score <= source.high:
        yield "score", f"the score is outside its range, {source.low} to {source.high}"


def _bars(case: Case) -> tuple[Row, ...]:
    bars = case.config.score.distribution if case.config.score else ()
    return tuple(Row(f"{bar.low}–{bar.high}", f"{bar.percent:g}%") for bar in bars)


def _enough_bars(letter: Letter) -> Iterator[Flaw]:
    if any(len(block.rows) < 6 for block in _find(letter, "score_distribution")):
        yield "score_distribution", "fewer than six bars"


# The rules that need more than a block -----------------------------------------------------------


def _in_time(letter: Letter) -> Iterator[Flaw]:
    case = letter.case
    start = case.dates.received if case.kind == "incomplete" else case.dates.completed or case.dates.received
    days = (case.dates.notice - start).days
    if days > NOTICE_DAYS:
        yield "date", f"the letter is dated day {days}; {NOTICE_DAYS} are allowed"


def _specific(letter: Letter) -> Iterator[Flaw]:
    for name in ("reasons", "narrative"):
        for block in _find(letter, name):
            if found := _VAGUE.search(block.content):
                yield name, f"'{found[0]}' is no specific reason"


def _number_of_reasons(letter: Letter) -> Iterator[Flaw]:
    for block in _find(letter, "reasons"):
        if not 1 <= len(block.items) <= 4:
            yield "reasons", f"{len(block.items)} reasons are stated; one to four are"


def _actually_considered(letter: Letter) -> Iterator[Flaw]:
    known = set(_statements(letter.case))
    for block in _find(letter, "reasons"):
        if any(item not in known for item in block.items):
            yield "reasons", "a stated reason is not among those of the assessment"
    if any(reason.contribution <= 0 and not reason.knockout for reason in letter.case.assessment.reasons):
        yield "reasons", "a reason did not weigh against the applicant"


def _none_left_out(letter: Letter) -> Iterator[Flaw]:
    for block in _find(letter, "reasons"):
        if any(statement not in block.items for statement in _statements(letter.case)):
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
    wanted = [catalogue()[r.code].statement for r in letter.case.assessment.reasons if r.knockout]
    for block in _find(letter, "reasons"):
        if any(statement not in block.items for statement in wanted):
            yield "reasons", "the factor that called for automatic denial is not stated"


def _two_lists(letter: Letter) -> Iterator[Flaw]:
    for block in _find(letter, "reasons"):
        if block.items != _statements(letter.case):
            yield "reasons", "the statement of reasons is not the list of principal reasons, in order"
    for block in _find(letter, "key_factors"):
        if block.items != letter.case.assessment.key_factors:
            yield "key_factors", "the key factors are not the score's own list, in order"


def _incompleteness_is_no_reason(letter: Letter) -> Iterator[Flaw]:
    for block in _find(letter, "reasons"):
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
        yield "", f"the record ends before {RETENTION_MONTHS} months"


def _less_is_a_counteroffer(letter: Letter) -> Iterator[Flaw]:
    assessment = letter.case.assessment
    less = (
        assessment.counteroffer_amount is not None
        and assessment.counteroffer_amount < assessment.applicant.loan_amount
    )
    if less and _find(letter, "action_approved"):
        yield "action_approved", "less than the amount requested is a counteroffer, not an approval"
    if letter.case.kind == "counteroffer" and not less:
        yield "counteroffer", "the offer is not for less than was requested"


def _action_stated_once(letter: Letter) -> Iterator[Flaw]:
    stated = [block.id for block in letter.blocks if block.id.startswith("action_")]
    for name in stated[1:]:
        yield name, "more than one action is stated"


def _key_factors_in_number(letter: Letter) -> Iterator[Flaw]:
    factors = letter.case.assessment.key_factors
    allowed = 5 if any("inquir" in factor.lower() for factor in factors) else 4
    if len(factors) > allowed:
        yield "key_factors", f"{len(factors)} key factors are stated; {allowed} are allowed"
    wanted, other = ("key_factors", "no_key_factors") if factors else ("no_key_factors", "key_factors")
    blocks = _find(letter, wanted)
    if not blocks:
        yield wanted, f"'{wanted}' is missing"
    for block in blocks:
        if block.items != factors:
            yield wanted, "the key factors are not the score's own list, in order"
        if problem := _template_problem(block, letter.case):
            yield wanted, problem
    for _ in _find(letter, other):
        yield other, f"'{other}' contradicts the key factors"


def _which_score(letter: Letter) -> Iterator[Flaw]:
    wanted = "score_used" if letter.case.config.score_disclosed == "bureau" else "own_score_used"
    blocks = _find(letter, wanted)
    if not blocks:
        yield wanted, f"'{wanted}' is missing"
    for block in blocks:
        if problem := _template_problem(block, letter.case):
            yield wanted, problem


def _toll_free(letter: Letter) -> Iterator[Flaw]:
    bureau = letter.case.config.bureau
    if bureau and bureau.nationwide and not is_toll_free(bureau.phone):
        yield "bureau", "a nationwide agency's telephone number is toll-free"


def _form(letter: Letter) -> Iterator[Flaw]:
    """Each block once, known, wanted here, in the order of the forms, under the right title."""
    ids = [block.id for block in letter.blocks]
    wanted = set(_OPTIONAL) | {name for rule in RULES if rule.applies(letter.case) for name in rule.blocks}
    for name, count in Counter(ids).items():
        if name not in ORDER:
            yield name, f"'{name}' is no block of a letter"
        elif name not in wanted:
            yield name, f"'{name}' does not belong into a letter of {letter.case.kind}"
        if count > 1:
            yield name, f"'{name}' is there {count} times"
    places = [ORDER.index(name) for name in ids if name in ORDER]
    for name, here, following in zip(ids, places, places[1:], strict=False):
        if here > following:
            yield name, f"'{name}' is out of order"
    if not letter.title.strip():
        yield "", "the letter has no title"


def _narrative(letter: Letter) -> Iterator[Flaw]:
    expected = paragraphs(letter.case.narrative)
    blocks = _find(letter, "narrative")
    if expected and not blocks:
        yield "narrative", "'narrative' is missing"
    for block in blocks:
        if block.items != expected or block.text or block.rows:
            yield "narrative", "'narrative' is not the checked text"


def _request(case: Case) -> tuple[Row, ...]:
    return (
        Row("Application", visible(case.assessment.applicant.applicant_id)),
        Row("Received", long_date(case.dates.received)),
        Row("Credit requested", credit(case)),
    )


def _offer(case: Case) -> tuple[Row, ...]:
    facts = slots.facts(case.assessment)
    return (
        Row("Amount", facts.get("counteroffer_amount", "")),
        Row("Time to repay", facts["loan_term_months"]),
    )


# Blocks that the checks above require by themselves, where they belong
_OPTIONAL = ("narrative", "score_used", "own_score_used", "key_factors", "no_key_factors")


def _creditor(case: Case) -> tuple[str, ...]:
    return case.config.creditor.lines


def _signature(case: Case) -> tuple[str, ...]:
    return tuple(line for line in (case.config.creditor.office, case.config.creditor.name) if line)


def _bureau(case: Case) -> tuple[str, ...]:
    return case.config.bureau.lines if case.config.bureau else ()


def _questions(case: Case) -> tuple[str, ...]:
    source = case.config.score
    return (source.provider, *source.address, f"Telephone: {source.phone}") if source else ()


def _reply_to(case: Case) -> tuple[str, ...]:
    return (case.config.creditor.name, *case.config.creditor.address)


def _needed(case: Case) -> tuple[str, ...]:
    return tuple(information().get(name, "") for name in case.assessment.missing)


def _addressee(case: Case) -> tuple[str, ...]:
    return (case.contact.name, *case.contact.address)


_FORMS = "12 CFR 1002 appendix C"
_PAGE = "12 CFR 1022.74(e)(1)(ii)"
_NO_SCORE = "12 CFR 1022.74(f)(1)(iii)"


def _rule(
    name: str,
    citation: str,
    requirement: str,
    blocks: str = "",
    applies: Callable[[Case], bool] = lambda _: True,
    check: Callable[[Letter], Iterator[Flaw]] = lambda _: iter(()),
) -> Rule:
    return Rule(
        id=name,
        citation=citation,
        requirement=requirement,
        blocks=tuple(blocks.split()),
        applies=applies,
        check=check,
    )


RULES: tuple[Rule, ...] = (
    _rule("B1", "12 CFR 1002.9(a)(1)(i), (c)(1)", "Sent within 30 days.", "date", check=_in_time),
    *(
        _rule(
            "B2",
            "12 CFR 1002.9(a)(2)",
            "In writing, stating the action taken.",
            action,
            _kind(kind),
            _action_stated_once,
        )
        for kind, action in {
            "approval": "action_approved",
            "denial": "action_denied",
            "counteroffer": "action_counteroffer",
            "incomplete": "action_incomplete",
        }.items()
    ),
    _rule(
        "B3",
        "12 CFR 1002.9(a)(2)",
        "Name and address of the creditor.",
        "creditor",
        check=_exactly("creditor", _creditor),
    ),
    _rule(
        "B4",
        "12 CFR 1002.9(b)(1)",
        "The ECOA notice.",
        "ecoa_notice",
        _adverse,
        _exactly("ecoa_notice", lambda _: ()),
    ),
    _rule(
        "B5",
        "12 CFR 1002.9(a)(2); appendix A",
        "Name and address of the agency.",
        "agency",
        _adverse,
        _exactly("agency", lambda _: ()),
    ),
    _rule("B6", "12 CFR 1002.9(a)(2)(i)", "The specific reasons.", "reasons", _adverse),
    _rule("B7", "12 CFR 1002.9(b)(2)", "No reason that says nothing.", "", _adverse, _specific),
    _rule("B8", "comment 9(b)(2)-1", "One to four reasons.", "", _adverse, _number_of_reasons),
    _rule("B9", "comment 9(b)(2)-2", "Only factors actually considered.", "", _adverse, _actually_considered),
    _rule(
        "B10",
        "comment 9(b)(2)-3",
        "Reasons in the catalogue's words; how and why may stay open.",
        "",
        _adverse,
        _exactly("reasons", _statements),
    ),
    _rule("B11", "comment 9(b)(2)-4", "No principal reason left out.", "", _adverse, _none_left_out),
    _rule(
        "B12",
        "comment 9(b)(2)-5",
        "The method of choosing reasons is on record.",
        "",
        _adverse,
        _method_recorded,
    ),
    _rule(
        "B13",
        "comment 9(b)(2)-7",
        "Reasons come from the component that failed.",
        "",
        _adverse,
        _right_component,
    ),
    _rule(
        "B14", "comment 9(b)(2)-8", "An automatic denial states its factor.", "", _adverse, _knockouts_stated
    ),
    _rule(
        "B15",
        "comment 9(b)(2)-9",
        "Reasons and the score's key factors are two lists.",
        "",
        _adverse,
        _two_lists,
    ),
    _rule(
        "B16",
        "comment 9(a)(1)-4",
        "Incompleteness is no reason where a decision was made.",
        "",
        _adverse,
        _incompleteness_is_no_reason,
    ),
    _rule(
        "B17",
        "12 CFR 1002.9(c)(2)",
        "What is needed, by when, and what follows if it does not come.",
        "information_needed information_due",
        _kind("incomplete"),
        _all(_exactly("information_needed", _needed), _exactly("information_due", lambda _: ())),
    ),
    _rule(
        "B18", "12 CFR 1002.4(d)", "In a form to keep; electronically only with consent.", check=_consented
    ),
    _rule("B19", "12 CFR 1002.4(e)", "In English.", check=_in_english),
    _rule("B20", "12 CFR 1002.12(b)(1)", "Kept for 25 months.", check=_kept_long_enough),
    _rule(
        "B21",
        "12 CFR 1002.9(f)",
        "Addressed to the primary applicant.",
        "applicant salutation",
        check=_exactly("applicant", _addressee),
    ),
    _rule(
        "B22",
        "12 CFR 1002.2(c)(1)(i), 1002.9(a)(1)(iv)",
        "Less than was requested is a counteroffer, with its terms.",
        "",
        check=_less_is_a_counteroffer,
    ),
    _rule(
        "B22",
        "12 CFR 1002.9(a)(1)(iv); appendix C, Form C-4",
        "The terms offered and how to accept them.",
        "counteroffer counteroffer_reply",
        _kind("counteroffer"),
        _all(_rows("counteroffer", _offer), _exactly("counteroffer_reply", _reply_to)),
    ),
    _rule(
        "F1",
        "15 USC 1681m(a)(1)",
        "That a consumer report was used.",
        "report_used",
        _from_report,
        _exactly("report_used", lambda _: ()),
    ),
    _rule(
        "F2",
        "15 USC 1681m(a)(2)(A)",
        "The score, its range, date and provider.",
        "score",
        _scored,
        _all(_which_score, _rows("score", _score_facts), _score_in_range),
    ),
    _rule(
        "F2",
        f"{_FORMS}, paragraph 2",
        "Whom to ask about the score.",
        "score_contact",
        _score_contact,
        _exactly("score_contact", _questions),
    ),
    _rule(
        "F3",
        "15 USC 1681m(a)(2)(B), 1681g(f)(1)(C), (f)(9)",
        "At most four key factors, or five with inquiries, in order.",
        "",
        _scored,
        _key_factors_in_number,
    ),
    _rule(
        "F4",
        "15 USC 1681m(a)(3)(A)",
        "Name, address and telephone number of the agency.",
        "bureau",
        _from_report,
        _all(_exactly("bureau", _bureau), _toll_free),
    ),
    _rule(
        "F5",
        "15 USC 1681m(a)(3)(B)",
        "That the agency did not decide.",
        "not_decider",
        _from_report,
        _exactly("not_decider", lambda _: ()),
    ),
    _rule(
        "F6",
        "15 USC 1681m(a)(4)(A)",
        "The right to a free report within 60 days.",
        "file_disclosure free_report",
        _from_report,
        _all(_exactly("free_report", lambda _: ()), _exactly("file_disclosure", lambda _: ())),
    ),
    _rule(
        "F7",
        "15 USC 1681m(a)(4)(B)",
        "The right to dispute.",
        "dispute",
        _from_report,
        _exactly("dispute", lambda _: ()),
    ),
    _rule(
        "F8",
        "15 USC 1681m(b)",
        "The right to ask about an outside source.",
        "outside_source",
        lambda case: _adverse(case) and case.config.outside_source,
        _exactly("outside_source", lambda _: ()),
    ),
    _rule("S1", f"{_PAGE}(A)", "What a consumer report is.", "report_meaning", _score_page),
    _rule("S2", f"{_PAGE}(B)", "What a credit score is.", "score_meaning", _score_page),
    _rule("S3", f"{_PAGE}(C)", "What a score can affect.", "score_effect", _score_page),
    _rule(
        "S4",
        f"{_PAGE}(D), (E), (G), (H)",
        "The score, its range, date and provider.",
        "approval_score",
        _score_page,
        _all(_rows("approval_score", _score_facts), _score_in_range),
    ),
    _rule(
        "S5",
        f"{_PAGE}(F)",
        "The distribution of scores, in six bars or more.",
        "score_distribution",
        _score_page,
        _all(_rows("score_distribution", _bars), _enough_bars),
    ),
    _rule("S6", f"{_PAGE}(I)", "To verify and dispute.", "accuracy", _score_page),
    _rule("S7", f"{_PAGE}(J)", "Free annual reports.", "annual_report", _score_page),
    _rule(
        "S8",
        f"{_PAGE}(K)",
        "The centralized source.",
        "central_source",
        _score_page,
        _rows("central_source", lambda _: CENTRAL_SOURCE),
    ),
    _rule("S9", f"{_PAGE}(L)", "The Bureau's Web site.", "bureau_site", _score_page),
    _rule("N1", f"{_NO_SCORE}(A)", "What a consumer report contains.", "report_contents", _no_score_page),
    _rule("N2", f"{_NO_SCORE}(B)", "What a credit score is.", "score_meaning", _no_score_page),
    _rule("N3", f"{_NO_SCORE}(C)", "Why scores matter.", "score_importance", _no_score_page),
    _rule("N4", f"{_NO_SCORE}(D)", "What the lack of a score can affect.", "no_score_effect", _no_score_page),
    _rule("N5", f"{_NO_SCORE}(E)", "That there was no score, and from whom.", "no_score", _no_score_page),
    _rule("N6", f"{_NO_SCORE}(F)", "To verify and dispute.", "accuracy", _no_score_page),
    _rule("N7", f"{_NO_SCORE}(G)", "Free annual reports.", "annual_report", _no_score_page),
    _rule(
        "N8",
        f"{_NO_SCORE}(H)",
        "The centralized source.",
        "central_source",
        _no_score_page,
        _rows("central_source", lambda _: CENTRAL_SOURCE),
    ),
    _rule("N9", f"{_NO_SCORE}(I)", "The Bureau's Web site.", "bureau_site", _no_score_page),
    _rule(
        "FORM",
        f"{_FORMS}, Form C-1",
        "The credit requested.",
        "credit_requested",
        check=_rows("credit_requested", _request),
    ),
    _rule(
        "FORM",
        f"{_FORMS}, Form C-1",
        "Whom to ask, and who signs.",
        "contact closing",
        check=_all(_exactly("contact", _creditor), _exactly("closing", _signature)),
    ),
    _rule(
        "FORM", "not part of a notice", "A specimen says so.", "specimen", lambda case: case.config.specimen
    ),
    _rule("FORM", "comment 9(b)(2)-2", "The explanation is the one that was checked.", check=_narrative),
    _rule("FORM", _FORMS, "Each block once, and in the order of the forms.", check=_form),
)
