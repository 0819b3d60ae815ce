"""Adds the text of a day to what is at hand."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from lendsafe.files import disk_errors
from lendsafe.law import client, ecfr
from lendsafe.law.citations import document_of
from lendsafe.law.corpus import Law
from lendsafe.law.rows import Snapshot
from lendsafe.law.store import Change, add, learnt


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What was added.

    Attributes:
        path: Where it is kept.
        snapshot: The text of the day.
        changes: What it says that was not known, or known otherwise.
    """

    path: Path
    snapshot: Snapshot
    changes: list[Change]


def refresh(
    folder: Path,
    part: str,
    *,
    file: Path | None = None,
    day: date | None = None,
    site: str | None = None,
) -> Refreshed:
    """Read eCFR's XML from a file or from the service, label it, and add it.

    Args:
        folder: Where refreshed texts are kept.
        part: ``1002`` or ``1022``, where it is fetched.
        file: XML of a part or section; without it, it is fetched.
        day: Of the text; the newest issue if it is fetched and no day is given.
        site: Address of the service; eCFR's if left out.

    Raises:
        DataError: If it is no such XML, or there is no issue.
        OfflineError: If the service cannot be reached.
        DiskError: If it cannot be kept; nothing half written is left.
    """
    base = site or client.ECFR
    if file is not None:
        assert day is not None
        with disk_errors(file):
            xml = file.read_bytes()
        where = str(file)
    else:
        day = client.issue_of(part, day, base)
        xml = client.fetch(part, day, base)
        where = f"eCFR, part {part}"
    read = ecfr.read(xml, where, day)
    source = f"eCFR, title 12, part {document_of(read.covers[0])}, issue of {day}"
    snapshot = replace(read, source=source)
    before = Law.load(folder)
    path = add(folder, snapshot)
    return Refreshed(path, snapshot, learnt(before, Law.load(folder), snapshot))
