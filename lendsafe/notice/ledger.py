"""A record for the file: what was decided, what was sent, and proof that nobody changed it since.

    DIR/ledger.jsonl              one line per record, each with the hash of the line before it
    DIR/records/<id>/...          application, assessment, narrative, letter, checks, and its renderings
    DIR/.drafts/<id>/...          the same while it is being written, and its line in <id>.line

Records are only added, and destroyed when their time is over, with a line that says so. An id is the hash of
what the record holds, so that a run that was killed and started again keeps each letter once. Each line holds
the time at which it was written: a letter dated before it is marked as backdated. How a record is read back is
in :mod:`lendsafe.notice.audit`. Whoever can rewrite the whole folder can rewrite the chain: keep an anchor
elsewhere.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from lendsafe import __version__
from lendsafe.errors import RefusedError
from lendsafe.files import disk_errors, new_file, sync
from lendsafe.notice import audit, chain
from lendsafe.notice.chain import DRAFTS, LEDGER, RECORDS, START
from lendsafe.notice.characters import masked
from lendsafe.notice.letter import Letter, letter_to_json
from lendsafe.notice.templates import templates
from lendsafe.notice.validate import checklist

_TAIL = 1 << 16  # bytes read at a time from the end of the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What the destruction of records whose time was over did.

    Attributes:
        destroyed: Ids of records that are gone.
        kept: Ids past their date that were kept, because their application was named.
    """

    destroyed: tuple[str, ...]
    kept: tuple[str, ...]


def record(
    folder: Path,
    letter: Letter,
    papers: Mapping[str, Any],
    renderings: Mapping[str, bytes | str],
    now: datetime | None = None,
) -> str:
    """Add one letter to the file.

    Args:
        folder: Ledger; made if it is not there, readable by its owner alone.
        letter: The letter as sent.
        papers: What it was made from, as JSON values by name: ``application``, ``assessment``,
            ``provenance`` ... Account and social security numbers in them are masked.
        renderings: By file ending, such as ``{"pdf": ..., "txt": ...}``.
        now: When it is written; by default now, with the local offset from UTC.

    Returns:
        The record's id. A letter that is on file already is not written again.

    Raises:
        DiskError: If the disk fails; what was there before is still there.
        RefusedError: If the name of a paper or a rendering's file ending is none, or the folder is behind a link.
    """
    contents = _contents(letter, papers, renderings)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    name = chain.record_id(hashes)
    with _locked(folder):
        last = _last_line(folder / LEDGER)
        if (folder / RECORDS / name).exists() and _has(folder / LEDGER, name):
            return name
        written = _time(now, last)
        case, day = letter.case, written.date()
        entry = {
            "id": name,
            "files": hashes,
            "kind": case.kind,
            "notified": case.dates.notice.isoformat(),
            "written": written.isoformat(timespec="seconds"),
            "backdated": case.dates.notice < day,
            "deadline": case.deadline and case.deadline.isoformat(),
            "late": letter.late,
            "late_when_written": letter.late_on(day),
            "retain_until": letter.retain_until.isoformat(),
            "retention": f"{case.config.retention_months} months after notification (12 CFR 1002.12(b)(1))",
            "software": f"lendsafe {__version__}",
            "previous": chain.sha256(last) if last else START,
        }
        line = _json_line(entry)
        _draft(folder / DRAFTS / name, contents, line)
        _append(folder / LEDGER, line)
        _put_in_place(folder, name)
    return name


