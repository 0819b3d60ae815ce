"""Questions in everyday words to the paragraphs that answer them, or to none.

Three signals: BM25 over the paragraphs with what they stand under, the law's words that the glossary gives for
everyday ones, and citations. With the ``search`` extra a fourth, meaning: the cosine of MiniLM's vectors. A
question of which the best paragraphs say too little gets no answer rather than the nearest.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from importlib.resources import files
from typing import Protocol

import numpy as np

from lendsafe.law.citations import ancestors, labels_in
from lendsafe.law.corpus import Law, Paragraph
from lendsafe.law.index import STOP, Bm25, Floats, index, split, stems, words

LIMIT = 10
_SUPPORTERS = 3  # paragraphs that are looked at for whether they speak of the question
# Beside 1 for any other word: weight of an everyday word that the glossary knows, and of the law's words for it,
# together, none of which has more than 1.
_EVERYDAY, _LEGAL = 0.7, 4.0
_STRONG = 40.0  # BM25 of a question that a paragraph answers in full
_MEANING = 1.5  # weight of a cosine beside the share of the best BM25
_GAP = 2  # other words between two words of a phrase: "turned their loan down"
# The least support that is answered: nine of ten questions without an answer have less. Chosen on the tuning half of
# tests/law/questions.json, the other half measures it (tests/law/test_quality.py).
THRESHOLD, THRESHOLD_WITH_MEANING = 0.34, 0.8


class Meaning(Protocol):
    """What compares a question with every paragraph by meaning."""

    def similarities(self, question: str) -> Floats:
        """Cosine with each paragraph of the index, in its order."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A paragraph that speaks of a question.

    Attributes:
        paragraph: As of the day that was asked about; look at its status before quoting it.
        score: The higher the better; comparable within one question.
    """

    paragraph: Paragraph
    score: float


@dataclass(frozen=True, slots=True)
class _Term:
    """An everyday phrase of a question and the law's words for it."""

    places: range
    law: tuple[str, ...]


class Search:
    """The paragraphs as of a day, ready to be searched.

    Args:
        law: All of it.
        day: As of which day.
        meaning: Compares by meaning; None searches by words alone.
    """

    def __init__(self, law: Law, day: date, meaning: Meaning | None = None) -> None:
        self.law, self.day, self._meaning = law, day, meaning
        rows = law.rows(day)
        self.labels = tuple(label for label, row in rows.items() if row.text)
        own = {label: words(f"{row.heading} {row.text}") for label, row in rows.items()}
        self._texts = [
            (own[label], [word for above in ancestors(label) if above in own for word in own[above]])
            for label in self.labels
        ]

    def with_meaning(self, meaning: Meaning) -> "Search":
        """The same search with meaning compared as well."""
        self._meaning = meaning
        return self

    @property
    def _least(self) -> float:
        return THRESHOLD if self._meaning is None else THRESHOLD_WITH_MEANING

    def find(self, question: str, limit: int = LIMIT) -> list[Hit]:
        """The paragraphs that speak of a question, best first; none if nothing in the law does.

        Args:
            question: In any words; a citation in it is looked up.
            limit: The most paragraphs.
        """
        cited = self._cited(question)
        scores, support = self.scores(question)
        best = np.argsort(-scores, kind="stable")[: limit + len(cited) + 8]
        found = [self.labels[i] for i in best if scores[i] > 0] if support >= self._least else []
        score = dict(zip(self.labels, scores.tolist(), strict=True))
        top = float(scores.max(initial=0.0))
        hits = [
            Hit(self.law.paragraph(label, self.day), score.get(label, 0.0) + (top if label in cited else 0.0))
            for label in dict.fromkeys([*cited, *found])
        ]
        return [hit for hit in hits if hit.paragraph.status != "absent"][:limit]

    def beyond(self, question: str) -> str:
        """Which other law a question seems to be of; empty if none that is known."""
        return _Question(question).beyond

    def scores(self, question: str) -> tuple[Floats, float]:
        """Score of every paragraph, and how surely the best of them is an answer."""
        asked = _Question(question)
        scores = self._index.scores(asked.weights)
        support = 0.0 if asked.beyond else self._support(asked, scores)
        if self._meaning is not None and (top := scores.max(initial=0.0)) > 0:
            alike = self._meaning.similarities(asked.expanded)
            scores = scores / top + _MEANING * alike
            support += 0.0 if asked.beyond else float(alike.max())
        return scores, support

    @cached_property
    def _index(self) -> Bm25:
        return index(self._texts)

    @cached_property
    def _vocabularies(self) -> list[frozenset[str]]:
        return [frozenset(own) | frozenset(above) for own, above in self._texts]

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        counts: dict[str, int] = {}
        for vocabulary in self._vocabularies:
            for word in vocabulary:
                counts[word] = counts.get(word, 0) + 1
        total = len(self._texts)
        return {word: max(1.0, float(np.log((total + 1) / count))) for word, count in counts.items()}

    def _cited(self, question: str) -> list[str]:
        named = [label for label in labels_in(question) if self.law.resolves(label)]
        return [one for label in named for one in self.labels if one == label or one.startswith(f"{label}-")]

    def _support(self, asked: "_Question", scores: Floats) -> float:
        """How surely the best paragraph is an answer: what it says of the question, and how strongly.

        The first is the share of the question's words, rare ones counting more, that one of the best paragraphs
        has, in themselves or as the law's words for them; the second grows with the root of its BM25.
        """
        unheard = float(np.log(len(self._texts) + 1))
        best = np.argsort(-scores, kind="stable")[:_SUPPORTERS]
        said = max(self._said(asked, self._vocabularies[i], unheard) for i in best)
        return said * float(np.sqrt(scores.max(initial=0.0) / _STRONG))

    def _said(self, asked: "_Question", there: frozenset[str], unheard: float) -> float:
        said = total = 0.0
        for place, word in asked.words:
            weight = self._rarity.get(word, unheard)
            legal = [
                len(set(one.law) & there) / len(set(one.law)) for one in asked.terms if place in one.places
            ]
            total += weight
            said += weight * max([float(word in there), *legal])
        return said / total if total else 0.0


