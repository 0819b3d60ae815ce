"""A product file drafted from a raw file: a choice for every column, with its reason, for a person to review.

What a column is follows from its name (``form_c1.toml``, ``names.toml``) and its values; what cannot be told is
marked ``review``. The draft is TOML that :mod:`lendsafe.product.read` reads.
"""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lendsafe.errors import DataError
from lendsafe.product import concepts, evidence, parsers, protected
from lendsafe.product.concepts import Concept, parts
from lendsafe.product.read import RESERVED
from lendsafe.product.rows import read_rows

MOST_ROWS = 50_000  # that a draft is made from
MOST_LEVELS = 20
FEWEST_REPEATS = 2  # rows a level at least, or it is free text
SHARE_READ = 0.97  # of the known cells that a parser has to read; the rest is said
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "none", "NULL", "Null", "null", "Missing", "missing",
           "-", "--", ".", "?", "unknown", "Unknown", "(blank)")  # fmt: skip
RATIO = "debt_ratio"  # name of the field that is made of monthly debt and income
MOST_PERCENT = 1_000  # what is above is no percentage
AGE_BANDS = "[25, 35, 45, 62]"


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
            (role for role, listed in _names()[kind].items() if concepts.has_part(self.name, listed)), ""
        )


def draft(path: Path, *others: Path) -> str:
    """The text of a product for a raw file.

    Args:
        path: Past applications, with their outcome if there is one.
        others: Further files, such as new applications; columns that only they have are drafted too.

    Raises:
        DiskError: If the file cannot be read.
        DataError: If it is no table.
    """
    taken: set[str] = set()
    columns: list[Column] = []
    for file in (path, *others):
        header, rows = _sample(file)
        for i, name in enumerate(header):
            if name not in {one.name for one in columns}:
                cells = [row[i].strip() for row in rows]
                columns.append(Column(name, cells, [c for c in cells if c not in MISSING], _key(name, taken)))
    return "\n".join(_Draft(path, columns).lines()) + "\n"


def _sample(path: Path) -> tuple[Sequence[str], list[list[str]]]:
    raw = read_rows(path)
    rows = [
        [_text(cell) for cell in cells]
        for _, cells in islice(raw.rows, MOST_ROWS)
        if len(cells) >= len(raw.header)
    ]
    if not rows:
        raise DataError(f"{path}: a header and no rows.")
    return raw.header, rows


