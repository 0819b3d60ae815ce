"""The training loop: a generator of steps. The caller logs, validates and saves between them."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, Optimizer
from mlx.utils import tree_flatten, tree_map

from lendsafe.mlx_lora.batches import micro_batches, windows
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.layers import DropoutKeys
from lendsafe.mlx_lora.loss import learned_tokens, loss_sum
from lendsafe.mlx_lora.packed import Techniques
from lendsafe.mlx_lora.tokens import Tokens

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW, as in PyTorch


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one optimiser step did.

    Attributes:
        number: Counted from 1.
        epoch: Counted from 0.
        loss: Nats per learned token, before the update.
        learned: Tokens the loss counted.
        tokens: Tokens of the window's sequences, prompts included.
        grad_norm: Norm of the averaged gradient, before clipping.
        learning_rate: Applied.
        loss_scale: Applied.
        seconds: Wall-clock time.
        skipped: Whether loss or gradient were not finite, so that nothing was updated.
    """

    number: int
    epoch: int
    loss: float
    learned: int
    tokens: int
    grad_norm: float
    learning_rate: float
    loss_scale: float
    seconds: float
    skipped: bool = False


@dataclass
class LossScale:
    """Dynamic loss scale, for activation gradients in float16.

    The scaled quantity is the *sum* of token losses, so a token's gradient is not divided by the token
    count before float16 has carried it; a start of 2^10 then leaves room in both directions.

    Attributes:
        value: Present factor.
        good_steps: Finite steps since the last change.
    """

    value: float = 1024.0
    good_steps: int = 0
    enabled: bool = True
    growth_interval: int = field(default=100, repr=False)
    largest: float = field(default=65536.0, repr=False)

    def update(self, *, finite: bool) -> None:
        """Halve after a non-finite step, double after 100 finite ones in a row."""
        if not self.enabled:
            return
        if not finite:
            self.value, self.good_steps = max(self.value / 2, 1.0), 0
            return
        self.good_steps += 1
        if self.good_steps >= self.growth_interval:
            self.value, self.good_steps = min(self.value * 2, self.largest), 0


@dataclass
class State:
    """All that a run carries from one step to the next, beside the adapter itself.

    Attributes:
        optimizer: With its moments.
        scale: Loss scale.
        step: Optimiser steps done, skipped ones included.
        rate_factor: Multiplier of the schedule; halved when the run had to go back.
    """

    optimizer: Optimizer
    scale: LossScale
    step: int = 0
    rate_factor: float = 1.0


def new_state(config: TrainConfig, dtype: mx.Dtype) -> State:
    """State of a run before its first step; only float16 activations need a loss scale."""
    optimizer = AdamW(
        config.learning_rate,
        betas=list(BETAS),
        eps=EPSILON,
        weight_decay=config.weight_decay,
        bias_correction=True,
    )
    enabled = dtype == mx.float16
    return State(optimizer, LossScale(value=1024.0 if enabled else 1.0, enabled=enabled))


def learning_rate(config: TrainConfig, done: int, total: int) -> float:
    """Rate of the step after ``done`` steps: linear warm-up, then linear decay towards 0 at ``total``."""
    if done < config.warmup_steps:
        return config.learning_rate * (done + 1) / config.warmup_steps
    return config.learning_rate * (total - done) / max(total - config.warmup_steps, 1)


