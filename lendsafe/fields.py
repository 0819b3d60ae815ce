"""Declare a field once: default, help text, unit, range; flag, TOML key and check follow.

Every settings dataclass and every record read from a file is built by :func:`build`, so
an unknown key, a wrong type or a value out of range is reported the same way everywhere.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lendsafe.errors import ConfigError, LendSafeError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one entry of a table.

    Attributes:
        field: Its key; of a table within, after the outer key and a dot.
        why: What is wrong, to be read after the key.
        unknown: Whether there is no such key.
        missing: Whether the key is needed and not there.
    """

    field: str
    why: str
    unknown: bool = False
    missing: bool = False

    def __str__(self) -> str:
        return f"'{self.field}' {self.why}"


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
    about = {"help": help, "unit": unit, "low": low, "high": high}
    if isinstance(default, dict):  # a table is made anew for each record
        return field(default_factory=lambda: dict(default), metadata=about)
    return field(default=default, metadata=about)


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
        raise error((f"{where}: " if where else "") + "; ".join(map(str, found)))
    return _made(kind, table)


def problems(kind: type[Any], table: Mapping[str, Any], *, quote: bool = True) -> list[Problem]:
    """List what is wrong with ``table`` as a ``kind``; empty if nothing is.

    Args:
        kind: A dataclass type.
        table: Keys are field names of ``kind``.
        quote: Whether messages repeat the values; not where these may be about a person.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind) if f.init}
    found = [
        Problem(
            str(key), f"is an unknown key.{did_you_mean(str(key), list(known))}".rstrip("."), unknown=True
        )
        for key in table
        if key not in known
    ]
    for name, f in known.items():
        if name in table:
            found += _value_problems(name, table[name], hints[name], f.metadata, quote=quote)
        elif f.default is MISSING and f.default_factory is MISSING:
            found.append(Problem(name, "is missing", missing=True))
    return found


def check(record: Any, error: type[LendSafeError] = ConfigError) -> None:
    """Refuse a dataclass instance whose values break their declared types or ranges."""
    found = problems(type(record), {f.name: getattr(record, f.name) for f in fields(record) if f.init})
    if found:
        raise error("; ".join(map(str, found)))


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


def _value_problems(
    name: str, value: Any, hint: Any, metadata: Mapping[str, Any], *, quote: bool = True
) -> list[Problem]:
    if (nested := _nested_problems(name, value, hint, quote=quote)) is not None:
        return nested
    if wanted := _wanted(value, hint, metadata):
        return [Problem(name, (f"is {value!r}; " if quote else "cannot be used; ") + f"expected {wanted}")]
    return []


def _wanted(value: Any, hint: Any, metadata: Mapping[str, Any]) -> str:
    """What a value should have been; empty if it is right."""
    if not _fits(value, hint):
        return _describe(hint)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if not _finite(value):
        return "a finite number"
    low, high, unit = metadata.get("low"), metadata.get("high"), metadata.get("unit", "")
    if not ((low is not None and value < low) or (high is not None and value > high)):
        return ""
    if low is not None and high is not None:
        span = f"from {low} to {high}"
    else:
        span = f"at least {low}" if low is not None else f"at most {high}"
    return f"{span}{' ' + unit if unit else ''}"


def _nested_problems(name: str, value: Any, hint: Any, *, quote: bool) -> list[Problem] | None:
    """Problems of a table that stands for a record, or of a list of tables; None if it is neither."""
    if is_dataclass(hint) and isinstance(value, Mapping):
        inner = problems(hint, value, quote=quote)  # type: ignore[arg-type]  # a class
        return [replace(one, field=f"{name}.{one.field}", missing=False) for one in inner]
    if get_origin(hint) is tuple and is_dataclass(get_args(hint)[0]) and isinstance(value, list | tuple):
        entry = get_args(hint)[0]
        return [p for one in value for p in _value_problems(name, one, entry, {}, quote=quote)]
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


def json_schema(kind: type[Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """JSON Schema of the table that a dataclass of knobs is built from.

    Args:
        kind: A dataclass type.
        without: Fields to leave out.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    shown = [f for f in fields(kind) if f.init and f.name not in without and "help" in f.metadata]
    table: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {f.name: _schema_of(f, hints[f.name]) for f in shown},
    }
    if needed := [f.name for f in shown if f.default is MISSING and f.default_factory is MISSING]:
        table["required"] = needed
    return table


def _schema_of(f: Field[Any], hint: Any) -> dict[str, Any]:
    table = _schema_type(hint) | ({"description": f.metadata["help"]} if f.metadata["help"] else {})
    for key, name in (("low", "minimum"), ("high", "maximum")):
        if f.metadata[key] is not None:
            table[name] = f.metadata[key]
    return table


def _schema_type(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        inner = [one for one in arguments if one is not NoneType]
        return _schema_type(inner[0]) if len(inner) == 1 else {"anyOf": [_schema_type(one) for one in inner]}
    if origin is tuple:
        return {"type": "array", "items": _schema_type(arguments[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema_type(arguments[1])}
    if is_dataclass(hint):
        return json_schema(hint)  # type: ignore[arg-type]  # a class
    names: dict[Any, dict[str, Any]] = {
        str: {"type": "string"},
        int: {"type": "integer"},
        float: {"type": "number"},
        bool: {"type": "boolean"},
    }
    return names.get(hint, {})
