"""A graph that may be served: nothing outside its bytes, only known operators, and trees that end.

A runtime trusts what it loads. It reads external data from wherever the model points, and walks a damaged tree out
of its arrays or round in a circle for ever. All of it can be seen before the runtime does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, numpy_helper

from features.bundle.graph import (
    DESIGN,
    FEATURES,
    ML,
    OPERATORS,
    OPSETS,
    SIDES,
    SIDES_PER_COLUMN,
    output_names,
)
from features.bundle.manifest import Manifest
from features.errors import BundleCorruptError

Ints = NDArray[np.int64]

_PLAIN = frozenset({AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.INTS, AttributeProto.TENSOR})
_LEQ, _SUM = 0, 1
_LARGEST_SIZE = 65_536


def check_graph(content: bytes, manifest: Manifest) -> None:
    """Refuse a ``model.onnx`` that is not the kind of graph that training writes for ``manifest``.

    Raises:
        BundleCorruptError: the message says what was found.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise BundleCorruptError(f"model.onnx of bundle {manifest.name} is no ONNX model: {error}") from error
    graph = model.graph
    _refuse_external(_tensors(model))
    _require(not model.functions and not model.training_info, "it holds functions or training steps")
    _require(not graph.sparse_initializer, "it holds sparse tensors")
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    _require(opsets == dict(OPSETS), f"its operator sets are {opsets}, expected {dict(OPSETS)}")
    _check_border(graph, manifest)
    _check_sizes(graph)
    for node in graph.node:
        known = (node.domain, node.op_type) in OPERATORS
        _require(known, f"it holds the operator {node.domain}.{node.op_type}, which training never writes")
        plain = all(attribute.type in _PLAIN for attribute in node.attribute)
        _require(plain, f"{node.op_type} has an attribute that is no number or tensor")
        if node.domain == ML:
            _check_trees(node, manifest.design_width)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise BundleCorruptError(f"model.onnx is refused: {message}; export the bundle again")


def _tensors(model: onnx.ModelProto) -> Iterable[TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _refuse_external(tensors: Iterable[TensorProto]) -> None:
    for tensor in tensors:
        outside = tensor.data_location != TensorProto.DEFAULT or len(tensor.external_data) > 0
        _require(not outside, f"tensor {tensor.name!r} lies outside the file (external data)")


def _check_border(graph: onnx.GraphProto, manifest: Manifest) -> None:
    inputs = [(value.name, *_kind(value)) for value in graph.input]
    expected = (FEATURES, TensorProto.FLOAT, ["n", len(manifest.features)])
    _require(inputs == [expected], f"its inputs are {inputs}, expected {[expected]}")
    outputs = tuple(value.name for value in graph.output)
    _require(outputs == output_names(manifest), f"its outputs are {outputs}, the manifest says otherwise")
    doubles = all(value.type.tensor_type.elem_type == TensorProto.DOUBLE for value in graph.output)
    _require(doubles, "an output is no float64")


def _check_sizes(graph: onnx.GraphProto) -> None:
    """Shapes and indices are small numbers: a damaged one could ask for all the memory there is."""
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.INT64:
            values = _values(tensor, f"constant {tensor.name!r}")
            small = not values.size or bool(np.abs(values).max() <= _LARGEST_SIZE)
            _require(small, f"constant {tensor.name!r} asks for a size or index above {_LARGEST_SIZE}")


def _kind(value: onnx.ValueInfoProto) -> tuple[int, list[int | str]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]


def _check_trees(node: onnx.NodeProto, design_width: int) -> None:
    """Every child comes after its parent and has one parent: no walk leaves the arrays, and every walk ends."""
    attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    widths = {DESIGN: design_width, SIDES: SIDES_PER_COLUMN * design_width}
    _require(list(node.input) in [[name] for name in widths], f"a tree ensemble reads {list(node.input)}")
    _require(attributes.get("aggregate_function") == _SUM, "a tree ensemble does not add its leaves")
    _require(attributes.get("post_transform") == 0, "a tree ensemble transforms its sum")
    _require(attributes.get("n_targets") == 1, "a tree ensemble has several targets")
    splits, modes, weights = (
        _array(attributes, name) for name in ("nodes_splits", "nodes_modes", "leaf_weights")
    )
    ids = {name: _ints(attributes, name) for name in _IDS}
    nodes, leaves = len(splits), len(weights)
    lengths = {len(modes), *(len(ids[name]) for name in _IDS if name.startswith("nodes_"))}
    _require(lengths == {nodes} and len(ids["leaf_targetids"]) == leaves, "tree arrays differ in length")
    flags = attributes.get("nodes_missing_value_tracks_true", [])
    _require(len(flags) in (0, nodes), "tree arrays differ in length")
    _require(splits.dtype == weights.dtype == np.float64, "trees are not in double")
    _require(bool((modes == _LEQ).all()), "a tree compares other than by <=")
    _require(bool(np.isfinite(splits).all() and np.isfinite(weights).all()), "a tree number is not finite")
    within = _within(ids["nodes_featureids"], 0, widths[node.input[0]])
    _require(within, "a tree reads a column that is not there")
    _require(not ids["leaf_targetids"].any(), "a leaf adds to a target that is not there")
    children = []
    for side in ("true", "false"):
        child, is_leaf = ids[f"nodes_{side}nodeids"], ids[f"nodes_{side}leafs"].astype(np.bool_)
        _require(_within(child[is_leaf], 0, leaves), "a tree leads to a leaf that is not there")
        parent = np.flatnonzero(~is_leaf)
        _require(bool((child[parent] > parent).all()), "a tree runs in a circle")
        _require(_within(child[parent], 0, nodes), "a tree leads to a node that is not there")
        children.append(child[parent])
    reached = np.concatenate([ids["tree_roots"], *children])
    once = len(np.unique(reached)) == len(reached) and _within(reached, 0, nodes)
    _require(once, "a tree node has several parents, or a root is not there")


_IDS = (
    "tree_roots",
    "nodes_featureids",
    "nodes_truenodeids",
    "nodes_trueleafs",
    "nodes_falsenodeids",
    "nodes_falseleafs",
    "leaf_targetids",
)


def _array(attributes: Mapping[str, Any], name: str) -> NDArray[Any]:
    tensor = attributes.get(name)
    if not isinstance(tensor, TensorProto):
        raise BundleCorruptError(
            f"model.onnx is refused: a tree ensemble lacks {name}; export the bundle again"
        )
    return _values(tensor, name)


def _values(tensor: TensorProto, name: str) -> NDArray[Any]:
    try:
        return numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleCorruptError(f"model.onnx is refused: {name} cannot be read ({error})") from error


def _ints(attributes: Mapping[str, Any], name: str) -> Ints:
    values = attributes.get(name)
    _require(isinstance(values, list), f"a tree ensemble lacks {name}")
    return np.asarray(values, dtype=np.int64)


def _within(values: Ints, low: int, high: int) -> bool:
    return not values.size or bool(low <= values.min() and values.max() < high)
