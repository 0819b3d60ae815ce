"""A schema template for a credit file that has none: a guess for every column, for a person to review.

The template is TOML that :mod:`lendsafe.risk.schema` reads. A feature whose reason the name does not
suggest has an empty one, and the schema does not load until a person has filled it in.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendsafe.errors import DataError
from lendsafe.fields import parse_toml
from lendsafe.risk.ingest import cells_of
from lendsafe.risk.parsers import PARSERS
from lendsafe.risk.schema import MISSING

MOST_LEVELS = 20
FEWEST_REPEATS = 2  # rows per level at least, or it is free text
ONCE = {"outcome": "defaulted", "decision": "decision", "identifier": "applicant_id"}
MEANING = {
    "outcome": ('0 repaid, 1 defaulted, "" not known yet', 0),
    "decision": ("approved or declined", "approved"),
}
TRIED = ("whole", "number", "percent", "months", "years_in_months", "low_end")


def template(path: Path) -> str:
    """The text of a schema for a file, with a comment on whatever a person has to decide.

    Raises:
        DiskError: If the file cannot be read.
        DataError: If it is no table.
    """
    rows = cells_of(path)
    _, header = next(rows)
    names = [cell.strip() for cell in header]
    if not all(names) or len(set(names)) < len(names):
        raise DataError(f"{path}: line 1: every column needs a name of its own.")
    table = [[cell.strip() for cell in cells] for _, cells in rows if len(cells) == len(names)]
    columns = {name: [row[i] for row in table] for i, name in enumerate(names)}
    used: dict[str, str] = {}
    taken: set[str] = set()
    blocks = [_block(name, values, taken, used) for name, values in columns.items()]
    blocks.sort(key=lambda block: block.startswith("[[aside]]"))  # TOML wants the columns before them
    reasons = [f"{code} = {_text(statement)}" for code, statement in used.items()]
    head = [
        f"# Guessed from {path.name} ({len(table)} rows). Review every line before use: the role, the unit and",
        "# range, the sign (risk) and the reason of each feature, in Form C-1's wording where it has one.",
        f"name = {_text(path.stem)}",
        'kind = "table"',
        f"missing = {json.dumps([one for one in MISSING if any(one in v for v in columns.values())] or [''])}",
        "",
        "[reasons]  # code = the words of the notice; add one for every feature without a reason",
        *reasons,
        "",
    ]
    return "\n".join([*head, *blocks])


@cache
def _hints() -> dict[str, list[dict[str, Any]]]:
    where = "lendsafe/risk/guess.toml"
    return parse_toml((files("lendsafe.risk") / "guess.toml").read_text("utf-8"), where)


def _hint(name: str, kind: str) -> dict[str, Any] | None:
    plain = "_" + "_".join(re.findall(r"[a-z0-9]+", name.lower())) + "_"
    return next((one for one in _hints()[kind] if any(f"_{word}_" in plain for word in one["words"])), None)


def _block(name: str, values: Sequence[str], taken: set[str], used: dict[str, str]) -> str:
    """The table of one column.

    Args:
        name: Column.
        values: Its cells.
        taken: Columns of the written file that are there once only, as far as they have a source.
        used: Reasons that features name, with their wording; added to.
    """
    hint = _hint(name, "names") or {"role": "feature", "why": ""}
    role, why = hint["role"], hint["why"]
    known = [v for v in values if v not in MISSING]
    key = ONCE.get(role, name)
    levels = sorted(set(known))
    listed = len(levels) <= MOST_LEVELS and len(known) >= FEWEST_REPEATS * len(levels)
    parser = next((p for p in TRIED if known and _all_read(p, known)), "text")
    if role in ONCE and (key in taken or (role == "identifier" and len(levels) < len(values))):
        role, why = ("identifier", why) if role == "identifier" else ("leak", "a further form of the outcome")
        return _set_aside(name, role, why)
    if role == "leak":
        return _set_aside(name, role, why)
    if role == "feature" and parser == "text" and not listed:
        return _set_aside(name, "identifier", "free text, or empty")
    taken.add(key)
    lines = [f"[columns.{_key(key)}]", f"source = {_list([name])}"]
    if role == "feature":
        return "\n".join([*lines, *_values(parser, known, levels), *_reason(name, used), ""])
    lines += [f'role = "{role}"', 'parser = "text"']
    if role in MEANING:
        text, value = MEANING[role]
        pairs = ", ".join(f"{_text(level)} = {json.dumps(value)}" for level in levels[:MOST_LEVELS])
        lines += [f"# say what each text means: {text}", f"map = {{ {pairs} }}"]
    return "\n".join([*lines, f"why = {_text(why)}", ""])


def _set_aside(name: str, role: str, why: str) -> str:
    return "\n".join(
        ["[[aside]]", f"columns = {_list([name])}", f'role = "{role}"', f"why = {_text(why)}", ""]
    )


def _values(parser: str, known: Sequence[str], levels: Sequence[str]) -> list[str]:
    """Parser with range or levels, such that every known cell is allowed."""
    if parser == "text":
        return [
            'parser = "text"',
            f"levels = {_list(levels)}",
            "ordered = false  # true if they are in order",
        ]
    numbers = [PARSERS[parser](v) for v in known]
    return [
        f'parser = "{parser}"',
        'unit = ""',
        f"low = {min(*numbers, 0):g}",
        f"high = {max(numbers):.15g}  # the largest here; say what is possible",
    ]


def _all_read(parser: str, known: Sequence[str]) -> bool:
    try:
        for cell in known:
            PARSERS[parser](cell)
    except ValueError:
        return False
    return True


def _reason(name: str, used: dict[str, str]) -> list[str]:
    hint = _hint(name, "features")
    if hint is None:
        return [
            'risk = ""  # "+" if a higher value is riskier, "-" if it is safer',
            'reason = ""  # name one of [reasons]',
        ]
    used.setdefault(hint["reason"], hint["statement"])
    return [f'risk = "{hint["risk"]}"', f'reason = "{hint["reason"]}"']


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _text(value: str) -> str:
    return json.dumps(value)  # a JSON string is a TOML string, but for characters beyond the first plane
