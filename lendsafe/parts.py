"""A reply in parts: the decision, one part for each factor in order, the end.

The assessment opens the parts; a reply fills them, each behind its label::

    [decision] We have declined your request. [reason 1] ... [reason 2] ... [end] ...

So no factor can be missing, invented or out of order unseen, and every sentence is known to speak of
one of them. What a reader sees are the texts without their labels.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lendsafe.errors import DataError
from lendsafe.records import Assessment, Finding, Style

Kind = Literal["decision", "factor", "turn", "end"]
Side = Literal["adverse", "against", "favorable", ""]

# How a factor's part is called, by the side that the factor is on.
NAMES: dict[str, str] = {"adverse": "reason", "favorable": "strength", "against": "against"}
LABEL = re.compile(r"\[([^\[\]\n]*)\]")
_BRACKET = re.compile(r"[\[\]]")
_CLOSED = re.compile(r"[.!?][\"')\u2019\u201d]*\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """What a stretch of a reply speaks of; what it may say depends on all four.

    Attributes:
        kind: ``decision``, ``factor`` or ``end``; ``turn`` is no part of its own but what may stand at
            the head of a factor's: a sentence, or a word such as "Next,".
        code: The factor's code; of the decision and the end, the decision; of a turn, where it may stand:
            ``first``, ``middle``, ``last`` of the factors, or ``against``, the first that weighed against
            an approval.
        side: Of a factor: ``adverse`` (a reason of a decision that is adverse), ``against`` (weighed
            against an approval), ``favorable`` (helped).
        strength: Of a factor: ``slight``, ``moderate``, ``strong``. Of the other kinds, where a wording
            depends on the number of the factors: ``one``, ``several``; parts that are opened have none.
    """

    kind: Kind
    code: str
    side: Side = ""
    strength: str = ""


def of(assessment: Assessment, style: Style) -> tuple[Part, ...]:
    """The parts that an assessment opens, in order.

    Args:
        assessment: Decision and factors.
        style: An approval explains what weighed against it in detail only.

    Returns:
        The decision, each factor in the order of the prompt, the end.
    """
    return (
        Part("decision", assessment.decision),
        *_factors(assessment, style),
        Part("end", assessment.decision),
    )


def _factors(assessment: Assessment, style: Style) -> Iterator[Part]:
    approved = assessment.decision == "approved"
    if approved:
        for one in assessment.strengths:
            yield Part("factor", one.code, "favorable", one.strength)
    if not approved or style.detail == "detailed":
        for one in assessment.reasons:
            yield Part("factor", one.code, "against" if approved else "adverse", one.strength)


def labels(parts: Sequence[Part]) -> tuple[str, ...]:
    """The label before each part: ``[decision]``, ``[reason 1]``, ``[end]``; each name counts for itself."""
    counts: Counter[str] = Counter()
    written = []
    for part in parts:
        name = NAMES.get(part.side, part.kind)
        counts[name] += 1
        written.append(f"[{name} {counts[name]}]" if part.kind == "factor" else f"[{name}]")
    return tuple(written)


def join(texts: Sequence[str], parts: Sequence[Part]) -> str:
    """A reply, the form that is taught and generated: each text behind its label.

    Raises:
        DataError: If a text holds a bracket or a line break, or their number is not that of the parts.
    """
    if len(texts) != len(parts):
        raise DataError(f"A reply of {len(parts)} parts needs as many texts, not {len(texts)}.")
    for text in texts:
        if bad := re.search(r"[\[\]\n]", text):
            raise DataError(f"A part cannot hold {bad[0]!r}: {text!r}.")
    return " ".join(f"{label} {text}".rstrip() for label, text in zip(labels(parts), texts, strict=True))


def split(reply: str, parts: Sequence[Part]) -> list[str]:
    """The text of each part, labels and the space around them removed.

    Args:
        reply: What was written, with labels.
        parts: What had to be written.

    Raises:
        DataError: Naming every part that is missing, extra, out of order, cut off or goes on.
    """
    found = faults(reply, parts)
    if found:
        raise DataError(" ".join(one.message for one in found))
    return [text.strip() for text in LABEL.split(reply)[2::2]]


def narrative(texts: Sequence[str]) -> str:
    """What a reader sees: the texts, joined."""
    return " ".join(text for text in map(str.strip, texts) if text)


def spoken(reply: str) -> str:
    """What a reader sees of a reply, whether or not it is its parts: its text without labels."""
    return narrative(LABEL.split(reply)[::2])


def faults(reply: str, parts: Sequence[Part]) -> tuple[Finding, ...]:
    """Everything in which a reply is not its parts in their order, each complete.

    Args:
        reply: What was written, with labels.
        parts: What had to be written.

    Returns:
        Findings whose rule is ``missing``, ``extra``, ``order``, ``cut off`` or ``goes on``.
    """
    wanted = labels(parts)
    written = list(LABEL.finditer(reply))
    return (
        *_before(reply, written, wanted),
        *_labels(reply, written, wanted),
        *_texts(reply, written, wanted),
    )


def _before(reply: str, written: list[re.Match[str]], wanted: tuple[str, ...]) -> Iterator[Finding]:
    stray = LABEL.sub(lambda found: " " * len(found[0]), reply)
    for one in _BRACKET.finditer(stray):
        yield Finding("extra", "A bracket belongs to no label.", one.start(), one.end())
    first = written[0].start() if written else len(reply)
    if reply[:first].strip():
        yield Finding("extra", f"Text stands before the first part {wanted[0]}.", 0, first)


def _labels(reply: str, written: list[re.Match[str]], wanted: tuple[str, ...]) -> Iterator[Finding]:
    names = [one[0] for one in written]
    for label in wanted:
        if label not in names:
            rule = "cut off" if label == wanted[-1] else "missing"
            yield Finding(rule, f"The part {label} is missing.", len(reply), len(reply))
    seen: list[str] = []
    ended = False
    for one in written:
        if ended:
            yield Finding(
                "goes on", f"The reply goes on after its end with {one[0]}.", one.start(), one.end()
            )
        elif one[0] not in wanted or one[0] in seen:
            yield Finding("extra", f"The label {one[0]} was not opened here.", one.start(), one.end())
        elif seen and wanted.index(one[0]) < max(map(wanted.index, seen)):
            yield Finding("order", f"The part {one[0]} is out of order.", one.start(), one.end())
        if one[0] in wanted:
            seen.append(one[0])
        ended = ended or one[0] == wanted[-1]


def _texts(reply: str, written: list[re.Match[str]], wanted: tuple[str, ...]) -> Iterator[Finding]:
    ends = [*(one.start() for one in written), len(reply)][1:]
    for one, end in zip(written, ends, strict=True):
        text, last = reply[one.end() : end].strip(), one[0] == wanted[-1]
        if not text and not last:
            yield Finding("missing", f"The part {one[0]} is empty.", one.start(), one.end())
        elif text and not _CLOSED.search(text):
            yield Finding("cut off", f"The part {one[0]} is cut off.", one.end(), end)
        if "\n" in text:
            start = one.end() + reply[one.end() : end].index(text) + text.index("\n")
            yield Finding("goes on", f"The part {one[0]} goes on in a new line.", start, end)
