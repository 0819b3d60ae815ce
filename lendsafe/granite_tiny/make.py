"""Make granite-tiny from nothing: tokenizer, configuration, pretraining, files.

``python -m lendsafe.granite_tiny.make --out DIR`` takes about half an hour on two CPU cores. The same
seed, steps, machine and library versions give the same weights. No weight and no text comes from
anywhere else: the text is what :func:`lendsafe.corpus.pretraining.documents` writes.

All parameters are trained, so this is the one place that computes in torch (which bert-score brings):
its CPU kernels are vectorised and MLX's are not, 10,000 against a few hundred tokens a second.
"""

import json
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import GraniteMoeConfig, GraniteMoeForCausalLM
from transformers.utils.logging import disable_progress_bar

from lendsafe.cli.options import settings, settings_options
from lendsafe.corpus.pretraining import documents
from lendsafe.errors import ConfigError
from lendsafe.fields import check, knob
from lendsafe.files import disk_errors, write_json
from lendsafe.granite_tiny import tokenizer as bpe

MAX_LENGTH = 1024
TOKENIZER_DOCUMENTS = 4000
POOL = 768  # documents among which similar lengths are put together
REPORT_EVERY = 25
ROPE_THETA = 10_000.0
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Shape and pretraining of granite-tiny."""

    seed: int = knob(0, "Seed of weights and text.", low=0)
    steps: int = knob(1800, "Optimiser steps.", low=1)
    batch_tokens: int = knob(4608, "Tokens of one optimiser step, padding included.", low=MAX_LENGTH)
    learning_rate: float = knob(3e-3, "Peak learning rate.", low=0)
    warmup_steps: int = knob(100, "Steps of linear warm-up; then a cosine to 2 %.", low=0)
    weight_decay: float = knob(0.05, "AdamW's decoupled weight decay.", low=0)
    clip_norm: float = knob(1.0, "Largest norm of the gradient.", low=0)
    save_every: int = knob(200, "Steps between saves.", low=1)
    vocab_size: int = knob(1536, "Tokens of the vocabulary.", low=260)
    hidden_size: int = knob(192, "Width of the residual stream.", low=8)
    layers: int = knob(3, "Layers.", low=1)
    heads: int = knob(3, "Query heads.", low=1)
    kv_heads: int = knob(1, "Key and value heads.", low=1)
    experts: int = knob(6, "Experts per layer.", low=2)
    experts_per_token: int = knob(2, "Experts that see a token.", low=1)
    expert_size: int = knob(192, "Hidden width of an expert.", low=8)

    def __post_init__(self) -> None:
        check(self, ConfigError)


def architecture(config: PretrainConfig) -> GraniteMoeConfig:
    """GraniteMoe with the structure of Granite 3.1's multipliers.

    As in Granite 3.1 3B, embeddings are multiplied by 12, attention logits by 1 / head size, what a layer
    adds by 0.22, and output logits divided by 6.
    """
    return GraniteMoeConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.expert_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        num_local_experts=config.experts,
        num_experts_per_tok=config.experts_per_token,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=config.hidden_size**-0.5,
        embedding_multiplier=12.0,
        attention_multiplier=config.heads / config.hidden_size,
        residual_multiplier=0.22,
        logits_scaling=6.0,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        router_aux_loss_coef=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )


def train_tokenizer(config: PretrainConfig) -> Tokenizer:
    """Learn the tokenizer from the first documents of the same text."""
    texts = (
        document if isinstance(document, str) else "\n".join(message.content for message in document)
        for document in islice(documents(config.seed), TOKENIZER_DOCUMENTS)
    )
    return bpe.train(texts, config.vocab_size)


def batches(config: PretrainConfig, tokenizer: Tokenizer) -> Iterator[list[list[int]]]:
    """Endless batches of token ids, similar lengths together, at most ``batch_tokens`` once padded."""
    tokenizer.encode_special_tokens = True
    rng, text = random.Random(config.seed), documents(config.seed)  # noqa: S311  # no secret
    while True:
        pool = (bpe.document_ids(tokenizer, document)[:MAX_LENGTH] for document in islice(text, POOL))
        cut: list[list[list[int]]] = [[]]
        for ids in sorted(pool, key=len):
            if (len(cut[-1]) + 1) * len(ids) > config.batch_tokens:
                cut.append([])
            cut[-1].append(ids)
        rng.shuffle(cut)
        yield from cut


def learning_rate(config: PretrainConfig, done: int) -> float:
    """Rate of the step after ``done`` steps: linear warm-up, then a cosine down to 2 %."""
    if done < config.warmup_steps:
        return config.learning_rate * (done + 1) / config.warmup_steps
    progress = (done - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def mean_loss(model: GraniteMoeForCausalLM, batch: list[list[int]]) -> torch.Tensor:
    """Next-token loss in nats, averaged over every token but each document's first."""
    ids = [torch.tensor(one) for one in batch]
    inputs = torch.nn.utils.rnn.pad_sequence([one[:-1] for one in ids], batch_first=True)
    targets = torch.nn.utils.rnn.pad_sequence(
        [one[1:] for one in ids], batch_first=True, padding_value=IGNORED
    )
    # Padding is on the right, so causal attention never sees it and no mask is needed.
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[targets != IGNORED]
    logits = model.lm_head(hidden) / model.config.logits_scaling
    return cross_entropy(logits, targets[targets != IGNORED])


