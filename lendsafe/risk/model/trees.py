"""Boosted trees as arrays: read from XGBoost's document, checked, and written back.

XGBoost trusts what it reads: an index out of range in a model file ends the process. So no file
goes to XGBoost. Its values are checked here, and XGBoost gets a document that this module wrote.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import RefusedError

MAX_DEPTH = 3
MAX_TREES = 10_000
NO_PARENT = 2**31 - 1


@dataclass(frozen=True)
class Tree:
    """One regression tree; node 0 is the root, a leaf has ``left == -1``.

    Attributes:
        left: Left child of each node, ``(nodes,)``.
        right: Right child.
        feature: Feature that a node splits on.
        threshold: ``x < threshold`` goes left; a leaf's value in ``value`` instead.
        default_left: Where a missing value goes.
        value: Leaf values, log-odds; 0 at inner nodes.
        hessian: Cover of each node, which path-dependent attributions weigh by.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    default_left: NDArray[np.bool_]
    value: NDArray[np.float32]
    hessian: NDArray[np.float32]

    @property
    def leaves(self) -> NDArray[np.bool_]:
        """Which nodes are leaves."""
        return self.left < 0


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaf values add up to the log-odds, and where they start.

    Attributes:
        trees: In the order of boosting.
        features: Number of features.
        base: Log-odds without any tree.
    """

    trees: tuple[Tree, ...]
    features: int
    base: float


def from_document(document: Any) -> Ensemble:
    """Check an XGBoost model document (JSON or decoded UBJSON) and take its trees out.

    Raises:
        RefusedError: If anything is absent, of the wrong kind or length, out of range, or the
            nodes of a tree do not form a tree of depth 3 at most.
    """
    learner = _get(document, "learner", dict)
    booster = _get(learner, "gradient_booster", dict)
    if booster.get("name") != "gbtree" or _get(learner, "objective", dict).get("name") != "binary:logistic":
        raise RefusedError("The model is not a binary logistic gbtree.")
    parameters = _get(learner, "learner_model_param", dict)
    features = _whole(parameters.get("num_feature"), "num_feature", 1, 10_000)
    base = _base(parameters.get("base_score"))
    rows = _get(_get(booster, "model", dict), "trees", list)
    if not 0 < len(rows) <= MAX_TREES:
        raise RefusedError(f"The model has {len(rows)} trees; expected 1 to {MAX_TREES}.")
    return Ensemble(tuple(_tree(row, features, i) for i, row in enumerate(rows)), features, base)


def to_document(ensemble: Ensemble) -> dict[str, Any]:
    """The document that XGBoost reads, written from checked values alone."""
    probability = 1 / (1 + math.exp(-ensemble.base))
    count = len(ensemble.trees)
    model = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(count)},
        "iteration_indptr": list(range(count + 1)),
        "tree_info": [0] * count,
        "trees": [_row(tree, i, ensemble.features) for i, tree in enumerate(ensemble.trees)],
        "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
    }
    return {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {"model": model, "name": "gbtree"},
            "learner_model_param": {
                "base_score": f"[{probability!r}]",
                "boost_from_average": "1",
                "num_class": "0",
                "num_feature": str(ensemble.features),
                "num_target": "1",
            },
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": [3, 0, 0],
    }


def margins(ensemble: Ensemble, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that the trees say, ``(n,)``, of rows ``(n, features)``, NaN where not known.

    Slower than XGBoost, and independent of it: what XGBoost computes is compared with it.
    """
    rows = np.asarray(values, dtype=np.float32)  # XGBoost compares in float32
    index, total = np.arange(len(rows)), np.full(len(rows), ensemble.base)
    for tree in ensemble.trees:
        node = np.zeros(len(rows), dtype=np.int64)
        for _ in range(MAX_DEPTH):
            x = rows[index, tree.feature[node]]
            goes_left = np.where(np.isnan(x), tree.default_left[node], x < tree.threshold[node])
            child = np.where(goes_left, tree.left[node], tree.right[node])
            node = np.where(child < 0, node, child)
        total += tree.value[node]
    return total


def unknown_to_riskier(ensemble: Ensemble, columns: NDArray[np.bool_]) -> Ensemble:
    """Send values that are not known to the riskier side of every split on some columns.

    The riskier side is the one with the higher mean output of its leaves, weighted by cover.

    Args:
        ensemble: Trees.
        columns: On which columns, ``(features,)``.
    """
    return replace(ensemble, trees=tuple(_to_riskier(tree, columns) for tree in ensemble.trees))


def _to_riskier(tree: Tree, columns: NDArray[np.bool_]) -> Tree:
    mean = tree.value.astype(np.float64)
    for node in range(len(mean) - 1, -1, -1):  # children come after their parents
        if tree.left[node] >= 0:
            pair = [tree.left[node], tree.right[node]]
            mean[node] = np.average(mean[pair], weights=tree.hessian[pair] + 1e-9)
    riskier = mean[tree.left] > mean[tree.right]
    chosen = columns[tree.feature] & ~tree.leaves
    return replace(tree, default_left=np.where(chosen, riskier, tree.default_left))


