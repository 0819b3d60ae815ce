"""Sentences of ours that are the law's, compared with the text of the day, character by character."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from typing import Literal

from lendsafe.law.citations import citation, labels_in
from lendsafe.law.corpus import Law
from lendsafe.law.rows import under

Verdict = Literal["verbatim", "differs", "not at hand", "own words"]
_ALIKE = 0.82  # a sentence this like one of the law is taken for it
_SLOT = re.compile(r"\{\w+\}")
_GAP = r"(?:_{2,}|\[[^\]]*\]|[^.]{0,80}?)"  # what stands in the law where our text has a slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence and how it compares.

    Attributes:
        where: Of which block it is.
        text: What it says.
        citation: What its block cites.
        verdict: ``verbatim`` as of the day; ``differs`` if the law says nearly so, or said so before; ``not at
            hand`` if it was the law's and the text of the day is not known; ``own words`` if it never was.
        law: The law's wording, where it differs.
        label: Where the law says so.
    """

    where: str
    text: str
    citation: str
    verdict: Verdict
    law: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison found.

    Attributes:
        sentences: Every sentence that was compared.
        unresolved: Place and citation of each that names no paragraph.
    """

    sentences: tuple[Sentence, ...]
    unresolved: tuple[tuple[str, str], ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each sentence that differs and citation that does not resolve."""
        return (
            *(
                f"{one.where}: differs from {citation(one.label)}: {one.text!r}, there {one.law!r}"
                for one in self.sentences
                if one.verdict == "differs"
            ),
            *(f"{where}: '{cited}' names no paragraph" for where, cited in self.unresolved),
        )


def compare(blocks: Iterable[tuple[str, str, str]], law: Law, day: date) -> Drift:
    """Compare the sentences of blocks with the paragraphs that they cite.

    Args:
        blocks: Name, citation and text of each.
        law: All of it.
        day: As of which day.
    """
    sentences: list[Sentence] = []
    unresolved: list[tuple[str, str]] = []
    for name, cited, text in blocks:
        labels = labels_in(cited)
        unresolved += [(name, citation(one)) for one in labels if not law.resolves(one)]
        places = [one for one in law.order if any(_near(label, one) for label in labels)]
        sentences += [_compared(name, cited, one, places, law, day) for one in _sentences(text)]
    return Drift(tuple(sentences), tuple(unresolved))


def _near(label: str, place: str) -> bool:
    if label == "1002-C-form-1":  # its parts have labels of their own
        return place in (label, "1002-C-I", "1002-C-II")
    return place == label or place.startswith(f"{label}-") or under(label, place)


def _sentences(text: str) -> list[str]:
    """Without what is but a slot."""
    parts = re.split(r"(?<=[.?!:])\s+(?=[A-Z\[{])", text.strip())
    return [one for one in parts if len(_SLOT.sub("", one)) > 1]


def _compared(name: str, cited: str, text: str, places: Sequence[str], law: Law, day: date) -> Sentence:
    pattern = _pattern(text)
    known: list[tuple[str, str, bool]] = []  # label, text, whether as of the day
    missing = ""
    for label in places:
        now = law.paragraph(label, day)
        if now.text is not None:
            known.append((label, now.text, True))
        elif now.last_text:
            known.append((label, now.last_text, False))
    for label, says, current in known:
        if pattern.search(says):
            if current:
                return Sentence(where=name, text=text, citation=cited, verdict="verbatim", label=label)
            missing = missing or label
    if missing:
        return Sentence(where=name, text=text, citation=cited, verdict="not at hand", label=missing)
    near = max(
        (
            (_likeness(text, part), label, part)
            for label, says, now in known
            if now
            for part in _sentences(says)
            if not part.startswith("A statement ")  # it prescribes what is said, not the words
        ),
        default=(0.0, "", ""),
    )
    if near[0] >= _ALIKE or (before := _said_before(pattern, places, law)):
        label = near[1] if near[0] >= _ALIKE else before
        law_says = near[2] if near[0] >= _ALIKE else law.paragraph(label, day).last_text
        return Sentence(where=name, text=text, citation=cited, verdict="differs", law=law_says, label=label)
    return Sentence(where=name, text=text, citation=cited, verdict="own words")


def _said_before(pattern: re.Pattern[str], places: Sequence[str], law: Law) -> str:
    """Where an earlier text said it word for word."""
    for label in places:
        for version in law.versions(label):
            if version.row and pattern.search(version.row.text):
                return label
    return ""


def _pattern(text: str) -> re.Pattern[str]:
    """The sentence character by character; a slot stands for the law's blank."""
    return re.compile(_GAP.join(re.escape(part) for part in _SLOT.split(text.rstrip(".:"))))


def _likeness(ours: str, theirs: str) -> float:
    if not 0.5 < len(ours) / max(len(theirs), 1) < 2:
        return 0.0
    return SequenceMatcher(None, ours, theirs, autojunk=False).ratio()


__all__ = ["Drift", "Sentence", "compare"]
