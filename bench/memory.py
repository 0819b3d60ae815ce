"""Is the planner right? Peak memory of real steps against its prediction, over many configurations."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from bench.harness import Result, Series, save, table
from bench.models import dtype_of, random_weights
from bench.shapes import FAMILIES, of_family
from bench.trainers import Ours, Setting
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.planning import footprint, plan
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

import mlx.core as mx  # isort: skip  # after OpenBLAS


@dataclass(frozen=True)
class Comparison:
    """One configuration: what was measured, what was predicted."""

    case: str
    measured: int
    predicted: plan.Plan

    @property
    def error(self) -> float:
        """Share by which the prediction is above (positive) or below the measurement."""
        return self.predicted.peak / self.measured - 1


def configurations(count: int, seed: int = 0) -> Iterator[tuple[dict[str, Any], TrainConfig, list[Tokens]]]:
    """Shapes, recipes and windows drawn at random."""
    rng = Random(seed)  # not a secret
    numbers = np.random.default_rng(seed)
    families = sorted(FAMILIES)
    for number in range(count):
        family, heads = families[number % len(families)], rng.choice([2, 4, 6])
        experts = {"num_local_experts": rng.choice([8, 16, 40]), "num_experts_per_tok": rng.choice([2, 4, 8])}
        inner = rng.choice([64, 128, 256]) if "moe" in family else heads * rng.choice([96, 160, 224])
        sizes = {
            "hidden_size": heads * 64,
            "num_hidden_layers": rng.choice([4, 6, 8]),
            "intermediate_size": inner,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // rng.choice([1, 2]),
            "vocab_size": rng.choice([4096, 8192, 16384]),
            **({key: value for key, value in experts.items() if key in FAMILIES[family]}),
        }
        if family == "qwen3_moe":
            sizes |= {"num_experts": experts["num_local_experts"], "moe_intermediate_size": inner}
        shape = of_family(family, sizes)
        config = TrainConfig(
            rank=rng.choice([4, 16]),
            batch_size=rng.choice([4, 8]),
            grad_accum=1,
            dropout=rng.choice([0.0, 0.05]),
            recompute=rng.choice(["none", "none", "experts", "layer"]),
            targets=(rng.choice(["attention", "attention", "all"]),),
        )
        prefix = rng.choice([0, 40, 90])
        window = []
        for _ in range(config.window):
            prompt, reply = rng.randint(20, 150), rng.randint(30, 150)
            own = numbers.integers(0, 2048, prompt + reply)
            window.append(Tokens(np.concatenate([np.arange(prefix), own]).astype(np.int32), prefix + prompt))
        yield shape, config, window


def compare(
    shape: dict[str, Any], config: TrainConfig, window: list[Tokens], weights: Any = None, *, workers: int = 1
) -> Comparison:
    """Train two steps and compare the second one's peak with the prediction."""
    gc.collect()  # a trainer's loop lives in a cycle: what it holds is not to go in the middle of this
    mx.clear_cache()
    weights = weights or random_weights(shape, config.precision)
    techniques = Techniques(recompute=config.recompute, side_by_side=workers > 1)
    budget = config.token_budget or sum(map(len, window))
    setting = Setting(shape, weights, config, dtype_of(config.precision))
    trainer = Ours(setting, [window, window], budget=budget, techniques=techniques)
    trainer.step(window)
    gc.collect()
    outside = trainer.active_bytes() - trainer.held_bytes()
    trainer.reset_peak()
    trainer.step(window)
    machine = plan.Machine(
        chip="", usable=1 << 50, flops=1.0, bandwidth=1.0, kind=backend.name(), workers=workers
    )
    predicted = plan.predict(shape, config, plan.of_examples(window), machine)
    case = (
        f"{shape['model_type']} D{shape['hidden_size']} L{shape['num_hidden_layers']} I{shape['intermediate_size']}"
        f"{_experts(shape)} V{shape['vocab_size']} B{config.window}"
        f" {config.targets[0]}, recompute {config.recompute}, dropout {config.dropout}"
    )
    return Comparison(case, trainer.peak_bytes() - outside, predicted)


def _experts(shape: dict[str, Any]) -> str:
    one = footprint.sizes(shape)
    return f" E{one.experts}x{one.chosen}" if one.experts else ""


def run(count: int, *, say: Callable[[str], None] = print) -> list[Comparison]:
    """Compare, print, keep."""
    found, results = [], []
    for number, (shape, config, window) in enumerate(configurations(count), start=1):
        one = compare(shape, config, window)
        found.append(one)
        say(f"{number:>3}  {one.error:+6.1%}  {one.measured / 1e6:8.1f} MB  {one.case}")
        facts = {"predicted_bytes": float(one.predicted.peak)}
        results.append(
            Result("memory", one.case, "lendsafe", "bytes at the peak", Series((float(one.measured),)), facts)
        )
    say(f"\n{summary(results)}\n\n{save(results)}")
    return found


def summary(results: list[Result]) -> str:
    """How far off the predictions are, as a table."""
    errors = sorted(float(one.facts["predicted_bytes"] or 0) / one.series.median - 1 for one in results)
    head = [
        "configurations",
        "prediction against peak: median",
        "lowest",
        "highest",
        "within 15 %, not more than 10 % under",
    ]
    good = sum(-0.10 <= error <= 0.15 for error in errors)
    middle = f"{errors[len(errors) // 2]:+.1%}"
    return table([head, [str(len(errors)), middle, f"{errors[0]:+.1%}", f"{errors[-1]:+.1%}", f"{good}"]])
