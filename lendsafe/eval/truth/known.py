"""What the readers of claims have in common: what is known of an assessment, what a claim is."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from lendsafe import parts, slots
from lendsafe.eval.truth.sentence import Sentence
from lendsafe.eval.truth.words import Words
from lendsafe.parts import Part
from lendsafe.records import Assessment, Style


@dataclass(frozen=True, slots=True)
class Claim:
    """Something a sentence says that is not so.

    Attributes:
        why: The kind of fault, then what is wrong.
        start: Offset in the sentence.
        end: Offset after it.
        fact: What it contradicts, as text.
    """

    why: str
    start: int
    end: int
    fact: str


@dataclass(frozen=True)
class Known:
    """What a sentence is held against.

    Attributes:
        assessment: Decision, factors and facts.
        words: Words of factors and facts.
        factors: Factor parts that a text about it may speak of, by code.
        shown: Facts as a reader sees them.
    """

    assessment: Assessment
    words: Words
    factors: dict[str, Part]
    shown: dict[str, str]

    @classmethod
    def of(cls, assessment: Assessment, words: Words) -> "Known":
        """Everything of an assessment, whatever detail a text goes into."""
        opened = parts.of(assessment, Style(detail="detailed"))
        factors = {part.code: part for part in opened if part.kind == "factor"}
        return cls(assessment, words, factors, slots.facts(assessment))

    def unknown(self, code: str) -> bool:
        """Whether the fact behind a factor is not known; that denies nothing in a text of others."""
        fact = self.words.rests_on.get(code)
        return fact is not None and fact not in self.shown

    @cached_property
    def rests_on_files(self) -> bool:
        """Whether a fact is behind any factor."""
        return any(self.words.factors[code].slots for code in self.factors)

    @cached_property
    def weights(self) -> frozenset[str]:
        """How strongly its factors weigh."""
        return frozenset(part.strength for part in self.factors.values())

    def held(self) -> str:
        """The factors as text."""
        return (
            ", ".join(f"{part.code} ({part.side}, {part.strength})" for part in self.factors.values())
            or "none"
        )


class Reader(NamedTuple):
    """Reads claims of one kind.

    Attributes:
        read: Yields the claims of a sentence.
        trigger: Without a match of it in the sentence there is none; None if that cannot be told.
    """

    read: Callable[[Sentence, Known], Iterator[Claim]]
    trigger: re.Pattern[str] | None
