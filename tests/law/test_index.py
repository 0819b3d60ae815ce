"""BM25: SQLite's and ours are one, and one value is the formula's by hand."""

import math
import sqlite3
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.law import index as module
from lendsafe.law.index import Fts5, InMemory, has_fts5, index, split, stems, words

WORDS = st.sampled_from(["denial", "credit", "notice", "reason", "score", "days", "age", "spouse"])
TEXTS = st.lists(
    st.tuples(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=12)), min_size=1, max_size=12
)


@pytest.mark.skipif(not has_fts5(), reason="this Python's SQLite lacks FTS5")
@settings(max_examples=60, deadline=None)
@given(TEXTS, st.dictionaries(WORDS, st.sampled_from([0.5, 1.0]), min_size=1, max_size=5))
def test_sqlite_and_numpy_score_the_same(texts, weights):
    np.testing.assert_allclose(Fts5(texts).scores(weights), InMemory(texts).scores(weights), atol=1e-9)


@pytest.mark.parametrize(
    "kind", [InMemory, pytest.param(Fts5, marks=pytest.mark.skipif(not has_fts5(), reason="no FTS5"))]
)
def test_one_score_by_hand(kind):
    """Three texts of lengths 2, 2, 4; "age" once, in the own words of the first."""
    made = kind(
        [(["age", "limit"], []), (["credit"], ["notice"]), (["credit", "notice"], ["credit", "days"])]
    )
    idf = math.log((3 - 1 + 0.5) / (1 + 0.5))
    length = 1.2 * (1 - 0.75 + 0.75 * 2 / (8 / 3))
    assert made.scores({"age": 1.0}) == pytest.approx([idf * 1 * 2.2 / (1 + length), 0, 0])
    above = made.scores({"days": 1.0})[2]
    assert above == pytest.approx(idf * 0.5 * 2.2 / (0.5 + 1.2 * (0.25 + 0.75 * 4 / (8 / 3))))


def test_without_fts5_numpy_takes_its_place():
    with patch.object(module, "has_fts5", return_value=False):
        assert isinstance(index([(["a"], [])]), InMemory)


def test_a_missing_fts5_is_seen():
    has_fts5.cache_clear()
    with patch.object(sqlite3, "connect", side_effect=sqlite3.OperationalError("no such module: fts5")):
        assert not has_fts5()
    has_fts5.cache_clear()


def test_words():
    assert words("The applicant's notifications were denied in 30 days") == [
        "applicant",
        "notific",
        "deni",
        "30",
        "day",
    ]
    assert words("notification") == words("notifications")
    assert words("denied") == words("denies"[:4] + "ed")
    assert stems("We said no") == ["we", "said", "no"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_has_words(text):
    assert len(stems(text)) == len(split(text))
    assert set(words(text)) <= set(stems(text))
