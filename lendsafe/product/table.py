"""A raw file by its product: values by field, rows that cannot be used, and the account of it.

Columns are parsed by distinct cell, so that a million rows take seconds; a row that holds a wrong cell is
set aside with its line, column and reason, and does not stop the others.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lendsafe.errors import DataError
from lendsafe.files import disk_errors
from lendsafe.product import parsers
from lendsafe.product.formula import Floats
from lendsafe.product.model import ABOUT_THE_DECISION, Field, Product, Value
from lendsafe.product.rows import Raw, read_rows
from lendsafe.product.values import SpecialError, band, expected, from_json, reader, written

CHUNK = 50_000
MOST_REMEMBERED = 100_000  # distinct cells of a column
MOST_SHOWN = 20
IDENTIFIER, OUTCOME, DECISION = "applicant_id", "defaulted", "decision"
FEWEST_RUNS = 50  # by chance, from which on blocks mean something
IN_BLOCKS = (
    "equal values stand together: the file or this column was sorted (a sorted file: shuffle its rows first)"
)
DATE, CUSTOMER, WEIGHT = "date", "customer", "weight"
# Roles whose column has the same name in every frame and in files of ours, whatever the field is called.
CANONICAL: Mapping[str, str] = {
    "identifier": IDENTIFIER, "outcome": OUTCOME, "decision": DECISION, "date": DATE, "customer": CUSTOMER,
    "weight": WEIGHT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be used.

    Attributes:
        line: Its number in the file.
        column: Column of the wrong cell; empty if the row as a whole is wrong.
        why: What is wrong.
        cell: The cell, cut to 60 characters.
    """

    line: int
    column: str
    why: str
    cell: str = ""

    def text(self, lines: str = "line") -> str:
        """In words."""
        where = f"{lines} {self.line}" + (f", column '{self.column}': {self.cell!r}" if self.column else "")
        return f"{where}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A raw file that was read.

    Attributes:
        frame: ``applicant_id``, fields of the product (formulas too), and ``defaulted``, ``decision``, ``date``
            (else the day received), ``customer`` and ``weight`` where the file has them. Numbers are
            ``float64``, NaN where not known; texts are objects, None where not known.
        protected: ``applicant_id`` and the protected columns; kept apart from ``frame``.
        people: Contact, dates and key factors by field, for letters; empty unless asked for.
        sources: Cells of each row of ``frame`` by column, as they were read; empty unless asked for.
        rejects: Rows that were left out.
        present: Fields that the file has a column for, and formulas all of whose inputs it has.
        lineage: Source, hash, counts, columns set aside with the reason, columns without a place.
    """

    frame: pd.DataFrame
    protected: pd.DataFrame
    people: pd.DataFrame
    sources: tuple[Mapping[str, Any], ...]
    rejects: tuple[Reject, ...]
    present: frozenset[str]
    lineage: dict[str, Any] = field(default_factory=dict)


def read_table(path: Path, product: Product, *, people: bool = False, strict: bool = False) -> Table:
    """Read a raw file, or one of ours, by a product.

    Args:
        path: CSV, TSV, XLSX, JSON lines ...
        product: What its columns mean.
        people: Whether contact, dates of the application and key factors are read too.
        strict: Refuse the file for one wrong row.

    Raises:
        DiskError: If it cannot be read.
        DataError: If it is no table, lacks all or a needed column, or (if strict) naming line and column of
            everything that is wrong.
    """
    rejects: list[Reject] = []
    sources: dict[int, Mapping[str, Any]] = {}
    chunks = []
    with read_rows(path) as raw:
        plan = _Plan(path, raw, product, people=people)
        for rows in _chunks(raw.rows):
            chunks.append(plan.parsed(rows, rejects))
            if people:
                sources |= {number: dict(zip(raw.header, cells, strict=False)) for number, cells in rows}
    table = pd.concat(chunks, ignore_index=True) if chunks else pd.DataFrame()
    if len(table):
        table = _without_repeated(table, rejects)
    if rejects and (strict or not len(table)):
        raise DataError(f"{path}: {listed(rejects, raw.lines)}")
    if not len(table):
        raise DataError(f"{path}: a header and no rows.")
    return plan.table(table, rejects, sources)


def listed(rejects: Sequence[Reject], lines: str = "line") -> str:
    """Rejects in one line, the first twenty in full."""
    shown = "; ".join(one.text(lines) for one in rejects[:MOST_SHOWN])
    return shown + (f"; and {len(rejects) - MOST_SHOWN} more" if len(rejects) > MOST_SHOWN else "")


def with_formulas(frame: pd.DataFrame, product: Product) -> pd.DataFrame:
    """The frame with the product's formulas worked out, replacing columns of their names."""
    columns = Columns(frame, product)
    made = {one.name: columns[one.name] for one in product.in_order_of_need}
    return frame.assign(**made) if made else frame


