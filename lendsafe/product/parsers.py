"""Parsers of one cell: text in, number or text out, or a ``ValueError`` that says what was expected.

Each accepts a whole cell or refuses it; nothing is guessed from part of one.
"""

import re
from datetime import date

NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?")
LEADING_ZERO = re.compile(r"[+-]?0\d*,")
PERCENT = re.compile(r"(?P<number>.*?)\s*%?")
MONTHS = re.compile(r"(?P<count>\d{1,4})(?:\.0*)?\s*(?:months?|mos?\.?|m)", re.IGNORECASE)
YEARS = re.compile(
    r"(?P<sign><|)\s*(?P<count>\d{1,3}(?:\.\d+)?)\s*(?P<more>\+?)\s*(?:years?|yrs?\.?|y)"
    r"(?:,?\s*(?:and\s*)?(?P<months>\d{1,2})\s*(?:months?|mos?\.?|m))?", re.IGNORECASE
)  # fmt: skip
BARE = re.compile(r"(?P<sign><|)\s*(?P<count>\d{1,4}(?:\.\d+)?)(?P<more>\+?)")
RANGE = re.compile(r"(?P<low>\d+(?:\.\d+)?)\s*-\s*(?P<high>\d+(?:\.\d+)?)")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMED_MONTH = re.compile(
    r"(?P<name>[A-Za-z]{3})-(?P<year>\d{4}|\d{2})|(?P<swapped>\d{1,2})-(?P<month>[A-Za-z]{3})"
)
PLAIN_MONTH = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2}))?")
ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?")
SLASHED_DATE = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
YES = frozenset(("y", "yes", "true", "t", "1", "1.0"))
NO = frozenset(("n", "no", "false", "f", "0", "0.0"))


def number(text: str, decimal: str = ".") -> float:
    """``9000``, ``9,000.50``, ``$9,000``, ``(9,000)``, ``1e3``; ``9.000,50`` with a decimal comma."""
    bare = text.strip()
    negative = bare.startswith("(") and bare.endswith(")")
    bare = bare[1:-1].strip() if negative else bare
    sign, bare = (bare[0], bare[1:]) if bare[:2] in ("-$", "+$") else ("", bare)
    bare = sign + bare.removeprefix("$").strip()
    if decimal == ",":
        bare = bare.translate({ord("."): ",", ord(","): "."})
    elif LEADING_ZERO.match(bare):
        raise ValueError('looks like a decimal comma; set decimal = "," for this field')
    if not any(c.isdigit() for c in bare) or not (bare.isascii() and NUMBER.fullmatch(bare)):
        raise ValueError("expected a number")
    value = float(bare.replace(",", ""))
    return -value if negative else value


def whole(text: str, decimal: str = ".") -> float:
    """A number without a fraction: ``3``, ``3.0``."""
    value = number(text, decimal)
    if not value.is_integer():
        raise ValueError("expected a whole number")
    return value


def percent(text: str, decimal: str = ".") -> float:
    """``98.40%`` or ``98.4``: percent either way."""
    match = PERCENT.fullmatch(text)
    if match is None:
        raise ValueError("expected a percentage")
    return number(match["number"], decimal)


def months(text: str, unit: str = "months") -> float:
    """A duration in months: ``36 mo``, ``3 years`` (36), ``2 yrs 3 mos`` (27), ``10+ years`` (120), ``< 1 year`` (0).

    A range gives the fewest months that it can mean; a bare number counts in ``unit``.
    """
    if not text.isascii():
        raise ValueError("expected a duration such as '36 months' or '3 years'")
    if match := MONTHS.fullmatch(text):
        return float(match["count"])
    factor = 12.0 if unit == "years" else 1.0
    match = YEARS.fullmatch(text)
    if match is not None:
        factor = 12.0
    elif (match := BARE.fullmatch(text)) is None:
        raise ValueError("expected a duration such as '36 months', '3 years', '< 1 year' or '10+ years'")
    if match["sign"]:
        return 0.0
    found = factor * float(match["count"]) + float(match.groupdict().get("months") or 0)
    return float(round(found, 6))


def low_end(text: str, decimal: str = ".") -> float:
    """``735-739`` is 735, as is ``735``."""
    match = RANGE.fullmatch(text)
    if match is None:
        return number(text, decimal)
    if float(match["high"]) < float(match["low"]):
        raise ValueError("expected a range from low to high")
    return float(match["low"])


def month(text: str) -> float:
    """Months since year 0 of ``Mar-2018``, ``Sep-00``, ``2018-03``, ``2018-03-14``, ``2001``; of ``18-Jun`` as well.

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
    if text.isascii() and (full := ISO_DATE.fullmatch(text)):
        day_of(text)
        return 12.0 * int(full[1]) + int(full[2]) - 1
    match = PLAIN_MONTH.fullmatch(text)
    if match is None or not text.isascii() or not 1 <= int(match["month"] or 12) <= 12:
        raise ValueError("expected a date such as 'Mar-2018', '2018-03' or '2018'")
    return 12.0 * int(match["year"]) + int(match["month"] or 12) - 1


def months_between(earlier: float, later: float) -> float:
    """Months from one date to another; a date after its reference is a century too late."""
    return later - earlier if earlier <= later else later - (earlier - 1200)


def day_of(text: str, order: str = "") -> str:
    """A day as ``2026-11-27``, from that or from ``11/27/2026``.

    Args:
        text: The cell.
        order: ``mdy`` or ``dmy`` for dates with slashes; empty where only an unambiguous one is right.
    """
    wanted = "expected a date such as 2026-11-27"
    if not text.isascii():
        raise ValueError(wanted)
    if match := ISO_DATE.fullmatch(text):
        return _day(int(match[1]), int(match[2]), int(match[3]))
    match = SLASHED_DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{wanted} or 11/27/2026")
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    if not order and first <= 12 and second <= 12 and first != second:
        raise ValueError('day or month first? set order = "mdy" or "dmy" for this field')
    day_first = order == "dmy" if order else first > 12
    return _day(year, second, first) if day_first else _day(year, first, second)


def _day(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError as problem:
        raise ValueError("there is no such day") from problem


def yes_no(text: str) -> bool:
    """``Y``, ``yes``, ``true``, ``1`` and their opposites, in any case."""
    plain = text.strip().lower()
    if plain in YES or plain in NO:
        return plain in YES
    raise ValueError("expected yes or no")
