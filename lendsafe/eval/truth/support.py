"""What of a reply in parts may be sent: a verdict for each sentence.

*supported*     an approved wording of that very part says it, and the facts allow it
*contradicted*  the facts, the decision, the strength, the side, the purpose or the order deny it
*unsupported*   nobody approved it

Only what is supported throughout is sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lendsafe import parts, slots
from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.language import Language, key
from lendsafe.eval.truth.words import Words, of_its_product, words
from lendsafe.parts import Part
from lendsafe.records import Assessment, Style

Support = Literal["supported", "contradicted", "unsupported"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one sentence.

    Attributes:
        kind: ``supported``, ``contradicted`` or ``unsupported``.
        start: Offset in the text.
        end: Offset after it.
        why: What it rests on, or what is wrong, in a few words: the kind of fault first.
        fact: What it contradicts, as text.
        part: Position of the part that it stands in; -1 if the text has no parts.
    """

    kind: Support
    start: int
    end: int
    why: str
    fact: str = ""
    part: int = -1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sentence stands: its part, and what else may stand there.

    Attributes:
        part: The part.
        turns: Where a turn at its head may come from.
        number: ``one`` or ``several`` factors.
    """

    part: Part
    turns: tuple[Part, ...]
    number: str

    def parts(self) -> tuple[Part, ...]:
        """Parts whose wordings are approved here."""
        if self.part.kind == "factor":
            return (self.part,)
        return (self.part, Part(self.part.kind, self.part.code, "", self.number))


def places(opened: Sequence[Part]) -> list[Place]:
    """What may stand in each part of a reply.

    Args:
        opened: Parts in order, as :func:`lendsafe.parts.of` opens them.
    """
    factors = [part for part in opened if part.kind == "factor"]
    number = "several" if len(factors) > 1 else "one"
    against = [part.side for part in factors].count("against")
    found, index = [], 0
    for part in opened:
        turns: tuple[Part, ...] = ()
        if part.kind == "factor":
            where = "first" if index == 0 else "last" if index == len(factors) - 1 else "middle"
            turns = (Part("turn", where),)
            if part.side == "against" and index and factors[index - 1].side != "against":
                turns += (
                    Part("turn", "against"),
                    Part("turn", "against", "", "one" if against == 1 else "several"),
                )
            index += 1
        found.append(Place(part, turns, number))
    return found


@of_its_product
def support(
    texts: Sequence[str],
    assessment: Assessment,
    style: Style,
    language: Language | None,
    known: Words | None = None,
) -> list[Verdict]:
    """A verdict for every sentence of a reply.

    Args:
        texts: The text of each part, as :func:`lendsafe.parts.split` gives them, in slot form.
        assessment: What it has to be true of.
        style: How it was asked to be worded.
        language: What is approved; None if that is not known, and then nothing is supported.
        known: Words of factors and facts; the consumer product's by default.

    Returns:
        In order; offsets are in the slot-form narrative, :func:`lendsafe.parts.narrative` of the texts.
    """
    reader = _Reader(assessment, language, known or words())
    offset, found = 0, list[Verdict]()
    for index, (place, text) in enumerate(zip(places(parts.of(assessment, style)), texts, strict=True)):
        plain = text.strip()
        for verdict in reader.part(place, plain):
            found.append(
                Verdict(
                    verdict.kind,
                    verdict.start + offset,
                    verdict.end + offset,
                    verdict.why,
                    verdict.fact,
                    index,
                )
            )
        offset += len(plain) + 1 if plain else 0
    return found


class _Reader:
    """Sentences of one reply, held against what is approved and what is so."""

    def __init__(self, assessment: Assessment, language: Language | None, known: Words) -> None:
        self.assessment, self.language, self.words = assessment, language, known
        self.shown = slots.facts(assessment)
        self.purpose = known.purpose(assessment)
        self.said: set[tuple[str, ...]] = set()

    def part(self, place: Place, text: str) -> Iterator[Verdict]:
        for number, (start, end) in enumerate(sentences.split(text)):
            kind, why, fact = self._sentence(place, text[start:end], head=number == 0)
            yield Verdict(kind, start, end, why, fact)

    def _sentence(self, place: Place, sentence: str, *, head: bool) -> tuple[Support, str, str]:
        if self.language is None:
            return "unsupported", "nothing is approved", ""
        plain = self.language.masked(sentence, self.purpose, self.assessment.missing)
        if key(plain) in self.said:
            return "unsupported", "said twice", ""
        self.said.add(key(plain))
        if not self._approved(place, plain, head=head):
            return self._not_approved(place, plain)
        unknown = [name for name in slots.names(sentence) if name not in self.shown]
        if unknown:
            return "unsupported", f"fact: no value for {{{unknown[0]}}}", ""
        denied = self.words.denied(place.part.code, place.part.side, self.assessment)
        if denied:
            return "contradicted", f"facts: they deny {place.part.code}", denied
        return "supported", "approved", ""

    def _approved(self, place: Place, plain: str, *, head: bool) -> bool:
        language = self.language
        assert language is not None  # `_sentence` has dealt with it
        if any(language.allows(part, plain) for part in place.parts()):
            return True
        if not head:
            return False
        if any(language.allows(turn, plain) for turn in place.turns):
            return True
        opener = language.opener(plain)
        return any(language.allows(turn, opener) for turn in place.turns) and language.allows(
            place.part, plain[len(opener) :]
        )

    def _not_approved(self, place: Place, plain: str) -> tuple[Support, str, str]:
        """Whose words they are, if they are anybody's."""
        language = self.language
        assert language is not None
        others = language.purposes_in(plain)
        if others:
            bare = plain
            for name in others:
                bare = language.masked(bare, name, ())
            if any(language.allows(part, bare) for part in place.parts()):
                return "contradicted", "purpose: another one", f"purpose: {self.purpose}"
        owners = language.owners(plain) or language.owners(plain[len(language.opener(plain)) :])
        return _difference(place, owners) if owners else ("unsupported", "not approved", "")


def _difference(place: Place, owners: Sequence[Part]) -> tuple[Support, str, str]:
    """How the part that a sentence is approved for differs from the one that it stands in."""
    here = place.part
    near = min(owners, key=lambda one: _distance(one, here))
    if near.kind == "turn" or (near.kind == here.kind != "factor" and near.code == here.code):
        return "contradicted", "order: not at this place", f"{place.number} of the factors"
    if near.kind != here.kind:
        return "unsupported", f"place: belongs to the {near.kind}", ""
    if here.kind != "factor":
        return "contradicted", f"decision: {near.code}", f"decision = {here.code}"
    if near.code != here.code:
        return "contradicted", f"owner: speaks of {near.code}", f"factor = {here.code}"
    if (near.side == "favorable") != (here.side == "favorable"):
        return "contradicted", f"direction: {near.side}", f"{here.code}: {here.side}"
    if near.strength != here.strength:
        return "contradicted", f"strength: {near.strength}", f"{here.code}: {here.strength}"
    return "unsupported", f"place: approved where it is {near.side}", ""


def _distance(one: Part, here: Part) -> tuple[bool, ...]:
    return (
        one.kind != here.kind,
        one.code != here.code,
        (one.side == "favorable") != (here.side == "favorable"),
        one.strength != here.strength,
        one.side != here.side,
    )
