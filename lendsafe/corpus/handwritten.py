"""Training pairs that a person wrote, held against what their product and the prompt format ask for.

The one format, a JSON object a line: what is explained, how it is to be worded, and the reply in slot form::

    {"assessment": {...}, "style": {"register": "plain", "detail": "standard"}, "output": "[decision] ... [end] ..."}

The prompt is not written by hand: it is made from the assessment, as it is asked when the model is in use.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lendsafe import parts, prompts, slots
from lendsafe.corpus import approved
from lendsafe.corpus.load import Example, Parsed, read_examples
from lendsafe.corpus.reading import BadFileError, Problem
from lendsafe.errors import DataError
from lendsafe.eval.truth.examine import examine
from lendsafe.eval.truth.label import label
from lendsafe.eval.truth.words import speaking_of, words
from lendsafe.fields import did_you_mean
from lendsafe.files import write_atomically
from lendsafe.product import Product
from lendsafe.records import Assessment, Finding, Style, to_json

FORMAT = 'Give "assessment", "style" and "output"; the prompt is made from them.'
UNLABELLED = "has no labels such as [decision] and [end]; `lendsafe data label FILE --out F` puts them in."

_FIGURE = re.compile(r"[$\u20ac\u00a3]?\d[\d,.]*\d%?|[$\u20ac\u00a3]?\d%?")
_OF_PARTS = ("missing", "extra", "order", "cut off", "goes on")

Done = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is known of a file of pairs.

    Attributes:
        examples: Those that can be read and repeat no other one.
        problems: All that is wrong, repetitions left out.
        repeats: Rows that say what another one says.
        of_a_product: Examples that were held against a product.
        unapproved: Sentences that no approved wording says and nothing denies; training approves them.
    """

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]
    repeats: tuple[Problem, ...]
    of_a_product: int
    unapproved: int


def check_pairs(path: Path, product: Product | None = None, done: Done | None = None) -> Checked:
    """Find everything that is wrong with a file or folder of pairs.

    Args:
        path: As :func:`lendsafe.corpus.load.load` reads it.
        product: What the pairs are about; what stands beside the file or in a row by default.
        done: Called with the number of a pair that was held against its product, and pairs in all.

    Raises:
        DataError: If there is no such file, or its kind is not known.
    """
    found = read_examples(path, product)
    problems, unapproved, ours = list(found.problems), 0, 0
    for number, one in enumerate(found.examples, start=1):
        about = one.assessment.applicant.product if one.assessment else found.product
        if about is not None:
            ours += 1
            said, fresh = _of_a_product(one, about)
            problems += [Problem(one.file, one.line, 0, name, text) for name, text in said]
            unapproved += fresh
            if done:  # others are looked at in no time
                done(number, len(found.examples))
    return Checked(
        examples=found.examples,
        problems=tuple(sorted(problems)),
        repeats=found.repeats,
        of_a_product=ours,
        unapproved=unapproved,
    )


def without_repeats(path: Path, out: Path, product: Product | None = None) -> int:
    """Write the pairs of a file as JSON lines, each once; returns how many were left out.

    Raises:
        BadFileError: If a row cannot be read.
        DataError: If ``path`` is a folder.
    """
    found = _sound(path, product)
    write_atomically(out, _lines([dict(row) for row in found.rows]))
    return len(found.repeats)


def label_file(path: Path, out: Path, product: Product | None = None) -> tuple[int, int]:
    """Put labels into the replies that have none, and write all pairs as JSON lines with their prompts.

    Args:
        path: Pairs with their assessments, replies in slot form.
        out: File of JSON lines, written whole or not at all.
        product: What the pairs are about.

    Returns:
        How many were labelled, and how many had labels.

    Raises:
        BadFileError: Naming every row whose reply cannot be placed, and why.
    """
    found = _sound(path, product)
    problems: list[Problem] = []
    rows: list[dict[str, Any]] = []
    labelled = 0
    for one in found.examples:
        reply = one.reply
        if one.assessment is None:
            problems.append(Problem(one.file, one.line, 0, "assessment", f"is missing. {FORMAT}"))
        elif not parts.LABEL.search(reply):
            placed = label(
                " ".join(reply.split()),
                one.assessment,
                one.style or Style(),
                approved.language(one.assessment.applicant.product),
            )
            problems += [
                Problem(one.file, one.line, 0, "output", text) for text in _unplaced(placed.unplaced)
            ]
            reply, labelled = placed.reply, labelled + 1
            if not reply and not placed.unplaced:
                problems.append(Problem(one.file, one.line, 0, "output", "holds a bracket that is no label."))
        rows.append(_row(one, reply))
    if problems:
        raise BadFileError(problems)
    write_atomically(out, _lines(rows))
    return labelled, len(rows) - labelled