class Columns(dict[str, Floats]):
    """Fields of applications as numbers, ``(n,)`` each, read when they are asked for and once; formulas worked out.

    Args:
        frame: Columns by field, ``n`` rows.
        product: What they mean.
    """

    def __init__(self, frame: pd.DataFrame, product: Product) -> None:
        super().__init__()
        self.frame = frame
        for one in product.in_order_of_need:
            assert one.formula is not None
            self[one.name] = one.formula(self) if len(frame) else np.zeros(0)

    def __missing__(self, name: str) -> Floats:
        self[name] = numbers(self.frame, name)
        return self[name]


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """A field's column as ``float64``; NaN where it is not known, no number, or absent."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    column = frame[name]
    if column.dtype.kind in "fiub":
        return np.asarray(column, dtype=np.float64)
    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


class _Plan:
    """Which column fills which field, and how its cells are read."""

    def __init__(self, path: Path, raw: Raw, product: Product, *, people: bool) -> None:
        self.path, self.raw, self.product = path, raw, product
        self.position = {name: i for i, name in enumerate(raw.header)}
        self.footers = 0
        wanted = [one for one in product.fields.values() if one.formula is None and self._read(one, people)]
        self.source = {one.name: s for one in wanted if (s := self._source(one))}
        self.fields = [one for one in wanted if one.name in self.source]
        self.parsers = {
            one.name: _Column(one, self.source[one.name], product.missing)
            for one in self.fields
            if one.role != "leak"
        }
        self._need()

    def _read(self, one: Field, people: bool) -> bool:
        if one.role == "leak":
            return False
        return people or not one.personal or one.role == "date.received"

    def _source(self, one: Field) -> str:
        names = (*one.columns, one.name, CANONICAL.get(one.role, one.name))
        return next((name for name in names if name in self.position), "")

    def _need(self) -> None:
        product, header = self.product, self.raw.header
        features = [one for one in self.fields if one.role in ABOUT_THE_DECISION]
        if not features:
            raise DataError(
                f"{self.path}: none of the columns of product '{product.name}' is in its header "
                f"({', '.join(header[:6])} ...). Is it the right product?"
            )
        amount = product.request.amount
        if amount and amount not in self.source and product.fields[amount].formula is None:
            tried = ", ".join((*product.fields[amount].columns, amount))
            raise DataError(f"{self.path}: line 1: no column for '{amount}' (tried {tried}).")

    def parsed(self, rows: list[tuple[int, Sequence[Any]]], rejects: list[Reject]) -> pd.DataFrame:
        """One chunk as a frame with a ``line`` column; rows with a wrong cell go to ``rejects``."""
        width = len(self.raw.header)
        good = []
        for number, cells in rows:
            if self._is_footer(cells):
                self.footers += 1
            elif len(cells) < width or (len(cells) > width and any(map(_filled, cells[width:]))):
                rejects.append(Reject(number, "", f"{len(cells)} columns; the header has {width}"))
            else:
                good.append((number, cells))
        lines = [number for number, _ in good]
        columns = list(zip(*(cells for _, cells in good), strict=False)) if good else [()] * width
        joint = self._joint(columns)
        bad: set[int] = set()
        made: dict[str, Any] = {"line": lines}
        for one in self.fields:
            cells = self._cells_of(one, columns, joint)
            values, wrong, special = self.parsers[one.name](cells)
            if one.since and self.source[one.name] in one.columns:  # files of ours hold the months
                values, more = self._months(one, values, columns)
                wrong |= more
            for at, why in wrong.items():
                bad.add(at)
                rejects.append(Reject(lines[at], self.source[one.name], why, str(cells[at])[:60]))
            made[CANONICAL.get(one.role, one.name)] = _array(one, values)
            for code in one.special:
                made[indicator(one.name, code)] = np.array(
                    [found == code for found in special], dtype=np.float64
                )
        frame = pd.DataFrame(made)
        if IDENTIFIER not in frame:
            frame[IDENTIFIER] = [f"row-{number}" for number in lines]
        elif (unnamed := frame[IDENTIFIER].isna().to_numpy()).any():
            frame.loc[unnamed, IDENTIFIER] = [
                f"row-{n}" for n, out in zip(lines, unnamed, strict=True) if out
            ]
        return frame.drop(index=sorted(bad)) if bad else frame

    def _cells_of(
        self, one: Field, columns: Sequence[Sequence[Any]], joint: Sequence[bool] | None
    ) -> Sequence[Any]:
        cells = columns[self.position[self.source[one.name]]]
        other = next((name for name in one.joint_columns if name in self.position), "")
        if joint is None or not other:
            return cells
        second = columns[self.position[other]]
        return [b if both and _filled(b) else a for a, b, both in zip(cells, second, joint, strict=True)]

    def _joint(self, columns: Sequence[Sequence[Any]]) -> Sequence[bool] | None:
        if (joint := self.product.joint) is None:
            return None
        name = next((one for one in joint.columns if one in self.position), "")
        return [str(cell).strip() in joint.values for cell in columns[self.position[name]]] if name else None

    def _months(
        self, one: Field, dates: Sequence[Any], columns: Sequence[Sequence[Any]]
    ) -> tuple[list[Any], dict[int, str]]:
        """Months from each date up to the reference's."""
        name = next((ref for ref in one.since if ref in self.position), "")
        wrong: dict[int, str] = {}
        found: list[Any] = []
        for at, start in enumerate(dates):
            cell = str(columns[self.position[name]][at]).strip() if name else ""
            value = None
            if start is not None and cell and cell not in self.product.missing:
                try:
                    value = _in_range(one, parsers.months_between(start, parsers.month(cell)))
                except ValueError as problem:
                    wrong[at] = f"its reference '{name}' is {cell[:60]!r}: {problem}"
            found.append(value)
        return found, wrong

    def _is_footer(self, cells: Sequence[Any]) -> bool:
        return any(str(cells[0]).strip().startswith(start) for start in self.product.footer)

    def table(
        self, table: pd.DataFrame, rejects: list[Reject], sources: Mapping[int, Mapping[str, Any]]
    ) -> Table:
        product = self.product
        kept = tuple(sources[line] for line in table["line"]) if sources else ()
        table = table.drop(columns="line").reset_index(drop=True)
        protected = [one.name for one in self.fields if one.role == "protected"]
        blocks = [name for name in protected if in_blocks(table[name])]
        personal = [one.name for one in self.fields if one.personal]
        frame = with_formulas(table.drop(columns=[*protected, *personal]), product)
        received = next((one.name for one in self.fields if one.role == "date.received"), "")
        if DATE not in frame and received:
            frame[DATE] = table[received]
        known = frozenset(self.source) & frozenset(product.fields)
        present = known | {
            one.name
            for one in product.in_order_of_need
            if product.inputs(one.name) <= known or (one.formula and "unknown(" in one.formula.text)
        }
        return Table(
            frame=frame,
            protected=table[[IDENTIFIER, *(name for name in protected if name not in blocks)]],
            people=table[[IDENTIFIER, *personal]],
            sources=kept,
            rejects=tuple(rejects),
            present=present,
            lineage=self._lineage(table, rejects, blocks),
        )

    def _lineage(self, table: pd.DataFrame, rejects: list[Reject], blocks: list[str]) -> dict[str, Any]:
        product, header = self.product, self.raw.header
        used = {
            name
            for one in product.fields.values()
            for name in (*one.columns, one.name, *one.since, *one.joint_columns)
        }
        used |= set(product.joint.columns) if product.joint else set()
        aside = {name: f"{why.role}: {why.why}" for name in header if (why := product.set_aside(name))}
        for one in product.fields.values():
            column = self._source(one)
            if column and one.role in ("protected", "leak"):
                aside[column] = f"{one.role}: {one.why or 'kept apart from the features'}" + (
                    f"; not assessed: {IN_BLOCKS}" if one.name in blocks else ""
                )
        with disk_errors(self.path), self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "source": self.path.name,
            "sha256": digest,
            "encoding": self.raw.encoding,
            "product": product.name,
            "product_sha256": product.sha256,
            "rows": len(table),
            "rejected_rows": len({one.line for one in rejects}),
            "footer_rows": self.footers,
            "outcomes": int(table[OUTCOME].notna().sum()) if OUTCOME in table else 0,
            "without_outcome": int(table[OUTCOME].isna().sum()) if OUTCOME in table else len(table),
            "set_aside": aside,
            "unmapped": [name for name in header if name not in used and name not in aside],
            "absent": [
                one.name for one in product.fields.values()
                if one.formula is None and one.role in (*ABOUT_THE_DECISION, "outcome") and not self._source(one)
            ],
        }  # fmt: skip