def pretrain(
    model: GraniteMoeForCausalLM, data: Iterator[list[list[int]]], config: PretrainConfig
) -> Iterator[tuple[int, float, int]]:
    """Train all parameters, yielding steps done, loss in nats per token, and tokens of each step."""
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    for step, batch in enumerate(islice(data, config.steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        loss = mean_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        yield step + 1, loss.item(), sum(map(len, batch))


def save(model: GraniteMoeForCausalLM, folder: Path) -> None:
    """Write configuration and float16 weights under Granite 3.1's names; tokenizer files stay."""
    half = GraniteMoeForCausalLM(model.config).half()
    half.load_state_dict(model.state_dict())
    with disk_errors(folder):
        half.save_pretrained(folder)
    # transformers 5 keeps the rotary base inside `rope_parameters`; mlx-lm and transformers 4 look here.
    config = json.loads((folder / "config.json").read_text("utf-8"))
    write_json(folder / "config.json", config | {"rope_theta": ROPE_THETA, "rope_scaling": None})
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": 0, "do_sample": False, "eos_token_id": 0, "pad_token_id": 0},
    )


def make(config: PretrainConfig, folder: Path) -> dict[str, Any]:
    """Make the model in ``folder``, which always holds the last save.

    Returns:
        A report: parameters, steps, tokens, seconds, loss in nats per token of the last steps.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(config)
    bpe.save(tokenizer, folder, MAX_LENGTH)
    disable_progress_bar()
    torch.manual_seed(config.seed)
    model = GraniteMoeForCausalLM(architecture(config))
    start, tokens, recent = time.perf_counter(), 0, list[float]()
    for step, loss, count in pretrain(model, batches(config, tokenizer), config):
        tokens, recent = tokens + count, [*recent[1 - REPORT_EVERY :], loss]
        if step % REPORT_EVERY == 0:
            rate = tokens / (time.perf_counter() - start)
            print(  # noqa: T201  # progress, on stderr
                f"step {step}/{config.steps}  loss {sum(recent) / len(recent):.4f}  {rate:,.0f} tokens/s",
                file=sys.stderr,
                flush=True,
            )
        if step % config.save_every == 0:
            save(model, folder)
    save(model, folder)
    return {
        "parameters": model.num_parameters(),
        "steps": config.steps,
        "tokens": tokens,
        "seconds": round(time.perf_counter() - start, 1),
        "loss": round(sum(recent) / len(recent), 4),
    }


@click.command()
@click.option("--out", "out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@settings_options(PretrainConfig)
def main(out: Path, **given: Any) -> None:
    """Make granite-tiny from nothing in folder OUT; prints a report as JSON."""
    click.echo(json.dumps(make(settings(PretrainConfig, given), out), indent=2))


if __name__ == "__main__":
    main()
