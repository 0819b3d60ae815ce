"""The search as LangChain's own retriever: real, offline."""

from datetime import date

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda

from lendsafe.law import ADVICE, Law, Search
from lendsafe.law.langchain import LawRetriever

DAY = date(2026, 11, 27)


@pytest.fixture(scope="module")
def retriever() -> LawRetriever:
    return LawRetriever(search=Search(Law.load(), DAY), limit=3)


def test_it_is_a_retriever_in_a_chain(retriever):
    assert isinstance(retriever, BaseRetriever)
    chain = retriever | RunnableLambda(lambda documents: [one.metadata["citation"] for one in documents])
    assert chain.invoke("May the letter be in Spanish?")[0] == "12 CFR 1002.4(e)"


def test_a_document_carries_its_dates_and_the_law_it_is_of(retriever):
    one = retriever.invoke("May the letter be in Spanish?")[0]
    assert one.page_content.endswith("provided they are available in English upon request.")
    assert one.metadata["as_of"] == "2026-11-27"
    assert one.metadata["status"] == "at hand"
    assert one.metadata["law_sha256"] == retriever.search.law.sha256
    assert one.metadata["advice"] == ADVICE


def test_repealed_text_is_in_no_document(retriever):
    documents = retriever.invoke("May an ad discourage people from applying?")
    changed = [one for one in documents if one.metadata["status"] == "not at hand"]
    assert changed
    for one in changed:
        assert one.page_content.startswith("Changed by 91 FR 21620")


def test_nothing_is_found_where_nothing_is(retriever):
    assert retriever.invoke("How do I bake sourdough bread?") == []
