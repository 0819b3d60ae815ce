"""Facts that a prompt states line by line, for rows that carry no assessment.

``Credit Score: 612``, ``Debt-to-Income Ratio: 43%``: as the first system wrote its prompts.
"""

import re

from lendsafe.records import Applicant, Assessment, Decision

_LINE = r"^\W*(?:{label})\b[^:=\n]*[:=]\s*\$?\s*(?P<value>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>years?|yrs?)?"
_LABELS = {
    "loan_amount": r"(?:loan |requested )?amount(?: requested)?|loan request",
    "annual_income": r"(?:annual |yearly |gross )?income",
    "employment_months": r"(?:employment|job)(?: length| tenure| history)?|time in (?:present )?job",
    "debt_to_income": r"debt[ -]to[ -]income(?: ratio)?|dti(?: ratio)?",
    "credit_score": r"(?:credit |fico )?score|fico",
    "delinquencies_24m": r"delinquencies|late payments",
    "collections": r"collections",
    "bankruptcies": r"bankruptcies",
    "inquiries_6m": r"(?:credit )?inquiries",
    "oldest_account_months": r"oldest account|credit history(?: length)?",
    "open_accounts": r"open accounts",
    "accounts_opened_24m": r"(?:new accounts|accounts opened)",
    "revolving_utilization": r"(?:revolving |credit )?utili[sz]ation",
}
_FIELDS = {
    name: re.compile(_LINE.format(label=label), re.IGNORECASE | re.MULTILINE)
    for name, label in _LABELS.items()
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
    found = {key: match for key, pattern in _FIELDS.items() if (match := pattern.search(prompt))}
    if outcome is None or "loan_amount" not in found:
        return None
    values = {key: _value(key, match) for key, match in found.items()}
    applicant = Applicant(applicant_id=name, **values)  # type: ignore[arg-type]  # each of its field's type
    return Assessment(applicant=applicant, decision=outcome, default_probability=0.0, cutoff=0.0)


def _value(key: str, match: re.Match[str]) -> float | int:
    value = float(match["value"].replace(",", ""))
    if match["unit"] and key.endswith("_months"):
        value *= 12
    return (
        value
        if key in ("loan_amount", "annual_income", "debt_to_income", "revolving_utilization")
        else int(value)
    )
