"""A bundle's graph cut at its tree ensembles.

The graph is Cast, moves and Concat (the *head*), tree ensembles, and a *rest* of everything else: lines, networks,
identities, blends, intervals, support. Trees are what a fixed context makes cheap, so they are evaluated here; head
and rest stay with the runtime that serves the bundle, compiled once and used for every cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from features.errors import BundleForeignError
from serving.search.trees import Forest, read_forest

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

FEATURES = "features"
_CUT = "{}@trees"
_SEPARABLE = frozenset({"Cast", "Concat", "Gather", "Identity", "IsNaN", "Neg", "Slice", "Sub", "Where"})
"""Operators that let no design column depend on two levers other than by their difference."""


@dataclass(frozen=True)
class Grove:
    """The tree ensembles that read one design tensor, and the graph tensors (with widths) that they make."""

    design: str
    forest: Forest
    outputs: tuple[tuple[str, int], ...]


class CutGraph:
    """A bundle's graph, ready to be specialised to one cell after another.

    Raises:
        BundleForeignError: the trees read something else than the design matrix, or compare in an unknown way.
    """

    def __init__(self, model_bytes: bytes) -> None:
        """Cut the graph in ``model_bytes``, whose digest the caller has verified."""
        model = onnx.load_model_from_string(model_bytes)
        graph = model.graph
        trees = [node for node in graph.node if node.op_type == "TreeEnsemble"]
        others = [node for node in graph.node if node.op_type != "TreeEnsemble"]
        makers = {name: node for node in graph.node for name in node.output}
        designs = list(dict.fromkeys(node.input[0] for node in trees))
        for design in designs:
            _require_separable(design, makers)
        self.outputs: tuple[str, ...] = tuple(value.name for value in graph.output)
        self.groves = tuple(
            _grove(design, [node for node in trees if node.input[0] == design]) for design in designs
        )
        self._head = _session(model, others, (), designs) if designs else None
        cuts = [(name, width) for grove in self.groves for name, width in grove.outputs]
        joined = [helper.make_node("Identity", [_CUT.format(name)], [name]) for name, _ in cuts]
        self._rest = _session(model, [*joined, *others], cuts, self.outputs)
        self._rest_inputs = frozenset(value.name for value in self._rest.get_inputs())

    def designs(self, rows: Rows) -> list[Floats]:
        """Return the design matrix (n, z) of each grove for feature ``rows`` (n, d)."""
        if self._head is None:
            return []
        found = self._head.run([grove.design for grove in self.groves], {FEATURES: rows})
        return [np.asarray(design, dtype=np.float64) for design in found]

    def rest(self, rows: Rows, trees: Sequence[Floats], outputs: Sequence[str]) -> dict[str, Floats]:
        """Return ``outputs`` for ``rows`` (n, d), given the sums (n, columns) of each grove's trees."""
        feeds: dict[str, NDArray[np.generic]] = {FEATURES: rows}
        for grove, sums in zip(self.groves, trees, strict=True):
            edges = np.cumsum([0, *(width for _, width in grove.outputs)])
            for i, (name, _) in enumerate(grove.outputs):
                feeds[_CUT.format(name)] = np.ascontiguousarray(sums[:, edges[i] : edges[i + 1]])
        needed = {name: value for name, value in feeds.items() if name in self._rest_inputs}
        return dict(zip(outputs, self._rest.run(list(outputs), needed), strict=True))


def _grove(design: str, nodes: Sequence[onnx.NodeProto]) -> Grove:
    widths = [next((a.i for a in node.attribute if a.name == "n_targets"), 1) for node in nodes]
    return Grove(
        design,
        read_forest(nodes),
        tuple((node.output[0], width) for node, width in zip(nodes, widths, strict=True)),
    )


def _require_separable(design: str, makers: Mapping[str, onnx.NodeProto]) -> None:
    open_ = [design]
    while open_:
        node = makers.get(open_.pop())
        if node is None:
            continue
        if node.op_type not in _SEPARABLE:
            raise BundleForeignError(
                f"the trees read {design!r}, which passes through {node.op_type}; a bundle's trees read the design"
                " matrix (features and lever moves) and nothing else"
            )
        open_ += node.input


def _session(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    cuts: Sequence[tuple[str, int]],
    outputs: Sequence[str],
) -> onnxruntime.InferenceSession:
    """Compile the part of ``nodes`` that ``outputs`` need, with one runtime thread."""
    kept, wanted = [], set(outputs)
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    inputs = [value for value in model.graph.input if value.name == FEATURES]
    inputs += [
        helper.make_tensor_value_info(_CUT.format(name), TensorProto.DOUBLE, ["n", width])
        for name, width in cuts
        if name in wanted
    ]
    known = {value.name: value for value in model.graph.output}
    part = helper.make_graph(
        kept[::-1],
        "part",
        inputs,
        [
            known.get(name) or helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)
            for name in outputs
        ],
        [tensor for tensor in model.graph.initializer if tensor.name in wanted],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    made = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    return onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
