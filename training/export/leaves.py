"""Leaves as graph nodes, alike ones side by side: a *stack* (s, n, m) holds the members of s leaves.

A node costs the runtime about as much as its arithmetic on one row, so what many leaves do alike is done by one node.
Each slice is computed by the products and sums, in their order, that the reference computes the leaf with.
"""

from collections.abc import Hashable, Sequence
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from features.bundle.graph import DESIGN
from training.export.terms import Leaf
from training.export.trees import write_trees
from training.export.writer import GraphWriter
from training.structures import Constant, Inputs, Ints, Layer, Linear, Network, TreeEnsemble


def kind(leaf: Leaf) -> Hashable:
    """Return what leaves must agree in to share a stack, besides m."""
    if isinstance(leaf, Network):
        return "Network", leaf.indicator.tobytes(), *(layer.weight.shape for layer in leaf.layers)
    return type(leaf).__name__


def stacked(writer: GraphWriter, arrays: Sequence[NDArray[np.generic]]) -> str:
    """Return a constant (s, ...) of ``arrays`` (...), or (1, ...) where they are all the same."""
    return writer.constant(np.stack(arrays[:1] if _same(arrays) else arrays))


def _same(arrays: Sequence[NDArray[np.generic]]) -> bool:
    return all(np.array_equal(array, arrays[0]) for array in arrays)


def write_mean(writer: GraphWriter, values: str, count: int, name: str = "") -> str:
    """Return the mean (...) over the last axis of ``values`` (..., count).

    The runtime's own mean adds in an order that depends on where a row lies in memory; a product with ones adds from
    first to last, so that a row is answered alike alone and in company. The quotient stands apart from the product:
    side by side, the runtime would make them one with the divisor in float32.
    """
    last = writer.constant([-1])
    if count == 1:
        return writer.node("Squeeze", values, last, name=name)
    total = writer.node("Squeeze", writer.node("MatMul", values, writer.constant(np.ones((count, 1)))), last)
    return writer.node("Div", total, writer.constant(np.float64(count)), name=name)


def write_leaves(writer: GraphWriter, leaves: Sequence[Leaf], width: int) -> str:
    """Return the name of the stack (s, n, m) of ``leaves`` of one kind, on a design matrix of ``width`` columns."""
    return _write(leaves[0], writer, leaves, width)


@singledispatch
def _write(first: Leaf, writer: GraphWriter, leaves: Sequence[Leaf], width: int) -> str:
    raise TypeError(f"a {type(first).__name__} cannot be exported; teach training.export.leaves")


@_write.register
def _(first: Constant, writer: GraphWriter, leaves: Sequence[Constant], width: int) -> str:
    rows = writer.node("Shape", DESIGN, start=0, end=1)
    shape = writer.node("Concat", writer.constant([1]), rows, writer.constant([1]), axis=0)
    return writer.node("Expand", writer.constant(np.stack([leaf.values[None] for leaf in leaves])), shape)


@_write.register
def _(first: Linear, writer: GraphWriter, leaves: Sequence[Linear], width: int) -> str:
    read = _read(writer, DESIGN, [leaf.inputs for leaf in leaves])
    # (m, z) coefficients stand with their columns first, the way the reference's transposed view multiplies.
    product = writer.node("MatMul", read, writer.constant(np.stack([leaf.coef.T for leaf in leaves])))
    return writer.node("Add", product, stacked(writer, [leaf.intercept[None] for leaf in leaves]))


@_write.register
def _(first: TreeEnsemble, writer: GraphWriter, leaves: Sequence[TreeEnsemble], width: int) -> str:
    every = writer.node("Concat", *write_trees(writer, leaves, width), axis=1)
    apart = writer.node("Reshape", every, writer.constant([-1, len(leaves), first.m]))
    return writer.node("Transpose", apart, perm=[1, 0, 2])


