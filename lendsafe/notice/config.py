"""Who sends letters, and what the law wants named in them: one dated TOML file.

Nothing here has a made-up default. A placeholder, a fictional telephone number or a missing table
is refused, in one message that names every one; what is refused is in :mod:`lendsafe.notice.lender`.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from lendsafe.fields import knob

ScoreDisclosed = Literal["bureau", "proprietary", "none"]
Jurisdiction = Literal["US", "US-CO", "EU-CCD"]
PricingMethod = Literal["direct", "score_proxy", "tiers"]

_TOLL_FREE = re.compile(r"1?8(00|33|44|55|66|77|88)\d{7}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture for the letterhead or above the signature.

    Attributes:
        data: PNG or JPEG.
        kind: ``png`` or ``jpeg``.
        alt: What a screen reader says instead.
    """

    data: bytes = field(repr=False)
    kind: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or office that a letter names: the creditor, a consumer reporting agency.

    Attributes:
        nationwide: Whether a consumer reporting agency keeps files nationwide; its telephone number
            is then toll-free (15 USC 1681m(a)(3)(A)).
        office: Office that signs, for the creditor.
        site: Web site where an agency's reports may be asked for.
        email: Mailbox that electronic letters come from, for the creditor.
        logo: File of a picture for the letterhead, beside the lender's file.
        signature: File of a picture of the signature.
    """

    name: str = knob(help="Name.")
    address: tuple[str, ...] = knob(help="Address, line by line.")
    phone: str = knob(help="Telephone number.")
    nationwide: bool = knob(False, "Whether a consumer reporting agency keeps files nationwide.")
    office: str = knob("", "Office that signs.")
    site: str = knob("", "Web site for requests.")
    email: str = knob("", "Mailbox of electronic letters.")
    logo: str = knob("", "Picture for the letterhead.")
    signature: str = knob("", "Picture of the signature.")

    @property
    def lines(self) -> tuple[str, ...]:
        """Name, address and telephone number, as a letter sets them."""
        label = "Toll-free telephone" if is_toll_free(self.phone) else "Telephone"
        site = (f"On the web: {self.site}",) if self.site else ()
        return (self.name, *self.address, f"{label}: {self.phone}", *site)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Share of consumers whose score lies in [low, high]."""

    low: int = knob(help="Lowest score of the bar.", low=0)
    high: int = knob(help="Highest score of the bar.", low=0)
    percent: float = knob(help="Share of consumers.", unit="percent", low=0, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSource:
    """A score that letters disclose: who provides it, its range, its distribution.

    Attributes:
        low: Lowest possible score.
        high: Highest possible score.
        provider: Name of the person that provides it.
        address: Where questions about the score go; may be empty.
        phone: The same; may be empty.
        key_factors: The provider's list of key factors, if it has one; only these are then disclosed.
        distribution: Six bars or more, or none.
    """

    low: int = knob(help="Lowest possible score.", low=0)
    high: int = knob(help="Highest possible score.", low=1)
    provider: str = knob(help="Name of the person that provides the score.")
    address: tuple[str, ...] = knob((), "Where questions about the score go.")
    phone: str = knob("", "Telephone number for questions about the score.")
    key_factors: tuple[str, ...] = knob((), "The provider's list of key factors.")
    distribution: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """How it is determined who gets a risk-based pricing notice (12 CFR 1022.72(b)).

    Attributes:
        method: By comparing terms directly, by a score that stands for them, or by pricing tiers.
        cutoff: Score that about 40 percent of consumers exceed; who is below it gets a notice.
        cutoff_of: Day on which the cutoff was computed; no older than two years (1022.72(b)(1)(iii)(A)).
        tiers: Number of pricing tiers.
    """

    method: PricingMethod = knob(help="direct, score_proxy or tiers.")
    cutoff: int | None = knob(None, "Score below which a notice is given.")
    cutoff_of: date | None = knob(None, "Day on which the cutoff was computed.")
    tiers: int | None = knob(None, "Number of pricing tiers.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """The Federal agency that administers compliance (12 CFR 1002 appendix A).

    Attributes:
        offices: Name and address of each, line by line; two for some affiliates.
        item: Item of appendix A.
        source: Where the list comes from.
        as_of: When it was read.
        since: First day on which letters name these offices.
    """

    offices: tuple[tuple[str, ...], ...]
    item: str
    source: str
    as_of: date
    since: date = date.min

    @property
    def sentence(self) -> str:
        """Names and addresses, as the notice of 12 CFR 1002.9(b)(1) ends."""
        return "; and ".join(", ".join(office) for office in self.offices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A second language beside English (12 CFR 1002.4(e)), supplied by the lender.

    Attributes:
        language: Its tag, such as ``es``.
        title: The letter's title is a phrase; this heads the translated part.
        texts: Sentences of each block, by its id, with the same slots as the English ones.
        sha256: By block id, the hash of the English text that was translated.
        phrases: Headings, labels and reasons: English to translated.
    """

    language: str = knob(help="Tag of the language, such as es.")
    title: str = knob(help="Heading of the translated part.")
    texts: dict[str, str] = knob(help="Sentences by block.")
    sha256: dict[str, str] = knob(help="Hash of the English sentences by block.")
    phrases: dict[str, str] = knob(help="Headings, labels and reasons.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeConfig:
    """Everything about a letter that is the lender's, not the applicant's.

    ``score_disclosed`` has no default: whether the lender's own score is a "credit score"
    (15 USC 1681g(f)(2)(A)) is a question for counsel, and the answer has to be written down.
    """

    as_of: date = knob(help="Day on which names, addresses and numbers were last checked.")
    creditor: Party = knob(help="The lender.")
    creditor_type: str = knob("", help="Row of appendix A that the lender belongs to.")
    agency: Agency | None = knob(None, help="Agency that administers compliance.")
    score_disclosed: ScoreDisclosed = knob(
        help="Which score a letter discloses: bureau, proprietary or none."
    )
    bureaus: tuple[Party, ...] = knob((), "Consumer reporting agencies whose reports are used.")
    scores: tuple[ScoreSource, ...] = knob((), "The scores that are disclosed.")
    jurisdictions: tuple[Jurisdiction, ...] = knob(("US",), "Whose law letters follow: US, US-CO, EU-CCD.")
    reasons: Literal["stated", "on_request"] = knob(
        "stated", "Whether a denial states its reasons or the right to ask for them (Form C-5)."
    )
    approval_score_notice: bool = knob(True, "Whether approvals carry the disclosure of 12 CFR 1022.74(e).")
    pricing: Pricing | None = knob(None, "How risk-based pricing notices are determined.")
    outside_source: bool = knob(
        False, "Whether an outside source other than a bureau has a part in every decision."
    )
    response_days: int = knob(30, "Days to accept a counteroffer or complete an application.", low=1, high=90)
    retention_months: int = knob(
        25, "Months that records are kept; 25 at least (12 CFR 1002.12(b)(1)).", low=1, high=600
    )
    translation: Translation | None = knob(None, "A second language beside English.")
    logo: Image | None = None
    signature: Image | None = None
    specimen: bool = knob(False, "Mark every letter as a specimen.")

    def bureau(self, name: str) -> Party | None:
        """The consumer reporting agency of that name."""
        return next((one for one in self.bureaus if one.name == name), None)

    def score(self, provider: str) -> ScoreSource | None:
        """The score of that provider."""
        return next((one for one in self.scores if one.provider == provider), None)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text with its key in the lender's file."""
        return strings(asdict(self))


def is_toll_free(phone: str) -> bool:
    """Whether a North American number is toll-free."""
    return bool(_TOLL_FREE.fullmatch("".join(char for char in phone if char.isdigit())))


def strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in tables and lists, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{name}.{key}".strip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner, name)
    elif isinstance(value, str):
        yield name, value
