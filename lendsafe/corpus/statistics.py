"""How varied a set of texts is, and how much one set shares with another."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_TOKEN = re.compile(r"\{?\w[\w.,'%]*\w\}?|\w|[$]")
_SENTENCE = re.compile(r"(?<=[.?!])\s+")


def tokens(text: str) -> list[str]:
    """Lower-case words and figures."""
    return _TOKEN.findall(text.lower())


def distinct(texts: Iterable[str], n: int) -> float:
    """Distinct-n: different n-grams over all n-grams (Li et al., 2016, arXiv 1510.03055), in [0, 1]."""
    grams = Counter(gram for text in texts for gram in _grams(tokens(text), n))
    return len(grams) / max(1, grams.total())


def duplicate_sentences(texts: Iterable[str]) -> float:
    """Share of sentences that occur more than once, in [0, 1]."""
    counts = Counter(sentence for text in texts for sentence in _SENTENCE.split(text) if sentence)
    return sum(count for count in counts.values() if count > 1) / max(1, counts.total())


def longest_shared(texts: Sequence[str], others: Iterable[str]) -> list[int]:
    """For each text, the tokens in its longest run that some other text has as well."""
    letters: dict[str, str] = {}  # each token as one character: a run of tokens is a piece of text

    def spelled(text: str) -> str:
        return "".join(letters.setdefault(token, chr(0x100 + len(letters))) for token in tokens(text))

    known = "\x00".join(map(spelled, others))
    return [_longest_piece(spelled(text), known) for text in texts]


def _longest_piece(text: str, known: str) -> int:
    longest = start = 0
    while start + longest < len(text):
        if text[start : start + longest + 1] in known:
            longest += 1
        else:
            start += 1
    return longest


def _grams(row: list[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(row[start:] for start in range(n)), strict=False))
