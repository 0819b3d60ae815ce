"""Facts that a prompt states line by line, for rows that carry no assessment.

``Credit Score: 612``, ``Debt-to-Income Ratio: 43%``: as the first system wrote its prompts.
"""

import re
from functools import cache

from lendsafe.eval.truth.words import words
from lendsafe.records import Applicant, Assessment, Decision

_LINE = r"^\W*(?:{label})\b[^:=\n]*[:=]\s*\$?\s*(?P<value>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>years?|yrs?)?"


@cache
def _fields() -> dict[str, re.Pattern[str]]:
    return {
        one.name: re.compile(_LINE.format(label=one.label), re.IGNORECASE | re.MULTILINE)
        for one in words().facts.values()
        if one.label
    }


_DECISIONS: dict[str, Decision] = {
    "approved": "approved", "approve": "approved", "accepted": "approved",
    "declined": "declined", "rejected": "declined", "denied": "declined", "reject": "declined",
}  # fmt: skip


def stated(prompt: str, decision: str | None, name: str) -> Assessment | None:
    """An assessment that holds what a prompt states: decision and facts, and no reasons.

    Args:
        prompt: Text with one fact a line.
        decision: Outcome as the data words it; ``rejected`` is ``declined``.
        name: Identifier of the row.

    Returns:
        None where the decision or the amount is not stated.

    Raises:
        DataError: If a fact is out of its range.
    """
    outcome = _DECISIONS.get((decision or "").strip().lower())
    found = {key: match for key, pattern in _fields().items() if (match := pattern.search(prompt))}
    if outcome is None or "loan_amount" not in found:
        return None
    values = {key: _value(key, match) for key, match in found.items()}
    return Assessment(applicant=Applicant(name, values), decision=outcome, default_probability=0.0, cutoff=0.0)


def _value(key: str, match: re.Match[str]) -> float | int:
    value = float(match["value"].replace(",", ""))
    unit = words().facts[key].unit
    if match["unit"] and unit == "months":
        value *= 12
    return value if unit in ("money", "percent") else int(value)
