"""A training run in a process of its own, that can be made to die at a chosen point.

Arguments: base folder, run folder, then ``--resume``, ``--die-at-sync N`` (SIGKILL in the N-th fsync of a
save), ``--die-after SECONDS`` (SIGKILL at any moment), ``--settings JSON``. Processes are forked from one that
has imported what takes long (torch, through transformers), and MLX not yet.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lendsafe.errors import LendSafeError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.runs import checkpoint, run
from lendsafe.records import Message

SETTINGS = {
    "epochs": 4,
    "batch_size": 2,
    "grad_accum": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 4,
    "dropout": 0.2,
    "rank": 4,
    "save_every": 2,
    "eval_every": 4,
    "samples": 0,
    "keep": 3,
}


def dataset() -> run.Dataset:
    """Ten short conversations, two of them held out."""
    rows = [
        [
            Message("user", f"w{i} w{i + 3} w{2 * i}"),
            Message("assistant", " ".join(f"w{(i * k) % 90}" for k in range(2, 5 + i % 4))),
        ]
        for i in range(1, 13)
    ]
    return run.Dataset(train=rows[:10], valid=rows[10:])


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_sync(number: int) -> None:
    """Make the process die in the ``number``-th sync of its checkpoints."""
    whole, count = checkpoint.sync, 0

    def sync(path: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            kill()
        whole(path)

    checkpoint.sync = sync


def slow_save() -> None:
    """Make every save but the first take a minute."""
    whole = checkpoint.write

    def write(folder: Path, step: int, **named: object) -> Path:
        if step:
            time.sleep(60)
        return whole(folder, step, **named)

    checkpoint.write = write


def start(*arguments: object) -> multiprocessing.Process:
    """Begin a training run in a process of its own."""
    return forked(main, [str(one) for one in arguments])


def finish(*arguments: object) -> int:
    """Train to the end; the exit code, negative for a signal."""
    return joined(main, [str(one) for one in arguments])


def forked(function: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    """Begin a call in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers"])
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def joined(function: Callable[..., None], *arguments: object) -> int:
    """Make a call in a process of its own; its exit code, negative for a signal."""
    process = forked(function, *arguments)
    process.join(180)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--die-at-sync", type=int)
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--slow-save", action="store_true")
    parser.add_argument("--settings", type=json.loads, default={})
    given = parser.parse_args(arguments)
    if given.die_at_sync:
        die_at_sync(given.die_at_sync)
    if given.slow_save:
        slow_save()
    base = loading.load(given.base)
    if given.die_after:
        timer = threading.Timer(given.die_after, kill)
        timer.daemon = True
        timer.start()
    config = TrainConfig(**SETTINGS | given.settings)
    try:
        run.fine_tune(base, dataset(), config, given.out, resume=given.resume, quiet=True)
    except LendSafeError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        sys.exit(problem.exit_code)