def train(
    model: nn.Module,
    examples: Sequence[Tokens],
    config: TrainConfig,
    state: State,
    *,
    total: int,
    keys: DropoutKeys,
    budget: int,
    techniques: Techniques | None,
    reduce: Callable[[Any], Any] | None = None,
    share: Callable[[list[int]], list[int]] = lambda window: window,
) -> Iterator[Step]:
    """Take optimiser steps from ``state.step`` to ``total``, yielding what each did.

    Losses and gradients are summed over the window and divided once, by the tokens learned from, so the
    step is the same however the window is cut.

    Args:
        model: Adapted model; only adapters are trainable.
        examples: Training examples, at least one.
        config: Settings.
        state: Updated in place.
        total: Optimiser steps of the whole run; fixes the schedule.
        keys: Dropout keys of the adapters.
        budget: Tokens per micro-batch.
        techniques: How the loss is computed (:func:`~lendsafe.mlx_lora.loss.loss_sum`).
        reduce: Sums a tree of arrays over the processes of a data-parallel run.
        share: This process's part of a window of example numbers.
    """
    gradient = nn.value_and_grad(model, _scaled_loss(model, keys, techniques))
    per_epoch = len(windows(len(examples), config.window, config.seed, 0))
    epoch, order = -1, []
    while state.step < total:
        start = time.perf_counter()
        if state.step // per_epoch != epoch:
            epoch = state.step // per_epoch
            order = windows(len(examples), config.window, config.seed, epoch)
        window = order[state.step % per_epoch]
        whole = [examples[i] for i in window]
        batches = micro_batches([examples[i] for i in share(window)], budget)
        loss, grads = window_gradient(model, gradient, batches, state, config.seed)
        if reduce is not None:
            loss, grads = reduce((loss, grads))
        count = learned_tokens(whole)
        rate = learning_rate(config, state.step, total) * state.rate_factor
        norm, finite = apply_update(
            model, grads, loss, state, rate=rate, divisor=count, clip=config.clip_norm
        )
        used = state.scale.value
        state.scale.update(finite=finite)
        state.step += 1
        yield Step(
            number=state.step,
            epoch=epoch,
            loss=float(loss.item()) / used / count,
            learned=count,
            tokens=sum(map(len, whole)),
            grad_norm=norm,
            learning_rate=rate,
            loss_scale=used,
            seconds=time.perf_counter() - start,
            skipped=not finite,
        )


def _scaled_loss(model: nn.Module, keys: DropoutKeys, techniques: Techniques | None) -> Any:
    def scaled(batch: Sequence[Tokens], scale: float, key: mx.array | None) -> mx.array:
        keys.set(key)
        try:
            return loss_sum(model, batch, techniques) * scale
        finally:
            keys.set(None)

    return scaled


def window_gradient(
    model: nn.Module, gradient: Any, batches: Sequence[Sequence[Tokens]], state: State, seed: int
) -> tuple[mx.array, Any]:
    """Scaled loss sum and scaled gradient sum over the micro-batches of one window."""
    loss = mx.array(0.0)
    grads = tree_map(mx.zeros_like, model.trainable_parameters())
    for number, batch in enumerate(batches):
        part, grad = gradient(batch, state.scale.value, dropout_key(seed, state.step, number))
        loss, grads = loss + part, tree_map(mx.add, grads, grad)
        mx.async_eval(loss, grads)  # the host lays out the next micro-batch meanwhile
    return loss, grads


def apply_update(
    model: nn.Module, grads: Any, loss: mx.array, state: State, *, rate: float, divisor: float, clip: float
) -> tuple[float, bool]:
    """Unscale, average, clip and apply a gradient; do nothing if anything is not finite.

    Returns:
        Norm of the averaged gradient before clipping, and whether the update was made.
    """
    factor = 1.0 / (state.scale.value * divisor)
    grads = tree_map(lambda g: g.astype(mx.float32) * factor, grads)
    norm = mx.sqrt(sum((mx.square(g).sum() for _, g in tree_flatten(grads)), mx.array(0.0)))
    mx.eval(norm, loss)
    value = float(norm.item())
    if not (math.isfinite(value) and math.isfinite(float(loss.item()))):
        return value, False
    if clip and value > clip:
        grads = tree_map(lambda g: g * (clip / value), grads)
    state.optimizer.learning_rate = rate
    state.optimizer.update(model, grads)
    mx.eval(model.trainable_parameters(), state.optimizer.state)
    return value, True


def dropout_key(seed: int, step: int, micro_batch: int) -> mx.array:
    """Random key of one micro-batch; the adapters split it by layer."""
    digest = hashlib.sha256(f"dropout/{seed}/{step}/{micro_batch}".encode()).digest()
    return mx.random.key(int.from_bytes(digest[:8], "little"))


def mean_loss(
    model: nn.Module, examples: Sequence[Tokens], *, budget: int, techniques: Techniques | None
) -> float:
    """Loss in nats per learned token over all examples, without dropout."""
    total = 0.0
    for batch in micro_batches(examples, budget):
        total += float(loss_sum(model, batch, techniques).item())
    return total / learned_tokens(examples)
