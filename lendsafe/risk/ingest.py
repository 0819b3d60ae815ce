"""Read credit files as lenders have them, by a schema; every problem with line and column, at once."""

import csv
import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lendsafe.errors import DataError
from lendsafe.fields import problems
from lendsafe.files import disk_errors
from lendsafe.records import Applicant
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.parsers import PARSERS, months_between
from lendsafe.risk.schema import Column, Schema, application_schema, outcome_column

DELIMITERS = ",;\t|"
MOST_SHOWN = 20
IDENTIFIER = "applicant_id"
FEWEST_RUNS = 50  # by chance, from which on blocks mean something
IN_BLOCKS = (
    "equal values stand together: the file or this column was sorted (a sorted file: shuffle its rows first)"
)
WHOLE = ("whole", "months", "years_in_months", "months_since", "low_end")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A file that was read, and the account of it.

    Attributes:
        frame: ``applicant_id``, features, and ``defaulted`` or ``decision`` where the file has them.
        protected: ``applicant_id`` and the protected columns; kept apart from ``frame``.
        features: What a model may look at.
        schema: By which schema it was read.
        lineage: Source, hash, row counts, columns set aside with the reason, columns without a place.
    """

    frame: pd.DataFrame
    protected: pd.DataFrame
    features: FeatureSet
    schema: Schema
    lineage: dict[str, Any]


@dataclass(frozen=True)
class _Header:
    """Where the columns of a file are: position by name, and per schema column its source."""

    position: Mapping[str, int]
    source: Mapping[str, str]

    def find(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.position), None)


def read_applications(path: Path, features: FeatureSet | None = None) -> pd.DataFrame:
    """Read ``applications.csv``: our own columns, for an Applicant or for a table's features.

    Raises:
        DiskError: If it cannot be read.
        DataError: Naming line and column of everything that is wrong.
    """
    if features is None or features.kind == "application":
        return read_file(path, application_schema()).frame
    return read_file(path, table_schema(features)).frame


def table_schema(features: FeatureSet) -> Schema:
    """The schema of an imported table: its features under their own names."""
    columns = [
        Column(
            name=f.name, source=(f.name,), parser="text" if f.levels else "number", levels=f.levels,
            ordered=f.ordered, reason=f.reason, risk=f.risk,
        )
        for f in features.features
    ]  # fmt: skip
    identifier = Column(name=IDENTIFIER, source=(IDENTIFIER,), role="identifier", parser="text")
    decision = Column(name="decision", source=("decision",), role="decision", parser="text")
    return Schema(
        name="table",
        kind="table",
        columns=(identifier, *columns, outcome_column("table"), decision),
        reasons=features.statements,
    )


def read_file(path: Path, schema: Schema) -> Imported:
    """Read a credit file by a schema.

    Separator (comma, semicolon, tab, bar) and line ends (also CR alone) are found out; blank lines
    and declared footers are left out and counted.

    Raises:
        DiskError: If the file cannot be read.
        DataError: If it is no table, or naming line and column of every cell that is wrong.
    """
    data, lines = _lines(path)
    _, cells = next(lines)
    header = _header(path, [cell.strip() for cell in cells], schema)
    rows, found, footers = [], [], 0
    for number, cells in lines:
        if _is_footer(cells, schema):
            footers += 1
        elif len(cells) != len(header.position):
            found.append(f"line {number}: {len(cells)} columns; the header has {len(header.position)}")
        else:
            row, wrong = _row(cells, header, schema, number)
            rows.append(row)
            found += wrong
    found += _repeated(rows)
    if found:
        more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        raise DataError(f"{path}: " + "; ".join(found[:MOST_SHOWN]) + more)
    if not rows:
        raise DataError(f"{path}: a header and no rows.")
    return _imported(path, data, schema, header, rows, footers)


def _imported(
    path: Path, data: bytes, schema: Schema, header: _Header, rows: list[dict[str, Any]], footers: int
) -> Imported:
    table = _typed(pd.DataFrame(rows).drop(columns="line"), schema)
    protected = [c.name for c in schema.columns if c.role == "protected" and c.name in table]
    blocks = [name for name in protected if in_blocks(table[name])]
    used = {name for c in schema.columns for name in (*c.source, *c.reference, *c.joint_source)}
    used |= set(schema.joint.source) if schema.joint else set()
    aside = {name: one for name in header.position if (one := schema.set_aside(name))}
    present = frozenset(header.source)
    lineage = {
        "source": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "schema": schema.name,
        "rows": len(rows),
        "footer_rows": footers,
        "outcomes": int(table["defaulted"].notna().sum()) if "defaulted" in table else 0,
        "set_aside": {name: f"{one.role}: {one.why}" for name, one in aside.items()}
        | {header.source[c.name]: f"{c.role}: {c.why or 'kept apart from the features'}"
           + (f"; not assessed: {IN_BLOCKS}" if c.name in blocks else "")
           for c in schema.columns if c.name in protected},
        "unmapped": [name for name in header.position if name not in used and name not in aside],
        "absent": [c.name for c in schema.columns if c.name not in present and c.name != IDENTIFIER],
    }  # fmt: skip
    return Imported(
        frame=table.drop(columns=protected),
        protected=table[[IDENTIFIER, *(name for name in protected if name not in blocks)]],
        features=schema.features(present),
        schema=schema,
        lineage=lineage,
    )


def in_blocks(column: pd.Series) -> bool:
    """Whether equal values stand together as they would in a sorted column, far more than by chance.

    A protected column that was sorted apart from its rows (as in a widely copied version of the German
    file) would give figures about nobody.
    """
    known = column.dropna().astype(str)
    expected = len(known) * (1 - float((known.value_counts(normalize=True) ** 2).sum()))  # runs by chance
    runs = int((known != known.shift()).sum())
    return expected >= FEWEST_RUNS and runs < expected / 20


def _typed(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Whole numbers as ``Int64`` and others as ``float64``, so that "not known" does not change a type."""
    for column in schema.columns:
        if column.name not in table or column.name == "income_verified" or column.bands:
            continue
        if column.parser in WHOLE or column.role == "outcome":
            table[column.name] = table[column.name].astype("Float64").astype("Int64")
        elif column.parser != "text" and column.map is None:
            table[column.name] = table[column.name].astype("float64")
    return table


