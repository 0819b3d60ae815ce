"""The words that a model was taught, and which may follow which, so that an invention of its own does not pass.

A list of forbidden wordings finds what its author has thought of. A generated text comes from a model that learned
from texts a lender has read: a word that none of them holds, or two that none of them puts together, are no evidence of
an error, but nobody has approved them.

That is of use only where texts repeat themselves. How much they do is measured on texts held out from the training
(:func:`vocabulary`): what would flag too many of those is left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SLOT_OR_FIGURE = "{}"
KNOWN_TEXTS = 0.95  # share of the held-out texts that a vocabulary has to cover to be of use
_TOKEN = re.compile(
    r"(?P<figure>\{\w*\}|\$?\d[\d,.]*\d%?|\$?\d%?)|(?P<word>[a-z]+(?:'[a-z]+)*)|(?P<mark>[.,;:?!])"
)

Place = tuple[int, int, str]


@dataclass(frozen=True)
class Vocabulary:
    """What some texts hold.

    Attributes:
        words: In lower case.
        pairs: Words, marks and :data:`SLOT_OR_FIGURE` that follow one another; None allows any.
    """

    words: frozenset[str]
    pairs: frozenset[tuple[str, str]] | None = None

    def unknown(self, lowered: str) -> list[Place]:
        """Where a text, in lower case and as its model wrote it, holds what these texts do not."""
        tokens = _tokens(lowered)
        found = [one for one in tokens if _is_word(one[2]) and one[2] not in self.words]
        if self.pairs is not None and not found:
            found = [
                (before[0], after[1], lowered[before[0] : after[1]])
                for before, after in pairwise(tokens)
                if (before[2], after[2]) not in self.pairs
            ]
        return found

    def lines(self) -> str:
        """As text: a word or a pair a line."""
        pairs = sorted(" ".join(pair) for pair in self.pairs or ())
        return "".join(f"{line}\n" for line in [*sorted(self.words), *pairs])

    @classmethod
    def from_lines(cls, text: str) -> "Vocabulary":
        """Read :meth:`lines` back."""
        lines = [tuple(line.split()) for line in text.splitlines() if line.strip()]
        pairs = frozenset((one[0], one[1]) for one in lines if len(one) == 2)
        return cls(frozenset(one[0] for one in lines if len(one) == 1), pairs or None)


def vocabulary(texts: Iterable[str], held_out: Sequence[str]) -> Vocabulary | None:
    """What a model was taught, as far as it says something about texts it was not.

    Args:
        texts: That it was trained on.
        held_out: Of the same kind, that it was not; without any, nothing is known.

    Returns:
        Words and pairs if they cover 95 % of the held-out texts, else words alone if they do, else None.
    """
    known = learned(texts)
    for candidate in (known, Vocabulary(known.words)):
        covered = sum(not candidate.unknown(text.lower()) for text in held_out)
        if held_out and covered >= KNOWN_TEXTS * len(held_out):
            return candidate
    return None


def learned(texts: Iterable[str]) -> Vocabulary:
    """All words and pairs of some texts."""
    words, pairs = set[str](), set[tuple[str, str]]()
    for text in texts:
        tokens = [token for _, _, token in _tokens(text.lower())]
        words.update(filter(_is_word, tokens))
        pairs.update(pairwise(tokens))
    return Vocabulary(frozenset(words), frozenset(pairs))


def _tokens(lowered: str) -> list[Place]:
    plain = lowered.replace("\u2019", "'")
    return [
        (match.start(), match.end(), SLOT_OR_FIGURE if match["figure"] else match[0])
        for match in _TOKEN.finditer(plain)
    ]


def _is_word(token: str) -> bool:
    return token[0].isalpha()
