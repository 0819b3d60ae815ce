"""All that a product file lacks or leaves in doubt, and what each of its reasons would say."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lendsafe.errors import ConfigError
from lendsafe.product import concepts, evidence, protected
from lendsafe.product.lines import line_of
from lendsafe.product.model import Field, Product, ReasonCode
from lendsafe.product.patterns import first, parse
from lendsafe.product.read import PACKAGED, examine, load
from lendsafe.product.reader import Flaw
from lendsafe.product.show import shown
from lendsafe.product.table import OUTCOME, Table, listed, read_table

WEIGHTS = {"against": "counted against the request", "in_favor": "helped the request"}
MANY_UNKNOWN = 0.5  # share of a column that is not known, from which on it is doubtful
RARE = 0.001  # share of rows at or below which a level says little
_FACT_OF_SCORE = ("credit score", "score")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found.

    Attributes:
        product: The product, if the file makes one.
        flaws: What keeps it from being used.
        doubts: What a person should look at.
        says: For each reason what a letter and a narrative say of it, against and in favour.
        read: The file that it was tried on, if one was given.
    """

    product: Product | None
    flaws: tuple[Flaw, ...]
    doubts: tuple[Flaw, ...]
    says: tuple[tuple[str, dict[str, str]], ...] = ()
    read: dict[str, Any] = field(default_factory=dict)


def check(name: str | Path, raw: Path | None = None) -> Checked:
    """Check a product file, and try it on a raw file.

    Args:
        name: Packaged product, or path.
        raw: File to try it on.

    Raises:
        ConfigError: If there is no such file, or it is no TOML.
        DataError: If the raw file cannot be read at all.
    """
    product: Product | None
    text, flaws = "", list[Flaw]()
    if str(name) in PACKAGED:
        product = load(name)
    else:
        text = _text(Path(name).expanduser())
        try:
            found = tomllib.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ConfigError(f"{name}: not TOML: {problem}") from problem
        product, flaws = examine(found, text)
    if product is None:
        return Checked(product=None, flaws=tuple(flaws), doubts=())
    doubts = [*_doubts(product, text)]
    lineage: dict[str, Any] = {}
    values: dict[str, str] = {}
    if raw is not None:
        table = read_table(raw, product)
        lineage = table.lineage
        doubts += _doubts_of_file(product, table, text)
        values = _examples(product, table.frame)
    says = tuple((code, said(one, values)) for code, one in product.reasons.items())
    return Checked(
        product=product,
        flaws=tuple(flaws),
        doubts=tuple(sorted(doubts, key=lambda one: one.line)),
        says=says,
        read=lineage,
    )


def said(one: ReasonCode, values: dict[str, str]) -> dict[str, str]:
    """What a letter and the standard text say of a reason; facts as values where they are given."""
    lines = {"statement": one.statement}
    facts = {
        "against": one.words.fact_against.get("plain", ()),
        "in_favor": one.words.fact_in_favor.get("plain", ()),
    }
    for side, phrases in (("against", one.words.against), ("in_favor", one.words.in_favor)):
        noun = first(parse(phrases["plain"][0])) if phrases.get("plain") else ""
        fact = first(parse(facts[side][0])) if facts[side] else ""
        for name, value in values.items():
            fact = fact.replace(f"{{{name}}}", value)
        lines[side] = f"{noun[:1].upper()}{noun[1:]} {WEIGHTS[side]}. {fact}".strip()
    return lines


def _doubts(product: Product, text: str) -> Iterator[Flaw]:
    """What the file alone leaves in doubt."""
    for one in product.features:
        yield from _doubts_of_field(product, one, text)
    for code, reason in product.reasons.items():
        yield from _doubts_of_reason(product, code, reason, text)
    if not product.request.amount:
        yield _at(text, ("request",), "names no amount; a letter then speaks of credit")
    yield from _doubts_of_score(product, text)
    for told in product.overrides:
        what = f"'{told.field}' is looked at although it is protected or close to it"
        yield _at(text, ("overrides",), f"{what}: {told.name}, {told.date}: {told.reason}")


def _doubts_of_score(product: Product, text: str) -> Iterator[Flaw]:
    """What a letter that discloses the score needs (15 USC 1681g(f)(1)(C) and (D)) and nothing in the file gives."""
    if not product.score.field:
        return
    where = ("score",)
    if not product.score.created and not product.with_role("date.score_created"):
        yield _at(
            text,
            where,
            "is not dated, so letters that disclose it are refused; set 'created' or give a date its role",
        )
    if not product.score.no_factors and not product.with_role("key_factors"):
        yield _at(
            text,
            where,
            "has no key factors, so letters that disclose it are refused; give a column the role 'key_factors'",
        )


