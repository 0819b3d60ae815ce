"""Variety by hand, and the longest shared run against a slow search."""

from hypothesis import given
from hypothesis import strategies as st

from lendsafe.corpus.statistics import distinct, duplicate_sentences, longest_shared, tokens


def test_tokens_are_words_figures_and_slots():
    assert tokens("We owe {loan_amount}, or $1,200.50. Don't!") == [
        "we", "owe", "{loan_amount}", "or", "$", "1,200.50", "don't",
    ]  # fmt: skip


def test_distinct_n_by_hand():
    # a b a b: 2 of 4 words differ; of the pairs ab, ba, ab 2 of 3 do
    assert distinct(["a b", "a b"], 1) == 2 / 4
    assert distinct(["a b a b"], 2) == 2 / 3
    assert distinct([], 1) == 0


def test_duplicate_sentences_by_hand():
    assert duplicate_sentences(["One. Two.", "Two. Three."]) == 2 / 4
    assert duplicate_sentences(["One. Two."]) == 0


def test_longest_shared_run_by_hand():
    assert longest_shared(["the cat sat on a mat"], ["a dog sat on a rug", "the cat"]) == [3]
    # a run does not go on from one text to the next
    assert longest_shared(["a b"], ["x a", "b y"]) == [1]


WORDS = st.lists(st.sampled_from("abc"), max_size=8).map(" ".join)


@given(WORDS, st.lists(WORDS, max_size=4))
def test_longest_shared_run_equals_a_search_of_all_runs(text, others):
    def runs(one):
        words = one.split()
        return {tuple(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}

    shared = runs(text) & set().union(*map(runs, others))
    assert longest_shared([text], others) == [max(map(len, shared), default=0)]
