"""BM25 over paragraphs: SQLite's FTS5, or numpy where Python's SQLite lacks it. Both give the same scores.

A paragraph has two fields: its own words, and those of the headings and beginnings of sentences above it. The
formula is FTS5's: k1 = 1.2, b = 0.75, frequencies weighted by field, length in words of both fields
(https://sqlite.org/fts5.html#the_bm25_function).
"""

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FIELDS = (1.0, 0.5)  # weights of own words and of words above
_K1, _B = 1.2, 0.75
# Words that say nothing about what a question is about
_SMALL = """
a about actually after all already also always am an and any anything are as at be because been before being
both but by came can come comes could did do does doing each even ever every exactly few find fine for from
get gets got had happen happens has have having he her here hers him his how i if in instead into is it its
just kind know let like look looked looking lot made make many may maybe me might much must my no not
nothing now of off ok on one ones only or other others our out over own pick picking problem put really
right say says shall she should since so some somebody someone something still such take takes tell than
that the their them then there these they thing things think this those to too took trouble under up us use
used want wanted wants was we well were what when where whether which while who whom whose why will with
would yet you your
"""
STOP = frozenset(_SMALL.split())
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ions", "ion", "edly", "ers", "ed", "es", "er")


class Bm25(Protocol):
    """An index over texts."""

    def scores(self, weights: Mapping[str, float]) -> Floats:
        """Sum over the words of weight times BM25, for each text.

        Args:
            weights: Word, as :func:`words` gives it, to weight.

        Returns:
            One score a text, 0 where no word is in it, shape (texts,).
        """
        ...


def words(text: str) -> list[str]:
    """Stems of the words of a text that mean something."""
    return [_stem(one) for one in split(text) if one not in STOP]


def stems(text: str) -> list[str]:
    """Stems of all words of a text, the small ones too."""
    return [_stem(one) for one in split(text)]


def split(text: str) -> list[str]:
    """Words and numbers of a text in small letters."""
    return re.findall(r"[a-z]+|\d+", text.lower().replace("'s", "").replace("’s", ""))


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    """A light stemmer: endings of number, tense and nouns of action; ``notification`` and ``notify`` differ."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
            word = word[:-1]
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 4 and word[-1] == word[-2]:
        word = word[:-1]
    return word


class Fts5:
    """The index in memory, in SQLite."""

    def __init__(self, texts: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
        self._count = len(texts)
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE p USING fts5(own, above, tokenize='unicode61')")
        self._db.executemany(
            "INSERT INTO p(rowid, own, above) VALUES (?, ?, ?)",
            ((i, " ".join(own), " ".join(above)) for i, (own, above) in enumerate(texts)),
        )

    def scores(self, weights: Mapping[str, float]) -> Floats:
        """See :class:`Bm25`."""
        found = np.zeros(self._count)
        for weight in sorted(set(weights.values())):
            query = " OR ".join(f'"{word}"' for word, one in weights.items() if one == weight)
            rows = self._db.execute("SELECT rowid, bm25(p, ?, ?) FROM p WHERE p MATCH ?", (*FIELDS, query))
            if got := rows.fetchall():
                table = np.array(got)
                found[table[:, 0].astype(int)] -= weight * table[:, 1]  # FTS5 gives the better the smaller
        return found


class InMemory:
    """The same in numpy."""

    def __init__(self, texts: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
        lengths = np.array([len(own) + len(above) for own, above in texts], float)
        self._scale = _K1 * (1 - _B + _B * lengths / (lengths.mean() or 1.0))
        self._count = len(texts)
        postings: dict[str, list[tuple[int, float]]] = {}
        for i, (own, above) in enumerate(texts):
            frequencies: Counter[str] = Counter()
            for weight, field in zip(FIELDS, (own, above), strict=True):
                for word in field:
                    frequencies[word] += weight  # type: ignore[assignment]  # a weighted count
            for word, frequency in frequencies.items():
                postings.setdefault(word, []).append((i, frequency))
        self._postings = postings

    def scores(self, weights: Mapping[str, float]) -> Floats:
        """See :class:`Bm25`."""
        found = np.zeros(self._count)
        for word, weight in weights.items():
            if not (posting := self._postings.get(word)):
                continue
            places = np.array([i for i, _ in posting])
            frequency = np.array([f for _, f in posting])
            idf = max(math.log((self._count - len(posting) + 0.5) / (len(posting) + 0.5)), 1e-6)
            found[places] += weight * idf * frequency * (_K1 + 1) / (frequency + self._scale[places])
        return found


@cache
def has_fts5() -> bool:
    """Whether Python's SQLite can do it."""
    try:
        with sqlite3.connect(":memory:") as db:
            db.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError:
        return False
    return True


def index(texts: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Bm25:
    """The best index that this Python has."""
    made: Any = Fts5 if has_fts5() else InMemory
    return made(texts)  # type: ignore[no-any-return]  # either is a Bm25