def _doubts_of_field(product: Product, one: Field, text: str) -> Iterator[Flaw]:
    path = ("fields", one.name)
    if not one.risk and one.kind != "category":
        yield _at(text, (*path, "risk"), "has no sign, so the model is free in its direction")
    if not one.when_missing and one.formula is None and not one.ask and one.origin != "applicant":
        why = "without it an application is incomplete, and the applicant is asked for it"
        yield _at(text, path, f"names no reason when missing: {why}")
    if one.kind == "count" and not one.noun:
        yield _at(text, path, "is a count without a noun for one and for many")
    if one.numeric and one.formula is None and (one.low is None or one.high is None):
        yield _at(text, path, "has no range; a slip of the keyboard is then taken for a value")
    if one.kind == "category" and not one.words:
        yield _at(text, path, "says its levels as the file has them; give 'words' for a reader")
    if product.reads_report(one.name) and one.ask:
        yield _at(text, (*path, "ask"), "asks an applicant for what comes from a consumer report")


def _doubts_of_reason(product: Product, code: str, reason: ReasonCode, text: str) -> Iterator[Flaw]:
    path = ("reasons", code)
    if reason.form == "other" and _of_own(reason) and not _worded(product, code):
        yield _at(text, path, f"is worded by default: '{first(parse(reason.words.against['plain'][0]))}'")
    if reason.statement.lower() in _FACT_OF_SCORE or "credit score" in reason.statement.lower():
        yield _at(
            text,
            (*path, "statement"),
            "a credit score as a reason sits close to 'failed to achieve a qualifying score' (12 CFR 1002.9(b)(2)); "
            "its key factors have to be disclosed with it (15 USC 1681m(a))",
        )


def _doubts_of_file(product: Product, table: Table, text: str) -> Iterator[Flaw]:
    """What a raw file shows."""
    frame, rows = table.frame, max(1, len(table.frame))
    for name in table.lineage["unmapped"]:
        yield _at(text, ("fields",), f"the file has a column '{name}' that nothing here names")
    for name in table.lineage["absent"]:
        yield _at(
            text,
            ("fields", name),
            f"the file has no column for it (tried {', '.join(product.fields[name].columns)})",
        )
    if table.rejects:
        yield _at(
            text,
            ("fields",),
            f"{len({one.line for one in table.rejects})} rows cannot be read: {listed(table.rejects)}",
        )
    outcome = frame[OUTCOME].tolist() if OUTCOME in frame else None
    for one in product.features:
        if one.name not in frame:
            continue
        column = frame[one.name]
        yield from _doubts_of_column(one, column, outcome, text, rows)
    if outcome is not None and not {0.0, 1.0} <= set(frame[OUTCOME].dropna()):
        yield _at(text, ("fields",), "the file has one outcome only")


def _doubts_of_column(
    one: Field, column: pd.Series, outcome: Sequence[float] | None, text: str, rows: int
) -> Iterator[Flaw]:
    path = ("fields", one.name)
    share = float(column.isna().mean())
    if share and not one.when_missing and one.formula is None:
        why = "names no reason when missing: those applications are incomplete"
        yield _at(text, path, f"is not known in {share:.1%} of the rows and {why}")
    if share > MANY_UNKNOWN:
        yield _at(text, path, f"is not known in {share:.0%} of the rows")
    if one.levels:
        yield from _doubts_of_levels(one, column, text, rows)
    if outcome is None:
        return
    found = evidence.separation(column.tolist(), outcome)
    if found is not None and found >= evidence.LEAK:
        told = f"alone it tells the outcome (area {found:.3f}); is it known before the decision?"
        yield _at(text, path, told)
    if one.risk and one.numeric:
        sign = evidence.sign(column.tolist(), outcome)
        if sign and sign != one.risk:
            yield _at(text, (*path, "risk"), f"is '{one.risk}', and the data say '{sign}'")


def _doubts_of_levels(one: Field, column: pd.Series, text: str, rows: int) -> Iterator[Flaw]:
    path = ("fields", one.name)
    counts = column.value_counts()
    for level in one.levels:
        if counts.get(level, 0) == 0:
            yield _at(text, (*path, "levels"), f"level '{level}' is not in the file")
        elif counts[level] <= RARE * rows:
            yield _at(text, (*path, "levels"), f"level '{level}' is in {counts[level]} rows only")
    if basis := protected.basis_of_values(list(map(str, counts.index))):
        yield _at(text, path, f"its texts look like {basis}")


def _examples(product: Product, frame: pd.DataFrame) -> dict[str, str]:
    """A known value of each field, as a reader sees it."""
    found = {}
    for name, one in product.values.items():
        if name in frame:
            known = frame[name].dropna()
            if len(known):
                value = known.iloc[len(known) // 2]
                found[name] = shown(one, bool(value) if one.kind == "yesno" else value)
    return found


def _keys(product: Product, code: str) -> frozenset[str]:
    entry = product.table.get("reasons", {}).get(code, {})
    return frozenset(entry) if isinstance(entry, dict) else frozenset()


def _worded(product: Product, code: str) -> bool:
    return bool(_keys(product, code) & {"against", "in_favor"})


def _of_own(reason: ReasonCode) -> bool:
    """Whether a reason is none of the concepts whose words are reviewed."""
    return concepts.of_statement(reason.statement) is None


def _at(text: str, path: tuple[str, ...], message: str) -> Flaw:
    return Flaw(line_of(text, path), ".".join(path), message)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 (byte {problem.start}). Save the file as UTF-8.") from problem
