"""Everything at once: may this reply be sent? Live and offline, for the model and for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lendsafe import parts, slots
from lendsafe.eval.truth.checks import check_sent
from lendsafe.eval.truth.language import Language
from lendsafe.eval.truth.support import Verdict, support
from lendsafe.eval.truth.words import of_its_product
from lendsafe.records import Assessment, Finding, Style


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known of a reply.

    Attributes:
        narrative: What a reader would see, facts as slots.
        text: The same as it is sent, facts filled in; the narrative itself if a slot has no value.
        verdicts: Of each sentence of ``narrative``; none if the reply is not its parts.
        findings: What is wrong: with the parts (offsets in the reply), then with ``text``.
        language: Digest of what was approved, or empty if nothing was.
    """

    narrative: str
    text: str
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    language: str

    @property
    def sent(self) -> bool:
        """Whether it may be sent without a person."""
        return (
            not self.findings
            and bool(self.language and self.verdicts)
            and all(one.kind == "supported" for one in self.verdicts)
        )

    def counts(self) -> Mapping[str, int]:
        """Sentences by verdict."""
        kinds = [one.kind for one in self.verdicts]
        return {kind: kinds.count(kind) for kind in ("supported", "contradicted", "unsupported")}


@of_its_product
def examine(
    reply: str,
    assessment: Assessment,
    style: Style,
    language: Language | None,
    *,
    untrusted: Sequence[str] = (),
) -> Examination:
    """Hold a reply against its parts, what is approved, and every check, as it would be sent.

    Args:
        reply: With labels, facts as slots.
        assessment: What it has to be true of.
        style: How it was asked to be worded.
        language: What is approved; None if that is not known, and then nothing may be sent.
        untrusted: Free text of the applicant that must not be echoed.
    """
    opened = parts.of(assessment, style)
    wrong = list(parts.faults(reply, opened))
    texts = parts.LABEL.split(reply)[2::2] if not wrong else [parts.LABEL.sub(" ", reply)]
    narrative, values = parts.narrative(texts), slots.facts(assessment)
    text = slots.render(narrative, values) if set(slots.names(narrative)) <= set(values) else narrative
    verdicts = support(texts, assessment, style, language) if not wrong else []
    wrong += check_sent(text, assessment, untrusted=untrusted)
    digest = language.digest if language else ""
    return Examination(narrative, text, tuple(verdicts), tuple(wrong), digest)
