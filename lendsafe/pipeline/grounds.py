"""From an assessment to the grounds of its letter: what the decision rests on, in words ready for a reader."""

from datetime import date

from lendsafe import slots
from lendsafe.errors import DataError
from lendsafe.eval.truth.words import speaking_of, words
from lendsafe.notice import Consumer, Grounds, NoticeConfig, Offer, PrincipalReason, Score
from lendsafe.pipeline.applications import Application
from lendsafe.records import Applicant, Assessment
from lendsafe.template import needed


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
        DataError: If there is no contact.
    """
    applicant = assessment.applicant
    product = applicant.product
    if application.contact is None:
        raise DataError("a letter needs 'contact', and there is none.")
    offer, asked = assessment.counteroffer_amount, applicant.amount or 0.0
    own = lender.score_disclosed == "proprietary"
    bureaus = tuple(one.name for one in lender.bureaus) or ("consumer reporting agency",)
    person = Consumer(
        contact=application.contact,
        bureaus=bureaus[:1] if report_used(assessment) else (),
        scores=_scores(assessment, application, lender, notice_date, used=own or score_used),
    )
    with speaking_of(product):
        reasons = tuple(
            PrincipalReason(
                statement=product.reasons[one.code].statement,
                sources=tuple(sorted(product.origins(one.code))),
                contribution=one.contribution,
                knockout=one.knockout,
                denied=words().denied(one.code, "adverse", assessment),
            )
            for one in assessment.reasons
        )
    term = applicant.values.get(product.request.term)
    return Grounds(
        application_id=applicant.applicant_id,
        action=assessment.decision,
        credit=credit(assessment),
        consumers=(person,),
        reasons=reasons if assessment.decision != "approved" or (offer is not None and offer < asked) else (),
        needed=tuple(needed(assessment)),
        offered=Offer(amount=offer, months=int(term) if isinstance(term, int | float) else None)
        if offer is not None
        else None,
        less=offer is not None and offer < asked,
        passed=assessment.default_probability <= assessment.cutoff,
        method=assessment.risk_model,
        score_used=own or score_used,
    )


def report_used(assessment: Assessment) -> bool:
    """Whether the decision rests on a consumer report; that there is no file is such information."""
    applicant = assessment.applicant
    product = applicant.product
    known = any(product.fields[name].origin == "consumer_report" for name in applicant.given)
    return known or any("consumer_report" in product.origins(one.code) for one in assessment.reasons)


def credit(assessment: Assessment) -> str:
    """The credit that was asked for, in words: amount, time, purpose."""
    applicant, facts = assessment.applicant, slots.facts(assessment)
    request = applicant.product.request
    amount = f"a loan of {facts[request.amount]}" if request.amount in facts else "a loan"
    term = f" over {facts[request.term]}" if request.term in facts else ""
    return f"{amount}{term} {applicant.purpose}".rstrip()


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
    value = _obtained(assessment.applicant)
    if value is None and not used:
        return ()
    factors = assessment.key_factors or application.key_factors
    return (Score(value=value, provider=provider, created=application.score_created, key_factors=factors),)


def _obtained(applicant: Applicant) -> int | None:
    """The credit score that was obtained about an applicant, if there is one."""
    value = applicant.values.get(applicant.product.score.field)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
