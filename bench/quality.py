"""Does the fast way teach as well? Ours, mlx-lm and PEFT on the same data, in the same order, at the same rates.

Measured on held-out rows by one and the same code: loss, share of texts that pass every check at once, ROUGE-L.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import models
from bench.harness import Result, Series, save, table
from bench.trainers import MLXLM, PEFT, Ours, Setting, Trainer
from lendsafe.corpus.synth import SynthConfig, synthesize
from lendsafe.eval.scoring.metrics import mean
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.exchange.targets import add_adapters
from lendsafe.mlx_lora.runs.train import learning_rate
from lendsafe.mlx_lora.step.batches import micro_batches, windows
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens, encode
from lendsafe.pipeline.evaluate import EvalConfig, Source, evaluate_sources
from lendsafe.pipeline.narrate import Narrator
from lendsafe.pipeline.settings import GenerateConfig

import mlx.core as mx  # isort: skip  # after OpenBLAS

BUDGET = 4096  # tokens at a time when a held-out loss is computed


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is taught to what.

    Attributes:
        model: Model that :func:`lendsafe.mlx_lora.exchange.loading.resolve` finds.
        config: Recipe.
        steps: Optimiser steps.
        examples: Training rows.
        held_out: Rows that loss and texts are measured on.
        systems: Of ``lendsafe``, ``mlx-lm``, ``peft``.
    """

    model: str
    config: TrainConfig
    steps: int = 255
    examples: int = 1350
    held_out: int = 150
    systems: tuple[str, ...] = ("lendsafe", "mlx-lm", "peft")


def run(case: Case, *, say: Callable[[str], None] = print) -> list[Result]:
    """Train each system, measure, print, keep."""
    config = case.config
    path = loading.resolve(case.model)
    shape, weights = models.base(case.model, models.precision_of(config), random=False)
    tokenizer = loading.load_tokenizer_of(path)
    rows = [row.example for row in synthesize(SynthConfig(n=case.examples + case.held_out)).rows]
    train, held = rows[: case.examples], rows[case.examples : case.examples + case.held_out]
    encoded = [encode(tokenizer, row.messages, config.max_length) for row in train]
    unseen = [encode(tokenizer, row.messages, config.max_length) for row in held]
    setting = Setting(shape, weights, config, models.dtype_of(models.precision_of(config)))
    per_epoch = -(-len(encoded) // config.window)
    order = [
        [
            encoded[i]
            for i in windows(len(encoded), config.window, config.seed, done // per_epoch)[done % per_epoch]
        ]
        for done in range(case.steps)
    ]
    sources, losses = [Source("base", load=lambda: _narrator(case, setting, tokenizer, {}))], {}
    losses["base"] = _losses(setting, {}, unseen)
    for name in case.systems:
        trainer: Any = _trainer(name, setting, order, case)
        taught = _train(trainer, order, case, say)
        losses[name] = _losses(setting, taught, unseen)
        sources.append(Source(name, load=lambda taught=taught: _narrator(case, setting, tokenizer, taught)))
        del trainer
        say(f"{name}: held-out loss {np.mean(losses[name]):.4f}")
    found = evaluate_sources(sources, held, EvalConfig(), train=train, baselines=False)
    results = []
    name = f"{case.model.rstrip('/').rsplit('/', 1)[-1]}, {case.steps} steps of {config.window}, {case.examples} rows"
    for system in found.systems:
        loss = mean(losses[system.name])
        facts: dict[str, float | None] = {"loss": loss.value, "loss_low": loss.low, "loss_high": loss.high}
        for measure in ("check_pass_rate_first_try", "rougeL"):
            one = system.estimates[measure]
            facts |= {measure: one.value, f"{measure}_low": one.low, f"{measure}_high": one.high}
        series = Series((float(np.mean(losses[system.name])),))
        results.append(
            Result("quality", name, system.name, "nats per learned token, held out", series, facts)
        )
    say(f"\n{text(results)}\n\n{save(results)}")
    return results


def _trainer(name: str, setting: Setting, order: Sequence[Sequence[Tokens]], case: Case) -> Trainer:
    if name == "lendsafe":
        first = order[: -(-case.examples // case.config.window)]  # the loop repeats them as all do
        return Ours(setting, first, budget=BUDGET, techniques=Techniques(), total=case.steps)
    return {"mlx-lm": MLXLM, "peft": PEFT}[name](setting)


def _train(
    trainer: Trainer, order: Sequence[Sequence[Tokens]], case: Case, say: Callable[[str], None]
) -> dict[str, mx.array]:
    """A step a window in the order and at the rates that all share; the adapter afterwards."""
    for done, window in enumerate(order):
        loss = trainer.step(window, learning_rate(case.config, done, case.steps))
        if (done + 1) % 25 == 0 or done + 1 == case.steps:
            say(f"  {trainer.name}: step {done + 1} of {case.steps}, loss {loss:.4f}")
    return trainer.adapter()


def _taught(setting: Setting, taught: dict[str, mx.array]) -> Any:
    """The base with an adapter, or without one."""
    model = models.model_with(setting.shape, setting.weights)
    if taught:
        add_adapters(model, setting.config)
        model.load_weights(list(taught.items()), strict=False)
        mx.eval(model.parameters())
    model.eval()
    return model


def _losses(setting: Setting, taught: dict[str, mx.array], unseen: Sequence[Tokens]) -> list[float]:
    """Mean loss of each held-out row's tokens."""
    model = _taught(setting, taught)
    plain = Techniques(fuse_loss=False)
    return [
        float(loss_sum(model, [one], plain).item()) / (len(one) - one.reply_start)
        for batch in micro_batches(unseen, BUDGET)
        for one in batch
    ]


def _narrator(case: Case, setting: Setting, tokenizer: Any, taught: dict[str, mx.array]) -> Narrator:
    path = loading.resolve(case.model)
    base = loading.Base(case.model, path, _taught(setting, taught), tokenizer, setting.shape, "", "", "")
    return Narrator(base, GenerateConfig())


def text(results: Sequence[Result]) -> str:
    """A row a system, with 95 % intervals."""

    def cell(one: Result, measure: str) -> str:
        facts = one.facts
        return f"{facts[measure]:.3f} ({facts[f'{measure}_low']:.3f} to {facts[f'{measure}_high']:.3f})"

    head = ["", "held-out loss", "first-try pass rate", "ROUGE-L"]
    measures = ("loss", "check_pass_rate_first_try", "rougeL")
    return table([head, *([one.system, *(cell(one, m) for m in measures)] for one in results)])
