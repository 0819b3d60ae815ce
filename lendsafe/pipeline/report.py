"""An evaluation as files: ``metrics_summary.json``, ``detailed_results.csv``, ``report.html``."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lendsafe.eval.scoring import report, scores
from lendsafe.eval.scoring.metrics import Estimate
from lendsafe.eval.scoring.report import MEASURES, OVERLAP, Case, Page, Table, pieces, shown
from lendsafe.eval.truth.checks import RULES
from lendsafe.files import csv_cell, disk_errors, refuse_existing, write_atomically, write_json
from lendsafe.mlx_lora.runs.watch import read_metrics
from lendsafe.pipeline.evaluate import BASE, TEMPLATE, Evaluation, System

LAST_EPOCH = 85  # optimiser steps of the recipe's last epoch, whose mean is the training loss
SIDE_BY_SIDE = 4  # rows shown with every system's text
COLUMNS = (
    "id", "system", "decision", "type", "reference", "prediction", "final", "source", "tries", "passed", "true",
    "findings", "rougeL", "bert_score_f1", "flesch_kincaid_grade", "words",
)  # fmt: skip


def write(folder: Path, evaluation: Evaluation, run: Path | None = None) -> dict[str, Any]:
    """Write the three files; returns the summary.

    Args:
        folder: New or empty folder.
        evaluation: What was measured.
        run: Run folder whose losses are shown.

    Raises:
        ExistsError: If the folder holds something already.
    """
    refuse_existing(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    summary = summarize(evaluation, run)
    write_json(folder / "metrics_summary.json", summary)
    write_atomically(folder / "detailed_results.csv", _detailed(evaluation))
    write_atomically(folder / "report.html", report.render(page(evaluation, run)))
    return summary


def summarize(evaluation: Evaluation, run: Path | None = None) -> dict[str, Any]:
    """Everything measured, as JSON values, the first system's own numbers at the top level too."""
    ours, seed = evaluation.systems[0], evaluation.settings["eval_seed"]
    shared = evaluation.leakage
    return _losses(run) | {
        **{name: one.value for name, one in ours.estimates.items()},
        "grade": ours.grade,
        "strict_grade": ours.strict_grade,
        "n": len(evaluation.rows),
        "sent": dict(Counter(one.source for one in ours.explanations)),
        "why": dict(Counter(one.why for one in ours.explanations if one.why)),
        "verdicts": _verdicts(ours),
        "untrue": sum(bool(one.untrue) for one in ours.scores),
        "settings": evaluation.settings,
        "systems": {
            one.name: {key: value._asdict() for key, value in one.estimates.items()}
            | {"grade": one.grade, "strict_grade": one.strict_grade}
            for one in evaluation.systems
        },
        "differences": {
            name: {key: value._asdict() for key, value in found.items()}
            for name, found in evaluation.differences.items()
        },
        "checks": {
            one.name: {
                rule: value._asdict() for rule, value in scores.pass_rates(one.scores, seed=seed).items()
            }
            for one in evaluation.systems
        },
        "leakage": shared
        and {
            "repeated_templates": shared.repeated,
            "near_duplicates": [[evaluation.rows[one.row].id, one.overlap] for one in shared.near],
            "template_families": shared.families,
            "shared_sentences": shared.shared_sentences,
        },
        "reading": notes(evaluation),
    }


def notes(evaluation: Evaluation) -> list[str]:
    """What the numbers say, in sentences: truth, then overlap, then what fine-tuning bought."""
    ours = evaluation.systems[0]
    checked = [one for one in ours.scores if one.checked]
    found = []
    if checked:
        untrue = sum(bool(one.untrue) for one in checked)
        found.append(
            f"{untrue} of {len(checked)} first texts of {ours.name} ({100 * untrue / len(checked):.0f}%) are untrue of"
            f" their facts in decision, figures, reasons or direction: {_by_decision(evaluation)}."
            f" {sum(one.passed for one in checked)} pass every check."
        )
    if len(checked) < len(ours.scores):
        found.append(f"{len(ours.scores) - len(checked)} rows state no facts to check against.")
    if "fallback_rate" in ours.estimates:
        found.append(
            f"Of the texts that would be sent, {shown(ours.estimates['check_pass_rate_final'], share=True)} pass every"
            f" check; {shown(ours.estimates['fallback_rate'], share=True)} are the template."
        )
    if ours.grade:
        found.append(
            f"Grade by overlap alone, as the first system gave it: {ours.grade}. Stricter, with no untrue statement"
            f" allowed for Excellent: {ours.strict_grade}."
        )
    else:
        found.append("There are no references, so nothing is said about overlap and no grade is given.")
    return found + _against_template(evaluation) + _against_base(evaluation)


def _verdicts(system: System) -> dict[str, int]:
    """Sentences of the first texts by verdict."""
    found: Counter[str] = Counter()
    for one in system.scores:
        found.update(one.verdicts)
    return dict(found)


