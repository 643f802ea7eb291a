"""Structures as graph nodes, each written in the order of operations that ``training.structures`` computes in."""

from functools import singledispatch

import numpy as np
from onnx import TensorProto

from features.bundle.graph import DESIGN, FEATURES
from features.design import LeverColumns
from training.export.trees import write_trees
from training.export.writer import GraphWriter
from training.structures import (
    CARBON_KG_PER_T,
    EFFICIENCY_FLOOR,
    ENERGY_KWH_V_PER_T,
    Blend,
    CarbonIdentity,
    Constant,
    EnergyIdentity,
    Inputs,
    Linear,
    Network,
    Structure,
    Sum,
    TreeEnsemble,
)

_ROWS = [-1]


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


def write_mean(writer: GraphWriter, members: str, name: str = "") -> str:
    """Return the name of the mean (n,) over ``members`` (n, m)."""
    return writer.node("ReduceMean", members, writer.constant([1]), keepdims=0, name=name)


@singledispatch
def write_members(structure: Structure, writer: GraphWriter) -> str:
    """Return the name of ``structure``'s members (n, m) on the design matrix.

    Raises:
        TypeError: a structure that this exporter does not know.
    """
    raise TypeError(f"a {type(structure).__name__} cannot be exported; teach training.export.structures")


@write_members.register
def _(structure: Constant, writer: GraphWriter) -> str:
    rows = writer.node("Shape", DESIGN, start=0, end=1)
    shape = writer.node("Concat", rows, writer.constant([structure.m]), axis=0)
    return writer.node("Expand", writer.constant(structure.values[None, :]), shape)


@write_members.register
def _(structure: Linear, writer: GraphWriter) -> str:
    # (m, z) coefficients stand with their columns first, the way the reference's transposed view multiplies.
    product = writer.node("MatMul", _read(writer, structure.inputs), writer.constant(structure.coef.T))
    return writer.node("Add", product, writer.constant(structure.intercept))


@write_members.register
def _(structure: TreeEnsemble, writer: GraphWriter) -> str:
    return write_trees(writer, structure, DESIGN)


@write_members.register
def _(structure: Network, writer: GraphWriter) -> str:
    hidden = _read(writer, structure.inputs)
    if len(structure.indicator):
        missing = writer.node(
            "Gather", writer.node("IsNaN", DESIGN), writer.constant(structure.indicator), axis=1
        )
        hidden = writer.node("Concat", hidden, writer.node("Cast", missing, to=TensorProto.DOUBLE), axis=1)
    for i, layer in enumerate(structure.layers):
        product = writer.node("MatMul", hidden, writer.constant(layer.weight))
        hidden = writer.node("Add", product, writer.constant(layer.bias[:, None, :]))
        if i < len(structure.layers) - 1:
            hidden = writer.node("Relu", hidden)
    groups = writer.constant([structure.m, structure.k // structure.m, -1])  # (k, n, 1) to (m, k / m, n)
    grouped = writer.node("Reshape", hidden, groups)
    mean = writer.node("ReduceMean", grouped, writer.constant([1]), keepdims=0)
    return writer.node("Transpose", mean, perm=[1, 0])


@write_members.register
def _(structure: Sum, writer: GraphWriter) -> str:
    total, *rest = (write_members(part, writer) for part in structure.parts)
    for part in rest:
        total = writer.node("Add", total, part)
    return total


@write_members.register
def _(structure: Blend, writer: GraphWriter) -> str:
    total, *rest = (
        writer.node("Mul", writer.constant(np.float64(weight)), write_members(part, writer))
        for weight, part in zip(structure.weights, structure.parts, strict=True)
    )
    for part in rest:
        total = writer.node("Add", total, part)
    return total


@write_members.register
def _(structure: EnergyIdentity, writer: GraphWriter) -> str:
    scale = writer.constant(np.float64(ENERGY_KWH_V_PER_T))
    voltage = writer.node("Mul", scale, write_members(structure.voltage, writer))
    return writer.node("Div", voltage, _efficiency(writer, structure.current_efficiency))


@write_members.register
def _(structure: CarbonIdentity, writer: GraphWriter) -> str:
    scale = writer.constant(np.float64(CARBON_KG_PER_T))
    electrolytic = writer.node("Div", scale, _efficiency(writer, structure.current_efficiency))
    return writer.node("Add", electrolytic, write_members(structure.remainder, writer))


def _efficiency(writer: GraphWriter, structure: Structure) -> str:
    return writer.node("Max", write_members(structure, writer), writer.constant(np.float64(EFFICIENCY_FLOOR)))


def _read(writer: GraphWriter, inputs: Inputs) -> str:
    """Return the name of the design matrix filled and clipped."""
    filled = writer.node("Where", writer.node("IsNaN", DESIGN), writer.constant(inputs.fill), DESIGN)
    raised = writer.node("Max", filled, writer.constant(inputs.low))
    return writer.node("Min", raised, writer.constant(inputs.high))