def _tree(row: Any, features: int, number: int) -> Tree:
    where = f"tree {number}"
    if not isinstance(row, dict):
        raise RefusedError(f"{where} is {type(row).__name__}; expected an object.")
    if any(len(row.get(key) or ()) for key in ("categories", "categories_nodes")):
        raise RefusedError(f"{where} has categorical splits, which this model never has.")
    left = _integers(row, "left_children", where)
    nodes = len(left)
    if not 0 < nodes < 2 ** (MAX_DEPTH + 1):
        raise RefusedError(f"{where} has {nodes} nodes; expected 1 to {2 ** (MAX_DEPTH + 1) - 1}.")
    right, feature = (
        _integers(row, "right_children", where, nodes),
        _integers(row, "split_indices", where, nodes),
    )
    conditions, hessian = (
        _floats(row, "split_conditions", where, nodes),
        _floats(row, "sum_hessian", where, nodes),
    )
    default_left = _integers(row, "default_left", where, nodes) != 0
    if feature.min() < 0 or feature.max() >= features:
        raise RefusedError(f"{where} splits on a feature outside 0 to {features - 1}.")
    if hessian.min() < 0:
        raise RefusedError(f"{where} has a negative cover.")
    _check_shape(left, right, where)
    leaves = left < 0
    value = np.where(leaves, conditions, np.float32(0))
    return Tree(left, right, feature, conditions, default_left, value, hessian)


def _check_shape(left: NDArray[np.int64], right: NDArray[np.int64], where: str) -> None:
    """Every node but the root is the child of exactly one earlier node, no deeper than allowed."""
    depth = {0: 0}
    for node, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        if node not in depth:
            raise RefusedError(f"{where}: node {node} has no parent.")
        if (a < 0) != (b < 0):
            raise RefusedError(f"{where}: node {node} has one child.")
        for child in (a, b) if a >= 0 else ():
            if not node < child < len(left) or child in depth:
                raise RefusedError(f"{where}: node {node} has the impossible child {child}.")
            depth[child] = depth[node] + 1
    if max(depth.values()) > MAX_DEPTH:
        raise RefusedError(f"{where} is {max(depth.values())} deep; expected {MAX_DEPTH} at most.")


def _row(tree: Tree, number: int, features: int) -> dict[str, Any]:
    nodes = len(tree.left)
    parents = [NO_PARENT] * nodes
    for node, children in enumerate(zip(tree.left.tolist(), tree.right.tolist(), strict=True)):
        for child in children:
            if child >= 0:
                parents[child] = node
    return {
        "base_weights": tree.value.astype(float).tolist(),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": tree.default_left.astype(int).tolist(),
        "id": number,
        "left_children": tree.left.tolist(),
        "loss_changes": [0.0] * nodes,
        "parents": parents,
        "right_children": tree.right.tolist(),
        "split_conditions": tree.threshold.astype(float).tolist(),
        "split_indices": tree.feature.tolist(),
        "split_type": [0] * nodes,
        "sum_hessian": tree.hessian.astype(float).tolist(),
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(features),
            "num_nodes": str(nodes),
            "size_leaf_vector": "1",
        },
    }


def _get(table: Any, key: str, kind: type) -> Any:
    value = table.get(key) if isinstance(table, Mapping) else None
    if not isinstance(value, kind):
        raise RefusedError(f"The model has no proper '{key}'.")
    return value


def _whole(value: Any, name: str, low: int, high: int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise RefusedError(f"The model's '{name}' is {text[:40]!r}; expected {low} to {high}.")
    return int(text)


def _base(value: Any) -> float:
    try:
        probability = float(str(value).strip("[]"))
    except ValueError:
        probability = math.nan
    if not 0 < probability < 1:
        raise RefusedError(f"The model's base score is {str(value)[:40]!r}; expected a probability.")
    return math.log(probability / (1 - probability))


def _integers(row: Mapping[str, Any], key: str, where: str, length: int | None = None) -> NDArray[np.int64]:
    values = _list(row, key, where, length)
    if not all(isinstance(v, int) and -1 <= v < NO_PARENT for v in values):
        raise RefusedError(f"{where}: '{key}' holds something that is no index.")
    return np.array([int(v) for v in values], dtype=np.int64)


def _floats(row: Mapping[str, Any], key: str, where: str, length: int) -> NDArray[np.float32]:
    values = _list(row, key, where, length)
    if not all(isinstance(v, int | float) and abs(v) < 1e30 for v in values):
        raise RefusedError(f"{where}: '{key}' holds something that is no finite number.")
    return np.array(values, dtype=np.float32)


def _list(row: Mapping[str, Any], key: str, where: str, length: int | None) -> Sequence[Any]:
    values = row.get(key)
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise RefusedError(f"{where}: '{key}' is absent or of the wrong length.")
    return values