def _by_decision(evaluation: Evaluation) -> str:
    counts: dict[str, list[bool]] = {}
    for subject, one in zip(evaluation.subjects, evaluation.systems[0].scores, strict=True):
        if subject.assessment and one.checked:
            counts.setdefault(subject.assessment.decision, []).append(bool(one.untrue))
    return ", ".join(f"{sum(hits)} of {len(hits)} {decision}" for decision, hits in sorted(counts.items()))


def _against_template(evaluation: Evaluation) -> list[str]:
    theirs = _named(evaluation, TEMPLATE)
    found = evaluation.differences.get(TEMPLATE, {})
    if theirs is None or "rougeL" not in found:
        return []
    ours = evaluation.systems[0]
    gap = found["rougeL"]
    if gap.high < 0:
        head = f"The template wins ROUGE-L by {-gap.value:.3f} [{-gap.high:.3f}, {-gap.low:.3f}]"
    elif gap.low > 0:
        head = f"{ours.name} beats the template in ROUGE-L by {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}]"
    else:
        head = f"ROUGE-L does not tell {ours.name} from the template ({_signed('rougeL', gap)})"
    return [
        f"{head}; the template always passes. What a model can buy beyond it is variety: {_variety(ours, theirs)}."
    ]


def _variety(ours: System, theirs: System) -> str:
    names = ("distinct_2", "flesch_kincaid_grade")
    return ", ".join(
        f"{MEASURES[name][0]} {ours.estimates[name].value:.3g} against {theirs.estimates[name].value:.3g}"
        for name in names
        if name in ours.estimates and name in theirs.estimates
    )


def _against_base(evaluation: Evaluation) -> list[str]:
    found = evaluation.differences.get(BASE)
    if not found:
        return []
    gained = [
        f"{MEASURES[name][0]} {_signed(name, one)}"
        for name, one in found.items()
        if name in ("true_rate", "check_pass_rate_first_try", "rougeL", "bert_score_f1")
    ]
    return [f"What fine-tuning bought over the base: {'; '.join(gained)}."]


def _signed(name: str, one: Estimate) -> str:
    scale, unit = (100, " points") if MEASURES[name][1] else (1, "")
    digits = 0 if MEASURES[name][1] else 3
    low, high = scale * one.low, scale * one.high
    return f"{scale * one.value:+.{digits}f}{unit} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _named(evaluation: Evaluation, name: str) -> System | None:
    return next((one for one in evaluation.systems if one.name == name), None)


# ---------------------------------------------------------------- page


def page(evaluation: Evaluation, run: Path | None = None) -> Page:
    """What ``report.html`` shows."""
    ours = evaluation.systems[0]
    closeness = list(ours.overlap["rougeL"]) if ours.overlap else [0.0] * len(ours.first)
    worst = scores.worst(ours.scores, closeness)
    untrue = [i for i, one in enumerate(ours.scores) if one.untrue]
    return Page(
        title=f"Evaluation of {ours.name} on {len(evaluation.rows):,} rows",
        notes=notes(evaluation),
        measures=_measures(evaluation.systems),
        differences=_differences(evaluation) if evaluation.differences else None,
        leakage=evaluation.leakage.lines() if evaluation.leakage else (),
        checks=_checks(evaluation),
        strata=_strata(evaluation),
        commonest=_commonest(ours),
        worst=[_case(evaluation, i) for i in worst],
        untrue=[_case(evaluation, i) for i in untrue if i not in worst],
        side_by_side=_side_by_side(evaluation),
        curve=_curve(run),
        settings=_flat(evaluation.settings),
    )


def _measures(systems: Sequence[System]) -> Table:
    rows: list[Sequence[str]] = []
    for group, names in (
        ("Truth and writing", [name for name in MEASURES if name not in OVERLAP]),
        ("Overlap with the references", [name for name in MEASURES if name in OVERLAP]),
    ):
        present = [name for name in names if any(name in one.estimates for one in systems)]
        if present:
            rows.append([group])
        for name in present:
            label, share = MEASURES[name]
            cells = [one.estimates.get(name) for one in systems]
            rows.append([label, *("" if cell is None else shown(cell, share=share) for cell in cells)])
    if any(one.grade for one in systems):
        rows.append(["Grade, by overlap alone", *(one.grade for one in systems)])
        rows.append(["Grade, nothing untrue allowed for Excellent", *(one.strict_grade for one in systems)])
    return Table(["", *(one.name for one in systems)], rows)


def _differences(evaluation: Evaluation) -> Table:
    names = [name for name in MEASURES if any(name in found for found in evaluation.differences.values())]
    return Table(
        ["", *(f"minus {name}" for name in evaluation.differences)],
        [
            [
                MEASURES[name][0],
                *(
                    _signed(name, found[name]) if name in found else ""
                    for found in evaluation.differences.values()
                ),
            ]
            for name in names
        ],
    )


def _checks(evaluation: Evaluation) -> Table | None:
    seed = evaluation.settings["eval_seed"]
    rates = [scores.pass_rates(one.scores, seed=seed) for one in evaluation.systems]
    if not any(rates):
        return None
    rows = [
        [f"{rule} {label}", *(shown(one[rule], share=True) if rule in one else "" for one in rates)]
        for rule, label in RULES.items()
        if any(rule in one for one in rates)
    ]
    return Table(["", *(one.name for one in evaluation.systems)], rows)


