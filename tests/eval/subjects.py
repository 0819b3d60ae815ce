"""Assessments that anyone can check by eye, and texts about them."""

from dataclasses import replace
from typing import Any

from applicants import applicant, changed

from lendsafe.records import Assessment, Reason

APPLICANT = applicant(
    "A-000017",
    loan_amount=25_000,
    loan_term_months=48,
    loan_purpose="vehicle",
    annual_income=50_000,
    employment_months=8,
    debt_to_income=43.0,
    credit_score=612,
    delinquencies_24m=2,
    collections=0,
    bankruptcies=0,
    inquiries_6m=5,
    oldest_account_months=100,
    open_accounts=7,
    accounts_opened_24m=1,
    revolving_utilization=88.5,
)


def reason(code: str, contribution: float = 0.5) -> Reason:
    return Reason(code=code, contribution=contribution, strength="moderate")


DECLINED = Assessment(
    applicant=APPLICANT,
    decision="declined",
    default_probability=0.4,
    cutoff=0.2,
    reasons=(reason("debt_to_income", 0.9), reason("delinquency", 0.6), reason("inquiries", 0.3)),
    strengths=(reason("credit_history", -0.4),),
)
APPROVED = Assessment(
    applicant=changed(
        APPLICANT, debt_to_income=18.0, delinquencies_24m=0, inquiries_6m=1, employment_months=90
    ),
    decision="approved",
    default_probability=0.05,
    cutoff=0.2,
    reasons=(reason("utilization", 0.4),),
    strengths=(reason("debt_to_income", -0.8), reason("employment_length", -0.5)),
)

# sixty words or more, plain, true of DECLINED
DECLINED_TEXT = (
    "We have read your application with care, and we are unable to approve your request for $25,000. "
    "The main reason is that your debt payments take 43% of your income, which is high. "
    "The second reason is your record of late payments: the report shows 2 late payments. "
    "The third reason is the number of recent credit inquiries, of which there are five. "
    "If a fact in this letter is wrong, please let us know."
)
APPROVED_TEXT = (
    "We have read your application with care, and we have approved your request for $25,000. "
    "What helped most was your low level of debt: your debt payments take 18% of your income. "
    "It also helped that you have been in your present job for a long time, seven years and six months in all. "
    "We thank you for coming to us, and we wish you well with the purchase."
)


def declined(**changes: Any) -> Assessment:
    return replace(DECLINED, **changes)
