"""The whole flow on granite-tiny, offline: applications to a checked explanation and a letter."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from lendsafe.corpus import synth
from lendsafe.fields import build
from lendsafe.files import refuse_existing, write_json
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.notice import Contact, demo_config
from lendsafe.pipeline import evaluate, letters, report, training
from lendsafe.pipeline.applications import Application
from lendsafe.pipeline.narrate import narrator
from lendsafe.risk.model.engine import RiskEngine

MODEL = "granite-tiny"
QUICK_STEPS, QUICK_WARMUP = 120, 40


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        summary: Content of ``metrics_summary.json``.
        explanation: One declined applicant's explanation, as text, with its ranked reasons.
        letter: Path of the letter.
        seconds: Time of each stage.
    """

    summary: dict[str, Any]
    explanation: str
    letter: Path
    seconds: dict[str, float]


def demo(out: Path, *, quick: bool, say: Callable[[str], None]) -> Demo:
    """Run every stage into ``out``.

    Args:
        out: New or empty folder.
        quick: Train 120 of the 255 steps.
        say: Called with each line for the user.

    Raises:
        ExistsError: If ``out`` holds something already.
    """
    refuse_existing(out)
    seconds: dict[str, float] = {}

    def stage(name: str, text: str, work: Callable[[], Any]) -> Any:
        say(f"\n== {text}")
        start = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - start
        say(f"   {seconds[name]:.1f} s")
        return result

    stage("data", "Applications and training pairs", lambda: synth.write(synth.SynthConfig(), out / "data"))
    engine = stage("risk", "Risk model", lambda: _risk(out))
    config = build(TrainConfig, loading.recipe(MODEL))
    if quick:
        config = replace(config, max_steps=QUICK_STEPS, warmup_steps=QUICK_WARMUP)
    run = out / "run"
    stage("train", f"Fine-tune {MODEL}", lambda: training.train(MODEL, out / "data", config, run))
    summary = stage("eval", "Held-out explanations, checked and scored", lambda: _evaluate(out))
    explanation, letter = stage("explain", "One declined applicant", lambda: _explain(out, engine))
    return Demo(summary, explanation, letter, seconds)


def _risk(out: Path) -> RiskEngine:
    import pandas as pd

    engine = RiskEngine.fit(pd.read_csv(out / "data" / "history.csv"))
    engine.save(out / "risk")
    return engine


def _evaluate(out: Path) -> dict[str, Any]:
    train, rows = evaluate.split(out / "data", out / "run", allow_train_rows=False)
    writer = narrator(str(out / "run"))
    result = evaluate.evaluate(
        writer, rows, evaluate.EvalConfig(), name="fine-tuned", before=narrator(MODEL), train=train
    )
    return report.write(out / "eval", result, out / "run")


def _explain(out: Path, engine: RiskEngine) -> tuple[str, Path]:
    rows = evaluate.held_out(out / "data", out / "run", limit=None, allow_train_rows=False)
    applicants = [row.assessment.applicant for row in rows if row.assessment]
    declined = next(
        a.applicant for a in engine.assess_many(applicants) if a.decision == "declined" and len(a.reasons) > 1
    )
    application = Application(
        applicant=declined,
        contact=Contact(name="Jordan Sample", address=("1 Example Street", "Springfield, IL 62701")),
        key_factors=("Amount owed on revolving accounts", "Recent delinquency"),
        received=date(2026, 11, 2),
        score_created=date(2026, 11, 2),
    )
    explainer = letters.Explainer.load(out / "risk", adapter=out / "run", lender=demo_config())
    (outcome,) = explainer.explain([application], notice_date=date(2026, 11, 9))
    path = out / "letter.pdf"
    outcome.write_letter(path)
    write_json(out / "explanation.json", outcome.to_json())
    statements = engine.features.statements
    reasons = "\n".join(
        f"  {number}. {statements[reason.code]} ({reason.strength}, {reason.contribution:+.2f} log-odds)"
        for number, reason in enumerate(outcome.reasons, start=1)
    )
    tries = outcome.explanation.tries
    how = f"written by the {outcome.explanation.source} {'at the first try' if tries == 1 else f'after {tries} tries'}"
    return f"{outcome.decision}\n{reasons}\n\n{outcome.text}\n\n({how})", path
