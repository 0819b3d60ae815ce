"""Training examples from files: JSON, JSONL or CSV, in any shape that is in use.

``messages`` (OpenAI's, with content parts, reasoning, tool calls and weights) | ``conversations`` (ShareGPT's) |
``prompt``, ``completion`` (texts, or lists of messages as TRL has them) | ``instruction``, ``input``, ``output`` |
``question``, ``answer`` | ``text``. Ours carry the assessment and the style beside them; with these
and ``output`` alone, the prompt is made from them. Other columns are kept. All problems of a file are reported at once,
and nothing of a file with problems is used.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from lendsafe import prompts
from lendsafe.corpus import conversations
from lendsafe.corpus.conversations import LISTS, SHAPES
from lendsafe.corpus.reading import BadFileError, Problem, Record, kind_of, parse_json, read
from lendsafe.errors import DataError
from lendsafe.fields import build, did_you_mean
from lendsafe.product import Product
from lendsafe.product import load as load_product
from lendsafe.records import Assessment, Message, NarrativeType, Style, assessment_from_json, to_json

Split = Literal["train", "valid"]
PRODUCT = "product.json"  # beside data that was made for a lender's own product

PROMPTS = (*LISTS, "prompt", "completion", "instruction", "input", "question", "answer", "text")
_EXTRAS = (
    "input",
    "decision",
    "product",
    "assessment",
    "style",
    "type",
    "split",
    "id",
    "seed",
    "template",
    "system",
    "tools",
)
KEYS = tuple(dict.fromkeys([*(key for shape in SHAPES for key in shape), *_EXTRAS]))
VALID_FRACTION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training conversation.

    Attributes:
        id: Identifier in its file, or file and line.
        messages: The conversation; the last message is the assistant's reply to learn.
        assessment: What the reply explains, if the file says so; the reply is then in slots.
        style: How it was asked to be worded, if the file says so.
        split: Which part of the data it belongs to, if the file says so.
        type: Kind of narrative, if the file says so.
        decision: Outcome as the file words it, if it does.
        other: Columns that mean nothing here, as they were read.
        file: Where it was read.
        line: Line of the file where it starts, from 1.
    """

    id: str
    messages: tuple[Message, ...]
    assessment: Assessment | None = None
    style: Style | None = None
    split: Split | None = None
    type: NarrativeType | None = None
    decision: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict, compare=False)
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def reply(self) -> str:
        """The text to learn."""
        return self.messages[-1].content

    @property
    def group(self) -> str:
        """What must not be in both splits: the applicant, or the prompt where there is none."""
        if self.assessment:
            return self.assessment.applicant.applicant_id
        return "\x1f".join(message.content for message in self.messages[:-1] or self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Everything that a file or folder says.

    Attributes:
        examples: Sound ones, each once.
        rows: Keys and values of each of them as read; of a CSV file without empty cells.
        problems: What is wrong with the others.
        repeats: Rows that repeat an earlier one, word for word.
        product: What they were made for, if that is known.
    """

    examples: tuple[Example, ...]
    rows: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]
    repeats: tuple[Problem, ...]
    product: Product | None


def load(path: Path, *, dedupe: bool = False) -> list[Example]:
    """Load and check every example of a file or folder.

    Args:
        path: A ``.json``, ``.jsonl`` or ``.csv`` file, or a folder with ``train.jsonl`` and, if there is one,
            ``valid.jsonl``, whose rows get those splits.
        dedupe: Whether to drop rows that repeat another, which are else a problem.

    Raises:
        BadFileError: Naming every problem with file, line, column and field.
        DataError: If there is no such file, or its kind is not known.
    """
    found = read_examples(path)
    if found.problems or (found.repeats and not dedupe):
        raise BadFileError(sorted((*found.problems, *found.repeats)))
    return list(found.examples)


def train_and_valid(
    path: Path, *, seed: int, fraction: float = VALID_FRACTION, dedupe: bool = False
) -> tuple[list[Example], list[Example]]:
    """Load a file or folder as training and validation examples.

    The splits that the data names are kept; data that names no validation rows is split by
    applicant.
    """
    examples = load(path, dedupe=dedupe)
    if any(one.split == "valid" for one in examples):
        return [one for one in examples if one.split != "valid"], [
            one for one in examples if one.split == "valid"
        ]
    return split(examples, seed, fraction)


def training_data(
    path: Path, *, seed: int, fraction: float, most_valid: int | None, dedupe: bool
) -> tuple[list[Example], list[Example], list[str]]:
    """:func:`train_and_valid` with a cap on validation, and what is to be said about it, a line each.

    Args:
        path: File or folder.
        seed: Same seed, same split.
        fraction: Share of validation rows where the data names none; 0 for none.
        most_valid: Most validation rows; those chosen depend on the seed alone.
        dedupe: Whether to drop rows that repeat another.
    """
    train, valid = train_and_valid(path, seed=seed, fraction=fraction, dedupe=dedupe)
    notes = []
    if most_valid is not None and len(valid) > most_valid:
        notes.append(f"{most_valid} of {len(valid)} validation rows are used")
        chosen = sorted(random.Random(seed).sample(range(len(valid)), most_valid))  # noqa: S311  # no secret
        valid = [valid[number] for number in chosen]
    if not valid:
        notes.append("no validation rows: no best adapter is kept and nothing tells when it learns by heart")
    return train, valid, notes


def split(
    examples: Sequence[Example], seed: int, fraction: float = VALID_FRACTION
) -> tuple[list[Example], list[Example]]:
    """Split at random so that no applicant is on both sides; order is kept.

    Args:
        examples: What to split.
        seed: Same seed, same split.
        fraction: Share of validation examples, in [0, 1); rounded to a whole number of examples.

    Returns:
        Training and validation examples.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(examples):
        groups[one.group].append(index)
    wanted = round(len(examples) * fraction)
    order = list(groups.values())
    random.Random(seed).shuffle(order)  # noqa: S311  # a split, no secret
    valid: set[int] = set()
    for members in order:
        if len(valid) + len(members) <= wanted:
            valid.update(members)
    return (
        [one for index, one in enumerate(examples) if index not in valid],
        [one for index, one in enumerate(examples) if index in valid],
    )


def read_examples(path: Path, product: Product | None = None) -> Parsed:
    """Read every example of a file or folder, and every problem.

    Args:
        path: As of :func:`load`.
        product: What the examples are about; that of the folder's ``product.json`` by default.

    Raises:
        DataError: If there is no such file, or its kind is not known.
        ConfigError: If a ``product.json`` is not sound.
    """
    chosen = product or product_beside(path)
    return _read_folder(path, chosen) if path.is_dir() else _read_file(path, chosen)


def _read_file(path: Path, product: Product | None) -> Parsed:
    records, problems = read(path)
    from_csv = path.suffix.lower() == ".csv"
    examples: list[Example] = []
    rows: list[Mapping[str, Any]] = []
    repeats: list[Problem] = []
    seen: dict[str, dict[Any, int]] = {"id": {}, "row": {}}
    for record in records:
        example, found = _example(record, product, from_csv=from_csv)
        problems += found
        if example is None:
            continue
        line = seen["row"].setdefault(example.messages, record.line)
        if line != record.line:
            repeats.append(
                record.problem("", f"repeats line {line}; remove one of the two, or pass --dedupe.")
            )
            continue
        problems += _same_id(record, example, seen["id"])
        examples.append(example)
        rows.append(_from_cells(record, record.values)[0] if from_csv else record.values)
    return Parsed(
        examples=tuple(examples),
        rows=tuple(rows),
        problems=tuple(_merged(problems)),
        repeats=tuple(repeats),
        product=product,
    )


def _read_folder(folder: Path, product: Product | None) -> Parsed:
    both: dict[Split, Parsed] = {}
    names: tuple[Split, ...] = get_args(Split)
    for name in names:
        path = folder / f"{name}.jsonl"
        if name == "valid" and not path.exists():
            continue
        if not path.is_file():
            raise DataError(
                f"{path}: no such file. A data folder holds train.jsonl and, if you like, valid.jsonl."
            )
        both[name] = _read_file(path, product)
    groups = [{one.group for one in found.examples} for found in both.values()]
    problems = [one for found in both.values() for one in found.problems]
    if len(groups) > 1 and (shared := set.intersection(*groups)):
        message = f"shares {len(shared)} applicants or prompts with train.jsonl; a held-out row must be new."
        problems.append(Problem(str(folder / "valid.jsonl"), 0, 0, "", message))
    return Parsed(
        examples=tuple(
            replace(one, split=name if len(both) > 1 else None)
            for name, found in both.items()
            for one in found.examples
        ),
        rows=tuple(row for found in both.values() for row in found.rows),
        problems=tuple(problems),
        repeats=tuple(one for found in both.values() for one in found.repeats),
        product=product,
    )


def _same_id(record: Record, example: Example, seen: dict[Any, int]) -> list[Problem]:
    if "id" in record.values and (line := seen.setdefault(example.id, record.line)) != record.line:
        return [record.problem("id", f"is {example.id!r}, as on line {line}; identifiers must differ.")]
    return []


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Name a problem that many rows have in the same field once, at the place of the first."""
    same: dict[tuple[str, str, str], list[Problem]] = defaultdict(list)
    for one in problems:
        same[one.file, one.field, one.message].append(one)
    return sorted(
        replace(found[0], message=f"{found[0].message} ({len(found)} rows)") if len(found) > 1 else found[0]
        for found in same.values()
    )


def _example(
    record: Record, product: Product | None, *, from_csv: bool
) -> tuple[Example | None, list[Problem]]:
    values = {key: value for key, value in record.values.items() if value is not None}
    other = {key: value for key, value in record.values.items() if key not in KEYS}
    problems = [
        record.problem(key, f"is an unknown key.{near}") for key in other if (near := _misspelt(str(key)))
    ]
    if from_csv:
        values, odd = _from_cells(record, values)
        problems += odd
    extras: dict[str, Any] = {}
    for name, reader in (("assessment", partial(_assessment, product=product)), ("style", _style)):
        if name in values:
            try:
                extras[name] = reader(values[name])
            except DataError as bad:
                problems.append(record.problem(name, f"is wrong: {bad}"))
    messages = None
    if not any(one.field in LISTS for one in problems):  # else it is said already
        messages, found = conversations.messages(record, _asked(values, extras))
        problems += found
    for name, allowed in (
        ("split", get_args(Split)),
        ("type", get_args(NarrativeType)),
        ("decision", ()),
        ("id", ()),
    ):
        if name in values:
            extras[name] = values[name]
            problems += _word(record, name, values[name], allowed)
    if problems or messages is None:
        return None, problems
    named = {"id": f"{record.file}:{record.line}", **extras}
    return Example(messages=messages, other=other, file=record.file, line=record.line, **named), []


def _asked(values: dict[str, Any], extras: dict[str, Any]) -> dict[str, Any]:
    """Values of a row; one that gives an assessment in place of a prompt gets the prompt that asks for it."""
    if "assessment" not in values or any(name in values for name in PROMPTS):
        return values
    if "assessment" not in extras:  # what is wrong with it is said already
        return {**values, "instruction": "?"}
    system, user = prompts.request(extras["assessment"], extras.setdefault("style", Style()))
    turns = [to_json(system), to_json(user), {"role": "assistant", "content": values.get("output")}]
    return {**values, "messages": turns} if "output" in values else values


def _misspelt(key: str) -> str:
    """What a column's name probably means; columns with quite other names are nobody's business."""
    near = get_close_matches(key, KEYS, n=1, cutoff=0.8)
    return f" Did you mean '{near[0]}'?" if near else ""


def _from_cells(record: Record, cells: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Values of a CSV row: empty optional cells are absent, nested values are JSON."""
    values = {
        key: cell for key, cell in cells.items() if cell or key in ("output", "completion", "input", "answer")
    }
    problems = []
    for name in (*LISTS, "assessment", "style", "tools"):
        if name in values:
            values[name], wrong = parse_json(values[name])
            problems += [record.problem(name, message) for message in wrong]
            if wrong:
                del values[name]
    return values, problems


def _assessment(value: Any, product: Product | None) -> Assessment:
    if not isinstance(value, dict):
        raise DataError(f"{kind_of(value)}; expected an object.")
    return assessment_from_json(value, product=product)


def product_beside(path: Path) -> Product | None:
    """The product that a data file was made for, as ``product.json`` beside it says; None if it says nothing.

    Raises:
        ConfigError: If that file is not sound.
    """
    beside = (path if path.is_dir() else path.parent) / PRODUCT
    return load_product(beside) if beside.exists() else None


def _style(value: Any) -> Style:
    if not isinstance(value, dict):
        raise DataError(f"{kind_of(value)}; expected an object.")
    return build(Style, value, error=DataError)


def _word(record: Record, name: str, value: Any, allowed: tuple[str, ...]) -> list[Problem]:
    if not isinstance(value, str):
        return [record.problem(name, f"is {kind_of(value)}; expected text.")]
    if allowed and value not in allowed:
        near = did_you_mean(value, list(allowed))
        return [record.problem(name, f"is {value!r}; expected one of {', '.join(allowed)}.{near}")]
    return []
