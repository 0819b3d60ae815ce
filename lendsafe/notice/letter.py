"""The nouns of a letter: who it goes to, when, from what, and the blocks it is made of.

Fields that name a person have no ``repr``: a letter that ends up in a log says nothing about anyone.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from lendsafe.errors import DataError
from lendsafe.notice.characters import visible
from lendsafe.notice.config import NoticeConfig
from lendsafe.notice.templates import Shape, templates_sha256
from lendsafe.records import Assessment

Kind = Literal["approval", "denial", "counteroffer", "incomplete"]

NOTICE_DAYS = 30  # 12 CFR 1002.9(a)(1)(i), (c)(1)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2098, 12, 31)  # beyond these, a date stands for none
RETENTION_MONTHS = 25  # 12 CFR 1002.12(b)(1)
REPORT_FIELDS = (
    "credit_score",
    "delinquencies_24m",
    "collections",
    "bankruptcies",
    "inquiries_6m",
    "oldest_account_months",
    "open_accounts",
    "accounts_opened_24m",
    "revolving_utilization",
)
_MOST_CHARACTERS, _MOST_LINES = 120, 6


def _texts(value: object) -> bool:
    """Whether a value from a file is a list of texts, and not one text, whose letters would pass for lines."""
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Whom the letter is addressed to: the primary applicant (12 CFR 1002.9(f)).

    What an applicant wrote is kept as one visible line each; see :mod:`lendsafe.notice.characters`.

    Attributes:
        name: As the applicant gave it.
        address: One to six lines.
        delivery: How the letter is sent.
        esign_consent: Whether the applicant consented to electronic notices (12 CFR 1002.4(d)).

    Raises:
        DataError: If name or address are empty or too long; the message does not repeat them.
    """

    name: str = field(repr=False)
    address: tuple[str, ...] = field(repr=False)
    delivery: Literal["mail", "electronic"] = "mail"
    esign_consent: bool = False

    def __post_init__(self) -> None:
        given: object = self.address
        if isinstance(given, str) or not all(isinstance(one, str) for one in (self.name, *self.address)):
            raise DataError("The applicant's name has to be text, and the address a list of lines.")
        name = visible(self.name)
        lines = tuple(line for line in map(visible, self.address) if line)
        if not name or not lines:
            raise DataError("The applicant's name or address is empty.")
        if len(lines) > _MOST_LINES or max(map(len, (name, *lines))) > _MOST_CHARACTERS:
            raise DataError(
                "The applicant's name or address is too long: "
                f"at most {_MOST_LINES} lines of {_MOST_CHARACTERS} characters."
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "address", lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """The days that the law counts from.

    Attributes:
        received: When the application came in.
        notice: When the letter is mailed.
        completed: When the application was complete; ``received`` if it was so at once.
        score_created: When the disclosed score was created; needed where a score is disclosed.

    Raises:
        DataError: If the letter is older than the application, or a day is none of our time.
    """

    received: date
    notice: date
    completed: date | None = None
    score_created: date | None = None

    def __post_init__(self) -> None:
        for name in ("received", "completed", "notice", "score_created"):
            day: date | None = getattr(self, name)
            if day and not FIRST_DAY <= day <= LAST_DAY:
                raise DataError(f"'{name}' is {day}; expected a day from {FIRST_DAY} to {LAST_DAY}.")
        if (
            self.notice < (self.completed or self.received)
            or (self.completed or self.received) < self.received
        ):
            raise DataError(
                "Dates are out of order: an application is received, then complete, then answered."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a letter is made from."""

    assessment: Assessment = field(repr=False)
    narrative: str = field(repr=False)
    contact: Contact
    config: NoticeConfig = field(repr=False)
    dates: Dates

    @property
    def kind(self) -> Kind:
        """Which letter the decision asks for; less than was asked is a counteroffer (1002.2(c)(1)(i))."""
        assessment = self.assessment
        offer, asked = assessment.counteroffer_amount, assessment.applicant.loan_amount
        if assessment.decision == "approved":
            return "approval" if offer is None or offer >= asked else "counteroffer"
        return "denial" if assessment.decision == "declined" else assessment.decision

    @property
    def adverse(self) -> bool:
        """Whether adverse action is taken."""
        return self.kind in ("denial", "counteroffer")

    @property
    def report_used(self) -> bool:
        """Whether the decision rests on a consumer report; that there is no file is such information."""
        known = any(getattr(self.assessment.applicant, name) is not None for name in REPORT_FIELDS)
        return known or any(reason.code == "no_credit_file" for reason in self.assessment.reasons)

    @property
    def score(self) -> int | None:
        """The score that the lender's setting discloses, if there is one."""
        which = self.config.score_disclosed
        if which == "bureau":
            return self.assessment.applicant.credit_score
        return self.assessment.score if which == "proprietary" else None

    @property
    def deadline(self) -> date:
        """Last day on which the letter is in time (12 CFR 1002.9(a)(1)(i), (c)(1))."""
        start = (
            self.dates.received if self.kind == "incomplete" else self.dates.completed or self.dates.received
        )
        return start + timedelta(days=NOTICE_DAYS)

    @property
    def due(self) -> date:
        """Day by which an applicant has to answer."""
        return self.dates.notice + timedelta(days=self.config.response_days)


class Row(NamedTuple):
    """One line of a table: what, and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One piece of a letter, filled in.

    Attributes:
        id: Of its template.
        version: Of its template.
        citation: The provision that it serves.
        shape: How ``items`` and ``rows`` are set.
        text: Sentences that come first.
        items: Entries of a list, lines of an address, or paragraphs.
        rows: Of a table, or bars (range, percent).
    """

    id: str
    version: int
    citation: str
    shape: Shape
    text: str = field(default="", repr=False)
    items: tuple[str, ...] = field(default=(), repr=False)
    rows: tuple[Row, ...] = field(default=(), repr=False)

    @property
    def content(self) -> str:
        """Everything that it says, in reading order."""
        return "\n".join(
            part for part in (self.text, *(f"{a}: {b}" for a, b in self.rows), *self.items) if part
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Blocks under one heading; ``look`` is how it is set on the page."""

    heading: str
    blocks: tuple[Block, ...]
    look: Literal["plain", "letterhead", "panel", "page"] = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A composed letter. What is in it is for :func:`lendsafe.notice.validate.validate` to judge."""

    title: str
    sections: tuple[Section, ...]
    case: Case
    language: str = "en"

    @property
    def blocks(self) -> Iterator[Block]:
        """Every block, in reading order."""
        return (block for section in self.sections for block in section.blocks)

    @property
    def late(self) -> bool:
        """Whether it is dated after the last day allowed."""
        return self.case.dates.notice > self.case.deadline

    @property
    def retain_until(self) -> date:
        """Day until which application, letter and reasons are kept (12 CFR 1002.12(b)(1))."""
        return months_after(self.case.dates.notice, self.case.config.retention_months)

    @property
    def input_sha256(self) -> str:
        """Hash of everything the letter was made from, the templates included."""
        plain = {"case": asdict(self.case), "templates": templates_sha256()}
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def letter_to_json(letter: Letter) -> dict[str, Any]:
    """A letter as plain JSON values, for the file; the configuration is named by its date alone."""
    return {
        "title": letter.title,
        "language": letter.language,
        "kind": letter.case.kind,
        "sections": [asdict(section) for section in letter.sections],
        "notice_date": letter.case.dates.notice.isoformat(),
        "deadline": letter.case.deadline.isoformat(),
        "late": letter.late,
        "retain_until": letter.retain_until.isoformat(),
        "config_as_of": letter.case.config.as_of.isoformat(),
        "input_sha256": letter.input_sha256,
        "templates_sha256": templates_sha256(),
    }


def months_after(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or that month's last day."""
    years, month = divmod(day.month - 1 + months, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(day.year + years, month + 1, last)
        except ValueError:
            continue
    return date(day.year + years, month + 1, day.day)
