"""How much of a held-out set was in the training data: repeats, near-duplicates, shared wordings.

Measured before anything is scored. Rows that were trained on are refused by their hash elsewhere;
what is here finds rows that are new by hash and old by content.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lendsafe import slots
from lendsafe.eval.truth import sentences

GRAM = 8  # words
NEAR = 0.6  # share of a text's n-grams that one training text holds, from which it is a near-duplicate
_FIGURE = re.compile(r"\$?\d(?:[\d,.]*\d)?%?")
_WORD = re.compile(r"\w+|#")


@dataclass(frozen=True, slots=True)
class Near:
    """A held-out text that is close to a training text.

    Attributes:
        row: Index of the held-out text.
        trained: Index of the training text.
        overlap: Share of the held-out text's 8-grams that the training text holds, in [0, 1].
    """

    row: int
    trained: int
    overlap: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """What held-out texts share with training texts; figures and slots count as equal.

    Attributes:
        rows: Held-out texts.
        trained: Training texts.
        repeated: Held-out texts that are a training text, figures aside: the same template.
        near: Held-out texts of which one training text holds most 8-grams, the closest first.
        families: Distinct texts in the training data, figures aside.
        shared_sentences: Share of the held-out texts' sentences that occur in the training data, in [0, 1].
    """

    rows: int
    trained: int
    repeated: int
    near: tuple[Near, ...]
    families: int
    shared_sentences: float

    def lines(self) -> list[str]:
        """The findings as sentences."""
        return [
            f"{self.repeated} of {self.rows} held-out texts are a training text with other figures"
            f" ({self.families:,} such templates in {self.trained:,} training texts).",
            f"{len(self.near)} of {self.rows} are near-duplicates: one training text holds {NEAR:.0%} or more of"
            f" their {GRAM}-word sequences.",
            f"{self.shared_sentences:.0%} of their sentences occur in the training data, figures aside.",
        ]


def leakage(trained: Sequence[str], held_out: Sequence[str]) -> Leakage | None:
    """Compare held-out texts with training texts; None if there are none of either."""
    if not trained or not held_out:
        return None
    known = [_skeleton(text) for text in trained]
    new = [_skeleton(text) for text in held_out]
    families = set(known)
    known_sentences = {sentence for text in known for sentence in _sentences(text)}
    mine = [sentence in known_sentences for text in new for sentence in _sentences(text)]
    return Leakage(
        rows=len(new),
        trained=len(known),
        repeated=sum(text in families for text in new),
        near=_near(known, new),
        families=len(families),
        shared_sentences=sum(mine) / len(mine) if mine else 0.0,
    )


def _near(known: Sequence[str], new: Sequence[str]) -> tuple[Near, ...]:
    places: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for index, text in enumerate(known):
        for gram in _grams(text):
            places[gram].add(index)
    found = []
    for row, text in enumerate(new):
        grams = _grams(text)
        shared = Counter(index for gram in grams for index in places.get(gram, ()))
        if not shared:
            continue
        index, count = max(shared.items(), key=lambda pair: (pair[1], -pair[0]))
        if count >= NEAR * len(grams):
            found.append(Near(row, index, count / len(grams)))
    return tuple(sorted(found, key=lambda one: (-one.overlap, one.row)))


def _skeleton(text: str) -> str:
    return _FIGURE.sub("#", slots.SLOT.sub("#", text)).lower().strip()


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences.split(text)]


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text)
    size = min(GRAM, len(words))
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)} if words else set()
