"""Items F1 to F8: what the Fair Credit Reporting Act asks for when action is adverse."""

from collections.abc import Callable, Iterator

from lendsafe.notice import key_factors
from lendsafe.notice.case import Case, Disclosed
from lendsafe.notice.config import is_toll_free
from lendsafe.notice.letter import Letter
from lendsafe.notice.rule import Flaw, Rule, adverse


def score_in_range(letter: Letter) -> Iterator[Flaw]:
    """A score outside the range that its provider's scale has."""
    for score, source in letter.case.scores:
        if score.value is not None and not source.low <= score.value <= source.high:
            yield "score", f"the score is outside its range, {source.low} to {source.high}"


def factors_right(
    block: str, scores: Callable[[Case], tuple[Disclosed, ...]]
) -> Callable[[Letter], Iterator[Flaw]]:
    """How many, no two the same, in the provider's or reviewed words; for a score of the lender's, how many."""

    def check(letter: Letter) -> Iterator[Flaw]:
        for score, source in scores(letter.case):
            factors = score.key_factors or ()
            listed = factors if score.own else source.key_factors
            for problem in key_factors.problems(factors, listed):
                yield block, problem

    return check


def _toll_free(letter: Letter) -> Iterator[Flaw]:
    for bureau in letter.case.bureaus:
        if bureau.nationwide and not is_toll_free(bureau.phone):
            yield "bureau", "a nationwide agency's telephone number is toll-free"


def _every_agency(letter: Letter) -> Iterator[Flaw]:
    named = {block.items[0] for block in letter.blocks if block.id == "bureau" and block.items}
    for name in letter.case.recipient.bureaus:
        if name not in named:
            yield "bureau", "an agency whose report was used is not named"
    yield from _toll_free(letter)


def _nothing_untrue_of_scores(letter: Letter) -> Iterator[Flaw]:
    """No score is said to have been used that was not; none of another person."""
    used = letter.case.grounds.score_used
    for block in letter.blocks:
        said = block.id in ("score_used", "scores_used", "own_score_used", "own_score_mixed", "score")
        if said and not used:
            yield block.id, "a score is said to have been used, and none was"


def _from_report(case: Case) -> bool:
    return adverse(case) and bool(case.recipient.bureaus)


def _from_one(case: Case) -> bool:
    return _from_report(case) and len(case.recipient.bureaus) == 1


def _from_several(case: Case) -> bool:
    return _from_report(case) and len(case.recipient.bureaus) > 1


def _values(case: Case) -> list[Disclosed]:
    if not _from_report(case) or not case.grounds.score_used:
        return []
    return [one for one in case.scores if one.score.value is not None]


def _scored(case: Case) -> bool:
    return bool(_values(case))


def _bureaus_own(number: str) -> Callable[[Case], bool]:
    def applies(case: Case) -> bool:
        found = [one for one in _values(case) if not one.score.own]
        return len(found) == 1 if number == "one" else len(found) > 1

    return applies


def _creditors(report_only: bool) -> Callable[[Case], bool]:
    return lambda case: any(one.score.own and one.score.report_only == report_only for one in _values(case))


def _with_factors(case: Case) -> bool:
    return len(_values(case)) == 1 and bool(_values(case)[0].score.key_factors)


def _with_factors_of_each(case: Case) -> bool:
    return len(_values(case)) > 1 and any(one.score.key_factors for one in _values(case))


def _without_factors(case: Case) -> bool:
    return any(not one.score.key_factors for one in _values(case))


def _contact_known(case: Case) -> bool:
    return any(one.source.address and one.source.phone for one in _values(case))


def _absent(case: Case) -> bool:
    used = _from_report(case) and case.grounds.score_used
    return used and any(one.score.value is None for one in case.scores)


def _other_source(case: Case) -> bool:
    reasons = (source for one in case.grounds.reasons for source in one.sources)
    told = case.grounds.other_sources or case.config.outside_source
    return adverse(case) and ("third_party" in reasons or told)


_FORMS = "12 CFR 1002 appendix C"
_A2 = "15 USC 1681m(a)(2)"
_USED = "That a score was used, and what a score is."


def _one_or_several(item: str, citation: str, requirement: str, one: str, several: str) -> tuple[Rule, Rule]:
    return (
        Rule(item, citation, requirement, one, _from_one),
        Rule(item, citation, requirement, several, _from_several),
    )


FAIR_CREDIT_REPORTING: tuple[Rule, ...] = (
    *_one_or_several(
        "F1", "15 USC 1681m(a)(1)", "That a consumer report was used.", "report_used", "reports_used"
    ),
    Rule("F2", f"{_A2}(A)", "The score, its range, date and provider.", "score", _scored, score_in_range),
    Rule("F2", _A2, _USED, "score_used", _bureaus_own("one")),
    Rule("F2", _A2, _USED, "scores_used", _bureaus_own("several")),
    Rule("F2", _A2, _USED, "own_score_used", _creditors(report_only=True)),
    Rule("F2", _A2, _USED, "own_score_mixed", _creditors(report_only=False)),
    Rule("F2", _A2, "A score that was wanted and not there is not passed over.", "score_absent", _absent),
    Rule("F2", _A2, "No score is said to have been used that was not.", check=_nothing_untrue_of_scores),
    Rule("F2", f"{_FORMS}, paragraph 2", "Whom to ask about the score.", "score_contact", _contact_known),
    Rule(
        "F3",
        f"{_A2}(B), 1681g(f)(1)(C), (f)(9)",
        "At most four key factors, or five with inquiries, in order.",
        "key_factors",
        _with_factors,
        factors_right("key_factors", lambda case: tuple(_values(case))),
    ),
    Rule(
        "F3",
        f"{_A2}(B), 1681g(f)(1)(C), (f)(9)",
        "The key factors of each score.",
        "key_factors_of",
        _with_factors_of_each,
        factors_right("key_factors_of", lambda case: tuple(_values(case))),
    ),
    Rule("F3", f"{_A2}(B)", "That no key factor was named.", "no_key_factors", _without_factors),
    Rule(
        "F4",
        "15 USC 1681m(a)(3)(A)",
        "Name, address and telephone number of each agency.",
        "bureau",
        _from_report,
        _every_agency,
    ),
    *_one_or_several(
        "F5", "15 USC 1681m(a)(3)(B)", "That the agency did not decide.", "not_decider", "not_deciders"
    ),
    *_one_or_several(
        "F6",
        "15 USC 1681m(a)(4)(A)",
        "A free report within 60 days.",
        "file_disclosure free_report",
        "file_disclosures free_reports",
    ),
    *_one_or_several("F7", "15 USC 1681m(a)(4)(B)", "The right to dispute.", "dispute", "disputes"),
    Rule(
        "F8", "15 USC 1681m(b)", "The right to ask about an outside source.", "outside_source", _other_source
    ),
)
