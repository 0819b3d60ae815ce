"""Sums over micro-batches, one at a time on a GPU, one on each core on the CPU back end."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import mlx.core as mx
from mlx.utils import tree_map

from lendsafe.mlx_lora import backend

T = TypeVar("T")


def summed(function: Callable[[int, T], Any], items: Sequence[T], workers: int, *, ahead: bool = True) -> Any:
    """Sum ``function(number, item)``, a tree of arrays, over numbered items.

    With several workers, item ``i`` goes to worker ``i % workers``, which adds up its own in their order; the
    workers' sums are then added in theirs. So the bits of the result depend on the number of workers and on
    nothing else.

    Args:
        function: Builds a tree lazily; evaluated here.
        items: At least one.
        workers: Items that are computed side by side, each on a stream of its own.
        ahead: With one worker, let the host build the next graph while one is computed.
    """
    workers = min(workers, len(items))
    total: Any = None
    if workers == 1:
        for number, item in enumerate(items):
            total = _added(total, function(number, item))
            (mx.async_eval if ahead else mx.eval)(total)
        return total
    totals: list[Any] = [None] * workers
    with backend.one_thread_each():
        for start in range(0, len(items), workers):
            for worker, item in enumerate(items[start : start + workers]):
                with mx.stream(_streams(workers)[worker]):
                    totals[worker] = _added(totals[worker], function(start + worker, item))
            mx.eval(totals)  # together: MLX takes the graphs' operations in turn
    for other in totals:
        total = _added(total, other)
    return total


def _added(total: Any, value: Any) -> Any:
    return value if total is None else tree_map(mx.add, total, value)


@cache
def _streams(workers: int) -> list[mx.Stream]:
    """Streams of the CPU back end, each with a thread of its own."""
    return [mx.new_stream(mx.Device(mx.cpu)) for _ in range(workers)]
