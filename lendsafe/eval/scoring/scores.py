"""What is measured on one text, and the estimates over many: truth first, overlap second."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lendsafe import parts
from lendsafe.eval.scoring import metrics
from lendsafe.eval.scoring.metrics import Estimate
from lendsafe.eval.truth import readability
from lendsafe.eval.truth.checks import CLAIM_RULES, RULES, TRUTH, check, check_claims, figures_judged
from lendsafe.eval.truth.examine import examine
from lendsafe.eval.truth.factors import reasons_named
from lendsafe.eval.truth.figures import Limit
from lendsafe.eval.truth.language import Language
from lendsafe.records import Assessment, Finding, Source, Style

SCORE_BANDS = ((300, 640), (640, 700), (700, 851))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One text, measured.

    Attributes:
        findings: What is wrong with it, if it could be checked.
        rules: Checks that it was put to; none if there were no facts to check it against.
        reasons: Factors that it names, those of them that are right, those that are wanted; zeros if not known.
        figures: Figures and slots that it holds, and those of them that are right.
        verdicts: Sentences by verdict; empty if it is not its parts, or was not examined.
        supported: Whether it may be sent as it is; None if that was not examined.
        grade: Flesch-Kincaid grade level.
        words: Its length.
    """

    findings: tuple[Finding, ...] = ()
    rules: tuple[str, ...] = ()
    reasons: tuple[int, int, int] = (0, 0, 0)
    figures: tuple[int, int] = (0, 0)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    supported: bool | None = None
    grade: float
    words: int

    @property
    def checked(self) -> bool:
        """Whether there were facts to check it against."""
        return bool(self.rules)

    @property
    def passed(self) -> bool:
        """Whether it could be checked and nothing is wrong."""
        return self.checked and not self.findings

    @property
    def untrue(self) -> tuple[Finding, ...]:
        """Findings that make it untrue of its facts."""
        return tuple(one for one in self.findings if one.rule in TRUTH)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a text is about.

    Attributes:
        assessment: Facts and decision; None if the row states none.
        style: How the text was asked to be worded.
        reasons_known: Whether the assessment's reasons are the true ones, or only its facts are known.
        limits: Bounds of the lender's policy that a text may cite where the reasons are not known.
    """

    assessment: Assessment | None
    style: Style | None = None
    reasons_known: bool = True
    limits: Mapping[str, Limit] | None = None


def score(reply: str, shown: str, subject: Subject, language: Language | None = None) -> Score:
    """Measure one text.

    Args:
        reply: As it was written, with or without labels and slots.
        shown: Without labels, with the facts filled in, as a reader sees it.
        subject: What it is about.
        language: What is approved; None does not ask whether the text may be sent.

    Returns:
        What was found; findings count in the text without its labels.
    """
    grade, words = readability.grade(shown), len(shown.split())
    about = subject.assessment
    if about is None:
        return Score(grade=grade, words=words)
    text = parts.spoken(reply) if subject.reasons_known else reply
    right = figures_judged(text, about, subject.limits)
    if not subject.reasons_known:
        found = check_claims(text, about, subject.limits or {})
        figures = (len(right), sum(right))
        return Score(findings=tuple(found), rules=CLAIM_RULES, figures=figures, grade=grade, words=words)
    examined = examine(reply, about, subject.style or Style(), language) if language else None
    return Score(
        findings=tuple(check(text, about, style=subject.style)),
        rules=tuple(RULES),
        reasons=reasons_named(text, about, subject.style),
        figures=(len(right), sum(right)),
        verdicts=examined.counts() if examined and examined.verdicts else {},
        supported=examined.sent if examined else None,
        grade=grade,
        words=words,
    )


def estimates(
    scores: Sequence[Score],
    shown: Sequence[str],
    overlap: Mapping[str, NDArray[np.float64]],
    *,
    final: Sequence[tuple[bool, Source]] = (),
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every measure of one system, truth first.

    Args:
        scores: One a text.
        shown: The texts as a reader sees them, for their variety; empty leaves it out.
        overlap: Overlap with the references, by name; one value a text.
        final: How each text ended: whether it passes every check, and who wrote it; one that is held is not sent.
        seed: Seed of the resamples.
    """
    found: dict[str, Estimate | None] = {}
    if checked := [one for one in scores if one.checked]:
        found["true_rate"] = metrics.rate([not one.untrue for one in checked], seed=seed)
        found["check_pass_rate_first_try"] = metrics.rate([one.passed for one in checked], seed=seed)
    found |= _support(scores, seed) | (_sent(final, seed) if final else {})
    if checked:
        named, right, wanted = zip(*(one.reasons for one in checked), strict=True)
        figures, correct = zip(*(one.figures for one in checked), strict=True)
        found["reason_precision"] = metrics.ratio(right, named, seed=seed)
        found["reason_recall"] = metrics.ratio(right, wanted, seed=seed)
        found["numeric_accuracy"] = metrics.ratio(correct, figures, seed=seed)
        hits = [any(f.rule == "G5" for f in one.findings) for one in checked]
        found["prohibited_term_rate"] = metrics.rate(hits, seed=seed)
    found["flesch_kincaid_grade"] = metrics.mean([one.grade for one in scores], seed=seed)
    found["words"] = metrics.mean([one.words for one in scores], seed=seed)
    for n in (1, 2):
        if any(len(text.split()) >= n for text in shown):
            found[f"distinct_{n}"] = metrics.distinct(shown, n, seed=seed)
    found |= {name: metrics.mean(values, seed=seed) for name, values in overlap.items()}
    return {name: one for name, one in found.items() if one is not None}


