"""Where sentences and clauses begin and end."""

import re

Span = tuple[int, int]

_END = re.compile(r"(?<!\b[A-Za-z])(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)[.!?]+[\"')\u201d\u2019]*(?=\s|$)|\n+")
_CLAUSE = re.compile(
    r"[;:()\u2013\u2014]|,(?!\d)|\s-\s|\b(?:but|while|although|though|yet|however|whereas|and|so|because|which|nor|despite|or)\b"
)


def split(text: str) -> list[Span]:
    """Spans of the sentences of ``text``, without the white space around them."""
    spans, start = [], 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        piece = text[start:end]
        stripped = piece.strip()
        if stripped:
            first = start + len(piece) - len(piece.lstrip())
            spans.append((first, first + len(stripped)))
        start = end
    return spans


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