class _Question:
    """A question's words and what the glossary knows of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        split_, all_stems = split(text), stems(text)
        self.words = [(i, all_stems[i]) for i, word in enumerate(split_) if word not in STOP]
        found = [
            _Term(places, law)
            for first in dict.fromkeys(all_stems)
            for said, law in glossary().phrases.get(first, ())
            if (places := _place(said, all_stems)) is not None
        ]
        kept = [one for one in found if not any(_within(one.places, other.places) for other in found)]
        forms = [_Term(range(0), law) for asks, law in glossary().patterns if asks.search(text.lower())]
        self.terms = [*kept, *forms]
        self.beyond = next((of for said, of in glossary().beyond if _place(said, all_stems) is not None), "")

    @property
    def expanded(self) -> str:
        """The question with the law's words, as it is compared by meaning."""
        law = "; ".join(dict.fromkeys(" ".join(term.law) for term in self.terms if term.places))
        return f"{self.text} ({law})" if law else self.text

    @property
    def weights(self) -> dict[str, float]:
        """Words to search for, with their weights."""
        known = {place for term in self.terms for place in term.places}
        weights: dict[str, float] = {}
        for place, word in self.words:
            weights[word] = max(weights.get(word, 0.0), _EVERYDAY if place in known else 1.0)
        for term in self.terms:
            weight = min(1.0, _LEGAL / len(term.law))
            weights |= {word: max(weights.get(word, 0.0), weight) for word in term.law}
        return weights


def _place(said: Sequence[str], asked: Sequence[str]) -> range | None:
    """Where a phrase is in a question, with at most two other words between two of its own."""
    for start, word in enumerate(asked):
        if word != said[0]:
            continue
        place = start
        for one in said[1:]:
            gap = asked[place + 1 : place + 2 + _GAP]
            if one not in gap:
                break
            place += 1 + gap.index(one)
        else:
            return range(start, place + 1)
    return None


def _within(inner: range, outer: range) -> bool:
    return len(inner) < len(outer) and inner.start >= outer.start and inner.stop <= outer.stop


@dataclass(frozen=True, slots=True)
class Glossary:
    """What people say and what the law says for it, as stems.

    Attributes:
        phrases: By first word, words of an everyday phrase and words of the law.
        patterns: The form of a question, words of the law.
        beyond: Words of another law, and which that is.
    """

    phrases: Mapping[str, Sequence[tuple[tuple[str, ...], tuple[str, ...]]]]
    patterns: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    beyond: tuple[tuple[tuple[str, ...], str], ...]


@cache
def glossary() -> Glossary:
    """The reviewed glossary."""
    table = tomllib.loads((files("lendsafe.law") / "glossary.toml").read_text("utf-8"))
    phrases: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for one in table["entry"]:
        law = tuple(dict.fromkeys(words(one["law"])))
        for said in map(stems, one["say"]):
            phrases.setdefault(said[0], []).append((tuple(said), law))
    return Glossary(
        phrases,
        tuple((re.compile(one["asks"]), tuple(words(one["law"]))) for one in table["pattern"]),
        tuple((tuple(stems(say)), one["of"]) for one in table["beyond"] for say in one["say"]),
    )
