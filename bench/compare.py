"""Result files to tables: before against after, and the tables of ``bench/README.md``."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import generate, load, memory, rooms, scaling, train
from bench.harness import RESULTS, Result, ratio, table
from bench.harness import load as read
from lendsafe.errors import DataError

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- tables: written by `python -m bench compare` -->", "<!-- end of tables -->"
TABLES: dict[str, tuple[str, Callable[[list[Result]], str]]] = {
    "train": ("Training steps", train.rows),
    "ablation": ("Training steps, each technique switched off in turn", train.rows),
    "memory": ("Peak memory against the planner's prediction", memory.summary),
    "generate": ("Generation", generate.rows),
    "load": ("Loading", load.rows),
    "risk": ("Risk", rooms.as_table),
    "eval": ("Evaluation", rooms.as_table),
    "scaling": ("Cost against the length of the data", scaling.rows),
}


def files(before: Path, after: Path) -> str:
    """Compare the systems that both files hold, case by case.

    Raises:
        DataError: If the machines are unlike, or nothing is in both.
    """
    old = {(one.bench, one.case, one.system): one for one in read(before)}
    pairs = [(old[key], one) for one in read(after) if (key := (one.bench, one.case, one.system)) in old]
    if not pairs:
        raise DataError(f"{before} and {after} have no case and system in common.")
    rows = [[b.case, b.system, b.series.text(), a.series.text(), ratio(b, a)] for b, a in pairs]
    return table([["case", "system", "before", "after", "times as fast"], *rows])


def tables(folder: Path = RESULTS) -> str:
    """All kept results, by machine; unlike machines never share a table."""
    parts = []
    for path in sorted(folder.glob("*/results.jsonl")):
        parts.append(f"## {path.parent.name}")
        for name, (title, draw) in TABLES.items():
            if found := [one for one in read(path) if one.bench == name]:
                parts += _section(title, found, draw, whole=name == "memory")
    return "\n\n".join(parts)


def _section(
    title: str, results: Sequence[Result], draw: Callable[[list[Result]], str], *, whole: bool
) -> list[str]:
    by_case: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        by_case["" if whole else one.case].append(one)
    parts = [f"### {title}"]
    for case, some in by_case.items():
        first = some[0]
        packages = ", ".join(f"{name} {number}" for name, number in first.versions.items())
        repetitions = len(first.series.values)
        load = f"Load at the end, the measurement included: {first.machine.load:g} cores."
        about = f"{first.machine}. {load} {first.date}. {packages}."
        spread = "" if whole else f" Median of {repetitions} repetitions (lowest to highest)."
        parts += [f"{case}\n\n{draw(some)}\n\n{about}{spread}".strip()]
    return parts


def headline(folder: Path = RESULTS) -> str:
    """Training steps beside other trainers, in short."""
    parts = []
    for path in sorted(folder.glob("*/results.jsonl")):
        found = [one for one in read(path) if one.bench == "train"]
        parts += _section("", found, train.short_rows, whole=False)[1:]
    return "\n\n".join(parts)


def write_readme(path: Path = README, folder: Path = RESULTS) -> str:
    """Put the tables between the marks of this folder's README, the short one into the other; the tables."""
    made = tables(folder)
    _put(path, made)
    _put(path.parent.parent / "README.md", headline(folder))
    return made


def _put(path: Path, made: str) -> None:
    text = path.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise DataError(f"{path}: no place for tables; expected the lines '{BEGIN}' and '{END}'.")
    head, rest = text.split(BEGIN, 1)
    path.write_text(f"{head}{BEGIN}\n\n{made}\n\n{END}{rest.split(END, 1)[1]}", "utf-8")
