"""Many applications: one JSON line each, letters beside, and nothing lost when it is killed.

Applications are narrated in parts of fixed size, in the order of their file; while the model writes
one part, threads compose and render the letters of the part before. A part's letters are written,
then put on record, then its lines are appended and synced: a line stands for a letter that is there.
A run that is started again writes what has no line yet; parts are cut as before, so that it ends with
the same lines as a run that was never killed.
"""

import csv
import fcntl
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from lendsafe.errors import DataError, ExistsError, RefusedError
from lendsafe.files import csv_cell, disk_errors, refuse_existing, sync, write_atomically
from lendsafe.pipeline.applications import Application, Read, listed
from lendsafe.pipeline.letters import Explainer, Outcome, keep, lacking, render
from lendsafe.records import Explanation

_LINE_START = b'{"applicant_id": '
PART = 64  # applications narrated together; fixed, because it may change a narrative's last bits

_COLUMNS = (
    "applicant_id", "decision", "reasons", "text", "source", "tries", "fallback",
    "kind", "notice_date", "deadline", "late", "file",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where letters go.

    Attributes:
        folder: Folder of rendered letters, ``<applicant_id>.<medium>``; None renders none.
        medium: ``pdf``, ``html``, ``txt`` or ``eml``.
        record: Ledger that each letter is put into; None keeps no record.
        notice_date: Date of the letters.
    """

    folder: Path | None = None
    medium: str = "pdf"
    record: Path | None = None
    notice_date: date


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a run over many applications did.

    Attributes:
        out: File of JSON lines.
        written: Lines that this call added.
        found: Lines that were there before.
        fallbacks: Narratives of this call in which the model's text is not sent.
        late: Letters of this call that are late (12 CFR 1002.9(a)(1)).
        failed: What kept applications without a line, one sentence each.
        decisions: Lines of this call by decision.
        sources: Lines of this call by who wrote the text.
        whys: Texts of this call that are not the model's, by the reason for it.
    """

    out: Path
    written: int
    found: int
    fallbacks: int
    late: int
    failed: tuple[str, ...]
    decisions: Mapping[str, int]
    sources: Mapping[str, int]
    whys: Mapping[str, int]


def run(
    explainer: Explainer,
    read: Read,
    out: Path,
    delivery: Delivery,
    *,
    done: Callable[[int, int], None] | None = None,
) -> Batch:
    """Explain applications into ``out``; started again after a crash, it goes on where it was.

    An application whose letter cannot be made gets no line and does not hold up the others.

    Args:
        explainer: What they are explained with.
        read: Applications in the order of their file, and the rows that cannot be used.
        out: File of JSON lines.
        delivery: Where letters go.
        done: Called with lines written and lines to write.

    Raises:
        ExistsError: If another process writes ``out``, or a new batch would write over letters.
        DataError: If an application lacks what its letter has to say.
        RefusedError: If the lines of ``out`` were made with something else, or from other applications.
        DiskError: If the disk fails; every line that was there still is.
    """
    applications = read.applications
    if explainer.lender and (wrong := [one for a in applications if (one := lacking(a))]):
        raise DataError("; ".join(wrong[:20]) + (f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""))
    if delivery.folder and not out.exists():
        refuse_existing(delivery.folder, hint=", or another folder of letters")
    if delivery.folder:
        with disk_errors(delivery.folder):
            delivery.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # letters name people
    with _held(out) as file, ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        if delivery.folder:
            for stray in delivery.folder.glob(".*.tmp-*"):  # of a run that was killed
                stray.unlink()
        before = _before(out, file, explainer, applications, delivery)
        lines = _Lines(file, out, delivery, len(applications) - len(before), done)
        waiting: list[Future[_Letter]] = []
        for start in range(0, len(applications), PART):
            part = applications[start : start + PART]
            if all(one.id in before for one in part):
                continue
            told = explainer.narrate(part)
            due = [
                threads.submit(_letter, explainer, application, explanation, delivery)
                for application, explanation in zip(part, told, strict=True)
                if application.id not in before
            ]
            lines.write(waiting)
            waiting = due
        lines.write(waiting)
    return Batch(
        out=out,
        written=lines.written,
        found=len(before),
        fallbacks=lines.fallbacks,
        late=lines.late,
        failed=(*listed(read.rejects), *lines.failed),
        decisions=dict(lines.decisions),
        sources=dict(lines.sources),
        whys=dict(lines.whys),
    )


def as_table(lines: Path) -> str:
    """The lines of a batch as CSV for a spreadsheet, no cell of which it takes for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    with disk_errors(lines):
        written = lines.read_bytes().splitlines()  # of bytes: a text may hold a line separator
    for table in map(json.loads, written):
        table |= table["letter"] or {}
        table["reasons"] = "; ".join(one["statement"] for one in table["reasons"])
        writer.writerow([csv_cell(table.get(name)) for name in _COLUMNS])
    return buffer.getvalue()


@dataclass(frozen=True)
class _Letter:
    """An outcome and its letter as written, if letters are."""

    outcome: Outcome
    content: bytes | None


def _letter(explainer: Explainer, application: Application, told: Explanation, delivery: Delivery) -> _Letter:
    outcome = explainer.finish(application, told, delivery.notice_date)
    if outcome.letter is None or not (delivery.folder or delivery.record):
        return _Letter(outcome, None)
    content = render(outcome.letter, delivery.medium)
    return _Letter(outcome, content.encode() if isinstance(content, str) else content)


class _Lines:
    """The open file of lines, and the count of what went into it."""

    def __init__(
        self,
        file: BinaryIO,
        path: Path,
        delivery: Delivery,
        total: int,
        done: Callable[[int, int], None] | None,
    ) -> None:
        self.file, self.path, self.delivery, self.total, self.done = file, path, delivery, total, done
        self.written = self.fallbacks = self.late = 0
        self.decisions, self.sources, self.whys = Counter[str](), Counter[str](), Counter[str]()
        self.failed: list[str] = []

    def write(self, waiting: Sequence[Future[_Letter]]) -> None:
        """Write letters, put them on record, then append their lines."""
        tables = []
        for future in waiting:
            try:
                letter = future.result()
            except DataError as problem:
                self.failed.append(str(problem))
                continue
            tables.append(self._deliver(letter))
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in tables)
        with disk_errors(self.path, len(text)):
            self.file.write(text.encode())
            self.file.flush()
            sync(self.path)
        self.written += len(tables)
        self.fallbacks += sum(one["fallback"] for one in tables)
        self.decisions.update(one["decision"] for one in tables)
        self.sources.update(one["source"] for one in tables)
        self.whys.update(one["why"] for one in tables if one["why"])
        self.late += sum(bool(one["letter"] and one["letter"]["late"]) for one in tables)
        if self.done and tables:
            self.done(self.written, self.total)

    def _deliver(self, one: _Letter) -> dict[str, Any]:
        table, delivery = one.outcome.to_json(), self.delivery
        if one.content is None:
            return table
        table["letter"]["sha256"] = hashlib.sha256(one.content).hexdigest()
        if delivery.folder:
            name = f"{one.outcome.application.id}.{delivery.medium}"
            write_atomically(delivery.folder / name, one.content, private=True)
            table["letter"]["file"] = name
        if delivery.record:
            table["letter"]["record"] = keep(one.outcome, delivery.record, {delivery.medium: one.content})
        return table


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO]:
    """The file, opened to read and append, held for this process until it ends."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+b")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise ExistsError(f"{path}: another process is writing this file.") from problem
        yield file


