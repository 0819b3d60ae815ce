"""Loan applications from files, by their product: who asks for what, what was reported, whom to write to.

What identifies a person or was written by one (name, address, employer ...) is carried beside the
figures: it reaches the letter and the record for the file, never a prompt and never a message.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lendsafe.errors import DataError
from lendsafe.fields import did_you_mean
from lendsafe.notice import Consent, Contact
from lendsafe.product import Product, consumer, parsers
from lendsafe.product.table import IDENTIFIER, Reject, Table, read_table
from lendsafe.records import Applicant, values_of
from lendsafe.risk.decision import to_applicants

MOST_CHARACTERS = 120  # of one key factor
DELIVERIES = ("mail", "electronic")
CONSENT = ("given", "statement", "demonstrated", "withdrawn")

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER_OF_A_PERSON = re.compile(r"\d{3}-\d{2}-\d{4}|\d{9}|\d{13,19}")  # social security, card or account
_OWN = re.compile(
    r"[a-z][a-z0-9_.]{0,40}"
)  # what else stands where a key should may be what a person is called


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


@dataclass(frozen=True, kw_only=True)
class Read:
    """A file of applications that was read.

    Attributes:
        applications: In the order of the file.
        rejects: Rows that cannot be used, with line and column; no cell is kept of them.
        unmapped: Columns that the product does not name.
    """

    applications: tuple[Application, ...]
    rejects: tuple[Reject, ...] = ()
    unmapped: tuple[str, ...] = ()


def read_applications(path: Path | str, product: Product | None = None) -> list[Application]:
    """Read every application of a file; one that cannot be used refuses the file.

    Args:
        path: JSON, JSON lines, CSV, XLSX ...; columns as the product names them, or by field.
        product: What they mean; the consumer product by default.

    Raises:
        DataError: Naming line and column of every problem; no value is repeated.
    """
    found = read_file(Path(path), product or consumer())
    if found.rejects:
        shown = "; ".join(_told(one) for one in found.rejects[:20])
        more = f"; and {len(found.rejects) - 20} more" if len(found.rejects) > 20 else ""
        raise DataError(f"{path}: {shown}{more}")
    return list(found.applications)


def read_file(path: Path, product: Product) -> Read:
    """Read the applications of a file; those that cannot be used are set aside.

    Raises:
        DiskError: If it cannot be read.
        DataError: If it is no table, no row can be used, or a column is nearly a field's name.
    """
    try:
        table = read_table(path, product, people=True)
    except DataError as problem:
        raise DataError(_without_cells(str(problem))) from None
    _refuse_misspelled(path, table, product)
    rejects = [Reject(one.line, one.column, one.why) for one in table.rejects]
    people = table.people.to_dict("records")
    found: list[Application] = []
    seen: dict[str, str] = {}
    for applicant, person, source in zip(
        to_applicants(table.frame, product), people, table.sources, strict=True
    ):
        wrong: list[str] = []
        key = (
            applicant.applicant_id.casefold()
        )  # letters are named by it; A and a are one to some file systems
        if not _is_opaque(applicant.applicant_id):
            wrong.append(
                "the identifier is not opaque; expected up to 64 letters, digits, '.', '_' or '-', "
                "and no number of a person"
            )
        elif key in seen:
            wrong.append(f"the identifier is that of '{seen[key]}'; identifiers must differ")
        seen.setdefault(key, applicant.applicant_id)
        application = _application(applicant, person, source, product, wrong)
        if wrong or application is None:
            rejects += [
                Reject(0, "", f"application '{_shown_id(applicant.applicant_id)}': {text}") for text in wrong
            ]
        else:
            found.append(application)
    return Read(applications=tuple(found), rejects=tuple(rejects), unmapped=_unmapped(path, table))


def application_from(table: Mapping[str, Any], product: Product | None = None) -> Application:
    """One application from its JSON values: fields, ``contact``, dates by role or field, ``key_factors``.

    Raises:
        DataError: Naming every problem; no value is repeated.
    """
    chosen = product or consumer()
    person: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    wrong: list[str] = []
    names = _personal(chosen)
    for key, value in table.items():
        if key == "contact" and (value is None or isinstance(value, Mapping)):
            said = _parts(key, value or {})
            person |= {names.get(name, name): one for name, one in said.items()}
            wrong += [_no_part(name, names) for name in said if name not in names]
        elif key in names.values() or key in names:
            person[names.get(key, key)] = value
        elif key != IDENTIFIER and not chosen.set_aside(key) and key not in ("defaulted", "decision"):
            figures[_field_of(key, chosen)] = value
    _, problems = values_of(figures, chosen, quote=False)
    wrong += [str(one) for one in problems]
    identifier = table.get(IDENTIFIER)
    identifier = str(identifier) if type(identifier) is int else identifier
    if not isinstance(identifier, str) or not _is_opaque(identifier):
        wrong.append(f"'{IDENTIFIER}' is not opaque; expected up to 64 letters, digits, '.', '_' or '-'")
    if wrong:
        raise DataError("; ".join(wrong))
    assert isinstance(identifier, str)
    application = _application(Applicant(identifier, figures, chosen), person, dict(table), chosen, wrong)
    if application is None or wrong:
        raise DataError("; ".join(wrong))
    return application


def _application(
    applicant: Applicant,
    person: Mapping[str, Any],
    source: Mapping[str, Any],
    product: Product,
    wrong: list[str],
) -> Application | None:
    by_role: dict[str, list[Any]] = {}
    for name, value in person.items():
        one = product.fields.get(str(name))
        role = one.role if one else str(name)
        if value is not None and str(value).strip():
            by_role.setdefault(role, []).append(value)
    contact = _contact(by_role, wrong)
    days = {
        name: _date(name, by_role[f"date.{name}"][0], wrong)
        for name in ("received", "completed", "score_created")
        if f"date.{name}" in by_role
    }
    if "score_created" not in days and product.score.created in person:
        days["score_created"] = _date("score_created", person[product.score.created], wrong)
    factors = _key_factors(by_role.get("key_factors", [None])[0], wrong)
    if factors is None and product.score.no_factors:
        factors = ()
    if wrong:
        return None
    return Application(applicant=applicant, contact=contact, key_factors=factors, source=dict(source), **days)


def _parts(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an object's parts, by dotted names."""
    found: dict[str, Any] = {}
    for inner, one in value.items():
        if isinstance(one, Mapping):
            found |= _parts(f"{name}.{inner}", one)
        elif one is not None:
            found[f"{name}.{inner}"] = one
    return found


