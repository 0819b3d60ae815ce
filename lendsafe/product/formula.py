"""Checked arithmetic over fields, such as ``100 * debt / (income / 12)``.

The text is parsed by Python's own grammar and only names of fields, numbers, ``+ - * /``, comparisons,
``and or not``, ``min``, ``max`` and ``unknown(...)`` are let through; nothing is ever executed as code.
A value is not known if an input is not known or a divisor is zero; ``unknown(a, b)`` is 1 where none of
its fields is known.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_CHARACTERS = 500
MOST_NODES = 100

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_EXTREMES: Mapping[str, Callable[[Any, Any], Any]] = {"min": np.minimum, "max": np.maximum}
_ADDITIVE = (ast.Add, ast.Sub)

# Dimension of each kind; what has none can be divided, multiplied and compared, not added, to what has one.
_DIMENSION = {"money": "money", "duration": "time", "date": "date"}


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed expression.

    Attributes:
        text: As it was written.
        names: Fields that it reads, in order of first use.
        by_value: Those whose value it reads, and not only whether there is one.
    """

    text: str
    names: tuple[str, ...]
    by_value: tuple[str, ...]

    def __call__(self, columns: Mapping[str, Floats]) -> Floats:
        """Values of the expression, ``float64``, NaN where not known; a condition is 1, 0 or NaN.

        Args:
            columns: One array a name, all of one shape, NaN where not known.
        """
        with np.errstate(all="ignore"):
            found = np.asarray(_value(_parse(self.text), columns), dtype=np.float64)
        found = np.where(np.isfinite(found), found, np.nan)
        shape = np.shape(next(iter(columns.values()))) if columns else ()
        return found if found.shape == shape else np.broadcast_to(found, shape).copy()

    def of(self, values: Mapping[str, Any]) -> float | None:
        """The value for one applicant; None if it is not known."""
        columns = {name: np.array([_number(values.get(name))]) for name in self.names}
        found = float(self(columns)[0]) if columns else float(self({}))
        return None if np.isnan(found) else found


def formula(text: str) -> Formula:
    """Parse an expression.

    Raises:
        ValueError: Saying what is not allowed in it.
    """
    tree = _parse(text)
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    functions = {id(node.func) for node in calls}
    asked = {id(one) for node in calls if ast.unparse(node.func) == "unknown" for one in node.args}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]
    return Formula(
        text,
        tuple(dict.fromkeys(node.id for node in found)),
        tuple(dict.fromkeys(node.id for node in found if id(node) not in asked)),
    )


def dimension(one: Formula, kinds: Mapping[str, str]) -> str:
    """Dimension of a formula's value: ``money``, ``time``, ``date``, ``condition``, or empty for a plain number.

    Args:
        one: The formula.
        kinds: Kind of every field that it names.

    Raises:
        ValueError: If it adds or compares what has different units, or divides by a constant zero.
    """
    return _dimension(_parse(one.text), kinds)


@lru_cache(maxsize=1_000)  # a condition is worked out for every application
def _parse(text: str) -> ast.expr:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{len(text)} characters; at most {MOST_CHARACTERS}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise ValueError("not an expression such as '100 * debt / income'") from problem
    nodes = list(ast.walk(tree))
    if len(nodes) > MOST_NODES * 3:
        raise ValueError("too long an expression")
    for node in nodes:
        _refuse(node)
    return tree


def _refuse(node: ast.AST) -> None:
    plain = (
        ast.Name,
        ast.Load,
        ast.BinOp,
        ast.UnaryOp,
        ast.USub,
        ast.Not,
        ast.BoolOp,
        ast.And,
        ast.Or,
        ast.Compare,
    )
    if isinstance(node, (*plain, *_BINARY, *_COMPARE)):
        return
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and abs(node.value) < 1e15:  # type: ignore[arg-type]  # a number
        return
    known = (*_EXTREMES, "unknown")
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in known
        and not node.keywords
    ):
        if node.func.id == "unknown" and not all(isinstance(one, ast.Name) for one in node.args):
            raise ValueError("unknown(...) takes names of fields")
        if not node.args or any(isinstance(one, ast.Starred) for one in node.args):
            raise ValueError(f"{node.func.id}(...) takes values")
        return
    shown = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
    raise ValueError(
        f"'{shown[:40]}' is not allowed; only fields, numbers, + - * /, comparisons, min, max, unknown"
    )