def _sound(path: Path, product: Product | None) -> Parsed:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name one of its files.")
    found = read_examples(path, product)
    if found.problems:
        raise BadFileError(list(found.problems))
    return found


def _unplaced(found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        yield f"cannot be put into parts: {one.message}"


def _row(one: Example, reply: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": one.id, "output": reply}
    if one.assessment is not None:
        row |= {"assessment": to_json(one.assessment), "style": to_json(one.style or Style())}
    stated = {"decision": one.decision, "type": one.type, "split": one.split}
    return row | {name: value for name, value in stated.items() if value}


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# ---------------------------------------------------------------- one pair


def _of_a_product(one: Example, product: Product) -> tuple[list[tuple[str, str]], int]:
    """What is wrong with a pair, field and message, and how many of its sentences nobody has approved."""
    said = [("output", text) for text in _slots_of(one, product)]
    if one.assessment is None:
        said += [("", f"does not say what it explains. {FORMAT}")]
        said += _without_assessment(one)
        return said, 0
    with speaking_of(product):
        said += [("assessment", text) for text in _denied(one.assessment)]
    style = one.style or Style()
    if list(one.messages[:-1]) != prompts.request(one.assessment, style):
        said.append(("", f"has a prompt that is not the one asked for this assessment and style. {FORMAT}"))
    if not parts.LABEL.search(one.reply):
        said.append(("output", UNLABELLED))
    found = examine(one.reply, one.assessment, style, approved.language(product))
    filled = not slots.SLOT.search(found.text)
    supported = [(v.start, v.end) for v in found.verdicts if v.kind == "supported"]
    said += [("output", text) for text in _figures(found.narrative, supported, slots.facts(one.assessment))]
    said += [("output", text) for text in _findings(found.findings, one.reply, filled=filled)]
    for verdict in found.verdicts:
        if verdict.kind == "contradicted":
            sentence, fact = (
                found.narrative[verdict.start : verdict.end],
                verdict.fact and f" ({verdict.fact})",
            )
            said.append(("output", f"says what is not so: {verdict.why}{fact}: {sentence!r}."))
    return said, sum(verdict.kind == "unsupported" for verdict in found.verdicts)


def _without_assessment(one: Example) -> Iterator[tuple[str, str]]:
    """What can be said of a pair from its prompt: labels and figures."""
    wanted = parts.LABEL.findall("\n".join(message.content for message in one.messages[:-1]))
    if not parts.LABEL.search(one.reply):
        yield "output", UNLABELLED
    elif parts.LABEL.findall(one.reply) != wanted:
        yield "output", "has other labels than its prompt lists, or in another order."
    for text in _figures(parts.spoken(one.reply), (), {}):
        yield "output", text


def _slots_of(one: Example, product: Product) -> Iterator[str]:
    known = slots.known(product)
    facts = slots.facts(one.assessment) if one.assessment else None
    for name in dict.fromkeys(slots.names(one.reply)):
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            yield f"holds {{{name}}}, which is no slot of product '{product.name}'.{hint}"
        elif facts is not None and name not in facts:
            yield f"holds {{{name}}}, which this application does not say."


def _figures(text: str, supported: Sequence[tuple[int, int]], facts: dict[str, str]) -> Iterator[str]:
    """Figures that stand where slots belong, outside of sentences that are approved as they are."""
    plain = slots.SLOT.sub(lambda found: " " * len(found[0]), text)
    named = {figure.strip(".,"): name for name, shown in facts.items() for figure in _FIGURE.findall(shown)}
    for found in _FIGURE.finditer(plain):
        if not any(start <= found.start() < end for start, end in supported):
            figure = found[0].rstrip(".,")
            instead = f"write {{{named[figure]}}}" if figure in named else "write the slot of the fact"
            yield f"holds the figure {figure!r}; {instead}."


def _denied(assessment: Assessment) -> Iterator[str]:
    for side, factors in (("adverse", assessment.reasons), ("favorable", assessment.strengths)):
        for one in factors:
            if fact := words().denied(one.code, side, assessment):
                kind = "reason" if side == "adverse" else "strength"
                yield f"gives the {kind} '{one.code}', which the facts rule out: {fact}."


def _findings(found: Sequence[Finding], reply: str, *, filled: bool) -> Iterator[str]:
    labelled = bool(parts.LABEL.search(reply))
    for one in found:
        if one.rule in _OF_PARTS:
            if labelled:
                yield f"is not its parts: {one.message}"
        elif filled or not one.message.startswith("A brace"):  # a slot without a value is said already
            yield f"{one.rule}: {one.message}"
