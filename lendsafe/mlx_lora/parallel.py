"""Data-parallel training over MLX's own distributed layer (ring, JACCL, MPI, NCCL).

Sums and counts are reduced, never means, so that the gradient is that of one process.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import mlx.core as mx
from mlx.utils import tree_map

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
        """Sum every array of a tree over the processes."""
        if self.size == 1:
            return tree
        return tree_map(lambda array: mx.distributed.all_sum(array, group=self._group), tree)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            mx.eval(mx.distributed.all_sum(mx.array(1.0), group=self._group, stream=mx.cpu))