def _support(scores: Sequence[Score], seed: int) -> dict[str, Estimate | None]:
    """What may be sent at the first try, and the sentences by verdict."""
    examined = [bool(one.supported) for one in scores if one.supported is not None]
    if not examined:
        return {}
    found: dict[str, Estimate | None] = {"supported_rate_first_try": metrics.rate(examined, seed=seed)}
    if judged := [one.verdicts for one in scores if one.verdicts]:
        totals = [sum(one.values()) for one in judged]
        for kind in judged[0]:
            found[f"sentences_{kind}"] = metrics.ratio([one[kind] for one in judged], totals, seed=seed)
    return found


def _sent(final: Sequence[tuple[bool, Source]], seed: int) -> dict[str, Estimate | None]:
    """Of the texts that are sent how many pass; of all, who wrote what is sent and what waits for a person."""
    found: dict[str, Estimate | None] = {}
    if sent := [passed for passed, source in final if source != "held"]:
        found["check_pass_rate_final"] = metrics.rate(sent, seed=seed)
    found["sent_by_model_rate"] = metrics.rate([source == "model" for _, source in final], seed=seed)
    found["fallback_rate"] = metrics.rate([source == "template" for _, source in final], seed=seed)
    if any(source == "held" for _, source in final):
        found["held_rate"] = metrics.rate([source == "held" for _, source in final], seed=seed)
    return found


def pass_rates(scores: Sequence[Score], *, seed: int = 0) -> dict[str, Estimate]:
    """Share of texts without a finding, by check; empty if none could be checked."""
    checked = [one for one in scores if one.checked]
    if not checked:
        return {}
    hit = [{finding.rule for finding in one.findings} for one in checked]
    return {rule: metrics.rate([rule not in rules for rules in hit], seed=seed) for rule in checked[0].rules}


def strata(
    subjects: Sequence[Subject], types: Sequence[str | None], scores: Sequence[Score]
) -> dict[str, list[int]]:
    """Indices of the texts in each stratum: decision, band of the credit score, type of narrative."""
    found: dict[str, list[int]] = {}
    for index, (subject, kind, one) in enumerate(zip(subjects, types, scores, strict=True)):
        about = subject.assessment
        if about is None or not one.checked:
            continue
        names = [f"decision: {about.decision}"]
        points = score_obtained(about)
        names += [
            f"score: {low} to {high - 1}"
            for low, high in SCORE_BANDS
            if points is not None and low <= points < high
        ]
        names += ["score: none"] if points is None else []
        names += [f"type: {kind.replace('_', ' ')}"] if kind else []
        for name in names:
            found.setdefault(name, []).append(index)
    return dict(sorted(found.items()))


def score_obtained(about: Assessment) -> float | None:
    """The score that the product names as the one obtained, if it is known."""
    value = about.applicant.values.get(about.applicant.product.score.field)
    return value if isinstance(value, int | float) else None


def worst(scores: Sequence[Score], closeness: Sequence[float], count: int = 20) -> list[int]:
    """Indices of the worst texts that fail: most untrue statements, then most findings, then least overlap."""
    failed = [i for i, one in enumerate(scores) if one.findings]
    return sorted(failed, key=lambda i: (-len(scores[i].untrue), -len(scores[i].findings), closeness[i]))[
        :count
    ]


def commonest(scores: Sequence[Score], count: int = 20) -> list[tuple[str, str, int]]:
    """Rule, message and number of texts of the commonest findings, quoted figures aside."""
    tally: Counter[tuple[str, str]] = Counter()
    for one in scores:
        tally.update({(f.rule, f.message.split("': ")[-1]) for f in one.findings})
    return [(rule, message, number) for (rule, message), number in tally.most_common(count)]
