"""Loan applications from files: who asks for what, what the bureau reported, whom to write to.

What identifies a person or was written by one (name, address, employer ...) is carried beside the
figures: it reaches the letter and the record for the file, never a prompt and never a message.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_type_hints

from lendsafe.corpus.reading import BadFileError, read
from lendsafe.errors import DataError
from lendsafe.fields import build, did_you_mean, problems
from lendsafe.notice import Consent, Contact
from lendsafe.records import Applicant
from lendsafe.risk import parsers

# What an applicant may have written or what identifies one; kept for the file, shown to no model.
FREE_TEXT = (
    "employer", "job_title", "purpose_text", "title", "notes", "account_number", "ssn", "email", "phone",
)  # fmt: skip
SET_ASIDE = ("decision", "defaulted")  # outcomes of past applications, which our own data sets carry
DATES = ("received", "completed", "score_created")
_PREFIX = "contact."  # of the columns of a CSV file that are fields of `contact`
_MOST_CHARACTERS = 120  # of one key factor

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SOCIAL_SECURITY_NUMBER = re.compile(r"\d{3}-\d{2}-\d{4}")
_KEY = re.compile(r"[a-z][a-z0-9_.]{0,40}")


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application as it came in.

    Attributes:
        applicant: What the decision looks at.
        contact: Whom the letter goes to; None if only an explanation is wanted.
        key_factors: What most hurt the bureau's score, as the bureau sent it with the score; empty if the
            bureau named none, None if the application does not say.
        received: Day on which the application came in.
        completed: Day on which it was complete; ``received`` if it was so at once.
        score_created: Day on which the bureau's score was created.
        source: The application as read, for the record.
    """

    applicant: Applicant
    contact: Contact | None = None
    key_factors: tuple[str, ...] | None = None
    received: date | None = None
    completed: date | None = None
    score_created: date | None = None
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The applicant's opaque identifier."""
        return self.applicant.applicant_id

    @property
    def sha256(self) -> str:
        """Hash of the application as read."""
        text = json.dumps(self.source, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read_applications(path: Path) -> list[Application]:
    """Read applications from JSON (an object or a list), JSON lines or CSV.

    Keys are the fields of :class:`~lendsafe.records.Applicant`, ``contact`` (``name``, ``address``,
    ``delivery``, ``esign_consent``, ``consent``, ``email``), ``key_factors``, ``received``, ``completed``,
    ``score_created`` and what is kept for the file alone (``FREE_TEXT``). A CSV file has columns ``contact.name`` and
    so on, and semicolons between the entries of one cell.

    Raises:
        BadFileError: Naming every problem by line, column and field; no value is repeated.
        DataError: If there is no such file, or its kind is not known.
    """
    records, unread = read(path)
    # what stands where a key should may be what a person is called
    wrong = [one if _KEY.fullmatch(one.field) else replace(one, field="") for one in unread]
    found: list[Application] = []
    seen: dict[str, int] = {}
    for record in records:
        table = _from_cells(record.values) if path.suffix.lower() == ".csv" else record.values
        application, own = _application(table)
        wrong += [record.problem(name, message) for name, message in own]
        if application is None:
            continue
        key = application.id.casefold()  # letters are named by it, and not every file system tells A from a
        if key in seen:
            wrong.append(
                record.problem("applicant_id", f"is that of line {seen[key]}; identifiers must differ.")
            )
        seen.setdefault(key, record.line)
        found.append(application)
    if wrong:
        raise BadFileError(wrong)
    return found


def application_from(table: Mapping[str, Any]) -> Application:
    """One application from its JSON values.

    Raises:
        DataError: Naming every problem; no value is repeated.
    """
    application, wrong = _application(table)
    if application is None or wrong:
        raise DataError("; ".join(f"'{name}' {message}" if name else message for name, message in wrong))
    return application


def _application(table: Mapping[str, Any]) -> tuple[Application | None, list[tuple[str, str]]]:
    """The application, and what is wrong with it: field and message; None if it cannot be used."""
    known = (*_KINDS, "contact", "key_factors", *DATES, *FREE_TEXT, *SET_ASIDE)
    wrong: list[tuple[str, str]] = []
    _name_unknown(table, known, wrong)
    given = {key: value for key, value in table.items() if value is not None}
    figures = {key: given[key] for key in _KINDS if key in given}
    if type(figures.get("applicant_id")) is int:
        figures["applicant_id"] = str(figures["applicant_id"])
    wrong += [_split(one) for one in problems(Applicant, figures, quote=False)]
    identifier = figures.get("applicant_id")
    if isinstance(identifier, str) and not _is_opaque(identifier):
        wrong.append(("applicant_id", "is not opaque; expected up to 64 letters, digits, '.', '_' or '-'."))
    contact = _contact(given.get("contact"), wrong)
    factors = _key_factors(given.get("key_factors"), wrong)
    days = {name: _date(name, given[name], wrong) for name in DATES if name in given}
    if wrong:
        return None, wrong
    application = Application(
        applicant=Applicant(**figures), contact=contact, key_factors=factors, source=dict(table), **days
    )
    return application, []


def _name_unknown(
    table: Mapping[str, Any], known: Sequence[str], wrong: list[tuple[str, str]], prefix: str = ""
) -> None:
    """Keys that are not known; not repeated unless they have the form of one: a row may stand for a header."""
    for key in (key for key in table if key not in known):
        if _KEY.fullmatch(key):
            wrong.append((prefix + key, f"is an unknown field.{did_you_mean(key, list(known))}"))
        else:
            wrong.append(("", "has a field whose name is not known."))


def _split(problem: str) -> tuple[str, str]:
    """``'loan_amount' is missing`` as its field and the rest."""
    _, name, rest = problem.split("'", 2)
    return name, f"{rest.strip()}."


def _is_opaque(identifier: str) -> bool:
    shaped = _IDENTIFIER.fullmatch(identifier) is not None
    return shaped and _SOCIAL_SECURITY_NUMBER.fullmatch(identifier) is None


def _contact(table: Any, wrong: list[tuple[str, str]]) -> Contact | None:
    if table is None:
        return None
    if not isinstance(table, Mapping):
        wrong.append(("contact", "cannot be used; expected an object with name and address."))
        return None
    before, known = len(wrong), [f.name for f in fields(Contact)]
    _name_unknown(table, known, wrong, _PREFIX)
    given = {key: value for key, value in table.items() if key in known and value is not None}
    if "consent" in given:
        given["consent"] = _consent(given["consent"], wrong)
    wrong += [(_PREFIX + name, text) for name, text in map(_split, problems(Contact, given, quote=False))]
    if len(wrong) > before:
        return None
    try:
        return Contact(**{**given, "address": tuple(given["address"])})
    except DataError as problem:  # its message repeats neither name nor address
        wrong.append(("contact", f"cannot be used: {problem}"))
        return None


def _consent(value: Any, wrong: list[tuple[str, str]]) -> Consent | None:
    """Evidence of consent to electronic letters: days as text, such as 2026-11-24."""
    try:
        days = {name: date.fromisoformat(value[name]) for name in ("given", "withdrawn") if name in value}
        return build(Consent, {**value, **days}, error=DataError)
    except (DataError, TypeError, ValueError, AttributeError):
        text = "cannot be used; expected 'given' (a date), 'statement', 'demonstrated', and 'withdrawn' if it was."
        wrong.append(("contact.consent", text))
        return None


def _key_factors(value: Any, wrong: list[tuple[str, str]]) -> tuple[str, ...] | None:
    if value is None:
        return None
    right = isinstance(value, list | tuple) and all(
        isinstance(one, str) and 0 < len(one.strip()) <= _MOST_CHARACTERS for one in value
    )
    if not right:
        text = f"cannot be used; expected a list of texts of up to {_MOST_CHARACTERS} characters."
        wrong.append(("key_factors", text))
        return None
    return tuple(value)


def _date(name: str, value: Any, wrong: list[tuple[str, str]]) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        wrong.append((name, "cannot be used; expected a date such as 2026-11-24."))
        return None


def _kinds(kind: type[Any]) -> dict[str, set[Any]]:
    """The types that each field takes."""
    hints = get_type_hints(kind)
    return {f.name: set(get_args(hints[f.name])) | {hints[f.name]} for f in fields(kind)}


_KINDS = _kinds(Applicant)
_CONTACT_KINDS = {_PREFIX + name: kinds for name, kinds in _kinds(Contact).items()}


def _from_cells(row: Mapping[str, str]) -> dict[str, Any]:
    """A CSV row with the types that its fields take; an empty cell says nothing."""
    table: dict[str, Any] = {}
    for name, cell in row.items():
        if not cell.strip():
            continue
        if name in _CONTACT_KINDS:
            contact = table.setdefault("contact", {})
            contact[name.removeprefix(_PREFIX)] = _cell(cell, _CONTACT_KINDS[name])
        elif name == "key_factors":
            table[name] = _entries(cell)
        else:
            table[name] = _cell(cell, _KINDS.get(name, {str}))
    return table


def _cell(text: str, kinds: set[Any]) -> Any:
    """The value of a cell; the text itself where it is none of its field's type, for the check to refuse."""
    if bool in kinds:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if tuple[str, ...] in kinds:
        return _entries(text)
    try:
        if int in kinds:
            return int(parsers.whole(text.strip()))
        return parsers.number(text.strip()) if float in kinds else text
    except (ValueError, OverflowError):
        return text


def _entries(cell: str) -> list[str]:
    return [part.strip() for part in re.split(r"[;\n]", cell) if part.strip()]
