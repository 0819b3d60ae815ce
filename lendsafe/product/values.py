"""One cell or JSON value of a field to its value, or a ``ValueError`` that says what was expected."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from lendsafe.product import parsers
from lendsafe.product.model import Field, Value

MOST_CHARACTERS = 200

Reader = Callable[[str], Value]


class SpecialError(Exception):
    """A code that stands in place of a value; its text is the code."""


def reader(one: Field, column: str, missing: Sequence[str]) -> Reader:
    """What turns the cells of one column into values of a field.

    Args:
        one: The field.
        column: Column that is read; the field's own name means a file of ours.
        missing: Texts of the file that mean "not known".

    Returns:
        A function of a stripped cell: its value, None where it is not known. It raises ``ValueError`` where
        the cell is neither, and :class:`SpecialError` where it is one of the field's codes.
    """
    absent = frozenset((*missing, *one.missing))
    parse = _parser(one)
    scale = one.scales.get(column, 1.0)

    def read(cell: str) -> Value:
        if cell in one.special:
            raise SpecialError(cell)
        if one.map and cell in one.map:
            value = one.map[cell]
            return None if value == "" else in_range(one, _typed(one, value))
        if cell in absent:
            return None
        if one.map and one.role in ("outcome", "decision") and cell in _own(one):
            return _own(one)[cell]
        if one.map and cell not in map(str, one.map.values()):
            if one.rest:
                return _typed(one, one.rest)
            raise ValueError(f"expected one of {_listed(list(one.map))}")
        value = parse(cell)
        if scale != 1.0 and isinstance(value, float):
            value *= scale
        return in_range(one, value)

    return read


def from_json(one: Field, value: Any, missing: Sequence[str]) -> Value:
    """A JSON value of a field; texts are read as cells are.

    Raises:
        ValueError: Saying what was expected.
        SpecialError: If it is one of the field's codes.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return reader(one, one.name, missing)(value.strip())
    if isinstance(value, bool):
        if one.kind == "yesno":
            return value
        raise ValueError(f"expected {expected(one)}")
    if isinstance(value, int | float):
        if str(value) in one.special:
            raise SpecialError(str(value))
        if one.map and str(value) in one.map:
            return reader(one, one.name, missing)(str(value))
        if one.kind == "yesno" and value in (0, 1):
            return bool(value)
        if one.numeric and _finite(value):
            return in_range(one, _typed(one, value))
    raise ValueError(f"expected {expected(one)}")


def in_range(one: Field, value: Value) -> Value:
    """The value, if it is possible.

    Raises:
        ValueError: If it is out of range, or no level of a category.
    """
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            raise ValueError(f"{len(value)} characters; at most {MOST_CHARACTERS}")
        if one.levels and value not in one.levels:
            raise ValueError(f"expected one of {_listed(one.levels)}")
        return value
    if value is None or isinstance(value, bool):
        return value
    low, high = one.low, one.high
    if (low is not None and value < low) or (high is not None and value > high) or abs(value) > 1e15:
        raise ValueError(f"expected {expected(one)}")
    return value


def expected(one: Field) -> str:
    """What a field's values are, for a message."""
    if one.levels:
        return f"one of {_listed(one.levels)}"
    kinds = {
        "money": "an amount", "percent": "a percentage", "count": "a whole number", "duration": "a duration",
        "score": "a score", "number": "a number", "category": "a text", "yesno": "yes or no",
        "date": "a date such as 2026-11-27", "text": "a text",
    }  # fmt: skip
    text = kinds[one.kind]
    unit = " months" if one.kind == "duration" else (f" {one.unit}" if one.unit else "")
    if one.low is not None and one.high is not None:
        return f"{text} from {one.low:.15g} to {one.high:.15g}{unit}"
    if one.low is not None:
        return f"{text} of at least {one.low:.15g}{unit}"
    return f"{text} of at most {one.high:.15g}{unit}" if one.high is not None else text


def band(value: float, cuts: Sequence[float]) -> str:
    """The band of a number: ``under 25``, ``25 to 39``, ``62 or more``."""
    at = bisect_right(list(cuts), value)
    if at == 0:
        return f"under {cuts[0]:g}"
    return f"{cuts[at - 1]:g} or more" if at == len(cuts) else f"{cuts[at - 1]:g} to {cuts[at] - 1:g}"


def written(one: Field, value: Value) -> str:
    """A value as files of ours hold it, from which it is read back the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if one.kind == "duration":
        return f"{value:.15g} months" if float(value) < 10_000 else f"{value:.15g}"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _parser(one: Field) -> Reader:
    decimal = one.decimal
    parsers_of_kinds: dict[str, Reader] = {
        "money": lambda cell: parsers.number(cell, decimal),
        "number": lambda cell: parsers.number(cell, decimal),
        "percent": lambda cell: parsers.percent(cell, decimal),
        "count": lambda cell: int(parsers.whole(cell, decimal)),
        "score": lambda cell: int(_whole(parsers.low_end(cell, decimal))),
        "duration": lambda cell: parsers.months(cell, one.unit),
        "yesno": parsers.yes_no,
        "date": lambda cell: parsers.day_of(cell, one.order),
    }
    return parsers_of_kinds.get(one.kind, str)


def _whole(value: float) -> float:
    if not value.is_integer():
        raise ValueError("expected a whole number")
    return value


def _typed(one: Field, value: Any) -> Value:
    """A value of a map or of JSON in its field's type."""
    if one.role == "outcome":
        return int(value)
    if one.kind == "yesno":
        return parsers.yes_no(str(value))
    if one.kind in ("count", "score"):
        return int(_whole(float(value)))
    if one.numeric:
        return float(value)
    return str(value)


def _own(one: Field) -> dict[str, Value]:
    """Outcomes and decisions as files of ours hold them."""
    return {"0": 0, "1": 1} if one.role == "outcome" else {"approved": "approved", "declined": "declined"}


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(values[:12])
    return shown if len(values) <= 12 else f"{shown} and {len(values) - 12} more"
