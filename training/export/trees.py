"""Tree ensembles as ``ai.onnx.ml`` 5 TreeEnsemble nodes in double.

One node per member with one target: measured on 35 members of 60 trees, nodes with several targets answer a batch
of 1,024 rows 12 % slower and a single row no faster. The runtime adds a node's leaves in the order of its trees, so
a base that comes first as a tree of one leaf makes its sum the trained one to the last bit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from onnx import numpy_helper

from features.bundle.graph import ML
from training.export.writer import Attribute, GraphWriter
from training.structures import Bools, Floats, Ints, Tree, TreeEnsemble

_LEQ = 0
_SUM = 1
_NO_TRANSFORM = 0


def write_trees(writer: GraphWriter, ensemble: TreeEnsemble, design: str) -> str:
    """Return the name of ``ensemble``'s members (n, m) on ``design`` (n, z)."""
    members = [
        writer.node("TreeEnsemble", design, domain=ML, attributes=_attributes([_leaf(base), *trees]))
        for trees, base in zip(ensemble.member_trees, ensemble.base.tolist(), strict=True)
    ]
    return members[0] if len(members) == 1 else writer.node("Concat", *members, axis=1)


def _leaf(value: float) -> Tree:
    none, no = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    return Tree(none, np.empty(0), no, none, none, np.array([value]))


def _attributes(trees: Sequence[Tree]) -> dict[str, Attribute]:
    parts = [_nodes(tree) for tree in trees]
    node_at = np.cumsum([0, *(len(part.feature) for part in parts)])
    leaf_at = np.cumsum([0, *(len(part.value) for part in parts)])
    left = _children([part.left for part in parts], node_at, leaf_at)
    right = _children([part.right for part in parts], node_at, leaf_at)
    nan_left = np.concatenate([part.nan_left for part in parts])
    return {
        "aggregate_function": _SUM,
        "post_transform": _NO_TRANSFORM,
        "n_targets": 1,
        "tree_roots": node_at[:-1].tolist(),
        "nodes_featureids": np.concatenate([part.feature for part in parts]).tolist(),
        "nodes_splits": numpy_helper.from_array(np.concatenate([part.threshold for part in parts])),
        "nodes_modes": numpy_helper.from_array(np.full(int(node_at[-1]), _LEQ, dtype=np.uint8)),
        "nodes_missing_value_tracks_true": nan_left.astype(np.int64).tolist(),
        "nodes_truenodeids": left[0],
        "nodes_trueleafs": left[1],
        "nodes_falsenodeids": right[0],
        "nodes_falseleafs": right[1],
        "leaf_weights": numpy_helper.from_array(np.concatenate([part.value for part in parts])),
        "leaf_targetids": [0] * int(leaf_at[-1]),
    }


class _Nodes(NamedTuple):
    """A tree's arrays as the operator wants them: at least one node."""

    feature: Ints
    threshold: Floats
    nan_left: Bools
    left: Ints
    right: Ints
    value: Floats


def _nodes(tree: Tree) -> _Nodes:
    if len(tree.feature):
        return _Nodes(tree.feature, tree.threshold, tree.nan_left, tree.left, tree.right, tree.value)
    # The operator knows no bare leaf: a node whose two ways lead to the same one stands for it.
    zero, leaf = np.zeros(1, dtype=np.int64), np.full(1, -1, dtype=np.int64)
    return _Nodes(zero, np.zeros(1), np.ones(1, dtype=np.bool_), leaf, leaf, tree.value)


def _children(children: Sequence[Ints], node_at: Ints, leaf_at: Ints) -> tuple[list[int], list[int]]:
    """Return (index, is leaf) over all trees of what ``children`` (``-1 - leaf`` or node) says tree by tree."""
    index = [
        np.where(child < 0, -1 - child + leaves, child + nodes)
        for child, nodes, leaves in zip(children, node_at[:-1], leaf_at[:-1], strict=True)
    ]
    is_leaf = np.concatenate(children) < 0
    return np.concatenate(index).tolist(), is_leaf.astype(int).tolist()
