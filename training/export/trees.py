"""Tree ensembles as ``ai.onnx.ml`` 5 TreeEnsemble nodes in double.

One node per member with one target: a node with several looks each leaf's target up, and answers a batch slower and a
single row no faster. The runtime adds a node's leaves in the order of its trees, so a base that comes first as a tree
of one leaf makes its sum the trained one to the last bit.

A walk costs what the processor guesses wrong. So every node is written such that its false branch, which lies beside
it in memory, is the one with more leaves (a leaf-wise tree splits where the rows are), and such that a missing value
needs no question of its own: trees read the ``SIDES`` of the design matrix. ``x > t`` is ``-x <= t'``, where ``t'`` is
the double before ``-t``; a value that is missing compares false where it stands as NaN and true where it is -inf.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from onnx import numpy_helper

from features.bundle.graph import DESIGN, ML, SIDES
from training.export.writer import Attribute, GraphWriter
from training.structures import Bools, Floats, Ints, Tree, TreeEnsemble

_LEQ = 0
_SUM = 1
_NO_TRANSFORM = 0
_LARGEST = np.finfo(np.float64).max


def write_trees(writer: GraphWriter, ensembles: Sequence[TreeEnsemble], width: int) -> list[str]:
    """Return the names of all members (n, 1) of ``ensembles`` in order, on a design matrix of ``width`` columns."""
    sides = _write_sides(writer)
    return [
        writer.node("TreeEnsemble", sides, domain=ML, attributes=_attributes([_leaf(base), *trees], width))
        for ensemble in ensembles
        for trees, base in zip(ensemble.member_trees, ensemble.base.tolist(), strict=True)
    ]


def _write_sides(writer: GraphWriter) -> str:
    missing, negative = writer.node("IsNaN", DESIGN), writer.node("Neg", DESIGN)
    least = writer.constant(np.float64(-np.inf))
    return writer.node(
        "Concat",
        DESIGN,
        writer.node("Where", missing, least, DESIGN),
        negative,
        writer.node("Where", missing, least, negative),
        axis=1,
        name=SIDES,
    )


def _leaf(value: float) -> Tree:
    none, no = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    return Tree(none, np.empty(0), no, none, none, np.array([value]))


def _attributes(trees: Sequence[Tree], width: int) -> dict[str, Attribute]:
    parts = [_nodes(tree, width) for tree in trees]
    node_at = np.cumsum([0, *(len(part.column) for part in parts)])
    leaf_at = np.cumsum([0, *(len(part.value) for part in parts)])
    true = _children([part.true for part in parts], node_at, leaf_at)
    false = _children([part.false for part in parts], node_at, leaf_at)
    return {
        "aggregate_function": _SUM,
        "post_transform": _NO_TRANSFORM,
        "n_targets": 1,
        "tree_roots": node_at[:-1].tolist(),
        "nodes_featureids": np.concatenate([part.column for part in parts]).tolist(),
        "nodes_splits": numpy_helper.from_array(np.concatenate([part.split for part in parts])),
        "nodes_modes": numpy_helper.from_array(np.full(int(node_at[-1]), _LEQ, dtype=np.uint8)),
        "nodes_truenodeids": true[0],
        "nodes_trueleafs": true[1],
        "nodes_falsenodeids": false[0],
        "nodes_falseleafs": false[1],
        "leaf_weights": numpy_helper.from_array(np.concatenate([part.value for part in parts])),
        "leaf_targetids": [0] * int(leaf_at[-1]),
    }


class _Nodes(NamedTuple):
    """A tree's arrays as the operator wants them, at least one node: true where ``sides[column] <= split``."""

    column: Ints
    split: Floats
    true: Ints
    false: Ints
    value: Floats


def _nodes(tree: Tree, width: int) -> _Nodes:
    if not len(tree.feature):
        # The operator knows no bare leaf: a node whose two ways lead to the same one stands for it.
        leaf = np.full(1, -1, dtype=np.int64)
        return _Nodes(np.zeros(1, dtype=np.int64), np.zeros(1), leaf, leaf, tree.value)
    turned = _heavy_left(tree) & (tree.threshold < _LARGEST)
    beyond = np.nextafter(np.where(turned, -tree.threshold, 0.0), -np.inf)
    missing_true = tree.nan_left ^ turned
    return _Nodes(
        tree.feature + width * (missing_true + 2 * turned),
        np.where(turned, beyond, tree.threshold),
        np.where(turned, tree.right, tree.left),
        np.where(turned, tree.left, tree.right),
        tree.value,
    )


def _heavy_left(tree: Tree) -> Bools:
    """Return (p,) whether more leaves hang on the left child of a node than on the right."""
    left, right = (np.ones(len(tree.feature), dtype=np.int64) for _ in range(2))
    for node in range(len(tree.feature) - 1, -1, -1):  # children follow parents
        for leaves, child in ((left, tree.left[node]), (right, tree.right[node])):
            if child >= 0:
                leaves[node] = left[child] + right[child]
    return np.asarray(left > right)


def _children(children: Sequence[Ints], node_at: Ints, leaf_at: Ints) -> tuple[list[int], list[int]]:
    """Return (index, is leaf) over all trees of what ``children`` (``-1 - leaf`` or node) says tree by tree."""
    index = [
        np.where(child < 0, -1 - child + leaves, child + nodes)
        for child, nodes, leaves in zip(children, node_at[:-1], leaf_at[:-1], strict=True)
    ]
    is_leaf = np.concatenate(children) < 0
    return np.concatenate(index).tolist(), is_leaf.astype(int).tolist()
