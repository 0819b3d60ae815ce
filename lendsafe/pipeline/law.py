"""Where letters and models meet the law: links of a letter, drift of its sentences, answers of a model."""

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from lendsafe import notice
from lendsafe.law import Answer, Drift, Law, Search, answer, compare, default_folder, labels_in
from lendsafe.law.answers import conversation
from lendsafe.notice import Letter
from lendsafe.notice.validate import RULES


@cache
def law_at(folder: Path) -> Law:
    """The law that ships with what was refreshed into a folder; read once."""
    return Law.load(folder)


def links(letter: Letter, law: Law | None = None) -> dict[str, Any]:
    """What the citations of a letter's blocks and rules name, as of its date; for the record.

    Args:
        letter: Composed.
        law: The law; what ships and was refreshed if left out.
    """
    law = law or law_at(default_folder())
    day = letter.case.dates.notice
    blocks = {block.id: labels_in(block.citation) for block in letter.blocks}
    rules: dict[str, list[str]] = {}
    for item in notice.checklist(letter):
        if item.applies:
            named = rules.setdefault(item.rule.id, [])
            named += [one for one in labels_in(item.rule.citation) if one not in named]
    cited = dict.fromkeys(label for named in (*blocks.values(), *rules.values()) for label in named)
    return {
        "law_sha256": law.sha256,
        "as_of": day.isoformat(),
        "blocks": blocks,
        "rules": rules,
        "paragraphs": {label: _paragraph(law, label, day) for label in cited if law.has(label)},
    }


def _paragraph(law: Law, label: str, day: date) -> dict[str, Any]:
    one = law.paragraph(label, day)
    return {
        "citation": one.citation,
        "status": one.status,
        "effective_from": one.effective_from and one.effective_from.isoformat(),
        "sha256": one.sha256,
    }


def drift(law: Law, day: date) -> Drift:
    """Every sentence of every block against the law of a day, and every citation of block and rule.

    Where a block varies the law's wording by number or case, the wording that it varies is compared.
    """
    blocks = [(one.id, one.citation, one.law or one.text) for one in notice.templates().values()]
    rules = [(f"rule {rule.id}", rule.citation, "") for rule in RULES]
    return compare([*blocks, *rules], law, day)


def ask(
    question: str,
    search: Search,
    model: str | None = None,
    done: Callable[[int], None] | None = None,
) -> Answer:
    """Answer a question with paragraphs of the law, in a model's sentences if one is named.

    Args:
        question: In any words.
        search: Over the law of the day.
        model: A run folder, a name or a local folder of a model.
        done: Called when the model has written.
    """
    hits = search.find(question)
    if model is None or not any(hit.paragraph.text is not None for hit in hits):
        return answer(question, search.day, hits)
    from lendsafe.pipeline.narrate import narrator

    written = narrator(model).write([conversation(question, hits)], done=done)[0]
    return answer(question, search.day, hits, written)
