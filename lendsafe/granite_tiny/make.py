"""Make granite-tiny from nothing: tokenizer, configuration, pretraining, files.

``python -m lendsafe.granite_tiny.make --out DIR`` takes about 40 minutes on one CPU core. The same
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
from lendsafe.corpus.pretraining import COPIED, documents
from lendsafe.errors import ConfigError
from lendsafe.fields import check, knob
from lendsafe.files import disk_errors, write_json
from lendsafe.granite_tiny import tokenizer as bpe

MAX_LENGTH = 1024
TOKENIZER_DOCUMENTS = 4000
POOL = 768  # documents among which similar lengths are put together
REPORT_EVERY = 25
ROPE_THETA = 1_000_000.0  # slow pairs of a head's dimensions then match content whatever the distance
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Shape and pretraining of granite-tiny."""

    seed: int = knob(0, "Seed of weights and text.", low=0)
    steps: int = knob(3400, "Optimiser steps.", low=1)
    batch_tokens: int = knob(3072, "Tokens of one optimiser step, padding included.", low=MAX_LENGTH)
    learning_rate: float = knob(3e-3, "Peak learning rate.", low=0)
    warmup_steps: int = knob(100, "Steps of linear warm-up; then a cosine to 2 %.", low=0)
    weight_decay: float = knob(0.05, "AdamW's decoupled weight decay.", low=0)
    clip_norm: float = knob(1.0, "Largest norm of the gradient.", low=0)
    save_every: int = knob(200, "Steps between saves.", low=1)
    vocab_size: int = knob(1536, "Tokens of the vocabulary.", low=260)
    hidden_size: int = knob(192, "Width of the residual stream.", low=8)
    layers: int = knob(4, "Layers.", low=2)
    heads: int = knob(6, "Query heads.", low=1)
    kv_heads: int = knob(2, "Key and value heads.", low=1)
    experts: int = knob(6, "Experts per layer.", low=2)
    experts_per_token: int = knob(2, "Experts that see a token.", low=1)
    expert_size: int = knob(192, "Hidden width of an expert.", low=8)

    def __post_init__(self) -> None:
        check(self, ConfigError)