def _before(
    path: Path,
    file: BinaryIO,
    explainer: Explainer,
    applications: Sequence[Application],
    delivery: Delivery,
) -> set[str]:
    """Identifiers that have a line; half a line, cut off by a crash, is removed.

    Raises:
        RefusedError: If a line was made with something else, or from another application of that name.
    """
    with disk_errors(path):
        file.seek(0)
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    if content[len(whole) :] and not (whole or content.startswith(_LINE_START)):
        raise RefusedError(f"{path}: not a file of a batch; choose another --out. Nothing was changed.")
    known = {one.id: one for one in applications}
    wanted = {
        "letter": explainer.lender is not None,
        "file": delivery.folder is not None,
        "record": delivery.record is not None,
    }
    found = set()
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            table = json.loads(line)
            there = {"letter": table["letter"] is not None} | {
                name: name in (table["letter"] or {}) for name in ("file", "record")
            }
            changed = [name for name, value in explainer.identity.items() if table[name] != value]
            changed += [name for name in wanted if wanted[name] != there[name]]
            application = known.get(table["applicant_id"])
            if application and table["application_sha256"] != application.sha256:
                changed.append("application")
        except (ValueError, KeyError, TypeError) as problem:
            raise RefusedError(f"{path}:{number}: not a line of a batch; choose another --out.") from problem
        if changed:
            raise RefusedError(
                f"{path}:{number}: made with another {changed[0].removesuffix('_sha256')}; "
                "choose another --out, or the same settings."
            )
        if application:
            found.add(application.id)
    with disk_errors(path):  # only now: every whole line is one of this batch
        file.truncate(len(whole))
    return found
