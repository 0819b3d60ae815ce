"""The training loop: a generator of steps. The caller logs, validates and saves between them."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, Optimizer
from mlx.utils import tree_map

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.step.batches import micro_batches, windows
from lendsafe.mlx_lora.step.layers import DropoutKeys
from lendsafe.mlx_lora.step.loss import learned_tokens, loss_sum
from lendsafe.mlx_lora.step.packed import Techniques
from lendsafe.mlx_lora.step.workers import summed
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
    """Rate of the step after ``done`` steps: linear warm-up, then the schedule, which ends at ``total``."""
    warmup = config.warmup(total)
    if done < warmup:
        return config.learning_rate * (done + 1) / warmup
    left = (total - done) / max(total - warmup, 1)  # 1 after the warm-up, towards 0 at the end
    factors = {"linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2, "constant": 1.0}
    return config.learning_rate * factors[config.schedule]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to train on what, and how; fixed for the whole run.

    Attributes:
        model: Adapted model; only adapters are trainable.
        examples: Training examples, at least one.
        config: Settings.
        total: Optimiser steps of the whole run; fixes the schedule.
        keys: Dropout keys of the adapters.
        budget: Tokens per micro-batch.
        techniques: How the loss is computed (:func:`~lendsafe.mlx_lora.step.loss.loss_sum`).
        parallel: The processes that share each window.
    """

    model: nn.Module
    examples: Sequence[Tokens]
    config: TrainConfig
    total: int
    keys: DropoutKeys
    budget: int
    techniques: Techniques | None
    parallel: Parallel


def train(task: Task, state: State) -> Iterator[Step]:
    """Take optimiser steps from ``state.step`` to ``task.total``, yielding what each did.

    Losses and gradients are summed over the window and divided once, by the tokens learned from, so the
    step is the same however the window is cut or shared between processes.

    Args:
        task: What to train.
        state: Updated in place.
    """
    backend.keep_freed_memory()
    config, examples = task.config, task.examples
    gradient = nn.value_and_grad(task.model, _scaled_loss(task))
    per_epoch = -(-len(examples) // config.window)
    epoch, order = -1, list[list[int]]()
    while state.step < task.total:
        start = time.perf_counter()
        if state.step // per_epoch != epoch:
            epoch = state.step // per_epoch
            order = windows(len(examples), config.window, config.seed, epoch)
        window = [examples[i] for i in order[state.step % per_epoch]]
        batches = micro_batches(
            task.parallel.share(window),
            task.budget,
            workers_of(task.techniques),
            sort=task.techniques is None or task.techniques.sort_lengths,
        )
        total_loss, grads = task.parallel.sum(list(window_gradient(task, gradient, batches, state)))
        learned, scale = learned_tokens(window), state.scale.value
        rate = learning_rate(config, state.step, task.total) * state.rate_factor
        loss = scalar(total_loss) / scale / learned
        norm = apply_update(task, average(grads, 1 / (scale * learned)), state, rate=rate, loss=loss)
        finite = math.isfinite(loss) and math.isfinite(norm)
        state.scale.update(finite=finite)
        state.step += 1
        yield Step(
            number=state.step,
            epoch=epoch,
            loss=loss,
            learned=learned,
            tokens=sum(map(len, window)),
            grad_norm=norm,
            learning_rate=rate,
            loss_scale=scale,
            seconds=time.perf_counter() - start,
            skipped=not finite,
        )


def _scaled_loss(task: Task) -> Any:
    def scaled(batch: Sequence[Tokens], scale: float, key: mx.array) -> mx.array:
        task.keys.set(key)
        try:
            return loss_sum(task.model, batch, task.techniques) * scale
        finally:
            task.keys.set(None)

    return scaled


def window_gradient(
    task: Task, gradient: Any, batches: Sequence[Sequence[Tokens]], state: State
) -> tuple[mx.array, Any]:
    """Scaled loss sum and scaled gradient sum over this process's micro-batches of one window."""

    def part(number: int, batch: Sequence[Tokens]) -> Any:
        key = dropout_key(task.config.seed, state.step, number * task.parallel.size + task.parallel.rank)
        return gradient(batch, state.scale.value, key)

    if not batches:  # a window smaller than the number of processes
        return mx.array(0.0), tree_map(mx.zeros_like, task.model.trainable_parameters())
    total: tuple[mx.array, Any] = summed(
        part,
        batches,
        workers_of(task.techniques),
        ahead=task.techniques is None or task.techniques.ahead,
    )
    return total


def average(grads: Any, factor: float) -> Any:
    """Unscale and average a summed gradient, in float32."""
    return tree_map(lambda g: g.astype(mx.float32) * factor, grads)


def apply_update(task: Task, grads: Any, state: State, *, rate: float, loss: float) -> float:
    """Clip and apply an averaged gradient; do nothing if it or the loss is not finite.

    Returns:
        Norm of the gradient before clipping.
    """
    norm = scalar(mx.sqrt(sum((mx.square(g).sum() for g in leaves(grads)), mx.array(0.0))))
    if not (math.isfinite(norm) and math.isfinite(loss)):
        return norm
    clip = task.config.clip_norm
    if clip and norm > clip:
        grads = tree_map(lambda g: g * (clip / norm), grads)
    state.optimizer.learning_rate = rate
    state.optimizer.update(task.model, grads)
    mx.eval(task.model.trainable_parameters(), state.optimizer.state)
    return norm


def leaves(tree: Any) -> list[mx.array]:
    """The arrays of a tree."""
    return list(named_arrays(tree).values())


def scalar(array: mx.array) -> float:
    """Value of a scalar array; waits for it."""
    return float(array.item())  # type: ignore[arg-type]


def dropout_key(seed: int, step: int, micro_batch: int) -> mx.array:
    """Random key of one micro-batch; the adapters split it by layer."""
    digest = hashlib.sha256(f"dropout/{seed}/{step}/{micro_batch}".encode()).digest()
    return mx.random.key(int.from_bytes(digest[:8], "little"))


def mean_loss(
    model: nn.Module,
    examples: Sequence[Tokens],
    *,
    budget: int,
    techniques: Techniques | None,
    parallel: Parallel,
) -> float:
    """Loss in nats per learned token over all examples, without dropout; shared between the processes."""
    plain = replace(techniques, fuse_loss=False) if techniques else None  # nobody asks for its gradient
    workers = workers_of(techniques)
    batches = micro_batches(parallel.share(examples), budget, workers)
    total = (
        summed(lambda _, batch: loss_sum(model, batch, plain), batches, workers) if batches else mx.array(0.0)
    )
    return scalar(parallel.sum([total])[0]) / learned_tokens(examples)


def workers_of(techniques: Techniques | None) -> int:
    """Micro-batches that are computed side by side."""
    return techniques.workers if techniques else backend.workers()