def _no_part(name: str, names: Mapping[str, str]) -> str:
    if inner := sorted(one.removeprefix(f"{name}.") for one in names if one.startswith(f"{name}.")):
        return f"'{name}' cannot be used; expected an object with {', '.join(inner)}"
    return f"the contact has a part that is none.{did_you_mean(name, list(names))}"


def _contact(by_role: Mapping[str, list[Any]], wrong: list[str]) -> Contact | None:
    lines = [line.strip() for value in by_role.get("contact.address", []) for line in _entries(value)]
    names = by_role.get("contact.name")
    if not names and not lines:
        return None
    if not names or not lines:
        wrong.append(f"the contact has no {'address' if names else 'name'}")
        return None
    given: dict[str, Any] = {"name": str(names[0]).strip(), "address": tuple(lines)}
    before = len(wrong)
    given |= _delivered(by_role, wrong)
    if len(wrong) > before:
        return None
    try:
        return Contact(**given)
    except (DataError, TypeError) as problem:  # its message repeats neither name nor address
        wrong.append(f"the contact cannot be used: {problem}")
        return None


def _delivered(by_role: Mapping[str, list[Any]], wrong: list[str]) -> dict[str, Any]:
    """How the letter goes to a person, as far as the application says."""
    said = {role: found[0] for role, found in by_role.items()}
    given: dict[str, Any] = {}
    if (delivery := said.get("contact.delivery")) is not None:
        given["delivery"] = delivery
        if delivery not in DELIVERIES:
            wrong.append(f"the contact cannot be used: 'delivery' is none of {', '.join(DELIVERIES)}")
    if (agreed := said.get("contact.esign_consent")) is not None:
        try:
            given["esign_consent"] = parsers.yes_no(str(agreed))
        except ValueError as problem:
            wrong.append(f"'esign_consent' cannot be used; {problem}")
    if "contact.email" in said:
        given["email"] = str(said["contact.email"]).strip()
    evidence = {key: said[role] for key in CONSENT if (role := f"contact.consent.{key}") in said}
    if evidence:
        given["consent"] = _consent(evidence, wrong)
    return given


