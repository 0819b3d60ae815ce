"""Vectors of paragraphs and of questions: those of the shipped law come with it, others are made once and kept."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lendsafe.errors import DiskError
from lendsafe.files import replace_file
from lendsafe.law.citations import ancestors
from lendsafe.law.corpus import Law
from lendsafe.law.encoder import DIMENSIONS, WEIGHTS_SHA256, Encoder
from lendsafe.law.rows import Row
from lendsafe.law.store import locked

FILE = "vectors.safetensors"
_LEAD_IN = 400  # characters of the beginnings of sentences above, the last ones
_KEYS = "keys"  # one 8-byte key a vector


def context(label: str, rows: Mapping[str, Row]) -> str:
    """A paragraph as it is compared by meaning: headings above, beginnings of sentences above, its own words."""
    above = [rows[one] for one in ancestors(label) if one in rows]
    headings = dict.fromkeys(one.heading.rstrip(".") for one in above if one.heading)
    begun = " ".join(one.text for one in above if one.text)[-_LEAD_IN:]
    own = rows[label]
    return ". ".join([*headings, f"{begun} {own.heading} {own.text}"])


class Vectors:
    """Vectors of the paragraphs of an index; see :class:`lendsafe.law.search.Meaning`.

    Args:
        law: All of it.
        day: As of which day.
        labels: Paragraphs of the index.
        folder: Where vectors of refreshed paragraphs are kept; None keeps none.
        encoder: The model; loaded from its package when it is needed if left out.
    """

    def __init__(
        self,
        law: Law,
        day: date,
        labels: Sequence[str],
        folder: Path | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        rows = law.rows(day)
        self._texts = [context(label, rows) for label in labels]
        self._folder, self._given = folder, encoder

    def similarities(self, question: str) -> npt.NDArray[np.float64]:
        """Cosine of a question with each paragraph."""
        return np.asarray(self.matrix @ self.question(question), np.float64)

    def question(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of a question."""
        return np.asarray(self.encoder.encode([text])[0])

    @property
    def identity(self) -> str:
        """Hexadecimal SHA-256 over what was encoded, in order, and the weights."""
        return hashlib.sha256(b"".join(map(_key, self._texts)) + WEIGHTS_SHA256.encode()).hexdigest()

    @cached_property
    def encoder(self) -> Encoder:
        """The model."""
        return self._given or Encoder.load()

    @cached_property
    def matrix(self) -> npt.NDArray[np.float32]:
        """One vector a paragraph, shape (paragraphs, 384)."""
        keys = [_key(text) for text in self._texts]
        known = _read(Path(str(files("lendsafe.law") / FILE)))
        kept = _read(self._folder / FILE) if self._folder else {}
        known = kept | known
        missing = [i for i, key in enumerate(keys) if key not in known]
        if missing:
            made = self.encoder.encode([self._texts[i] for i in missing])
            new = {keys[i]: vector for i, vector in zip(missing, made, strict=True)}
            self._keep(kept | new)
            known |= new
        return np.stack([np.asarray(known[key], np.float32) for key in keys])

    def _keep(self, vectors: Mapping[bytes, npt.NDArray[Any]]) -> None:
        if self._folder is None:
            return
        try:
            with locked(self._folder):
                write(self._folder / FILE, vectors)
        except DiskError:  # they are made again next time
            return


def write(path: Path, vectors: Mapping[bytes, npt.NDArray[Any]]) -> None:
    """Write vectors by key, as float16."""
    from safetensors.numpy import save

    keys = np.frombuffer(b"".join(vectors), np.uint8).reshape(-1, 8)
    table = {_KEYS: keys, "vectors": np.stack(list(vectors.values())).astype(np.float16)}
    data = save(table, metadata={"weights_sha256": WEIGHTS_SHA256})
    replace_file(path, lambda temporary: temporary.write_bytes(data), len(data))


def ship(folder: Path) -> None:
    """Write the vectors of the law that ships."""
    law = Law.load()
    rows = law.rows(law.known_to)
    texts = [context(label, rows) for label, row in rows.items() if row.text]
    made = Encoder.load(check=True).encode(texts)
    write(folder / FILE, {_key(text): vector for text, vector in zip(texts, made, strict=True)})


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _read(path: Path) -> dict[bytes, npt.NDArray[Any]]:
    """Vectors of a file; none of one that is absent, damaged or another model's: they can be made again."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            if (file.metadata() or {}).get("weights_sha256") != WEIGHTS_SHA256:
                return {}
            keys, vectors = file.get_tensor(_KEYS), file.get_tensor("vectors")
    except (OSError, SafetensorError):
        return {}
    if (
        keys.shape != (len(vectors), 8)
        or vectors.shape[1:] != (DIMENSIONS,)
        or not np.isfinite(vectors).all()
    ):
        return {}
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
