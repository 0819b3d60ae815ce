"""Raw files as lenders have them, as a header and numbered rows of cells: CSV of any style, XLSX, JSON lines.

Separator (comma, semicolon, tab, bar, or runs of spaces), byte-order mark, encoding (UTF-8, UTF-16, else Latin-1,
which is said) and line ends (also CR alone) are found out; ``.gz`` is opened. Everything streams.
"""

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lendsafe.errors import DataError
from lendsafe.files import disk_errors

DELIMITERS = ",;\t|"
HEAD = 1 << 16  # bytes that the style of a file is read off
MOST_CELL = 1 << 20  # characters; csv's own limit is lower
FIRST_HEADER = "row"  # name of a first column whose header is blank, as pandas writes its index


@dataclass(frozen=True)
class Raw:
    """An open raw file.

    Attributes:
        header: Names of its columns; each differs.
        rows: Numbered rows, from the line after the header; blank ones are left out.
        encoding: How its bytes were read.
        lines: What a number counts: ``line``, or ``row`` of a spreadsheet.
    """

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[Any]]]
    encoding: str = "utf-8"
    lines: str = "line"


def read_rows(path: Path) -> Raw:
    """Open a raw file.

    Raises:
        DiskError: If it cannot be read.
        DataError: If it is no table.
    """
    with disk_errors(path):
        if path.is_dir():
            raise DataError(f"{path}: a folder; expected a file of applications.")
        with path.open("rb") as file:
            head = file.read(8)
    if not head:
        raise DataError(f"{path}: empty.")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if head.startswith(b"PK\x03\x04") or kind in ("xlsx", "xlsm"):
        return _sheet(path)
    if head.startswith(b"PAR1") or kind == "parquet":
        return _parquet(path)
    if kind in ("json", "jsonl", "ndjson"):
        return _json(path, kind)
    return _text(path)


def open_text(path: Path) -> tuple[IO[str], str]:
    """A text file with its encoding found out; line ends are left as they are."""
    with disk_errors(path):
        raw: Any = path.open("rb")
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
    file: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
    buffered = io.BufferedReader(file, HEAD)
    try:
        with disk_errors(path):
            head = buffered.peek(HEAD)[:HEAD]
    except (EOFError, gzip.BadGzipFile) as problem:
        raise DataError(f"{path}: not a sound .gz file.") from problem
    return io.TextIOWrapper(buffered, encoding=_encoding(head, buffered, path), newline=""), _encoding(
        head, buffered, path
    )


def _encoding(head: bytes, _file: Any, path: Path) -> str:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name
    if _is_utf8(path):
        return "utf-8"
    return "latin-1"


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with disk_errors(path):
        packed = path.read_bytes()[:2] == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            while block := file.read(1 << 20):
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    return False
    return True


def _text(path: Path) -> Raw:
    file, encoding = open_text(path)
    rows = _numbered(_cells(path, file))
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: empty.")
    return Raw(_header(path, [str(one).strip() for one in first[1]]), rows, encoding)


