"""All prompt wording. Pure: an assessment and a style in, messages out.

A prompt names facts as slots and carries no figure and no free text of the applicant: only
enumerations and the catalogue's own wording.
"""

from dataclasses import replace

from lendsafe import slots
from lendsafe.reasons import catalogue
from lendsafe.records import Assessment, Message, Reason, Style

SYSTEM = (
    "You write the explanation that a lender gives to a person about their loan application. "
    "Use only the factors listed, in the order listed. "
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
    """The user message: decision, style, and the factors to explain, in order."""
    known = slots.facts(assessment)
    lines = [
        f"Decision: {assessment.decision}",
        f"Register: {style.register}",
        f"Detail: {style.detail}",
        f"Request: {{loan_amount}} for {assessment.applicant.loan_purpose.replace('_', ' ')}",
    ]
    if assessment.decision == "approved":
        lines += ["Strengths:", *_numbered(assessment.strengths, known, adverse=False)]
        if style.detail == "detailed" and assessment.reasons:
            lines += ["Weighed against:", *_numbered(assessment.reasons, known, adverse=True)]
    else:
        lines += ["Reasons:", *_numbered(assessment.reasons, known, adverse=True)]
    return "\n".join(lines)


def _numbered(factors: tuple[Reason, ...], known: dict[str, str], *, adverse: bool) -> list[str]:
    lines = []
    for number, factor in enumerate(factors, start=1):
        code = catalogue()[factor.code]
        wording = code.statement if adverse else code.favourable
        shown = " ".join(f"{{{name}}}" for name in code.slots if name in known)
        lines.append(f"{number}. {wording} ({factor.strength}) {shown}".rstrip())
    return lines
