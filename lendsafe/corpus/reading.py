"""Records of a JSON, JSONL or CSV file, each with its place, and every problem of the file.

A record is what the file says: nothing is coerced. What a parser would let pass in silence is a
problem here: duplicate keys, NaN, lone surrogates, NUL. A byte-order mark, as Excel writes it, is passed over.
"""

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lendsafe.errors import DataError
from lendsafe.fields import did_you_mean
from lendsafe.files import disk_errors

SHOWN = 20  # problems printed; the rest are counted
_LONGEST_FIELD = 16_000_000  # characters of one CSV cell
_SPACE = re.compile(r"\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a data file.

    Attributes:
        file: Path as the user gave it.
        line: Line, from 1; 0 if it is about the whole file.
        column: Column in characters (in a CSV file: number of the cell), from 1; 0 if about the whole line.
        field: Key or column name, or empty.
        message: What is wrong and what to try, in one sentence.
    """

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = ":".join(str(one) for one in (self.file, self.line, self.column) if one)
        return f"{place}: {self.field and f'{self.field!r} '}{self.message}"


class BadFileError(DataError):
    """A data file with problems; nothing of it is used.

    Attributes:
        problems: All of them, in the order of the file.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        lines = [str(one) for one in self.problems[:SHOWN]]
        if len(self.problems) > 1:
            files = ", ".join(dict.fromkeys(one.file for one in self.problems))
            lines.insert(0, f"{files}: {len(self.problems)} problems; nothing was loaded.")
        if len(self.problems) > SHOWN:
            lines.append(
                f"... and {len(self.problems) - SHOWN} more; `lendsafe data check PATH --json` lists all."
            )
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file.

    Attributes:
        file: Path as the user gave it.
        line: Line where it starts, from 1.
        values: Keys and values as read.
        place: Line and column of a key; looked for when there is something to say about it.
    """

    file: str
    line: int
    values: dict[str, Any]
    place: Callable[[str], tuple[int, int]]

    def problem(self, name: str, message: str) -> Problem:
        """A problem with the field ``name`` of this record (empty: with the record)."""
        line, column = self.place(name) if name in self.values else (self.line, 0)
        return Problem(self.file, line, column, name, message)


def read(path: Path) -> tuple[list[Record], list[Problem]]:
    """Read every record of a file that can be read, and list what cannot.

    Args:
        path: A ``.json`` (array of objects, or one object), ``.jsonl``, ``.ndjson`` or ``.csv`` file in UTF-8.

    Raises:
        DataError: If the file is missing or of another kind.
        DiskError: If it cannot be read.
    """
    kind = path.suffix.lower()
    if not path.is_file():
        near = [one.name for one in path.parent.glob("*.*")] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file.{did_you_mean(path.name, near)}")
    if kind not in (".json", ".jsonl", ".ndjson", ".csv"):
        raise DataError(f"{path}: cannot tell what kind of data this is. Name it .json, .jsonl or .csv.")
    with disk_errors(path):
        raw = path.read_bytes()
    text, problems = _decode(raw, str(path))
    if text is None:
        return [], problems
    if not text.strip():
        return [], [*problems, Problem(str(path), 0, 0, "", "is empty; expected at least one record.")]
    parse = _csv if kind == ".csv" else _array if text.lstrip().startswith("[") else _lines
    if kind == ".json" and _is_one_object(text):
        parse = _single
    records: list[Record] = []
    odd = any(sign in text for sign in ("\0", "\\u00", "\\ud", "\\uD"))  # else there is none to be looked for
    for one in parse(text, str(path)):
        if isinstance(one, Problem):
            problems.append(one)
        else:
            records.append(one)
            if odd:
                problems += _characters(one)
    if not records and not problems:
        problems.append(Problem(str(path), 0, 0, "", "is empty; expected at least one record."))
    return records, problems


def _decode(raw: bytes, file: str) -> tuple[str | None, list[Problem]]:
    problems = list[Problem]()
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8"), problems
    except UnicodeDecodeError as bad:
        line = raw.count(b"\n", 0, bad.start) + 1
        column = bad.start - (raw.rfind(b"\n", 0, bad.start) + 1) + 1
        problems.append(
            Problem(file, line, column, "", f"is not UTF-8 (byte {raw[bad.start]:#04x}); save it as UTF-8.")
        )
        return None, problems


def _lines(text: str, file: str) -> Iterator[Record | Problem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            start = len(line) - len(line.lstrip())
            yield from _object(line.rstrip("\r"), start, file, (number, 1), whole=True)[0]


def _array(text: str, file: str) -> Iterator[Record | Problem]:
    """Elements of a JSON array, each with its place; stops where the text is no longer JSON."""
    position = text.index("[") + 1
    lines = _LineCounter(text)
    expect_more = False
    while True:
        position = _skip(text, position)
        if text[position : position + 1] == "]" and not expect_more:
            if text[position + 1 :].strip():  # not quoted: a file may hold what no message may repeat
                yield Problem(file, *lines.at(position + 1), "", "has text after the end of the array.")
            return
        found, position = _object(text, position, file, lines, whole=False)
        yield from found
        if position < 0:
            return
        position = _skip(text, position)
        expect_more = text[position : position + 1] == ","
        if not expect_more and text[position : position + 1] != "]":
            yield Problem(file, *lines.at(position), "", "is not JSON: expected ',' or ']' after a record.")
            return
        position += expect_more


def _is_one_object(text: str) -> bool:
    """Whether the text is one object over several lines, and not an object a line."""
    first = text.lstrip().split("\n", 1)[0].rstrip()
    return first.startswith("{") and not first.endswith("}")


def _single(text: str, file: str) -> Iterator[Record | Problem]:
    start = len(text) - len(text.lstrip())
    found, end = _object(text, start, file, lines := _LineCounter(text), whole=False)
    yield from found
    if end >= 0 and text[end:].strip():
        yield Problem(file, *lines.at(end), "", "has text after the end of the object.")


class _LineCounter:
    """Line and column of offsets that only grow."""

    def __init__(self, text: str) -> None:
        self._text, self._line, self._offset = text, 1, 0

    def at(self, offset: int) -> tuple[int, int]:
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = max(offset, self._offset)
        return self._line, offset - self._text.rfind("\n", 0, offset)


def _object(
    text: str, start: int, file: str, where: "tuple[int, int] | _LineCounter", *, whole: bool
) -> tuple[list[Record | Problem], int]:
    """Read one JSON object at ``start``; the second value is the offset after it, or -1 after an error."""
    line, column = where.at(start) if isinstance(where, _LineCounter) else (where[0], where[1] + start)
    odd: list[tuple[str, str]] = []
    try:
        value, end = _decoder(odd).raw_decode(text, start)
        if whole and text[end:].strip():
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as bad:
        row, at = where.at(bad.pos) if isinstance(where, _LineCounter) else (line, bad.pos + 1)
        return [Problem(file, row, at, "", f"{_unreadable(bad)}.")], -1
    except (RecursionError, ValueError) as bad:
        return [Problem(file, line, column, "", f"{_unreadable(bad)}.")], -1
    if not isinstance(value, dict):
        message = f"is {kind_of(value)}; expected an object with named fields."
        return [Problem(file, line, column, "", message)], end

    def place(key: str) -> tuple[int, int]:
        named = re.compile(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:").search(text, start, end)
        if named is None:
            return line, column
        offset = named.start()
        return line + text.count("\n", start, offset), offset - text.rfind("\n", 0, offset)

    found: list[Record | Problem] = [Problem(file, *place(key), key, message) for key, message in odd]
    return [*found, Record(file, line, value, place)], end


def parse_json(text: str) -> tuple[Any, list[str]]:
    """The value of a whole JSON text, such as a CSV cell's, and what is wrong with it.

    Returns:
        The value, None if the text cannot be read, and every problem, each as the end of a sentence.
    """
    odd: list[tuple[str, str]] = []
    try:
        value = _decoder(odd).decode(text)
    except (RecursionError, ValueError) as bad:
        return None, [f"{_unreadable(bad)}."]
    wrong = [f"has the key {key!r}, which {message}" for key, message in odd]
    return value, wrong + [message for one in _texts(value) for message in _character_problems(one)]


def _unreadable(bad: Exception) -> str:
    if isinstance(bad, json.JSONDecodeError):
        return f"is not JSON: {bad.msg}"
    return (
        "is nested too deeply" if isinstance(bad, RecursionError) else "holds a number with too many digits"
    )


def _decoder(odd: list[tuple[str, str]]) -> json.JSONDecoder:
    """A decoder that notes in ``odd``, key and message, what JSON forbids and Python would accept."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in items:
            if key in table:
                odd.append((key, "stands twice; only one value can be meant."))
            if not _finite(value):
                odd.append((key, "holds a number that is not finite; write null or a number."))
            table[key] = value
        return table

    return json.JSONDecoder(object_pairs_hook=pairs)


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _csv(text: str, file: str) -> Iterator[Record | Problem]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    while True:
        start = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as bad:
            yield Problem(file, start, 0, "", f"is not CSV: {bad}.")
            return
        if not header:
            header = row
            twice = {name for name in header if header.count(name) > 1}
            yield from (
                Problem(file, 1, header.index(name) + 1, name, "is the name of two columns.")
                for name in twice
            )
        elif row and len(row) != len(header):
            yield Problem(file, start, 0, "", f"has {len(row)} cells; the header has {len(header)}.")
        elif row:
            yield Record(file, start, dict(zip(header, row, strict=True)), _Cells(start, header))
    if reader.line_num <= 1:
        yield Problem(file, 0, 0, "", "has a header and no rows.")


class _Cells:
    """Places of a CSV row's cells."""

    def __init__(self, line: int, header: list[str]) -> None:
        self._line, self._header = line, header

    def __call__(self, name: str) -> tuple[int, int]:
        return self._line, self._header.index(name) + 1


def _characters(record: Record) -> Iterator[Problem]:
    for name, value in record.values.items():
        for text in _texts(value):
            yield from (record.problem(name, message) for message in _character_problems(text))


def _character_problems(text: str) -> Iterator[str]:
    if "\0" in text:
        yield "contains a NUL character."
    if _SURROGATE.search(text):
        yield "contains half of a surrogate pair, which is no character."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def kind_of(value: Any) -> str:
    """What a JSON value is, in words, without repeating it."""
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        int: "a number",
        float: "a number",
        bool: "true or false",
    }
    return names.get(type(value), "null")
