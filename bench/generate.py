"""How fast are prompts read and replies written, one by one and in batches, beside ``mlx_lm.generate``?"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import mlx.nn as nn

from bench import data, models
from bench.harness import Result, Series, alternate, save, table
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.generate import generate
from lendsafe.mlx_lora.planning import footprint

import mlx.core as mx  # isort: skip  # after OpenBLAS


class Endless:
    """A tokenizer that never ends a reply, so that every system writes the same number of tokens."""

    eos_token_ids: frozenset[int] = frozenset()

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def run(
    model: str,
    random_weights: bool,
    config: TrainConfig,
    sizes: Sequence[int],
    *,
    tokens: int,
    repetitions: int,
    say: Callable[[str], None],
) -> list[Result]:
    """Measure prefill and decoding, ours at every batch size and mlx-lm's one by one."""
    precision = models.precision_of(config)
    shape, weights = models.base(model, precision, random=random_weights)
    network = models.model_with(shape, weights, quantize=config.quantize)
    network.eval()
    largest = max(sizes)
    made = data.examples(largest, vocabulary=shape["vocab_size"])
    prompts = [one.ids[: one.reply_start].tolist() for one in made]
    prompt_tokens = sum(map(len, prompts)) / len(prompts)
    case = f"{model} {precision}, prompts of {prompt_tokens:.0f} tokens, replies of {tokens}"
    say(f"{case}; {footprint.parameters(shape):,} parameters")
    systems: dict[str, Callable[[int], float | None]] = {}
    for size in sizes:
        systems[f"lendsafe, batch {size}"] = _ours(network, prompts[:size], tokens)
    systems["mlx_lm.generate, one by one"] = _theirs(network, prompts[0], tokens)
    systems["prefill alone"] = _prefill(network, prompts[0])
    series = alternate(systems, repetitions=repetitions, say=say)
    results = []
    for name, one in series.items():
        replies = int(name.rsplit(" ", 1)[1]) if "batch" in name else int("one by one" in name)
        results.append(Result("generate", case, name, "s", one, _facts(one, replies, tokens, prompt_tokens)))
    say(f"\n{rows(results)}\n\n{save(results)}")
    return results


def _facts(one: Series, replies: int, tokens: int, prompt_tokens: float) -> dict[str, float | None]:
    if not replies:
        return {"prefill_tokens_per_second": prompt_tokens / one.median, "explanations_per_minute": None}
    return {
        "tokens_per_second": replies * tokens / one.median,
        "explanations_per_minute": 60 * replies / one.median,
    }


def _ours(network: nn.Module, prompts: list[list[int]], tokens: int) -> Callable[[int], None]:
    def call(_: int) -> None:
        done = generate(network, Endless(), prompts, max_tokens=tokens, batch_size=len(prompts))
        assert all(one.tokens == tokens for one in done)

    return call


def _theirs(network: nn.Module, prompt: list[int], tokens: int) -> Callable[[int], None]:
    from mlx_lm.generate import generate_step

    def call(_: int) -> None:
        written = sum(1 for _ in generate_step(mx.array(prompt), network, max_tokens=tokens))
        assert written == tokens

    return call


def _prefill(network: nn.Module, prompt: list[int]) -> Callable[[int], float]:
    def call(_: int) -> float:
        start = time.perf_counter()
        mx.eval(network(mx.array(prompt)[None])[:, -1])
        return time.perf_counter() - start

    return call


def rows(results: Sequence[Result]) -> str:
    """Table of one measurement."""
    body = []
    for one in results:
        facts: Any = one.facts
        rate = facts.get("tokens_per_second") or facts.get("prefill_tokens_per_second")
        minute = facts["explanations_per_minute"]
        body.append([one.system, one.series.text(), f"{rate:,.0f}", f"{minute:.3g}" if minute else ""])
    return table([["", "s", "tokens/s", "explanations/min"], *body])