class _Draft:
    """Columns on their way to a draft: outcome first, since evidence rests on it."""

    def __init__(self, path: Path, columns: list[Column]) -> None:
        self.path, self.columns = path, columns
        self.reasons: dict[str, str] = {}
        self.request: dict[str, str] = {}
        self.purposes: dict[str, str] = {}
        self.required: list[str] = []
        self.extra: list[tuple[str, dict[str, Any], str]] = []
        self.score = ""
        self.used: set[str] = set()
        self.outcome = self._outcome()
        for one in columns:
            if not one.entry:
                self._column(one)
        self._debt_to_income()

    # ------------------------------------------------------------ what a column is

    def _outcome(self) -> np.ndarray[Any, Any] | None:
        """The outcome by its name and values; the values decide."""
        best: tuple[int, Column, dict[str, Any]] | None = None
        for one in self.columns:
            meaning = outcome_map(one.levels) if len(one.levels) <= MOST_LEVELS else None
            if meaning is None and one.hint("roles") == "outcome" and set(one.levels) == {"0", "1"}:
                meaning = {"0": 0, "1": 1}
            if meaning:
                rank = 2 * (one.hint("roles") == "outcome") + (len(meaning) > 2)
                if best is None or rank > best[0]:
                    best = (rank, one, meaning)
        if best is None or (best[0] < 2 and set(best[1].levels) <= {"0", "1"}):
            return None
        _, one, meaning = best
        one.entry = {"columns": [one.name], "role": "outcome", "kind": "text", "map": meaning}
        counts = Counter(one.known)
        waiting = sum(counts[text] for text, value in meaning.items() if value == "")
        one.comment.append(f'1 defaulted, 0 repaid, "" not known yet ({waiting} rows are open and set aside)')
        self.used.add("outcome")
        values = {text: (np.nan if v == "" else float(v)) for text, v in meaning.items()}
        return np.array([values.get(cell, np.nan) for cell in one.cells])

    def _column(self, one: Column) -> None:
        for step in (self._protected, self._contact, self._empty, self._date, self._identifier, self._decision,
                     self._leak, self._feature):  # fmt: skip
            if step(one):
                return

    def _empty(self, one: Column) -> bool:
        if one.known and len(one.levels) > 1:
            return False
        return self._aside(one, "kept", "one value only" if one.known else "empty")

    def _protected(self, one: Column) -> bool:
        basis = protected.basis_of_name(one.name) or protected.basis_of_values(one.levels[:MOST_LEVELS])
        if not basis or one.hint("contacts"):
            return False
        one.entry = {"columns": [one.name], "role": "protected", "kind": "text"}
        if basis == "age" and _share(one, parsers.number) >= SHARE_READ:
            one.entry |= {"kind": "number", "bands": _Verbatim(AGE_BANDS)}
        if basis == "where a person lives":
            one.entry["digits"] = 3
        one.comment.append(f"{basis}: a prohibited basis or close to one (12 CFR 1002.2(z)); never a feature")
        return True

    def _contact(self, one: Column) -> bool:
        role = one.hint("contacts")
        if not role or (role == "contact.name" and "contact.name" in self.used):
            return False
        if role == "identifier":
            return self._aside(one, "identifier", "points at a person")
        self.used.add(role)
        one.entry = {"columns": [one.name], "role": role, "kind": "text"}
        one.comment.append("for the letter alone")
        return True

    def _date(self, one: Column) -> bool:
        dated = [c for c in one.known if _is_date(c)]
        if len(dated) < SHARE_READ * len(one.known):
            return False
        order, proof = date_order(one.known)
        role = one.hint("dates") or ("date" if "date" not in self.used else "kept")
        if role in self.used:
            role = "kept"
        self.used.add(role)
        one.entry = {"columns": [one.name], "role": role, "kind": "date"}
        if order:
            one.entry["order"] = order
            one.comment.append(f"order of day and month proven by '{proof}'")
        elif any("/" in c or "." in c for c in one.known):
            one.comment.append('review: say order = "mdy" or "dmy"; no date here proves it')
        return True

    def _identifier(self, one: Column) -> bool:
        unique = len(set(one.known)) == len(one.cells)
        named = bool(one.hint("roles") == "identifier")
        numeric = _share(one, parsers.number) == 1
        if "identifier" not in self.used and unique and len(one.cells) > 1 and (named or not numeric):
            self.used.add("identifier")
            one.entry = {"columns": [one.name], "role": "identifier", "kind": "text"}
            one.comment.append("each value is there once")
            return True
        if named and (unique or len(one.levels) > MOST_LEVELS):
            return self._aside(one, "identifier", "points at a person or a row")
        return False

    def _decision(self, one: Column) -> bool:
        if "decision" in self.used or one.hint("roles") != "decision" or len(one.levels) > MOST_LEVELS:
            return False
        meaning = decision_map(one.levels)
        if meaning is None:
            return False
        self.used.add("decision")
        one.entry = {"columns": [one.name], "role": "decision", "kind": "text", "map": meaning}
        one.comment.append("what the lender decided")
        return True

    def _leak(self, one: Column) -> bool:
        if one.hint("roles") == "leak":
            return self._aside(
                one, "leak", "the lender's own price and terms, or what happened after the decision"
            )
        if one.hint("roles") == "outcome" and "outcome" in self.used:
            return self._aside(one, "leak", "a further form of the outcome")
        if self.outcome is None or len(one.cells) != len(self.outcome):
            return False
        found = evidence.separation(
            [c if c not in MISSING else None for c in one.cells], self.outcome.tolist()
        )
        if found is None or found < evidence.LEAK:
            return False
        return self._aside(
            one, "leak", f"alone it tells the outcome (area {found:.3f}): known only after the decision?"
        )

    def _aside(self, one: Column, role: str, why: str) -> bool:
        one.entry = {"aside": role, "why": why}
        return True

    # ------------------------------------------------------------ a feature

    def _feature(self, one: Column) -> bool:
        known = concepts.of_column(one.name)
        kind, extra = kind_of(one, known)
        if kind == "text":
            return self._aside(one, "identifier", "free text")
        one.entry = {"columns": [one.name], "kind": kind} | extra
        if known is not None and known.origin != "applicant":
            one.entry["origin"] = known.origin
        self._label(one, known, kind)
        if self._asked(one, known, kind):
            return True
        values = _values(one, kind, extra)
        if values is not None:
            one.entry |= range_of(kind, values)
        self._sign(one, known, kind)
        self._reason(one, known)
        self._missing(one, known)
        return True

    def _label(self, one: Column, known: Concept | None, kind: str) -> None:
        if kind == "count":
            noun = known.noun if known and known.noun else ()
            if not noun:
                plain = " ".join(p for p in parts(one.name) if not p.isdigit() and len(p) > 1) or one.key
                noun = (plain.removesuffix("s"), plain if plain.endswith("s") else plain + "s")
            one.entry["noun"] = list(noun)
        elif known and known.label:
            one.entry["label"] = known.label
        if window := window_of(one.name):
            one.entry["window"] = window
            one.comment.append("period by the name")

    def _asked(self, one: Column, known: Concept | None, kind: str) -> bool:
        """Amount, term and purpose of the request; monthly debt, which only a ratio uses."""
        code = known.code if known else ""
        if code in ("amount", "term", "purpose") and code not in self.request:
            self.request[code] = one.key
        if code == "purpose" and kind == "category":
            self.purposes = {level: purpose_words(level) for level in one.levels}
            one.entry["words"] = {
                k: v.removeprefix("for ") or "another purpose" for k, v in self.purposes.items()
            }
        if kind == "score" and not self.score:
            self.score = one.key
        if code == "obligations" and kind == "money":
            one.entry |= {"role": "kept", "label": "monthly debt payments"}
            one.entry |= range_of(kind, _values(one, kind, {}) or [0.0])
            one.entry["ask"] = "Your monthly debt payments"
            one.comment.append(f"used by {RATIO}")
            return True
        return False

    def _sign(self, one: Column, known: Concept | None, kind: str) -> None:
        risk = known.risk if known else ""
        if (
            not risk
            and kind != "category"
            and self.outcome is not None
            and len(one.cells) == len(self.outcome)
        ):
            column = _numbers_with_blanks(one, kind)
            risk = evidence.sign(column, self.outcome.tolist())
            if risk:
                one.comment.append("review: sign by the data, not by a rule")
        if risk and kind != "category":
            one.entry["risk"] = risk
        elif kind != "category":
            one.comment.append("review: 'risk' not known, so the model is free in its direction")

    def _reason(self, one: Column, known: Concept | None) -> None:
        if known is not None:
            self.reasons.setdefault(known.code, known.statement)
            one.entry["reason"] = known.code
            return
        statement = " ".join(p for p in parts(one.name) if not p.isdigit()) or one.key
        statement = statement[:1].upper() + statement[1:]
        self.reasons.setdefault(one.key, statement)
        one.entry["reason"] = one.key
        one.comment.append("review: the words of the reason")

    def _missing(self, one: Column, known: Concept | None) -> None:
        if one.blank == 0:
            return
        origin = one.entry.get("origin", "applicant")
        if origin == "consumer_report":
            unverified = concepts.of_statement("Unable to verify credit references")
            assert unverified is not None  # it is one of Form C-1
            self.reasons.setdefault(unverified.code, unverified.statement)
            one.entry["when_missing"] = unverified.code
        elif origin == "applicant":
            one.entry["ask"] = f"Your {words_of(one, known)}"
            self.required.append(one.key)
        else:
            one.comment.append("review: give when_missing a reason, or the application is incomplete")
        one.comment.append(f"{one.blank:.1%} not known")

    def _debt_to_income(self) -> None:
        debt = next((one for one in self.columns if one.entry.get("label") == "monthly debt payments"), None)
        income = next((one for one in self.columns if one.entry.get("reason") == "income"), None)
        if debt is None or income is None or RATIO in {one.key for one in self.columns}:
            return
        yearly = "month" not in parts(income.name)
        per_month = f"({income.key} / 12)" if yearly else income.key
        self.reasons.setdefault("obligations", "Excessive obligations in relation to income")
        entry = {
            "formula": f"100 * {debt.key} / {per_month}", "kind": "percent", "risk": "+", "reason": "obligations",
            "label": "share of monthly income that goes to debt payments",
        }  # fmt: skip
        self.extra.append(
            (RATIO, entry, f"review: {income.name} taken as {'yearly' if yearly else 'monthly'}")
        )

    # ------------------------------------------------------------ the text

    def lines(self) -> Iterator[str]:
        rows = len(self.columns[0].cells)
        yield f"# Drafted from {self.path.name} ({rows:,} rows)."
        yield "# Review every line: role, origin, sign and reason above all;"
        yield "# `lendsafe product check THIS FILE` lists what is missing or doubtful and shows what each reason says."
        yield f"name = {_toml(re.sub(r'[^a-z0-9]+', '-', self.path.stem.lower()).strip('-') or 'product')}"
        seen = [word for word in MISSING if any(word in one.cells for one in self.columns)]
        yield f"missing = {_toml(seen or [''])}"
        yield ""
        yield "[fields]"
        for one in self.columns:
            if "aside" not in one.entry:
                yield _line(one.key, one.entry, one.comment)
        for key, entry, comment in self.extra:
            yield _line(key, entry, [comment])
        yield ""
        yield "[reasons]  # code = the words of the notice; Form C-1's where it has them (12 CFR 1002 appendix C)"
        used = {one.entry.get(k) for one in self.columns for k in ("reason", "when_missing")} | {
            e.get("reason") for _, e, _ in self.extra
        }
        for code, statement in self.reasons.items():
            if code in used:
                yield f"{code} = {_toml(statement)}"
        yield ""
        yield "[request]"
        for code, key in self.request.items():
            yield f"{code} = {_toml(key)}"
        if self.purposes:
            yield f"purposes = {_toml(self.purposes)}  # review: said after the amount"
        if self.score:
            yield ""
            yield "[score]"
            yield f"field = {_toml(self.score)}"
        yield ""
        yield "[policy]"
        yield f"required = {_toml(self.required)}  # items without which an application is incomplete"
        yield from self._asides()

    def _asides(self) -> Iterator[str]:
        groups: dict[tuple[str, str], list[str]] = {}
        for one in self.columns:
            if "aside" in one.entry:
                groups.setdefault((one.entry["aside"], one.entry["why"]), []).append(one.name)
        for (role, why), names in groups.items():
            yield ""
            yield "[[aside]]"
            yield f"columns = {_toml(names)}"
            yield f"role = {_toml(role)}"
            yield f"why = {_toml(why)}"


