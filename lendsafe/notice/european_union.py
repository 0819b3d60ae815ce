"""Items E1 to E4: Directive (EU) 2023/2225 on consumer credit, Articles 18(8), 18(9) and 19, from 20 November 2026."""

from collections.abc import Callable, Iterator

from lendsafe.notice.case import Case
from lendsafe.notice.letter import Letter
from lendsafe.notice.rule import Flaw, Rule, find

_DIRECTIVE = "Directive (EU) 2023/2225, Article"
_RIGHTS = 3  # Article 18(8)(a) to (c)


def _refused(case: Case) -> bool:
    consumer = not case.grounds.business
    return case.kind in ("denial", "counteroffer", "account") and case.under("EU-CCD") and consumer


def _system(part: str) -> Callable[[Case], bool]:
    return lambda case: _refused(case) and case.grounds.system == part


def _automated(case: Case) -> bool:
    return _refused(case) and case.grounds.system in ("decided", "recommended")


def _database(case: Case) -> bool:
    return _refused(case) and bool(case.recipient.bureaus)


def _three_rights(letter: Letter) -> Iterator[Flaw]:
    for block in find(letter, "eu_intervention"):
        if len(block.items) != _RIGHTS:
            yield "eu_intervention", "explanation, own point of view and review are three rights"


EUROPEAN_UNION: tuple[Rule, ...] = (
    *(
        Rule(
            "E1", f"{_DIRECTIVE} 18(9)", "That processing was automated.", f"eu_system_{part}", _system(part)
        )
        for part in ("decided", "recommended")
    ),
    Rule("E2", f"{_DIRECTIVE} 18(8)", "Human intervention.", "eu_intervention", _automated, _three_rights),
    Rule("E3", f"{_DIRECTIVE} 18(9)", "How to ask for it and contest.", "eu_contact", _automated),
    Rule("E4", f"{_DIRECTIVE} 19", "The database that was consulted.", "eu_database", _database),
)
