"""Reference narratives: many true wordings of one assessment, facts as slots.

A narrative is an opening that states the decision, one block for each factor in the order
given (its weight, its fact and, in detail, why it matters), and sentences about the review
around them. Register and detail settle which wordings are likely; chance settles the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from lendsafe import parts, slots
from lendsafe.corpus.wordings import (
    HELD_OUT_SHARE,
    Pattern,
    Random,
    Wording,
    own_words,
    patterns,
    pick,
    say,
    shape,
)
from lendsafe.errors import DataError
from lendsafe.product import Product
from lendsafe.records import Assessment, Decision, Register, Style
from lendsafe.template import template_parts

MIN_WORDS, MAX_WORDS, LIMIT_WORDS = 66, 172, 178  # inside the 60 to 180 that a narrative may have
_TRIES = 8  # draws before the template, which always fits, takes the place of a long narrative
MAX_LED = 6  # with more factors than this, no sentence announces them
# Words to aim at, before a few more or less by chance.
TARGET_WORDS = {"standard": 106, "detailed": 128}
SPREAD_WORDS = 16
# Words of a narrative that explains nothing in detail: so much, and so much more for each factor.
BASE_WORDS, FACTOR_WORDS, WHY_WORDS, WHY_BUDGET = 24, 19, 11, 134
# Where sentences about the review go, in the order in which they are added to reach the target.
FILLERS = ("closing", "context", "closing", "context", "closing", "context", "closing")


@dataclass(frozen=True, slots=True)
class Voice:
    """Chance, wordings and register of one narrative, and what it has said already.

    Attributes:
        rng: Source of chance.
        wording: Which wordings may be drawn.
        register: Tone.
        used: Shapes of the patterns drawn so far; a narrative turns to another before it repeats itself.
    """

    rng: Random
    wording: Wording
    register: Register
    used: set[str] = field(default_factory=set)

    def say(self, path: str, *, several: bool = False) -> str:
        """Draw a wording of the frame that ``path`` names."""
        return self._drawn(patterns(self._table(), path, self.register), several=several)

    def say_own(self, product: Product, code: str, place: str) -> str:
        """Draw one of the product's wordings for a place of a reason; empty where it has none."""
        options = own_words(product, self._table(), code, place, self.register)
        return self._drawn(options) if options else ""

    def say_all(self, path: str, *, several: bool = False) -> list[str]:
        """Every sentence of a place, each in a drawn wording, the likelier ones first."""
        options = list(patterns(self._table(), path, self.register))
        drawn = []
        while options:
            drawn.append(say(options.pop(pick(len(options), self.rng)), self.rng, several=several))
        return drawn

    def _drawn(self, options: tuple[Pattern, ...], *, several: bool = False) -> str:
        fresh = [one for one in options if shape(one) not in self.used] or list(options)
        pattern = fresh[pick(len(fresh), self.rng)]
        self.used.add(shape(pattern))
        return say(pattern, self.rng, several=several)

    def _table(self) -> Literal["train", "held_out"]:
        if self.wording == "all":
            return "held_out" if self.rng.random() < HELD_OUT_SHARE else "train"
        return self.wording


def narrative(assessment: Assessment, style: Style, rng: Random, *, wording: Wording = "train") -> str:
    """Draw one narrative of an approval or a decline, as a reader sees it but for its slots.

    Arguments and errors as :func:`narrative_parts`.

    Returns:
        60 to 180 words in which every fact is a slot.
    """
    return parts.narrative(narrative_parts(assessment, style, rng, wording=wording))


def narrative_parts(
    assessment: Assessment, style: Style, rng: Random, *, wording: Wording = "train"
) -> tuple[str, ...]:
    """Draw one narrative of an approval or a decline, a text for each part that the assessment opens.

    Args:
        assessment: What to explain; its factors are named in order, each once, and no other.
        style: Register and detail.
        rng: Source of chance; equal states give equal texts.
        wording: ``train`` for training pairs, ``held_out`` for wordings that no training pair
            uses, ``all`` for both.

    Raises:
        DataError: If the decision is neither approved nor declined, or a decline has no reason.
    """
    if assessment.decision not in ("approved", "declined"):
        raise DataError(f"No reference narrative for the decision '{assessment.decision}'.")
    if assessment.decision == "declined" and not assessment.reasons:
        raise DataError("A decline needs at least one reason (12 CFR 1002.9(b)(2)).")
    values = slots.facts(assessment)
    for _ in range(_TRIES):
        texts = _draw(assessment, style, Voice(rng, wording, style.register), values)
        if _words(list(texts), values) <= LIMIT_WORDS:
            return texts
    return template_parts(assessment, style)


