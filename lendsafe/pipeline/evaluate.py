"""Held-out rows in, measured truth and overlap out; the baselines on the same rows beside it."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe import parts, slots
from lendsafe.corpus import approved, grammar
from lendsafe.corpus.load import Example
from lendsafe.errors import ConfigError, DataError
from lendsafe.eval.scoring import metrics, overlap
from lendsafe.eval.scoring.leakage import Leakage, leakage
from lendsafe.eval.scoring.metrics import Estimate
from lendsafe.eval.scoring.scores import Score, Subject, estimates, score
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.language import Language
from lendsafe.eval.truth.stated import stated
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.runs import record
from lendsafe.pipeline.inputs import read_rows
from lendsafe.pipeline.narrate import Narrator, Request, explain
from lendsafe.pipeline.settings import EvalConfig as EvalConfig
from lendsafe.records import Assessment, Explanation, Message, Style
from lendsafe.template import template_parts

BASE, TEMPLATE, GRAMMAR = "base", "template", "grammar, another draw"
PAIRED = (
    "true_rate",
    "check_pass_rate_first_try",
    "supported_rate_first_try",
    "rougeL",
    "bert_score_f1",
    "flesch_kincaid_grade",
    "words",
)

Done = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """Where one system's texts come from: a model, or texts that are there already.

    Attributes:
        name: What to call it.
        load: Loads the model; it is let go after its rows.
        texts: Its texts, one a row, instead of a model.
        shots: Examples that are put before each prompt.
        corrected: Whether texts that fail a check are written again and then replaced, as in use.
    """

    name: str
    load: Callable[[], Narrator] | None = None
    texts: Sequence[str] | None = None
    shots: Sequence[Example] = ()
    corrected: bool = False


@dataclass(frozen=True)
class System:
    """One system's texts on the rows and what was measured on them.

    Attributes:
        name: What wrote them.
        first: First text of each row, without labels and in slot form where the row has an assessment.
        shown: The same as a reader sees them.
        explanations: How the text that would be sent came about; empty where that is the first one.
        scores: What was found in each first text.
        overlap: Overlap with the references, one value a row; empty without references.
        estimates: Every measure with its interval.
        grade: Grade of the first system, by overlap alone; empty without references.
        strict_grade: The same, no better than Good if anything untrue is stated.
    """

    name: str
    first: Sequence[str]
    shown: Sequence[str]
    explanations: Sequence[Explanation]
    scores: Sequence[Score]
    overlap: Mapping[str, NDArray[np.float64]]
    estimates: Mapping[str, Estimate]
    grade: str
    strict_grade: str

    @property
    def final(self) -> list[str]:
        """Texts that would be sent."""
        return [one.text for one in self.explanations] or list(self.shown)


@dataclass(frozen=True)
class Evaluation:
    """Systems on the same rows.

    Attributes:
        systems: The one under evaluation first.
        rows: What was scored.
        subjects: What each row's text is about.
        references: Each row's reference as a reader sees it; empty if there is none.
        settings: What the measures were computed with.
        leakage: What the rows share with the training data, if that is there.
        differences: The first system minus each other one, paired by row.
    """

    systems: Sequence[System]
    rows: Sequence[Example]
    subjects: Sequence[Subject]
    references: Sequence[str]
    settings: dict[str, Any]
    leakage: Leakage | None = None
    differences: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)


def split(data: Path, run: Path | None, *, allow_train_rows: bool) -> tuple[list[Example], list[Example]]:
    """Training and held-out rows of a data set, split as a run splits it; it was trained on none of the latter.

    Raises:
        DataError: If no row is held out, or some were trained on and that is not allowed.
    """
    train, rows, _ = read_rows(data, record.read_settings(run)[0] if run else TrainConfig())
    if not rows:
        raise DataError(
            f'{data}: no held-out rows. An empty set has no score; mark rows with "split": "valid".'
        )
    trained = record.trained_rows(run) if run else frozenset()
    seen = [row.id for row in rows if record.row_hash(row.messages) in trained]
    if seen and not allow_train_rows:
        raise DataError(
            f"{data}: {len(seen)} of {len(rows)} rows were trained on (first: {seen[0]}). A score on them says"
            " nothing; --allow-train-rows scores them all the same."
        )
    return train, rows


def held_out(data: Path, run: Path | None, *, limit: int | None, allow_train_rows: bool) -> list[Example]:
    """Validation rows of a data set that a run was not trained on.

    Raises:
        DataError: If there are none, or some were trained on and that is not allowed.
    """
    return split(data, run, allow_train_rows=allow_train_rows)[1][:limit]


def evaluate(
    writer: Narrator,
    rows: Sequence[Example],
    config: EvalConfig,
    *,
    name: str = "model",
    before: Narrator | None = None,
    train: Sequence[Example] = (),
    done: Done | None = None,
) -> Evaluation:
    """Generate, check and score a loaded model's replies to held-out rows, with the baselines.

    Args:
        writer: Model under evaluation.
        rows: Held-out rows.
        config: Settings.
        name: What to call the model.
        before: The base without its adapter, to show what fine-tuning gained.
        train: Training rows, to say what the rows share with them.
        done: Called with texts written and texts in all.
    """
    sources = [Source(name, load=lambda: writer, corrected=True)]
    if before is not None:
        sources.append(Source(BASE, load=lambda: before))
    return evaluate_sources(sources, rows, config, train=train, done=done)


def evaluate_sources(
    sources: Sequence[Source],
    rows: Sequence[Example],
    config: EvalConfig,
    *,
    train: Sequence[Example] = (),
    baselines: bool = True,
    referenced: bool = True,
    done: Done | None = None,
) -> Evaluation:
    """Score every source on the same rows.

    Args:
        sources: What to score; the first is the one under evaluation.
        rows: What to write about.
        config: Settings.
        train: Training rows, to say what the rows share with them.
        baselines: Whether to add the template and a second draw of the grammar where assessments are known.
        referenced: Whether the rows' replies are references; else they are the predictions themselves.
        done: Called with texts written and texts in all.

    Raises:
        DataError: If there are no rows, or a reference holds an unknown slot.
    """
    if not rows:
        raise DataError("No rows to evaluate. An empty set has no score.")
    subjects = [_subject(row, config) for row in rows]
    references = _references(rows) if referenced else []
    shared = leakage([*map(_reply, train)], [*map(_reply, rows)]) if referenced else None
    drafts = _drafts(sources, rows, done)
    if baselines and all(row.assessment for row in rows):
        drafts += [_Draft(TEMPLATE, _templates(rows)), _Draft(GRAMMAR, _redrawn(rows, config.eval_seed))]
    shown = [[_filled(row, text) for row, text in zip(rows, one.replies, strict=True)] for one in drafts]
    closeness, bert_settings = _overlaps(references, shown, config)
    systems = [
        _system(draft, texts, subjects, near, config)
        for draft, texts, near in zip(drafts, shown, closeness, strict=True)
    ]
    computed = {name: bert_settings[name] for name in ("encoder", "layer") if name in bert_settings}
    settings = asdict(config) | {
        "encoder": computed.get(
            "encoder", config.encoder
        ),  # the one that computed, not the one that was hoped for
        "encoder_layer": computed.get("layer", config.encoder_layer),
        "rouge": overlap.rouge_settings(),
        "bert_score": bert_settings,
        "n": len(rows),
        "resamples": metrics.RESAMPLES,
        "versions": record.versions(),
    }
    differences = {one.name: _differences(systems[0], one, config.eval_seed) for one in systems[1:]}
    return Evaluation(systems, rows, subjects, references, settings, shared, differences)


@dataclass(frozen=True)
class _Draft:
    """A system's replies before they are scored, and what of them is approved; the product's words if None."""

    name: str
    replies: Sequence[str]
    explanations: Sequence[Explanation] = ()
    language: Language | None = None


def _drafts(sources: Sequence[Source], rows: Sequence[Example], done: Done | None) -> list[_Draft]:
    total = len(rows) * sum(one.load is not None for one in sources)
    before, drafts = 0, []
    for source in sources:
        if source.texts is not None:
            drafts.append(_Draft(source.name, source.texts))
            continue
        drafts.append(_written(source, rows, _shifted(done, before, total)))
        before += len(rows)
    return drafts


def _shifted(done: Done | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if done is None else lambda count: done(before + count, total)


def _written(source: Source, rows: Sequence[Example], done: Callable[[int], None] | None) -> _Draft:
    if source.load is None:
        raise ConfigError(f"{source.name}: neither a model nor texts.")
    writer = source.load()
    first = writer.write([_prompt(row, source.shots) for row in rows], done=done)
    if not source.corrected or not all(row.assessment for row in rows):
        return _Draft(source.name, first, language=writer.language)
    requests = [Request(row.assessment, row.style or Style()) for row in rows if row.assessment]
    return _Draft(source.name, first, explain(requests, writer, first=first), writer.language)


def _prompt(row: Example, shots: Sequence[Example]) -> list[Message]:
    """The row's request, after the examples as earlier turns of the conversation."""
    asked = list(row.messages[:-1])
    opening = [one for one in asked if one.role == "system"]
    turns = [one for shot in shots for one in shot.messages if one.role != "system"]
    return [*opening, *turns, *(one for one in asked if one.role != "system")]


