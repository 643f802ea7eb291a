"""Small bundle graphs from structures, written node by node, for tests of what reads a graph.

Independent of the exporter on purpose: what the search relies on is the graph's meaning, not the exporter's habits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.structures import (
    EFFICIENCY_FLOOR,
    ENERGY_KWH_V_PER_T,
    Blend,
    Constant,
    EnergyIdentity,
    Inputs,
    Linear,
    Network,
    Structure,
    Sum,
    Tree,
    TreeEnsemble,
)

LEQ, LT, GTE, GT = 0, 1, 2, 3


@dataclass(frozen=True)
class FakeOutcome:
    """An outcome of a fake bundle: its structure, a constant interval half-width, whether members are exported."""

    structure: Structure
    half_width: float = 0.0
    members: bool = True


class GraphWriter:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic] | float) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        name = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def design(self, levers: Sequence[tuple[int, int]]) -> str:
        wide = self.node("Cast", "features", to=TensorProto.DOUBLE)
        picked = [
            self.node("Gather", wide, self.constant(np.array([pair[i] for pair in levers])), axis=1)
            for i in (0, 1)
        ]
        return self.node("Concat", wide, self.node("Sub", *picked), axis=1)

    def read(self, inputs: Inputs, z: str) -> str:
        filled = self.node("Where", self.node("IsNaN", z), self.constant(inputs.fill), z)
        return self.node(
            "Min", self.node("Max", filled, self.constant(inputs.low)), self.constant(inputs.high)
        )

    def members(self, structure: Structure, z: str) -> str:
        match structure:
            case Constant():
                zero = self.node(
                    "Mul",
                    self.node("Gather", "ones", self.constant(np.array([0])), axis=1),
                    self.constant(0.0),
                )
                return self.node("Add", zero, self.constant(structure.values[None, :]))
            case Linear():
                read = self.read(structure.inputs, z)
                product = self.node("MatMul", read, self.constant(structure.coef.T.copy()))
                return self.node("Add", product, self.constant(structure.intercept))
            case TreeEnsemble():
                trees = self.node(
                    "TreeEnsemble", z, domain="ai.onnx.ml", **tree_attributes(structure.member_trees)
                )
                return self.node("Add", trees, self.constant(structure.base))
            case Network():
                return self._network(structure, z)
            case Sum():
                parts = [self.members(part, z) for part in structure.parts]
                return self.node("Sum", *parts)
            case Blend():
                parts = [
                    self.node("Mul", self.members(part, z), self.constant(weight))
                    for weight, part in zip(structure.weights, structure.parts, strict=True)
                ]
                return self.node("Sum", *parts)
            case EnergyIdentity():
                floor = self.constant(EFFICIENCY_FLOOR)
                efficiency = self.node("Max", self.members(structure.current_efficiency, z), floor)
                volts = self.node(
                    "Mul", self.members(structure.voltage, z), self.constant(ENERGY_KWH_V_PER_T)
                )
                return self.node("Div", volts, efficiency)
        raise TypeError(f"the fake writer has no {type(structure).__name__}")

    def _network(self, network: Network, z: str) -> str:
        missing = self.node("IsNaN", self.node("Gather", z, self.constant(network.indicator), axis=1))
        hidden = self.node(
            "Concat", self.read(network.inputs, z), self.node("Cast", missing, to=TensorProto.DOUBLE), axis=1
        )
        for i, layer in enumerate(network.layers):
            hidden = self.node("MatMul", hidden, self.constant(layer.weight))
            hidden = self.node("Add", hidden, self.constant(layer.bias[:, None, :]))
            if i + 1 < len(network.layers):
                hidden = self.node("Relu", hidden)
        flat = self.node("Squeeze", hidden, self.constant(np.array([2])))
        shape = self.constant(np.array([network.m, network.k // network.m, -1]))
        mean = self.node(
            "ReduceMean", self.node("Reshape", flat, shape), self.constant(np.array([1])), keepdims=0
        )
        return self.node("Transpose", mean, perm=[1, 0])


def tree_attributes(member_trees: Sequence[Sequence[Tree]], modes: int = LEQ) -> dict[str, Any]:
    """Return the TreeEnsemble attributes of trees, one target a member; a bare leaf becomes a node that cannot lose."""
    feature: list[int] = []
    split: list[float] = []
    tracks: list[int] = []
    child: dict[str, list[int]] = {"true": [], "false": []}
    is_leaf: dict[str, list[int]] = {"true": [], "false": []}
    weight: list[float] = []
    target: list[int] = []
    roots: list[int] = []
    for member, trees in enumerate(member_trees):
        for tree in trees:
            node_at, leaf_at = len(feature), len(weight)
            roots.append(node_at)
            bare = len(tree.feature) == 0
            feature += [0] if bare else tree.feature.tolist()
            split += [0.0] if bare else tree.threshold.tolist()
            tracks += [0] if bare else tree.nan_left.astype(int).tolist()
            for side, ids in (("true", tree.left), ("false", tree.right)):
                for at in [-1] if bare else ids.tolist():
                    is_leaf[side].append(int(at < 0))
                    child[side].append(leaf_at - 1 - at if at < 0 else node_at + at)
            weight += tree.value.tolist()
            target += [member] * len(tree.value)
    return {
        "aggregate_function": 1,
        "post_transform": 0,
        "n_targets": len(member_trees),
        "tree_roots": roots,
        "nodes_featureids": feature,
        "nodes_splits": numpy_helper.from_array(np.array(split, dtype=np.float64), "splits"),
        "nodes_modes": numpy_helper.from_array(np.full(len(feature), modes, dtype=np.uint8), "modes"),
        "nodes_missing_value_tracks_true": tracks,
        "nodes_truenodeids": child["true"],
        "nodes_trueleafs": is_leaf["true"],
        "nodes_falsenodeids": child["false"],
        "nodes_falseleafs": is_leaf["false"],
        "leaf_targetids": target,
        "leaf_weights": numpy_helper.from_array(np.array(weight, dtype=np.float64), "leaves"),
    }


def write_graph(
    features: int,
    levers: Sequence[tuple[int, int]],
    outcomes: Mapping[str, FakeOutcome],
    *,
    support_centre: NDArray[np.float64] | None = None,
) -> bytes:
    """Return the bytes of a bundle graph: ``features`` (n, d) float32 in; outcomes, intervals, members, support out.

    Support is 1 at ``support_centre`` (of the lever moves, k) and falls by distance; without a centre it is 1.
    """
    writer = GraphWriter()
    z = writer.design(levers)
    writer.node("Cast", "features", name="ones", to=TensorProto.DOUBLE)
    shapes: dict[str, list[str | int]] = {}
    for name, outcome in outcomes.items():
        members = writer.members(outcome.structure, z)
        mean = writer.node("ReduceMean", members, writer.constant(np.array([1])), name=name, keepdims=0)
        half = writer.constant(outcome.half_width)
        writer.node("Sub", mean, half, name=f"{name}.lower")
        writer.node("Add", mean, half, name=f"{name}.upper")
        shapes |= {key: ["n"] for key in (name, f"{name}.lower", f"{name}.upper")}
        if outcome.members:
            writer.node("Identity", members, name=f"{name}.members")
            shapes[f"{name}.members"] = ["n", outcome.structure.m]
    _support(writer, z, features, len(levers), support_centre)
    shapes["support"] = ["n"]
    graph = helper.make_graph(
        writer.nodes,
        "fake",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info(key, TensorProto.DOUBLE, shape) for key, shape in shapes.items()],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def _support(writer: GraphWriter, z: str, features: int, k: int, centre: NDArray[np.float64] | None) -> None:
    columns = writer.constant(np.arange(features, features + k))
    moves = writer.node("Gather", z, columns, axis=1)
    away = writer.node("Sub", moves, writer.constant(np.zeros(k) if centre is None else centre))
    steepness = writer.constant(0.0 if centre is None else 1.0)
    square = writer.node(
        "ReduceSum", writer.node("Mul", away, away), writer.constant(np.array([1])), keepdims=0
    )
    falling = writer.node("Mul", square, steepness)
    writer.node("Exp", writer.node("Neg", falling), name="support")
