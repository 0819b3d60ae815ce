"""MiniLM in numpy gives what sentence-transformers gives, and no vector is another text's."""

from datetime import date

import numpy as np
import pytest

from lendsafe.errors import ConfigError, RefusedError
from lendsafe.law import Law, Search
from lendsafe.law import encoder as module
from lendsafe.law.encoder import Encoder, is_installed
from lendsafe.law.meaning import FILE, Vectors, _read, context, write

pytestmark = pytest.mark.skipif(not is_installed(), reason="the model's package is not installed")
TEXTS = [
    "how many days do we have",
    "A creditor shall notify an applicant of action taken within: 30 days. " * 30,
    "x",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(check=True)


def test_the_same_as_sentence_transformers(encoder):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    reference = sentence_transformers.SentenceTransformer(str(encoder.folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), reference, atol=2e-6)


def test_a_text_alone_and_in_a_batch_has_one_vector(encoder):
    together = encoder.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(module, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(RefusedError, match="not the published weights"):
        Encoder.load(check=True)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"lendsafe\[search\]"):
        Encoder.load()


class Counting:
    """An encoder that counts what it has to encode."""

    def __init__(self, encoder: Encoder) -> None:
        self.inner, self.texts = encoder, []

    def encode(self, texts):
        self.texts += texts
        return self.inner.encode(texts)


def test_the_shipped_law_comes_with_its_vectors(encoder):
    law, day = Law.load(), date(2026, 11, 27)
    search, counting = Search(law, day), Counting(encoder)
    vectors = Vectors(law, day, search.labels, encoder=counting)
    matrix = vectors.matrix
    assert counting.texts == []
    some = [0, len(search.labels) // 2, len(search.labels) - 1]
    rows = law.rows(day)
    fresh = encoder.encode([context(search.labels[i], rows) for i in some])
    np.testing.assert_allclose(matrix[some], fresh, atol=1e-3)  # kept as float16


def test_what_is_missing_is_made_once_and_kept(encoder, tmp_path):
    law, day = Law.load(), date(2022, 6, 1)  # the notice had another sentence then
    labels = ("1002-9-b-1",)
    first, second = Counting(encoder), Counting(encoder)
    made = Vectors(law, day, labels, tmp_path, first).matrix
    again = Vectors(law, day, labels, tmp_path, second).matrix
    assert (len(first.texts), len(second.texts)) == (1, 0)
    np.testing.assert_allclose(made, again, atol=1e-3)


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_damaged_vectors_are_made_again(encoder, tmp_path, damage):
    law, day, labels = Law.load(), date(2022, 6, 1), ("1002-9-b-1",)
    whole = Vectors(law, day, labels, tmp_path, encoder).matrix
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    assert _read(path) == {}
    np.testing.assert_allclose(Vectors(law, day, labels, tmp_path, encoder).matrix, whole, atol=1e-3)


def test_vectors_of_another_model_or_not_finite_are_not_used(tmp_path, monkeypatch):
    path = tmp_path / FILE
    write(path, {b"12345678": np.full(384, np.nan)})
    assert _read(path) == {}
    write(path, {b"12345678": np.ones(384)})
    assert len(_read(path)) == 1
    monkeypatch.setattr("lendsafe.law.meaning.WEIGHTS_SHA256", "0" * 64)
    assert _read(path) == {}
