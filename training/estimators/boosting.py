"""LightGBM on what the linear part leaves, from the cell's state alone: levers act through the line.

Trees need not spend their leaves on the identity (tomorrow is mostly today): the line does that, smoothly. Nor may
they learn from a move what made its operators move. Trained on float64 rows that came from float32 features, with the
plain squared loss, one thread and a fixed order of summation, so the same seed and rows give the same trees in any
process.
"""

from typing import Any

import lightgbm
import numpy as np

from training.estimators.task import Task
from training.settings import BoostingSettings
from training.structures import Floats, Ints, Structure, Sum, Tree, TreeEnsemble, parts

_BINS = 127


def fit_boosting(task: Task, line: Structure, settings: BoostingSettings) -> Sum:
    """Return the linear part plus m boosted ensembles fitted to its residuals, member by member."""
    return Sum(parts=(*parts(line), fit_trees(task, line.members(task.z), settings)))


def fit_trees(task: Task, offset: Floats, settings: BoostingSettings) -> TreeEnsemble:
    """Fit m boosted ensembles to ``y - offset``: offset (n, m), one column per member."""
    columns = _columns(task)
    fill = np.nan_to_num(np.nanmean(task.z[:, columns], axis=0))
    data = lightgbm.Dataset(
        task.z[:, columns],
        label=task.y - offset[:, 0],
        params={"max_bin": _BINS, "verbosity": -1, "num_threads": 1, "feature_pre_filter": False},
        free_raw_data=False,
    ).construct()
    members: list[tuple[Tree, ...]] = []
    base = np.empty(task.m)
    for j in range(task.m):
        weight, target = task.weights[:, j], task.y - offset[:, j]
        base[j] = weight @ target / weight.sum()
        data.set_label(target - base[j])
        data.set_weight(weight)
        booster = lightgbm.train(_parameters(settings, task.seed + j), data, num_boost_round=settings.trees)
        members.append(read_trees(booster, columns, fill))
    return TreeEnsemble(member_trees=tuple(members), base=base)


def _columns(task: Task) -> Ints:
    """Return the columns that trees see: not line-wide ones, by which they would learn dates, and no lever's move."""
    seen = task.local.copy()
    for lever in task.levers:
        seen[[lever.value, lever.move]] = False
    return np.flatnonzero(seen)


def _parameters(settings: BoostingSettings, seed: int) -> dict[str, Any]:
    return {
        "objective": "regression",
        "boost_from_average": False,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "feature_fraction": settings.column_share,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "max_bin": _BINS,
        "feature_pre_filter": False,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def read_trees(booster: lightgbm.Booster, columns: Ints, fill: Floats) -> tuple[Tree, ...]:
    """Return the trees of ``booster``, whose features are ``columns`` (p,) of Z.

    A node that saw NaN in training knows where to send it. One that never did would read NaN as 0.0, which no bath
    temperature is; it sends NaN where the column's training mean ``fill`` (p,) goes.
    """
    return tuple(_tree(info["tree_structure"], columns, fill) for info in booster.dump_model()["tree_info"])


def _tree(root: dict[str, Any], columns: Ints, fill: Floats) -> Tree:
    nodes: list[dict[str, Any]] = []
    leaves: list[float] = []

    def place(node: dict[str, Any]) -> int:
        if "leaf_value" in node:
            leaves.append(float(node["leaf_value"]))
            return -len(leaves)
        index = len(nodes)
        nodes.append(node)
        node["children"] = (place(node["left_child"]), place(node["right_child"]))
        return index

    place(root)
    used = np.array([node["split_feature"] for node in nodes], dtype=np.int64)
    threshold = np.array([node["threshold"] for node in nodes], dtype=np.float64)
    learnt = np.array([node["missing_type"] == "NaN" for node in nodes], dtype=bool)
    default_left = np.array([node["default_left"] for node in nodes], dtype=bool)
    children = np.array([node["children"] for node in nodes], dtype=np.int64).reshape(-1, 2)
    return Tree(
        feature=np.asarray(columns[used]),
        threshold=threshold,
        nan_left=np.where(learnt, default_left, fill[used] <= threshold),
        left=children[:, 0],
        right=children[:, 1],
        value=np.array(leaves, dtype=np.float64),
    )
