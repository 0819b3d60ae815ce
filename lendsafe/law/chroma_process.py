"""The process that ChromaDB runs in: its native code may crash, and then only this ends.

    python -m lendsafe.law.chroma_process FOLDER COLLECTION

One JSON object a line on standard input, one a line as the answer: ``{"do": "count"}``, ``{"do": "add", "ids": [...],
"vectors": [[...]]}``, ``{"do": "query", "vector": [...], "n": 10}``. Telemetry is off and nothing is embedded here:
vectors come from outside.
"""

import json
import os
import sys
from typing import Any, TextIO


def main() -> None:
    """Serve until standard input ends."""
    folder, name = sys.argv[1:3]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    try:
        collection = _open(folder, name)
    except BaseException as problem:
        _answer(answers, {"error": _said(problem)})
        raise SystemExit(1) from problem
    _answer(answers, {"ready": collection.count()})
    for line in sys.stdin:
        try:
            _answer(answers, _done(collection, json.loads(line)))
        except Exception as problem:  # told to the other side, which decides
            _answer(answers, {"error": _said(problem)})


def _open(folder: str, name: str) -> Any:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(path=folder, settings=Settings(anonymized_telemetry=False))
    return client.get_or_create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )


def _done(collection: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted["do"] == "count":
        return {"count": collection.count()}
    if wanted["do"] == "add":
        collection.upsert(ids=wanted["ids"], embeddings=wanted["vectors"])
        return {"count": collection.count()}
    if wanted["do"] == "query":
        found = collection.query(
            query_embeddings=[wanted["vector"]], n_results=wanted["n"], include=["distances"]
        )
        return {"ids": found["ids"][0], "distances": found["distances"][0]}
    raise ValueError(f"nothing is known of {wanted['do']!r}")


def _answer(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _said(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]


if __name__ == "__main__":
    main()
