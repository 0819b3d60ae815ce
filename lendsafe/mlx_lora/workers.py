"""Sums over micro-batches, one at a time on a GPU, one on each core on the CPU back end."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from lendsafe.mlx_lora import backend

T = TypeVar("T")

# Tracing puts placeholders into the model's own attributes, so that only one thread may build a graph at a time.
_building = Lock()


def summed(function: Callable[[int, T], Any], items: Sequence[T], workers: int) -> Any:
    """Sum ``function(number, item)``, a tree of arrays, over numbered items.

    With several workers, item ``i`` goes to worker ``i % workers``, which adds up its own in their order; the
    workers' sums are then added in theirs. So the bits of the result depend on the number of workers and on
    nothing else.

    Args:
        function: Builds a tree lazily; evaluated here.
        items: At least one.
        workers: Items that are computed side by side.
    """
    workers = min(workers, len(items))
    if workers == 1:
        return _sum_in_turn(function, list(enumerate(items)), wait=False)
    shares = [list(enumerate(items))[worker::workers] for worker in range(workers)]
    with backend.one_thread_each():
        parts = list(_pool(workers).map(lambda share: _sum_in_turn(function, share, wait=True), shares))
    total = parts[0]
    for part in parts[1:]:
        total = tree_map(mx.add, total, part)
    return total


def _sum_in_turn(function: Callable[[int, T], Any], share: Sequence[tuple[int, T]], *, wait: bool) -> Any:
    """Sum over one worker's share; without ``wait`` the host builds the next graph while one is computed."""
    total: Any = None
    for number, item in share:
        with _building:
            value = function(number, item)
            total = value if total is None else tree_map(mx.add, total, value)
        if wait:
            mx.eval(total)
        else:
            mx.async_eval(total)
    return total


def materialize(model: nn.Module) -> None:
    """Compute every array that a model holds, private ones too: a worker can compute only what it began itself."""
    mx.eval([value for module in model.modules() for value in module.values() if isinstance(value, mx.array)])


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process: each has an MLX stream of its own."""
    return ThreadPoolExecutor(workers, thread_name_prefix="micro-batch")
