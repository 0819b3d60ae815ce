"""Application in, letter out: assess, explain, compose, validate, render, keep.

Free text of an applicant (name, address, employer, purpose) never meets a prompt: it goes from the
application straight to the letter, escaped there.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from lendsafe import notice
from lendsafe.errors import DataError, DiskError
from lendsafe.fields import build, problems
from lendsafe.files import disk_errors
from lendsafe.notice import Contact, Dates, Letter, NoticeConfig
from lendsafe.pipeline.narrate import Narrator, Request, explain
from lendsafe.records import Applicant, Explanation, Style, to_json
from lendsafe.risk.engine import RiskEngine

# What an application may carry beside the applicant's figures; kept for the file, never shown to a model.
FREE_TEXT = ("employer", "job_title", "purpose_text", "notes", "account_number")
BATCH = 64  # letters written between two syncs of a batch's results


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application as it came in.

    Attributes:
        applicant: What the decision looks at.
        contact: Whom the letter goes to; None if only an explanation is wanted.
        key_factors: What most hurt the disclosed credit score, from the bureau.
        received: Day on which the application was complete, or None.
        score_created: Day on which the credit score was created, or None.
        source: The application as read, for the record.
    """

    applicant: Applicant
    contact: Contact | None = None
    key_factors: tuple[str, ...] = ()
    received: date | None = None
    score_created: date | None = None
    source: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def sha256(self) -> str:
        """Hash of the application as read."""
        return hashlib.sha256(json.dumps(self.source, sort_keys=True).encode()).hexdigest()


def read_applications(path: Path) -> list[Application]:
    """Read applications from a JSON object, a JSON list, JSON lines or CSV.

    Raises:
        DataError: Naming every problem at once; values that could identify a person are not repeated.
    """
    found, wrong, seen = [], [], set[str]()
    for where, table in _tables(path):
        try:
            application = _application(table)
        except DataError as problem:
            wrong.append(f"{where}: {problem}")
            continue
        if application.applicant.applicant_id in seen:
            wrong.append(f"{where}: applicant_id is there twice")
        seen.add(application.applicant.applicant_id)
        found.append(application)
    if wrong:
        raise DataError("; ".join(wrong[:20]) + (f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""))
    if not found:
        raise DataError(f"{path}: no applications.")
    return found


def assess(engine: RiskEngine, applications: Sequence[Application], style: Style) -> list[Request]:
    """Decide on every application and rank its reasons."""
    assessments = engine.assess_many([one.applicant for one in applications])
    from dataclasses import replace

    return [
        Request(replace(assessment, key_factors=one.key_factors), style)
        for one, assessment in zip(applications, assessments, strict=True)
    ]


def compose(explanation: Explanation, application: Application, config: NoticeConfig, today: date) -> Letter:
    """Compose the letter and refuse one that lacks anything.

    Raises:
        DataError: If there is nobody to write to, or the validator finds something missing.
    """
    if application.contact is None:
        raise DataError("A letter needs 'contact' with name and address in the application.")
    received = application.received or today
    dates = Dates(received=received, notice=today, score_created=application.score_created)
    letter = notice.compose(explanation, application.contact, config, dates)
    found = [one for one in notice.validate(letter) if not one.message.startswith("Late")]
    if found:
        raise DataError(
            "The letter is not complete: " + "; ".join(f"{one.rule}: {one.message}" for one in found)
        )
    return letter


def render(letter: Letter, path: Path) -> bytes | str:
    """The letter in the medium that the file's ending names: .pdf, .html or .txt."""
    renderers: dict[str, Callable[[Letter], bytes | str]] = {
        ".pdf": notice.render_pdf,
        ".html": notice.render_html,
        ".txt": notice.render_text,
    }
    if path.suffix not in renderers:
        raise DataError(f"{path}: a letter is written as {', '.join(renderers)}.")
    return renderers[path.suffix](letter)


def summary(explanation: Explanation, application: Application, identities: dict[str, str]) -> dict[str, Any]:
    """What is recorded of one explanation; no name, address or account number is in it."""
    assessment = explanation.assessment
    return {
        "applicant_id": assessment.applicant.applicant_id,
        "decision": assessment.decision,
        "default_probability": round(assessment.default_probability, 6),
        "reasons": [reason.code for reason in assessment.reasons],
        "strengths": [reason.code for reason in assessment.strengths],
        "text": explanation.text,
        "source": explanation.source,
        "tries": explanation.tries,
        "fallback": explanation.source == "template",
        "findings": [to_json(one) for one in explanation.findings],
        "application_sha256": application.sha256,
    } | identities


