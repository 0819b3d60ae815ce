"""Exact interventional Shapley values of shallow trees, on the log-odds.

For one applicant x and one background row z, the value of a set S of features is the ensemble's
output with the features of S from x and the others from z; the Shapley value averages a feature's
effect over all orders (Lundberg et al. 2020, "From local explanations to global understanding with
explainable AI for trees", interventional feature perturbation), and the result averages over z.

A leaf is reached under S if every split on its path is passed by x (features in S) or by z (the
rest). Let u be the number of the path's features that only x passes and v that only z passes; no
feature may be passed by neither. Then a feature that only x passes gets ``(u-1)! v! / (u+v)!`` of
the leaf's value, one that only z passes loses ``u! (v-1)! / (u+v)!`` of it, all others get nothing.
Neither depends on more than which splits x and z pass, so the average over the background becomes
one table per tree: for each of the 128 patterns of at most 7 splits, the value of each split's feature.
"""

from functools import cache
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.model.trees import Ensemble, Tree

Floats = NDArray[np.float64]
SLOTS = 7  # inner nodes of a tree of depth 3
CHUNK = 4096  # rows at a time: the patterns of a chunk stay in the cache
FEW = 16  # rows up to which one gather over all trees beats a loop over them


class Attribution:
    """Shapley values of an ensemble against a fixed background.

    Args:
        ensemble: The trees.
        background: Rows that applicants are compared with, ``(rows, features)``, NaN where not known.

    Attributes:
        expected: Mean log-odds of the background; contributions add up to the difference from it.
    """

    def __init__(self, ensemble: Ensemble, background: Floats) -> None:
        trees = len(ensemble.trees)
        self._feature = np.zeros((SLOTS, trees), dtype=np.int64)
        self._threshold = np.full((SLOTS, trees, 1), -np.inf, dtype=np.float32)
        self._default_left = np.zeros((SLOTS, trees, 1), dtype=bool)
        inner = [np.flatnonzero(~tree.leaves) for tree in ensemble.trees]
        for t, (tree, nodes) in enumerate(zip(ensemble.trees, inner, strict=True)):
            self._feature[: len(nodes), t] = tree.feature[nodes]
            self._threshold[: len(nodes), t, 0] = tree.threshold[nodes]
            self._default_left[: len(nodes), t, 0] = tree.default_left[nodes]
        patterns = self._patterns(background)
        self._tables = np.zeros((trees, 2**SLOTS, ensemble.features))
        self.expected = ensemble.base
        for t, (tree, nodes) in enumerate(zip(ensemble.trees, inner, strict=True)):
            self.expected += _fill(self._tables[t], tree, nodes, patterns[t])

    def __call__(self, values: Floats) -> Floats:
        """Shapley values, ``(n, features)``, of rows ``(n, features)``; positive raises the log-odds."""
        found = np.zeros((len(values), self._tables.shape[2]))
        for start in range(0, len(values), CHUNK):
            rows = slice(start, start + CHUNK)
            patterns = self._patterns(values[rows])
            if patterns.shape[1] <= FEW:
                found[rows] = self._tables[np.arange(len(patterns))[:, None], patterns].sum(axis=0)
                continue
            part = found[rows]
            for table, pattern in zip(self._tables, patterns, strict=True):
                part += np.take(table, pattern, axis=0)
        return found

    def _patterns(self, values: Floats) -> NDArray[np.uint8]:
        """Which splits each row passes to the left, one bit per split: ``(trees, n)``."""
        rows = np.ascontiguousarray(np.asarray(values, dtype=np.float32).T)  # XGBoost compares in float32
        unknown = np.isnan(rows)
        found = np.zeros((self._feature.shape[1], rows.shape[1]), dtype=np.uint8)
        for slot, (feature, threshold, default_left) in enumerate(
            zip(self._feature, self._threshold, self._default_left, strict=True)
        ):
            left = np.take(rows, feature, axis=0) < threshold
            left |= np.take(unknown, feature, axis=0) & default_left
            found |= left.view(np.uint8) << np.uint8(slot)
        return found


def _fill(table: Floats, tree: Tree, nodes: NDArray[np.int64], background: NDArray[np.uint8]) -> float:
    """Add a tree's contributions to ``table``, ``(patterns, features)``; return its mean output."""
    mean = 0.0
    share = np.bincount(background, minlength=2**SLOTS) / len(background)
    for path, value in _paths(tree, nodes):
        passed = _passed(path)  # for each pattern, the set of the path's features that it passes
        weights = np.bincount(passed, weights=share, minlength=2 ** len(path))
        mean += value * float(weights[-1])
        by_set = np.einsum("z,xzj->xj", weights, _leaf_values(len(path)))
        for j, feature in enumerate(path):
            table[:, feature] += value * by_set[passed, j]
    return mean


def _paths(tree: Tree, nodes: NDArray[np.int64]) -> list[tuple[dict[int, list[tuple[int, bool]]], float]]:
    """Per leaf, the splits of its path by feature as ``(slot, goes left)``, and its value."""
    slot = {int(node): i for i, node in enumerate(nodes)}
    found = []
    stack: list[tuple[int, list[tuple[int, tuple[int, bool]]]]] = [(0, [])]
    while stack:
        node, steps = stack.pop()
        if tree.left[node] < 0:
            by_feature: dict[int, list[tuple[int, bool]]] = {}
            for feature, step in steps:
                by_feature.setdefault(feature, []).append(step)
            found.append((by_feature, float(tree.value[node])))
            continue
        feature = int(tree.feature[node])
        stack.append((int(tree.left[node]), [*steps, (feature, (slot[node], True))]))
        stack.append((int(tree.right[node]), [*steps, (feature, (slot[node], False))]))
    return found


def _passed(path: dict[int, list[tuple[int, bool]]]) -> NDArray[np.int64]:
    patterns = np.arange(2**SLOTS)
    passed = np.zeros(2**SLOTS, dtype=np.int64)
    for j, steps in enumerate(path.values()):
        ok = np.all([((patterns >> slot) & 1) == left for slot, left in steps], axis=0)
        passed |= ok.astype(np.int64) << j
    return passed


@cache
def _leaf_values(count: int) -> Any:
    """Shapley values of a leaf of value 1: ``[set that x passes, set that z passes, feature]``."""
    size = 2**count
    values = np.zeros((size, size, count))
    for x in range(size):
        for z in range(size):
            if x | z != size - 1:
                continue
            only_x, only_z = x & ~z, z & ~x
            u, v = only_x.bit_count(), only_z.bit_count()
            for j in range(count):
                if only_x >> j & 1:
                    values[x, z, j] = factorial(u - 1) * factorial(v) / factorial(u + v)
                elif only_z >> j & 1:
                    values[x, z, j] = -factorial(u) * factorial(v - 1) / factorial(u + v)
    return values
