"""Tree ensembles of a graph as flat arrays, and the boxes of them that a cell's levers can reach.

With the context fixed most branches are dead. What is left of a tree is a set of leaves, each with the box of lever
grid indices that leads to it; a tree ensemble on the lever grid is the sum of those boxes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from features.errors import BundleForeignError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int16]
_Front = tuple[Ints, Ints, Indices, Indices]
"""Nodes or leaves (f,), their trees (f,), and the low and high (k, f) of the box that leads to each."""

_LEQ, _LT, _GTE, _GT = 0, 1, 2, 3
_SUM = 1


@dataclass(frozen=True)
class Forest:
    """Every tree of one or several ensembles that read the same matrix Z, in flat arrays.

    Inner nodes: feature (p,) column of Z; threshold (p,); low_child, high_child (p,) where a row goes with
    ``Z <= threshold`` and otherwise; nan_low (p,) whether NaN goes low. A child >= 0 is a node, ``-1 - leaf`` a leaf.
    Leaves: value (q,), column (q,) of the output matrix (``columns`` wide). roots (trees,).
    """

    feature: Ints
    threshold: Floats
    low_child: Ints
    high_child: Ints
    nan_low: Bools
    value: Floats
    column: Ints
    roots: Ints
    columns: int

    @cached_property
    def _by_feature(self) -> tuple[Ints, Ints]:
        """Nodes (p,) ordered by the column that they read, and those columns in that order."""
        order = np.argsort(self.feature, kind="stable")
        return order, self.feature[order]

    def reading(self, column: int) -> Ints:
        """Return the inner nodes that compare ``column`` of Z."""
        order, feature = self._by_feature
        first, end = np.searchsorted(feature, [column, column + 1])
        return order[first:end]


@dataclass(frozen=True)
class Boxes:
    """What is reachable: constant (columns,) plus ``b`` boxes of grid indices.

    low, high (k, b): a box holds the grid indices ``low <= i < high`` of each lever; value, column, tree (b,).
    The boxes of one tree tile the grid, unless the tree is one constant.
    """

    constant: Floats
    low: Indices
    high: Indices
    value: Floats
    column: Ints
    tree: Ints

    def pick(self, which: Ints) -> "Boxes":
        """Return the same with only the boxes ``which`` (indices)."""
        return Boxes(
            self.constant,
            self.low[:, which],
            self.high[:, which],
            self.value[which],
            self.column[which],
            self.tree[which],
        )


def read_forest(nodes: Sequence[onnx.NodeProto]) -> Forest:
    """Return the ``ai.onnx.ml`` TreeEnsemble ``nodes``, side by side: the first one's targets come first.

    Raises:
        BundleForeignError: an aggregate, transform or comparison that an exported bundle never holds.
    """
    parts = [_read_ensemble(node) for node in nodes]
    node_at = np.cumsum([0, *(len(part.feature) for part in parts)])
    leaf_at = np.cumsum([0, *(len(part.value) for part in parts)])
    column_at = np.cumsum([0, *(part.columns for part in parts)])
    shifted = [
        (
            _shift(part.low_child, node_at[i], leaf_at[i]),
            _shift(part.high_child, node_at[i], leaf_at[i]),
            part.column + column_at[i],
            part.roots + node_at[i],
        )
        for i, part in enumerate(parts)
    ]
    low_child, high_child, column, roots = (np.concatenate(arrays) for arrays in zip(*shifted, strict=True))
    return Forest(
        feature=np.concatenate([part.feature for part in parts]),
        threshold=np.concatenate([part.threshold for part in parts]),
        low_child=low_child,
        high_child=high_child,
        nan_low=np.concatenate([part.nan_low for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        column=column,
        roots=roots,
        columns=int(column_at[-1]),
    )


@dataclass(frozen=True)
class Axes:
    """How the levers move the columns of Z on their grid.

    sizes (k,): grid values of each lever. columns: column of Z -> (its lever, its value (g,) at each grid index,
    all rising or all falling). A column that is not named does not move.
    """

    sizes: Indices
    columns: Mapping[int, tuple[int, Floats]]

    def __post_init__(self) -> None:
        """Refuse columns that turn: a threshold on them would be no interval of grid indices.

        Raises:
            BundleForeignError: as said.
        """
        for column, (lever, values) in self.columns.items():
            steps = np.diff(values)
            if len(values) != self.sizes[lever] or not bool((steps > 0).all() or (steps < 0).all()):
                raise BundleForeignError(
                    f"design column {column} does not rise or fall with lever {lever} over its {self.sizes[lever]} grid"
                    " values; the bundle was not exported by this house"
                )


def prune(forest: Forest, z: Floats, axes: Axes) -> Boxes:
    """Return what of ``forest`` the levers can reach around the context row ``z`` (columns of Z,)."""
    lever_of, edge, falls = _edges(forest, axes)
    x = z[forest.feature]
    goes_low = np.where(np.isnan(x), forest.nan_low, x <= forest.threshold)
    fixed_child = np.where(goes_low, forest.low_child, forest.high_child)
    node, tree = forest.roots, np.arange(len(forest.roots))
    low = np.zeros((len(axes.sizes), len(node)), dtype=np.int16)
    high = np.repeat(axes.sizes[:, None], len(node), axis=1)
    found: list[_Front] = []
    while node.size:
        open_ = lever_of[node] >= 0
        fixed = fixed_child[node[~open_]], tree[~open_], low[:, ~open_], high[:, ~open_]
        at, of, box_low, box_high = node[open_], tree[open_], low[:, open_], high[:, open_]
        lever, cut, each = lever_of[at], edge[at], np.arange(len(at))
        low_child, high_child, turned = forest.low_child[at], forest.high_child[at], falls[at]
        first, last = np.where(turned, high_child, low_child), np.where(turned, low_child, high_child)
        below, above = box_high.copy(), box_low.copy()
        below[lever, each] = np.minimum(below[lever, each], cut)
        above[lever, each] = np.maximum(above[lever, each], cut)
        front = _join(
            [
                fixed,
                _alive((first, of, box_low, below), lever),
                _alive((last, of, above, box_high), lever),
            ]
        )
        found.append(_pick(front, front[0] < 0))
        node, tree, low, high = _pick(front, front[0] >= 0)
    return _boxes(forest, axes, _join(found))


def _pick(front: _Front, which: Bools) -> _Front:
    node, tree, low, high = front
    return node[which], tree[which], low[:, which], high[:, which]


def _join(fronts: Sequence[_Front]) -> _Front:
    node, tree, low, high = zip(*fronts, strict=True)
    return (
        np.concatenate(node),
        np.concatenate(tree),
        np.concatenate(low, axis=1),
        np.concatenate(high, axis=1),
    )


def _alive(front: _Front, lever: Ints) -> _Front:
    """Drop what a lever's last cut left without a grid value."""
    each = np.arange(len(lever))
    return _pick(front, front[2][lever, each] < front[3][lever, each])


