"""The deterministic narrative: what is said when no generated one passes every check.

One fixed wording for each factor, each strength and each register, in the product's words. It names the
factors of ``lendsafe.prompts`` in their order, shows their facts as slots, and says nothing else about them
and nothing about how the lender worked, so it passes the checks by construction.
"""

import itertools
from collections.abc import Iterator
from typing import cast

from lendsafe import parts, slots
from lendsafe.errors import DataError
from lendsafe.product import Product
from lendsafe.records import Assessment, Register, Style

_OPENINGS: dict[str, dict[Register, str]] = {
    "approved": {
        "plain": "We have approved your request for {amount}.",
        "formal": "The request for {amount} has been approved.",
        "warm": "Thank you for your request for {amount}. We are happy to say that we have approved it.",
    },
    "declined": {
        "plain": "We have declined your request for {amount}.",
        "formal": "We are unable to approve the request for {amount}.",
        "warm": "Thank you for your request for {amount}. We are sorry that we cannot approve it.",
    },
    "counteroffer": {
        "plain": "We cannot approve {amount}. "
        "We can make a counteroffer, a smaller loan of {counteroffer_amount}.",
        "formal": "We are unable to approve {amount}. "
        "We make a counteroffer instead, a smaller loan of {counteroffer_amount}.",
        "warm": "Thank you for your request for {amount}. We cannot approve all of it. "
        "We are happy to make a counteroffer, a smaller loan of {counteroffer_amount}.",
    },
    "incomplete": {
        "plain": "We cannot decide on your request for {amount} yet, as the application is incomplete.",
        "formal": "No decision on the request for {amount} has been made, as the application is incomplete.",
        "warm": "Thank you for your request for {amount}. "
        "We cannot decide yet, as the application is incomplete.",
    },
}

# decision -> what announces the factors, for one and for several
_LEADS: dict[str, tuple[str, str]] = {
    "approved": ("Here is what counted in your favor.", "Here is what counted in your favor."),
    "declined": ("The main reason is given here.", "The main reasons are given here, in order of weight."),
    "counteroffer": (
        "The main reason why we cannot lend the full amount is given here.",
        "The main reasons why we cannot lend the full amount are given here, in order of weight.",
    ),
}

_WEIGHTS: dict[str, dict[str, str]] = {
    "adverse": {"strong": "A major reason", "moderate": "A clear reason", "slight": "A smaller reason"},
    "against": {"strong": "A major concern", "moderate": "A clear concern", "slight": "A smaller concern"},
    "favorable": {
        "strong": "A major strength",
        "moderate": "A clear strength",
        "slight": "A smaller strength",
    },
}

# Added in turn while the narrative is short.
_CLOSINGS: dict[Register, tuple[str, ...]] = {
    "plain": (
        "If anything here looks wrong, please let us know.",
        "You can ask us about any part of this.",
        "You can write to us or call us.",
        "Thank you for your request.",
    ),
    "formal": (
        "Please contact us if anything stated here is not correct.",
        "Questions about any part of this explanation are welcome.",
        "They can be put to us in writing or in a call.",
        "Thank you for the request.",
    ),
    "warm": (
        "If anything here looks wrong to you, please let us know.",
        "We are glad to talk through any part of this with you.",
        "You can write to us or call us.",
        "Thank you again for coming to us.",
    ),
}
# Said before the factors while the narrative is short, for one factor and for several.
_ABOUT: dict[str, tuple[tuple[str, str], ...]] = {
    "adverse": (
        ("We say how much it counted.", "We say of each reason how much it counted."),
        (
            "This explanation names what the decision rests on.",
            "This explanation names what the decision rests on, and what counted most comes first.",
        ),
    ),
    "favorable": (
        ("We say how much it counted.", "We say of each point how much it counted."),
        (
            "This explanation names what the decision rests on.",
            "This explanation names what the decision rests on, and what counted most comes first.",
        ),
    ),
}

_TURN = ("This point weighed against the request.", "These points weighed against the request.")
_NEEDED, _ONCE_THERE = "We still need these details from you: {}.", "We can decide once we have them."
_SOME_NEEDED = "Some of the details that we need are missing."
_ENOUGH_WORDS = 78  # far enough above 60 whatever the facts
_MANY = 6  # with more factors than this, only the decision stands before them


def template(assessment: Assessment, style: Style) -> str:
    """The narrative of any decision, facts as slots; the same for the same arguments.

    Args:
        assessment: What to explain.
        style: The register picks the wording; detail decides whether an approval shows what
            weighed against it.

    Returns:
        60 to 180 words.

    Raises:
        DataError: If a decline or counteroffer has no reason, or a counteroffer no amount.
    """
    return parts.narrative(template_parts(assessment, style))