def _strata(evaluation: Evaluation) -> Table | None:
    ours, seed = evaluation.systems[0], evaluation.settings["eval_seed"]
    groups = scores.strata(evaluation.subjects, [row.type for row in evaluation.rows], ours.scores)
    if not groups:
        return None
    names = [
        name
        for name in ("true_rate", "check_pass_rate_first_try", "reason_recall", "numeric_accuracy", "rougeL")
        if name in ours.estimates
    ]
    rows = []
    for group, members in groups.items():
        found = scores.estimates(
            [ours.scores[i] for i in members],
            (),
            {name: values[members] for name, values in ours.overlap.items()},
            seed=seed,
        )
        cells = [shown(found[name], share=MEASURES[name][1]) if name in found else "" for name in names]
        rows.append([group, str(len(members)), *cells])
    return Table([ours.name, "n", *(MEASURES[name][0] for name in names)], rows)


def _commonest(ours: System) -> Table | None:
    found = scores.commonest(ours.scores)
    rows = [[f"{rule} {message}", str(number)] for rule, message, number in found]
    return Table(["Finding", "texts"], rows) if rows else None


def _case(evaluation: Evaluation, index: int) -> Case:
    ours = evaluation.systems[0]
    found = ours.scores[index].findings
    return Case(
        _label(evaluation, index),
        _about(evaluation, index),
        pieces(ours.first[index], found),
        found,
        evaluation.references[index] if evaluation.references else "",
    )


def _label(evaluation: Evaluation, index: int) -> str:
    return evaluation.rows[index].id.rsplit("/", 1)[
        -1
    ]  # a row without an identifier is named by file and line


def _about(evaluation: Evaluation, index: int) -> str:
    row, about = evaluation.rows[index], evaluation.subjects[index].assessment
    parts = [about.decision if about else row.decision or "", (row.type or "").replace("_", " ")]
    if about and (points := scores.score_obtained(about)) is not None:
        parts.append(f"score {points:g}")
    return ", ".join(filter(None, parts))


def _side_by_side(
    evaluation: Evaluation,
) -> list[tuple[str, str, list[tuple[str, Sequence[report.Piece]]]]]:
    """A few rows of different decisions and types, with the reference and every system's text."""
    if len(evaluation.systems) < 2 and not evaluation.references:
        return []
    first: dict[tuple[str | None, str | None], int] = {}
    for index, row in enumerate(evaluation.rows):
        first.setdefault((row.decision, row.type), index)
    found = []
    for index in list(first.values())[:SIDE_BY_SIDE]:
        texts: list[tuple[str, Sequence[report.Piece]]] = []
        if evaluation.references:
            texts.append(("Reference", pieces(evaluation.references[index], ())))
        texts += [
            (
                one.name,
                pieces(one.first[index], one.scores[index].findings)
                if one.scores[index].findings
                else pieces(one.shown[index], ()),
            )
            for one in evaluation.systems
        ]
        found.append((_label(evaluation, index), _about(evaluation, index), texts))
    return found


def _events(run: Path | None) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    events = read_metrics(run) if run else []

    def points(kind: str) -> list[tuple[int, float]]:
        return [
            (row["number"], row["loss"]) for row in events if row["event"] == kind and row["loss"] is not None
        ]

    return points("step"), points("valid")


def _curve(run: Path | None) -> report.Curve | None:
    return report.curve(*_events(run))


def _losses(run: Path | None) -> dict[str, Any]:
    if run is None:
        return {}
    steps, valid = _events(run)
    last = [loss for _, loss in steps[-LAST_EPOCH:]]
    return {
        "train_loss": sum(last) / len(last) if last else None,
        "valid_loss": valid[-1][1] if valid else None,
    }


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines."""
    if isinstance(value, dict):
        return [line for key, one in value.items() for line in _flat(one, f"{name} {key}".strip())]
    return [(name, "not set" if value is None else str(value))]


# ---------------------------------------------------------------- rows


def _detailed(evaluation: Evaluation) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for system in evaluation.systems:
        for index in range(len(evaluation.rows)):
            writer.writerow([csv_cell(cell) for cell in _cells(evaluation, system, index)])
    return out.getvalue()


def _cells(evaluation: Evaluation, system: System, index: int) -> list[str]:
    row, one = evaluation.rows[index], system.scores[index]
    sent = system.explanations[index] if system.explanations else None
    return [
        row.id,
        system.name,
        row.decision or "",
        row.type or "",
        evaluation.references[index] if evaluation.references else "",
        system.first[index],
        system.final[index],
        sent.source if sent else "model",
        str(sent.tries if sent else 1),
        str(one.passed).lower() if one.checked else "",
        str(not one.untrue).lower() if one.checked else "",
        "; ".join(f"{f.rule}: {f.message}" + (f" [{f.fact}]" if f.fact else "") for f in one.findings),
        *(
            f"{system.overlap[name][index]:.6f}" if system.overlap else ""
            for name in ("rougeL", "bert_score_f1")
        ),
        f"{one.grade:.2f}",
        str(one.words),
    ]
