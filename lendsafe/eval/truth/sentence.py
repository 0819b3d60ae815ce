"""A sentence as the readers of claims see it: lower case once, slots once, factors and figures once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.lexicon import lexicon, table
from lendsafe.eval.truth.mentions import Mention, read_sentence
from lendsafe.eval.truth.numbers import Quantity, read
from lendsafe.eval.truth.sentences import Span
from lendsafe.eval.truth.words import remembered, words
from lendsafe.slots import SLOT

LONGEST = 1_200  # characters that are read as one sentence; what is longer is read in pieces

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_IRREGULAR = {
    "made": "make", "found": "find", "said": "say", "told": "tell", "gave": "give", "given": "give",
    "took": "take", "taken": "take", "saw": "see", "seen": "see", "led": "lead", "went": "go", "gone": "go",
    "came": "come", "began": "begin", "begun": "begin", "held": "hold", "kept": "keep", "knew": "know",
    "known": "know", "thought": "think", "felt": "feel", "paid": "pay", "left": "leave", "stood": "stand",
    "spent": "spend", "built": "build", "wrote": "write", "written": "write", "drove": "drive",
    "driven": "drive", "shown": "show", "chose": "choose", "chosen": "choose", "heard": "hear",
    "understood": "understand", "sought": "seek", "lent": "lend", "got": "get", "met": "meet",
    "spoke": "speak", "spoken": "speak",
}  # fmt: skip
_ENDINGS = (
    ("'s", ("",)), ("'re", ("",)), ("'ve", ("",)), ("'d", ("",)), ("'ll", ("",)), ("ies", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ied", ("y",)), ("ed", ("", "e")),
    ("ing", ("", "e")), ("ier", ("y",)), ("er", ("", "e")), ("iest", ("y",)), ("est", ("", "e")),
    ("ly", ("",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a text.

    Attributes:
        raw: As it is written.
        plain: In lower case, typographic marks made plain; offsets as in ``raw``.
        masked: The same with its slots blanked out.
        start: Offset of the sentence in its text.
        outcome: 1 under an approval, -1 under any other decision.
    """

    raw: str
    plain: str
    masked: str
    start: int
    outcome: int

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """Factors that it speaks of; offsets are within it."""
        return read_sentence(self.plain, self.outcome).mentions

    @property
    def figures(self) -> tuple[Quantity, ...]:
        """Figures and slots, in order; offsets are within it."""
        return read(self.plain).figures

    @property
    def outside(self) -> tuple[Span, ...]:
        """Words of no field that an explanation is about."""
        return _outside(self.plain, self.masked, self.outcome)


def sentences_of(text: str, plain: str, *, approved: bool) -> Iterator[Sentence]:
    """The sentences of a text; one that has no end for very long is cut at a space.

    Args:
        text: As it is written.
        plain: The same in lower case, of the same length.
        approved: Whether the decision is an approval.
    """
    for start, end in sentences.split(plain):
        for first, last in _pieces(plain, start, end):
            low = plain[first:last]
            masked = SLOT.sub(lambda match: " " * len(match[0]), low)
            yield Sentence(text[first:last], low, masked, first, 1 if approved else -1)


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    while end - start > LONGEST:
        cut = text.rfind(" ", start, start + LONGEST)
        cut = cut if cut > start else start + LONGEST
        yield start, cut
        start = cut
    yield start, end


@remembered(1 << 16)
def _outside(plain: str, masked: str, outcome: int) -> tuple[Span, ...]:
    known = [match.span() for match in words().named.finditer(masked)]
    known += [match.span() for match in lexicon().decision.finditer(masked)]
    known += [match.span() for match in lexicon().cues.finditer(masked)]
    known += [(one.start, one.end) for one in read(plain).figures]
    known += [match.span() for match in words().roles.finditer(masked)]
    known += [match.span() for match in words().all_purposes.finditer(masked)]
    return tuple(
        match.span()
        for match in _WORD.finditer(masked)
        if not _is_common(match[0], outcome)
        and not any(a <= match.start() and match.end() <= b for a, b in known)
    )


@cache
def _common(outcome: int) -> frozenset[str]:
    """Words of the fields; papers to sign are a matter of an approval alone."""
    fields = table()["common"].items()
    return frozenset(word for name, field in fields if name != "papers" or outcome > 0 for word in field)


@lru_cache(maxsize=1 << 14)
def _is_common(word: str, outcome: int) -> bool:
    common = _common(outcome)
    return len(word) == 1 or any(base in common for base in _bases(word))


def _bases(word: str) -> Iterator[str]:
    """What a word may be a form of."""
    yield word
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            stem = word[: -len(ending)]
            for tail in instead:
                yield stem + tail
            if len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]  # "stopped"