def template_parts(assessment: Assessment, style: Style) -> tuple[str, ...]:
    """The same, a text for each part that the assessment opens (:func:`lendsafe.parts.of`)."""
    _refuse_without_grounds(assessment)
    opened = parts.of(assessment, style)
    factors = [_block(assessment, one, opened[i - 1]) for i, one in enumerate(opened) if one.kind == "factor"]
    register = style.register if len(factors) <= _MANY else "plain"
    opening = [_OPENINGS[assessment.decision][register].replace("{amount}", _amount(assessment))]
    if assessment.decision == "incomplete":
        opening += _request_for(assessment)
    lead = []
    if factors and len(factors) <= _MANY:
        lead = [_LEADS[assessment.decision][len(factors) > 1]]
    values = slots.facts(assessment)
    closing: list[str] = []
    about = [
        one[len(factors) > 1]
        for one in _ABOUT["favorable" if assessment.decision == "approved" else "adverse"]
    ]
    spare = [*zip(_CLOSINGS[register], (*about, *[""] * 4) if factors else [""] * 4, strict=False)]
    for said, before in spare:
        if _words([*opening, *lead, *factors, *closing], values) >= _ENOUGH_WORDS:
            break
        closing.append(said)
        if before and _words([*opening, *lead, *factors, *closing], values) < _ENOUGH_WORDS:
            opening.append(before)
    return (" ".join([*opening, *lead]), *factors, " ".join(closing))


def wordings(product: Product) -> Iterator[tuple[parts.Part, str]]:
    """Every sentence that the standard text of a product can hold, with the part that it is for.

    ``<missing>`` stands for the list of what an application lacks.
    """
    yield from _wordings_around(product)
    for (code, one), (side, sizes) in itertools.product(product.reasons.items(), _WEIGHTS.items()):
        against, in_favor, fact = one.template
        for strength, weight in sizes.items():
            part = parts.Part("factor", code, cast(parts.Side, side), strength)
            yield part, f"{weight} is {in_favor if side == 'favorable' else against}."
            if fact:
                yield part, fact


def _wordings_around(product: Product) -> Iterator[tuple[parts.Part, str]]:
    numbers = (("one", 0), ("several", 1))
    amounts = [f"{{{product.request.amount}}}", "credit"] if product.request.amount else ["credit"]
    for decision, openings in _OPENINGS.items():
        for text, amount in itertools.product(openings.values(), amounts):
            yield parts.Part("decision", decision), text.replace("{amount}", amount)
        for number, at in numbers:
            if decision in _LEADS:
                yield parts.Part("decision", decision, "", number), _LEADS[decision][at]
            for about in _ABOUT["favorable" if decision == "approved" else "adverse"]:
                yield parts.Part("decision", decision, "", number), about[at]
        for text in itertools.chain.from_iterable(_CLOSINGS.values()):
            yield parts.Part("end", decision), text
    yield parts.Part("decision", "incomplete"), _NEEDED.format("<missing>")
    yield parts.Part("decision", "incomplete"), _SOME_NEEDED
    yield parts.Part("decision", "incomplete"), _ONCE_THERE
    for number, at in numbers:
        yield parts.Part("turn", "against", "", number), _TURN[at]


def _refuse_without_grounds(assessment: Assessment) -> None:
    if assessment.decision in ("declined", "counteroffer") and not assessment.reasons:
        raise DataError(
            f"A decision '{assessment.decision}' needs at least one reason (12 CFR 1002.9(b)(2))."
        )
    if assessment.decision == "counteroffer" and assessment.counteroffer_amount is None:
        raise DataError("A counteroffer needs 'counteroffer_amount'.")


def _amount(assessment: Assessment) -> str:
    applicant = assessment.applicant
    name = applicant.product.request.amount
    return f"{{{name}}}" if applicant.values.get(name) is not None else "credit"


def _block(assessment: Assessment, part: parts.Part, before: parts.Part) -> str:
    """The sentences about one factor: what it is and how much it counted, then its facts."""
    code = assessment.applicant.product.reasons[part.code]
    against, in_favor, fact = code.template
    side = cast(str, part.side)
    sentence = f"{_WEIGHTS[side][part.strength]} is {in_favor if side == 'favorable' else against}."
    if side == "against" and before.side != "against":
        sentence = f"{_TURN[len(assessment.reasons) > 1]} {sentence}"
    known = set(slots.facts(assessment))
    return f"{sentence} {fact}" if fact and known.issuperset(slots.names(fact)) else sentence


def _request_for(assessment: Assessment) -> list[str]:
    items = needed(assessment)
    if not items:
        return [_SOME_NEEDED]
    items = [one[:1].lower() + one[1:] for one in items]
    several = f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]
    return [_NEEDED.format(several), _ONCE_THERE]


def needed(assessment: Assessment) -> list[str]:
    """What an applicant has to supply, in the product's words, each once."""
    fields = assessment.applicant.product.fields
    return list(dict.fromkeys(fields[name].ask or fields[name].called for name in assessment.missing))


def _words(sentences: list[str], values: dict[str, str]) -> int:
    return len(slots.render(" ".join(sentences), values).split())
