"""From an assessment to the grounds of its letter: what the decision rests on, in words ready for a reader."""

from datetime import date

from lendsafe import slots
from lendsafe.errors import DataError
from lendsafe.notice import Consumer, Grounds, NoticeConfig, Offer, PrincipalReason, Score
from lendsafe.notice.grounds import Source, dollars
from lendsafe.pipeline.applications import Application
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant, Assessment
from lendsafe.risk.engine import RiskEngine

BUREAU_SCORE = "credit_score"
REPORT_FIELDS = (
    BUREAU_SCORE,
    "delinquencies_24m",
    "collections",
    "bankruptcies",
    "inquiries_6m",
    "oldest_account_months",
    "open_accounts",
    "accounts_opened_24m",
    "revolving_utilization",
)
# How a notice of incompleteness names what the applicant has to supply (12 CFR 1002.9(c)(2))
INFORMATION = {
    "loan_amount": "The amount of credit that you request",
    "loan_term_months": "The time over which you wish to repay",
    "loan_purpose": "What the loan is for",
    "annual_income": "Your gross yearly income, before taxes",
    "income_verified": "Documents that verify the income you stated",
    "employment_months": "How long you have worked at your present job",
    "debt_to_income": "Your monthly debt payments, with your gross monthly income",
}
_PURPOSES = {
    "other": "",
    "vehicle": " for a vehicle",
    "medical": " for medical expenses",
    "major_purchase": " for a major purchase",
}
# Facts that a reason rests on, where they are others than its slots
_FACTS = {"credit_history": ("oldest_account_months", "open_accounts")}
_OF_REPORT = frozenset(
    ("delinquency", "bankruptcy", "collections", "utilization", "inquiries", "new_accounts", "credit_history")
)
_COUNTED = ("delinquency", "bankruptcy", "collections", "inquiries", "new_accounts")


def grounds(
    assessment: Assessment,
    application: Application,
    lender: NoticeConfig,
    notice_date: date,
    *,
    score_used: bool = False,
) -> Grounds:
    """What the letter about an assessment says.

    Args:
        assessment: The decision.
        application: Whom it is about, and what the bureau sent with its score.
        lender: Which score is disclosed.
        notice_date: Day on which the lender's own score was made, which is that of the decision.
        score_used: Whether the model or the policy looks at the bureau's score.

    Raises:
        DataError: If an applicant cannot supply what is missing, or there is no contact.
    """
    applicant = assessment.applicant
    if application.contact is None:
        raise DataError("a letter needs 'contact', and there is none.")
    if unknown := [name for name in assessment.missing if name not in INFORMATION]:
        raise DataError(f"An applicant cannot supply {', '.join(unknown)}. Known: {', '.join(INFORMATION)}.")
    offer, asked = assessment.counteroffer_amount, applicant.loan_amount
    own = lender.score_disclosed == "proprietary"
    report = report_used(assessment)
    bureaus = tuple(one.name for one in lender.bureaus) or ("consumer reporting agency",)
    person = Consumer(
        contact=application.contact,
        bureaus=bureaus[:1] if report else (),
        scores=_scores(assessment, application, lender, notice_date, used=own or score_used),
    )
    return Grounds(
        application_id=applicant.applicant_id,
        action=assessment.decision,
        credit=credit(applicant),
        consumers=(person,),
        reasons=tuple(
            PrincipalReason(
                statement=catalogue()[one.code].statement,
                sources=_sources(one.code),
                contribution=one.contribution,
                knockout=one.knockout,
                denied=denied(one.code, applicant),
            )
            for one in assessment.reasons
        )
        if assessment.decision != "approved" or (offer is not None and offer < asked)
        else (),
        needed=tuple(INFORMATION[name] for name in assessment.missing),
        offered=Offer(amount=offer, months=applicant.loan_term_months) if offer is not None else None,
        less=offer is not None and offer < asked,
        passed=assessment.default_probability <= assessment.cutoff,
        method=assessment.risk_model,
        score_used=own or score_used,
    )


def looks_at_score(engine: RiskEngine) -> bool:
    """Whether the model or the policy looks at the bureau's score."""
    columns = {one.name for one in engine.features.columns}
    return BUREAU_SCORE in columns or any(rule.field == BUREAU_SCORE for rule in engine.policy.knockouts)


def report_used(assessment: Assessment) -> bool:
    """Whether the decision rests on a consumer report; that there is no file is such information."""
    known = any(getattr(assessment.applicant, name) is not None for name in REPORT_FIELDS)
    return known or any(reason.code == "no_credit_file" for reason in assessment.reasons)


def credit(applicant: Applicant) -> str:
    """The credit that was asked for, in words: amount, time, purpose."""
    ending = _PURPOSES.get(applicant.loan_purpose, f" for {applicant.loan_purpose.replace('_', ' ')}")
    months = slots.FORMATS["loan_term_months"](applicant.loan_term_months)
    return f"a loan of {dollars(applicant.loan_amount)} over {months}{ending}"


def denied(code: str, applicant: Applicant) -> str:
    """What in the facts denies a reason; empty if they bear it out."""
    if code == "unverified_income":
        return "the income was verified" if applicant.income_verified else ""
    if code == "no_credit_file":
        known = [name for name in REPORT_FIELDS if getattr(applicant, name) is not None]
        return f"'{known[0]}' was reported" if known else ""
    names = _FACTS.get(code, catalogue()[code].slots)
    values = [getattr(applicant, name) for name in names]
    unknown = [name for name, value in zip(names, values, strict=True) if value is None]
    if len(unknown) == len(names) or (unknown and code not in _FACTS):
        return f"'{unknown[0]}' is not known"
    return f"'{names[0]}' is 0" if code in _COUNTED and values == [0] else ""


def _sources(code: str) -> tuple[Source, ...]:
    if code in _OF_REPORT or code == "no_credit_file":
        return ("consumer_report",)
    return ("third_party", "applicant") if code == "unverified_income" else ("applicant",)


def _scores(
    assessment: Assessment, application: Application, lender: NoticeConfig, notice_date: date, *, used: bool
) -> tuple[Score, ...]:
    if not lender.scores:
        return ()
    provider = lender.scores[0].provider
    if lender.score_disclosed == "proprietary":
        return (
            Score(
                value=assessment.score,
                provider=provider,
                created=application.score_created or notice_date,
                key_factors=assessment.key_factors,
                own=True,
                report_only=False,
            ),
        )
    value = assessment.applicant.credit_score
    if value is None and not used:
        return ()
    factors = assessment.key_factors or application.key_factors
    return (Score(value=value, provider=provider, created=application.score_created, key_factors=factors),)