def _draw(assessment: Assessment, style: Style, voice: Voice, values: dict[str, str]) -> tuple[str, ...]:
    """One narrative, which is too long if there are very many factors and the long wordings are drawn."""
    body = list(blocks(assessment, style, voice))
    start = opening(assessment, voice)
    lead = [voice.say(f"lead.{assessment.decision}", several=len(body) > 1)] if body else []
    if len(body) > MAX_LED:
        lead = []
    while _words([start, *lead, *map(str, body)], values) > MAX_WORDS and any(block.why for block in body):
        last = max(index for index, block in enumerate(body) if block.why)
        body[last] = replace(body[last], why="")
    context, closing = _around(
        assessment.decision,
        [start, *lead, *map(str, body)],
        len(body) > 1,
        voice,
        _target(style, voice.rng),
        values,
    )
    return (" ".join([start, *context, *lead]), *map(str, body), " ".join(closing))


@dataclass(frozen=True, slots=True)
class Block:
    """The sentences about one factor.

    Attributes:
        weight: Names the factor and says how much it mattered.
        fact: Shows its figures, or empty.
        why: Says why it matters, or empty.
    """

    weight: str
    fact: str = ""
    why: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.weight, self.fact, self.why)))


def opening(assessment: Assessment, voice: Voice) -> str:
    """The sentences that state the request and the decision."""
    applicant = assessment.applicant
    name = applicant.product.request.amount
    amount = f"{{{name}}}" if applicant.values.get(name) is not None else "credit"
    drawn = voice.say(f"opening.{assessment.decision}").replace("{amount}", amount)
    return drawn.replace("<purpose>", f" {applicant.purpose}".rstrip())


def blocks(assessment: Assessment, style: Style, voice: Voice) -> Iterator[Block]:
    """One block for each factor, in order; what turned the other way is announced in its place."""
    order = [one for one in parts.of(assessment, style) if one.kind == "factor"]
    room = WHY_BUDGET - BASE_WORDS - FACTOR_WORDS * len(order)
    explained = max(0, room // WHY_WORDS) if style.detail == "detailed" else 0
    for index, part in enumerate(order):
        block = block_of(assessment, part, voice, explain=index < explained)
        turning = part.side == "against" and (index == 0 or order[index - 1].side != "against")
        if turning and index:
            turn = voice.say("turn", several=len(assessment.reasons) > 1)
            yield Block(f"{turn} {capitalized(block.weight)}", block.fact, block.why)
        else:
            yield Block(capitalized(_linked(block.weight, index, len(order), voice)), block.fact, block.why)


def block_of(assessment: Assessment, part: parts.Part, voice: Voice, *, explain: bool) -> Block:
    """The sentences about one factor, before capitals and linking words.

    Args:
        assessment: Whose factor it is; a fact that needs a value which is not known is left out.
        part: The factor, its side and its strength.
        voice: Wordings and chance.
        explain: Whether to say why it matters.
    """
    product, known = assessment.applicant.product, set(slots.facts(assessment))
    side = "in_favor" if part.side == "favorable" else "against"
    noun = voice.say_own(product, part.code, side)
    weight = voice.say(f"weight.{part.side}.{part.strength}").replace("{factor}", noun)
    fact = voice.say_own(product, part.code, f"fact_{side}")
    why = voice.say_own(product, part.code, f"why_{side}") if explain else ""
    return Block(weight, fact if known.issuperset(slots.names(fact)) else "", why)


def _linked(weight: str, index: int, count: int, voice: Voice) -> str:
    if index == 0:
        return weight
    return f"{voice.say('link.last' if index == count - 1 else 'link.middle')} {weight}".lstrip()


def _around(
    decision: Decision, said: list[str], several: bool, voice: Voice, target: float, values: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Sentences about the explanation as a whole, before and after the factors, until the length is right."""
    spare = {place: voice.say_all(f"{place}.{decision}", several=several) for place in ("context", "closing")}
    used: dict[str, list[str]] = {"context": [], "closing": []}
    for place in FILLERS:
        if not spare[place]:
            continue
        now = _words([*said, *used["context"], *used["closing"]], values)
        new = _words(spare[place][:1], values)
        if (now >= target - new / 2 and now >= MIN_WORDS) or now + new > MAX_WORDS:
            break
        used[place].append(spare[place].pop(0))
    return used["context"], used["closing"]


def _target(style: Style, rng: Random) -> float:
    return TARGET_WORDS[style.detail] + SPREAD_WORDS * (2 * rng.random() - 1)


def capitalized(text: str) -> str:
    """``text`` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _words(sentences: list[str], values: dict[str, str]) -> int:
    return len(slots.render(" ".join(sentences), values).split())
