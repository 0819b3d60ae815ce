"""The nouns of LendSafe, in the order the data flows.

Applicant -> Assessment -> list[Message] -> Explanation (-> letter)
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lendsafe.errors import DataError
from lendsafe.fields import build, check, knob

Decision = Literal["approved", "declined", "counteroffer", "incomplete"]
Purpose = Literal["debt_consolidation", "home_improvement", "vehicle", "medical", "major_purchase", "other"]
Strength = Literal["slight", "moderate", "strong"]
Register = Literal["plain", "formal", "warm"]
Detail = Literal["standard", "detailed"]
NarrativeType = Literal["adverse_action", "standard_approval", "detailed_factor_analysis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """One loan application, as the lender recorded it.

    ``None`` means that the item is not known: not stated by the applicant, or, for bureau
    items, that the bureau has no file. Nothing here identifies a person or says anything
    about a prohibited basis (12 CFR 1002.2(z)).

    Raises:
        DataError: If a value is of the wrong type or out of range.
    """

    applicant_id: str = knob(help="Opaque identifier; never a name or account number.")
    loan_amount: float = knob(help="Amount of credit requested.", unit="USD", low=1, high=1_000_000)
    loan_term_months: int = knob(36, "Requested term.", unit="months", low=1, high=480)
    loan_purpose: Purpose = knob("other", "What the loan is for.")
    annual_income: float | None = knob(None, "Gross yearly income.", unit="USD", low=0, high=10_000_000)
    income_verified: bool = knob(True, "Whether the stated income could be verified.")
    employment_months: int | None = knob(None, "Time in the present job.", unit="months", low=0, high=720)
    debt_to_income: float | None = knob(
        None, "Monthly debt payments as a share of gross monthly income.", unit="percent", low=0, high=500
    )
    credit_score: int | None = knob(
        None, "Bureau credit score. Disclosed, never a feature.", low=300, high=850
    )
    delinquencies_24m: int | None = knob(
        None, "Payments 30 or more days late, past 24 months.", low=0, high=99
    )
    collections: int | None = knob(None, "Collection actions or judgments on file.", low=0, high=99)
    bankruptcies: int | None = knob(None, "Bankruptcies on file.", low=0, high=20)
    inquiries_6m: int | None = knob(None, "Credit inquiries, past 6 months.", low=0, high=99)
    oldest_account_months: int | None = knob(
        None, "Age of the oldest account.", unit="months", low=0, high=1200
    )
    open_accounts: int | None = knob(None, "Open credit accounts.", low=0, high=200)
    accounts_opened_24m: int | None = knob(None, "Accounts opened, past 24 months.", low=0, high=99)
    revolving_utilization: float | None = knob(
        None, "Revolving balances as a share of revolving limits.", unit="percent", low=0, high=500
    )

    def __post_init__(self) -> None:
        check(self, DataError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One factor of a decision, grouped over the features that share it.

    Attributes:
        code: Key into the catalogue (``lendsafe.reasons``).
        contribution: Push on the log-odds of default against the baseline; positive is
            adverse, negative favourable.
        strength: How large the push is, in words.
        knockout: Whether a policy rule, not the score, made it a reason.
    """

    code: str
    contribution: float
    strength: Strength
    knockout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the risk model and the policy concluded about one applicant. Final.

    Attributes:
        applicant: The application it is about.
        decision: Outcome.
        default_probability: Calibrated, in [0, 1].
        cutoff: Largest default probability that is still approved, in [0, 1].
        reasons: Adverse factors, most adverse first, at most four. On a decline these are
            the principal reasons (12 CFR 1002.9(b)(2)); on an approval, what weighed against.
        strengths: Favourable factors, most favourable first, at most four.
        key_factors: What most hurt the disclosed credit score, in order (15 USC 1681g(f)(1)(C));
            a list of its own, never mixed with ``reasons``.
        score: Internal score in points (not on a bureau's scale), or None.
        missing: Applicant fields that have to be supplied, if incomplete.
        counteroffer_amount: Amount that would be approved, in USD, if a counteroffer.
        agreement: Share of the reasons on which two attribution methods agree, in [0, 1].
        risk_model: Identity of the model that produced this.
    """

    applicant: Applicant
    decision: Decision
    default_probability: float = knob(low=0, high=1)
    cutoff: float = knob(low=0, high=1)
    reasons: tuple[Reason, ...] = ()
    strengths: tuple[Reason, ...] = ()
    key_factors: tuple[str, ...] = ()
    score: int | None = None
    missing: tuple[str, ...] = ()
    counteroffer_amount: float | None = knob(None, low=0)
    agreement: float | None = knob(None, low=0, high=1)
    risk_model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the lender chooses about a narrative's wording."""

    register: Register = knob("plain", "Tone of the narrative.")
    detail: Detail = knob("standard", "How much the narrative says about each factor.")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found wrong with a text.

    Attributes:
        rule: Identifier of the check, such as ``G2``.
        message: What is wrong, in one sentence.
        start: Offset of the offending span, in characters; ``start == end`` if something is absent.
        end: Offset after the span.
        fact: The fact it contradicts, as text.
    """

    rule: str
    message: str
    start: int = 0
    end: int = 0
    fact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A narrative that has passed every check, and how it came about.

    Attributes:
        assessment: What it explains.
        style: How it was asked to be worded.
        slot_text: As written, facts as ``{slots}``.
        text: With the facts filled in.
        source: Who wrote it.
        tries: Narratives generated before one passed, or all that failed.
        findings: What the checks found in the tries that failed.
    """

    assessment: Assessment
    style: Style
    slot_text: str
    text: str
    source: Literal["model", "template"]
    tries: int = 0
    findings: tuple[Finding, ...] = field(default=())


def narrative_type(assessment: Assessment, style: Style) -> NarrativeType:
    """Name the kind of narrative that a decision and a style ask for."""
    if assessment.decision != "approved":
        return "adverse_action"
    return "detailed_factor_analysis" if style.detail == "detailed" else "standard_approval"


def to_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON values (tuples become lists when dumped)."""
    return asdict(record)


def assessment_from_json(table: dict[str, Any], where: str = "") -> Assessment:
    """Rebuild an :class:`Assessment` from :func:`to_json`'s form.

    Raises:
        DataError: Naming every key that is unknown, missing, mistyped or out of range.
    """
    return build(Assessment, table, where, DataError)
