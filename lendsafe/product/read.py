"""Read a product file (TOML) and check all of it: every problem with line and key, at once."""

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendsafe.errors import ConfigError
from lendsafe.fields import Problem, build, did_you_mean, parse_toml, problems
from lendsafe.product import protected, words
from lendsafe.product.formula import Formula, dimension, formula
from lendsafe.product.lines import line_of
from lendsafe.product.model import (
    PLACES,
    REGISTERS,
    Field,
    Joint,
    KnockOut,
    Override,
    Policy,
    Product,
    ReasonCode,
    Request,
    Score,
    SetAside,
    Words,
)
from lendsafe.product.patterns import parse as parse_pattern

PACKAGED = ("consumer", "german", "lending-club", "boston")
MOST_SHOWN = 40
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = ("min", "max", "unknown", "amount", "counteroffer_amount", "factor", "and", "or", "not")
ONCE = ("outcome", "decision", "identifier", "customer", "weight", "contact.name", "date.received", "date.completed",
        "date.score_created", "key_factors")  # fmt: skip
SECTIONS: Mapping[str, type] = {
    "name": str, "extends": str, "missing": list, "footer": list, "no_file": str, "fields": dict, "reasons": dict,
    "policy": dict, "request": dict, "score": dict, "aside": list, "joint": dict, "overrides": list,
}  # fmt: skip
FACTS = ("adverse_if", "favorable_if")