def _system(
    draft: _Draft,
    shown: Sequence[str],
    subjects: Sequence[Subject],
    closeness: Mapping[str, NDArray[np.float64]],
    config: EvalConfig,
) -> System:
    scores = [
        score(text, seen, about, draft.language or _approved(about))
        for text, seen, about in zip(draft.replies, shown, subjects, strict=True)
    ]
    final = [
        (not check(parts.spoken(one.slot_text), one.assessment, style=one.style), one.source)
        for one in draft.explanations
    ]
    first = [
        parts.spoken(text) if about.reasons_known else text
        for text, about in zip(draft.replies, subjects, strict=True)
    ]
    found = estimates(scores, shown, closeness, final=final, seed=config.eval_seed)
    grade = strict = ""
    if closeness:
        grade = metrics.grade(found["rougeL"].value, found["bert_score_f1"].value)
        strict = metrics.strict_grade(grade, sum(bool(one.untrue) for one in scores))
    return System(draft.name, first, shown, draft.explanations, scores, closeness, found, grade, strict)


def _overlaps(
    references: Sequence[str], shown: Sequence[Sequence[str]], config: EvalConfig
) -> tuple[list[dict[str, NDArray[np.float64]]], dict[str, Any]]:
    """Overlap of every system's texts; all in one call, so that each reference is encoded once."""
    if not references:
        return [{} for _ in shown], {}
    encoder, layer = _encoder(config)
    count = len(references)
    every = [text for texts in shown for text in texts]
    scores = overlap.bert_score(list(references) * len(shown), every, encoder=encoder, layer=layer)
    found = []
    for number, texts in enumerate(shown):
        rows = slice(number * count, (number + 1) * count)
        found.append(
            overlap.rouge(references, texts)
            | {
                "bert_score_precision": scores.precision[rows],
                "bert_score_recall": scores.recall[rows],
                "bert_score_f1": scores.f1[rows],
            }
        )
    return found, scores.settings


