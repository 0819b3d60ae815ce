"""Rejection texts of the first system that their own applicant's data contradict.

The first system drew its reasons from templates without looking at the applicant. A text is
counted when it claims a low score at 640 or more, a high debt-to-income ratio at 43 % or less, late payments
or inquiries where there are none, or unmet standards where score and ratio both meet them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lendsafe.corpus.first_system import MINIMUM_SCORE, MOST_DEBT
from lendsafe.corpus.load import Example

_FIELDS = {
    "score": re.compile(r"Credit Score:\s*(\d+)"),
    "debt": re.compile(r"Debt-to-Income Ratio:\s*([\d.]+)%"),
    "late": re.compile(r"Delinquencies[^:]*:\s*(\d+)"),
    "inquiries": re.compile(r"Credit Inquiries[^:]*:\s*(\d+)"),
}
_LOW_SCORE = re.compile(
    r"below our 640 minimum|below acceptable range|indicates elevated risk", re.IGNORECASE
)
_HIGH_DEBT = re.compile(r"exceeds our 43% threshold|exceeds policy limits", re.IGNORECASE)
_LATE = re.compile(r"recent delinquenc", re.IGNORECASE)
_INQUIRIES = re.compile(r"recent (?:credit )?inquir", re.IGNORECASE)
_STANDARDS = re.compile(r"do(?:es)? not meet our (?:\w+ )*standards", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One text that is not true of what it explains.

    Attributes:
        id: Example.
        claims: What is untrue in it, each with the fact or rule against it.
    """

    id: str
    claims: tuple[str, ...]


def rejections(examples: Sequence[Example]) -> list[Example]:
    """Examples of the first system's format whose decision is a rejection."""
    return [
        one for one in examples if (one.decision or "").lower() in ("rejected", "declined") and _facts(one)
    ]


def contradictions(examples: Sequence[Example]) -> list[Contradiction]:
    """Every rejection whose text its own data contradict, in order."""
    found = []
    for one in rejections(examples):
        if claims := untrue_claims(one.reply, _facts(one)):
            found.append(Contradiction(one.id, claims))  # noqa: PERF401  # the claims are kept
    return found


def untrue_claims(text: str, facts: dict[str, float]) -> tuple[str, ...]:
    """What a text claims against the facts.

    Args:
        text: Rejection text.
        facts: ``score``, ``debt`` (percent), ``late`` and ``inquiries`` (counts).
    """
    good_score, low_debt = facts["score"] >= MINIMUM_SCORE, facts["debt"] <= MOST_DEBT
    rules = (
        (_LOW_SCORE, good_score, f"a low score; it is {facts['score']:.0f}"),
        (_HIGH_DEBT, low_debt, f"a high debt-to-income ratio; it is {facts['debt']:g}%"),
        (_LATE, facts["late"] == 0, "recent delinquencies; there are none"),
        (_INQUIRIES, facts["inquiries"] == 0, "recent inquiries; there are none"),
        (_STANDARDS, good_score and low_debt, "unmet standards; score and debt-to-income ratio meet them"),
    )
    return tuple(claim for pattern, wrong, claim in rules if wrong and pattern.search(text))


def _facts(example: Example) -> dict[str, float]:
    prompt = "\n".join(message.content for message in example.messages[:-1])
    found = {name: pattern.search(prompt) for name, pattern in _FIELDS.items()}
    return {name: float(match[1]) for name, match in found.items() if match} if all(found.values()) else {}
