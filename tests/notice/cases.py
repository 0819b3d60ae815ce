"""Letters of every kind, from grounds that anyone can check by eye."""

from dataclasses import replace
from datetime import date
from typing import Any

from lendsafe.notice import (
    Consent,
    Consumer,
    Contact,
    Dates,
    Grounds,
    Letter,
    NoticeConfig,
    Offer,
    PrincipalReason,
    Score,
    Terms,
    compose,
    demo_config,
)
from lendsafe.notice.config import Party, Pricing, ScoreSource, Translation
from lendsafe.notice.templates import templates

NARRATIVE = (
    "We looked at your request and at the facts in your application and your credit report. The factor that weighed "
    "most was the share of your income that already goes to debt payments. Next was your payment record: your report "
    "shows late payments in the past two years.\n\n"
    "Your revolving accounts are near their limits, and your report shows several recent inquiries. Each of these "
    "raised the risk that was computed for this loan. The same application can look different later, because these "
    "facts change as debts are paid and as time passes."
)
CONTACT = Contact(name="Maria Álvarez-O'Brien", address=("12 Elm Street, Apt. 4", "Columbus, OH 43004"))
PARTNER = Contact(name="Jordan Sample", address=("12 Elm Street, Apt. 4", "Columbus, OH 43004"))
DENVER = Contact(name="Maria Álvarez-O'Brien", address=("12 Elm Street", "Denver, CO 80202"))
BERLIN = Contact(name="Maria Álvarez-O'Brien", address=("Ulmenstraße 12", "10115 Berlin"))
CONSENT = Consent(given=date(2026, 10, 1), statement="E-SIGN statement 3", demonstrated="link confirmed")
DATES = Dates(received=date(2026, 11, 2), notice=date(2026, 11, 24))
NEXT_YEAR = Dates(received=date(2027, 1, 11), notice=date(2027, 1, 25))
SCORED = date(2026, 11, 3)
AGENCY = "Specimen Consumer Reporting Agency"
OTHER = "Second Specimen Agency"
KEY_FACTORS = (
    "Number of accounts with delinquency",
    "Too many accounts recently opened",
    "Too many inquiries",
)
SCORE = Score(value=612, provider=AGENCY, created=SCORED, key_factors=KEY_FACTORS)
OTHER_SCORE = Score(
    value=702, provider=OTHER, created=SCORED, key_factors=("Amount owed on revolving accounts",)
)
OWN_SCORE = Score(
    value=480, provider=AGENCY, created=SCORED, key_factors=KEY_FACTORS, own=True, report_only=False
)
INCOME, DEBTS = (
    "Your gross yearly income, before taxes",
    "Your monthly debt payments, with your gross monthly income",
)


def reason(statement: str, contribution: float = 0.5, **more: Any) -> PrincipalReason:
    return PrincipalReason(
        statement=statement, contribution=contribution, sources=("consumer_report",), **more
    )


REASONS = (
    PrincipalReason(
        statement="Excessive obligations in relation to income", contribution=0.9, sources=("applicant",)
    ),
    reason("Delinquent past or present credit obligations with others", 0.6),
    reason("Proportion of revolving balances to revolving credit limits", 0.3),
)


def consumer(**changes: Any) -> Consumer:
    """A person about whom one agency sent a report and a score."""
    return Consumer(**({"contact": CONTACT, "bureaus": (AGENCY,), "scores": (SCORE,)} | changes))


PERSON = consumer()


def grounds(**changes: Any) -> Grounds:
    """A denial in which the score of the agency was used."""
    values: dict[str, Any] = {
        "application_id": "LS-000123",
        "action": "declined",
        "credit": "a loan of $12,000 over 36 months for debt consolidation",
        "consumers": (PERSON,),
        "reasons": REASONS,
        "method": "test model",
        "score_used": True,
    }
    return Grounds(**(values | changes))


def letter(
    one: Grounds | None = None,
    *,
    config: NoticeConfig | None = None,
    dates: Dates = DATES,
    narrative: str = NARRATIVE,
    recipient: Consumer | None = None,
    contact: Contact | None = None,
) -> Letter:
    found = one or grounds()
    if contact:
        found = replace(found, consumers=(replace(found.consumers[0], contact=contact), *found.consumers[1:]))
    return compose(found, narrative, config or demo_config(), dates, recipient)


