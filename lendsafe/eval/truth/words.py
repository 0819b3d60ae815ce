"""What the checks have to know of a product's factors and facts, as data.

No check names a field or a reason: it asks here. :func:`words_of` builds this from the reviewed table of
the consumer product.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar

from lendsafe.eval.truth.lexicon import groups, table
from lendsafe.product import Field, Product, ReasonCode, consumer
from lendsafe.product.patterns import first, parse
from lendsafe.records import Assessment

P = ParamSpec("P")
R = TypeVar("R")

Unit = Literal["money", "percent", "months", "days", "bare"]


@dataclass(frozen=True, slots=True)
class FactorWords:
    """How a factor is spoken of; phrases are patterns as in ``lexicon.toml``.

    Attributes:
        code: Its code.
        more_is_adverse: Whether "high", "many" and "long" speak against.
        statement: How a notice states it.
        favorable: How a prompt names it when it helps.
        adverse: Phrases that speak against the applicant as they stand.
        favourable: Phrases that speak for the applicant.
        neutral: Phrases whose direction comes from the words around them.
        weak: Common words that name it only where nothing else does.
        levelled: Whether it can be high or low at all; else it holds or does not.
        slots: Facts that may be shown for it.
        standing: Whether its phrases hold a negation of their own ("no credit file").
        of: Words for what it measures, where it holds two things against each other; an expression.
        beside: Words for what that is held against.
        verb: Words for what was done or not done where it holds or does not ("verify"); an expression.
        yields_to: Factors whose presence in a clause means that its commonest words are theirs.
    """

    code: str
    more_is_adverse: bool
    statement: str = ""
    favorable: str = ""
    adverse: tuple[str, ...] = ()
    favourable: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    levelled: bool = True
    slots: tuple[str, ...] = ()
    standing: bool = False
    of: str = ""
    beside: str = ""
    verb: str = ""
    yields_to: tuple[str, ...] = ()


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

    @cached_property
    def named(self) -> re.Pattern[str]:
        """Finds words that speak of a factor; the group, ``CODE__adverse`` and so on, says which and how."""
        kinds = (
            ("adverse", "adverse"),
            ("favourable", "favourable"),
            ("neutral", "neutral"),
            ("weak", "weak"),
        )
        # intrinsic phrases of every code come before neutral ones, and weak words last
        return groups(
            {
                f"{code}__{kind}": list(getattr(one, attribute))
                for kind, attribute in kinds
                for code, one in self.factors.items()
                if getattr(one, attribute)
            }
        )

    def purpose(self, assessment: Assessment) -> str:
        """What the loan is for, as the application has it."""
        return str(value_of(assessment, self.purpose_field) or "")

    def denied(self, code: str, side: str, assessment: Assessment) -> str:
        """The fact that rules a factor out on this side, as text; empty if none does.

        A condition of the product that cannot be judged, since a fact is not known, rules it out: a fact that is
        not known is never a reason of its value.
        """
        one = assessment.applicant.product.reasons.get(code)
        rule = (one.favorable_if if side == "favorable" else one.adverse_if) if one else None
        if rule is None:
            return self._unknown(code, assessment)
        found = rule.of(assessment.applicant.values)
        if found:
            return ""
        shown = (f"{name} = {_plain(value_of(assessment, name))}" for name in rule.names)
        return ", ".join(shown)

    def _unknown(self, code: str, assessment: Assessment) -> str:
        """A fact that a factor shows and that is not known, where nothing else it rests on is; empty if none."""
        product, values = assessment.applicant.product, assessment.applicant.values
        own = [f for f in product.features if f.reason == code]
        missing = any(code in (f.when_missing, *f.special.values()) for f in product.features)
        if not own or missing or any(values.get(f.name) is not None for f in own):
            return ""
        flag = product.fields[product.no_file].reason if product.no_file else ""
        return "" if code == flag else ", ".join(f"{f.name} = not known" for f in own)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not known" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def value_of(assessment: Assessment, name: str) -> Any:
    """A fact of the application or of the assessment by its name, or None."""
    return assessment.applicant.values.get(name, getattr(assessment, name, None))


def _either(lists: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    parts = (f"(?P<{name}>{'|'.join(said)})" for name, said in lists.items())
    return re.compile(rf"\b(?:{'|'.join(parts)})(?!\w)".replace(" ?", r"[\s-]?").replace(" ", r"[\s-]+"))


_SPEAKING: ContextVar[Product | None] = ContextVar("product", default=None)


def words() -> Words:
    """The words of the product that is spoken of (:func:`speaking_of`); of the consumer product by default."""
    return words_of_product(_SPEAKING.get() or consumer())


@contextmanager
def speaking_of(product: Product) -> Iterator[None]:
    """Read sentences in this product's words inside the block."""
    token = _SPEAKING.set(product)
    try:
        yield
    finally:
        _SPEAKING.reset(token)


def of_its_product(read: Callable[P, R]) -> Callable[P, R]:
    """Run a function of a text and its assessment in the words of the assessment's product."""

    @wraps(read)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        found = next((one for one in (*args, *kwargs.values()) if isinstance(one, Assessment)), None)
        if found is None:
            return read(*args, **kwargs)
        with speaking_of(found.applicant.product):
            return read(*args, **kwargs)

    return inside


