"""Whom a letter goes to, and how: what a person gave of himself, kept as visible lines.

Fields that name a person have no ``repr``: a letter that ends up in a log says nothing about anyone.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from lendsafe.errors import DataError
from lendsafe.notice.characters import visible

_MOST_CHARACTERS, _MOST_LINES = 120, 6
_MAILBOX = re.compile(r"[^\s@<>\",;:()\[\]\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
# The last line of an American address: state and ZIP code
_STATE = re.compile(r"\b([A-Z]{2})\s+\d{5}(-\d{4})?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """That a consumer agreed to electronic notices (15 USC 7001(c)), as evidence to keep.

    Attributes:
        given: Day on which it was given.
        statement: Which statement of rights was shown before: its version, or a hash of its text.
        demonstrated: How the consumer showed that the letters' format can be opened, such as
            ``confirmed by a link in an electronic letter``.
        withdrawn: Day from which it no longer holds.
    """

    given: date
    statement: str
    demonstrated: str
    withdrawn: date | None = None

    def holds(self, day: date) -> bool:
        """Whether a letter may be sent electronically on that day."""
        evidence = bool(self.statement.strip() and self.demonstrated.strip())
        return evidence and self.given <= day and (self.withdrawn is None or day < self.withdrawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Name, address and way of delivery of one person.

    What a person wrote is kept as one visible line each; see :mod:`lendsafe.notice.characters`.

    Attributes:
        name: As it was given.
        address: One to six lines.
        delivery: How the letter is sent.
        esign_consent: Whether the person consented to electronic notices (12 CFR 1002.4(d)); with
            ``consent``, what shows it.
        consent: The evidence.
        email: Mailbox, for electronic delivery.

    Raises:
        DataError: If name or address are empty or too long, or the mailbox is none; the message does not
            repeat them.
    """

    name: str = field(repr=False)
    address: tuple[str, ...] = field(repr=False)
    delivery: Literal["mail", "electronic"] = "mail"
    esign_consent: bool = False
    consent: Consent | None = None
    email: str = field(default="", repr=False)

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
        if self.email and not _MAILBOX.fullmatch(self.email):
            raise DataError("The applicant's 'email' is no mailbox; expected one such as name@example.org.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "address", lines)

    @property
    def state(self) -> str:
        """The state that the address ends in, as two letters; empty if it names none."""
        found = _STATE.search(self.address[-1])
        return found[1] if found else ""
