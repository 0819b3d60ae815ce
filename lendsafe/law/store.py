"""Where refreshed texts are kept, and what a new one changed."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from pathlib import Path

from lendsafe.files import disk_errors
from lendsafe.law.corpus import Law, Paragraph
from lendsafe.law.rows import ENDING, Snapshot, write_snapshot

VARIABLE = "LENDSAFE_LAW"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Change:
    """A paragraph that is not the same on two days.

    Attributes:
        before: As of the earlier day.
        after: As of the later.
    """

    before: Paragraph
    after: Paragraph

    @property
    def what(self) -> str:
        """What happened to it, in a word or two."""
        pair = (self.before.status, self.after.status)
        if pair == ("at hand", "at hand"):
            return "changed"
        if "not at hand" in pair:
            return "known again" if self.after.status == "at hand" else f"now {self.after.status}"
        return "added" if self.before.status == "absent" else "removed"


def default_folder() -> Path:
    """Folder of refreshed texts: ``LENDSAFE_LAW``, or ``.lendsafe/law`` in the user's home."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path.home() / ".lendsafe" / "law"


def add(folder: Path, snapshot: Snapshot) -> Path:
    """Put a snapshot into the folder; two that write at once wait for each other.

    Raises:
        DiskError: If it cannot be written; what was there is still there.
    """
    name = f"{'-'.join(snapshot.covers)[:40]}-{snapshot.day.isoformat()}{ENDING}"
    with locked(folder):
        write_snapshot(snapshot, folder / name)
    return folder / name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for writing; it is made if it is not there."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with disk_errors(folder):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def changes(law: Law, labels: Sequence[str], first: date, second: date) -> list[Change]:
    """What of the labelled paragraphs is not the same on two days, in the order of the text."""
    return _differing((law.paragraph(one, first), law.paragraph(one, second)) for one in labels)


def learnt(before: Law, after: Law, snapshot: Snapshot) -> list[Change]:
    """What a new snapshot says of its day that was not known, or known otherwise."""
    labels = [one for one in after.order if snapshot.covering(one)]
    known = set(before.order)
    pairs = []
    for label in labels:
        now = after.paragraph(label, snapshot.day)
        was = before.paragraph(label, snapshot.day) if label in known else _absent(now)
        pairs.append((was, now))
    return _differing(iter(pairs))


def _absent(now: Paragraph) -> Paragraph:
    return Paragraph(
        label=now.label,
        citation=now.citation,
        heading="",
        headings=(),
        lead_in=(),
        text=None,
        last_text="",
        status="absent",
        effective_from=None,
        effective_to=None,
        source="",
        known_to=now.known_to,
        note="",
    )


def _differing(pairs: Iterator[tuple[Paragraph, Paragraph]]) -> list[Change]:
    return [
        Change(was, now)
        for was, now in pairs
        if (was.status, was.text) != (now.status, now.text)
        and (now.last_text or was.last_text)
        and not (was.text is not None and now.text is not None and was.text.split() == now.text.split())
    ]


def marked(before: str, after: str) -> str:
    """The later text with what went in ``[-...-]`` and what came in ``{+...+}``."""
    old, new = before.split(), after.split()
    parts = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(" ".join(old[i:j]))
            continue
        if i < j:
            parts.append(f"[-{' '.join(old[i:j])}-]")
        if k < m:
            parts.append(f"{{+{' '.join(new[k:m])}+}}")
    return " ".join(parts)
