"""Answers that are the law's: every sentence with its citation, every quotation to the letter.

A model may put the paragraphs that were found into an order and a sentence. A sentence of its is shown only where
it quotes a paragraph as of the day, has its words and figures, and denies nothing outside the quotation. A quotation
that is not in its paragraph, character by character, refuses the whole answer. Without a model the paragraphs are
the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lendsafe.law.citations import labels_in
from lendsafe.law.corpus import ADVICE, Paragraph
from lendsafe.law.index import words
from lendsafe.law.search import Hit
from lendsafe.records import Message

SYSTEM = (
    "You answer a lender's question about the law. Use only the numbered paragraphs. Write one to four short "
    'sentences. Quote the words that decide in "double quotes", exactly as they stand, and end each sentence with '
    "the number of its paragraph in square brackets, such as [1]. Give no advice."
)
NOTHING = "Nothing found: no paragraph at hand speaks of this."
SHOWN = 3  # paragraphs given to a model, and shown without one
_CARRIED = 0.7  # share of a sentence's words that its paragraph has to have
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
_MARK = re.compile(r"\[(\d+)\]")
_DENIES = re.compile(
    r"\b(not|no|never|none|neither|nor|without|unless|except|cannot|\w+n't)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer and the paragraphs that carry it."""

    text: str
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is shown.

    Attributes:
        question: As asked.
        day: As of which day.
        sentences: Of a model, each carried by a paragraph; empty without one, or where none held.
        paragraphs: What was found, best first.
        refused: Why what the model wrote is not shown, whole or in part; empty if all of it is.
        note: That it is no advice.
    """

    question: str
    day: date
    sentences: tuple[Sentence, ...]
    paragraphs: tuple[Paragraph, ...]
    refused: tuple[str, ...] = ()
    note: str = ADVICE


def conversation(question: str, hits: Sequence[Hit]) -> list[Message]:
    """What a model is asked: the question, and the paragraphs whose text of the day is at hand."""
    lines = [
        f"[{number}] {one.citation}: {' '.join(one.lead_in)} {one.heading} {one.text}".replace("  ", " ")
        for number, one in enumerate(_quotable(hits), start=1)
    ]
    return [Message("system", SYSTEM), Message("user", "\n\n".join([*lines, f"Question: {question}"]))]


def answer(question: str, day: date, hits: Sequence[Hit], written: str | None = None) -> Answer:
    """Check what a model wrote, or answer with the paragraphs.

    Args:
        question: As asked.
        day: As of which day.
        hits: What was found.
        written: Reply to :func:`conversation`; None without a model.
    """
    shown = tuple(hit.paragraph for hit in hits[:SHOWN])
    if written is None or not (given := _quotable(hits)):
        return Answer(question=question, day=day, sentences=(), paragraphs=shown)
    kept: list[Sentence] = []
    refused: list[str] = []
    for text in _sentences(written):
        carrying = _cited(text, given)
        if wrong := _misquoted(text, carrying or given):
            refused = [f"a quotation is not in the paragraph: {wrong!r}"]
            return Answer(question=question, day=day, sentences=(), paragraphs=shown, refused=tuple(refused))
        if not carrying:
            refused.append(f"no paragraph is cited for: {text!r}")
        elif not _carried(text, carrying):
            refused.append(f"the paragraph does not say: {text!r}")
        else:
            kept.append(Sentence(_MARK.sub("", text).replace(" .", ".").strip(), tuple(carrying)))
    return Answer(question=question, day=day, sentences=tuple(kept), paragraphs=shown, refused=tuple(refused))


def _quotable(hits: Sequence[Hit]) -> list[Paragraph]:
    return [hit.paragraph for hit in hits[:SHOWN] if hit.paragraph.text is not None]


def _sentences(text: str) -> list[str]:
    """Sentences with the marks that follow their full stop."""
    text = re.sub(r"([.!?][\"”]?)\s*((?:\[\d+\]\s*)+)", r" \2\1 ", " ".join(text.split()))
    return [one.strip() for one in re.split(r"(?<=[.!?])[\"”]?\s+", text) if re.search(r"\w", one)]


def _cited(text: str, given: Sequence[Paragraph]) -> list[Paragraph]:
    numbers = [int(one) for one in _MARK.findall(text)]
    named = labels_in(text)
    if any(not 1 <= one <= len(given) for one in numbers):
        return []
    found = [given[one - 1] for one in numbers] + [one for one in given if one.label in named]
    if set(named) - {one.label for one in given}:  # it cites what it was not given
        return []
    return list(dict.fromkeys(found))


def _misquoted(text: str, paragraphs: Sequence[Paragraph]) -> str:
    for quoted in _QUOTED.findall(text):
        if not any(
            quoted in says for one in paragraphs for says in (one.text or "", one.heading, *one.lead_in)
        ):
            return str(quoted)
    return ""


def _carried(text: str, paragraphs: Sequence[Paragraph]) -> bool:
    """Whether the paragraphs have the sentence's words, and every figure in it."""
    says = " ".join(
        part
        for one in paragraphs
        for part in (one.citation, *one.headings, *one.lead_in, one.heading, one.text or "")
    )
    if not _QUOTED.search(text) or _DENIES.search(_QUOTED.sub("", text)):
        return False
    own = words(_MARK.sub("", text))
    there = set(words(says))
    figures = set(re.findall(r"\d+", _MARK.sub("", text))) - set(re.findall(r"\d+", says))
    return bool(own) and not figures and sum(one in there for one in own) >= _CARRIED * len(own)


def in_words(one: Paragraph) -> str:
    """A paragraph with its citation and dates; what is not at hand says so, and its last text is not quoted."""
    named = f"{one.citation}  {one.heading}".rstrip()
    if one.text is None:
        return f"{named}\n  {one.note or 'There was no such paragraph.'}"
    until = f" until {one.effective_to}" if one.effective_to else ""
    lines = [*(f"  {part} ..." for part in one.lead_in), *(f"  {line}" for line in one.text.splitlines())]
    lines.append(f"  [text known from {one.effective_from}{until}; {one.source}]")
    return "\n".join([named, *lines, *([f"  {one.note}"] if one.note else [])])


def as_json(one: Paragraph) -> dict[str, Any]:
    """A paragraph for a program; ``text`` is null where it is not at hand."""
    return {
        "label": one.label,
        "citation": one.citation,
        "status": one.status,
        "heading": one.heading,
        "headings": list(one.headings),
        "lead_in": list(one.lead_in),
        "text": one.text,
        "effective_from": one.effective_from and one.effective_from.isoformat(),
        "effective_to": one.effective_to and one.effective_to.isoformat(),
        "source": one.source,
        "known_to": one.known_to.isoformat(),
        "sha256": one.sha256,
        "note": one.note,
    }
