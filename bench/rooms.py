"""Rows a second of the rooms without a language model: risk (score and explain), evaluation (check and score)."""

from collections.abc import Callable

from bench.harness import Result, alternate, save, table
from lendsafe.corpus import approved, process
from lendsafe.corpus.synth import SynthConfig, synthesize
from lendsafe.eval.scoring.overlap import rouge
from lendsafe.eval.truth.examine import examine
from lendsafe.product import consumer
from lendsafe.records import Style

Say = Callable[[str], None]


def risk(rows: int, *, repetitions: int, say: Say) -> list[Result]:
    """Train a risk model once, then score applications, and assess them: score, decide, rank the reasons."""
    from lendsafe.risk.config import RiskConfig
    from lendsafe.risk.model.engine import RiskEngine

    engine = RiskEngine.fit(process.history(10_000, seed=42).applications(), RiskConfig())
    frame = process.draw(rows, 9).frame
    systems: dict[str, Callable[[int], float | None]] = {
        "score and decide": lambda _: _ignore(engine.decide(frame)),
        "assess, with reasons": lambda _: _ignore(engine.assess_many(frame)),
    }
    return _measure("risk", f"{rows:,} applications", systems, rows, repetitions, say)


def evaluation(rows: int, *, repetitions: int, say: Say) -> list[Result]:
    """Check narratives against their assessments, and compare them with themselves by ROUGE."""
    made = synthesize(SynthConfig(n=max(rows, 100), seed=42)).rows[:rows]
    examples = [one.example for one in made]
    replies = [one.reply for one in examples]
    texts = [one.text for one in made]
    language = approved.language(consumer())

    def checked(_: int) -> None:
        for one, reply in zip(examples, replies, strict=True):
            assert one.assessment is not None
            examine(reply, one.assessment, one.style or Style(), language)

    systems: dict[str, Callable[[int], float | None]] = {
        "every sentence, all checks": checked,
        "ROUGE": lambda _: _ignore(rouge(texts, texts)),
    }
    return _measure("eval", f"{rows:,} narratives", systems, rows, repetitions, say)


def _measure(
    bench: str,
    case: str,
    systems: dict[str, Callable[[int], float | None]],
    rows: int,
    repetitions: int,
    say: Say,
) -> list[Result]:
    series = alternate(systems, repetitions=repetitions, say=say)
    results = [
        Result(bench, case, name, "s", one, {"rows_per_second": rows / one.median})
        for name, one in series.items()
    ]
    say(f"\n{as_table(results)}\n\n{save(results)}")
    return results


def as_table(results: list[Result]) -> str:
    """Table of one measurement."""
    body = [
        [one.system, one.case, one.series.text(), f"{one.facts['rows_per_second'] or 0:,.0f}"]
        for one in results
    ]
    return table([["", "", "s", "rows/s"], *body])


def _ignore(_: object) -> None:
    """Only the time counts."""
