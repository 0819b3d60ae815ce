"""The nouns of a letter: blocks under headings, and what is kept of them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from lendsafe.notice.case import Case, months_after
from lendsafe.notice.grounds import Row
from lendsafe.notice.templates import Shape, templates_sha256

Look = Literal["plain", "letterhead", "panel", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One piece of a letter, filled in.

    Attributes:
        id: Of its template.
        number: Which of several of that id it is, from 0: a letter may name two agencies.
        version: Of its template.
        citation: The provision that it serves.
        shape: How ``items`` and ``rows`` are set.
        text: Sentences that come first.
        items: Entries of a list, lines of an address, or paragraphs.
        rows: Of a table, or bars (range, percent).
    """

    id: str
    number: int = 0
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
    look: Look = "plain"
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A composed letter. What is in it is for :func:`lendsafe.notice.validate.validate` to judge.

    Attributes:
        title: Names the letter.
        sections: In English.
        case: All that it was made from.
        language: Of ``sections``.
        translated: The same in a second language, after the English ones; empty without a translation.
    """

    title: str
    sections: tuple[Section, ...]
    case: Case
    language: str = "en"
    translated: tuple[Section, ...] = ()

    @property
    def blocks(self) -> Iterator[Block]:
        """Every English block, in reading order."""
        return (block for section in self.sections for block in section.blocks)

    @property
    def pages(self) -> tuple[Section, ...]:
        """Every section, as it is rendered."""
        return (*self.sections, *self.translated)

    @property
    def late(self) -> bool:
        """Whether it is dated after the last day allowed."""
        return self.late_on(self.case.dates.notice)

    def late_on(self, day: date) -> bool:
        """Whether a letter that goes out on that day is late."""
        return self.case.deadline is not None and day > self.case.deadline

    @property
    def retain_until(self) -> date:
        """Day until which application, letter and reasons are kept (12 CFR 1002.12(b)(1))."""
        return months_after(self.case.dates.notice, self.case.config.retention_months)

    @property
    def input_sha256(self) -> str:
        """Hash of everything the letter was made from, the templates included."""
        plain = {"case": asdict(self.case), "templates": templates_sha256()}
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=_plain).encode()).hexdigest()


def letter_to_json(letter: Letter) -> dict[str, Any]:
    """A letter as plain JSON values, for the file; the configuration is named by its date alone."""
    case = letter.case
    return {
        "application_id": case.grounds.application_id,
        "title": letter.title,
        "language": letter.language,
        "kind": case.kind,
        "role": case.recipient.role,
        "pricing_form": case.pricing_form,
        "jurisdictions": list(case.config.jurisdictions),
        "sections": [asdict(section) for section in letter.pages],
        "notice_date": case.dates.notice.isoformat(),
        "deadline": case.deadline and case.deadline.isoformat(),
        "late": letter.late,
        "retain_until": letter.retain_until.isoformat(),
        "config_as_of": case.config.as_of.isoformat(),
        "delivery": case.recipient.contact.delivery,
        "consent": _consent(case),
        "input_sha256": letter.input_sha256,
        "templates_sha256": templates_sha256(),
    }


def _consent(case: Case) -> dict[str, str] | None:
    """Evidence of consent to an electronic letter (15 USC 7001(c))."""
    consent = case.recipient.contact.consent
    return {key: str(value) for key, value in asdict(consent).items()} if consent else None


def _plain(value: Any) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
