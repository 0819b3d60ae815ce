"""What the checks have to know of a product's factors and facts, as data.

No check names a field or a reason: it asks here. :func:`words_of` builds this from the reviewed table of
the consumer product.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal

from lendsafe.eval.truth.lexicon import table
from lendsafe.product import consumer
from lendsafe.records import Assessment

Unit = Literal["money", "percent", "months", "days", "bare"]
Must = Literal["none", "some", "known", "unknown"]


@dataclass(frozen=True, slots=True)
class Denial:
    """A fact that a factor on one side cannot go with.

    Attributes:
        fact: Name of the fact.
        when: ``none`` (0, false or not known), ``some`` (above 0, true), ``known`` or ``unknown``.
    """

    fact: str
    when: Must

    def holds(self, value: object) -> bool:
        """Whether a value rules the factor out."""
        return {"none": not value, "some": bool(value), "known": value is not None, "unknown": value is None}[
            self.when
        ]


@dataclass(frozen=True, slots=True)
class FactorWords:
    """How a factor is spoken of; phrases are patterns as in ``lexicon.toml``.

    Attributes:
        code: Its code.
        adverse: Phrases that speak against the applicant as they stand.
        favourable: Phrases that speak for the applicant.
        neutral: Phrases whose direction comes from the words around them.
        more_is_adverse: Whether "high", "many" and "long" speak against.
        levelled: Whether it can be high or low at all; else it holds or does not.
        slots: Facts that may be shown for it.
        standing: Whether its phrases hold a negation of their own ("no credit file").
        of: Words for what it measures, where it holds two things against each other; an expression.
        beside: Words for what that is held against.
        verb: Words for what was done or not done where it holds or does not ("verify"); an expression.
        yields_to: Factors whose presence in a clause means that its commonest words are theirs.
        denied: What rules it out, by side (``adverse``, ``favorable``).
    """

    code: str
    more_is_adverse: bool
    adverse: tuple[str, ...] = ()
    favourable: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    levelled: bool = True
    slots: tuple[str, ...] = ()
    standing: bool = False
    of: str = ""
    beside: str = ""
    verb: str = ""
    yields_to: tuple[str, ...] = ()
    denied: Mapping[str, Denial] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactWords:
    """How a fact is spoken of.

    Attributes:
        name: Name of its slot.
        unit: What kind of figure it is.
        role: Words that name it, a regular expression.
        window: Months that a count looks back over, or None.
        count: Whether 0 rules its factor out.
        factor: Code that its slot speaks of; may be a thing that is no factor.
        label: How a prompt calls it that states facts line by line, or empty.
        instead: What the role's words mean beside a figure of another kind.
        otherwise: What they mean where this fact has no value, or empty.
        bound: Whether it may be named as a bound ("no more than").
        bare: Whether its figure carries no noun.
        yearly: Whether it is an amount of a year.
        spans: Whether "over" before it is no comparison.
    """

    name: str
    unit: Unit
    role: str
    window: int | None = None
    count: bool = False
    factor: str = ""
    label: str = ""
    instead: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""
    bound: bool = False
    bare: bool = False
    yearly: bool = False
    spans: bool = False


@dataclass(frozen=True)
class Words:
    """Everything that a product lends to the checks.

    Attributes:
        factors: By code, in the catalogue's order.
        facts: By name; the most specific role first.
        purposes: Words that name each purpose, patterns.
        purpose_field: Field of the application that holds the purpose.
        good_in_numbers: Things that are no factor of which more is better.
    """

    factors: Mapping[str, FactorWords]
    facts: Mapping[str, FactWords]
    purposes: Mapping[str, tuple[str, ...]]
    purpose_field: str
    good_in_numbers: frozenset[str] = frozenset()

    @cached_property
    def units(self) -> dict[Unit, tuple[str, ...]]:
        """Facts by the kind of their figure."""
        kinds: tuple[Unit, ...] = ("money", "percent", "months", "days", "bare")
        return {kind: tuple(one.name for one in self.facts.values() if one.unit == kind) for kind in kinds}

    @cached_property
    def windows(self) -> dict[str, float]:
        """Months that counts look back over."""
        return {one.name: float(one.window) for one in self.facts.values() if one.window}

    @cached_property
    def roles(self) -> re.Pattern[str]:
        """Finds words that name a fact; the group says which."""
        return re.compile("|".join(f"(?P<{one.name}>{one.role})" for one in self.facts.values()))

    @cached_property
    def all_purposes(self) -> re.Pattern[str]:
        """Finds words that name a purpose; the group says which."""
        return _either(self.purposes)

    @cached_property
    def counts(self) -> frozenset[str]:
        """Facts whose 0 rules their factor out."""
        return frozenset(one.name for one in self.facts.values() if one.count)

    @cached_property
    def spoken_of(self) -> dict[str, str]:
        """What each slot speaks of, by its name."""
        return {one.name: one.factor for one in self.facts.values() if one.factor}

    @cached_property
    def rests_on(self) -> dict[str, str]:
        """The fact whose slot alone speaks of a factor, by its code."""
        single: dict[str, list[str]] = {}
        for name, code in self.spoken_of.items():
            single.setdefault(code, []).append(name)
        return {code: names[0] for code, names in single.items() if len(names) == 1}

    def purpose(self, assessment: Assessment) -> str:
        """What the loan is for, as the application has it."""
        return str(value_of(assessment, self.purpose_field) or "")

    def denied(self, code: str, side: str, assessment: Assessment) -> str:
        """The fact that rules a factor out on this side, as text; empty if none does."""
        entry = self.factors.get(code)
        denial = entry.denied.get("favorable" if side == "favorable" else "adverse") if entry else None
        if denial is None:
            return ""
        value = value_of(assessment, denial.fact)
        return f"{denial.fact} = {'not known' if value is None else value}" if denial.holds(value) else ""


def value_of(assessment: Assessment, name: str) -> Any:
    """A fact of the application or of the assessment by its name, or None."""
    return getattr(assessment.applicant, name, getattr(assessment, name, None))


def _either(lists: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    parts = (f"(?P<{name}>{'|'.join(said)})" for name, said in lists.items())
    return re.compile(rf"\b(?:{'|'.join(parts)})(?!\w)".replace(" ?", r"[\s-]?").replace(" ", r"[\s-]+"))


@cache
def words() -> Words:
    """The words of the consumer product."""
    return words_of(table())


def words_of(read: Mapping[str, Any]) -> Words:
    """Words from the tables ``factors``, ``facts`` and ``purpose`` of ``lexicon.toml``'s form."""
    return Words(
        factors={code: _factor(code, entry) for code, entry in read["factors"].items()},
        facts={name: FactWords(name=name, **entry) for name, entry in read["facts"].items()},
        purposes={name: tuple(said) for name, said in read["purpose"]["words"].items()},
        purpose_field=read["purpose"]["field"],
        good_in_numbers=frozenset(read["good_in_numbers"]["things"]),
    )


def _factor(code: str, entry: Mapping[str, Any]) -> FactorWords:
    plain = ("levelled", "standing", "of", "beside", "verb")
    return FactorWords(
        code=code,
        more_is_adverse=entry["more"] == "adverse",
        adverse=tuple(entry.get("adverse", ())),
        favourable=tuple(entry.get("favourable", ())),
        neutral=tuple(entry.get("neutral", ())),
        slots=consumer().reasons[code].slots,
        yields_to=tuple(entry.get("yields_to", ())),
        denied={side: Denial(*one) for side, one in entry.get("denied", {}).items()},
        **{name: entry[name] for name in plain if name in entry},
    )
