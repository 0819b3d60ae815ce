"""A verdict on each sentence of a text that somebody else wrote, without parts and without approval.

*supported*     approved wordings of the part that it would stand in say it
*contradicted*  something in it is not so; the verdict names the fact
*unsupported*   neither; that accuses nobody
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lendsafe import parts
from lendsafe.eval.truth.case import lowered
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.claims import claims
from lendsafe.eval.truth.figures import Limit
from lendsafe.eval.truth.known import Claim, Known
from lendsafe.eval.truth.language import Language
from lendsafe.eval.truth.sentence import Sentence, sentences_of
from lendsafe.eval.truth.support import Verdict, places
from lendsafe.eval.truth.words import of_its_product, words
from lendsafe.records import Assessment, Finding, Style

FORM = frozenset({"G11", "G12"})  # how a narrative of ours is written, not whether it is so


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a text.

    Attributes:
        verdicts: Of each sentence, in order; then what is missing from the text, as empty spans at its end.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def contradicted(self) -> bool:
        """Whether anything in it is not so."""
        return any(one.kind == "contradicted" for one in self.verdicts)

    def counts(self) -> Mapping[str, int]:
        """Verdicts by kind."""
        return Counter(one.kind for one in self.verdicts)

    def kinds(self) -> Mapping[str, int]:
        """Contradictions by the kind of fault."""
        return Counter(one.why.partition(":")[0] for one in self.verdicts if one.kind == "contradicted")


@of_its_product
def judge(
    text: str,
    assessment: Assessment,
    style: Style | None = None,
    *,
    language: Language | None = None,
    untrusted: Sequence[str] = (),
    limits: Mapping[str, Limit] | None = None,
) -> Judgement:
    """Read a text against an assessment.

    Args:
        text: With slots or with figures.
        assessment: What it should be true of.
        style: How it was asked to be worded, if that is known.
        language: What is approved; without it nothing is supported, and what is contradicted still is.
        untrusted: Free text of the applicant that must not be echoed.
        limits: Bounds of the lender's policy that the text may cite.
    """
    findings = [
        one
        for one in check(text, assessment, style=style, untrusted=untrusted, limits=limits)
        if one.rule not in FORM or one.start < one.end
    ]
    known = Known.of(assessment, words())
    approved = _Approved(known, language)
    seen: set[str] = set()
    verdicts = []
    for sentence in sentences_of(text, lowered(text), approved=assessment.decision == "approved"):
        verdicts.append(_verdict(sentence, known, findings, again=sentence.plain in seen, approved=approved))
        seen.add(sentence.plain)
    absent = [one for one in findings if one.start == one.end]
    verdicts += [
        Verdict("contradicted", len(text), len(text), f"{one.rule}: {one.message}", one.fact)
        for one in absent
    ]
    return Judgement(tuple(verdicts))


def _verdict(
    sentence: Sentence, known: Known, findings: Sequence[Finding], *, again: bool, approved: "_Approved"
) -> Verdict:
    start, end = sentence.start, sentence.start + len(sentence.raw)
    for one in findings:
        if start <= one.start < one.end <= end and not _of_form(one, sentence):
            return Verdict("contradicted", one.start, one.end, f"{one.rule}: {one.message}", one.fact)
    if approved(sentence.raw) and not again:
        return Verdict("supported", start, end, "approved")
    claim: Claim | None = next(claims(sentence, known), None)
    if claim:
        return Verdict("contradicted", start + claim.start, start + claim.end, claim.why, claim.fact)
    if form := next((one for one in findings if start <= one.start < one.end <= end), None):
        return Verdict("unsupported", form.start, form.end, f"{form.rule}: {form.message}", form.fact)
    if again:
        return Verdict("unsupported", start, end, "said twice")
    if not sentence.raw.endswith((".", "?", "!", ":")):
        return Verdict("unsupported", start, end, "cut off")
    if sentence.outside:
        said = ", ".join(sentence.plain[a:b] for a, b in sentence.outside)
        return Verdict("unsupported", start, end, f"not read: {said}")
    return Verdict("unsupported", start, end, "not approved")


class _Approved:
    """Whether a sentence is approved for a part that the assessment opens."""

    def __init__(self, known: Known, language: Language | None) -> None:
        self.language, self.assessment = language, known.assessment
        self.purpose = known.words.purpose(known.assessment)
        opened = parts.of(known.assessment, Style(detail="detailed"))
        self.allowed = {part for place in places(opened) for part in (*place.parts(), *place.turns)}

    def __call__(self, sentence: str) -> bool:
        if self.language is None:
            return False
        plain = self.language.masked(sentence, self.purpose, self.assessment.missing)
        owners = self.language.owners(plain) or self.language.owners(
            plain[len(self.language.opener(plain)) :]
        )
        return not self.allowed.isdisjoint(owners)


def _of_form(one: Finding, sentence: Sentence) -> bool:
    """Whether a finding is about how a text is written: markup, an exclamation mark."""
    return one.rule in FORM or sentence.raw[one.start - sentence.start : one.end - sentence.start] == "!"
