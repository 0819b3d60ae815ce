"""A sentence as the readers of claims see it: lower case once, slots once, factors and figures once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.case import alike
from lendsafe.eval.truth.lexicon import lexicon, table
from lendsafe.eval.truth.mentions import Mention, read_sentence
from lendsafe.eval.truth.numbers import Quantity, read
from lendsafe.eval.truth.sentences import Span
from lendsafe.eval.truth.words import remembered, words
from lendsafe.slots import SLOT

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# verb: forms of it that no ending makes
_IRREGULAR = {
    form: base
    for base, forms in {
        "bear": "bore borne", "become": "became", "begin": "began begun", "break": "broke broken",
        "bring": "brought", "build": "built", "catch": "caught", "choose": "chose chosen", "come": "came",
        "deal": "dealt", "draw": "drew drawn", "drive": "drove driven", "fall": "fell fallen", "feel": "felt",
        "find": "found", "get": "got", "give": "gave given", "go": "went gone", "grow": "grew grown",
        "hear": "heard", "hold": "held", "keep": "kept", "know": "knew known", "lay": "laid", "lead": "led",
        "leave": "left", "lend": "lent", "lose": "lost", "make": "made", "mean": "meant", "meet": "met",
        "pay": "paid", "rise": "rose risen", "run": "ran", "say": "said", "see": "saw seen", "seek": "sought",
        "send": "sent", "show": "shown", "sit": "sat", "speak": "spoke spoken", "spend": "spent",
        "stand": "stood", "take": "took taken", "tell": "told", "think": "thought", "understand": "understood",
        "win": "won", "write": "wrote written",
    }.items()
    for form in forms.split()
}  # fmt: skip
_ENDINGS = (
    ("'s", ("",)), ("'re", ("",)), ("'ve", ("",)), ("'d", ("",)), ("'ll", ("",)),
    ("ies", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ied", ("y",)), ("ed", ("", "e")),
    ("ing", ("", "e")), ("ier", ("y",)), ("er", ("", "e")), ("iest", ("y",)), ("est", ("", "e")), ("ly", ("",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a text.

    Attributes:
        raw: As it is written.
        plain: In lower case, typographic marks made plain; offsets as in ``raw``.
        masked: The same with its slots blanked out.
        like: ``plain`` with large figures alike: what is read once for many sentences.
        start: Offset of the sentence in its text.
        outcome: 1 under an approval, -1 under any other decision.
    """

    raw: str
    plain: str
    masked: str
    like: str
    start: int
    outcome: int

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """Factors that it speaks of; offsets are within it."""
        return read_sentence(self.like, self.outcome).mentions

    @property
    def figures(self) -> tuple[Quantity, ...]:
        """Figures and slots, in order; offsets are within it."""
        return read(self.plain).figures

    @property
    def outside(self) -> tuple[Span, ...]:
        """Words of no field that an explanation is about."""
        return _outside(self.like, self.like_masked, self.outcome)

    @property
    def like_masked(self) -> str:
        """``masked`` with large figures alike."""
        return self.masked if self.like == self.plain else _blanked(self.like)

    @property
    def has_digits(self) -> bool:
        """Whether figures are written out."""
        return self.like != self.plain


def sentences_of(text: str, plain: str, *, approved: bool) -> Iterator[Sentence]:
    """The sentences of a text.

    Args:
        text: As it is written.
        plain: The same in lower case, of the same length.
        approved: Whether the decision is an approval.
    """
    like = alike(plain)
    for start, end in sentences.split(plain):
        low = plain[start:end]
        yield Sentence(text[start:end], low, _blanked(low), like[start:end], start, 1 if approved else -1)


def _blanked(plain: str) -> str:
    return SLOT.sub(lambda match: " " * len(match[0]), plain) if "{" in plain else plain


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