def _cells(path: Path, file: IO[str]) -> Iterator[tuple[int, list[str]]]:
    lines = _without_nul(path, file)
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    csv.field_size_limit(MOST_CELL)
    if not first.count(delimiter) and len(first.split()) > 1 and '"' not in first:
        yield 1, first.split()
        for number, line in enumerate(lines, start=2):
            yield number, line.split()
        return
    reader = csv.reader(_chained(first, lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as problem:
        raise DataError(f"{path}: line {reader.line_num}: {problem}.") from problem


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _without_nul(path: Path, file: IO[str]) -> Iterator[str]:
    """Lines with any of the three ends, so that CR alone ends one too."""
    pending, number = "", 0
    with file:
        while True:
            try:
                with disk_errors(path):
                    block = file.read(1 << 20)
            except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, OSError) as problem:
                raise DataError(f"{path}: line {number + 1}: cannot be read as text.") from problem
            if "\x00" in block:
                at = number + (pending + block[: block.index("\x00")]).count("\n") + 1
                raise DataError(f"{path}: line {at}: a NUL character; this is no table of text.")
            pending += block
            if not block:
                break
            hold = "\r" if pending.endswith("\r") else ""  # its line feed may be in the next block
            text = pending[: -len(hold)] if hold else pending
            *whole, pending = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            pending += hold
            number += len(whole)
            for line in whole:
                yield line + "\n"
    if pending.strip("\r"):
        yield pending.rstrip("\r") + "\n"


def _numbered(cells: Iterator[tuple[int, Sequence[Any]]]) -> Iterator[tuple[int, Sequence[Any]]]:
    for number, row in cells:
        if any(cell is not None and str(cell).strip() for cell in row):
            yield number, row


def _header(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    named = [
        FIRST_HEADER if i == 0 and not one and FIRST_HEADER not in names else one
        for i, one in enumerate(names)
    ]
    while named and not named[-1]:  # a separator at the end of each line
        named.pop()
    if twice := sorted({one for one in named if named.count(one) > 1 and one}):
        raise DataError(f"{path}: line 1: the column {', '.join(map(repr, twice))} is there twice.")
    if "" in named:
        raise DataError(f"{path}: line 1: column {named.index('') + 1} has no name.")
    return tuple(named)


def _sheet(path: Path) -> Raw:
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with disk_errors(path):
            book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, TypeError, EOFError) as problem:
        raise DataError(f"{path}: not a sound XLSX file.") from problem
    sheet = book.worksheets[0] if book.worksheets else None
    if sheet is None:
        raise DataError(f"{path}: it has no sheet.")

    def rows() -> Iterator[tuple[int, Sequence[Any]]]:
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield number, [_of_sheet(cell) for cell in row]

    numbered = _numbered(rows())
    first = next(numbered, None)
    if first is None:
        raise DataError(f"{path}: the first sheet is empty.")
    return Raw(_header(path, [str(one).strip() for one in first[1]]), numbered, "xlsx", "row")


def _of_sheet(cell: Any) -> str:
    from datetime import date, datetime

    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime | date):
        return cell.isoformat()[:10]
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


def _parquet(path: Path) -> Raw:
    import pandas as pd

    try:
        with disk_errors(path):
            frame = pd.read_parquet(path)
    except ImportError as problem:
        raise DataError(
            f"{path}: reading parquet needs pyarrow (pip install pyarrow), or save it as CSV."
        ) from problem
    except (ValueError, OSError) as problem:
        raise DataError(f"{path}: not a sound parquet file.") from problem
    rows = (
        (i, ["" if pd.isna(v) else _of_sheet(v) for v in row])
        for i, row in enumerate(frame.itertuples(index=False), start=1)
    )
    return Raw(_header(path, [str(one) for one in frame.columns]), iter(rows), "parquet", "row")


def _json(path: Path, kind: str) -> Raw:
    """JSON lines, or a list of objects; the columns are the keys of all of them, in order of appearance."""
    file, encoding = open_text(path)
    records: list[tuple[int, dict[str, Any]]] = []
    with file:
        try:
            with disk_errors(path):
                text = file.read()
            if kind == "json":
                whole = json.loads(text)
                listed = whole if isinstance(whole, list) else [whole]
                records = list(enumerate(listed, start=1))
            else:
                records = [
                    (i, json.loads(line)) for i, line in enumerate(text.splitlines(), start=1) if line.strip()
                ]
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{path}: not JSON: {problem}.") from problem
    if not records or not all(isinstance(one, dict) for _, one in records):
        raise DataError(f"{path}: expected objects, one an application.")
    flat = [(i, _flat(one)) for i, one in records]
    header = list(dict.fromkeys(key for _, one in flat for key in one))
    return Raw(
        _header(path, header),
        iter([(i, [one.get(key) for key in header]) for i, one in flat]),
        encoding,
        "line",
    )


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """Objects within an object by dotted keys; lists become texts with semicolons between."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items() if not isinstance(one, dict)}
        else:
            found[key] = value
    return {key: "; ".join(map(str, v)) if isinstance(v, list) else v for key, v in found.items()}
