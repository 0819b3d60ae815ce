"""What a letter says of a decision: all that this room is told, in words ready for a reader.

Whoever decided fills it in. Nothing here knows a field of an application, a model or a policy.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from lendsafe.errors import DataError
from lendsafe.notice.contact import Contact

Action = Literal[
    "approved", "declined", "counteroffer", "incomplete", "account", "account_review", "reasons", "right"
]
Source = Literal["consumer_report", "third_party", "applicant", "own_records"]
Role = Literal["primary", "joint", "cosigner"]

_ROUNDING = 0.005  # part of a payment by which lenders' roundings differ


class Row(NamedTuple):
    """One line of a table: what, and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalReason:
    """One reason for adverse action, as the letter words it.

    Attributes:
        statement: The reason (12 CFR 1002.9(b)(2)).
        sources: Where the facts come from that it rests on.
        contribution: How much it weighed against the applicant, in log-odds of default.
        knockout: Whether a rule of the policy asked for it alone (comment 9(b)(2)-8).
        denied: What in the facts denies it, such as ``not reported``; empty if they bear it out.
    """

    statement: str
    sources: tuple[Source, ...] = ("applicant",)
    contribution: float = 0.0
    knockout: bool = False
    denied: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One credit score of one consumer.

    Attributes:
        value: The score; None if there was none to be had.
        provider: Who provided it: the ``provider`` of a ``[score]`` in the lender's file.
        created: Day on which it was created.
        key_factors: What most hurt it, in order (15 USC 1681g(f)(1)(C)); None if the provider did not say.
        own: Whether the lender computed it.
        report_only: Whether it reflects information of a consumer report and nothing else.
    """

    value: int | None
    provider: str
    created: date | None = None
    key_factors: tuple[str, ...] | None = None
    own: bool = False
    report_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One person of an application.

    Attributes:
        contact: Whom to write to.
        role: Primary applicant, joint applicant, or co-signer (guarantor, surety).
        bureaus: Consumer reporting agencies whose report about this person was used: names of ``[bureau]``
            tables in the lender's file.
        scores: Scores of this person that were obtained.
    """

    contact: Contact
    role: Role = "primary"
    bureaus: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Terms on which credit is offered.

    Attributes:
        amount: In USD.
        months: Time to repay.
        annual_rate: Annual percentage rate, in percent.
        payment: Monthly payment, in USD.

    Raises:
        DataError: If a term is not positive, or the payment is not that of amount, time and rate.
    """

    amount: float
    months: int | None = None
    annual_rate: float | None = None
    payment: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("amount", self.amount), ("months", self.months), ("payment", self.payment)):
            if value is not None and not 0 < value < 1e12:
                raise DataError(f"The offer's '{name}' is {value}; expected more than nothing.")
        if self.annual_rate is not None and not 0 <= self.annual_rate < 1_000:
            raise DataError(f"The offer's 'annual_rate' is {self.annual_rate}; expected percent a year.")
        due = self._level_payment()
        if due is not None and self.payment is not None and abs(self.payment - due) > _ROUNDING * due + 0.01:
            raise DataError(
                f"The offer's 'payment' is {self.payment:.2f}; amount, time and rate give {due:.2f}."
            )

    @property
    def rows(self) -> tuple[Row, ...]:
        """The terms as a letter sets them."""
        terms = (
            ("Amount", dollars(self.amount)),
            ("Time to repay", f"{self.months} month{'s' * (self.months != 1)}" if self.months else ""),
            ("Annual percentage rate", "" if self.annual_rate is None else f"{self.annual_rate:g}%"),
            ("Monthly payment", dollars(self.payment) if self.payment else ""),
        )
        return tuple(Row(label, value) for label, value in terms if value)

    def _level_payment(self) -> float | None:
        """Payment of an annuity, p = a r / (1 - (1 + r)^-n), r the monthly rate."""
        if self.months is None or self.annual_rate is None:
            return None
        rate = self.annual_rate / 1_200
        return (
            self.amount / self.months if not rate else self.amount * rate / (1 - (1 + rate) ** -self.months)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the terms of credit that was granted were set (12 CFR 1022.72).

    Attributes:
        score_used: Whether a credit score was used in setting them.
        tier: Pricing tier, 1 the lowest-priced, where the lender prices by tiers.
        less_favorable: Whether they are materially less favorable than the most favorable terms that a
            substantial proportion of consumers get, where the lender compares directly.
    """

    score_used: bool = False
    tier: int | None = None
    less_favorable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """A decision, what it rests on, and whom it is about.

    Attributes:
        application_id: Opaque identifier.
        action: What is said to the applicant: a decision on an application; ``account``, adverse action on
            an existing account; ``account_review``, a rate raised for a whole class of accounts after a
            review; ``reasons``, the answer to a request for reasons; ``right``, the notice of that right
            given to a business at the time of application.
        credit: The credit or account in words: ``a loan of $12,000 over 36 months``.
        consumers: The primary applicant first.
        reasons: Principal reasons, most adverse first.
        needed: What the applicant has to supply, in words, if the application is incomplete.
        offered: Terms of a counteroffer.
        change: What was done to an account, in words.
        less: Whether what is offered is less than was asked for (12 CFR 1002.2(c)(1)(i)).
        passed: Whether the statistical model alone would have approved.
        method: Identity of the model whose file documents how reasons were chosen (comment 9(b)(2)-5).
        score_used: Whether a credit score was used in making the decision, by the model or the policy.
        other_sources: Whether information from another outside source than a consumer reporting agency
            counted, beside what the reasons' own sources say.
        business: ``small`` or ``large``: business credit, gross revenues of up to or over one million
            dollars (12 CFR 1002.9(a)(3)); empty for consumer credit.
        system: What an automated system did: ``decided``, ``recommended`` to a person who decided, ``none``.
        terms: How the terms of granted credit were set.
    """

    application_id: str
    action: Action
    credit: str
    consumers: tuple[Consumer, ...] = field(repr=False)
    reasons: tuple[PrincipalReason, ...] = ()
    needed: tuple[str, ...] = ()
    offered: Offer | None = None
    change: str = ""
    less: bool = False
    passed: bool = False
    method: str = ""
    score_used: bool = False
    other_sources: bool = False
    business: Literal["", "small", "large"] = ""
    system: Literal["none", "recommended", "decided"] = "decided"
    terms: Terms = Terms()

    def __post_init__(self) -> None:
        roles = [one.role for one in self.consumers]
        if roles.count("primary") != 1 or roles[0] != "primary":
            raise DataError("An application has one primary applicant, who comes first (12 CFR 1002.9(f)).")


def dollars(amount: float) -> str:
    """``$8,000``; cents only where there are some."""
    return f"${amount:,.2f}".removesuffix(".00")