def architecture(config: PretrainConfig) -> GraniteMoeConfig:
    """GraniteMoe with the structure of Granite 3.1's multipliers.

    As in Granite 3.1 3B, embeddings are multiplied by 12 and output logits divided by 6. What a layer adds
    is multiplied by 1.4 / sqrt(layers), which is Granite's 0.22 at its 40 layers; attention logits by
    1 / sqrt(head size) where Granite has 1 / head size, with which so short a run never learns to copy.
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
        attention_multiplier=(config.heads / config.hidden_size) ** 0.5,
        residual_multiplier=1.4 / config.layers**0.5,
        logits_scaling=6.0,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        router_aux_loss_coef=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )


def start_copying(model: GraniteMoeForCausalLM) -> None:
    """Set some heads of the first two layers to an induction circuit, before training.

    A head of the first layer attends to the token before; a head of the second to places whose preceding
    token equals the present one, and speaks for the token there: "... A B ... A" continues with B. (The
    circuit: Elhage et al., A Mathematical Framework for Transformer Circuits, 2021; setting attention
    weights at the start: Trockman and Kolter, Mimetic Initialization of Self-Attention Layers, 2023.)
    From chance weights it takes longer to appear than all of this pretraining lasts. All of it is
    trained on; the sizes below need only be right to a factor of two.
    """
    config, (first, second) = model.config, [layer.self_attn for layer in model.model.layers[:2]]
    size = config.hidden_size // config.num_attention_heads
    pairs = size // 2  # rotary embedding turns dimension i together with i + pairs
    turn = ROPE_THETA ** (-torch.arange(pairs) / pairs)
    fast = torch.arange(6)  # pairs that turn enough from one token to the next to tell them apart
    slow = torch.cat([torch.arange(7, pairs), torch.arange(pairs + 7, size)])
    scale = config.attention_multiplier
    with torch.no_grad():
        embedding = model.model.embed_tokens.weight
        embedding[:, 0] = 0.3  # the same for all tokens, so that a query or key can be a constant
        constant = (0.3 / embedding.square().mean(1).sqrt()).mean()

        # First layer: the dot product of query and key is a sum of cos(distance - back), largest at `back`.
        first.k_proj.weight[:size] = 0
        first.k_proj.weight[fast, 0] = 1
        for head, back in enumerate((1, 2)):
            query = first.q_proj.weight[head * size : (head + 1) * size]
            query[:] = 0
            query[fast, 0] = 6 / (scale * constant**2) * torch.cos(back * turn[fast])
            query[fast + pairs, 0] = -6 / (scale * constant**2) * torch.sin(back * turn[fast])
        first.o_proj.weight[:, :size] *= 3

        # Second layer: keys read what the first head wrote, queries read the present token by the same map.
        written, read = first.o_proj.weight[:, slow], first.v_proj.weight[slow]
        gain = config.residual_multiplier * written.square().sum(0).mean()
        second.k_proj.weight[:size] = 0
        second.q_proj.weight[:size] = 0
        second.k_proj.weight[slow] = written.T / gain
        second.q_proj.weight[slow] = read * 8 / (scale * len(slow))
        second.o_proj.weight[:, :size] = 3 * second.v_proj.weight[:size].T


def train_tokenizer(config: PretrainConfig) -> Tokenizer:
    """Learn the tokenizer from the first documents of the same text."""
    texts = (
        document if isinstance(document, str) else "\n".join(message.content for message in document)
        for document in islice(documents(config.seed), COPIED, COPIED + TOKENIZER_DOCUMENTS)
    )
    return bpe.train(texts, config.vocab_size)


def batches(config: PretrainConfig, tokenizer: Tokenizer, skip: int = 0) -> Iterator[list[list[int]]]:
    """Endless batches of token ids, similar lengths together, at most ``batch_tokens`` once padded.

    Args:
        config: Seed and size.
        tokenizer: From text to ids.
        skip: Documents to leave out at the start.
    """
    tokenizer.encode_special_tokens = True
    rng, text = random.Random(config.seed), islice(documents(config.seed), skip, None)  # noqa: S311  # no secret
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
    """Next-token loss in nats, averaged over prose and replies; what was asked is chance and is not learned."""
    inputs = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids[:-1]) for ids in batch], batch_first=True)
    targets = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(_targets(ids)) for ids in batch], batch_first=True, padding_value=IGNORED
    )
    # Padding is on the right, so causal attention never sees it and no mask is needed.
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[targets != IGNORED]
    logits = model.lm_head(hidden) / model.config.logits_scaling
    return cross_entropy(logits, targets[targets != IGNORED])


def _targets(ids: list[int]) -> list[int]:
    """The token after each one, ``IGNORED`` up to the end of the last role mark."""
    start = len(ids) - ids[::-1].index(bpe.END_ROLE_ID) if bpe.END_ROLE_ID in ids else 1
    return [IGNORED] * (start - 1) + ids[start:]


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


def make(config: PretrainConfig, folder: Path, continued: Path | None = None) -> dict[str, Any]:
    """Make the model in ``folder``, which always holds the last save.

    Args:
        config: Shape and training.
        folder: Folder to write.
        continued: Model to train on, with its shape and tokenizer; documents that only copy are left out.

    Returns:
        A report: parameters, steps, tokens, seconds, loss in nats per token of the last steps.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    kernels = {"attn_implementation": "sdpa", "experts_implementation": "grouped_mm"}
    disable_progress_bar()
    torch.manual_seed(config.seed)
    if continued:
        tokenizer = Tokenizer.from_file(str(continued / "tokenizer.json"))
        model = GraniteMoeForCausalLM.from_pretrained(continued, dtype=torch.float32, **kernels)
    else:
        tokenizer = train_tokenizer(config)
        model = GraniteMoeForCausalLM._from_config(architecture(config), **kernels)
        start_copying(model)
    bpe.save(tokenizer, folder, MAX_LENGTH)
    data = batches(config, tokenizer, skip=COPIED if continued else 0)
    start, tokens, recent = time.perf_counter(), 0, list[float]()
    for step, loss, count in pretrain(model.train(), data, config):
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
@click.option("--continue", "continued", type=click.Path(path_type=Path), help="Model to train further.")
@settings_options(PretrainConfig)
def main(out: Path, continued: Path | None, **given: Any) -> None:
    """Make granite-tiny from nothing in folder OUT; prints a report as JSON."""
    click.echo(json.dumps(make(settings(PretrainConfig, given), out, continued), indent=2))


if __name__ == "__main__":
    main()
