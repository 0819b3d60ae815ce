"""The ways to search: by words alone, by meaning as well, or by meaning with the vectors in Chroma."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from lendsafe.law.collection import Collection
from lendsafe.law.corpus import Law
from lendsafe.law.index import Floats
from lendsafe.law.meaning import Vectors
from lendsafe.law.search import Search

Way = Literal["words", "meaning", "chroma"]
WAYS: tuple[str, ...] = get_args(Way)
_NEAREST = 200  # paragraphs that Chroma is asked for; those beyond count as unlike


class _InChroma:
    """Compares by meaning through a collection."""

    def __init__(self, collection: Collection, vectors: Vectors, labels: tuple[str, ...]) -> None:
        self._collection, self._vectors = collection, vectors
        self._places = {label: place for place, label in enumerate(labels)}

    def similarities(self, question: str) -> Floats:
        """See :class:`lendsafe.law.search.Meaning`."""
        found = np.zeros(len(self._places))
        for label, cosine in self._collection.nearest(self._vectors.question(question).tolist(), _NEAREST):
            found[self._places[label]] = cosine
        return found


@contextmanager
def searching(
    law: Law,
    day: date,
    way: Way = "words",
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Search]:
    """A search as of a day; what it started ends with the block.

    Args:
        law: All of it.
        day: As of which day.
        way: How to compare; ``meaning`` needs the ``search`` extra, ``chroma`` also ``rag``.
        folder: Where vectors and the collection are kept; needed for ``chroma``.
        say: Told what had to be rebuilt.

    Raises:
        ConfigError: If a package is missing.
    """
    if way == "words":
        yield Search(law, day)
        return
    plain = Search(law, day)
    vectors = Vectors(law, day, plain.labels, folder)
    if way == "meaning":
        yield plain.with_meaning(vectors)
        return
    assert folder is not None
    with Collection(
        folder, f"law-{vectors.identity[:32]}", plain.labels, lambda: vectors.matrix, say
    ) as collection:
        yield plain.with_meaning(_InChroma(collection, vectors, plain.labels))