def _edges(forest: Forest, axes: Axes) -> tuple[Ints, Indices, Bools]:
    """Return for each node its lever (-1: none), how many of that lever's first grid values go one way, and which.

    They go low where the column rises with the lever, and high where it falls.
    """
    lever_of = np.full(len(forest.feature), -1, dtype=np.int64)
    edge = np.zeros(len(forest.feature), dtype=np.int16)
    falls = np.zeros(len(forest.feature), dtype=np.bool_)
    for column, (lever, values) in axes.columns.items():
        at = forest.reading(column)
        lever_of[at] = lever
        falling = bool(values[0] > values[-1])
        falls[at] = falling
        low = np.searchsorted(values[::-1] if falling else values, forest.threshold[at], side="right")
        edge[at] = len(values) - low if falling else low
    return lever_of, edge, falls


def _boxes(forest: Forest, axes: Axes, leaves: _Front) -> Boxes:
    node, tree, low, high = leaves
    value, column = forest.value[-1 - node], forest.column[-1 - node]
    whole = (low == 0).all(axis=0) & (high == axes.sizes[:, None]).all(axis=0)
    constant = np.zeros(forest.columns)
    np.add.at(constant, column[whole], value[whole])
    boxes = Boxes(constant, low, high, value, column, tree)
    return boxes.pick(np.flatnonzero(~whole))


def _shift(child: Ints, nodes: int, leaves: int) -> Ints:
    return np.where(child >= 0, child + nodes, child - leaves)


def _read_ensemble(node: onnx.NodeProto) -> Forest:
    """Return one node's trees with every comparison turned into ``<=``."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if attributes.get("aggregate_function", _SUM) != _SUM or attributes.get("post_transform", 0) != 0:
        raise BundleForeignError(f"tree node {node.name!r} does not plainly add its leaves; export it again")
    modes = numpy_helper.to_array(attributes["nodes_modes"])
    if not np.isin(modes, (_LEQ, _LT, _GTE, _GT)).all():
        raise BundleForeignError(
            f"tree node {node.name!r} compares by modes {sorted(set(modes.tolist()))}; only <=, <, >= and > can be"
            " searched: train without categorical columns"
        )
    true_child = _children(attributes["nodes_truenodeids"], attributes["nodes_trueleafs"])
    false_child = _children(attributes["nodes_falsenodeids"], attributes["nodes_falseleafs"])
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    nan_true = np.asarray(tracks, dtype=bool)
    flipped = np.isin(modes, (_GTE, _GT))
    threshold = numpy_helper.to_array(attributes["nodes_splits"])
    if threshold.dtype != np.float64:
        raise BundleForeignError(
            f"tree node {node.name!r} holds {threshold.dtype} thresholds; export it in double"
        )
    # x < t is x <= the double before t; x >= t is its opposite, and x > t that of x <= t.
    threshold = np.where(np.isin(modes, (_LT, _GTE)), np.nextafter(threshold, -np.inf), threshold)
    return Forest(
        feature=np.asarray(attributes["nodes_featureids"], dtype=np.int64),
        threshold=threshold,
        low_child=np.where(flipped, false_child, true_child),
        high_child=np.where(flipped, true_child, false_child),
        nan_low=np.where(flipped, ~nan_true, nan_true),
        value=numpy_helper.to_array(attributes["leaf_weights"]).astype(np.float64),
        column=np.asarray(attributes["leaf_targetids"], dtype=np.int64),
        roots=np.asarray(attributes["tree_roots"], dtype=np.int64),
        columns=int(attributes.get("n_targets", 1)),
    )


def _children(ids: Sequence[int], is_leaf: Sequence[int]) -> Ints:
    child = np.asarray(ids, dtype=np.int64)
    return np.where(np.asarray(is_leaf, dtype=bool), -1 - child, child)