@_write.register
def _(first: Network, writer: GraphWriter, leaves: Sequence[Network], width: int) -> str:
    of = [(leaf.inputs, leaf.layers[:-1]) for leaf in leaves]
    trunks = list(dict.fromkeys(of))
    hidden = _trunks(writer, trunks, first.indicator)
    at = [trunks.index(trunk) for trunk in of]
    if len(trunks) > 1 and at != list(range(len(trunks))):
        hidden = writer.node("Gather", hidden, writer.constant(at), axis=1)
    heads = [leaf.layers[-1] for leaf in leaves]
    out = _heads(writer, hidden, heads) if len(trunks) == 1 else _layer(writer, hidden, heads)
    each = first.k // first.m
    grouped = writer.node("Reshape", out, writer.constant([first.m, each, len(leaves), -1]))
    return write_mean(writer, writer.node("Transpose", grouped, perm=[2, 3, 0, 1]), each)


def _trunks(writer: GraphWriter, trunks: Sequence[tuple[Inputs, tuple[Layer, ...]]], indicator: Ints) -> str:
    """Return the last hidden values (k, t, n, h) of ``trunks``, and (1, t, n, z + q) where no layer is hidden."""
    design, inputs = DESIGN, [inputs for inputs, _ in trunks]
    if len(indicator):
        missing = writer.node("Gather", writer.node("IsNaN", DESIGN), writer.constant(indicator), axis=1)
        design = writer.node("Concat", DESIGN, writer.node("Cast", missing, to=TensorProto.DOUBLE), axis=1)
        inputs = [_with_flags(each, len(indicator)) for each in inputs]
    read = _read(writer, design, inputs)
    hidden = writer.node("Unsqueeze", read, writer.constant([0]))
    for layers in zip(*(layers for _, layers in trunks), strict=True):
        hidden = writer.node("Relu", _layer(writer, hidden, layers))
    return hidden


def _layer(writer: GraphWriter, hidden: str, layers: Sequence[Layer]) -> str:
    """Return (k, t, n, out): the t ``layers`` of k perceptrons each on ``hidden`` (k or 1, t or 1, n, in).

    Where all have the same weights their rows stand below each other in one product a perceptron.
    """
    _, reads, makes = layers[0].weight.shape
    weights = [layer.weight for layer in layers]
    if len(layers) > 1 and _same(weights):
        rows = writer.node("Reshape", hidden, writer.constant([0, -1, reads]))
        product = writer.node("MatMul", rows, writer.constant(weights[0]))
        product = writer.node("Reshape", product, writer.constant([0, len(layers), -1, makes]))
    else:
        product = writer.node("MatMul", hidden, writer.constant(np.stack(weights, axis=1)))
    return writer.node("Add", product, _biases(writer, layers))


def _heads(writer: GraphWriter, hidden: str, layers: Sequence[Layer]) -> str:
    """Return (k, s, n, 1): the s last ``layers``, side by side in one product, on ``hidden`` (k or 1, 1, n, in)."""
    beside = np.stack([layer.weight for layer in layers], axis=3)[:, :, 0][:, None]
    product = writer.node("MatMul", hidden, writer.constant(beside))
    return writer.node("Add", writer.node("Transpose", product, perm=[0, 3, 2, 1]), _biases(writer, layers))


def _biases(writer: GraphWriter, layers: Sequence[Layer]) -> str:
    """Return the biases (k, s, 1, out) of ``layers``."""
    return writer.constant(np.stack([layer.bias[:, None] for layer in layers], axis=1))


def _with_flags(inputs: Inputs, count: int) -> Inputs:
    """Return ``inputs`` for ``count`` more columns of zeros and ones, which are read as they are."""
    none, all_ = np.zeros(count), np.ones(count)
    return Inputs(
        *(np.concatenate(pair) for pair in ((inputs.fill, none), (inputs.low, none), (inputs.high, all_)))
    )


def _read(writer: GraphWriter, design: str, inputs: Sequence[Inputs]) -> str:
    """Return ``design`` (n, z) filled and clipped: (s, n, z), or (1, n, z) where all read alike."""
    fill, low, high = (
        stacked(writer, [getattr(each, name)[None] for each in inputs]) for name in ("fill", "low", "high")
    )
    filled = writer.node("Where", writer.node("IsNaN", design), fill, design)
    return writer.node("Min", writer.node("Max", filled, low), high)
