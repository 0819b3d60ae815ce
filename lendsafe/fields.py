"""Declare a field once: default, help text, unit, range; flag, TOML key and check follow.

Every settings dataclass and every record read from a file is built by :func:`build`, so
an unknown key, a wrong type or a value out of range is reported the same way everywhere.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lendsafe.errors import ConfigError, LendSafeError

T = TypeVar("T")


def knob(
    default: Any = MISSING,
    help: str = "",  # it becomes the --help text
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A dataclass field that carries its own documentation and range.

    Args:
        default: Value when nothing is given; left out, the field is required.
        help: One sentence; shown by ``--help`` and in written TOML files.
        unit: Unit of the value, for messages and documentation.
        low: Smallest allowed value, inclusive.
        high: Largest allowed value, inclusive.
    """
    return field(default=default, metadata={"help": help, "unit": unit, "low": low, "high": high})


def build(
    kind: type[T], table: Mapping[str, Any], where: str = "", error: type[LendSafeError] = ConfigError
) -> T:
    """Build a dataclass from a mapping, or raise one error that names every problem.

    Args:
        kind: A dataclass type.
        table: Keys are field names of ``kind``.
        where: Place to name in the message, such as ``run.toml`` or ``data.jsonl:3``.
        error: Class of the error to raise.

    Raises:
        LendSafeError: Of class ``error``, with all problems, ``; `` between them.
    """
    found = problems(kind, table)
    if found:
        raise error((f"{where}: " if where else "") + "; ".join(found))
    return _made(kind, table)


def problems(kind: type[Any], table: Mapping[str, Any], *, quote: bool = True) -> list[str]:
    """List what is wrong with ``table`` as a ``kind``; empty if nothing is.

    Args:
        kind: A dataclass type.
        table: Keys are field names of ``kind``.
        quote: Whether messages repeat the values; not where these may be about a person.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind) if f.init}
    found = [_unknown(key, list(known)) for key in table if key not in known]
    for name, f in known.items():
        if name in table:
            wrong = _value_problems(name, table[name], hints[name], f.metadata)
            found += (
                wrong if quote else [f"'{name}' cannot be used; {one.rpartition('; ')[2]}" for one in wrong]
            )
        elif f.default is MISSING and f.default_factory is MISSING:
            found.append(f"'{name}' is missing")
    return found


def check(record: Any, error: type[LendSafeError] = ConfigError) -> None:
    """Refuse a dataclass instance whose values break their declared types or ranges."""
    found = problems(type(record), {f.name: getattr(record, f.name) for f in fields(record) if f.init})
    if found:
        raise error("; ".join(found))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: If the file is missing, unreadable or not TOML (line and column given).
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}.") from problem
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"{path}: not TOML: {problem}") from problem


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML text.

    Raises:
        ConfigError: If it is not TOML (line and column given).
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"{where}: not TOML: {problem}") from problem


def did_you_mean(word: str, known: list[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known word, or an empty string."""
    near = get_close_matches(word, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)  # slow: half the cost of building a record


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key '{key}'.{did_you_mean(str(key), known)}".rstrip(".")


def _value_problems(name: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> list[str]:
    if (nested := _nested_problems(name, value, hint)) is not None:
        return nested
    if not _fits(value, hint):
        return [f"'{name}' is {value!r}; expected {_describe(hint)}"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    if not _finite(value):
        return [f"'{name}' is {value!r}; expected a finite number"]
    low, high, unit = metadata.get("low"), metadata.get("high"), metadata.get("unit", "")
    if (low is not None and value < low) or (high is not None and value > high):
        span = (
            f"from {low} to {high}"
            if high is not None and low is not None
            else (f"at least {low}" if low is not None else f"at most {high}")
        )
        return [f"'{name}' is {value}; expected {span}{' ' + unit if unit else ''}"]
    return []


def _nested_problems(name: str, value: Any, hint: Any) -> list[str] | None:
    """Problems of a table that stands for a record, or of a list of tables; None if it is neither."""
    if is_dataclass(hint) and isinstance(value, Mapping):
        return [f"{name}: {one}" for one in problems(hint, value)]  # type: ignore[arg-type]  # a class
    if get_origin(hint) is tuple and is_dataclass(get_args(hint)[0]) and isinstance(value, list | tuple):
        return [p for one in value for p in _value_problems(name, one, get_args(hint)[0], {})]
    return None


def _made(kind: type[T], table: Mapping[str, Any]) -> T:
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(**{name: _plain(value, hints[name]) for name, value in table.items()})


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(v, arguments[0]) for v in value)
    if hint is NoneType:
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = origin or hint
    return hint is Any or (isinstance(kind, type) and isinstance(value, kind))


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(_describe(one) for one in arguments)
    if origin is tuple:
        return "a list of objects" if is_dataclass(arguments[0]) else f"a list of {_describe(arguments[0])}"
    names = {
        float: "a number",
        int: "a whole number",
        str: "text",
        bool: "true or false",
        NoneType: "nothing",
    }
    if is_dataclass(hint):
        return "an object"
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _plain(value: Any, hint: Any) -> Any:
    """A value as the record holds it: lists as tuples, tables as records."""
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _made(hint, value)  # type: ignore[arg-type]  # a class
    if isinstance(value, list | tuple):
        inner = get_args(hint)[0] if get_origin(hint) is tuple else None
        return tuple(_plain(one, inner) for one in value)
    return value
