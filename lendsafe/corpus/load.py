"""Training examples from files: JSON, JSONL or CSV, in any shape that is in use.

``messages`` (OpenAI's, with content parts, reasoning, tool calls and weights) | ``conversations`` (ShareGPT's) |
``prompt``, ``completion`` (texts, or lists of messages as TRL has them) | ``instruction``, ``input``, ``output`` |
``question``, ``answer`` | ``text``. Ours carry the assessment and the style beside them; other columns are kept. All
problems of a file are reported at once, and nothing of a file with problems is used.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from lendsafe.corpus.reading import BadFileError, Problem, Record, kind_of, parse_json, read
from lendsafe.errors import DataError
from lendsafe.fields import build, did_you_mean
from lendsafe.mlx_lora.tokens import Turn
from lendsafe.product import Product
from lendsafe.product import load as load_product
from lendsafe.records import Assessment, Message, NarrativeType, Style, assessment_from_json

Split = Literal["train", "valid"]
PRODUCT = "product.json"  # beside data that was made for a lender's own product

LISTS = ("messages", "conversations")
SHAPES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in LISTS),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("question", "answer"),
    ("text",),
)
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
ROLES = ("system", "user", "assistant", "tool")
# ShareGPT's and others' names of the roles
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
# What a message may hold beside role and content; chat templates read it.
_MORE = ("reasoning_content", "reasoning", "thinking", "tool_calls", "tool_call_id", "name")
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
    """

    id: str
    messages: tuple[Message, ...]
    assessment: Assessment | None = None
    style: Style | None = None
    split: Split | None = None
    type: NarrativeType | None = None
    decision: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict, compare=False)

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
    if path.is_dir():
        return _load_folder(path, dedupe=dedupe)
    examples, problems = parse(path, dedupe=dedupe)
    if problems:
        raise BadFileError(problems)
    return examples


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


def parse(path: Path, *, dedupe: bool = False) -> tuple[list[Example], list[Problem]]:
    """The examples of one file that are sound, and every problem of the others."""
    records, problems = read(path)
    product = product_beside(path)
    examples: list[Example] = []
    seen: dict[str, dict[Any, int]] = {"id": {}, "row": {}}
    for record in records:
        example, found = _example(record, product, from_csv=path.suffix.lower() == ".csv")
        problems += found
        if example:
            if dedupe and example.messages in seen["row"]:
                continue
            examples.append(example)
            problems += _repeated(record, example, seen)
    return examples, _merged(problems)


def _load_folder(folder: Path, *, dedupe: bool) -> list[Example]:
    examples: list[Example] = []
    problems: list[Problem] = []
    for name in get_args(Split):
        path = folder / f"{name}.jsonl"
        if name == "valid" and not path.exists():
            return [replace(one, split=None) for one in examples] if not problems else _refuse(problems)
        if not path.is_file():
            raise DataError(
                f"{path}: no such file. A data folder holds train.jsonl and, if you like, valid.jsonl."
            )
        found, wrong = parse(path, dedupe=dedupe)
        examples += [replace(one, split=name) for one in found]
        problems += wrong
    shared = {one.group for one in examples if one.split == "train"} & {
        one.group for one in examples if one.split == "valid"
    }
    if shared:
        message = f"shares {len(shared)} applicants or prompts with train.jsonl; a held-out row must be new."
        problems.append(Problem(str(folder / "valid.jsonl"), 0, 0, "", message))
    return _refuse(problems) if problems else examples


def _refuse(problems: list[Problem]) -> NoReturn:
    raise BadFileError(problems)


