"""Items C1 to C4: Colorado SB 26-189, for adverse decisions about consumers there from January 1, 2027.

Within 30 days of the adverse outcome: the decision and the system's part in it, how to ask for the data used
and their sources, correction, and human review. The Attorney General's rules are pending.
"""

from collections.abc import Callable

from lendsafe.notice.case import Case
from lendsafe.notice.rule import Rule, adverse

_ACT = "Colorado SB 26-189"


def _concerned(case: Case) -> bool:
    return adverse(case) and case.under("US-CO") and not case.grounds.business


def _system(part: str) -> Callable[[Case], bool]:
    return lambda case: _concerned(case) and case.grounds.system == part


COLORADO: tuple[Rule, ...] = (
    *(
        Rule("C1", _ACT, "The automated system's part in the decision.", f"co_system_{part}", _system(part))
        for part in ("decided", "recommended", "none")
    ),
    Rule("C2", _ACT, "How to ask for the data and their sources.", "co_inputs", _concerned),
    Rule("C3", _ACT, "The right to correction.", "co_correction", _concerned),
    Rule("C4", _ACT, "The right to review by a person.", "co_review", _concerned),
)