def cells_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The non-blank lines of a file as cells, each with its number from 1; the header comes first.

    Raises:
        DiskError: If the file cannot be read.
        DataError: If it is no text, or empty.
    """
    return _lines(path)[1]


def _lines(path: Path) -> tuple[bytes, Iterator[tuple[int, list[str]]]]:
    """The bytes of a file and its non-blank lines as cells, numbered from 1."""
    with disk_errors(path):
        data = path.read_bytes()
    if not data.strip():
        raise DataError(f"{path}: empty.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise DataError(
            f"{path}: line {line}: not UTF-8 (byte {data[problem.start]:#x}). Save the file as UTF-8."
        ) from problem
    if "\x00" in text:
        raise DataError(
            f"{path}: line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL character; this is no CSV file."
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = text.lstrip("\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    return data, _numbered(path, reader)


def _numbered(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as problem:
        raise DataError(f"{path}: line {reader.line_num}: {problem}.") from problem


def _header(path: Path, names: list[str], schema: Schema) -> _Header:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path}: line 1: the column {', '.join(map(repr, twice))} is there twice.")
    position = {name: i for i, name in enumerate(names)}
    source = {c.name: s for c in schema.columns if (s := next((n for n in c.source if n in position), None))}
    if not any(c.name in source for c in schema.columns if c.role == "feature"):
        raise DataError(
            f"{path}: none of the columns of schema '{schema.name}' is in its header "
            f"({', '.join(names[:6])} ...). Is it the right schema?"
        )
    needed = "loan_amount"
    if schema.kind == "application" and needed not in source:
        tried = next((c.source for c in schema.columns if c.name == needed), (needed,))
        raise DataError(f"{path}: line 1: no column for '{needed}' (tried {', '.join(tried)}).")
    return _Header(position, source)


def _is_footer(cells: list[str], schema: Schema) -> bool:
    return any(cells[0].strip().startswith(start) for start in schema.footer)


def _row(cells: list[str], header: _Header, schema: Schema, line: int) -> tuple[dict[str, Any], list[str]]:
    """Values of one row, and what is wrong with it."""
    row: dict[str, Any] = {IDENTIFIER: f"row-{line}", "line": line}
    wrong = []
    joint = _is_joint(cells, header, schema)
    for column in schema.columns:
        source = header.source.get(column.name)
        if source is None:
            continue
        cell = cells[header.position[source]].strip()
        if joint and (other := header.find(column.joint_source)) and cells[header.position[other]].strip():
            source, cell = other, cells[header.position[other]].strip()
        try:
            value = _value(cell, column, source, cells, header, schema)
        except ValueError as problem:
            wrong.append(f"line {line}, column '{source}': {cell[:60]!r}: {problem}")
            continue
        if column.role != "identifier":
            row[column.name] = value
        elif value is not None:
            row[IDENTIFIER] = value
    if schema.kind == "application" and not wrong:
        wrong = _as_applicant(row, header, line)
    return row, wrong


def _value(cell: str, column: Column, source: str, cells: list[str], header: _Header, schema: Schema) -> Any:
    if cell in schema.missing or cell in column.missing:
        return None
    if column.map is not None:
        return _mapped(cell, column)
    value = PARSERS[column.parser](cell)
    if isinstance(value, str):
        if column.levels and value not in column.levels:
            raise ValueError(f"expected one of {', '.join(column.levels)}")
        return value
    if column.parser == "months_since":
        value = _months_since(value, column, cells, header, schema)
        if value is None:
            return None
    value = value * (column.scales or {}).get(source, 1.0)
    low, high = column.low, column.high
    if (low is not None and value < low) or (high is not None and value > high) or abs(value) > 1e15:
        raise ValueError(f"expected {low} to {high}{' ' + column.unit if column.unit else ''}")
    return band(value, column.bands) if column.bands else value


def band(value: float, cuts: Sequence[float]) -> str:
    """The band of a number: ``under 25``, ``25 to 39``, ``62 or more``."""
    at = bisect_right(list(cuts), value)
    if at == 0:
        return f"under {cuts[0]:g}"
    return f"{cuts[at - 1]:g} or more" if at == len(cuts) else f"{cuts[at - 1]:g} to {cuts[at] - 1:g}"


def _mapped(cell: str, column: Column) -> Any:
    mapping = column.map or {}
    if cell in mapping:
        value = mapping[cell]
        return None if value == "" else value
    if column.rest:
        return column.rest
    raise ValueError(f"expected one of {', '.join(mapping)}")


def _months_since(
    value: float, column: Column, cells: list[str], header: _Header, schema: Schema
) -> float | None:
    name = header.find(column.reference)
    if name is None:
        return None
    cell = cells[header.position[name]].strip()
    if cell in schema.missing:
        return None
    try:
        return months_between(value, PARSERS["months_since"](cell))
    except ValueError as problem:
        raise ValueError(f"its reference '{name}' is {cell[:60]!r}: {problem}") from problem


def _is_joint(cells: list[str], header: _Header, schema: Schema) -> bool:
    if schema.joint is None or (name := header.find(schema.joint.source)) is None:
        return False
    return cells[header.position[name]].strip() in schema.joint.values


def _as_applicant(row: dict[str, Any], header: _Header, line: int) -> list[str]:
    """Give the row the types of an Applicant and say which field breaks its range."""
    for name, f in Applicant.__dataclass_fields__.items():
        if name not in row:
            row[name] = f.default  # the file has no such column
        value, kind = row[name], str(f.type)
        if value is None and "None" not in kind:
            return [f"line {line}, column '{header.source.get(name, name)}': nothing; expected a value"]
        if name == "income_verified":
            row[name] = bool(value)
        elif isinstance(value, float) and "int" in kind and value.is_integer():
            row[name] = int(value)
    table = {name: row[name] for name in Applicant.__dataclass_fields__ if row.get(name) is not None}
    found = []
    for one in problems(Applicant, table):
        field = one.split("'")[1]
        found.append(f"line {line}, column '{header.source.get(field, field)}': {one}")
    return found


def _repeated(rows: list[dict[str, Any]]) -> list[str]:
    seen: dict[Any, int] = {}
    found = []
    for row in rows:
        first = seen.setdefault(row[IDENTIFIER], row["line"])
        if first != row["line"]:
            found.append(
                f"line {row['line']}, column '{IDENTIFIER}': {row[IDENTIFIER]!r} is on line {first} already"
            )
    return found