class _Column:
    """Cells of one column to values, each distinct cell read once."""

    def __init__(self, one: Field, column: str, missing: tuple[str, ...]) -> None:
        self.one = one
        dated = one.since and column in one.columns
        self.read: Callable[[Any], Value] = _dated(one) if dated else reader(one, column, missing)
        self.json: Callable[[Any], Value] = lambda value: from_json(one, value, missing)
        self.absent = frozenset((*missing, *one.missing))
        self.remembered: dict[Any, Any] = {}

    def __call__(self, cells: Sequence[Any]) -> tuple[list[Any], dict[int, str], list[str]]:
        """Values, what is wrong by place, and the code at each place where one stands."""
        remembered, values = self.remembered, []
        wrong: dict[int, str] = {}
        special: list[str] = [""] * len(cells) if self.one.special else []
        for at, cell in enumerate(cells):
            found = remembered.get(cell, self) if not isinstance(cell, list) else self
            if found is self:
                found = self._one(cell)
                if len(remembered) < MOST_REMEMBERED:
                    remembered[cell] = found
            if type(found) is _Wrong:
                wrong[at], found = found.why, None
            elif type(found) is _Code:
                special[at], found = found.text, None
            values.append(found)
        return values, wrong, special

    def _one(self, cell: Any) -> Any:
        try:
            if cell is None:
                return None
            value: Value = self.read(cell.strip()) if isinstance(cell, str) else self.json(cell)
        except SpecialError as code:
            return _Code(str(code))
        except (ValueError, OverflowError) as problem:
            return _Wrong(str(problem))
        if self.one.role == "protected" and value is not None:
            return self._kept_apart(value)
        return value

    def _kept_apart(self, value: Value) -> str:
        """A protected value as it is kept: its band, its first digits, or its text."""
        one = self.one
        if one.bands and isinstance(value, int | float) and not isinstance(value, bool):
            return band(float(value), one.bands)
        text = written(one, value)
        return text[: one.digits] if one.digits else text


