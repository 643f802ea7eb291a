"""The register of relations: every formula of the house with its source, tag and range, readable by a program.

A *relation* is one pure function on float64 arrays. It broadcasts, it never refuses a value, and outside its
mathematical domain it answers NaN or infinity without a warning, so that one missing sample among a thousand
cells stays one missing answer. What the decorator records is what the glossary and the report print.

Tags say how a number came to us: ``V`` read in the named source (``V1`` text or reprint, ``V2`` second-hand),
``C`` computed from such, ``B`` background knowledge of the field (``B-hi``, ``B-med``, ``B-lo``).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Tag = Literal["V", "V1", "V2", "C", "B", "B-hi", "B-med", "B-lo"]
Array = NDArray[np.float64]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Relation:
    """One registered relation: where it lives, what it gives, who says so and where it holds."""

    name: str
    unit: str
    equation: str
    source: str
    tag: Tag
    valid: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    summary: str = ""

    def outside(self, values: Mapping[str, ArrayLike]) -> Array:
        """How far values lie outside the range that the source trusts, as a share of that range; 0 inside.

        Args:
            values: arrays of one broadcast shape, by the names of ``valid``; names without a range are passed over.

        Returns:
            The worst excess over all names, NaN values counting as inside, shape as broadcast.
        """
        worst: Array = np.zeros(np.broadcast_shapes(*(np.shape(value) for value in values.values())))
        for name, (low, high) in self.valid.items():
            if name in values:
                value = array(values[name])
                excess = np.maximum(low - value, value - high) / (high - low)
                worst = np.fmax(worst, excess)
        return worst


_REGISTER: dict[str, Relation] = {}


def relation(
    *,
    unit: str,
    equation: str,
    source: str,
    tag: Tag,
    valid: Mapping[str, tuple[float, float]] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a pure function under ``module.function`` and let it propagate NaN and infinity silently.

    Args:
        unit: unit of the answer, "-" where it has none.
        equation: the formula as the source writes it.
        source: author, title, place, year; or the constants that it is computed from.
        tag: how the formula came to us.
        valid: argument or composition name to the range in which the source trusts it.

    Raises:
        ValueError: two relations carry the same name.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__.removeprefix('features.')}.{function.__name__}"
        if name in _REGISTER:
            raise ValueError(f"relation {name} is registered twice; rename one of them")
        summary = (function.__doc__ or "").strip().split("\n")[0]
        _REGISTER[name] = Relation(
            name, unit, equation, source, tag, MappingProxyType(dict(valid or {})), summary
        )

        @functools.wraps(function)
        def evaluate(*args: P.args, **kwargs: P.kwargs) -> R:
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                return function(*args, **kwargs)

        return evaluate

    return register


def registered() -> tuple[Relation, ...]:
    """Every relation of the modules imported so far, by name; ``features.glossary`` imports them all."""
    return tuple(_REGISTER[name] for name in sorted(_REGISTER))


def array(value: ArrayLike) -> Array:
    """Any number or nest of numbers as a float64 array (no copy where it is one already)."""
    return np.asarray(value, dtype=np.float64)
