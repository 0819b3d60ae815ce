"""Adds the text of a day to what is at hand."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lendsafe.files import disk_errors
from lendsafe.law import client, ecfr
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
    snapshot = ecfr.read(xml, where, day, f"eCFR, title 12, part {part_of(xml, part)}, issue of {day}")
    before = Law.load(folder)
    path = add(folder, snapshot)
    return Refreshed(path, snapshot, learnt(before, Law.load(folder), snapshot))


def part_of(xml: bytes, part: str) -> str:
    """The part that the XML is of: its own first section's, else the one that was asked for."""
    start = xml.find(b'N="10')
    found = xml[start + 3 : start + 7].decode("ascii", "ignore") if start >= 0 else ""
    return found if found in client.PARTS else part
