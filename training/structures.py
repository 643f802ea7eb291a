"""What a trained estimator is, as plain numbers: the one thing that leaves training.

A structure maps the design matrix ``Z (n, z)`` float64 (NaN = not known) to ``m`` aligned ensemble members
``(n, m)``; the prediction is their mean over ``m``. Every structure is a frozen value built from float64 arrays, so
an exporter can write it down exactly and this module's own arithmetic is the reference to compare against.

    Constant        the same number on every row
    Linear          filled, clipped columns times coefficients
    TreeEnsemble    sums of binary trees, as LightGBM grew them
    Network         k perceptrons side by side, averaged in m groups
    Sum             part by part, member by member
    Blend           convex combination of parts
    EnergyIdentity  2979.98 V / CE from a voltage and a current-efficiency structure
    CarbonIdentity  333.87 / CE plus a learned remainder
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from training.trees import CELLS_AT_ONCE, Bools, Floats, Forest, Ints, Tree, Value, require

__all__ = [
    "Blend",
    "Bools",
    "CarbonIdentity",
    "Constant",
    "EnergyIdentity",
    "Floats",
    "Inputs",
    "Ints",
    "Layer",
    "Linear",
    "Network",
    "Structure",
    "Sum",
    "Tree",
    "TreeEnsemble",
    "Value",
    "describe",
    "parts",
    "predict",
    "require",
]

ENERGY_KWH_V_PER_T = 2979.98
"""DC kWh/t = 2979.98 V / CE (Faraday, exact to the digits given)."""
CARBON_KG_PER_T = 333.87
"""Electrolytic carbon with back reaction, kg/t = 333.87 / CE (Faraday)."""
EFFICIENCY_FLOOR = 0.5
"""A predicted current efficiency below this is read as this: an identity never divides by nothing."""


@dataclass(frozen=True, eq=False)
class Constant(Value):
    """The same number on every row: values (m,)."""

    values: Floats

    def __post_init__(self) -> None:
        """Refuse anything but a finite vector."""
        require(self.values.ndim == 1 and self.values.size > 0, "a constant needs one value per member")
        require(bool(np.isfinite(self.values).all()), f"constant {self.values} is not finite")

    @property
    def m(self) -> int:
        """Ensemble members."""
        return len(self.values)

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        return np.repeat(self.values[None, :], len(z), axis=0)


@dataclass(frozen=True, eq=False)
class Inputs(Value):
    """How a smooth structure reads Z: NaN becomes ``fill`` (z,), then every column is clipped to low..high (z,).

    Clipping keeps a line or a network from extrapolating beyond what training saw.
    """

    fill: Floats
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        """Refuse lengths that differ, numbers that are not finite and empty ranges."""
        require(self.fill.shape == self.low.shape == self.high.shape, "fill, low and high differ in length")
        require(bool(np.isfinite([self.fill, self.low, self.high]).all()), "fill, low or high is not finite")
        require(bool((self.low <= self.high).all()), "a column's low is above its high")

    def read(self, z: Floats) -> Floats:
        """Return ``z`` (n, z) filled and clipped."""
        return np.minimum(np.maximum(np.where(np.isnan(z), self.fill, z), self.low), self.high)


@dataclass(frozen=True, eq=False)
class Linear(Value):
    """``inputs.read(Z) @ coef.T + intercept``: coef (m, z), intercept (m,)."""

    inputs: Inputs
    coef: Floats
    intercept: Floats

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        shape = (len(self.intercept), len(self.inputs.fill))
        require(self.coef.shape == shape, f"coefficients are {self.coef.shape}, expected {shape}")
        require(bool(np.isfinite(self.coef).all()), "a coefficient is not finite")
        require(bool(np.isfinite(self.intercept).all()), "an intercept is not finite")

    @property
    def m(self) -> int:
        """Ensemble members."""
        return len(self.intercept)

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        return np.asarray(self.inputs.read(z) @ self.coef.T + self.intercept)


@dataclass(frozen=True, eq=False)
class TreeEnsemble(Value):
    """Member j = base[j] + the sum of its trees' leaf values, added in order: member_trees m tuples, base (m,)."""

    member_trees: tuple[tuple[Tree, ...], ...]
    base: Floats

    def __post_init__(self) -> None:
        """Refuse a base that does not match the members."""
        require(len(self.member_trees) > 0, "a tree ensemble needs at least one member")
        require(self.base.shape == (self.m,), f"base is {self.base.shape}, expected ({self.m},)")

    @property
    def m(self) -> int:
        """Ensemble members."""
        return len(self.member_trees)

    @cached_property
    def _forest(self) -> "Forest":
        return Forest.of([tree for trees in self.member_trees for tree in trees])

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        out = np.repeat(self.base[None, :], len(z), axis=0)
        rows = max(1, CELLS_AT_ONCE // max(1, self._forest.count))
        for start in range(0, len(z), rows):
            part = slice(start, start + rows)
            value, tree = self._forest.values(z[part]), 0
            for j, trees in enumerate(self.member_trees):
                for _ in trees:  # added one by one, in order: a pairwise sum would round differently
                    out[part, j] += value[:, tree]
                    tree += 1
        return out


@dataclass(frozen=True, eq=False)
class Layer(Value):
    """One dense layer of k perceptrons: weight (k, in, out), bias (k, out)."""

    weight: Floats
    bias: Floats

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        k, _, width = self.weight.shape
        require(self.bias.shape == (k, width), f"bias is {self.bias.shape}, expected {(k, width)}")
        finite = bool(np.isfinite(self.weight).all() and np.isfinite(self.bias).all())
        require(finite, "a network weight is not finite")


@dataclass(frozen=True, eq=False)
class Network(Value):
    """k perceptrons with ReLU between layers, the last layer of width 1 in the outcome's own unit.

    Input: ``[inputs.read(Z), isnan(Z[:, indicator])]`` (n, z + q). Standardisation of inputs and outcome is folded
    into the first and last layer, in float64. Perceptron i belongs to member ``i // (k // m)``; a member is the
    mean of its perceptrons. Outcomes trained together share the arrays of all layers but the last.
    """

    inputs: Inputs
    indicator: Ints
    layers: tuple[Layer, ...]
    m: int

    def __post_init__(self) -> None:
        """Refuse layers that do not chain, or perceptrons that do not divide into members."""
        width = len(self.inputs.fill) + len(self.indicator)
        for layer in self.layers:
            require(layer.weight.shape[:2] == (self.k, width), f"layer {layer.weight.shape} does not chain")
            width = layer.weight.shape[2]
        require(width == 1, f"the last layer has width {width}, expected 1")
        require(self.k % self.m == 0, f"{self.k} perceptrons do not divide into {self.m} members")

    @property
    def k(self) -> int:
        """Perceptrons."""
        return len(self.layers[0].weight)

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        hidden = np.concatenate([self.inputs.read(z), np.isnan(z[:, self.indicator])], axis=1)[None]
        for layer in self.layers[:-1]:
            hidden = np.maximum(np.matmul(hidden, layer.weight) + layer.bias[:, None, :], 0.0)
        out = np.matmul(hidden, self.layers[-1].weight) + self.layers[-1].bias[:, None, :]
        return np.asarray(out[:, :, 0].reshape(self.m, self.k // self.m, len(z)).mean(axis=1).T)


def _aligned(parts: tuple["Structure", ...]) -> int:
    counts = {part.m for part in parts}
    require(len(counts) == 1, f"parts have {sorted(counts)} members; members must be aligned")
    return counts.pop()


@dataclass(frozen=True, eq=False)
class Sum(Value):
    """Member j = the sum of every part's member j."""

    parts: tuple["Structure", ...]

    def __post_init__(self) -> None:
        """Refuse parts with different member counts."""
        _aligned(self.parts)

    @property
    def m(self) -> int:
        """Ensemble members."""
        return self.parts[0].m

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        return sum((part.members(z) for part in self.parts[1:]), self.parts[0].members(z))


@dataclass(frozen=True, eq=False)
class Blend(Value):
    """Member j = the sum over parts of weight times the part's member j; weights >= 0 that sum to one."""

    weights: tuple[float, ...]
    parts: tuple["Structure", ...]

    def __post_init__(self) -> None:
        """Refuse weights that are no convex combination."""
        require(len(self.weights) == len(self.parts), "a blend needs one weight per part")
        require(min(self.weights) >= 0, f"blend weights {self.weights} hold a negative one")
        require(abs(sum(self.weights) - 1) < 1e-9, f"blend weights {self.weights} do not sum to one")
        _aligned(self.parts)

    @property
    def m(self) -> int:
        """Ensemble members."""
        return self.parts[0].m

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        terms = [weight * part.members(z) for weight, part in zip(self.weights, self.parts, strict=True)]
        return sum(terms[1:], terms[0])


@dataclass(frozen=True, eq=False)
class EnergyIdentity(Value):
    """Member j = 2979.98 * voltage_j / max(current_efficiency_j, 0.5), in kWh/t."""

    voltage: "Structure"
    current_efficiency: "Structure"

    def __post_init__(self) -> None:
        """Refuse parts with different member counts."""
        _aligned((self.voltage, self.current_efficiency))

    @property
    def m(self) -> int:
        """Ensemble members."""
        return self.voltage.m

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        efficiency = np.maximum(self.current_efficiency.members(z), EFFICIENCY_FLOOR)
        return np.asarray(ENERGY_KWH_V_PER_T * self.voltage.members(z) / efficiency)


@dataclass(frozen=True, eq=False)
class CarbonIdentity(Value):
    """Member j = 333.87 / max(current_efficiency_j, 0.5) + remainder_j, in kg/t."""

    current_efficiency: "Structure"
    remainder: "Structure"

    def __post_init__(self) -> None:
        """Refuse parts with different member counts."""
        _aligned((self.current_efficiency, self.remainder))

    @property
    def m(self) -> int:
        """Ensemble members."""
        return self.remainder.m

    def members(self, z: Floats) -> Floats:
        """Return (n, m) for ``z`` (n, z)."""
        efficiency = np.maximum(self.current_efficiency.members(z), EFFICIENCY_FLOOR)
        return np.asarray(CARBON_KG_PER_T / efficiency + self.remainder.members(z))


Structure: TypeAlias = (
    Constant | Linear | TreeEnsemble | Network | Sum | Blend | EnergyIdentity | CarbonIdentity
)


def predict(structure: Structure, z: Floats) -> Floats:
    """Return the prediction (n,) of ``structure`` on ``z`` (n, z): the mean of its members."""
    return np.asarray(structure.members(z).mean(axis=1))


def parts(structure: Structure) -> tuple[Structure, ...]:
    """Return the parts of a sum, or the structure itself as the only one."""
    return structure.parts if isinstance(structure, Sum) else (structure,)


def describe(structure: Structure) -> dict[str, Any]:
    """Return what a card says about ``structure``: kind, members and sizes, nested as the structure is."""
    out: dict[str, Any] = {"kind": type(structure).__name__, "members": structure.m}
    if isinstance(structure, TreeEnsemble):
        out["trees"] = sum(len(trees) for trees in structure.member_trees)
    if isinstance(structure, Network):
        out["weights"] = sum(layer.weight.size + layer.bias.size for layer in structure.layers)
    for field in fields(structure):
        value = getattr(structure, field.name)
        if field.name == "parts":
            out["parts"] = [describe(part) for part in value]
        elif hasattr(value, "members"):
            out[field.name] = describe(value)
    if isinstance(structure, Blend):
        out["weights"] = [round(weight, 4) for weight in structure.weights]
    return out