# What a field's and a reason's entry may hold, beside their dataclasses.
FIELD_KEYS = tuple(f.name for f in fields(Field) if f.name != "name")
REASON_KEYS = ("statement", "form", "favorable", "slots", *FACTS, *PLACES, "fact", "template", "held_out")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a product file.

    Attributes:
        line: From 1; 0 where the file has no such place.
        key: Dotted path of the key.
        message: What is wrong and what to try.
    """

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.message}" if self.line else f"{self.key}: {self.message}"


def load(name: str | Path) -> Product:
    """A packaged product by name, or any other by path.

    Raises:
        ConfigError: Naming everything that is wrong with the file, or the packaged names if it is none.
    """
    if str(name) in PACKAGED:
        return packaged(str(name))
    path = Path(name).expanduser()
    if not path.suffix and not path.exists():
        raise ConfigError(
            f"No product '{name}'.{did_you_mean(str(name), list(PACKAGED))} Packaged: {', '.join(PACKAGED)}; or give "
            "a TOML file (`lendsafe product new FILE` writes one)."
        )
    try:
        text = path.read_text("utf-8-sig")
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 (byte {problem.start}). Save the file as UTF-8.") from problem
    if path.suffix == ".json":  # as ours is kept beside what was made with it
        try:
            table = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ConfigError(f"{path}: not JSON: {problem}.") from problem
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: not a JSON object.")
        return product_from(table, str(path))
    return product_from(_plain(parse_toml(text, str(path))), str(path), text)


@cache
def packaged(name: str) -> Product:
    """A product that ships with the package."""
    text = (files("lendsafe.product") / "packaged" / f"{name.replace('-', '_')}.toml").read_text("utf-8")
    return product_from(_plain(tomllib.loads(text)), f"product {name}", text)


def product_from(table: Mapping[str, Any], where: str, text: str = "") -> Product:
    """Build a product from its table.

    Args:
        table: Content of the file.
        where: Place to name in messages.
        text: The file itself, so that messages can name lines.

    Raises:
        ConfigError: Naming every problem with its line and key.
    """
    found, flaws = examine(table, text)
    if found is None or flaws:
        more = f"; and {len(flaws) - MOST_SHOWN} more" if len(flaws) > MOST_SHOWN else ""
        raise ConfigError(f"{where}: " + "; ".join(map(str, flaws[:MOST_SHOWN])) + more)
    return found


def examine(table: Mapping[str, Any], text: str = "") -> tuple[Product | None, list[Flaw]]:
    """A product, if one can be made of a table, and everything that is wrong with it."""
    reader = _Reader(table, text)
    product = reader.product()
    return product, sorted(reader.flaws, key=lambda one: one.line)


class _Reader:
    """One table on its way to a product; every step adds what it finds wrong to ``flaws``."""

    def __init__(self, table: Mapping[str, Any], text: str) -> None:
        self.flaws: list[Flaw] = []
        self.text = text
        self.table = self._extended(table)

    def wrong(self, path: tuple[str, ...], message: str) -> None:
        self.flaws.append(Flaw(line_of(self.text, path), ".".join(path), message.rstrip(".")))

    def product(self) -> Product | None:
        for key, value in self.table.items():
            if key not in SECTIONS:
                hint = did_you_mean(key, list(SECTIONS))
                if key == "columns":
                    hint = " Describe columns under [fields]; `lendsafe product new FILE` drafts them."
                self.wrong((key,), f"unknown key.{hint}")
            elif not isinstance(value, SECTIONS[key]):
                kinds: dict[Any, str] = {dict: "a table", list: "a list", str: "text"}
                kind = kinds[SECTIONS[key]]
                self.wrong((key,), f"is {value!r:.60}; expected {kind}")
        if self.flaws:
            return None
        made = {name: self._field(name, entry) for name, entry in self.table.get("fields", {}).items()}
        found = {name: one for name, one in made.items() if one is not None}
        if not found:
            self.wrong(("fields",), "there are none; describe the columns of the file under [fields]")
            return None
        found = self._formulas(found)
        codes = self._codes(found)
        product = Product(
            name=self.table.get("name", ""),
            fields=found,
            reasons=codes,
            policy=self._policy(found, codes),
            request=self._record(("request",), Request),
            score=self._record(("score",), Score),
            missing=self._texts("missing", ("",)),
            footer=self._texts("footer", ()),
            aside=self._list("aside", SetAside),
            joint=self._joint(),
            no_file=self.table.get("no_file", ""),
            overrides=self._list("overrides", Override),
            table=self.table,
        )
        self._check(product)
        return None if self.flaws else product

    def _extended(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The table laid over the packaged product that it extends."""
        base = table.get("extends")
        if base is None:
            return dict(table)
        if base not in PACKAGED:
            self.wrong(
                ("extends",), f"no packaged product {base!r:.40}.{did_you_mean(str(base), list(PACKAGED))}"
            )
            return {key: value for key, value in table.items() if key != "extends"}
        over = {key: value for key, value in table.items() if key != "extends"}
        return _laid_over(packaged(base).table, over)

    def _field(self, name: str, entry: Any) -> Field | None:
        path = ("fields", name)
        if not isinstance(entry, Mapping):
            self.wrong(path, f'is {entry!r:.60}; expected a table such as {{ kind = "money" }}')
            return None
        if not NAME.fullmatch(name) or name in RESERVED:
            what = (
                "is a word of its own here"
                if name in RESERVED
                else "expected a-z, 0-9 and '_', a letter first"
            )
            self.wrong(path, f"cannot be a field's name: {what}; name the raw column under 'columns'")
            return None
        plain = {key: value for key, value in entry.items() if key != "formula"}
        if not self._sound(path, Field, {"name": name, **plain}):
            return None
        one = build(Field, {"name": name, **plain})
        one = replace(one, columns=one.columns or (() if "formula" in entry else (name,)))
        for key in ("low", "high"):
            if (value := getattr(one, key)) is not None and abs(value) > 1e15:
                self.wrong((*path, key), f"is {value:g}; expected a number up to 1e15")
        if one.low is not None and one.high is not None and one.low > one.high:
            self.wrong((*path, "low"), f"is {one.low:g}, above 'high', {one.high:g}")
        if text := entry.get("formula"):
            if parsed := self._parsed((*path, "formula"), text):
                one = replace(one, formula=parsed)
            else:
                return None
        self._field_sense(path, one)
        return one

    def _field_sense(self, path: tuple[str, ...], one: Field) -> None:
        """What contradicts itself within a field."""
        self._sense_of_kind(path, one)
        self._sense_of_map(path, one)
        self._sense_of_levels(path, one)

    def _sense_of_kind(self, path: tuple[str, ...], one: Field) -> None:
        if one.role == "feature" and not (one.numeric or one.kind in ("category", "yesno")):
            self.wrong((*path, "kind"), f"a {one.kind} cannot be a feature; give it another role")
        if one.kind == "count" and one.noun and len(one.noun) != 2:
            self.wrong((*path, "noun"), f"is {list(one.noun)!r}; expected the noun for one and for many")
        if one.kind == "duration" and one.unit not in ("", "months", "years"):
            self.wrong((*path, "unit"), f"is {one.unit!r}; expected months or years")
        if one.since and one.kind != "duration":
            self.wrong((*path, "since"), 'counts a duration; set kind = "duration"')
        if list(one.bands) != sorted(set(one.bands)):
            self.wrong((*path, "bands"), "expected rising numbers")

    def _sense_of_map(self, path: tuple[str, ...], one: Field) -> None:
        if one.role == "outcome":
            values = {value for value in one.map.values() if value != ""}
            if not one.map:
                self.wrong(
                    path,
                    "an outcome needs 'map': each text to 0 (repaid), 1 (defaulted) or \"\" (not known yet)",
                )
            elif values - {0, 1}:
                self.wrong((*path, "map"), f'has {sorted(map(str, values - {0, 1}))[0]}; expected 0, 1 or ""')
            elif len(values) < 2:
                self.wrong((*path, "map"), "has one outcome only; map some texts to 0 and some to 1")
        if one.role == "decision" and set(one.map.values()) - {"approved", "declined", ""}:
            self.wrong((*path, "map"), 'expected approved, declined or "" for each text')

    def _sense_of_levels(self, path: tuple[str, ...], one: Field) -> None:
        if one.kind == "category" and one.role == "feature" and not (one.levels or one.map):
            self.wrong((*path, "levels"), "a category that is a feature names its levels")
        if len(set(one.levels)) < len(one.levels):
            self.wrong((*path, "levels"), "names a level twice")
        if one.kind == "category" and one.map and one.levels:
            unknown = [
                v for v in (*one.map.values(), *filter(None, [one.rest])) if v != "" and v not in one.levels
            ]
            if unknown:
                self.wrong((*path, "map"), f"gives {unknown[0]!r}, which is none of the levels")

    def _formulas(self, found: dict[str, Field]) -> dict[str, Field]:
        """Fields whose formulas name fields that are there, have one unit, and do not go round in a circle."""
        kinds = {name: one.kind for name, one in found.items()}
        for name, one in list(found.items()):
            if one.formula is None:
                continue
            path = ("fields", name, "formula")
            if _circular(name, found):
                self.wrong(path, "needs itself")
            elif self._known_names(path, one.formula, found):
                self._dimension(path, one, kinds)
                continue
            found[name] = replace(one, formula=None)  # so that the rest of the file can still be looked at
        return found

    def _dimension(self, path: tuple[str, ...], one: Field, kinds: Mapping[str, str]) -> None:
        assert one.formula is not None
        try:
            unit = dimension(one.formula, kinds)
        except ValueError as problem:
            self.wrong(path, str(problem))
            return
        wanted = {"money": "money", "duration": "time", "yesno": "condition"}.get(one.kind, "")
        if unit != wanted and not (wanted == "condition" and unit == ""):
            self.wrong(path, f"gives {unit or 'a plain number'}, and the field is a {one.kind}")

    def _known_names(self, path: tuple[str, ...], one: Formula, found: Mapping[str, Field]) -> bool:
        good = True
        for name in one.names:
            if name not in found:
                self.wrong(path, f"no field '{name}'.{did_you_mean(name, list(found))}")
                good = False
            elif not (
                found[name].numeric or found[name].kind == "yesno"
            ) and f"unknown({name}" not in one.text.replace(" ", ""):
                self.wrong(
                    path, f"'{name}' is a {found[name].kind}; only numbers and yes/no can be computed with"
                )
                good = False
        return good

    def _parsed(self, path: tuple[str, ...], text: Any) -> Formula | None:
        if not isinstance(text, str):
            self.wrong(path, f"is {text!r:.60}; expected text")
            return None
        try:
            return formula(text)
        except ValueError as problem:
            self.wrong(path, str(problem))
            return None

    def _codes(self, found: Mapping[str, Field]) -> dict[str, ReasonCode]:
        codes = {}
        for code, entry in self.table.get("reasons", {}).items():
            path = ("reasons", code)
            if isinstance(entry, str):
                entry = {"statement": entry}
            if not isinstance(entry, Mapping):
                self.wrong(path, f"is {entry!r:.60}; expected the statement, or a table")
            elif not NAME.fullmatch(code):
                self.wrong(path, "cannot be a reason's code: expected a-z, 0-9 and '_', a letter first")
            elif (made := self._code(path, code, entry, found)) is not None:
                codes[code] = made
        return codes

    def _code(
        self, path: tuple[str, ...], code: str, entry: Mapping[str, Any], found: Mapping[str, Field]
    ) -> ReasonCode | None:
        before = len(self.flaws)
        for key in entry:
            if key not in REASON_KEYS:
                self.wrong((*path, key), f"unknown key.{did_you_mean(key, list(REASON_KEYS))}")
        statement = entry.get("statement")
        if not isinstance(statement, str) or not statement.strip():
            self.wrong(path, "needs a 'statement', the words of the notice")
            return None
        if flaw := words.statement_flaw(statement):
            self.wrong((*path, "statement"), flaw)
        for key in ("form", "favorable"):
            if not isinstance(entry.get(key, ""), str):
                self.wrong((*path, key), "expected text")
        slots = entry.get("slots", [])
        if not isinstance(slots, list) or any(one not in found for one in slots):
            self.wrong((*path, "slots"), f"is {slots!r:.60}; expected a list of fields")
        own = [one for one in found.values() if one.role == "feature" and one.reason == code]
        rules = {key: self._rule(path, key, entry, found) for key in FACTS}
        told = self._words(path, entry, found)
        held = entry.get("held_out", {})
        if not isinstance(held, Mapping):
            self.wrong((*path, "held_out"), "expected a table")
            held = {}
        held_out = self._words((*path, "held_out"), held, found)
        if len(self.flaws) > before:
            return None
        return words.reason(code, entry, own, found, told, held_out, rules)

    def _rule(
        self, path: tuple[str, ...], key: str, entry: Mapping[str, Any], found: Mapping[str, Field]
    ) -> Formula | None:
        if key not in entry:
            return None
        parsed = self._parsed((*path, key), entry[key])
        if parsed and self._known_names((*path, key), parsed, found):
            try:
                if dimension(parsed, {name: one.kind for name, one in found.items()}) != "condition":
                    self.wrong((*path, key), "expected a condition such as 'late_payments > 0'")
            except ValueError as problem:
                self.wrong((*path, key), str(problem))
        return parsed

    def _words(self, path: tuple[str, ...], entry: Mapping[str, Any], found: Mapping[str, Field]) -> Words:
        both = {"fact_against": "fact", "fact_in_favor": "fact"}
        return Words(
            **{
                place: self._phrases((*path, key), entry[key], found)
                for place in PLACES
                if (key := place if place in entry else both.get(place, "")) in entry
            }
        )

    def _phrases(
        self, path: tuple[str, ...], value: Any, found: Mapping[str, Field]
    ) -> dict[Any, tuple[str, ...]]:
        """A text, a list, or either by register, as lists by register."""
        by_register = value if isinstance(value, Mapping) else dict.fromkeys(REGISTERS, value)
        made: dict[Any, tuple[str, ...]] = {}
        for register, texts in by_register.items():
            listed = [texts] if isinstance(texts, str) else texts
            if register not in REGISTERS:
                self.wrong(path, f"unknown register '{register}'; expected {', '.join(REGISTERS)}")
            elif not isinstance(listed, list) or not all(
                isinstance(one, str) and one.strip() for one in listed
            ):
                self.wrong(path, f"is {texts!r:.60}; expected a text or a list of texts")
            elif listed:
                made[register] = tuple(listed)
                for one in listed:
                    self._phrase(path, one, found)
        for register in REGISTERS:
            if made:
                made.setdefault(register, next(iter(made.values())))
        return made

    def _phrase(self, path: tuple[str, ...], one: str, found: Mapping[str, Field]) -> None:
        try:
            parse_pattern(one)
        except ValueError as problem:
            self.wrong(path, str(problem))
        for name in re.findall(r"\{([^{}]*)\}", one):
            if name not in found:
                self.wrong(path, f"no field '{name}' to show.{did_you_mean(name, list(found))}")
        if re.search(r"\d", re.sub(r"\{[^{}]*\}", "", one)) and path[-1] not in ("fact", *PLACES[2:4]):
            self.wrong(path, f"{one!r} holds a figure; show facts as slots")

    def _policy(self, found: Mapping[str, Field], codes: Mapping[str, ReasonCode]) -> Policy:
        table = self.table.get("policy", {})
        rules = table.get("knockouts", [])
        if not isinstance(rules, list):
            self.wrong(("policy", "knockouts"), "expected tables, each under [[policy.knockouts]]")
            rules = []
        good = [self._knockout(i, one, found, codes) for i, one in enumerate(rules)]
        rest = {key: value for key, value in table.items() if key != "knockouts"}
        if not self._sound(("policy",), Policy, rest):
            return Policy()
        for name in rest.get("required", ()):
            if name not in found:
                self.wrong(("policy", "required"), f"no field '{name}'.{did_you_mean(name, list(found))}")
        return build(Policy, {**rest, "knockouts": tuple(one for one in good if one is not None)})

    def _knockout(
        self, number: int, entry: Any, found: Mapping[str, Field], codes: Mapping[str, ReasonCode]
    ) -> KnockOut | None:
        path = ("policy", "knockouts", str(number))
        if not isinstance(entry, Mapping) or not self._sound(path, KnockOut, entry):
            if not isinstance(entry, Mapping):
                self.wrong(path, "expected a table")
            return None
        rule = build(KnockOut, dict(entry))
        if rule.field not in found:
            self.wrong((*path, "field"), f"no field '{rule.field}'.{did_you_mean(rule.field, list(found))}")
        elif found[rule.field].role in ("protected", "leak", "outcome", "identifier"):
            self.wrong(
                (*path, "field"), f"'{rule.field}' is {found[rule.field].role}; no rule may look at it"
            )
        elif (rule.above is not None or rule.below is not None) and not found[rule.field].numeric:
            self.wrong((*path, "field"), f"'{rule.field}' is a {found[rule.field].kind}; use equals")
        if rule.reason not in codes:
            self.wrong(
                (*path, "reason"), f"no reason '{rule.reason}'.{did_you_mean(rule.reason, list(codes))}"
            )
        if rule.above is None and rule.below is None and not rule.equals:
            self.wrong(path, "declines nobody; give above, below or equals")
        return rule

    def _check(self, product: Product) -> None:
        """What contradicts itself across the file."""
        if not product.name:
            self.wrong(("name",), "is missing")
        self._reasons_of_fields(product)
        self._roles(product)
        self._columns(product)
        for name, flaw in protected.refused(product):
            self.wrong(("fields", name), flaw)
        for key, name in (("amount", product.request.amount), ("term", product.request.term),
                          ("purpose", product.request.purpose)):  # fmt: skip
            if name and name not in product.values:
                self.wrong(
                    ("request", key),
                    f"no field '{name}' of an application.{did_you_mean(name, list(product.values))}",
                )
        if product.request.amount in product.values and not product.fields[product.request.amount].numeric:
            self.wrong(("request", "amount"), f"'{product.request.amount}' is no number")
        if (name := product.score.field) and name not in product.values:
            self.wrong(("score", "field"), f"no field '{name}'.{did_you_mean(name, list(product.values))}")
        if (name := product.no_file) and (name not in product.fields or product.fields[name].kind != "yesno"):
            self.wrong(("no_file",), f"'{name}' is no yes/no field")

    def _reasons_of_fields(self, product: Product) -> None:
        used: set[str] = set()
        for one in product.fields.values():
            path = ("fields", one.name)
            if one.role != "feature":
                continue
            if not one.reason:
                self.wrong((*path, "reason"), "every feature needs exactly one reason; name one of [reasons]")
            for key, code in (("reason", one.reason), ("when_missing", one.when_missing),
                              *(("special", code) for code in one.special.values())):  # fmt: skip
                if code and code not in product.reasons:
                    self.wrong(
                        (*path, key), f"no reason '{code}'.{did_you_mean(code, list(product.reasons))}"
                    )
                used.add(code)
        used |= {rule.reason for rule in product.policy.knockouts}
        for code in product.reasons:
            if code not in used:
                self.wrong(
                    ("reasons", code), "no feature and no rule gives this reason; remove it or name it"
                )

    def _roles(self, product: Product) -> None:
        for role in ONCE:
            if len(several := product.with_role(role)) > 1:  # type: ignore[arg-type]  # a literal of Role
                self.wrong(
                    ("fields", several[1].name, "role"), f"'{several[0].name}' has the role '{role}' already"
                )
        if not product.features:
            self.wrong(("fields",), "no field is a feature")
        for one in product.fields.values():
            if one.role.startswith("date") and one.kind != "date":
                self.wrong(
                    ("fields", one.name, "kind"),
                    f"is {one.kind}; a field with the role '{one.role}' is a date",
                )

    def _columns(self, product: Product) -> None:
        seen: dict[str, Field] = {}
        for one in product.fields.values():
            for column in one.columns:
                other = seen.setdefault(column, one)
                twice = other is not one and "outcome" in (other.role, one.role)
                if twice:
                    self.wrong(
                        ("fields", one.name, "columns"),
                        f"'{column}' is the column of '{other.name}' too; an outcome's column can be nothing else "
                        "(it would give the outcome away)",
                    )

    def _sound(self, path: tuple[str, ...], kind: type[Any], entry: Mapping[str, Any]) -> bool:
        found = problems(kind, entry)
        known = [f.name for f in fields(kind) if f.name not in ("name", "formula") or kind is not Field]
        for one in found:
            if one.unknown:
                self.wrong((*path, one.field), f"unknown key.{did_you_mean(one.field, known)}")
            else:
                self.wrong((*path, one.field), one.why)
        return not found

    def _record(self, path: tuple[str, ...], kind: Callable[..., Any]) -> Any:
        entry = self.table.get(path[0], {})
        return build(kind, entry) if self._sound(path, kind, entry) else kind()  # type: ignore[arg-type]  # a class

    def _joint(self) -> Joint | None:
        entry = self.table.get("joint")
        return build(Joint, entry) if entry is not None and self._sound(("joint",), Joint, entry) else None

    def _list(self, key: str, kind: type[Any]) -> tuple[Any, ...]:
        made = []
        for number, entry in enumerate(self.table.get(key, [])):
            path = (key, str(number))
            if not isinstance(entry, Mapping):
                self.wrong(path, "expected a table")
            elif self._sound(path, kind, entry):
                made.append(build(kind, entry))
        return tuple(made)

    def _texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        texts = self.table.get(key, list(default))
        if not all(isinstance(one, str) for one in texts):
            self.wrong((key,), "expected a list of texts")
            return default
        return tuple(texts)