# ---------------------------------------------------------------- what values say


def outcome_map(levels: Sequence[str]) -> dict[str, Any] | None:
    """Texts of an outcome to 1, 0 or "" (open), if every one is understood and both outcomes are there."""
    found: dict[str, Any] = {}
    for text in levels:
        plain = text.lower()
        for value, listed in (
            ("", _names()["outcomes"]["open"]),
            (1, _names()["outcomes"]["bad"]),
            (0, _names()["outcomes"]["good"]),
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
        and _share(one, lambda c: parsers.percent(c, decimal)) >= SHARE_READ
    ):
        return "percent", extra
    if any("$" in c for c in cells[:200]) and _share(one, lambda c: parsers.number(c, decimal)) >= SHARE_READ:
        return "money", {"unit": "USD"} | extra
    if any(re.search(r"[a-z]", c.lower()) for c in cells[:200]) and _share(one, parsers.months) >= SHARE_READ:
        return "duration", {"unit": "months"}
    if _share(one, lambda c: parsers.number(c, decimal)) >= SHARE_READ:
        return _number_kind(one, wanted, decimal, extra)
    if _share(one, parsers.low_end) >= SHARE_READ:
        return ("score" if wanted == "score" else "number"), {}
    if len(one.levels) <= MOST_LEVELS and len(cells) >= FEWEST_REPEATS * len(one.levels):
        return "category", {"levels": sorted(one.levels)}
    return "text", {}


