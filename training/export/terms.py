"""Structures taken apart into terms, each distinct one once.

A *leaf* (trees, lines, networks, constants) or a number is a term, and so is a *step*: one operation on two earlier
terms, in the order of operations that ``training.structures`` computes in. Whatever structures share, a whole model
inside an identity or the first two parts of a sum, is one term.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce, singledispatchmethod
from typing import TypeAlias

from training.structures import (
    CARBON_KG_PER_T,
    EFFICIENCY_FLOOR,
    ENERGY_KWH_V_PER_T,
    Blend,
    CarbonIdentity,
    Constant,
    EnergyIdentity,
    Linear,
    Network,
    Structure,
    Sum,
    TreeEnsemble,
)

Leaf: TypeAlias = Constant | Linear | Network | TreeEnsemble


@dataclass(frozen=True)
class Step:
    """``operator`` (Add, Div, Max or Mul) on two terms, given by their numbers."""

    operator: str
    left: int
    right: int


Term: TypeAlias = Leaf | Step | float


class Terms:
    """Distinct terms by number, operands before their steps."""

    def __init__(self) -> None:
        """Start with none."""
        self._terms: list[Term] = []
        self._numbers: dict[Term, int] = {}

    def __getitem__(self, number: int) -> Term:
        """Return the term ``number``."""
        return self._terms[number]

    def leaves(self) -> Iterator[tuple[int, Leaf]]:
        """Yield every leaf with its number."""
        for number, term in enumerate(self._terms):
            if not isinstance(term, Step | float):
                yield number, term

    def alike(self) -> Iterator[list[tuple[int, Step]]]:
        """Yield steps with their numbers, operands before their steps, alike ones together.

        Alike are steps of one operator with numbers on the same sides. Those with the longest way still to go come
        first: what is needed late waits for others of its kind.
        """
        steps = {number: term for number, term in enumerate(self._terms) if isinstance(term, Step)}
        follow = dict.fromkeys(range(len(self._terms)), 0)
        for number in reversed(steps):
            for operand in (steps[number].left, steps[number].right):
                follow[operand] = max(follow[operand], 1 + follow[number])
        while steps:
            ready: dict[tuple[str, bool, bool], list[int]] = {}
            for number, step in steps.items():
                if step.left not in steps and step.right not in steps:
                    ready.setdefault(self._kind(step), []).append(number)
            first = max(ready.values(), key=lambda numbers: max(follow[number] for number in numbers))
            yield [(number, steps.pop(number)) for number in first]

    def _kind(self, step: Step) -> tuple[str, bool, bool]:
        return step.operator, isinstance(self[step.left], float), isinstance(self[step.right], float)

    @singledispatchmethod
    def add(self, structure: Structure) -> int:
        """Take ``structure`` apart and return its number.

        Raises:
            TypeError: a structure that this exporter does not know.
        """
        raise TypeError(f"a {type(structure).__name__} cannot be exported; teach training.export.terms")

    @add.register
    def _(self, structure: Constant | Linear | Network | TreeEnsemble) -> int:
        return self._file(structure)

    @add.register
    def _(self, structure: Sum) -> int:
        return self._sum(map(self.add, structure.parts))

    @add.register
    def _(self, structure: Blend) -> int:
        weighted: Iterable[tuple[float, Structure]] = zip(structure.weights, structure.parts, strict=True)
        return self._sum(
            self._step("Mul", self._file(float(weight)), self.add(part)) for weight, part in weighted
        )

    @add.register
    def _(self, structure: EnergyIdentity) -> int:
        voltage = self._step("Mul", self._file(ENERGY_KWH_V_PER_T), self.add(structure.voltage))
        return self._step("Div", voltage, self._efficiency(structure.current_efficiency))

    @add.register
    def _(self, structure: CarbonIdentity) -> int:
        efficiency = self._efficiency(structure.current_efficiency)
        electrolytic = self._step("Div", self._file(CARBON_KG_PER_T), efficiency)
        return self._step("Add", electrolytic, self.add(structure.remainder))

    def _efficiency(self, structure: Structure) -> int:
        return self._step("Max", self.add(structure), self._file(EFFICIENCY_FLOOR))

    def _sum(self, parts: Iterable[int]) -> int:
        return reduce(lambda total, part: self._step("Add", total, part), parts)

    def _step(self, operator: str, left: int, right: int) -> int:
        return self._file(Step(operator, left, right))

    def _file(self, term: Term) -> int:
        if term not in self._numbers:
            self._numbers[term] = len(self._terms)
            self._terms.append(term)
        return self._numbers[term]
