"""Parsers of one cell: text in, number or text out, or a ``ValueError`` that says what was expected.

Each accepts a whole cell or refuses it; nothing is guessed from part of one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?")
PERCENT = re.compile(r"(?P<number>.*?)\s*%?")
MONTHS = re.compile(r"(?P<count>\d{1,4})(?:\.0*)?(?:\s*months?)?")
YEARS = re.compile(r"(?P<sign><|)\s*(?P<count>\d{1,2})(?:\.0*)?(?P<more>\+?)(?:\s*years?)?")
RANGE = re.compile(r"(?P<low>\d+(?:\.\d+)?)\s*-\s*(?P<high>\d+(?:\.\d+)?)")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMED_MONTH = re.compile(
    r"(?P<name>[A-Za-z]{3})-(?P<year>\d{4}|\d{2})|(?P<swapped>\d{1,2})-(?P<month>[A-Za-z]{3})"
)
PLAIN_DATE = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-\d{2})?)?")


def number(text: str) -> float:
    """``9000``, ``9,000.50``, ``$9,000``, ``1e3``."""
    bare = text.removeprefix("$").strip()
    if not any(c.isdigit() for c in bare) or not (bare.isascii() and NUMBER.fullmatch(bare)):
        raise ValueError("expected a number")
    return float(bare.replace(",", ""))


def whole(text: str) -> float:
    """A number without a fraction: ``3``, ``3.0``."""
    value = number(text)
    if not value.is_integer():
        raise ValueError("expected a whole number")
    return value


def percent(text: str) -> float:
    """``98.40%`` or ``98.4``: percent either way."""
    match = PERCENT.fullmatch(text)
    if match is None:
        raise ValueError("expected a percentage")
    return number(match["number"])


def months(text: str) -> float:
    """`` 36 months``, ``36``."""
    match = MONTHS.fullmatch(text)
    if match is None or not text.isascii():
        raise ValueError("expected a number of months")
    return float(match["count"])


def years_in_months(text: str) -> float:
    """``< 1 year`` is 0, ``3 years`` 36, ``10+ years`` 120: the fewest months that it can mean."""
    match = YEARS.fullmatch(text)
    if match is None or not text.isascii():
        raise ValueError("expected years, such as '3 years', '< 1 year' or '10+ years'")
    return 0.0 if match["sign"] else 12.0 * int(match["count"])


def low_end(text: str) -> float:
    """``735-739`` is 735, as is ``735``."""
    match = RANGE.fullmatch(text)
    if match is None:
        return number(text)
    if float(match["high"]) < float(match["low"]):
        raise ValueError("expected a range from low to high")
    return float(match["low"])


def month(text: str) -> float:
    """Months since year 0 of ``Mar-2018``, ``Sep-00``, ``2018-03``, ``2001``; of ``18-Jun`` as well.

    Spreadsheets turn ``Jun-18`` (June 2018) into ``18-Jun``; both mean the same. A year of two
    digits is of this century up to 68 (POSIX); a later date than the reference then loses 100 years
    in :func:`months_between`. A year alone counts from its December: the least age it can mean.
    """
    match = NAMED_MONTH.fullmatch(text)
    if match is not None:
        name = (match["name"] or match["month"]).lower()
        if name not in MONTH_NAMES:
            raise ValueError("expected a month such as 'Mar-2018'")
        digits = match["year"] or match["swapped"]
        year = int(digits)
        if len(digits) < 3:
            year += 2000 if year < 69 else 1900
        return 12.0 * year + MONTH_NAMES.index(name)
    match = PLAIN_DATE.fullmatch(text)
    if match is None or not text.isascii() or not 1 <= int(match["month"] or 12) <= 12:
        raise ValueError("expected a date such as 'Mar-2018', '2018-03' or '2018'")
    return 12.0 * int(match["year"]) + int(match["month"] or 12) - 1


def months_between(earlier: float, later: float) -> float:
    """Months from one date to another; a date after its reference is a century too late."""
    return later - earlier if earlier <= later else later - (earlier - 1200)


def text(cell: str) -> str:
    """The cell as it is."""
    return cell


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "number": number,
    "whole": whole,
    "percent": percent,
    "months": months,
    "years_in_months": years_in_months,
    "low_end": low_end,
    "months_since": month,
    "text": text,
}
