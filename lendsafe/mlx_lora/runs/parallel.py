"""Data-parallel training over MLX's own distributed layer (ring, JACCL, MPI, NCCL).

Sums and counts are reduced, never means, so that the gradient is that of one process. All processes read
checkpoints, so the run folder has to be on storage that every host sees; only the first one writes.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

T = TypeVar("T")


class Parallel:
    """The processes of a run; one process is the ordinary case."""

    def __init__(self) -> None:
        self._group = mx.distributed.init()
        self.size: int = self._group.size()
        self.rank: int = self._group.rank()

    @property
    def leads(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of a window; the parts of all processes make up the window."""
        return list(items[self.rank :: self.size])

    def sum(self, tree: Any) -> Any:
        """Sum every float32 array of a tree over the processes.

        All arrays travel as one: a reduction costs a round of messages, and processes that cut their part
        into different micro-batches could otherwise reduce the arrays in different orders.
        """
        if self.size == 1:
            return tree
        flat: Any = tree_flatten(tree)
        joined = mx.concatenate([array.flatten() for _, array in flat])
        joined = mx.distributed.all_sum(joined, group=self._group)
        ends = [0]
        for _, array in flat:
            ends.append(ends[-1] + array.size)
        parts = [joined[start:end] for start, end in pairwise(ends)]
        return tree_unflatten(
            [(name, part.reshape(array.shape)) for (name, array), part in zip(flat, parts, strict=True)]
        )

    def largest(self, value: int) -> int:
        """The largest of the processes' values, so that all decide alike."""
        if self.size == 1:
            return value
        reduced = mx.distributed.all_max(mx.array(value, mx.int32), group=self._group)
        return int(reduced.item())  # type: ignore[arg-type]  # its stub allows any number

    def barrier(self) -> None:
        """Wait until every process is here."""
        self.largest(0)
