"""Is the planner right? Peak memory of real steps against its prediction, over many configurations."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import mlx.core as mx
import numpy as np

from bench.models import dtype_of, random_weights
from bench.trainers import Ours, Setting
from lendsafe.mlx_lora import backend, plan
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.tokens import Tokens


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
    for _ in range(count):
        heads = rng.choice([4, 8])
        shape = plan.granite_moe(
            {
                "hidden_size": heads * rng.choice([32, 64]),
                "num_hidden_layers": rng.choice([2, 4, 6]),
                "intermediate_size": rng.choice([64, 128, 256]),
                "num_attention_heads": heads,
                "num_key_value_heads": heads // rng.choice([1, 2, 4]),
                "num_local_experts": rng.choice([8, 16, 40]),
                "num_experts_per_tok": rng.choice([2, 4, 8]),
                "vocab_size": rng.choice([2048, 8192, 16384]),
                "logits_scaling": 6.0,
                "attention_multiplier": 0.02,
                "embedding_multiplier": 12.0,
                "residual_multiplier": 0.22,
                "rope_theta": 10000.0,
                "max_position_embeddings": 4096,
            }
        )
        config = TrainConfig(
            rank=rng.choice([4, 16]),
            batch_size=rng.choice([2, 4, 8]),
            grad_accum=1,
            dropout=rng.choice([0.0, 0.05]),
            recompute=rng.choice(["none", "none", "experts", "layer"]),
            targets=("attention",),
        )
        prefix = rng.choice([0, 40, 90])
        window = []
        for _ in range(config.window):
            prompt, reply = rng.randint(5, 120), rng.randint(20, 120)
            own = numbers.integers(0, 2048, prompt + reply)
            ids = np.concatenate([np.arange(prefix), own]).astype(np.int32)
            window.append(Tokens(ids, prefix + prompt))
        yield shape, config, window


def compare(
    shape: dict[str, Any], config: TrainConfig, window: list[Tokens], weights: Any = None
) -> Comparison:
    """Train two steps and compare the second one's peak with the prediction."""
    mx.clear_cache()
    weights = weights or random_weights(shape, config.precision)
    budget = config.token_budget or sum(map(len, window))
    trainer = Ours(Setting(shape, weights, config, dtype_of(config.precision)), budget=budget)
    trainer.step(window)
    mx.clear_cache()
    trainer.reset_peak()
    trainer.step(window)
    machine = plan.Machine(chip="", usable=1 << 50, flops=1.0, cpu=backend.name() == "cpu")
    predicted = plan.predict(shape, config, plan.of_examples(window), machine)
    case = (
        f"D{shape['hidden_size']} L{shape['num_hidden_layers']} I{shape['intermediate_size']}"
        f" E{shape['num_local_experts']}x{shape['num_experts_per_tok']} V{shape['vocab_size']}"
        f" B{config.window} {config.recompute} dropout {config.dropout}"
    )
    return Comparison(case, trainer.peak_bytes(), predicted)
