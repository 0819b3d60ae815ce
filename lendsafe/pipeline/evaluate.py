"""Held-out rows in, measured truth and overlap out; the baselines on the same rows beside it."""

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lendsafe import slots, template
from lendsafe.corpus import grammar
from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import Example
from lendsafe.errors import DataError
from lendsafe.eval import metrics, overlap
from lendsafe.eval.checks import check
from lendsafe.fields import knob
from lendsafe.files import csv_cell, disk_errors, refuse_existing, write_atomically, write_json
from lendsafe.mlx_lora import run as runs
from lendsafe.mlx_lora.watch import read_metrics
from lendsafe.pipeline.narrate import Narrator, Request, explain
from lendsafe.records import Explanation, Style


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """How predictions are scored."""

    encoder: str = knob("roberta-large", "BERTScore's encoder: a name in the Hub's cache, or a local folder.")
    encoder_layer: int | None = knob(None, "Layer of the encoder; needed for a local folder.", low=1, high=64)
    limit: int | None = knob(None, "Score only this many rows.", low=1)
    eval_seed: int = knob(0, "Seed of the bootstrap and of the grammar's second draw.", low=0)


@dataclass(frozen=True)
class System:
    """One system's texts on the held-out rows and what was measured on them.

    Attributes:
        name: What wrote them.
        first: First text of each row, in slot form where the row has an assessment.
        final: Text that would be sent.
        explanations: How each came about; empty for rows without an assessment.
        estimates: Every measure with its interval.
        grade: Grade of the first system, by overlap alone.
    """

    name: str
    first: Sequence[str]
    final: Sequence[str]
    explanations: Sequence[Explanation]
    estimates: dict[str, metrics.Estimate]
    grade: str


@dataclass(frozen=True)
class Evaluation:
    """The model and its baselines on the same rows."""

    systems: Sequence[System]
    rows: Sequence[Example]
    settings: dict[str, Any]


def held_out(data: Path, run: Path | None, *, limit: int | None, allow_train_rows: bool) -> list[Example]:
    """Validation rows of a data set that a run was not trained on.

    Raises:
        DataError: If there are none, or some were trained on and that is not allowed.
    """
    settings = runs.read_settings(run)[0] if run else None
    _, rows = corpus.train_and_valid(data, seed=settings.seed if settings else 42)
    if not rows:
        raise DataError(f"{data}: no held-out rows.")
    trained = runs.trained_rows(run) if run else frozenset()
    seen = [row.id for row in rows if runs.row_hash(row.messages) in trained]
    if seen and not allow_train_rows:
        raise DataError(
            f"{data}: {len(seen)} of {len(rows)} rows were trained on (first: {seen[0]}). A score on them says"
            " nothing; --allow-train-rows scores them all the same."
        )
    return rows[:limit]


