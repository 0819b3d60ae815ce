"""Where sentences and clauses begin and end."""

import re
from collections.abc import Iterator
from functools import lru_cache

Span = tuple[int, int]

LONGEST = 500  # characters that are read as one sentence; a text without a full stop is read in pieces

_END = re.compile(r"[.!?]+[\"')\u201d\u2019]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(r"(?:\b[A-Za-z]|\b(?:mr|ms|mrs|dr|vs|approx))$", re.IGNORECASE)
_NUMBERED = re.compile(r"\bno\.\s*\d", re.IGNORECASE)  # "no. 7" goes on; "our answer is no." ends
_CLAUSE = re.compile(
    r"[;:()\u2013\u2014]|,(?!\d)|\s-\s|\b(?:but|while|although|though|(?<=, )yet|however|whereas|and|so|because|which|nor|despite|or)\b"
)


@lru_cache(maxsize=1 << 10)
def split(text: str) -> tuple[Span, ...]:
    """Spans of the sentences of ``text``, without the white space around them."""
    spans, start = [], 0
    for end in _cut([*_ends(text), len(text)], text):
        while start < end and text[start].isspace():
            start += 1
        last = end
        while last > start and text[last - 1].isspace():
            last -= 1
        if start < last:
            spans.append((start, last))
        start = end
    return tuple(spans)


def _ends(text: str) -> Iterator[int]:
    for match in _END.finditer(text):
        start = match.start()
        abbreviated = match[0] == "." and (
            _ABBREVIATION.search(text, max(0, start - 7), start) or _NUMBERED.match(text, max(0, start - 2))
        )
        if not abbreviated or match.end() == len(text):
            yield match.end()


def _cut(ends: list[int], text: str) -> Iterator[int]:
    """The ends, and one more at a space wherever a sentence would be longer than any that is read whole."""
    start = 0
    for end in ends:
        while end - start > LONGEST:
            space = text.rfind(" ", start + 1, start + LONGEST)
            start = space if space > start else start + LONGEST
            yield start
        yield end
        start = end


def lines(text: str) -> str:
    """The text with one sentence a line, as ROUGE-Lsum wants it."""
    return "\n".join(text[start:end] for start, end in split(text))


def clauses(sentence: str) -> list[Span]:
    """Spans of the clauses of a lower-case sentence; a conjunction belongs to the clause it opens."""
    spans, start = [], 0
    for match in _CLAUSE.finditer(sentence):
        if match.start() > start:
            spans.append((start, match.start()))
        start = match.start()
    spans.append((start, len(sentence)))
    return spans
