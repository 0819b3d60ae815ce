"""Items S, N and P: 12 CFR 1022.72 to 1022.75, credit score disclosures and risk-based pricing notices.

S1 to S9 are Model Form H-4 (1022.74(e)), N1 to N9 Form H-5 (1022.74(f)), P1 to P9 Forms H-1 and H-6
(1022.73(a)(1)), R1 to R9 Forms H-2 and H-7 (1022.73(a)(2)).
"""

from collections.abc import Callable, Iterator

from lendsafe.notice.case import CUTOFF_YEARS, Case, Disclosed, months_after
from lendsafe.notice.fair_credit_reporting import factors_right, score_in_range
from lendsafe.notice.letter import Letter
from lendsafe.notice.rule import Flaw, Rule, find


def _enough_bars(letter: Letter) -> Iterator[Flaw]:
    for name in ("score_distribution", "score_distribution_of"):
        if any(len(block.rows) < 6 for block in find(letter, name)):
            yield name, "fewer than six bars"


def _own_score_alone(letter: Letter) -> Iterator[Flaw]:
    """Each separate notice holds only the score of the consumer whom it goes to (1022.75(c))."""
    case = letter.case
    mine = {str(one.value) for one in case.recipient.scores}
    for name in ("approval_score", "pricing_score", "score"):
        for block in find(letter, name):
            if block.rows and block.rows[0].value not in mine:
                yield name, "the score is not that of the person whom the letter goes to"


def _cutoff_current(letter: Letter) -> Iterator[Flaw]:
    pricing, day = letter.case.config.pricing, letter.case.dates.notice
    if (
        pricing
        and pricing.method == "score_proxy"
        and pricing.cutoff_of
        and day > months_after(pricing.cutoff_of, 12 * CUTOFF_YEARS)
    ):
        yield "", f"the cutoff score is of {pricing.cutoff_of}, older than {CUTOFF_YEARS} years"


def _form(*forms: str) -> Callable[[Case], bool]:
    return lambda case: case.pricing_form in forms


def _there(case: Case) -> list[Disclosed]:
    return [one for one in case.scores if one.score.value is not None]


def _page_of(number: str) -> Callable[[Case], bool]:
    return lambda case: case.pricing_form == "H-4" and (len(_there(case)) == 1) == (number == "one")


def _factors(number: str) -> Callable[[Case], bool]:
    """Whether a pricing notice has key factors: of the only score, of some of several, or none of some."""

    def applies(case: Case) -> bool:
        factors = [bool(one.score.key_factors) for one in _there(case)]
        if number == "none":
            return case.pricing_form in ("H-6", "H-7") and not all(factors)
        return (
            case.pricing_form in ("H-6", "H-7") and any(factors) and (len(factors) == 1) == (number == "one")
        )

    return applies


_PAGE, _NO_SCORE = "12 CFR 1022.74(e)(1)(ii)", "12 CFR 1022.74(f)(1)(iii)"
_TERMS, _REVIEW = "12 CFR 1022.73(a)(1)", "12 CFR 1022.73(a)(2)"

_H4 = (
    ("S1", "(A)", "What a consumer report is.", "report_meaning"),
    ("S2", "(B)", "What a credit score is.", "score_meaning"),
    ("S3", "(C)", "What a score can affect.", "score_effect"),
    ("S6", "(I)", "To verify and dispute.", "accuracy"),
    ("S7", "(J)", "Free annual reports.", "annual_report"),
    ("S8", "(K)", "The centralized source.", "central_source"),
    ("S9", "(L)", "The Bureau's Web site.", "bureau_site"),
)
_H5 = (
    ("N1", "(A)", "What a consumer report contains.", "report_contents"),
    ("N2", "(B)", "What a credit score is.", "score_meaning"),
    ("N3", "(C)", "Why scores matter.", "score_importance"),
    ("N4", "(D)", "What the lack of a score can affect.", "no_score_effect"),
    ("N5", "(E)", "That there was no score, and from whom.", "no_score"),
    ("N6", "(F)", "To verify and dispute.", "accuracy"),
    ("N7", "(G)", "Free annual reports.", "annual_report"),
    ("N8", "(H)", "The centralized source.", "central_source"),
    ("N9", "(I)", "The Bureau's Web site.", "bureau_site"),
)
_H1 = (
    ("P1", "(i)", "What a consumer report includes.", "history_in_report"),
    ("P2", "(ii)", "That terms were set by a report.", "terms_set"),
    ("P3", "(iii)", "That terms may be less favorable.", "terms_less_favorable"),
    ("P4", "(iv)", "To verify and dispute.", "report_rights"),
    ("P5", "(v), (vii)", "Each agency, and how to get the report.", "report_furnisher"),
    ("P6", "(vi)", "A report without charge for 60 days.", "report_without_charge"),
    ("P8", "(viii)", "The Bureau's Web site.", "more_about_reports"),
)
_H2 = (
    ("R1", "(i)", "What a consumer report includes.", "history_in_report"),
    ("R2", "(ii)", "That the account was reviewed with a report.", "account_reviewed"),
    ("R3", "(iii)", "That the rate was increased by it.", "rate_increased"),
    ("R4", "(iv)", "To verify and dispute.", "report_rights"),
    ("R5", "(v), (vii)", "Each agency, and how to get the report.", "report_furnisher"),
    ("R6", "(vi)", "A report without charge for 60 days.", "report_without_charge"),
    ("R8", "(viii)", "The Bureau's Web site.", "more_about_reports"),
)


def _list(where: str, items: tuple[tuple[str, str, str, str], ...], *forms: str) -> Iterator[Rule]:
    for item, part, requirement, blocks in items:
        yield Rule(item, f"{where}{part}", requirement, blocks, _form(*forms))


RISK_BASED_PRICING: tuple[Rule, ...] = (
    *_list(_PAGE, _H4, "H-4"),
    Rule(
        "S4",
        f"{_PAGE}(D), (E), (G), (H)",
        "The score, its range, date and provider.",
        "approval_score",
        _form("H-4"),
        score_in_range,
    ),
    *(
        Rule(
            "S5", f"{_PAGE}(F)", "The distribution in six bars or more.", name, _page_of(number), _enough_bars
        )
        for name, number in (("score_distribution", "one"), ("score_distribution_of", "several"))
    ),
    *_list(_NO_SCORE, _H5, "H-5"),
    *_list(_TERMS, _H1, "H-1", "H-6"),
    *_list(_REVIEW, _H2, "H-2", "H-7"),
    Rule(
        "P9",
        f"{_TERMS}(ix), (2)(ix)",
        "What a score is, and that it was used; the score, its range, date and provider.",
        "terms_score pricing_score",
        _form("H-6", "H-7"),
        score_in_range,
    ),
    *(
        Rule(
            "P9",
            f"{_TERMS}(ix)(D), (2)(ix)(D)",
            "At most four key factors, or five with inquiries, in order.",
            name,
            _factors(number),
            factors_right(name, lambda case: case.scores),
        )
        for name, number in (("pricing_key_factors", "one"), ("pricing_key_factors_of", "several"))
    ),
    Rule(
        "P9",
        f"{_TERMS}(ix)(D), (2)(ix)(D)",
        "That no key factor was named.",
        "no_pricing_key_factors",
        _factors("none"),
    ),
    Rule(
        "P10",
        "12 CFR 1022.72(b)(1)(iii)(A)",
        "A cutoff of the last two years.",
        "",
        _form("H-1", "H-6"),
        _cutoff_current,
    ),
    Rule("P11", "12 CFR 1022.75(c)", "To each consumer the own score alone.", check=_own_score_alone),
)
