"""Facts as named slots: ``{debt_to_income}`` in a narrative, ``38.2%`` when rendered.

The language model writes the name, never the figure; each fact is formatted here, once.
"""

import re
from collections.abc import Callable
from typing import Any

from lendsafe.errors import DataError
from lendsafe.records import Applicant, Assessment

SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def facts(assessment: Assessment) -> dict[str, str]:
    """Every slot that has a value for this assessment, formatted as a reader sees it.

    A count carries its noun (``1 inquiry``, ``5 inquiries``), so that a sentence around a
    slot is right for every value.
    """
    applicant = assessment.applicant
    values = {name: getattr(applicant, name) for name in FORMATS if hasattr(applicant, name)}
    values["counteroffer_amount"] = assessment.counteroffer_amount
    return {name: FORMATS[name](value) for name, value in values.items() if value is not None}


def names(text: str) -> list[str]:
    """Slots in ``text``, in order, with repetitions."""
    return SLOT.findall(text)


def render(text: str, values: dict[str, str]) -> str:
    """Fill every slot of ``text``.

    Raises:
        DataError: If a slot has no value.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise DataError(f"Unknown slot '{match[0]}'. Known: {', '.join(sorted(values))}.")
        return values[match[1]]

    return SLOT.sub(fill, text)


def _dollars(value: float) -> str:
    return f"${value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") + "%"


def _count(one: str, many: str) -> Callable[[int], str]:
    return lambda value: f"{value} {one if value == 1 else many}"


def _duration(months: int) -> str:
    years, rest = divmod(months, 12)
    if years < 2:
        return _count("month", "months")(months)
    return f"{years} years" + (f" and {_count('month', 'months')(rest)}" if rest else "")


FORMATS: dict[str, Callable[[Any], str]] = {
    "loan_amount": _dollars,
    "loan_term_months": _count("month", "months"),
    "annual_income": _dollars,
    "employment_months": _duration,
    "debt_to_income": _percent,
    "credit_score": str,
    "delinquencies_24m": _count("late payment", "late payments"),
    "collections": _count("collection or judgment", "collections or judgments"),
    "bankruptcies": _count("bankruptcy", "bankruptcies"),
    "inquiries_6m": _count("inquiry", "inquiries"),
    "oldest_account_months": _duration,
    "open_accounts": _count("open account", "open accounts"),
    "accounts_opened_24m": _count("new account", "new accounts"),
    "revolving_utilization": _percent,
    "counteroffer_amount": _dollars,
}

assert set(FORMATS) - {"counteroffer_amount"} <= set(Applicant.__dataclass_fields__)
