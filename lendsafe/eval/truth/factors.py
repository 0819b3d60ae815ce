"""Are the factors that a text names those of the assessment: none invented or missing, in order, the right way?"""

from collections.abc import Mapping, Sequence

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.case import Case, alike, lowered
from lendsafe.eval.truth.figures import Limit
from lendsafe.eval.truth.mentions import Mention, mentions
from lendsafe.eval.truth.ranks import ranks, wrong
from lendsafe.eval.truth.unknown import unknown_factors
from lendsafe.eval.truth.words import words
from lendsafe.product import Field
from lendsafe.records import Assessment, Finding, Style


def reasons_named(text: str, assessment: Assessment, style: Style | None = None) -> tuple[int, int, int]:
    """How many factors a text names, how many of them it should, and how many it should in all.

    A factor of the assessment that the style does not ask for counts neither way.
    """
    approved = assessment.decision == "approved"
    found = [one for one in mentions(alike(lowered(text)), approved=approved) if one.asserted]
    adverse, favourable, other = _sorted_mentions(found, assessment)
    adverse_wanted, favourable_wanted = _wanted(assessment, style)
    right = len(set(adverse) & set(adverse_wanted)) + len(set(favourable) & set(favourable_wanted))
    return right + len({one.code for one in other}), right, len(adverse_wanted) + len(favourable_wanted)


def _wanted(assessment: Assessment, style: Style | None) -> tuple[list[str], list[str]]:
    """Codes that a text has to name as adverse and as favourable, in order."""
    approved = assessment.decision == "approved"
    detailed = style is not None and style.detail == "detailed"
    adverse = [one.code for one in assessment.reasons] if not approved or detailed else []
    return adverse, [one.code for one in assessment.strengths] if approved else []


def _sorted_mentions(
    found: Sequence[Mention], assessment: Assessment
) -> tuple[dict[str, Mention], dict[str, Mention], list[Mention]]:
    """First adverse and first favourable mention of each code, and those that belong to neither list."""
    adverse_codes = {reason.code for reason in assessment.reasons}
    favourable_codes = {reason.code for reason in assessment.strengths}
    adverse: dict[str, Mention] = {}
    favourable: dict[str, Mention] = {}
    other = []
    for one in found:
        if one.code in adverse_codes:
            adverse.setdefault(one.code, one)
        elif one.code in favourable_codes:
            favourable.setdefault(one.code, one)
        elif one.asserted and not one.aside:
            other.append(one)
    return adverse, favourable, other


def check_reasons(case: Case) -> list[Finding]:
    """G3 and G4: the factors that a text names, against those of the assessment."""
    assessment, approved = case.assessment, case.approved
    if assessment.decision == "incomplete":
        return _missing_items(case)
    everything = mentions(case.plain, approved=approved)
    adverse, favourable, other = _sorted_mentions([one for one in everything if one.asserted], assessment)
    held = (
        "reasons: "
        + (_listed(assessment.reasons) or "none")
        + "; strengths: "
        + (_listed(assessment.strengths) or "none")
    )
    found = [
        Finding(
            "G3",
            f"Names a factor that is not in the assessment: {_named(one.code)}.",
            one.start,
            one.end,
            held,
        )
        for one in _first_of_each(other)
    ]
    found += [
        Finding("G3", "Names a factor that is in no catalogue.", one.start, one.end, held)
        for one in unknown_factors(case.plain, approved=approved)
    ]
    found += [
        Finding("G3", f"Gives as a reason what is not known: {_named(code)}.", one.start, one.end, fact)
        for code, one in adverse.items()
        if code in {reason.code for reason in assessment.reasons}
        and (fact := words().denied(code, "adverse", assessment)).endswith("not known")
    ]
    adverse_wanted, favourable_wanted = _wanted(assessment, case.style)
    for wanted, given in ((adverse_wanted, adverse), (favourable_wanted, favourable)):
        found += [
            Finding("G3", f"Leaves out a factor: {_named(code, favourable=given is favourable)}.", fact=held)
            for code in wanted
            if code not in given
        ]
        found += _out_of_order([code for code in wanted if code in given], given, held)
    return found + _misranked(case, everything, held) + _directions(everything, adverse, favourable)