def _number_kind(one: Column, wanted: str, decimal: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    whole = _share(one, lambda c: parsers.whole(c, decimal)) == 1
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
            "low": _Verbatim("300" if low >= 300 else f"{min(low, 250):g}"),
            "high": _Verbatim("850" if high <= 850 else f"{max(high, 900):g}"),
        }
    roomy = {"money": 10_000_000, "percent": 500, "count": 100, "duration": 1200}.get(kind)
    found: dict[str, Any] = {"low": _Verbatim(f"{min(0.0, low):g}")}
    if roomy is not None:
        found["high"] = _Verbatim(f"{max(roomy, high):.15g}")
    return found


def purpose_words(level: str) -> str:
    """A purpose of the file after the amount: ``Home Impr`` is ``for home improvement``."""
    tokens = parts(level)
    for listed, said in _names()["purposes"].items():
        if all(any(token.startswith(stem) for token in tokens) for stem in listed.split()):
            return str(said)
    plain = " ".join(tokens)
    return f"for {plain}" if plain else ""


def words_of(one: Column, known: Concept | None) -> str:
    """What a letter calls a field that it asks for."""
    return known.label if known and known.label else " ".join(parts(one.name))


# ---------------------------------------------------------------- small things


class _Verbatim(str):
    """TOML that is written as it is."""