def _plain(value: Any) -> Any:
    """TOML values as JSON has them: dates and times as text, no infinity."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``over``, table by table; lists are replaced whole."""
    made = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _laid_over(made[key], value) if both else value
    return made


def _circular(name: str, found: Mapping[str, Field], seen: frozenset[str] = frozenset()) -> bool:
    one = found.get(name)
    if one is None or one.formula is None:
        return False
    return name in seen or any(_circular(inner, found, seen | {name}) for inner in one.formula.names)


def schema() -> dict[str, Any]:
    """JSON Schema of a product file, from the dataclasses that it is read into."""
    from lendsafe.fields import json_schema

    phrases = {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
                },
            },
        ]
    }  # fmt: skip
    one_field = json_schema(Field, without=("name",))
    one_field["properties"]["formula"] = {
        "type": "string",
        "description": "Arithmetic over other fields instead of a column.",
    }
    places = {place: phrases | {"description": _first_line(Words, place)} for place in (*PLACES, "fact")}
    reason = {
        "type": "object",
        "additionalProperties": False,
        "required": ["statement"],
        "properties": {
            "statement": {"type": "string", "description": "The reason as the notice states it."},
            "form": {"type": "string", "description": "Form C-1, or other; found from the statement if not given."},
            "favorable": {"type": "string", "description": "The same factor when it helps, for the prompt."},
            "slots": {"type": "array", "items": {"type": "string"}, "description": "Fields that may be shown for it."},
            "adverse_if": {"type": "string", "description": "Condition on the facts without which it is no reason."},
            "favorable_if": {"type": "string", "description": "Condition without which it cannot help."},
            "template": {"type": "array", "items": {"type": "string"},
                "description": "Noun phrase against, noun phrase in favor, fact sentence of the standard text."},
            **places,
            "held_out": {"type": "object", "properties": places, "description": "Wordings that no training pair uses."},
        },
    }  # fmt: skip
    policy = json_schema(Policy, without=("knockouts",))
    policy["properties"]["knockouts"] = {"type": "array", "items": json_schema(KnockOut)}
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "LendSafe product",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "fields", "reasons"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Name of the product, for messages, lineage and cards.",
            },
            "extends": {
                "enum": list(PACKAGED),
                "description": "Packaged product that this file is laid over.",
            },
            "missing": texts | {"description": "Texts that mean 'not known' in every column."},
            "footer": texts | {"description": "Beginnings of lines that are no rows."},
            "no_file": {
                "type": "string",
                "description": "Yes/no field that is true where there is no credit file.",
            },
            "fields": {"type": "object", "additionalProperties": one_field},
            "reasons": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, reason]}},
            "policy": policy,
            "request": json_schema(Request),
            "score": json_schema(Score),
            "aside": {"type": "array", "items": json_schema(SetAside)},
            "joint": json_schema(Joint),
            "overrides": {"type": "array", "items": json_schema(Override)},
        },
    }


def _first_line(kind: type[Any], name: str) -> str:
    """What the class's docstring says of an attribute."""
    match = re.search(rf"^\s+{name}: (.*)$", kind.__doc__ or "", re.MULTILINE)
    return match[1] if match else "Sentences that show its facts as slots, on either side."


__all__ = ["PACKAGED", "Flaw", "Problem", "examine", "load", "packaged", "product_from", "schema"]
