"""All prompt wording. Pure: an assessment and a style in, messages out.

A prompt names facts as slots and carries no figure and no free text of the applicant: only
enumerations and the catalogue's own wording.
"""

from dataclasses import replace
from functools import partial

from lendsafe import parts, slots
from lendsafe.records import Assessment, Message, Style

SYSTEM = (
    "You write the explanation that a lender gives to a person about their loan application. "
    "Write the parts in the order given, each behind its label. "
    "Say in a part only what its line lists. "
    "Write each fact as the slot given in braces and never write a figure yourself. "
    "Write 60 to 180 words of plain sentences."
)

SHOWN_STRENGTHS, SHOWN_AGAINST = 3, 2  # of an approval, at most


def request(assessment: Assessment, style: Style) -> list[Message]:
    """The conversation that asks for a narrative.

    Args:
        assessment: Decision, factors and facts.
        style: Register and detail that the lender chose.

    Returns:
        A system message, the same for every applicant, and a user message.
    """
    return [Message("system", SYSTEM), Message("user", describe(assessment, style))]


def shown(assessment: Assessment) -> Assessment:
    """The assessment with as many factors as the narrative of an approval has room for.

    A decision that is adverse keeps every one: no principal reason is left out (comment 9(b)(2)-4).
    """
    if assessment.decision != "approved":
        return assessment
    return replace(
        assessment,
        strengths=assessment.strengths[:SHOWN_STRENGTHS],
        reasons=assessment.reasons[:SHOWN_AGAINST],
    )


def conversation(assessment: Assessment, style: Style, narrative: str) -> list[Message]:
    """A training conversation: the request and the reply to learn."""
    return [*request(assessment, style), Message("assistant", narrative)]


def describe(assessment: Assessment, style: Style) -> str:
    """The user message: decision, style, and the parts to write, in order, each with its label."""
    opened = parts.of(assessment, style)
    return "\n".join(
        [
            f"Decision: {assessment.decision}",
            f"Register: {style.register}",
            f"Detail: {style.detail}",
            f"Request: {asked_for(assessment)}",
            "Parts:",
            *map(partial(_line, assessment), opened, parts.labels(opened)),
        ]
    )


def asked_for(assessment: Assessment) -> str:
    """What was asked for: the amount as its slot, and the purpose in the product's words."""
    applicant = assessment.applicant
    name = applicant.product.request.amount
    amount = f"{{{name}}}" if applicant.values.get(name) is not None else "credit"
    return f"{amount} {applicant.purpose}".rstrip()


def shown_slots(assessment: Assessment, part: parts.Part) -> tuple[str, ...]:
    """Slots that a part may hold: of a factor what its reason shows, of the decision what was asked for."""
    product, known = assessment.applicant.product, slots.facts(assessment)
    if part.kind == "factor":
        return tuple(name for name in product.reasons[part.code].slots if name in known)
    if part.kind == "decision":
        offered = (slots.OFFER,) if assessment.decision == "counteroffer" else ()
        return tuple(name for name in (product.request.amount, *offered) if name in known)
    return ()


def _line(assessment: Assessment, part: parts.Part, label: str) -> str:
    if part.kind != "factor":
        return label
    code = assessment.applicant.product.reasons[part.code]
    wording = code.favorable if part.side == "favorable" else code.statement
    shown = " ".join(f"{{{name}}}" for name in shown_slots(assessment, part))
    return f"{label} {wording} ({part.strength}) {shown}".rstrip()