def _value(node: ast.expr, columns: Mapping[str, Floats]) -> Any:  # noqa: C901  # one case a kind of node
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]  # _refuse lets numbers through alone
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=op, operand=inner):
            value = _value(inner, columns)
            return -value if isinstance(op, ast.USub) else 1.0 - value
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, columns), _value(right, columns))
        case ast.Compare():
            return _compared(node, columns)
        case ast.BoolOp(op=op, values=values):
            merge = np.minimum if isinstance(op, ast.And) else np.maximum
            found = _value(values[0], columns)
            for one in values[1:]:
                found = merge(found, _value(one, columns))
            return found
        case ast.Call(func=ast.Name(id="unknown"), args=arguments):
            absent = [np.isnan(_value(one, columns)) for one in arguments]
            return np.logical_and.reduce(absent).astype(np.float64)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            found = _value(arguments[0], columns)
            for one in arguments[1:]:
                found = _EXTREMES[name](found, _value(one, columns))
            return found
    raise ValueError(ast.unparse(node))


def _compared(node: ast.Compare, columns: Mapping[str, Floats]) -> Any:
    sides = [_value(one, columns) for one in (node.left, *node.comparators)]
    found: Any = None
    for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
        known = np.where(np.isnan(left) | np.isnan(right), np.nan, _COMPARE[type(op)](left, right))
        found = known if found is None else np.minimum(found, known)
    return found


def _dimension(node: ast.expr, kinds: Mapping[str, str]) -> str:  # noqa: PLR0911  # one case a kind of node
    match node:
        case ast.Name(id=name):
            return _DIMENSION.get(kinds[name], "")
        case ast.UnaryOp(op=ast.Not()):
            return "condition"
        case ast.UnaryOp(operand=inner):
            return _dimension(inner, kinds)
        case ast.BinOp(left=left, op=op, right=right):
            return _of_product(left, op, right, kinds)
        case ast.Compare(left=left, comparators=others):
            _same([left, *others], kinds, "compares")
            return "condition"
        case ast.BoolOp(values=values):
            for one in values:
                _dimension(one, kinds)
            return "condition"
        case ast.Call(func=ast.Name(id="unknown")):
            return "condition"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _same(arguments, kinds, f"{name}() of")
    return ""


def _of_product(left: ast.expr, op: ast.operator, right: ast.expr, kinds: Mapping[str, str]) -> str:
    if isinstance(op, _ADDITIVE):
        return _same([left, right], kinds, "adds")
    a, b = _dimension(left, kinds), _dimension(right, kinds)
    if isinstance(op, ast.Div):
        if not _names(right) and _value(right, {}) == 0:
            raise ValueError(f"'{ast.unparse(right)}' is zero, and '{ast.unparse(left)}' is divided by it")
        if b and b != a:
            raise ValueError(
                f"divides {a or 'a plain number'} by {b}: '{ast.unparse(left)}' by '{ast.unparse(right)}'"
            )
        return "" if b else a
    if a and b:
        raise ValueError(f"multiplies {a} by {b}: '{ast.unparse(left)}' and '{ast.unparse(right)}'")
    return a or b


def _same(nodes: list[ast.expr], kinds: Mapping[str, str], verb: str) -> str:
    """The one dimension of several values; a written number takes any."""
    found = {}
    for node in nodes:
        inner = _dimension(node, kinds)
        if _names(node):
            found[inner] = ast.unparse(node)
    if len(found) > 1:
        first, second = list(found.items())[:2]
        raise ValueError(
            f"{verb} {first[0] or 'a plain number'} and {second[0] or 'a plain number'}: '{first[1]}' and '{second[1]}'"
        )
    return next(iter(found), "")


def _names(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) for one in ast.walk(node))


def _number(value: Any) -> float:
    return np.nan if value is None or isinstance(value, str) else float(value)
