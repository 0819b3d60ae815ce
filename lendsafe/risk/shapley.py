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

from lendsafe.risk.trees import Ensemble, Tree

Floats = NDArray[np.float64]
SLOTS = 8  # inner nodes of a tree of depth 3, and one bit to fill the byte
CHUNK = 512


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
        self._feature = np.zeros((trees, SLOTS), dtype=np.int64)
        self._threshold = np.full((trees, SLOTS), -np.inf, dtype=np.float32)
        self._default_left = np.zeros((trees, SLOTS), dtype=bool)
        inner = [np.flatnonzero(~tree.leaves) for tree in ensemble.trees]
        for t, (tree, nodes) in enumerate(zip(ensemble.trees, inner, strict=True)):
            self._feature[t, : len(nodes)] = tree.feature[nodes]
            self._threshold[t, : len(nodes)] = tree.threshold[nodes]
            self._default_left[t, : len(nodes)] = tree.default_left[nodes]
        patterns = self._patterns(background)
        tables = [_table(tree, nodes, patterns[:, t]) for t, (tree, nodes) in enumerate(zip(ensemble.trees, inner, strict=True))]
        self._tables = np.stack([table for table, _ in tables])
        self._scatter = np.zeros((trees * SLOTS, ensemble.features))
        self._scatter[np.arange(trees * SLOTS), self._feature.ravel()] = 1.0
        self.expected = ensemble.base + float(sum(mean for _, mean in tables))

    def __call__(self, values: Floats) -> Floats:
        """Shapley values, ``(n, features)``, of rows ``(n, features)``; positive raises the log-odds."""
        found = np.empty((len(values), self._scatter.shape[1]))
        trees = np.arange(len(self._tables))
        for start in range(0, len(values), CHUNK):
            rows = slice(start, start + CHUNK)
            picked = self._tables[trees, self._patterns(values[rows])]
            found[rows] = picked.reshape(len(picked), -1) @ self._scatter
        return found

    def _patterns(self, values: Floats) -> NDArray[np.uint8]:
        """Which splits each row passes to the left, one byte per tree: ``(n, trees)``."""
        rows = np.asarray(values, dtype=np.float32)  # XGBoost compares in float32
        found = np.empty((len(rows), len(self._feature)), dtype=np.uint8)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK, self._feature]
            left = (part < self._threshold) | (np.isnan(part) & self._default_left)
            found[start : start + CHUNK] = np.packbits(left, axis=-1, bitorder="little")[..., 0]
        return found


def _table(tree: Tree, nodes: NDArray[np.int64], background: NDArray[np.uint8]) -> tuple[Floats, float]:
    """Contribution of each slot's feature for each pattern ``(256, SLOTS)``, and the mean output."""
    table = np.zeros((2**SLOTS, SLOTS))
    mean = 0.0
    share = np.bincount(background, minlength=2**SLOTS) / len(background)
    for path, value in _paths(tree, nodes):
        if not path:
            mean += value
            continue
        passed = _passed(path)  # (256,), for each pattern the set of path features it passes, as bits
        weights = np.bincount(passed, weights=share, minlength=2 ** len(path))
        mean += value * float(weights[-1])
        by_set = np.einsum("b,abj->aj", weights, _leaf_values(len(path)))
        for j, slots in enumerate(path.values()):
            table[:, slots[0][0]] += value * by_set[passed, j]
    return table, mean


def _paths(tree: Tree, nodes: NDArray[np.int64]) -> list[tuple[dict[int, list[tuple[int, bool]]], float]]:
    """Per leaf, the splits of its path by feature as ``(slot, goes left)``, and its value."""
    slot = {int(node): i for i, node in enumerate(nodes)}
    found, stack = [], [(0, [])]  # type: ignore[var-annotated]
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