def with_items(factors: tuple[str, ...] | None) -> Grounds:
    """The denial with other key factors."""
    return grounds(consumers=(consumer(scores=(replace(SCORE, key_factors=factors),)),))


def two_agencies() -> NoticeConfig:
    """The demonstration's lender with a second agency, whose score is on a scale of its own."""
    plain = demo_config()
    more = Party(
        name=OTHER, address=("P.O. Box 001", "Anytown, GA 00000"), phone="(800) 555-0122", nationwide=True
    )
    bars = tuple(
        replace(bar, low=250 + 80 * n, high=329 + 80 * n)
        for n, bar in enumerate(plain.scores[0].distribution)
    )
    scale = ScoreSource(
        low=250, high=900, provider=OTHER, address=more.address, phone=more.phone, distribution=bars
    )
    return replace(plain, bureaus=(*plain.bureaus, more), scores=(*plain.scores, scale))


def in_german() -> NoticeConfig:
    """A second language, as a lender would supply it; each sentence is marked, and keeps its slots."""
    texts = {name: f"Auf Deutsch: {one.text}" for name, one in templates().items() if one.text}
    headings = (
        *("Notice of Action Taken and Statement of Reasons", "Principal reasons for credit denial"),
        *(
            "Use of information from a consumer report",
            "Information about your credit score",
            "Questions",
            "Notice",
        ),
    )
    return replace(
        demo_config(),
        translation=Translation(
            language="de",
            title="Auf Deutsch",
            texts=texts,
            sha256={name: one.sha256 for name, one in templates().items()},
            phrases={
                **{text: f"Deutsch: {text}" for text in headings},
                **{one.statement: f"Grund: {one.statement}" for one in REASONS},
                "Received": "Eingegangen",
            },
        ),
    )


