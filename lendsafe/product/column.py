"""A column of a raw file, and what its header and its cells say of it: kind, range, window, outcome, order of dates."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from lendsafe.product import concepts, parsers
from lendsafe.product.concepts import Concept, parts

MOST_LEVELS = 20
FEWEST_REPEATS = 2  # rows a level at least, or it is free text
SHARE_READ = 0.97  # of the known cells that a parser has to read; the rest is said
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "none", "NULL", "Null", "null", "Missing", "missing",
           "-", "--", ".", "?", "unknown", "Unknown", "(blank)")  # fmt: skip
MOST_PERCENT = 1_000  # what is above is no percentage


@dataclass
class Column:
    """A column of the raw file while its draft is made.

    Attributes:
        name: Its header.
        cells: Stripped cells.
        known: Those that are no word for "not known".
        key: Name of the field.
    """

    name: str
    cells: list[str]
    known: list[str]
    key: str
    entry: dict[str, Any] = field(default_factory=dict)
    comment: list[str] = field(default_factory=list)

    @property
    def blank(self) -> float:
        """Share of cells that are not known."""
        return 1 - len(self.known) / max(1, len(self.cells))

    @property
    def levels(self) -> list[str]:
        """Distinct known cells, the frequent ones first."""
        return [text for text, _ in Counter(self.known).most_common()]

    def hint(self, kind: str) -> str:
        """What the header suggests of a kind of names."""
        return next(
            (role for role, listed in vocabulary()[kind].items() if concepts.has_part(self.name, listed)), ""
        )


def outcome_map(levels: Sequence[str]) -> dict[str, Any] | None:
    """Texts of an outcome to 1, 0 or "" (open), if every one is understood and both outcomes are there."""
    found: dict[str, Any] = {}
    for text in levels:
        plain = text.lower()
        for value, listed in (
            ("", vocabulary()["outcomes"]["open"]),
            (1, vocabulary()["outcomes"]["bad"]),
            (0, vocabulary()["outcomes"]["good"]),
        ):
            if any(re.search(rf"\b{re.escape(word)}\b", plain) for word in listed):
                found[text] = value
                break
        else:
            return None
    return found if {0, 1} <= {v for v in found.values() if v != ""} else None


def decision_map(levels: Sequence[str]) -> dict[str, str] | None:
    """Texts of a decision to approved or declined, if every one is understood."""
    found = {}
    for text in levels:
        plain = text.lower()
        if any(word in plain for word in ("declin", "den", "reject", "refus", "turned down")) or plain in (
            "0",
            "n",
            "no",
        ):
            found[text] = "declined"
        elif any(word in plain for word in ("approv", "accept", "grant", "originat", "fund")) or plain in (
            "1",
            "y",
            "yes",
        ):
            found[text] = "approved"
        else:
            return None
    return found if len(set(found.values())) == 2 else None


def date_order(cells: Sequence[str]) -> tuple[str, str]:
    """Order of day and month that dates with slashes prove, and the date that proves it; empty if none does."""
    for cell in cells:
        if match := parsers.SLASHED_DATE.fullmatch(cell):
            first, second = int(match[1]), int(match[2])
            if first > 12:
                return "dmy", cell
            if second > 12:
                return "mdy", cell
    return "", ""


def window_of(name: str) -> str:
    """The period that a column's name says: ``DQ_24M`` is the past 24 months."""
    tokens = parts(name)
    for number, unit in zip(tokens, [*tokens[1:], ""], strict=True):
        if number.isdigit() and 0 < int(number) < 121:
            if unit in ("m", "mo", "mos", "mth", "mths", "month", "months"):
                return f"past {int(number)} months"
            if unit in ("y", "yr", "yrs", "year", "years"):
                return f"past {int(number)} years"
    if tokens and tokens[0] in ("inq", "inquiries") and tokens[-1] in ("6", "12", "24"):
        return f"past {tokens[-1]} months"
    return ""


def kind_of(one: Column, known: Concept | None) -> tuple[str, dict[str, Any]]:
    """Kind of a feature by its cells, then by its concept, with what its reading needs."""
    cells = one.known
    wanted = known.kind if known else ""
    plain = {c.lower() for c in one.levels[:3]}
    if (
        len(one.levels) <= 3
        and plain <= parsers.YES | parsers.NO
        and (wanted == "yesno" or not plain <= {"0", "1", "0.0", "1.0"} or wanted == "")
    ):
        return "yesno", {}
    decimal = decimal_of(cells)
    extra = {"decimal": decimal} if decimal != "." else {}
    if (
        any(c.endswith("%") for c in cells[:200])
        and share_read(one, lambda c: parsers.percent(c, decimal)) >= SHARE_READ
    ):
        return "percent", extra
    if (
        any("$" in c for c in cells[:200])
        and share_read(one, lambda c: parsers.number(c, decimal)) >= SHARE_READ
    ):
        return "money", {"unit": "USD"} | extra
    if (
        any(re.search(r"[a-z]", c.lower()) for c in cells[:200])
        and share_read(one, parsers.months) >= SHARE_READ
    ):
        return "duration", {"unit": "months"}
    if share_read(one, lambda c: parsers.number(c, decimal)) >= SHARE_READ:
        return _number_kind(one, wanted, decimal, extra)
    if share_read(one, parsers.low_end) >= SHARE_READ:
        return ("score" if wanted == "score" else "number"), {}
    if len(one.levels) <= MOST_LEVELS and len(cells) >= FEWEST_REPEATS * len(one.levels):
        return "category", {"levels": sorted(one.levels)}
    return "text", {}


