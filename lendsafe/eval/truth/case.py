"""A text with all that a check needs to know about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lendsafe import slots
from lendsafe.eval.truth.figures import Facts, Limit, facts_of
from lendsafe.records import Assessment, Style

_LARGE = re.compile(r"\$\d[\d,.]*|\d[\d.]*(?=%)|\d{3,}|\d+(?= (?:years?|months?)\b)")
_SAME_DIGIT = str.maketrans("0123456789", "5555555555")


@dataclass(frozen=True, slots=True)
class Case:
    """A text with all that a rule needs to know about it."""

    text: str
    lowered: str
    plain: str  # lower case, large figures alike: sentences that differ in figures only are read once
    slotted: bool
    assessment: Assessment
    style: Style | None
    untrusted: Sequence[str]
    facts: Facts

    @property
    def approved(self) -> bool:
        """Whether the decision is an approval."""
        return self.assessment.decision == "approved"

    @property
    def filled(self) -> str:
        """The text with its slots filled in, in lower case."""
        if not self.slotted:
            return self.plain
        return slots.SLOT.sub(lambda match: self.facts.shown.get(match[1], match[1]), self.plain)


def case_of(
    text: str,
    assessment: Assessment,
    *,
    style: Style | None = None,
    slotted: bool | None = None,
    untrusted: Sequence[str] = (),
    limits: Mapping[str, Limit] | None = None,
) -> Case:
    """Prepare a text for the checks; ``slotted`` is found out from the text if it is not said."""
    if slotted is None:
        slotted = bool(slots.SLOT.search(text))
    low = lowered(text)
    return Case(text, low, alike(low), slotted, assessment, style, untrusted, facts_of(assessment, limits))


def lowered(text: str) -> str:
    """The text in lower case, with typographic marks made plain; offsets stay."""
    lowered = text.replace("\u2019", "'").replace("\u00a0", " ").replace("\u2011", "-").lower()
    return (
        lowered
        if len(lowered) == len(text)
        else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )


def alike(lowered: str) -> str:
    """The text with the digits of amounts, percentages, scores and durations replaced by one and the same."""
    return _LARGE.sub(lambda match: match[0].translate(_SAME_DIGIT), lowered)
