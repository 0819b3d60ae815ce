"""The training loop: a generator of steps. The caller logs, validates and saves between them."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, Optimizer
from mlx.utils import tree_map

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.step.batches import micro_batches, windows
from lendsafe.mlx_lora.step.gradient import Gradient
from lendsafe.mlx_lora.step.layers import DropoutKeys
from lendsafe.mlx_lora.step.loss import learned_tokens, loss_sum
from lendsafe.mlx_lora.step.objective import NEXT_TOKEN, Objective
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.step.update import LossScale, Update
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
        objective: What the examples are there for.
    """

    model: nn.Module
    examples: Sequence[Any]
    config: TrainConfig
    total: int
    keys: DropoutKeys
    budget: int
    techniques: Techniques
    parallel: Parallel
    objective: Objective = NEXT_TOKEN


def train(task: Task, state: State) -> Iterator[Step]:
    """Take optimiser steps from ``state.step`` to ``task.total``, yielding what each did.

    Losses and gradients are summed over the window and divided once, by the count of the objective, so the
    step is the same however the window is cut or shared between processes. A step reads once from the device: what
    it did. If reads are late, the next window's gradient is under way by then; nothing that it needs may still change,
    and where the caller stops it is dropped: model and state are those after the step that was yielded.

    Args:
        task: What to train.
        state: Updated in place.
    """
    backend.keep_freed_memory()
    config = task.config
    gradient = Gradient(task.model, task.keys, task.techniques, task.objective)
    update = Update(
        task.model,
        state.optimizer,
        state.scale,
        clip=config.clip_norm,
        compiled=task.techniques.compiled,
    )
    windows_of = _Windows(task)
    sums, start = None, time.perf_counter()
    while state.step < task.total:
        window, batches = windows_of(state.step)
        loss, grads = sums or window_gradient(task, gradient, batches, state.step, update.scale)
        learned, scale = task.objective.count(window), state.scale.value
        rate = learning_rate(config, state.step, task.total) * state.rate_factor
        facts, sums = update(loss, grads, learned=learned, rate=rate), None
        (mx.async_eval if task.techniques.late else mx.eval)(facts, update.arrays())
        state.step += 1
        if task.techniques.late and state.step < task.total:
            _, ahead = windows_of(state.step)
            sums = window_gradient(task, gradient, ahead, state.step, update.scale)
        total, norm = read(facts)
        finite = math.isfinite(total) and math.isfinite(norm)
        state.scale.update(finite=finite)
        yield Step(
            number=state.step,
            epoch=(state.step - 1) // windows_of.per_epoch,
            loss=total / learned,
            learned=learned,
            tokens=sum(map(len, window)),
            grad_norm=norm,
            learning_rate=rate,
            loss_scale=scale,
            seconds=time.perf_counter() - start,
            skipped=not finite,
        )
        start = time.perf_counter()


class _Windows:
    """The examples of each optimiser step, and this process's share of them in micro-batches."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.per_epoch = -(-len(task.examples) // task.config.window)
        self._epoch, self._order = -1, list[list[int]]()

    def __call__(self, step: int) -> tuple[list[Any], list[list[Any]]]:
        """Window and micro-batches of the step after ``step`` steps."""
        task, config = self._task, self._task.config
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = windows(len(task.examples), config.window, config.seed, epoch)
        window = [task.examples[i] for i in self._order[place]]
        chosen = task.techniques
        share = task.parallel.share(window)
        return window, micro_batches(share, task.budget, chosen.workers, sort=chosen.sort_lengths)


def window_gradient(
    task: Task, gradient: Gradient, batches: Sequence[Sequence[Any]], step: int, scale: mx.array
) -> tuple[mx.array, Any]:
    """Scaled loss sum and scaled gradient sum of the window after ``step`` steps, over all processes."""

    def part(number: int, batch: Sequence[Any]) -> Any:
        key = dropout_key(task.config.seed, step, number * task.parallel.size + task.parallel.rank)
        return gradient(batch, scale, key)

    total: Any = (mx.array(0.0), tree_map(mx.zeros_like, task.model.trainable_parameters()))
    if batches:  # else the window is smaller than the number of processes
        total = summed(part, batches, task.techniques.workers, ahead=task.techniques.ahead)
    loss, grads = task.parallel.sum(list(total))
    return loss, grads


def read(array: mx.array) -> list[float]:
    """Numbers of an array; waits for it."""
    numbers: Any = array.tolist()
    return list(map(float, numbers))


def dropout_key(seed: int, step: int, micro_batch: int) -> mx.array:
    """Random key of one micro-batch; the adapters split it by layer."""
    digest = hashlib.sha256(f"dropout/{seed}/{step}/{micro_batch}".encode()).digest()
    return mx.random.key(int.from_bytes(digest[:8], "little"))


def mean_loss(
    model: nn.Module,
    examples: Sequence[Tokens],
    *,
    budget: int,
    techniques: Techniques,
    parallel: Parallel,
) -> float:
    """Loss in nats per learned token over all examples, without dropout; shared between the processes."""
    plain = replace(techniques, fuse_loss=False)  # nobody asks for its gradient
    workers = techniques.workers
    batches = micro_batches(parallel.share(examples), budget, workers)
    total = (
        summed(lambda _, batch: loss_sum(model, batch, plain), batches, workers) if batches else mx.array(0.0)
    )
    return read(parallel.sum([total])[0][None])[0] / learned_tokens(examples)
