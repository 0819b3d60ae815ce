"""A record for the file: what was decided, what was sent, and proof that nobody changed it since.

    DIR/ledger.jsonl              one line per record, each with the hash of the line before it
    DIR/records/<id>/...          application, assessment, narrative, letter, and its renderings
    DIR/.drafts/<id>/...          the same while it is being written

Records are only added. An id is the hash of what the record holds, so that a run that was killed
and started again keeps each letter once. ``verify`` reads everything back and finds a flipped byte,
a missing, added or renamed file, and a line that was changed, removed from within or put elsewhere.
Whoever can rewrite the whole folder can rewrite the chain: keep the last line's hash elsewhere.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lendsafe import __version__
from lendsafe.errors import RefusedError
from lendsafe.files import disk_errors, new_file, sync
from lendsafe.notice.letter import Letter, letter_to_json
from lendsafe.records import to_json

LEDGER, RECORDS, DRAFTS = "ledger.jsonl", "records", ".drafts"
_START = "0" * 64
_TAIL = 1 << 16  # bytes read at a time from the end of the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading a ledger back found.

    Attributes:
        records: Number of records.
        problems: One line each, naming the file; empty if every byte is as it was written.
        last_sha256: Hash of the last line; to be kept elsewhere.
    """

    records: int
    problems: tuple[str, ...]
    last_sha256: str


def record(
    folder: Path,
    letter: Letter,
    application: Mapping[str, Any],
    renderings: Mapping[str, bytes | str],
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """Add one letter to the file.

    Args:
        folder: Ledger; made if it is not there, readable by its owner alone.
        letter: The letter as sent.
        application: The application as it came in, as JSON values.
        renderings: By file ending, such as ``{"pdf": ..., "txt": ...}``.
        provenance: How narrative and decision came about, as JSON values.

    Returns:
        The record's id. A letter that is on file already is not written again.

    Raises:
        DiskError: If the disk fails; what was there before is still there.
        RefusedError: If a rendering's file ending is not one.
    """
    contents = _contents(letter, application, renderings)
    if provenance is not None:
        contents["provenance.json"] = _json(provenance)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    name = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:32]
    with _locked(folder):
        last = _last_line(folder / LEDGER)
        if (folder / RECORDS / name).exists() and _has(folder / LEDGER, name):
            return name
        _draft(folder / DRAFTS / name, contents)
        entry = {
            "id": name,
            "files": hashes,
            "kind": letter.case.kind,
            "notified": letter.case.dates.notice.isoformat(),
            "retain_until": letter.retain_until.isoformat(),
            "retention": f"{letter.case.config.retention_months} months after notification "
            "(12 CFR 1002.12(b)(1))",
            "late": letter.late,
            "software": f"lendsafe {__version__}",
            "previous": _sha256(last) if last else _START,
        }
        _append(folder / LEDGER, json.dumps(entry, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        _put_in_place(folder, name)
    return name


def verify(folder: Path) -> Verification:
    """Read a ledger back and compare every byte with its hash.

    Raises:
        DiskError: If the folder cannot be read.
    """
    if (folder / LEDGER).exists() and (folder / DRAFTS).is_dir() and any((folder / DRAFTS).iterdir()):
        with _locked(folder):  # ends what a killed run began
            pass
    with disk_errors(folder):
        lines = (folder / LEDGER).read_bytes().split(b"\n")
    problems = [] if lines[-1] == b"" else [f"{LEDGER}: the last line was cut off"]
    known: set[str] = set()
    previous = _START
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
            name, files, before = str(entry["id"]), dict(entry["files"]), entry["previous"]
        except (ValueError, KeyError, TypeError):
            problems.append(f"{LEDGER}:{number}: not a record")
        else:
            if before != previous:
                problems.append(f"{LEDGER}:{number}: does not follow the line before it")
            if name != hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32]:
                problems.append(f"{LEDGER}:{number}: the record's id does not match its hashes")
            problems += _file_problems(folder, name, files)
            known.add(name)
        previous = _sha256(line)
    if (folder / RECORDS).is_dir():
        there = {one.name for one in (folder / RECORDS).iterdir()}
        problems += [f"{RECORDS}/{name}: not in the ledger" for name in sorted(there - known)]
    return Verification(records=len(lines) - 1, problems=tuple(problems), last_sha256=previous)


def _contents(
    letter: Letter, application: Mapping[str, Any], renderings: Mapping[str, bytes | str]
) -> dict[str, bytes]:
    written: dict[str, bytes] = {
        "application.json": _json(application),
        "assessment.json": _json(to_json(letter.case.assessment)),
        "letter.json": _json(letter_to_json(letter)),
        "narrative.txt": letter.case.narrative.encode("utf-8", "backslashreplace"),
    }
    for ending, content in renderings.items():
        if not ending.isalnum():
            raise RefusedError(f"A rendering's file ending is {ending!r}; expected letters or digits.")
        written[f"letter.{ending}"] = content.encode() if isinstance(content, str) else content
    return written


def _draft(folder: Path, contents: Mapping[str, bytes]) -> None:
    with disk_errors(folder, sum(map(len, contents.values()))):
        folder.mkdir(mode=0o700)  # a draft that was left has been ended before: see _recover
        for name, data in contents.items():
            path = folder / name
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


def _recover(folder: Path) -> None:
    """End what a run that was killed began: a draft with a line is a record, one without was none."""
    for draft in (folder / DRAFTS).iterdir():
        if f'"id": "{draft.name}"'.encode() in _last_line(folder / LEDGER):
            _put_in_place(folder, draft.name)
        else:
            shutil.rmtree(draft)


def _append(path: Path, line: bytes) -> None:
    with disk_errors(path, len(line)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        sync(path)


def _last_line(path: Path) -> bytes:
    """The last whole line, without reading the rest; half a line was never a record, and goes."""
    if not path.exists():
        return b""
    with disk_errors(path), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start and tail.count(b"\n") < 2:
            start = max(0, start - _TAIL)
            file.seek(start)
            tail = file.read(size - start)
        whole = tail[: tail.rfind(b"\n") + 1]
        if whole != tail:  # a run was killed while writing it
            file.truncate(size - len(tail) + len(whole))
    return whole[:-1].rpartition(b"\n")[2]


def _has(path: Path, name: str) -> bool:
    with disk_errors(path):
        return path.exists() and f'"id": "{name}"'.encode() in path.read_bytes()


def _file_problems(folder: Path, name: str, files: Mapping[str, str]) -> Iterator[str]:
    place = folder / RECORDS / Path(name).name
    there = {one.name for one in place.iterdir()} if place.is_dir() else set()
    for file, expected in sorted(files.items()):
        if file not in there:
            yield f"{RECORDS}/{name}/{file}: missing"
        elif hashlib.sha256((place / file).read_bytes()).hexdigest() != expected:
            yield f"{RECORDS}/{name}/{file}: changed since it was written"
    for file in sorted(there - set(files)):
        yield f"{RECORDS}/{name}/{file}: not in the ledger"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (RECORDS, DRAFTS):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _recover(folder)
            yield
        finally:
            os.close(lock)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, default=str) + "\n").encode()


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