@dataclass(frozen=True, slots=True)
class _Wrong:
    why: str


@dataclass(frozen=True, slots=True)
class _Code:
    text: str


def indicator(name: str, code: str) -> str:
    """Column that is 1 where a field holds one of its codes."""
    return f"{name} is {code}"


def in_blocks(column: pd.Series) -> bool:
    """Whether equal values stand together as they would in a sorted column, far more than by chance.

    A protected column that was sorted apart from its rows (as in a widely copied version of the German
    file) would give figures about nobody.
    """
    known = column.dropna().astype(str)
    expected = len(known) * (1 - float((known.value_counts(normalize=True) ** 2).sum()))  # runs by chance
    runs = int((known != known.shift()).sum())
    return expected >= FEWEST_RUNS and runs < expected / 20


def _in_range(one: Field, months: float) -> float:
    if not (one.low or 0) <= months <= (math.inf if one.high is None else one.high):
        raise ValueError(f"{months:g} months later; expected {expected(one)}")
    return months


def _dated(one: Field) -> Callable[[str], Value]:
    def read(cell: str) -> Value:
        if cell in one.missing or cell == "":
            return None
        return parsers.month(cell)

    return read


def _array(one: Field, values: list[Any]) -> Any:
    """A column in its type: ``float64`` for numbers, yes/no and outcomes, objects for texts."""
    if one.role in ("outcome", "weight") or (
        (one.numeric or one.kind == "yesno") and one.role != "protected"
    ):
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.array(values, dtype=object)


def _chunks(rows: Iterator[tuple[int, Sequence[Any]]]) -> Iterator[list[tuple[int, Sequence[Any]]]]:
    chunk: list[tuple[int, Sequence[Any]]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _without_repeated(table: pd.DataFrame, rejects: list[Reject]) -> pd.DataFrame:
    again = table[IDENTIFIER].duplicated()
    if not again.any():
        return table
    first = table.drop_duplicates(IDENTIFIER).set_index(IDENTIFIER)["line"]
    for name, line in zip(table[IDENTIFIER][again], table["line"][again], strict=True):
        rejects.append(
            Reject(
                int(line),
                "",
                f"identifier {str(name)[:60]!r} is that of line {first[name]}; identifiers must differ",
            )
        )
    return table[~again]


def _filled(cell: Any) -> bool:
    return cell is not None and bool(str(cell).strip())