def expire(
    folder: Path,
    day: date,
    keep: Collection[str] = (),
    now: datetime | None = None,
    *,
    dry_run: bool = False,
) -> Expired:
    """Destroy the records whose retention is over, each with a line in the chain that says so.

    What is deleted from a solid-state disk may be on it still: keep records on an encrypted one.

    Args:
        folder: The record.
        day: Records that are kept until a day before this one are destroyed.
        keep: Ids of applications that are kept all the same: under investigation or in proceedings
            (12 CFR 1002.12(b)(4)).
        now: When it is done; by default now.
        dry_run: Destroy nothing, and say what would be.

    Raises:
        DiskError: If the disk fails.
        RefusedError: If the record does not verify, or the day is still to come.
    """
    if day > _time(now, b"").date():
        raise RefusedError(f"{day} is still to come: no record's time is over by then.")
    with disk_errors(folder):
        (folder / LEDGER).stat()  # no record: no folder is made
    held = {one["id"] for name in keep for one in audit.find(folder, name)}
    with _locked(folder):
        _end_destruction(folder)
        if problems := chain.check(folder)[1]:
            raise RefusedError(f"{folder}: {problems[0]}; what is not whole is not destroyed.")
        over = [one for one in audit.live(folder) if date.fromisoformat(one["retain_until"]) < day]
        doomed = [one for one in over if one["id"] not in held]
        for one in () if dry_run else doomed:
            last = _last_line(folder / LEDGER)
            tombstone = {
                "expired": one["id"],
                "retain_until": one["retain_until"],
                "written": _time(now, last).isoformat(timespec="seconds"),
                "software": f"lendsafe {__version__}",
                "previous": chain.sha256(last),
            }
            _append(folder / LEDGER, _json_line(tombstone))
            _destroy(folder, one["id"])
    return Expired(
        destroyed=tuple(one["id"] for one in doomed),
        kept=tuple(one["id"] for one in over if one["id"] in held),
    )


def mend(folder: Path) -> tuple[str, ...]:
    """End what a run that was killed, or a disk that was full, began.

    Returns:
        What was done, one line each; empty if nothing had to be.

    Raises:
        DiskError: If the disk fails.
        RefusedError: If the folder is behind a link.
    """
    done: list[str] = []
    with disk_errors(folder):
        (folder / LEDGER).stat()  # no record, nothing to mend: no folder is made
    with _locked(folder, done):
        done += _end_destruction(folder)
    return tuple(done)


def _contents(
    letter: Letter, papers: Mapping[str, Any], renderings: Mapping[str, bytes | str]
) -> dict[str, bytes]:
    checks = {
        "templates": {
            one.id: {"version": one.version, "citation": one.citation, "sha256": one.sha256}
            for one in templates().values()
        },
        "checklist": [
            {
                "rule": item.rule.id,
                "citation": item.rule.citation,
                "requirement": item.rule.requirement,
                "applies": item.applies,
                "findings": [one.message for one in item.findings],
            }
            for item in checklist(letter)
        ],
    }
    written: dict[str, bytes] = {
        "letter.json": _json(letter_to_json(letter)),
        "checks.json": _json(checks),
        "narrative.txt": letter.case.narrative.encode("utf-8", "backslashreplace"),
    }
    for name, value in papers.items():
        if not name.isidentifier() or f"{name}.json" in written:
            raise RefusedError(f"A paper's name is {name!r}; expected a word such as 'application'.")
        written[f"{name}.json"] = _json(masked(value))
    for ending, content in renderings.items():
        if not ending.isalnum() or f"letter.{ending}" in written:
            raise RefusedError(f"A rendering's file ending is {ending!r}; expected letters or digits.")
        written[f"letter.{ending}"] = content.encode() if isinstance(content, str) else content
    return written


def _time(now: datetime | None, last: bytes) -> datetime:
    """Now, with its offset; never before the last line, whatever a clock that was put back says."""
    moment = now or datetime.now().astimezone()
    try:
        return max(moment, datetime.fromisoformat(json.loads(last)["written"]))
    except (ValueError, KeyError, TypeError):  # there is none, or one that `verify` names
        return moment


def _draft(folder: Path, contents: Mapping[str, bytes], line: bytes) -> None:
    with disk_errors(folder, sum(map(len, contents.values()))):
        folder.mkdir(mode=0o700)  # a draft that was left has been ended before: see _recover
        for path, data in (
            *((folder / name, data) for name, data in contents.items()),
            (folder.with_suffix(".line"), line),
        ):
            with os.fdopen(new_file(path, 0o400), "wb") as file:
                file.write(data)
            sync(path)
        sync(folder)


def _put_in_place(folder: Path, name: str) -> None:
    """A record whose line is written moves to its place, as a whole."""
    place = folder / RECORDS / name
    with disk_errors(place):
        if place.exists():  # its line was lost
            shutil.rmtree(place)
        (folder / DRAFTS / name).rename(place)
        sync(place.parent)
        (folder / DRAFTS / f"{name}.line").unlink(missing_ok=True)