def evaluate(
    writer: Narrator,
    rows: Sequence[Example],
    config: EvalConfig,
    *,
    name: str = "model",
    before: Narrator | None = None,
    done: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Generate, check and score the replies to held-out rows.

    Rows that carry an assessment are checked, and the deterministic template and a second draw of the
    grammar are scored beside the model; other rows are scored by overlap alone.

    Args:
        writer: Model under evaluation.
        rows: Held-out rows.
        config: Settings.
        name: What to call the model.
        before: The base without its adapter, to show what fine-tuning gained.
        done: Called with rows finished and rows in all.
    """
    if not rows:
        raise DataError("No rows to evaluate.")
    encoder, layer = _encoder(config)
    scorer = _Scorer(rows, encoder, layer, config)
    total = len(rows) * (2 if before else 1)
    systems = [scorer.model(name, writer, lambda count: done and done(count, total))]
    if before:
        systems.append(
            scorer.model("base, not fine-tuned", before, lambda n: done and done(len(rows) + n, total))
        )
    if scorer.known:
        systems += [
            scorer.texts("template", scorer.templates()),
            scorer.texts("grammar, another draw", scorer.redrawn()),
        ]
    settings = asdict(config) | {
        "rouge": overlap.rouge_settings(),
        "bert_score": scorer.bert_settings,
        "n": len(rows),
    }
    return Evaluation(systems, rows, settings)


class _Scorer:
    """Scores any system's texts on the same rows."""

    def __init__(self, rows: Sequence[Example], encoder: str, layer: int | None, config: EvalConfig) -> None:
        self.rows, self.encoder, self.layer, self.config = rows, encoder, layer, config
        self.known = all(row.assessment is not None for row in rows)
        self.bert_settings: dict[str, Any] = {}

    def model(self, name: str, writer: Narrator, done: Callable[[int], Any]) -> System:
        first = writer.write([row.messages[:-1] for row in self.rows], done=done)
        if not self.known:
            return self.texts(name, first)
        passed = self._passed(first)
        failed = [i for i, ok in enumerate(passed) if not ok]
        explanations = [self._explanation(i, first[i], 1) for i in range(len(first))]
        for i, one in zip(failed, explain([self._request(i) for i in failed], writer), strict=True):
            explanations[i] = one
        return self._system(name, first, passed, explanations)

    def texts(self, name: str, first: Sequence[str]) -> System:
        if not self.known:
            return self._system(name, first, [], [])
        return self._system(
            name, first, self._passed(first), [self._explanation(i, t, 0) for i, t in enumerate(first)]
        )

    def templates(self) -> list[str]:
        return [template.template(*self._pair(i)) for i in range(len(self.rows))]

    def redrawn(self) -> list[str]:
        rng = random.Random(self.config.eval_seed)  # noqa: S311  # wordings, no secrets
        return [grammar.narrative(*self._pair(i), rng) for i in range(len(self.rows))]

    def _system(
        self, name: str, first: Sequence[str], passed: Sequence[bool], explanations: Sequence[Explanation]
    ) -> System:
        references = [self._filled(i, row.reply) for i, row in enumerate(self.rows)]
        shown = [self._filled(i, text) for i, text in enumerate(first)]
        scores = overlap.bert_score(references, shown, encoder=self.encoder, layer=self.layer)
        self.bert_settings = scores.settings
        measured = overlap.rouge(references, shown) | {
            "bert_score_precision": scores.precision,
            "bert_score_recall": scores.recall,
            "bert_score_f1": scores.f1,
        }
        estimates = {
            key: metrics.mean(values, seed=self.config.eval_seed) for key, values in measured.items()
        }
        if self.known:
            finals = [not check(e.slot_text, e.assessment, style=e.style) for e in explanations]
            estimates |= metrics.summarize(
                metrics.Checked(passed, [e.source == "template" for e in explanations], finals, {})
            )
        grade = metrics.grade(estimates["rougeL"].value, estimates["bert_score_f1"].value)
        final = [e.text for e in explanations] or shown
        return System(name, list(first), final, explanations, estimates, grade)

    def _passed(self, texts: Sequence[str]) -> list[bool]:
        return [not check(text, self._pair(i)[0], style=self._pair(i)[1]) for i, text in enumerate(texts)]

    def _pair(self, i: int) -> tuple[Any, Style]:
        return self.rows[i].assessment, self.rows[i].style or Style()

    def _request(self, i: int) -> Request:
        return Request(*self._pair(i))

    def _filled(self, i: int, text: str) -> str:
        """The text as a reader sees it; a slot that does not exist stays, and costs overlap."""
        assessment = self.rows[i].assessment
        if assessment is None:
            return text
        values = slots.facts(assessment)
        return slots.SLOT.sub(lambda match: values.get(match[1], match[0]), text)

    def _explanation(self, i: int, text: str, tries: int) -> Explanation:
        assessment, style = self._pair(i)
        return Explanation(
            assessment=assessment,
            style=style,
            slot_text=text,
            text=self._filled(i, text),
            source="model",
            tries=tries,
        )


def write(folder: Path, evaluation: Evaluation, run: Path | None = None) -> dict[str, Any]:
    """Write ``metrics_summary.json`` and ``detailed_results.csv``; returns the summary.

    Raises:
        ExistsError: If the folder holds something already.
    """
    refuse_existing(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    summary = summarize(evaluation, run)
    write_json(folder / "metrics_summary.json", summary)
    write_atomically(folder / "detailed_results.csv", _detailed(evaluation))
    return summary


def summarize(evaluation: Evaluation, run: Path | None = None) -> dict[str, Any]:
    """Everything measured, as JSON values, the model's own numbers at the top level."""
    ours = evaluation.systems[0]
    losses: dict[str, Any] = {}
    if run:
        steps = [
            row["loss"] for row in read_metrics(run) if row["event"] == "step" and row["loss"] is not None
        ]
        valid = [row["loss"] for row in read_metrics(run) if row["event"] == "valid"]
        losses = {
            "train_loss": float(np.mean(steps[-85:])) if steps else None,
            "valid_loss": valid[-1] if valid else None,
        }
    return losses | {
        "grade": ours.grade,
        "n": len(evaluation.rows),
        "settings": evaluation.settings,
        "systems": {
            one.name: {key: value._asdict() for key, value in one.estimates.items()} | {"grade": one.grade}
            for one in evaluation.systems
        },
        "reading": "The grade looks at overlap alone; whether a text is true is what the check-pass rates say.",
    }


def _detailed(evaluation: Evaluation) -> str:
    ours = evaluation.systems[0]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["id", "decision", "type", "reference", "prediction", "final", "source", "tries", "findings"]
    )
    for i, row in enumerate(evaluation.rows):
        one = ours.explanations[i] if ours.explanations else None
        found = "; ".join(f"{f.rule}: {f.message}" for f in one.findings) if one else ""
        cells = [row.id, row.decision or "", row.type or "", row.reply, ours.first[i], ours.final[i]]
        cells += [one.source if one else "model", str(one.tries if one else 1), found]
        writer.writerow([csv_cell(cell) for cell in cells])
    return out.getvalue()


def _encoder(config: EvalConfig) -> tuple[str, int | None]:
    """The encoder asked for; the bundled one where the default is not on this machine."""
    default = EvalConfig()
    if (
        config.encoder == default.encoder
        and not _cached(config.encoder)
        and (bundled := overlap.bundled_encoder())
    ):
        return bundled
    return config.encoder, config.encoder_layer


def _cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)
