"""Which sentence of an unlabelled reply belongs to which part, by slots and words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lendsafe import parts, slots
from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.case import lowered
from lendsafe.eval.truth.language import Language
from lendsafe.eval.truth.mentions import mentions
from lendsafe.eval.truth.words import of_its_product, words
from lendsafe.parts import Part
from lendsafe.records import Assessment, Finding, Style

_BACK = re.compile(
    r"(?:this|that|it|they|these|those|such)\b(?! (?:is|are) the \w*\s?(?:reasons?|strengths?))"
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A reply in parts, as far as its sentences could be placed.

    Attributes:
        texts: The text of each part, empty where none was found.
        reply: With labels; empty if a sentence or a part has no place.
        unplaced: What could not be placed, with offsets in the unlabelled reply.
    """

    texts: tuple[str, ...]
    reply: str
    unplaced: tuple[Finding, ...]


@of_its_product
def label(reply: str, assessment: Assessment, style: Style, language: Language | None = None) -> Labelled:
    """Put labels to a reply.

    A sentence goes to the factor whose slot it shows or whose words it holds; one that speaks of none stays
    with what it follows, and behind the last factor belongs to the end.

    Args:
        reply: Without labels, in slot form.
        assessment: What it explains.
        style: How it was asked to be worded.
        language: Approved wordings; a sentence that is one of them goes where it is approved.
    """
    opened = parts.of(assessment, style)
    spans = sentences.split(reply)
    claims = list(_claims([reply[a:b] for a, b in spans], assessment, opened, language))
    homes, unplaced, at = list[int](), list[Finding](), 0
    for (start, end), wanted in zip(spans, claims, strict=True):
        ahead = [index for index in wanted if index >= at]
        if wanted and not ahead:
            unplaced.append(Finding("order", f"Comes after its part: {reply[start:end]!r}.", start, end))
        at = min(ahead, default=at)
        homes.append(at)
    said = [lowered(reply[start:end]) for start, end in spans]
    _settle_the_end(homes, claims, said, opened)
    _settle_the_turn(homes, claims, said, opened)
    texts = tuple(
        " ".join(reply[a:b] for (a, b), home in zip(spans, homes, strict=True) if home == index)
        for index in range(len(opened))
    )
    for name, text in zip(parts.labels(opened)[:-1], texts, strict=False):
        if not text:
            unplaced.append(Finding("missing", f"No sentence speaks of {name}.", len(reply), len(reply)))
    joined = "" if unplaced or any(mark in reply for mark in "[]\n") else parts.join(texts, opened)
    return Labelled(texts, joined, tuple(unplaced))


def _settle_the_end(
    homes: list[int], claims: Sequence[Sequence[int]], said: Sequence[str], opened: Sequence[Part]
) -> None:
    """What follows the last factor's sentences belongs to the end, unless it speaks of that factor or points back."""
    for index in reversed(range(len(homes))):
        part = opened[homes[index]]
        tied = part.code in _named(said[index]) or _BACK.match(said[index])
        if claims[index] or part.kind != "factor" or tied:
            return
        homes[index] = len(opened) - 1


def _settle_the_turn(
    homes: list[int], claims: Sequence[Sequence[int]], said: Sequence[str], opened: Sequence[Part]
) -> None:
    """A sentence that announces what weighed against an approval belongs to the first factor that did."""
    first = next((at for at, part in enumerate(opened) if part.side == "against"), None)
    if first is None or first not in homes:
        return
    before = homes.index(first) - 1
    if before >= 0 and homes[before] and not claims[before] and not _named(said[before]):
        homes[before] = first


def _named(sentence: str) -> set[str]:
    return {one.code for one in mentions(sentence, approved=False)}


def _claims(
    said: Sequence[str], assessment: Assessment, opened: Sequence[Part], language: Language | None
) -> Iterator[tuple[int, ...]]:
    """For each sentence, the parts that it may belong to; none if any."""
    for sentence in said:
        owners = _owners(sentence, assessment, opened, language)
        yield owners or _by_words(sentence, assessment, opened)


def _owners(
    sentence: str, assessment: Assessment, opened: Sequence[Part], language: Language | None
) -> tuple[int, ...]:
    if language is None:
        return ()
    plain = language.masked(sentence, words().purpose(assessment), assessment.missing)
    owners = language.owners(plain) or language.owners(plain[len(language.opener(plain)) :])
    found = [index for index, part in enumerate(opened) if part in owners]
    if any(one.kind == "turn" for one in owners):
        found += [index for index, part in enumerate(opened) if part.side == "against"][:1]
    ends = [one.kind for one in owners if one.code == assessment.decision and one.strength]
    found += [0] if "decision" in ends else []
    found += [len(opened) - 1] if "end" in ends else []
    return tuple(sorted(set(found)))


def _by_words(sentence: str, assessment: Assessment, opened: Sequence[Part]) -> tuple[int, ...]:
    known = words()
    shown = [known.spoken_of.get(name, "") for name in slots.names(sentence)]
    found = [index for index, part in enumerate(opened) if part.kind == "factor" and part.code in shown]
    if not found:
        approved = assessment.decision == "approved"
        named = {one.code for one in mentions(lowered(sentence), approved=approved) if not one.aside}
        found = [index for index, part in enumerate(opened) if part.kind == "factor" and part.code in named]
    return tuple(found)
