"""Items of the Fair Credit Reporting Act: F1 to F8 when action is adverse, S and N with an approval."""

from collections.abc import Iterator

from lendsafe.notice.config import is_toll_free
from lendsafe.notice.letter import Case, Letter
from lendsafe.notice.rule import Flaw, Rule, adverse, block_flaws, find


def _score_in_range(letter: Letter) -> Iterator[Flaw]:
    source, score = letter.case.config.score, letter.case.score
    if source and score is not None and not source.low <= score <= source.high:
        yield "score", f"the score is outside its range, {source.low} to {source.high}"


def _enough_bars(letter: Letter) -> Iterator[Flaw]:
    if any(len(block.rows) < 6 for block in find(letter, "score_distribution")):
        yield "score_distribution", "fewer than six bars"


def _toll_free(letter: Letter) -> Iterator[Flaw]:
    bureau = letter.case.config.bureau
    if bureau and bureau.nationwide and not is_toll_free(bureau.phone):
        yield "bureau", "a nationwide agency's telephone number is toll-free"


def _used(letter: Letter) -> Iterator[Flaw]:
    bureau = letter.case.config.score_disclosed == "bureau"
    yield from _one_of(
        letter, *(("score_used", "own_score_used") if bureau else ("own_score_used", "score_used"))
    )


def _factors(letter: Letter) -> Iterator[Flaw]:
    factors = letter.case.assessment.key_factors
    allowed = 5 if any("inquir" in factor.lower() for factor in factors) else 4
    if len(factors) > allowed:
        yield "key_factors", f"{len(factors)} key factors are stated; {allowed} are allowed"
    yield from _one_of(
        letter, *(("key_factors", "no_key_factors") if factors else ("no_key_factors", "key_factors"))
    )


def _one_of(letter: Letter, wanted: str, other: str) -> Iterator[Flaw]:
    yield from block_flaws(letter, wanted)
    for _ in find(letter, other):
        yield other, f"'{other}' contradicts '{wanted}'"


def _score_facts(letter: Letter) -> Iterator[Flaw]:
    yield from _used(letter)
    yield from _score_in_range(letter)


def _from_report(case: Case) -> bool:
    return adverse(case) and case.report_used


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


def _other_source(case: Case) -> bool:
    return adverse(case) and case.config.outside_source


_FORMS = "12 CFR 1002 appendix C"
_PAGE = "12 CFR 1022.74(e)(1)(ii)"
_NO_SCORE = "12 CFR 1022.74(f)(1)(iii)"
# Blocks of which a case has one or the other
ALTERNATIVES = frozenset({"score_used", "own_score_used", "key_factors", "no_key_factors"})

FAIR_CREDIT_REPORTING: tuple[Rule, ...] = (
    Rule("F1", "15 USC 1681m(a)(1)", "That a consumer report was used.", "report_used", _from_report),
    Rule(
        "F2",
        "15 USC 1681m(a)(2)(A)",
        "The score, its range, date and provider.",
        "score",
        _scored,
        _score_facts,
    ),
    Rule("F2", f"{_FORMS}, paragraph 2", "Whom to ask about the score.", "score_contact", _score_contact),
    Rule(
        "F3",
        "15 USC 1681m(a)(2)(B), 1681g(f)(1)(C), (f)(9)",
        "At most four key factors, or five with inquiries, in order.",
        "",
        _scored,
        _factors,
    ),
    Rule(
        "F4",
        "15 USC 1681m(a)(3)(A)",
        "Name, address and telephone number of the agency.",
        "bureau",
        _from_report,
        _toll_free,
    ),
    Rule("F5", "15 USC 1681m(a)(3)(B)", "That the agency did not decide.", "not_decider", _from_report),
    Rule(
        "F6",
        "15 USC 1681m(a)(4)(A)",
        "A free report within 60 days.",
        "file_disclosure free_report",
        _from_report,
    ),
    Rule("F7", "15 USC 1681m(a)(4)(B)", "The right to dispute.", "dispute", _from_report),
    Rule(
        "F8", "15 USC 1681m(b)", "The right to ask about an outside source.", "outside_source", _other_source
    ),
    Rule("S1", f"{_PAGE}(A)", "What a consumer report is.", "report_meaning", _score_page),
    Rule("S2", f"{_PAGE}(B)", "What a credit score is.", "score_meaning", _score_page),
    Rule("S3", f"{_PAGE}(C)", "What a score can affect.", "score_effect", _score_page),
    Rule(
        "S4",
        f"{_PAGE}(D), (E), (G), (H)",
        "The score, its range, date and provider.",
        "approval_score",
        _score_page,
        _score_in_range,
    ),
    Rule(
        "S5",
        f"{_PAGE}(F)",
        "The distribution in six bars or more.",
        "score_distribution",
        _score_page,
        _enough_bars,
    ),
    Rule("S6", f"{_PAGE}(I)", "To verify and dispute.", "accuracy", _score_page),
    Rule("S7", f"{_PAGE}(J)", "Free annual reports.", "annual_report", _score_page),
    Rule("S8", f"{_PAGE}(K)", "The centralized source.", "central_source", _score_page),
    Rule("S9", f"{_PAGE}(L)", "The Bureau's Web site.", "bureau_site", _score_page),
    Rule("N1", f"{_NO_SCORE}(A)", "What a consumer report contains.", "report_contents", _no_score_page),
    Rule("N2", f"{_NO_SCORE}(B)", "What a credit score is.", "score_meaning", _no_score_page),
    Rule("N3", f"{_NO_SCORE}(C)", "Why scores matter.", "score_importance", _no_score_page),
    Rule("N4", f"{_NO_SCORE}(D)", "What the lack of a score can affect.", "no_score_effect", _no_score_page),
    Rule("N5", f"{_NO_SCORE}(E)", "That there was no score, and from whom.", "no_score", _no_score_page),
    Rule("N6", f"{_NO_SCORE}(F)", "To verify and dispute.", "accuracy", _no_score_page),
    Rule("N7", f"{_NO_SCORE}(G)", "Free annual reports.", "annual_report", _no_score_page),
    Rule("N8", f"{_NO_SCORE}(H)", "The centralized source.", "central_source", _no_score_page),
    Rule("N9", f"{_NO_SCORE}(I)", "The Bureau's Web site.", "bureau_site", _no_score_page),
)