def _values(one: Column, kind: str, extra: dict[str, Any]) -> list[float] | None:
    if kind in ("category", "yesno", "text"):
        return None
    return [v for v in _numbers_with_blanks(one, kind, extra) if not math.isnan(v)]


def _numbers_with_blanks(one: Column, kind: str, extra: dict[str, Any] | None = None) -> list[float]:
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


def _share(one: Column, parse: Any) -> float:
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


def _is_date(cell: str) -> bool:
    return bool(parsers.ISO_DATE.fullmatch(cell) or parsers.SLASHED_DATE.fullmatch(cell))


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _key(name: str, taken: set[str]) -> str:
    """A field's name made of a header, different from the others."""
    plain = re.sub(r"(?<=\d)_(?=[a-z](?:_|$))", "", "_".join(parts(name))) or "column"
    plain = plain if plain[0].isalpha() else f"c_{plain}"
    plain = f"{plain}_field" if plain in RESERVED else plain[:60]
    key, number = plain, 2
    while key in taken:
        key, number = f"{plain}_{number}", number + 1
    taken.add(key)
    return key


def _line(key: str, entry: dict[str, Any], comment: Sequence[str]) -> str:
    note = f"  # {'; '.join(comment)}" if comment else ""
    return f"{key} = {_toml(entry)}{note}"


def _toml(value: Any) -> str:
    if isinstance(value, _Verbatim):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_bare(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else f"{value:g}"  # a JSON string is a TOML string


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


@cache
def _names() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("lendsafe.product") / "names.toml").read_text("utf-8"))
