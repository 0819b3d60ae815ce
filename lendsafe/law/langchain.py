"""The search as a LangChain retriever; needs the ``rag`` extra.

from lendsafe.law import Law, Search
from lendsafe.law.langchain import LawRetriever

retriever = LawRetriever(search=Search(Law.load(), date(2026, 11, 27)))
retriever.invoke("How many days do we have to tell someone we turned their loan down?")
"""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from lendsafe.law.corpus import ADVICE
from lendsafe.law.search import LIMIT, Hit, Search


class LawRetriever(BaseRetriever):  # type: ignore[misc]  # read without its types
    """Paragraphs as documents.

    The text of a paragraph that is not at hand for the day is not in its document: the note is.

    Attributes:
        search: Over a day's law, with or without vectors.
        limit: The most documents.
    """

    search: Search
    limit: int = LIMIT
    model_config = ConfigDict(arbitrary_types_allowed=True)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002  # LangChain's interface
    ) -> list[Document]:
        return [_document(hit, self.search) for hit in self.search.find(query, self.limit)]


def _document(hit: Hit, search: Search) -> Document:
    one = hit.paragraph
    text = " ".join((*one.lead_in, one.heading, one.text)) if one.text is not None else one.note
    metadata: dict[str, Any] = {
        "label": one.label,
        "citation": one.citation,
        "status": one.status,
        "as_of": search.day.isoformat(),
        "effective_from": one.effective_from and one.effective_from.isoformat(),
        "effective_to": one.effective_to and one.effective_to.isoformat(),
        "source": one.source,
        "sha256": one.sha256,
        "law_sha256": search.law.sha256,
        "score": hit.score,
        "note": one.note,
        "advice": ADVICE,
    }
    return Document(page_content=text.strip(), metadata=metadata, id=one.label)