def check_ruled_out(case: Case) -> list[Finding]:
    """G3 and G4: factors that the facts rule out, for a text whose reasons are not known."""
    found, seen = [], set()
    for one in mentions(case.plain, approved=case.approved):
        name = words().rests_on.get(one.code, "")
        value = case.facts.values.get(name)
        limit = case.facts.limits.get(name) or (Limit(high=0) if name in words().counts else None)
        if (one.code, one.sign) in seen or not one.asserted or value is None or limit is None:
            continue
        seen.add((one.code, one.sign))
        fact = f"{name} = {case.facts.shown[name]}"
        if name not in words().counts:
            fact += f"; the lender's limit is {limit.low or limit.high:g}"
        if one.sign < 0 and limit.met(value):
            message = f"Gives as a reason what the facts rule out: {_named(one.code)}."
            found.append(Finding("G3", message, one.start, one.end, fact))
        elif one.sign > 0 and one.explicit and name not in words().counts and not limit.met(value):
            message = f"Speaks well of what the facts speak against: {_named(one.code)}."
            found.append(Finding("G4", message, one.start, one.end, fact))
    return found


def _directions(
    everything: Sequence[Mention], adverse: Mapping[str, Mention], favourable: Mapping[str, Mention]
) -> list[Finding]:
    found = []
    for one in everything:
        if not one.asserted:
            continue
        if one.code in adverse and (one.mixed or (one.explicit and one.sign > 0)):
            message = f"Speaks well of an adverse factor: {_named(one.code)}."
            found.append(Finding("G4", message, one.start, one.end, "adverse"))
        if one.code in favourable and (one.mixed or (one.explicit and one.sign < 0)):
            message = f"Speaks ill of a favourable factor: {_named(one.code, favourable=True)}."
            found.append(Finding("G4", message, one.start, one.end, "favourable"))
    return found


def _misranked(case: Case, everything: Sequence[Mention], held: str) -> list[Finding]:
    lists = [
        [one.code for one in factors] for factors in (case.assessment.reasons, case.assessment.strengths)
    ]
    found = []
    for start, end in sentences.split(case.plain):
        inside = [one for one in everything if start <= one.start < end]
        for rank in ranks(case.plain[start:end], start, inside):
            if any(wrong(rank, order) for order in lists):
                message = f"Gives {_named(rank.code)} the wrong weight."
                found.append(Finding("G3", message, rank.start, rank.end, held))
    return found


def _out_of_order(wanted: list[str], given: Mapping[str, Mention], held: str) -> list[Finding]:
    order = sorted(wanted, key=lambda code: given[code].start)
    for right, code in zip(wanted, order, strict=True):
        if right != code:
            one = given[code]
            return [
                Finding(
                    "G3",
                    f"Out of order: {_named(code)} stands before {_named(right)}.",
                    one.start,
                    one.end,
                    held,
                )
            ]
    return []


def _missing_items(case: Case) -> list[Finding]:
    missing = case.assessment.missing
    return [
        Finding(
            "G3",
            f"Does not name what is missing: {name.replace('_', ' ')}.",
            fact=f"missing: {', '.join(missing)}",
        )
        for name in missing
        if not any(
            said in case.lowered
            for said in _names_of(case.assessment.applicant.product.fields.get(name), name)
        )
    ]


def _names_of(one: Field | None, name: str) -> tuple[str, ...]:
    """What names a missing item: the last word of its field's name, or the product's words for it."""
    last = name.replace("_", " ").split()[-2 if name.endswith(("m", "months")) else -1]
    return (last, *(said.lower() for said in (one.ask, one.called) if said)) if one else (last,)


def _first_of_each(found: Sequence[Mention]) -> list[Mention]:
    first: dict[str, Mention] = {}
    for one in found:
        first.setdefault(one.code, one)
    return list(first.values())


def _named(code: str, *, favourable: bool = False) -> str:
    entry = words().factors.get(code)
    return (entry.favorable if favourable else entry.statement).lower() if entry else code.replace("_", " ")


def _listed(factors: Sequence[object]) -> str:
    return ", ".join(getattr(one, "code", "") for one in factors)