def every_kind() -> dict[str, Letter]:
    """One letter for each path through the composer."""
    plain = demo_config()
    approved: dict[str, Any] = {"action": "approved", "reasons": (), "score_used": False}
    no_score = consumer(scores=(replace(SCORE, value=None, created=None, key_factors=None),))
    priced = replace(plain, approval_score_notice=False)
    direct = replace(priced, pricing=Pricing(method="direct"))
    account: dict[str, Any] = {
        "application_id": "AC-17",
        "credit": "your credit card account",
        "change": "The credit limit was lowered from $5,000 to $2,000.",
    }
    asked = replace(DATES, denied=date(2026, 11, 4), requested=date(2026, 11, 20))
    partner = consumer(contact=PARTNER, role="joint", scores=(replace(SCORE, value=688),))
    cosigner = consumer(contact=PARTNER, role="cosigner", scores=(replace(SCORE, value=731),))
    offer = Offer(amount=8_000, months=36, annual_rate=9.9, payment=257.76)
    european = replace(
        plain, jurisdictions=("EU-CCD",), agency=None, score_disclosed="none", approval_score_notice=False
    )
    colorado = replace(plain, jurisdictions=("US", "US-CO"))
    return {
        "denial with score": letter(),
        "denial, score not used": letter(grounds(score_used=False)),
        "denial, no score to be had": letter(grounds(consumers=(no_score,))),
        "denial without report": letter(
            grounds(consumers=(consumer(bureaus=(), scores=()),), reasons=REASONS[:1], score_used=False)
        ),
        "denial without key factors": letter(with_items(())),
        "denial, two agencies": letter(
            grounds(consumers=(consumer(bureaus=(AGENCY, OTHER), scores=(SCORE, OTHER_SCORE)),)),
            config=two_agencies(),
        ),
        "denial, own score": letter(
            grounds(consumers=(consumer(scores=(replace(OWN_SCORE, report_only=True),)),)),
            config=replace(plain, score_disclosed="proprietary"),
        ),
        "denial, own score of more than the report": letter(
            grounds(consumers=(consumer(scores=(OWN_SCORE,)),)),
            config=replace(plain, score_disclosed="proprietary"),
        ),
        "denial, outside source": letter(
            grounds(reasons=(replace(REASONS[0], sources=("third_party",)), *REASONS[1:]))
        ),
        "denial by a rule": letter(
            grounds(passed=True, reasons=(reason("Bankruptcy", -0.1, knockout=True),))
        ),
        "denial, reasons on request": letter(config=replace(plain, reasons="on_request")),
        "denial in two languages": letter(config=in_german(), narrative=""),
        "denial in Colorado": letter(
            grounds(consumers=(consumer(contact=DENVER),)), config=colorado, dates=NEXT_YEAR
        ),
        "denial in Colorado, by a person": letter(
            grounds(consumers=(consumer(contact=DENVER),), system="recommended"),
            config=colorado,
            dates=NEXT_YEAR,
        ),
        "denial in Colorado, without a system": letter(
            grounds(consumers=(consumer(contact=DENVER),), system="none"), config=colorado, dates=NEXT_YEAR
        ),
        "denial in the European Union": letter(
            grounds(consumers=(consumer(contact=BERLIN),), score_used=False), config=european
        ),
        "denial in the European Union, by a person": letter(
            grounds(consumers=(consumer(contact=BERLIN),), score_used=False, system="recommended"),
            config=european,
        ),
        "denial of business credit": letter(
            grounds(business="small"), config=replace(plain, retention_months=12)
        ),
        "right of a business to reasons": letter(
            grounds(action="right", business="small", reasons=(), score_used=False), narrative=""
        ),
        "answer to a request for reasons": letter(grounds(action="reasons"), dates=asked),
        "joint applicant": letter(grounds(consumers=(PERSON, partner)), recipient=partner),
        "account": letter(grounds(action="account", **account)),
        "account, reasons on request": letter(
            grounds(action="account", **account), config=replace(plain, reasons="on_request")
        ),
        "account review": letter(
            grounds(action="account_review", reasons=(), score_used=False, **account),
            config=priced,
            dates=replace(DATES, acted=date(2026, 11, 20)),
        ),
        "account review with score": letter(
            grounds(
                action="account_review",
                reasons=(),
                score_used=False,
                terms=Terms(score_used=True),
                **account,
            ),
            config=priced,
            dates=replace(DATES, acted=date(2026, 11, 20)),
        ),
        "approval on less favorable terms, two scores": letter(
            grounds(
                consumers=(consumer(bureaus=(AGENCY, OTHER), scores=(SCORE, OTHER_SCORE)),),
                terms=Terms(less_favorable=True, score_used=True),
                **approved,
            ),
            config=replace(two_agencies(), approval_score_notice=False, pricing=Pricing(method="direct")),
        ),
        "counteroffer": letter(grounds(action="counteroffer", less=True, offered=offer)),
        "approved for less": letter(grounds(action="approved", less=True, offered=Offer(amount=8_000))),
        "incomplete": letter(grounds(action="incomplete", reasons=(), needed=(INCOME, DEBTS))),
        "approval with score": letter(grounds(**approved)),
        "approval, two scores": letter(
            grounds(consumers=(consumer(bureaus=(AGENCY, OTHER), scores=(SCORE, OTHER_SCORE)),), **approved),
            config=two_agencies(),
        ),
        "approval without score": letter(grounds(**(approved | {"consumers": (no_score,)}))),
        "approval, no disclosure": letter(grounds(**approved), config=priced),
        "approval for a co-signer": letter(
            grounds(**(approved | {"consumers": (PERSON, cosigner)})), recipient=cosigner
        ),
        "approval on less favorable terms": letter(
            grounds(terms=Terms(less_favorable=True), **approved), config=direct
        ),
        "approval on less favorable terms by score": letter(
            grounds(terms=Terms(less_favorable=True, score_used=True), **approved), config=direct
        ),
        "approval, no key factor": letter(
            grounds(
                consumers=(consumer(scores=(replace(SCORE, key_factors=()),)),),
                terms=Terms(less_favorable=True, score_used=True),
                **approved,
            ),
            config=direct,
        ),
        "electronic": letter(
            contact=replace(
                CONTACT, delivery="electronic", esign_consent=True, consent=CONSENT, email="m@example.org"
            )
        ),
    }