def _destroy(folder: Path, name: str) -> None:
    with disk_errors(folder):
        if (place := folder / RECORDS / name).exists():
            shutil.rmtree(place)
        sync(folder / RECORDS)


def _end_destruction(folder: Path) -> list[str]:
    """Destroy what has a line that says that it is destroyed: a run was killed between the two."""
    gone = [str(one["expired"]) for one in audit.entries(folder) if "expired" in one]
    left = [name for name in gone if chain.is_id(name) and (folder / RECORDS / name).exists()]
    for name in left:
        _destroy(folder, name)
    return [f"record {name}: destroyed, as its line says" for name in left]


def _recover(folder: Path, done: list[str]) -> None:
    """End what was begun: a draft with a line is a record, and so is one of whose line a part was written."""
    tail = _cut_off(folder / LEDGER)
    last = _last_line(folder / LEDGER)
    for draft in sorted(one for one in (folder / DRAFTS).iterdir() if one.suffix != ".line"):
        whole = _whole_line(draft)
        if tail and whole.startswith(tail) and json.loads(whole)["previous"] == chain.sha256(last):
            _append(folder / LEDGER, whole)
            _put_in_place(folder, draft.name)
            done.append(f"record {draft.name}: its line was cut off, and is whole again")
            tail = b""
        elif whole and whole[:-1] == last:
            _put_in_place(folder, draft.name)
            done.append(f"record {draft.name}: put in its place")
        else:
            shutil.rmtree(draft)
            done.append(f"draft {draft.name}: removed; no line of the ledger stands for it")
    for line in (folder / DRAFTS).glob("*.line"):
        line.unlink()
    if tail:
        done.append(f"{LEDGER}: {len(tail)} bytes of a line removed; no draft of it was there")


def _whole_line(draft: Path) -> bytes:
    """The line of a draft that holds, byte for byte, what the line says; empty if it does not."""
    try:
        line = draft.with_suffix(".line").read_bytes()
        files = json.loads(line)["files"]
        there = {one.name: chain.sha256(one.read_bytes()) for one in draft.iterdir() if not one.is_symlink()}
    except (OSError, ValueError, KeyError, TypeError):
        return b""
    right = there == files and chain.record_id(files) == draft.name and line.endswith(b"\n")
    return line if right and not draft.is_symlink() else b""


def _append(path: Path, line: bytes) -> None:
    """Add a line, whole or not at all."""
    with disk_errors(path, len(line)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                done = 0
                while done < len(line):  # a full disk takes a part, and says so at the next call
                    done += os.write(descriptor, line[done:])
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        sync(path)


def _cut_off(path: Path) -> bytes:
    """Half a line at the end of the ledger, which is taken off it."""
    if not path.exists():
        return b""
    with disk_errors(path), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start and b"\n" not in tail:
            start = max(0, start - _TAIL)
            file.seek(start)
            tail = file.read(size - start)
        half = tail[tail.rfind(b"\n") + 1 :]
        if half:
            file.truncate(size - len(half))
    return half


def _last_line(path: Path) -> bytes:
    """The last line, without reading the rest."""
    if not path.exists():
        return b""
    with disk_errors(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start and tail.count(b"\n") < 2:
            start = max(0, start - _TAIL)
            file.seek(start)
            tail = file.read(size - start)
    return tail[:-1].rpartition(b"\n")[2]


def _has(path: Path, name: str) -> bool:
    with disk_errors(path):
        return path.exists() and f'"id": "{name}"'.encode() in path.read_bytes()


@contextmanager
def _locked(folder: Path, done: list[str] | None = None) -> Iterator[None]:
    for path in (folder, folder / LEDGER, folder / RECORDS, folder / DRAFTS):
        if path.is_symlink():
            raise RefusedError(f"{path} is a link; a record is kept in a folder of its own.")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (RECORDS, DRAFTS):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _recover(folder, [] if done is None else done)
            yield
        finally:
            os.close(lock)


def _json_line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, default=str) + "\n").encode()