def _differences(ours: System, theirs: System, seed: int) -> dict[str, Estimate]:
    """Ours minus theirs, row by row, for every measure that both have."""
    mine, other = _by_row(ours), _by_row(theirs)
    return {
        name: metrics.difference(mine[name], other[name], seed=seed)
        for name in PAIRED
        if name in mine and name in other
    }


def _by_row(system: System) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[float]] = {
        "flesch_kincaid_grade": [one.grade for one in system.scores],
        "words": [one.words for one in system.scores],
    }
    if all(one.checked for one in system.scores):
        found["true_rate"] = [not one.untrue for one in system.scores]
        found["check_pass_rate_first_try"] = [one.passed for one in system.scores]
    if all(one.supported is not None for one in system.scores):
        found["supported_rate_first_try"] = [bool(one.supported) for one in system.scores]
    return {name: np.asarray(values, np.float64) for name, values in found.items()} | dict(system.overlap)


def _subject(row: Example, config: EvalConfig) -> Subject:
    if row.assessment:
        return Subject(row.assessment, row.style or Style())
    prompt = "\n".join(message.content for message in row.messages[:-1])
    return Subject(stated(prompt, row.decision, row.id), reasons_known=False, limits=config.limits)


def _references(rows: Sequence[Example]) -> list[str]:
    """Each row's reference with its facts filled in.

    Raises:
        DataError: If a reference of a row with an assessment holds a slot that the assessment has no value for.
    """
    filled = []
    for row in rows:
        if row.assessment is None:
            filled.append(row.reply)
            continue
        try:
            filled.append(slots.render(_reply(row), slots.facts(row.assessment)))
        except DataError as problem:
            raise DataError(f"Reference of row '{row.id}': {problem}") from problem
    return filled


def _reply(row: Example) -> str:
    """A row's reply without the labels of its parts."""
    return parts.spoken(row.reply) if row.assessment else row.reply


def _approved(about: Subject) -> Language | None:
    """What the product of an assessment approves; None where the reasons are not known."""
    if about.assessment is None or not about.reasons_known:
        return None
    return approved.language(about.assessment.applicant.product)


def _filled(row: Example, text: str) -> str:
    """The text as a reader sees it; a slot that does not exist stays, and costs overlap."""
    if row.assessment is None:
        return text
    values = slots.facts(row.assessment)
    return slots.SLOT.sub(lambda match: values.get(match[1], match[0]), parts.spoken(text))


def _templates(rows: Sequence[Example]) -> list[str]:
    return [
        _joined(template_parts(row.assessment, row.style or Style()), row.assessment, row.style)
        for row in rows
        if row.assessment
    ]


def _redrawn(rows: Sequence[Example], seed: int) -> list[str]:
    rng = random.Random(seed)  # noqa: S311  # wordings, no secrets
    return [
        _joined(grammar.narrative_parts(row.assessment, row.style or Style(), rng), row.assessment, row.style)
        for row in rows
        if row.assessment
    ]


def _joined(texts: Sequence[str], about: Assessment, style: Style | None) -> str:
    return parts.join(texts, parts.of(about, style or Style()))


def _encoder(config: EvalConfig) -> tuple[str, int | None]:
    """The encoder asked for; the bundled one where the default is not on this machine."""
    default = EvalConfig()
    if (
        config.encoder == default.encoder
        and not overlap.is_cached(config.encoder)
        and (bundled := overlap.bundled_encoder())
    ):
        return bundled
    return config.encoder, config.encoder_layer
