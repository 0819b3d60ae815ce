"""The nouns of LendSafe, in the order the data flows.

Applicant -> Assessment -> list[Message] -> Explanation (-> letter)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from lendsafe.errors import DataError
from lendsafe.fields import Problem, did_you_mean, knob, problems
from lendsafe.product import Product, SpecialError, Value, consumer, from_json, in_range, load
from lendsafe.product.model import Register as Register

Decision = Literal["approved", "declined", "counteroffer", "incomplete"]
Strength = Literal["slight", "moderate", "strong"]
Detail = Literal["standard", "detailed"]
NarrativeType = Literal["adverse_action", "standard_approval", "detailed_factor_analysis"]


@dataclass(frozen=True, slots=True, init=False)
class Applicant:
    """One loan application, as the lender recorded it: a value for each field of its product.

    A value that is absent is not known: not stated by the applicant, or the bureau has no file. Nothing here
    identifies a person or says anything about a prohibited basis (12 CFR 1002.2(z)).

    Attributes:
        applicant_id: Opaque identifier; never a name or account number.
        product: What its fields mean.
        values: What is known, by field; amounts in the field's currency, durations in months, percentages in
            percent. A code that stands in place of a number (``special``) is text.
    """

    applicant_id: str
    product: Product
    values: Mapping[str, Value]

    def __init__(
        self, applicant_id: object, values: Mapping[str, Value], product: Product | None = None
    ) -> None:
        """Check values against the product and work out its formulas.

        Args:
            applicant_id: Opaque identifier.
            values: By field of the product; None is not known. Fields with a formula are worked out.
            product: The consumer product by default.

        Raises:
            DataError: Naming every value that is of the wrong type, out of range or of no field.
        """
        chosen = product or consumer()
        found, wrong = values_of(values, chosen)
        if not isinstance(applicant_id, str):
            wrong.insert(0, Problem("applicant_id", "is missing" if applicant_id is None else "is no text"))
        if wrong:
            raise DataError("; ".join(map(str, wrong)))
        object.__setattr__(self, "applicant_id", applicant_id)
        object.__setattr__(self, "product", chosen)
        object.__setattr__(self, "values", found | derived(found, chosen))

    def __getitem__(self, name: str) -> Value:
        """The value of a field; None if it is not known.

        Raises:
            KeyError: If the product has no such field.
        """
        if name not in self.product.fields:
            raise KeyError(name)
        return self.values.get(name)

    def __hash__(self) -> int:
        return hash((self.applicant_id, tuple(sorted(self.values.items(), key=str))))

    def __reduce__(self) -> Any:  # checked again where it arrives
        return Applicant, (self.applicant_id, self.given, self.product)

    @property
    def given(self) -> dict[str, Value]:
        """What is known and not worked out, by field."""
        return {
            name: value for name, value in self.values.items() if self.product.fields[name].formula is None
        }

    @property
    def amount(self) -> float | None:
        """Amount of credit requested, if the product names one and it is known."""
        value = self.values.get(self.product.request.amount)
        return float(value) if isinstance(value, int | float) else None

    @property
    def purpose(self) -> str:
        """What the loan is for in words such as ``for a vehicle``; empty where nothing is said."""
        request = self.product.request
        value = self.values.get(request.purpose)
        if value is None:
            return ""
        if str(value) in request.purposes:
            return request.purposes[str(value)]
        word = self.product.fields[request.purpose].words.get(str(value), "")
        return f"for {word}" if word else ""


def values_of(
    table: Mapping[str, Any], product: Product, *, quote: bool = True
) -> tuple[dict[str, Value], list[Problem]]:
    """Values of an application by field, and what is wrong with it.

    Args:
        table: Values by field, as records or JSON hold them.
        product: What its fields mean.
        quote: Whether problems repeat the values; not where these may be about a person.
    """
    found: dict[str, Value] = {}
    wrong: list[Problem] = []
    for name, value in table.items():
        one = product.values.get(name)
        if one is None:
            hint = did_you_mean(str(name), list(product.values))
            wrong.append(Problem(str(name), f"is no field of product '{product.name}'.{hint}", unknown=True))
        elif value is not None and one.formula is None:
            try:
                if isinstance(value, str) and (
                    one.kind in ("category", "text", "date") and value not in one.special
                ):
                    found[name] = in_range(one, value)
                elif (read := from_json(one, value, product.missing)) is not None:
                    found[name] = read
            except SpecialError as code:
                found[name] = str(code)
            except ValueError as problem:
                wrong.append(
                    Problem(name, (f"is {value!r:.60}; " if quote else "cannot be used; ") + str(problem))
                )
    return found, wrong


def derived(values: Mapping[str, Value], product: Product) -> dict[str, Value]:
    """Values of the product's formulas, where they are known."""
    found: dict[str, Value] = {}
    for one in product.in_order_of_need:
        assert one.formula is not None
        value = one.formula.of({**values, **found})
        if value is not None:
            found[one.name] = bool(value) if one.kind == "yesno" else value
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One factor of a decision, grouped over the features that share it.

    Attributes:
        code: Key into the product's reasons.
        contribution: Push on the log-odds of default against the baseline; positive is
            adverse, negative favourable.
        strength: How large the push is, in words.
        knockout: Whether a policy rule, not the score, made it a reason.
    """

    code: str
    contribution: float
    strength: Strength
    knockout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the risk model and the policy concluded about one applicant. Final.

    Attributes:
        applicant: The application it is about.
        decision: Outcome.
        default_probability: Calibrated, in [0, 1].
        cutoff: Largest default probability that is still approved, in [0, 1].
        reasons: Adverse factors, most adverse first, at most four. On a decline these are
            the principal reasons (12 CFR 1002.9(b)(2)); on an approval, what weighed against.
        strengths: Favourable factors, most favourable first, at most four.
        key_factors: What most hurt the disclosed credit score, in order (15 USC 1681g(f)(1)(C));
            a list of its own, never mixed with ``reasons``.
        score: Internal score in points (not on a bureau's scale), or None.
        missing: Fields that have to be supplied, if incomplete.
        counteroffer_amount: Amount that would be approved, in USD, if a counteroffer.
        agreement: Share of the reasons on which two attribution methods agree, in [0, 1].
        risk_model: Identity of the model that produced this.
    """

    applicant: Applicant
    decision: Decision
    default_probability: float = knob(low=0, high=1)
    cutoff: float = knob(low=0, high=1)
    reasons: tuple[Reason, ...] = ()
    strengths: tuple[Reason, ...] = ()
    key_factors: tuple[str, ...] = ()
    score: int | None = None
    missing: tuple[str, ...] = ()
    counteroffer_amount: float | None = knob(None, low=0)
    agreement: float | None = knob(None, low=0, high=1)
    risk_model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the lender chooses about a narrative's wording."""

    register: Register = knob("plain", "Tone of the narrative.")
    detail: Detail = knob("standard", "How much the narrative says about each factor.")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found wrong with a text.

    Attributes:
        rule: Identifier of the check, such as ``G2``.
        message: What is wrong, in one sentence.
        start: Offset of the offending span, in characters; ``start == end`` if something is absent.
        end: Offset after the span.
        fact: The fact it contradicts, as text.
    """

    rule: str
    message: str
    start: int = 0
    end: int = 0
    fact: str = ""


Source = Literal["model", "template", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A narrative, and how it came about.

    Attributes:
        assessment: What it explains.
        style: How it was asked to be worded.
        slot_text: The reply in labelled parts, facts as ``{slots}``.
        text: As it is sent: without labels, with the facts filled in.
        source: Who wrote it: the model, the product's fixed words (``template``), or a model whose text waits for
            a person and is not to be sent (``held``).
        tries: Narratives generated before one passed, or all that failed.
        findings: What the checks found in the tries that failed.
        language: Digest of the approved language that the text was held against; empty if none is known.
        why: Why it is not the model's own text, in a few words; empty if it is, or if no model was asked.
    """

    assessment: Assessment
    style: Style
    slot_text: str
    text: str
    source: Source
    tries: int = 0
    findings: tuple[Finding, ...] = field(default=())
    language: str = ""
    why: str = ""

    @property
    def fallback(self) -> bool:
        """Whether a model was asked and its text is not what is sent."""
        return self.source != "model" and bool(self.why)