def _repeated(record: Record, example: Example, seen: dict[str, dict[Any, int]]) -> list[Problem]:
    found = []
    if "id" in record.values and (line := seen["id"].setdefault(example.id, record.line)) != record.line:
        found.append(record.problem("id", f"is {example.id!r}, as on line {line}; identifiers must differ."))
    if (line := seen["row"].setdefault(example.messages, record.line)) != record.line:
        found.append(record.problem("", f"repeats line {line}; remove one of the two, or pass --dedupe."))
    return found


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
    messages = None
    if not any(one.field in LISTS for one in problems):  # else it is said already
        messages, found = _messages(record, values)
        problems += found
    extras: dict[str, Any] = {}
    for name, reader in (("assessment", partial(_assessment, product=product)), ("style", _style)):
        if name in values:
            try:
                extras[name] = reader(values[name])
            except DataError as bad:
                problems.append(record.problem(name, f"is wrong: {bad}"))
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
    return Example(messages=messages, other=other, **{"id": f"{record.file}:{record.line}", **extras}), []


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


def _messages(record: Record, values: dict[str, Any]) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    shape = next((one for one in SHAPES if any(key in values for key in one)), None)
    if shape is None:
        wanted = "'messages', or 'prompt' and 'completion', or 'instruction' and 'output', or 'question' and 'answer'"
        return None, [record.problem("", f"has no conversation; expected {wanted}.")]
    if shape == ("text",):
        return _plain_text(record, values["text"])
    if len(shape) == 1:
        return _conversation(record, values, values[shape[0]], (shape[0], shape[0]))
    prompt, reply = shape
    problems = [record.problem(name, "is missing.") for name in shape if name not in values]
    if prompt == "prompt" and all(
        isinstance(values.get(name), list) for name in shape
    ):  # TRL's conversational form
        return _conversation(record, values, [*values[prompt], *values[reply]], (prompt, reply))
    problems += [
        record.problem(name, f"is {kind_of(values[name])}; expected text.")
        for name in (prompt, reply, "input")
        if not isinstance(values.get(name, ""), str)
    ]
    if problems:
        return None, problems
    asked = values[prompt]
    if prompt == "instruction" and values.get("input", "").strip():
        asked = f"{asked}\n\n{values['input']}"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": values[reply]}]
    return _conversation(record, values, turns, (prompt, reply))


def _plain_text(record: Record, text: Any) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    """A text to learn as it is, without a chat template."""
    if not isinstance(text, str) or not text.strip():
        return None, [
            record.problem("text", f"is {'empty' if text == '' else kind_of(text)}; expected text.")
        ]
    return (Turn("assistant", text, plain=True),), []


def _conversation(
    record: Record, values: Mapping[str, Any], turns: Any, fields: tuple[str, str]
) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    """Messages from a list of turns; ``fields`` are the names of the prompt and the reply."""
    if not isinstance(turns, list) or not turns:
        wanted = kind_of(turns) if turns else "empty"
        return None, [record.problem(fields[0], f"is {wanted}; expected a list of messages.")]
    system, tools, problems = _beside(record, values)
    if system and not (isinstance(turns[0], dict) and _role(turns[0]) == "system"):
        turns = [{"role": "system", "content": system}, *turns]
    read = [_turn(number, turn) for number, turn in enumerate(turns, start=1)]
    problems += [record.problem(fields[0], wrong) for _, wrong in read if wrong]
    messages = tuple(message for message, _ in read if message is not None)
    if problems:
        return None, problems
    if tools:
        messages = (_with_tools(messages[0], tools), *messages[1:])
    roles = [message.role for message in messages]
    if roles[-1] != "assistant" or not (messages[-1].content.strip() or getattr(messages[-1], "more", "")):
        return None, [record.problem(fields[1], "has no reply; there is nothing to learn.")]
    if "user" not in roles or "system" in roles[1:]:
        return None, [
            record.problem(fields[0], "needs a user message, and a system message only at the start.")
        ]
    if not any(message.content.strip() for message in messages if message.role == "user"):
        return None, [record.problem(fields[0], "is empty; there is nothing to reply to.")]
    if all(getattr(message, "weight", None) == 0 for message in messages if message.role == "assistant"):
        return None, [
            record.problem(fields[1], "has the weight 0 in every reply; there is nothing to learn.")
        ]
    return messages, []