def _number_kind(one: Column, wanted: str, decimal: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    whole = share_read(one, lambda c: parsers.whole(c, decimal)) == 1
    if wanted == "duration":
        years = any(p in ("yr", "yrs", "year", "years", "y") for p in parts(one.name))
        return "duration", {"unit": "years" if years else "months"}
    if (
        wanted == "percent"
        and max((parsers.number(c, decimal) for c in one.levels), default=0) > MOST_PERCENT
    ):
        wanted = "money"  # a monthly amount of debt, not its share of income
    if wanted in ("money", "percent") or (wanted == "score" and whole):
        return wanted, ({"unit": "USD"} if wanted == "money" else {}) | extra
    return ("count" if whole and wanted in ("count", "") else "number"), extra


def decimal_of(cells: Sequence[str]) -> str:
    """Decimal mark: a comma where a cell proves it (``0,771``, ``12,5``, ``1.234,50``), else a point."""
    proves = re.compile(r"[+-]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{1,3}(?:\.\d{3})+,\d+)%?")
    return (
        ","
        if any(proves.fullmatch(c) for c in cells) and not any("." in c and "," not in c for c in cells[:500])
        else "."
    )


def range_of(kind: str, values: Sequence[float]) -> dict[str, Any]:
    """Range of possible values: roomy, and never narrower than the file."""
    low, high = min(values, default=0), max(values, default=0)
    if kind == "score":
        return {
            "low": Verbatim("300" if low >= 300 else f"{min(low, 250):g}"),
            "high": Verbatim("850" if high <= 850 else f"{max(high, 900):g}"),
        }
    roomy = {"money": 10_000_000, "percent": 500, "count": 100, "duration": 1200}.get(kind)
    found: dict[str, Any] = {"low": Verbatim(f"{min(0.0, low):g}")}
    if roomy is not None:
        found["high"] = Verbatim(f"{max(roomy, high):.15g}")
    return found


def purpose_words(level: str) -> str:
    """A purpose of the file after the amount: ``Home Impr`` is ``for home improvement``."""
    tokens = parts(level)
    for listed, said in vocabulary()["purposes"].items():
        if all(any(token.startswith(stem) for token in tokens) for stem in listed.split()):
            return str(said)
    plain = " ".join(tokens)
    return f"for {plain}" if plain else ""


def words_of(one: Column, known: Concept | None) -> str:
    """What a letter calls a field that it asks for."""
    return known.label if known and known.label else " ".join(parts(one.name))


class Verbatim(str):
    """TOML that is written as it is."""


def values_of(one: Column, kind: str, extra: dict[str, Any]) -> list[float] | None:
    """Its known numbers, read as a kind; None for a kind without numbers."""
    if kind in ("category", "yesno", "text"):
        return None
    return [v for v in numbers_with_blanks(one, kind, extra) if not math.isnan(v)]


def numbers_with_blanks(one: Column, kind: str, extra: dict[str, Any] | None = None) -> list[float]:
    """A number for every cell, read as a kind; NaN where it is not known or cannot be read."""
    extra = extra or {key: one.entry[key] for key in ("unit", "decimal") if key in one.entry}
    decimal = extra.get("decimal", ".")
    read: dict[str, Any] = {
        "percent": lambda c: parsers.percent(c, decimal),
        "duration": lambda c: parsers.months(c, extra.get("unit", "months")),
        "yesno": lambda c: float(parsers.yes_no(c)),
        "score": parsers.low_end,
    }
    parse = read.get(kind, lambda c: parsers.number(c, decimal))
    found = []
    for cell in one.cells:
        try:
            found.append(float(parse(cell)) if cell not in MISSING else math.nan)
        except ValueError:
            found.append(math.nan)
    return found


def share_read(one: Column, parse: Any) -> float:
    """Share of distinct known cells that a parser reads."""
    levels = list(dict.fromkeys(one.known))
    good = 0
    for cell in levels:
        try:
            parse(cell)
            good += 1
        except ValueError:
            continue
    return good / max(1, len(levels))


def is_date(cell: str) -> bool:
    """Whether a cell is written as a date."""
    return bool(parsers.ISO_DATE.fullmatch(cell) or parsers.SLASHED_DATE.fullmatch(cell))


@cache
def vocabulary() -> dict[str, dict[str, Any]]:
    """Words of headers and of cells, by what they say."""
    return tomllib.loads((files("lendsafe.product") / "names.toml").read_text("utf-8"))
