"""The law by date: snapshots of what it said on a day, and the rules known to have changed it since.

Of a paragraph and a day, the text is at hand if a snapshot shows it and no known rule changed it between. Where
that is not so, it is said, with the rule; the last text is never handed out as that of the day.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

from lendsafe.errors import ConfigError, DataError
from lendsafe.fields import build, did_you_mean, knob, parse_toml
from lendsafe.files import disk_errors
from lendsafe.law.citations import INTERP, ancestors, citation, labels_in, section_of
from lendsafe.law.rows import ENDING, Row, Snapshot, read_snapshot, under

Status = Literal["at hand", "not at hand", "absent"]
ADVICE = "This is a look-up, no legal advice."


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """A rule that changed the law after a snapshot.

    Attributes:
        day: Day on which it took effect.
        citation: In the Federal Register.
        summary: What it did, in a line.
        changes: Labels of paragraphs whose text it changed.
        elsewhere: Labels of sections in which it changed other paragraphs than those.
        adds: Label and heading of sections that it added.
        read: How it is known.
    """

    day: date = knob()
    citation: str = knob()
    summary: str = knob()
    changes: tuple[str, ...] = knob()
    elsewhere: tuple[str, ...] = knob(())
    adds: dict[str, str] = field(default_factory=dict)
    read: str = knob("")

    def changed(self, label: str) -> bool:
        """Whether it changed the paragraph's text."""
        return any(under(one, label) for one in (*self.changes, *self.adds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph as of a day.

    Attributes:
        label: Its name.
        citation: As it is cited.
        heading: Its own title; may be empty.
        headings: Titles of what it stands under, the outermost first.
        lead_in: What stands above it and is at hand: the beginnings of its sentences, the outermost first.
        text: What it says; None if that is not at hand for the day.
        last_text: The last text known before, for finding it; never the text of the day where ``text`` is None.
        status: Whether its text is at hand, not at hand, or there was no such paragraph.
        effective_from: First day on which the text is known to have been so; None if none is.
        effective_to: First day on which it is known to be so no longer; None if no such day is known.
        source: Where it was read.
        known_to: Day up to which changes of it are known: amendments were looked for, or it was read.
        note: What else has to be known; empty if nothing.
    """

    label: str
    citation: str
    heading: str
    headings: tuple[str, ...]
    lead_in: tuple[str, ...]
    text: str | None
    last_text: str
    status: Status
    effective_from: date | None
    effective_to: date | None
    source: str
    known_to: date
    note: str

    @property
    def sha256(self) -> str | None:
        """Hexadecimal SHA-256 of heading and text; None if the text is not at hand."""
        if self.text is None:
            return None
        return hashlib.sha256(f"{self.heading}\n{self.text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Version:
    """One stretch of days of a paragraph; ``row`` is None where it is not at hand or there is none."""

    start: date
    end: date  # date.max if no end is known
    row: Row | None
    source: str
    absent: bool = False
    by: str = ""
    read: date = date.min  # the last day on which it was read so


@dataclass(frozen=True)
class Law:
    """All snapshots and amendments.

    Attributes:
        snapshots: The oldest first.
        amendments: The oldest first.
        known_to: Day up to which amendments were looked for.
    """

    snapshots: tuple[Snapshot, ...]
    amendments: tuple[Amendment, ...]
    known_to: date

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read what ships and, from a folder, what was refreshed.

        Raises:
            DataError: If a snapshot is damaged.
        """
        shipped = files("lendsafe.law") / "snapshots"
        paths = [(Path(str(one)), one.name) for one in shipped.iterdir() if one.name.endswith(ENDING)]
        if folder is not None and folder.exists():
            with disk_errors(folder):
                paths += [(one, str(one)) for one in folder.iterdir() if one.name.endswith(ENDING)]
        found = [read_snapshot(path, name) for path, name in sorted(paths, key=lambda one: one[1])]
        table = parse_toml((files("lendsafe.law") / "amendments.toml").read_text("utf-8"), "amendments.toml")
        rules = [build(Amendment, one, "amendments.toml") for one in table["amendment"]]
        return cls(
            tuple(sorted(found, key=lambda one: one.day)),
            tuple(sorted(rules, key=lambda one: one.day)),
            table["known_to"],
        )

    @cached_property
    def sha256(self) -> str:
        """One hash over every row, day and rule: which law was looked up, for the record of a letter."""
        hashed = hashlib.sha256()
        for snapshot in self.snapshots:
            hashed.update(f"{snapshot.day} {snapshot.covers} {snapshot.source}\n".encode())
            for row in snapshot.rows:
                hashed.update(f"{row.label}\t{row.heading}\t{row.text}\n".encode())
        hashed.update(repr(self.amendments).encode())
        return hashed.hexdigest()

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Every label ever, in the order of the texts, the newest snapshot's first."""
        found: dict[str, None] = {}
        for snapshot in reversed(self.snapshots):
            found.update((row.label, None) for row in snapshot.rows)
        for rule in self.amendments:
            found.update((label, None) for label in rule.adds)
        return tuple(found)

    def find(self, text: str, day: date) -> list[Paragraph]:
        """The paragraphs that a citation or label names, with everything under each.

        Raises:
            DataError: If there is none of that name.
        """
        named = labels_in(text) or [text.strip()]
        found = [self.paragraph(label, day) for one in named for label in self.order if _below(one, label)]
        if not found:
            near = did_you_mean(text, [citation(one) for one in self.order])
            raise DataError(f"'{text}' names no paragraph of the law at hand.{near}")
        return found

    def paragraph(self, label: str, day: date) -> Paragraph:
        """One paragraph as of a day.

        Raises:
            DataError: If there is none of that label.
        """
        if not self.has(label):
            raise DataError(f"{citation(label)} names no paragraph of the law at hand.")
        key = (label, day)
        if key not in self._made:
            self._made[key] = self._paragraph(label, day)
        return self._made[key]

    def has(self, label: str) -> bool:
        """Whether there is, or was, a paragraph of that label."""
        return label in self._places

    def resolves(self, label: str) -> bool:
        """Whether a label names a paragraph, or the head of some."""
        whole = label if "-" not in label else f"{label}-"
        return label in self._places or any(one.startswith(whole) for one in self.order)

    def rows(self, day: date) -> dict[str, Row]:
        """The words by which every paragraph is found, as last known on a day: not for quoting."""
        return {label: self._last_row(label, day) for label in self.order}

    @cached_property
    def _made(self) -> dict[tuple[str, date], Paragraph]:
        return {}

    @cached_property
    def _rules(self) -> dict[str, list[Amendment]]:
        """The rules that have to do with a section, by section."""
        found: dict[str, list[Amendment]] = {}
        for rule in self.amendments:
            for one in {section_of(entry) for entry in (*rule.changes, *rule.elsewhere, *rule.adds)}:
                found.setdefault(one, []).append(rule)
        return found

    @cached_property
    def _places(self) -> dict[str, list[tuple[Snapshot, Row]]]:
        found: dict[str, list[tuple[Snapshot, Row]]] = {label: [] for label in self.order}
        for snapshot in self.snapshots:
            for row in snapshot.rows:
                found[row.label].append((snapshot, row))
        return found

    def _paragraph(self, label: str, day: date) -> Paragraph:
        row = self._last_row(label, day)
        above = [one for one in ancestors(label) if one in self._places]
        begun = [self.paragraph(one, day) for one in above if (INTERP in one) == (INTERP in label)]
        version = next(one for one in self.versions(label) if day < one.end or one.end == date.max)
        return Paragraph(
            label=label,
            citation=citation(label),
            heading=row.heading,
            headings=tuple(heading for one in above if (heading := self._last_row(one, day).heading)),
            lead_in=tuple(one.text for one in begun if one.text),
            text=version.row.text if version.row else None,
            last_text=row.text,
            status="absent" if version.absent else "at hand" if version.row else "not at hand",
            effective_from=version.start if version.row else None,
            effective_to=None if version.end == date.max else version.end,
            source=version.source,
            known_to=max([self.known_to, *(one.day for one in self.snapshots if one.covering(label))]),
            note=self._note(label, version, day),
        )

    def _last_row(self, label: str, day: date) -> Row:
        rows = [row for snapshot, row in self._places[label] if snapshot.day <= day]
        later = [row for _, row in self._places[label]]
        added = next((rule.adds[label] for rule in self.amendments if label in rule.adds), "")
        return rows[-1] if rows else later[0] if later else Row(label, added, "")

    def versions(self, label: str) -> list[_Version]:
        """A paragraph's stretches of days, without a gap from the first day of all to the last."""
        rows = {id(snapshot): row for snapshot, row in self._places[label]}
        seen = [one for one in self.snapshots if id(one) in rows or one.covering(label)]
        rules = [one for one in self._rules.get(section_of(label), ()) if one.changed(label)]
        if not seen:
            return _added(rules)
        found = [
            _Version(date.min, seen[0].day, None, "", by=f"The text before {seen[0].day} is not at hand.")
        ]
        start = seen[0].day
        for snapshot, following in zip(seen, [*seen[1:], None], strict=True):
            row = rows.get(id(snapshot))
            after = rows.get(id(following)) if following else None
            same = following is not None and (row and row.words) == (after and after.words)
            until = following.day if following else date.max
            between = [] if same else [one for one in rules if snapshot.day < one.day <= until]
            stretch = _Version(start, until, row, snapshot.source, absent=row is None, read=snapshot.day)
            found += _stretches(stretch, between, same)
            start = between[-1].day if between else until
        return _joined(found)

    def _note(self, label: str, version: _Version, day: date) -> str:
        if version.row is None and not version.absent:
            return version.by
        rules = [
            one
            for one in self._rules.get(section_of(label), ())
            if version.read < one.day <= day and not one.changed(label)
        ]
        others = [one for one in rules if any(under(place, label) for place in one.elsewhere)]
        return " ".join(
            f"{one.citation}, effective {one.day}, changed other paragraphs of the section; this one is not "
            "named among them."
            for one in others
        )


def _below(entry: str, label: str) -> bool:
    """The paragraph itself and its own subparagraphs; comments only where a comment was named."""
    return label == entry or (
        label.startswith(f"{entry}-") and ("Interp" in entry or "-Interp" not in label[len(entry) :])
    )


def _added(rules: list[Amendment]) -> list[_Version]:
    """A section that rules added and of which no snapshot has a word."""
    days = [one.day for one in rules]
    found = [_Version(date.min, days[0], None, "", absent=True)]
    for place, rule in enumerate(rules):
        end = days[place + 1] if place + 1 < len(days) else date.max
        found.append(_Version(rule.day, end, None, "", by=_changed(rule)))
    return found


def _changed(rule: Amendment) -> str:
    return (
        f"Changed by {rule.citation}, effective {rule.day} ({rule.summary}); the text since is not at hand."
    )


def _stretches(whole: _Version, rules: list[Amendment], same: bool) -> list[_Version]:
    """From a snapshot to the next, cut where the text is known to be so no longer."""
    assert whole.end is not None
    if rules:
        days = [*(one.day for one in rules[1:]), date.max if whole.end == date.max else rules[-1].day]
        first = replace(whole, end=rules[0].day)
        return [
            first,
            *(
                _Version(one.day, end, None, "", by=_changed(one))
                for one, end in zip(rules, days, strict=True)
                if one.day < end
            ),
        ]
    if same or whole.end == date.max:
        return [whole]
    # it changed on a day that is not known
    cut = min(whole.read + timedelta(days=1), whole.end)
    why = f"Changed between {whole.read} and {whole.end} by a rule that is not known here."
    found = [replace(whole, end=cut)]
    return [*found, _Version(cut, whole.end, None, "", by=why)] if cut < whole.end else found


def _joined(found: list[_Version]) -> list[_Version]:
    """Stretches with the same words as one; the source and wording of the later."""
    joined: list[_Version] = []
    for one in (one for one in found if one.start < one.end):
        before = joined[-1] if joined else None
        if (before and before.row and one.row and before.row.words == one.row.words) or (
            before and before.absent and one.absent
        ):
            joined[-1] = replace(one, start=before.start)
        else:
            joined.append(one)
    return joined


def day_of(text: str) -> date:
    """A day written as 2026-07-21.

    Raises:
        ConfigError: If it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise ConfigError(f"'{text}' is no day; write it as 2026-07-21.") from problem


__all__ = ["ADVICE", "Amendment", "Law", "Paragraph", "day_of"]
