"""A paragraph as a source gives it, and the files of such rows: one snapshot is one text on one day."""

import gzip
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lendsafe.errors import DataError
from lendsafe.files import disk_errors, write_atomically
from lendsafe.law.citations import INTERP

ENDING = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled paragraph without its parents.

    Attributes:
        label: As :mod:`lendsafe.law.citations` describes.
        heading: Its own title, such as ``Statement of specific reasons.``; empty if it has none.
        text: What follows marker and heading; empty where a paragraph is but the head of others.
    """

    label: str
    heading: str
    text: str

    @property
    def words(self) -> str:
        """Heading and text, as compared between two days: not in white space, quotation marks or dashes."""
        return plain(f"{self.heading} {self.text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a text said on one day.

    Attributes:
        day: The day.
        covers: Labels of what was read as a whole: of these, a paragraph that is absent did not exist.
        source: Where the text was read.
        rows: In the order of the text.
    """

    day: date
    covers: tuple[str, ...]
    source: str
    rows: tuple[Row, ...]

    def covering(self, label: str) -> bool:
        """Whether it speaks of the label, by a row or by having none."""
        return any(under(one, label) for one in self.covers)


def under(entry: str, label: str) -> bool:
    """Whether a label lies under an entry.

    ``1002`` covers a whole text, ``1002-8`` a section without its comments, ``1002-8-Interp`` all comments on
    it, ``1002-6-a-Interp-2`` one comment with its items.
    """
    if "-" not in entry:
        return label.startswith(entry)
    head, mark, tail = entry.partition(f"-{INTERP}")
    lies, commented, _ = label.partition(f"-{INTERP}")
    if bool(mark) != bool(commented):
        return False
    if tail:
        return label == entry or label.startswith(f"{entry}-")
    return lies == head or lies.startswith(f"{head}-")


def plain(text: str) -> str:
    """Text with one kind of space, quotation mark and dash, so that two printings compare as one."""
    text = text.translate(_SAME)
    return re.sub(r"\s+", " ", text).strip()


_SAME = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "\u00a0": " "})


def write_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot as gzipped lines of JSON, the same bytes for the same content."""
    head = {"day": snapshot.day.isoformat(), "covers": snapshot.covers, "source": snapshot.source}
    lines = [head, *([row.label, row.heading, row.text] for row in snapshot.rows)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_atomically(path, gzip.compress(text.encode(), 9, mtime=0))


def read_snapshot(path: Path, name: str = "") -> Snapshot:
    """Read a snapshot.

    Raises:
        DataError: If it is damaged.
        DiskError: If it cannot be read.
    """
    try:
        with disk_errors(path):
            packed = path.read_bytes()
        lines = [json.loads(line) for line in gzip.decompress(packed).decode().splitlines()]
        head, rows = lines[0], tuple(Row(*map(str, line)) for line in lines[1:])
        day = date.fromisoformat(head["day"])
        covers, source = tuple(map(str, head["covers"])), str(head["source"])
    except (gzip.BadGzipFile, EOFError, ValueError, KeyError, TypeError, IndexError) as problem:
        raise DataError(
            f"{name or path}: not a snapshot of the law ({problem}). Remove it and refresh again."
        ) from problem
    return Snapshot(day=day, covers=covers, source=source, rows=rows)


def fold(pieces: Iterable[tuple[str, str, str]]) -> tuple[Row, ...]:
    """Rows of (label, heading, text), pieces of one label joined by line ends, in order of appearance."""
    headings: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    for label, heading, text in pieces:
        headings[label] = headings.get(label) or heading
        texts.setdefault(label, []).extend([text] if text else [])
    return tuple(Row(label, headings[label], "\n".join(found)) for label, found in texts.items())


def as_json(snapshots: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """Day, source and extent of snapshots."""
    return [
        {"day": one.day.isoformat(), "source": one.source, "covers": list(one.covers), "rows": len(one.rows)}
        for one in snapshots
    ]