def _consent(evidence: Mapping[str, Any], wrong: list[str]) -> Consent | None:
    """Evidence of consent to electronic letters."""
    days = {
        name: _date(f"consent.{name}", evidence[name], wrong)
        for name in ("given", "withdrawn")
        if name in evidence
    }
    given = days.get("given")
    if given is None:
        wrong.append("the consent to electronic letters names no day; expected 'given', such as 2026-11-24")
        return None
    texts = {name: str(evidence.get(name, "")).strip() for name in ("statement", "demonstrated")}
    return Consent(given=given, withdrawn=days.get("withdrawn"), **texts)


def _key_factors(value: Any, wrong: list[str]) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = _entries(value)
    if not all(isinstance(one, str) and 0 < len(one.strip()) <= MOST_CHARACTERS for one in found):
        wrong.append(
            f"the key factors cannot be used; expected a list of texts of up to {MOST_CHARACTERS} characters"
        )
        return None
    return tuple(one.strip() for one in found)


def _entries(value: Any) -> list[Any]:
    """Entries of one cell: a list as it is, a text cut at semicolons and line ends."""
    if isinstance(value, list | tuple):
        return list(value)
    return [part.strip() for part in re.split(r"[;\n]", str(value)) if part.strip()]


def _date(name: str, value: Any, wrong: list[str]) -> date | None:
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        wrong.append(f"'{name}' cannot be used; expected a date such as 2026-11-24")
        return None


def _personal(product: Product) -> dict[str, str]:
    """Names under which contact, dates and key factors may stand, each with its field."""
    names: dict[str, str] = {}
    for one in product.fields.values():
        if one.personal:
            names |= {
                one.role: one.name,
                one.role.partition(".")[2] or one.role: one.name,
                one.name: one.name,
            }
            names |= dict.fromkeys(one.columns, one.name)
    return names


def _field_of(key: str, product: Product) -> str:
    """The field that a key names, by its own name or by its column."""
    if key in product.values:
        return key
    return next((one.name for one in product.values.values() if key in one.columns), key)


def _unmapped(path: Path, table: Table) -> tuple[str, ...]:
    """Columns that the product does not name; keys of a person's own record only where they look like ours."""
    written_by_hand = path.suffix.lower() in (".json", ".jsonl")
    return tuple(one for one in table.lineage["unmapped"] if not written_by_hand or _OWN.fullmatch(one))


def _refuse_misspelled(path: Path, table: Table, product: Product) -> None:
    known = [name for one in product.fields.values() for name in (one.name, *one.columns)]
    for name in table.lineage["unmapped"]:
        # a letter or two, or a part of ours as a whole; raw files have columns of their own
        near = get_close_matches(name, known, n=1, cutoff=0.85)
        near = near or [one for one in known if one.startswith(f"{name}.")]
        if near and len(name) > 4 and _OWN.fullmatch(name):
            raise DataError(
                f"{path}: no field has the column '{name}'. Did you mean '{near[0]}'? Else set it aside in the product."
            )


def _is_opaque(identifier: str) -> bool:
    return _IDENTIFIER.fullmatch(identifier) is not None and not _NUMBER_OF_A_PERSON.fullmatch(identifier)


def _shown_id(identifier: str) -> str:
    return identifier if _is_opaque(identifier) else "?"


def _told(one: Reject) -> str:
    where = f"line {one.line}" if one.line else ""
    where += f", column '{one.column}'" if one.column else ""
    return f"{where}: {one.why}" if where else one.why


def _without_cells(text: str) -> str:
    """A message of reading without the cells that it quotes: they may be about a person."""
    text = re.sub(r"the column .* is there twice", "a column is there twice", text, flags=re.DOTALL)
    text = re.sub(r" is in its header \(.* \.\.\.\)", " is in its header", text)  # which may be a row
    return re.sub(r"(, column '[^']*'): (?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"): ", r"\1: ", text)


def listed(rejects: Sequence[Reject]) -> list[str]:
    """Rejects in words, one line each."""
    return [_told(one) for one in rejects]
