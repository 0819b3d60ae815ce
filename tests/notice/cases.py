"""Letters of every kind, from assessments that anyone can check by eye."""

from dataclasses import replace
from datetime import date
from typing import Any

from applicants import applicant

from lendsafe.notice import Contact, Dates, Letter, NoticeConfig, compose, demo_config
from lendsafe.records import Assessment, Explanation, Reason, Style

NARRATIVE = (
    "We looked at your request and at the facts in your application and your credit report. The factor that weighed "
    "most was the share of your income that already goes to debt payments. Next was your payment record: your report "
    "shows late payments in the past two years.\n\n"
    "Your revolving accounts are near their limits, and your report shows several recent inquiries. Each of these "
    "raised the risk that was computed for this loan. The same application can look different later, because these "
    "facts change as debts are paid and as time passes."
)
CONTACT = Contact(name="Maria Álvarez-O'Brien", address=("12 Elm Street, Apt. 4", "Columbus, OH 43004"))
DATES = Dates(received=date(2026, 11, 2), notice=date(2026, 11, 24), score_created=date(2026, 11, 3))
KEY_FACTORS = (
    "Number of accounts with delinquency",
    "Too many accounts recently opened",
    "Too many inquiries",
)
BUREAU_ITEMS: dict[str, Any] = {
    "credit_score": 612,
    "delinquencies_24m": 3,
    "inquiries_6m": 5,
    "revolving_utilization": 88.0,
}


def reason(code: str, contribution: float = 0.5, knockout: bool = False) -> Reason:
    return Reason(code=code, contribution=contribution, strength="strong", knockout=knockout)


def assessment(**changes: Any) -> Assessment:
    items = changes.pop("items", BUREAU_ITEMS)
    person = applicant(
        "LS-000123",
        loan_amount=12_000,
        loan_purpose="debt_consolidation",
        annual_income=41_000,
        debt_to_income=46.5,
        employment_months=14,
        **items,
    )
    values: dict[str, Any] = {
        "applicant": person,
        "decision": "declined",
        "default_probability": 0.4,
        "cutoff": 0.2,
        "reasons": (reason("debt_to_income", 0.9), reason("delinquency", 0.6), reason("utilization", 0.3)),
        "key_factors": KEY_FACTORS if items.get("credit_score") else (),
        "score": 480,
        "risk_model": "test model",
    }
    return Assessment(**(values | changes))


def letter(
    one: Assessment | None = None,
    *,
    config: NoticeConfig | None = None,
    contact: Contact = CONTACT,
    dates: Dates = DATES,
    narrative: str = NARRATIVE,
) -> Letter:
    told = Explanation(
        assessment=one or assessment(), style=Style(), slot_text=narrative, text=narrative, source="template"
    )
    return compose(told, contact, config or demo_config(), dates)


def every_kind() -> dict[str, Letter]:
    """One letter for each path through the composer."""
    plain = demo_config()
    approved = {"decision": "approved", "default_probability": 0.1, "reasons": ()}
    return {
        "denial with score": letter(),
        "denial without score": letter(assessment(items={**BUREAU_ITEMS, "credit_score": None})),
        "denial without report": letter(assessment(items={}, reasons=(reason("debt_to_income"),))),
        "denial without key factors": letter(assessment(key_factors=())),
        "denial, score not disclosed": letter(config=replace(plain, score_disclosed="none")),
        "denial, own score": letter(config=replace(plain, score_disclosed="proprietary")),
        "denial, outside source": letter(config=replace(plain, outside_source=True)),
        "denial by a rule": letter(
            assessment(default_probability=0.1, reasons=(reason("bankruptcy", -0.1, knockout=True),))
        ),
        "counteroffer": letter(assessment(decision="counteroffer", counteroffer_amount=8_000.0)),
        "approved for less": letter(assessment(decision="approved", counteroffer_amount=8_000.0)),
        "incomplete": letter(
            assessment(decision="incomplete", reasons=(), missing=("annual_income", "debt_to_income"))
        ),
        "approval with score": letter(assessment(**approved)),
        "approval without score": letter(
            assessment(items={**BUREAU_ITEMS, "credit_score": None}, **approved)
        ),
        "approval, no disclosure": letter(
            assessment(**approved), config=replace(plain, approval_score_notice=False)
        ),
    }
