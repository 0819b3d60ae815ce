"""Reference narratives: many true wordings of one assessment, facts as slots.

A narrative is an opening that states the decision, one block for each factor in the order
given (its weight, its fact and, in detail, why it matters), and sentences about the review
around them. Register and detail settle which wordings are likely; chance settles the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from lendsafe import slots
from lendsafe.corpus.wordings import HELD_OUT_SHARE, Random, Wording, patterns, pick, purposes, say, shape
from lendsafe.errors import DataError
from lendsafe.records import Assessment, Decision, Reason, Register, Style
from lendsafe.template import template

Side = Literal["adverse", "against", "favorable"]

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
        """Draw a wording of the place that ``path`` names."""
        options = patterns(self._table(), path, self.register)
        fresh = [one for one in options if shape(one) not in self.used] or list(options)
        pattern = fresh[pick(len(fresh), self.rng)]
        self.used.add(shape(pattern))
        return say(pattern, self.rng, several=several)

    def say_all(self, path: str, *, several: bool = False) -> list[str]:
        """Every sentence of a place, each in a drawn wording, the likelier ones first."""
        options = list(patterns(self._table(), path, self.register))
        drawn = []
        while options:
            drawn.append(say(options.pop(pick(len(options), self.rng)), self.rng, several=several))
        return drawn

    def _table(self) -> Literal["train", "held_out"]:
        if self.wording == "all":
            return "held_out" if self.rng.random() < HELD_OUT_SHARE else "train"
        return self.wording


def narrative(assessment: Assessment, style: Style, rng: Random, *, wording: Wording = "train") -> str:
    """Draw one narrative of an approval or a decline.

    Args:
        assessment: What to explain; its factors are named in order, each once, and no other.
        style: Register and detail.
        rng: Source of chance; equal states give equal texts.
        wording: ``train`` for training pairs, ``held_out`` for wordings that no training pair
            uses, ``all`` for both.

    Returns:
        60 to 180 words in which every fact is a slot.

    Raises:
        DataError: If the decision is neither approved nor declined, or a decline has no reason.
    """
    if assessment.decision not in ("approved", "declined"):
        raise DataError(f"No reference narrative for the decision '{assessment.decision}'.")
    if assessment.decision == "declined" and not assessment.reasons:
        raise DataError("A decline needs at least one reason (12 CFR 1002.9(b)(2)).")
    values = slots.facts(assessment)
    for _ in range(_TRIES):
        text = _draw(assessment, style, Voice(rng, wording, style.register), values)
        if _words([text], values) <= LIMIT_WORDS:
            return text
    return template(assessment, style)


def _draw(assessment: Assessment, style: Style, voice: Voice, values: dict[str, str]) -> str:
    """One narrative, which is too long if there are very many factors and the long wordings are drawn."""
    body = list(blocks(assessment, style, voice))
    start = opening(assessment, voice)
    lead = [voice.say(f"lead.{assessment.decision}", several=len(body) > 1)] if body else []
    if len(body) > MAX_LED:
        lead = []
    while _words([start, *lead, *map(str, body)], values) > MAX_WORDS and any(block.why for block in body):
        last = max(index for index, block in enumerate(body) if block.why)
        body[last] = replace(body[last], why="")
    return _assemble(
        assessment.decision, start, [*lead, *map(str, body)], voice, _target(style, voice.rng), values
    )


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
    purpose = purposes()[assessment.applicant.loan_purpose]
    return voice.say(f"opening.{assessment.decision}").replace("<purpose>", f" {purpose}".rstrip())


def blocks(assessment: Assessment, style: Style, voice: Voice) -> Iterator[Block]:
    """One block for each factor, in order; what turned the other way is announced in its place."""
    known = set(slots.facts(assessment))
    order = factors(assessment, style)
    room = WHY_BUDGET - BASE_WORDS - FACTOR_WORDS * len(order)
    explained = max(0, room // WHY_WORDS) if style.detail == "detailed" else 0
    for index, (factor, side) in enumerate(order):
        block = block_of(factor, side, voice, known, explain=index < explained)
        turning = side == "against" and (index == 0 or order[index - 1][1] != "against")
        if turning and index:
            turn = voice.say("turn", several=len(assessment.reasons) > 1)
            yield Block(f"{turn} {capitalized(block.weight)}", block.fact, block.why)
        else:
            yield Block(capitalized(_linked(block.weight, index, len(order), voice)), block.fact, block.why)


def block_of(factor: Reason, side: Side, voice: Voice, known: set[str], *, explain: bool) -> Block:
    """The sentences about one factor, before capitals and linking words.

    Args:
        factor: What to word.
        side: Whether it is a reason for a decline, weighed against an approval, or helped.
        voice: Wordings and chance.
        known: Slots that have a value; a fact that needs another is left out.
        explain: Whether to say why it matters.
    """
    place = f"factor.{factor.code}.{'favorable' if side == 'favorable' else 'adverse'}"
    weight = voice.say(f"weight.{side}.{factor.strength}").replace("{factor}", voice.say(f"{place}.name"))
    fact = voice.say(f"{place}.fact")
    why = voice.say(f"{place}.why") if explain else ""
    return Block(weight, fact if known.issuperset(slots.names(fact)) else "", why)


def factors(assessment: Assessment, style: Style) -> list[tuple[Reason, Side]]:
    """The factors that a narrative explains, in order, with the side each is on.

    An approval shows what weighed against it only in detail.
    """
    if assessment.decision != "approved":
        return [(factor, "adverse") for factor in assessment.reasons]
    against = assessment.reasons if style.detail == "detailed" else ()
    return [(one, "favorable") for one in assessment.strengths] + [(one, "against") for one in against]


def _linked(weight: str, index: int, count: int, voice: Voice) -> str:
    if index == 0:
        return weight
    return f"{voice.say('link.last' if index == count - 1 else 'link.middle')} {weight}".lstrip()


def _assemble(
    decision: Decision, start: str, body: list[str], voice: Voice, target: float, values: dict[str, str]
) -> str:
    """Put sentences about the review around opening and factors until the length is right."""
    several = len(body) > 2  # a lead and more than one block
    spare = {place: voice.say_all(f"{place}.{decision}", several=several) for place in ("context", "closing")}
    used: dict[str, list[str]] = {"context": [], "closing": []}
    for place in FILLERS:
        if not spare[place]:
            continue
        now = _words([start, *body, *used["context"], *used["closing"]], values)
        new = _words(spare[place][:1], values)
        if (now >= target - new / 2 and now >= MIN_WORDS) or now + new > MAX_WORDS:
            break
        used[place].append(spare[place].pop(0))
    return " ".join([start, *used["context"], *body, *used["closing"]])


def _target(style: Style, rng: Random) -> float:
    return TARGET_WORDS[style.detail] + SPREAD_WORDS * (2 * rng.random() - 1)


def capitalized(text: str) -> str:
    """``text`` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _words(sentences: list[str], values: dict[str, str]) -> int:
    return len(slots.render(" ".join(sentences), values).split())