def narrative_type(assessment: Assessment, style: Style) -> NarrativeType:
    """Name the kind of narrative that a decision and a style ask for."""
    if assessment.decision != "approved":
        return "adverse_action"
    return "detailed_factor_analysis" if style.detail == "detailed" else "standard_approval"


def to_json(record: Any) -> Any:
    """A record as plain JSON values; an applicant as one table of its values, without what is worked out."""
    if isinstance(record, Applicant):
        return {"applicant_id": record.applicant_id, **record.given}
    if is_dataclass(record) and not isinstance(record, type):
        table = {f.name: to_json(getattr(record, f.name)) for f in fields(record)}
        return (
            {"product": record.applicant.product.name, **table} if isinstance(record, Assessment) else table
        )
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    return [to_json(one) for one in record] if isinstance(record, list | tuple) else record


def assessment_from_json(
    table: Mapping[str, Any], where: str = "", product: Product | None = None
) -> Assessment:
    """Rebuild an :class:`Assessment` from :func:`to_json`'s form.

    Args:
        table: The JSON object.
        where: Place to name in messages.
        product: Product of the applicant; the packaged one that the table names if None.

    Raises:
        DataError: Naming every key that is unknown, missing, mistyped or out of range.
    """
    start = f"{where}: " if where else ""
    rest = {key: value for key, value in table.items() if key not in ("applicant", "product")}
    person = table.get("applicant")
    if not isinstance(person, Mapping):
        found_there = f"{person!r:.60}; expected an object" if "applicant" in table else "missing"
        raise DataError(f"{start}'applicant' is {found_there}")
    chosen = product or _named(table.get("product", "consumer"), start)
    _, wrong = values_of({key: value for key, value in person.items() if key != "applicant_id"}, chosen)
    if not isinstance(person.get("applicant_id"), str):
        wrong.insert(
            0,
            Problem(
                "applicant_id", "is missing" if "applicant_id" not in person else "is no text", missing=True
            ),
        )
    found = [Problem(f"applicant.{one.field}", one.why) for one in wrong]
    shell = {"applicant": None, **rest}
    found += [one for one in problems(Assessment, shell) if one.field != "applicant"]
    for name in ("reasons", "strengths"):
        for one in rest.get(name, ()) if isinstance(rest.get(name), list | tuple) else ():
            if isinstance(one, Mapping) and one.get("code") not in chosen.reasons:
                hint = did_you_mean(str(one.get("code")), list(chosen.reasons))
                why = f"is {one.get('code')!r:.60}; expected a reason of '{chosen.name}'.{hint}".rstrip(".")
                found.append(Problem(f"{name}.code", why))
    if found:
        raise DataError(start + "; ".join(map(str, found)))
    applicant = Applicant(
        person["applicant_id"], {k: v for k, v in person.items() if k != "applicant_id"}, chosen
    )
    for name in ("reasons", "strengths"):
        rest[name] = tuple(Reason(**one) for one in rest.get(name, ()))
    for name in ("key_factors", "missing"):
        rest[name] = tuple(rest.get(name, ()))
    return Assessment(applicant=applicant, **rest)


def _named(name: Any, start: str) -> Product:
    from lendsafe.errors import ConfigError

    try:
        return load(str(name))
    except ConfigError as problem:
        raise DataError(f"{start}'product': {problem}") from problem