def _beside(record: Record, values: Mapping[str, Any]) -> tuple[str, str, list[Problem]]:
    """System message and tools (as JSON) that stand beside a conversation."""
    system, tools = values.get("system", ""), values.get("tools")
    problems = []
    if not isinstance(system, str):
        problems.append(record.problem("system", f"is {kind_of(system)}; expected text."))
    if isinstance(tools, str):
        tools, wrong = parse_json(tools) if tools.strip() else (None, [])
        problems += [record.problem("tools", message) for message in wrong]
    if tools is not None and not (isinstance(tools, list) and all(isinstance(one, dict) for one in tools)):
        problems.append(record.problem("tools", f"is {kind_of(tools)}; expected a list of objects."))
    return system, json.dumps(tools, ensure_ascii=False) if tools else "", problems


def _with_tools(message: Message, tools: str) -> Message:
    if isinstance(message, Turn):
        return replace(message, tools=tools)
    return Turn(message.role, message.content, tools=tools)


def _role(turn: Mapping[str, Any]) -> Any:
    role = turn.get("role", turn.get("from"))
    return _ROLES.get(role, role) if isinstance(role, str) else role


def _turn(number: int, turn: Any) -> tuple[Message | None, str]:
    """One message, or what is wrong with it."""
    if not isinstance(turn, dict) or not {"role", "from"} & set(turn):
        return None, f"needs 'role' and 'content' in message {number}."
    role, content, more = _role(turn), turn.get("content", turn.get("value")), _more_of(turn)
    unknown = sorted(set(turn) - {"role", "content", "from", "value", "weight", *_MORE})
    if unknown:
        return (
            None,
            f"has {unknown[0]!r:.40} in message {number}; expected 'role', 'content' or {', '.join(_MORE)}.",
        )
    if role == "function_call" and isinstance(content, str):  # ShareGPT's form of a tool call
        call, wrong = parse_json(content)
        if wrong or not isinstance(call, dict):
            return None, f"has a function call in message {number} that is no JSON object."
        role, content, more = "assistant", "", more | {"tool_calls": [{"type": "function", "function": call}]}
    if role not in ROLES:
        return None, f"has role {role!r:.40} in message {number}; expected one of {', '.join(ROLES)}."
    text = "" if content is None and more.get("tool_calls") else _text_of(content)
    if text is None:
        return None, f"has as content {kind_of(content)} in message {number}; expected text."
    weight = turn.get("weight")
    if weight not in (None, 0, 1):
        return None, f"has weight {weight!r:.20} in message {number}; expected 0 or 1."
    if not more and weight is None:
        return Message(role, text), ""
    encoded = json.dumps(more, ensure_ascii=False) if more else ""
    return Turn(role, text, more=encoded, weight=None if weight is None else int(weight)), ""


def _more_of(turn: Mapping[str, Any]) -> dict[str, Any]:
    """What a message holds beside role and content; a call's arguments as an object, as templates read them."""
    more = {key: turn[key] for key in _MORE if turn.get(key)}
    if isinstance(calls := more.get("tool_calls"), list):
        more["tool_calls"] = [_call(one) for one in calls]
    return more


def _call(call: Any) -> Any:
    inner = call.get("function") if isinstance(call, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("arguments"), str):
        arguments, wrong = parse_json(inner["arguments"])
        if not wrong and isinstance(arguments, dict):
            return call | {"function": inner | {"arguments": arguments}}
    return call


def _text_of(content: Any) -> str | None:
    """A text, or the texts of content parts one after the other; None for anything else."""
    if isinstance(content, list) and content:
        parts = [
            part["text"]
            for part in content
            if isinstance(part, dict)
            and part.get("type", "text") == "text"
            and isinstance(part.get("text"), str)
        ]
        return "".join(parts) if len(parts) == len(content) else None
    return content if isinstance(content, str) else None


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
