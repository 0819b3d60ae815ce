"""A value as a reader sees it: formatted here, once, with its noun, its cents and its period."""

from collections.abc import Callable
from datetime import date
from typing import Any

from lendsafe.product.model import Field, Value


def shown(one: Field, value: Value) -> str:
    """A known value in words: ``$12,000.50``, ``3 late payments in the past 24 months``, ``2 years and 1 month``.

    Args:
        one: The field.
        value: Its value, not None.
    """
    text: str = _FORMATS[one.kind](one, value)
    return f"{text} in the {one.window}" if one.window and one.kind != "category" else text


def long_date(day: date) -> str:
    """A date as an American letter writes it: ``November 24, 2026``."""
    return f"{day:%B} {day.day}, {day.year}"


def counted(value: int | float, one: str, many: str) -> str:
    """A count with its noun."""
    return f"{value:,.0f} {one if value == 1 else many}"


def dollars(value: float, unit: str = "USD") -> str:
    """An amount, to the cent where it has cents."""
    whole = round(value, 2) == round(value)
    figure = f"{abs(value):,.0f}" if whole else f"{abs(value):,.2f}"
    sign = "-" if value < 0 and figure.strip("0.,") else ""
    return f"{sign}${figure}" if unit in ("", "USD") else f"{sign}{figure} {unit}"


def percent(value: float) -> str:
    """A percentage with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0") + "%"


def duration(months: float) -> str:
    """Months, or years and months from two years on."""
    total = round(months)
    years, rest = divmod(total, 12)
    if total < 24:
        return counted(total, "month", "months")
    return f"{years} years" + (f" and {counted(rest, 'month', 'months')}" if rest else "")


def number(value: float) -> str:
    """A plain number: whole, or with two decimals, below 100 with four digits that count."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{round(value, 2):,.12g}" if abs(value) >= 100 else f"{value:.4g}"


def _count(one: Field, value: Any) -> str:
    nouns = one.noun or (one.called, one.called)
    return counted(value, nouns[0], nouns[1])


def _yes_no(one: Field, value: Any) -> str:
    word = "yes" if value else "no"
    return one.words.get(word, word)


_FORMATS: dict[str, Callable[[Field, Any], str]] = {
    "money": lambda one, value: dollars(value, one.unit),
    "percent": lambda _, value: percent(value),
    "count": _count,
    "duration": lambda _, value: duration(value),
    "score": lambda _, value: f"{value:.0f}",
    "number": lambda one, value: number(value) + (f" {one.unit}" if one.unit else ""),
    "category": lambda one, value: one.words.get(value, str(value)),
    "yesno": _yes_no,
    "date": lambda _, value: long_date(date.fromisoformat(value)),
    "text": lambda _, value: str(value),
}
