"""Measure, keep, compare: warm-up, alternating repetitions, spread, one JSON line a result.

A line of results holds ``format``, ``bench``, ``case``, ``system``, ``unit``, ``values`` (every repetition),
``facts`` (numbers that go with them), ``machine``, ``versions`` and ``date``. Format history: 1 first.
"""

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import Machine, as_dict, cool_down, this_machine, versions
from lendsafe.errors import DataError

FORMAT = 1
RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Series:
    """Repetitions of one measurement."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("no repetitions")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        """Smallest value that at least 95 % of the repetitions do not exceed."""
        return sorted(self.values)[math.ceil(0.95 * len(self.values)) - 1]

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def text(self, digits: int = 3) -> str:
        """Median, and the range of all repetitions."""
        return f"{_short(self.median, digits)} ({_short(self.low, digits)} to {_short(self.high, digits)})"


@dataclass(frozen=True)
class Result:
    """One system in one case.

    Attributes:
        bench: ``train``, ``generate``, ...
        case: What was measured: model, precision, sizes.
        system: Who was measured.
        unit: Of the series; the less, the better.
        series: Repetitions.
        facts: Further numbers of the same run, such as peak bytes; each a number or None.
    """

    bench: str
    case: str
    system: str
    unit: str
    series: Series
    facts: Mapping[str, float | None] = field(default_factory=dict)
    machine: Machine = field(default_factory=this_machine)
    versions: Mapping[str, str] = field(default_factory=versions)
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))

    def line(self) -> str:
        """As one line of JSON."""
        content = {
            "format": FORMAT,
            "bench": self.bench,
            "case": self.case,
            "system": self.system,
            "unit": self.unit,
            "values": self.series.values,
            "facts": dict(self.facts),
            "machine": as_dict(self.machine),
            "versions": dict(self.versions),
            "date": self.date,
        }
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> "Result":
        """Read a line back.

        Raises:
            DataError: If it is of another format.
        """
        row = json.loads(line)
        if row.get("format") != FORMAT:
            raise DataError(
                f"A result of format {row.get('format')}; this harness reads {FORMAT}. Measure again."
            )
        return cls(
            row["bench"],
            row["case"],
            row["system"],
            row["unit"],
            Series(tuple(row["values"])),
            row["facts"],
            Machine(**row["machine"]),
            row["versions"],
            row["date"],
        )


def alternate(
    systems: Mapping[str, Callable[[int], float | None]],
    *,
    repetitions: int,
    warm_up: int = 1,
    say: Callable[[str], None] = print,
) -> dict[str, Series]:
    """Time every system in turn, A B A B, so that what changes on the machine meets all alike.

    Args:
        systems: Called with the number of the repetition; it computes to the end before it returns. What it
            returns, if anything, takes the place of the wall-clock time.
        repetitions: Kept ones.
        warm_up: Repetitions that are thrown away: compilation, caches, clocks.
        say: Called with a line a repetition.
    """
    times: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(warm_up + repetitions):
        for name, run in systems.items():
            waited = cool_down()
            start = time.perf_counter()
            own = run(number)
            seconds = time.perf_counter() - start if own is None else own
            if number >= warm_up:
                times[name].append(seconds)
            note = "warm-up" if number < warm_up else f"{number - warm_up + 1}/{repetitions}"
            say(
                f"  {note:>8}  {name:<32} {seconds:8.3f} s"
                + (f"  (cooled {waited:.0f} s)" if waited > 1 else "")
            )
    return {name: Series(tuple(values)) for name, values in times.items()}


def save(results: Iterable[Result], folder: Path = RESULTS) -> Path:
    """Write results as lines of ``<machine>/results.jsonl``, in place of older ones of the same bench and case.

    With ``BENCH_CALL`` set they also join ``<machine>/<its value>.jsonl``, which replaces nothing.
    """
    results = list(results)
    path = folder / results[0].machine.folder / "results.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {(one.bench, one.case) for one in results}
    old = load(path) if path.exists() else []
    kept = [one for one in old if (one.bench, one.case) not in new]
    path.write_text("".join(one.line() + "\n" for one in [*kept, *results]), "utf-8")
    if call := os.environ.get("BENCH_CALL"):
        with path.with_name(f"{call}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(one.line() + "\n" for one in results)
    return path


def load(path: Path) -> list[Result]:
    """Results of a file.

    Raises:
        DataError: If it is none.
    """
    try:
        return [Result.from_line(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path}: no file of results: {problem}") from problem


def ratio(before: Result, after: Result) -> str:
    """How many times faster ``after`` is, or that the repetitions do not tell.

    Raises:
        DataError: If the two were measured on unlike machines, or in another unit.
    """
    if unlike := before.machine.differences(after.machine):
        raise DataError(f"Results of unlike machines are not compared: {'; '.join(unlike)}.")
    if (before.bench, before.unit) != (after.bench, after.unit):
        raise DataError(
            f"'{before.bench}' in {before.unit} is not compared with '{after.bench}' in {after.unit}."
        )
    a, b = before.series, after.series
    if a.low <= b.high and b.low <= a.high:
        return "not significant"
    return f"{a.median / b.median:.2f} x ({a.low / b.high:.2f} to {a.high / b.low:.2f})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def gigabytes(number: float | None) -> str:
    """Bytes as a cell of a table."""
    return "" if number is None else f"{number / 1e9:.2f} GB"


def _short(value: float, digits: int) -> str:
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"
