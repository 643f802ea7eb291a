"""Binary trees as plain arrays, and how a whole ensemble of them is walked together."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

CELLS_AT_ONCE = 2_000_000
"""Rows x trees that are walked together: a memory bound."""


def require(holds: bool, message: str) -> None:
    """Raise ValueError(message) unless ``holds``: the check that every structure makes at construction."""
    if not holds:
        raise ValueError(message)


def _same(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.shape == right.shape and bool(
            np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        )
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


class Value:
    """Equality by content for dataclasses that hold arrays."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash(type(self).__name__)


@dataclass(frozen=True, eq=False)
class Tree(Value):
    """One binary tree with ``p`` inner nodes and ``p + 1`` leaves; a tree without inner nodes is one leaf.

    feature (p,) column of Z; threshold (p,): a row goes left where ``Z <= threshold``; nan_left (p,): where NaN
    goes (already resolved: a node that never saw NaN reads it as 0.0, as LightGBM does); left, right (p,): the
    child node, or ``-1 - leaf``; value (p + 1,) leaf values. Node 0 is the root and children follow parents.
    """

    feature: Ints
    threshold: Floats
    nan_left: Bools
    left: Ints
    right: Ints
    value: Floats

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, non-finite numbers and children that do not exist."""
        p = len(self.feature)
        lengths = {len(self.threshold), len(self.nan_left), len(self.left), len(self.right), p}
        require(len(lengths) == 1, f"tree arrays have lengths {sorted(lengths)}; they must agree")
        require(len(self.value) == p + 1, f"{len(self.value)} leaves for {p} nodes; a tree has one more leaf")
        require(bool(np.isfinite(self.threshold).all()), "a tree threshold is not finite")
        require(bool(np.isfinite(self.value).all()), "a leaf value is not finite")
        children = np.sort(np.concatenate([self.left, self.right]))
        expected = np.sort(np.concatenate([np.arange(1, p), -1 - np.arange(p + 1)])) if p else children
        require(
            np.array_equal(children, expected), "tree children must name every node and leaf exactly once"
        )


@dataclass(frozen=True)
class Forest:
    """All trees of an ensemble in one table, so that they are walked together: node i of tree t is first[t] + i."""

    count: int
    first: Ints
    first_leaf: Ints
    feature: Ints
    threshold: Floats
    nan_left: Bools
    left: Ints
    right: Ints
    value: Floats

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> "Forest":
        """Return the table of ``trees``."""
        sizes = np.array([len(tree.feature) for tree in trees], dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(trees) else sizes
        first_leaf = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]]) if len(trees) else sizes
        # A child is a global node >= 0, or -1 - global leaf.
        shift = np.repeat(first, sizes), np.repeat(first_leaf, sizes)
        left, right = (
            np.where(child >= 0, child + shift[0], child - shift[1])
            for child in (_joined([t.left for t in trees]), _joined([t.right for t in trees]))
        )
        return cls(
            len(trees),
            np.where(sizes > 0, first, -1 - first_leaf),
            first_leaf,
            _joined([tree.feature for tree in trees]),
            _joined([tree.threshold for tree in trees]),
            _joined([tree.nan_left for tree in trees]),
            left,
            right,
            _joined([tree.value for tree in trees]),
        )

    def values(self, z: Floats) -> Floats:
        """Return the leaf value (n, t) of every row and tree."""
        node = np.repeat(self.first[None, :], len(z), axis=0).ravel()
        row = np.repeat(np.arange(len(z)), self.count)
        going = np.flatnonzero(node >= 0)
        while going.size:
            at = node[going]
            x = z[row[going], self.feature[at]]
            goes_left = (x <= self.threshold[at]) | (np.isnan(x) & self.nan_left[at])
            after = np.where(goes_left, self.left[at], self.right[at])
            node[going] = after
            going = going[after >= 0]
        return np.asarray(self.value[-1 - node].reshape(len(z), self.count))


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0)
