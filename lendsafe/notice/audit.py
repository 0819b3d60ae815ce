"""Look at a record: is it whole, what vouches for it, whose letters are in it. Nothing is written."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lendsafe.errors import DiskError, RefusedError
from lendsafe.files import disk_errors
from lendsafe.notice import chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading a ledger back found.

    Attributes:
        records: Number of records.
        problems: One line each, naming the file; empty if every byte is as it was written.
        last_sha256: Hash of the last line.
    """

    records: int
    problems: tuple[str, ...]
    last_sha256: str


def verify(folder: Path, anchor: str | None = None) -> Verification:
    """Read a record back and compare every byte with its hash; nothing is mended.

    Without an anchor, whoever can write the folder can remove its last lines, or write the whole chain anew.

    Args:
        folder: The record.
        anchor: A line of :func:`anchor`, kept where whoever keeps the record cannot change it.

    Raises:
        DiskError: If the folder cannot be read.
    """
    if not folder.is_dir() or (anchor is None and not (folder / chain.LEDGER).exists()):
        raise DiskError(f"{folder / chain.LEDGER}: No such file or directory.")
    with disk_errors(folder), _not_being_written(folder):
        records, problems, last = chain.check(folder, anchor)
    return Verification(records=records, problems=tuple(dict.fromkeys(problems)), last_sha256=last)


@contextmanager
def _not_being_written(folder: Path) -> Iterator[None]:
    """Wait until nobody adds a record, so that none is seen half made."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def anchor(folder: Path) -> str:
    """One line that vouches for the whole ledger, to publish, to send, or to have time-stamped (RFC 3161).

    Raises:
        RefusedError: If the record does not verify: what is not whole is not vouched for.
        DiskError: If the folder cannot be read.
    """
    found = verify(folder)
    if found.problems:
        raise RefusedError(f"{folder}: {found.problems[0]}; what is not whole is not vouched for.")
    lines = entries(folder)
    return chain.anchor_line(len(lines), found.last_sha256, lines[-1]["written"] if lines else "-")


def find(folder: Path, application_id: str) -> list[dict[str, Any]]:
    """The records about an application, oldest first: id, kind, day, folder.

    Raises:
        DiskError: If the folder cannot be read.
    """
    found = []
    for entry in live(folder):
        letter = folder / chain.RECORDS / entry["id"] / "letter.json"
        if _application_of(letter) == application_id:
            found.append(
                {
                    "id": entry["id"],
                    "kind": entry["kind"],
                    "notified": entry["notified"],
                    "written": entry["written"],
                    "retain_until": entry["retain_until"],
                    "folder": str(letter.parent),
                }
            )
    return found


def _application_of(letter: Path) -> str | None:
    """The application that a letter on record is about; None if the letter is not there."""
    with disk_errors(letter):
        content = letter.read_bytes() if letter.is_file() and not letter.is_symlink() else b"{}"
    try:
        found = json.loads(content)["application_id"]
    except (ValueError, KeyError, TypeError):  # for `verify` to name
        return None
    return str(found)


def entries(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of the ledger.

    Raises:
        DiskError: If it cannot be read.
        RefusedError: If a line is none.
    """
    with disk_errors(folder):
        lines = (folder / chain.LEDGER).read_bytes().split(b"\n")[:-1]
    try:
        read = [json.loads(line) for line in lines]
    except ValueError as problem:
        raise RefusedError(f"{folder}: a line of the ledger cannot be read; verify it.") from problem
    if not all(isinstance(one, dict) and chain.is_id(str(one.get("id", one.get("expired")))) for one in read):
        raise RefusedError(f"{folder}: a line of the ledger is no record's; verify it.")
    return read


def live(folder: Path) -> Iterator[dict[str, Any]]:
    """Lines of records that were not destroyed."""
    lines = entries(folder)
    gone = {one["expired"] for one in lines if "expired" in one}
    return (one for one in lines if "id" in one and one["id"] not in gone)