def batch(
    engine: RiskEngine,
    applications: Sequence[Application],
    writer: Narrator | None,
    style: Style,
    out: Path,
    identities: dict[str, str],
    *,
    done: Callable[[int, int], None] | None = None,
) -> int:
    """Explain many applications into a file of JSON lines; run again after a crash, it goes on where it was.

    Returns:
        Number of lines written by this call.
    """
    finished = _finished(out)
    todo = [one for one in applications if one.applicant.applicant_id not in finished]
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        explanations = explain(assess(engine, part, style), writer)
        lines = [
            json.dumps(summary(e, a, identities), ensure_ascii=False)
            for e, a in zip(explanations, part, strict=True)
        ]
        _append(out, lines)
        if done:
            done(len(finished) + start + len(part), len(applications))
    return len(todo)


def _append(path: Path, lines: Sequence[str]) -> None:
    import os

    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _finished(path: Path) -> set[str]:
    """Identifiers of the whole lines of a batch file; half a line, cut off by a crash, is removed."""
    if not path.exists():
        return set()
    with disk_errors(path):
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            from lendsafe.files import write_atomically

            write_atomically(path, whole)
    try:
        return {json.loads(line)["applicant_id"] for line in whole.splitlines()}
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path}: not a file of explanations; choose another --out.") from problem


def _tables(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 text.") from problem
    except OSError as problem:
        raise (DataError if isinstance(problem, FileNotFoundError) else DiskError)(
            f"{path}: {problem.strerror}."
        ) from problem
    if path.suffix == ".csv":
        names = {f.name: f for f in fields(Applicant)}
        for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
            yield f"{path}:{number}", {key: _cell(value, key in names) for key, value in row.items() if value}
        return
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"{path}:{number}", _object(line, f"{path}:{number}")
        return
    loaded = _parsed(text, str(path))
    for number, one in enumerate(loaded if isinstance(loaded, list) else [loaded], start=1):
        where = f"{path} [{number}]" if isinstance(loaded, list) else str(path)
        if not isinstance(one, dict):
            raise DataError(f"{where}: expected an object.")
        yield where, one


def _object(text: str, where: str) -> dict[str, Any]:
    loaded = _parsed(text, where)
    if not isinstance(loaded, dict):
        raise DataError(f"{where}: expected an object.")
    return loaded


def _parsed(text: str, where: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise DataError(f"{where}: a key is there twice.")
        return table

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        raise DataError(
            f"{where}: not JSON: {problem.msg}, line {problem.lineno}, column {problem.colno}."
        ) from problem
    except RecursionError as problem:
        raise DataError(f"{where}: nested too deeply.") from problem


def _no_constant(name: str) -> None:
    raise DataError(f"{name} is not a number that can be used.")


def _cell(value: str, known: bool) -> Any:
    if not known:
        return value
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        return value


def _application(table: dict[str, Any]) -> Application:
    names = {f.name for f in fields(Applicant)}
    figures = {key: value for key, value in table.items() if key in names}
    extra = {key: value for key, value in table.items() if key not in names}
    other = {
        key: extra.pop(key)
        for key in ("contact", "key_factors", "received", "score_created", *FREE_TEXT)
        if key in extra
    }
    if "applicant_id" in figures:
        figures["applicant_id"] = str(figures["applicant_id"])
    if extra:
        found = problems(Applicant, figures | extra)
        raise DataError("; ".join(one for one in found if "unknown" in one))
    return Application(
        applicant=build(Applicant, figures, error=DataError),
        contact=_contact(other.get("contact")),
        key_factors=tuple(map(str, other.get("key_factors") or ())),
        received=_date(other.get("received")),
        score_created=_date(other.get("score_created")),
        source=table,
    )


def _contact(table: Any) -> Contact | None:
    if table is None:
        return None
    if not isinstance(table, dict) or table.keys() - {"name", "address", "delivery", "esign_consent"}:
        raise DataError("'contact' is not an object with name, address, delivery and esign_consent")
    try:
        return Contact(**table | {"address": tuple(table.get("address") or ())})
    except TypeError as problem:
        raise DataError("'contact' has no name, or its address is not a list of lines") from problem


def _date(value: Any) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except (TypeError, ValueError) as problem:
        raise DataError("'received' is not a date such as 2026-11-24") from problem
