"""What a lender's fields and reasons are: the dataclasses behind a product file.

Everything that the rest knows about a field or a reason comes from here: how a raw file is read, what the
model looks at, slots and their formats, prompts, standard wordings, checks, what a letter discloses and
asks for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from lendsafe.fields import knob
from lendsafe.product.formula import Formula

Kind = Literal[
    "money", "percent", "count", "duration", "score", "number", "category", "yesno", "date", "text"
]
Role = Literal[
    "feature", "request", "outcome", "decision", "protected", "identifier", "customer", "weight",
    "contact.name", "contact.address", "contact.delivery", "contact.esign_consent", "contact.email",
    "contact.consent.given", "contact.consent.statement", "contact.consent.demonstrated", "contact.consent.withdrawn",
    "date.received", "date.completed", "date.score_created", "date", "key_factors", "leak", "kept",
]  # fmt: skip
Origin = Literal["applicant", "consumer_report", "own_records", "third_party"]
Value = float | int | str | bool | None
Register = Literal["plain", "formal", "warm"]
REGISTERS: tuple[Register, ...] = ("plain", "formal", "warm")
Phrases = Mapping[Register, tuple[str, ...]]

NUMERIC: tuple[Kind, ...] = ("money", "percent", "count", "duration", "score", "number")
ABOUT_THE_DECISION: tuple[Role, ...] = ("feature", "request", "kept", "protected")  # values of an applicant


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that is known, or asked, about an application.

    Attributes:
        name: Key of the field; also the name of its slot and of its column in files of ours.
        formula: Checked arithmetic over other fields, already parsed; None for a field that is read.
    """

    name: str
    columns: tuple[str, ...] = knob((), "Columns of a raw file, the first that is there.")  # fmt: skip
    kind: Kind = knob("number", "What a value is.")
    role: Role = knob("feature", "What it is for; only a feature ever reaches a model.")
    origin: Origin = knob("applicant", "Who it comes from.")
    unit: str = knob("", "Unit: a currency, or months or years for a bare number of a duration.")
    window: str = knob("", "Period that it covers, such as 'past 24 months'; said wherever the figure is.")
    low: float | None = knob(None, "Smallest value that is possible.")
    high: float | None = knob(None, "Largest value that is possible.")
    noun: tuple[str, ...] = knob((), "Of a count: the noun for one and for many.")
    label: str = knob("", "What a person calls it, without an article, such as 'monthly income'.")
    unknown: str = knob("not known", "Words for a value that is not known.")
    risk: Literal["+", "-", ""] = knob(
        "", "'+' if a higher value (or yes) is riskier, '-' if safer, '' if not known."
    )
    reason: str = knob("", "Reason that a feature is given as.")
    when_missing: str = knob("", "Reason when it is not known; without one the application is incomplete.")  # fmt: skip
    special: Mapping[str, str] = knob({}, "Codes in place of a value, such as -7, each with its reason.")  # fmt: skip
    missing: tuple[str, ...] = knob((), "Texts that mean 'not known', beside the file's own.")
    map: Mapping[str, Any] = knob({}, "Text of the file to the value that it stands for; '' for not known.")
    rest: str = knob("", "Value of texts that 'map' does not name; refused if empty.")
    levels: tuple[str, ...] = knob((), "Values of a category.")
    ordered: bool = knob(False, "Whether the levels are in order, the safest first if risk is '+'.")
    words: Mapping[str, str] = knob({}, "How a level, yes or no is said in a sentence.")
    decimal: Literal[".", ","] = knob(".", "Decimal mark of its numbers.")
    order: Literal["", "mdy", "dmy"] = knob("", "Order of day and month in dates with slashes.")
    scales: Mapping[str, float] = knob({}, "Factor by column, such as 12 for a monthly amount.")
    bands: tuple[float, ...] = knob((), "Cut points of a protected number: only the band is kept.")
    digits: int | None = knob(None, "Of a protected text: only so many first characters are kept.", low=1)
    since: tuple[str, ...] = knob((), "Columns of the date up to which a duration counts from this one.")
    joint_columns: tuple[str, ...] = knob((), "Columns instead, for a joint application.")
    ask: str = knob("", "How a letter asks for it when it is missing; only what an applicant can give.")
    why: str = knob("", "Why it is set aside from the features.")
    formula: Formula | None = None

    @property
    def personal(self) -> bool:
        """Whether it is for the letter alone: contact, dates and what moved a score."""
        return self.role.startswith(("contact.", "date.")) or self.role == "key_factors"

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return self.kind in NUMERIC

    @property
    def called(self) -> str:
        """What a person calls it, without an article."""
        return self.label or self.name.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How the narrative words a reason, by register; each entry is a list of alternatives.

    Attributes:
        against: Noun phrases when it is adverse.
        in_favor: Noun phrases when it helps.
        fact_against: Sentences that show its facts as slots, when it is adverse.
        fact_in_favor: The same when it helps.
        why_against: Sentences that say why it matters, when it is adverse.
        why_in_favor: The same when it helps.
    """

    against: Phrases = field(default_factory=dict)
    in_favor: Phrases = field(default_factory=dict)
    fact_against: Phrases = field(default_factory=dict)
    fact_in_favor: Phrases = field(default_factory=dict)
    why_against: Phrases = field(default_factory=dict)
    why_in_favor: Phrases = field(default_factory=dict)


PLACES = tuple(Words.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCode:
    """One reason that may be given.

    Attributes:
        code: Key of the reason.
        statement: The reason as a notice states it (12 CFR 1002.9(b)(2)).
        form: ``Form C-1`` (12 CFR 1002 appendix C) if its wording is that form's, else ``other``.
        favorable: The same factor as a prompt names it when it helps.
        slots: Fields that a narrative may show for it.
        adverse_if: Condition on the facts without which it cannot be a reason; None if facts never deny it.
        favorable_if: Condition without which it cannot help.
        words: Wordings that training pairs use.
        held_out: Wordings that none uses, for the rows that measure what happens outside them.
        template: Noun phrase against, noun phrase in favour, and fact sentence of the standard text.
    """

    code: str
    statement: str
    form: str
    favorable: str
    slots: tuple[str, ...]
    adverse_if: Formula | None
    favorable_if: Formula | None
    words: Words
    held_out: Words
    template: tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockOut:
    """A rule that declines whatever the score says; a value that is not known passes."""

    field: str = knob(help="Field that it looks at.")
    above: float | None = knob(None, "Largest value that passes.")
    below: float | None = knob(None, "Smallest value that passes.")
    equals: str = knob("", "Category, yes or no, that does not pass.")
    reason: str = knob(help="Reason that it is given as (12 CFR 1002 comment 9(b)(2)-8).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Required items, knock-outs and cut-off of a lender."""

    required: tuple[str, ...] = knob(
        (), "Fields without which no decision is possible (12 CFR 1002.9(c)(2))."
    )
    knockouts: tuple[KnockOut, ...] = ()
    cutoff: float | None = knob(
        None,
        "Largest default probability that is approved; found from the approval rate if not given.",
        low=0,
        high=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: fields, and how purposes are said after the amount."""

    amount: str = knob("", "Field of the amount of credit.")
    term: str = knob("", "Field of the time to repay.")
    purpose: str = knob("", "Field of the purpose.")
    purposes: Mapping[str, str] = knob({}, "Purpose to words such as 'for a vehicle'; '' says nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The credit score that is obtained about an applicant."""

    field: str = knob("", "Field of the score.")
    name: str = knob("credit score", "Its name.")
    low: int = knob(300, "Lowest possible score.")
    high: int = knob(850, "Highest possible score.")
    created: str = knob("", "Date field of the score, where no field has the role date.score_created.")  # fmt: skip
    no_factors: bool = knob(False, "No key factors in the file says that the provider named none.")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Columns of a raw file that are never imported, and why."""

    columns: tuple[str, ...] = knob(help="Names or patterns with '*'.")
    role: Literal["leak", "protected", "identifier", "kept"] = knob(
        help="Known only after the decision; protected or close to it; points at a person; of no use."
    )
    why: str = knob(help="One sentence.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """How a raw file marks joint applications."""

    columns: tuple[str, ...] = knob(help="Column that says so.")
    values: tuple[str, ...] = knob(help="Its texts for a joint application.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A protected or proxy field that is a feature all the same, and who answers for that."""

    field: str = knob(help="Field.")
    name: str = knob(help="Who decided.")
    reason: str = knob(help="On what ground.")
    date: str = knob(help="When, as 2026-11-27.")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Product:
    """A product file, read and checked (:mod:`lendsafe.product.read`).

    Attributes:
        name: For messages, lineage and cards.
        fields: By name, in the file's order.
        reasons: By code, in the order that breaks ties.
        missing: Texts that mean "not known" in every column.
        footer: Beginnings of lines of a raw file that are no rows.
        aside: What is known and never imported.
        no_file: Yes/no field that is true where there is no credit file; what the report lacks is then its reason.
        table: The file's content as plain values, from which an equal product can be read.
    """

    name: str
    fields: Mapping[str, Field]
    reasons: Mapping[str, ReasonCode]
    policy: Policy
    request: Request
    score: Score
    missing: tuple[str, ...] = ("",)
    footer: tuple[str, ...] = ()
    aside: tuple[SetAside, ...] = ()
    joint: Joint | None = None
    no_file: str = ""
    overrides: tuple[Override, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Product({self.name!r}, {len(self.fields)} fields, {len(self.reasons)} reasons)"

    def __reduce__(self) -> Any:  # to other processes as its table: a mapping proxy cannot be copied
        from lendsafe.product.read import product_from

        return product_from, (dict(self.table), self.name)

    @cached_property
    def text(self) -> str:
        """Everything that the file says, as JSON in the file's order, from which an equal product can be read."""
        return json.dumps(self.table, separators=(",", ":"), ensure_ascii=False)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that the file says."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def decisive_sha256(self) -> str:
        """Hash of what can change a decision or its reasons: not of words, labels and formats."""
        said = ("label", "noun", "words", "ask", "unknown", "window", "why")
        kept = ("no_file", "policy", "request", "missing", "footer", "joint", "overrides", "aside")
        facts = {key: self.table[key] for key in kept if key in self.table}
        facts["fields"] = {
            name: {key: value for key, value in entry.items() if key not in said}
            for name, entry in self.table.get("fields", {}).items()
        }
        facts["reasons"] = list(self.reasons)
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    @cached_property
    def values(self) -> Mapping[str, Field]:
        """Fields whose values an applicant has: features, the request, what is kept for formulas."""
        wanted = ("feature", "request", "kept")
        return {name: one for name, one in self.fields.items() if one.role in wanted}

    @cached_property
    def features(self) -> tuple[Field, ...]:
        """Fields that a model may look at, in the file's order."""
        return tuple(one for one in self.fields.values() if one.role == "feature")

    @cached_property
    def in_order_of_need(self) -> tuple[Field, ...]:
        """Fields with a formula, each after those that it needs."""
        done: dict[str, Field] = {}

        def add(one: Field) -> None:
            for name in one.formula.names if one.formula else ():
                if self.fields[name].formula is not None and name not in done:
                    add(self.fields[name])
            done.setdefault(one.name, one)

        for one in self.fields.values():
            if one.formula is not None and one.name not in done:
                add(one)
        return tuple(done.values())

    @cached_property
    def statements(self) -> Mapping[str, str]:
        """Reason code to its wording, in the order that breaks ties."""
        return {code: one.statement for code, one in self.reasons.items()}

    def with_role(self, role: Role) -> tuple[Field, ...]:
        """Fields of a role, in the file's order."""
        return tuple(one for one in self.fields.values() if one.role == role)

    def inputs(self, name: str, *, by_value: bool = False) -> frozenset[str]:
        """Fields that are read, of which a field's value is made; itself if it is read.

        Args:
            name: The field.
            by_value: Leave out those of which only is asked whether they are known.
        """
        formula = self.fields[name].formula
        if formula is None:
            return frozenset({name})
        names = formula.by_value if by_value else formula.names
        return frozenset(one for inner in names for one in self.inputs(inner, by_value=by_value))

    def origins(self, code: str) -> frozenset[Origin]:
        """Who the facts of a reason come from."""
        named = [
            one for one in self.features if code in (one.reason, one.when_missing, *one.special.values())
        ]
        return frozenset(self.fields[name].origin for one in named for name in self.inputs(one.name))

    def reads_report(self, name: str) -> bool:
        """Whether a field's value comes, in whole or part, from a consumer report."""
        return any(self.fields[one].origin == "consumer_report" for one in self.inputs(name))

    def set_aside(self, column: str) -> SetAside | None:
        """The entry under which a raw column is never imported, or None."""
        return next((one for one in self.aside if any(fnmatchcase(column, p) for p in one.columns)), None)
