"""Any plain LightGBM regressor as a structure, to the last bit of its raw prediction.

LightGBM compares a double with a double, and reads a missing value at each node by that node's own rule: a node
that saw NaN in training has a side for it; one that never did reads NaN as 0.0. Both are known when the tree is
read, so a tree becomes thresholds and one bit a node.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import lightgbm
import numpy as np

from features.errors import ExportError
from training.structures import Tree, TreeEnsemble

_IDENTITY: Final = frozenset({"regression", "regression_l1", "huber", "fair", "quantile", "mape"})
"""Objectives whose prediction is the plain sum of the trees' leaves."""
_ZERO: Final = float(np.float32(1e-35))
"""LightGBM takes numbers up to this size for 0.0 (kZeroThreshold)."""


def read_boosters(boosters: Sequence[lightgbm.Booster]) -> TreeEnsemble:
    """Return the ensemble whose member j predicts what ``boosters[j].predict`` does.

    Raises:
        ExportError: linear leaves, categorical columns, zero read as missing, averaged trees, several outputs, or an
            objective that transforms the sum; the message says which.
    """
    if not boosters:
        raise ExportError("no booster to export; give at least one")
    members = tuple(_read(booster, f"booster {j}") for j, booster in enumerate(boosters))
    return TreeEnsemble(member_trees=members, base=np.zeros(len(members)))


def _read(booster: lightgbm.Booster, name: str) -> tuple[Tree, ...]:
    model = booster.dump_model()
    if model["num_tree_per_iteration"] != 1:
        raise ExportError(
            f"{name} answers {model['num_tree_per_iteration']} outputs; export one booster an outcome"
        )
    if model.get("average_output"):
        raise ExportError(f"{name} averages its trees (random forest); train it with boosting=gbdt")
    objective = str(model.get("objective", "none")).split()
    if not objective or objective[0] not in _IDENTITY or "sqrt" in objective:
        raise ExportError(
            f"{name} has objective {' '.join(objective)!r}, whose prediction is no plain sum of leaves;"
            f" use one of {', '.join(sorted(_IDENTITY))}"
        )
    return tuple(
        _tree(info["tree_structure"], f"{name}, tree {i}") for i, info in enumerate(model["tree_info"])
    )


def _tree(root: Mapping[str, Any], name: str) -> Tree:
    nodes: list[Mapping[str, Any]] = []
    children: list[list[int]] = []
    leaves: list[float] = []

    def place(node: Mapping[str, Any]) -> int:
        if "leaf_value" in node:
            if "leaf_const" in node or "leaf_coeff" in node:
                raise ExportError(
                    f"{name} has linear leaves, which no tree operator holds: exported they would be wrong by"
                    " hundreds of kWh/t; train with linear_tree=False"
                )
            leaves.append(float(node["leaf_value"]))
            return -len(leaves)
        index = len(nodes)
        nodes.append(node)
        children.append([0, 0])
        children[index][:] = place(node["left_child"]), place(node["right_child"])
        return index

    place(root)
    ways = np.array(children, dtype=np.int64).reshape(-1, 2)
    return Tree(
        feature=np.array([node["split_feature"] for node in nodes], dtype=np.int64),
        threshold=np.array([_threshold(node, name) for node in nodes], dtype=np.float64),
        nan_left=np.array([_nan_left(node, name) for node in nodes], dtype=np.bool_),
        left=ways[:, 0],
        right=ways[:, 1],
        value=np.array(leaves, dtype=np.float64),
    )


def _threshold(node: Mapping[str, Any], name: str) -> float:
    if node["decision_type"] != "<=":
        raise ExportError(
            f"{name} splits column {node['split_feature']} by category ({node['decision_type']}); category codes that"
            " are no integers are answered differently by every exporter: train without categorical columns"
        )
    return _beside_zero(float(node["threshold"]))


def _beside_zero(threshold: float) -> float:
    """Return the threshold that compares every number as LightGBM does, which reads tiny ones as 0.0 first.

    It puts a threshold of -1e-35 between negative numbers and zero; a plain comparison would send -1e-35 itself the
    other way.
    """
    if -_ZERO <= threshold < 0.0:
        return float(np.nextafter(-_ZERO, -np.inf))
    return _ZERO if 0.0 <= threshold < _ZERO else threshold


def _nan_left(node: Mapping[str, Any], name: str) -> bool:
    if node["missing_type"] == "Zero":
        raise ExportError(f"{name} reads zero as missing; train with zero_as_missing=False")
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return float(node["threshold"]) >= 0.0  # NaN is read as 0.0
