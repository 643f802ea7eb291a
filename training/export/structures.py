"""The members of many structures as graph nodes, each distinct term once and alike terms side by side."""

from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from features.bundle.graph import DESIGN, FEATURES
from features.design import LeverColumns
from training.export.leaves import kind, stacked, write_leaves, write_mean
from training.export.terms import Leaf, Step, Terms
from training.export.writer import GraphWriter
from training.structures import Structure


def write_design(writer: GraphWriter, width: int, levers: LeverColumns) -> str:
    """Return the name of the design matrix (n, d + k): ``features.design.design`` on the graph's input (n, d)."""
    if not levers:
        return writer.node("Cast", FEATURES, to=TensorProto.DOUBLE, name=DESIGN)
    wide = writer.node("Cast", FEATURES, to=TensorProto.DOUBLE)
    columns = np.asarray(levers, dtype=np.int64)
    if columns.min() < 0 or columns.max() >= width:
        raise ValueError(f"lever columns {columns.tolist()} lie outside the {width} features")
    lever, reference = (writer.node("Gather", wide, writer.constant(side), axis=1) for side in columns.T)
    return writer.node("Concat", wide, writer.node("Sub", lever, reference), axis=1, name=DESIGN)


def write_members(writer: GraphWriter, structure: Structure, width: int) -> str:
    """Return the name of one structure's members (n, m), on a design matrix of ``width`` columns."""
    stack = Members(writer, [structure], width).stack([structure])
    return writer.node("Squeeze", stack, writer.constant([0]))


class _Place(NamedTuple):
    """Slice ``at`` of the stack (size, n, ...) called ``stack``."""

    stack: str
    size: int
    at: int


class Members:
    """The members of structures, written as stacks (s, n, m): one slice a term, one node for many terms."""

    def __init__(self, writer: GraphWriter, structures: Sequence[Structure], width: int) -> None:
        """Write all that ``structures`` need, on a design matrix of ``width`` columns.

        Raises:
            TypeError: a structure that this exporter does not know.
        """
        self._writer = writer
        self._terms: dict[int, Terms] = {}
        self._places: dict[tuple[int, int], _Place] = {}
        for structure in structures:
            self._terms.setdefault(structure.m, Terms()).add(structure)
        for m, terms in self._terms.items():
            self._write(m, terms, width)

    def stack(self, structures: Sequence[Structure]) -> str:
        """Return the name of the members (s, n, m) of ``structures``, which have the same m."""
        return self._side_by_side([self._place(structure) for structure in structures])

    def means(self, structures: Sequence[Structure]) -> str:
        """Return the name of the predictions (s, n) of ``structures``: means over members."""
        places: dict[int, _Place] = {}
        for m in dict.fromkeys(structure.m for structure in structures):
            which = [i for i, structure in enumerate(structures) if structure.m == m]
            mean = write_mean(self._writer, self.stack([structures[i] for i in which]), m)
            places |= {i: _Place(mean, len(which), at) for at, i in enumerate(which)}
        return self._side_by_side([places[i] for i in range(len(structures))])

    def _place(self, structure: Structure) -> _Place:
        return self._places[structure.m, self._terms[structure.m].add(structure)]

    def _write(self, m: int, terms: Terms, width: int) -> None:
        leaves: dict[Hashable, list[tuple[int, Leaf]]] = {}
        for number, leaf in terms.leaves():
            leaves.setdefault(kind(leaf), []).append((number, leaf))
        for alike in leaves.values():
            self._put(
                m, [at for at, _ in alike], write_leaves(self._writer, [leaf for _, leaf in alike], width)
            )
        for steps in terms.alike():
            self._put(m, [at for at, _ in steps], self._step(m, terms, [step for _, step in steps]))

    def _put(self, m: int, numbers: Sequence[int], stack: str) -> None:
        self._places |= {(m, at): _Place(stack, len(numbers), i) for i, at in enumerate(numbers)}

    def _step(self, m: int, terms: Terms, steps: Sequence[Step]) -> str:
        """Return the stack of alike ``steps``."""
        left, right = (
            self._operands(m, terms, [getattr(step, side) for step in steps]) for side in ("left", "right")
        )
        return self._writer.node(steps[0].operator, left, right)

    def _operands(self, m: int, terms: Terms, numbers: Sequence[int]) -> str:
        values = [terms[at] for at in numbers]
        if all(isinstance(value, float) for value in values):
            return stacked(self._writer, [np.full((1, 1), value) for value in values])
        return self._side_by_side([self._places[m, at] for at in numbers])

    def _side_by_side(self, places: Sequence[_Place]) -> str:
        """Return the stack of ``places`` in order."""
        sizes = {place.stack: place.size for place in places}
        first = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
        at = [first[place.stack] + place.at for place in places]
        whole = next(iter(sizes)) if len(sizes) == 1 else self._writer.node("Concat", *sizes, axis=0)
        if at == list(range(sum(sizes.values()))):
            return whole
        return self._writer.node("Gather", whole, self._writer.constant(at), axis=0)