def remembered(size: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Remember what a function of a sentence gave, for each product apart."""

    def decorate(read: Callable[P, R]) -> Callable[P, R]:
        @lru_cache(maxsize=size)
        def kept(_: str, *args: Any) -> R:
            return read(*args)  # type: ignore[call-arg]  # by position alone

        @wraps(read)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            product = _SPEAKING.get()
            return kept(product.sha256 if product else "", *args, **kwargs)  # type: ignore[arg-type]

        return call

    return decorate


@cache
def words_of_product(product: Product) -> Words:
    """The words of a product: reviewed ones where its reasons are the consumer product's, else made of its own.

    A reason whose statement the reviewed table knows is spoken of as that table says; any other in the noun
    phrases that the product words it with. Facts follow the kinds, nouns and labels of the fields.
    """
    reviewed = words_of(table())
    own = {one.statement.lower(): code for code, one in consumer().reasons.items()}
    factors = {}
    for code, one in product.reasons.items():
        known = reviewed.factors.get(own.get(one.statement.lower(), ""))
        factors[code] = (
            replace(known, code=code, slots=one.slots, statement=one.statement, favorable=one.favorable)
            if known
            else _made(product, one)
        )
    codes = {
        own[text]: name for name, one in product.reasons.items() if (text := one.statement.lower()) in own
    }
    facts = {}
    for name, field_ in product.values.items():
        known_fact = reviewed.facts.get(name)
        same = name in consumer().fields and consumer().fields[name].kind == field_.kind
        if known_fact and same:
            facts[name] = replace(known_fact, factor=codes.get(known_fact.factor, known_fact.factor))
        elif field_.numeric:
            facts[name] = _made_fact(product, field_)
    if (offer := reviewed.facts.get("counteroffer_amount")) is not None:
        facts["counteroffer_amount"] = replace(offer, otherwise=product.request.amount)
    return Words(
        factors=factors,
        facts=facts,
        purposes=_made_purposes(product, reviewed),
        purpose_field=product.request.purpose,
        good_in_numbers=reviewed.good_in_numbers,
    )


_UNITS: Mapping[str, Unit] = {"money": "money", "percent": "percent", "duration": "months"}
_BARE = re.compile(
    r"^(?:the|a|an|your|that|fact|lack of|level of|number of|low|high|short|long|moderate)\s+", re.IGNORECASE
)


def _made(product: Product, one: ReasonCode) -> FactorWords:
    """A factor's words out of the product's noun phrases."""
    signs = [f.risk for f in product.features if f.reason == one.code]
    said = [
        text
        for phrases in (one.words.against, one.words.in_favor)
        for texts in phrases.values()
        for text in texts
    ]
    plain = {_core(first(parse(text))) for text in (*said, *one.template[:2], one.statement)}
    return FactorWords(
        code=one.code,
        more_is_adverse="-" not in signs,
        statement=one.statement,
        favorable=one.favorable,
        neutral=tuple(
            sorted(
                (re.escape(text).replace(r"\ ", " ") for text in plain if len(text) > 2),
                key=len,
                reverse=True,
            )
        ),
        slots=one.slots,
    )


def _core(text: str) -> str:
    """A noun phrase without what only gives it a direction."""
    plain, before = text.lower().strip(" ."), ""
    while plain != before:
        before, plain = plain, _BARE.sub("", plain)
    return plain


def _made_fact(product: Product, one: Field) -> FactWords:
    nouns = {word for text in (*one.noun, one.called) for word in [_core(text)] if word}
    window = re.search(r"(\d+) (months?|years?)", one.window)
    return FactWords(
        name=one.name,
        unit=_UNITS.get(one.kind, "bare"),
        role="|".join(sorted((re.escape(noun) for noun in nouns), key=len, reverse=True))
        or re.escape(one.name),
        window=int(window[1]) * (12 if window[2].startswith("year") else 1) if window else None,
        count=one.kind == "count" and one.risk == "+",
        factor=one.reason,
        bare=one.kind == "score",
        bound=one.name == product.request.amount,
    )


def _made_purposes(product: Product, reviewed: Words) -> dict[str, tuple[str, ...]]:
    """Words that name each purpose: those that the product says, and the reviewed ones of the same name."""
    found: dict[str, tuple[str, ...]] = {}
    for level, said in product.request.purposes.items():
        name = re.sub(r"\W+", "_", level.lower()).strip("_") or "purpose"
        name = name if name[0].isalpha() else f"p_{name}"
        own = re.escape(re.sub(r"^for (?:an? |the )?", "", said.lower())).replace(r"\ ", " ")
        words_ = (own,) if said else ()
        found[name] = (*words_, *reviewed.purposes.get(level, ()))
    return {name: said for name, said in found.items() if said} or {"none": ("(?!)",)}


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
        weak=tuple(entry.get("weak", ())),
        slots=consumer().reasons[code].slots,
        statement=consumer().reasons[code].statement,
        favorable=consumer().reasons[code].favorable,
        yields_to=tuple(entry.get("yields_to", ())),
        **{name: entry[name] for name in plain if name in entry},
    )
