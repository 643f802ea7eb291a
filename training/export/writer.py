"""Writing a graph node by node, each distinct computation once.

Every node is filed under its operator, inputs and attributes, every constant under its content: a part that two
outcomes share (a current-efficiency model inside an energy identity, one trunk under several heads) is therefore
computed once, and the same structures always give the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from features.bundle.graph import IR_VERSION, ML, OPERATORS, OPSETS

Attribute: TypeAlias = int | float | list[int] | onnx.TensorProto

_DTYPES = (np.float64, np.int64, np.bool_)


class GraphWriter:
    """A growing graph; values are referred to by their names."""

    def __init__(self) -> None:
        """Start with an empty graph."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._filed: dict[tuple[object, ...], str] = {}

    def constant(self, values: NDArray[np.generic] | float | Sequence[int]) -> str:
        """Return the name of a constant tensor of float64, int64 or bool ``values``."""
        array = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
        if array.dtype not in _DTYPES:
            raise ValueError(f"a constant of {array.dtype} cannot be written; use float64, int64 or bool")
        key = ("constant", array.dtype.str, array.shape, array.tobytes())
        if key not in self._filed:
            self._filed[key] = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(array, self._filed[key]))
        return self._filed[key]

    def node(
        self,
        operator: str,
        *inputs: str,
        name: str = "",
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
        **more: Attribute,
    ) -> str:
        """Return the name of ``operator``'s one output on ``inputs``; ``name`` it if it has to have that name.

        Raises:
            ValueError: an operator that serving does not admit.
        """
        if (domain, operator) not in OPERATORS:
            raise ValueError(f"operator {domain}.{operator} is not among those that serving admits")
        given = {**(attributes or {}), **more}
        made = [helper.make_attribute(key, given[key]) for key in sorted(given)]
        key = (domain, operator, inputs, name, *(a.SerializeToString(deterministic=True) for a in made))
        if key not in self._filed:
            self._filed[key] = name or f"v{len(self._nodes)}"
            node = helper.make_node(operator, inputs, [self._filed[key]], domain=domain)
            node.attribute.extend(made)
            self._nodes.append(node)
        return self._filed[key]

    def split(self, value: str, names: Sequence[str]) -> None:
        """Cut ``value`` along its first axis into equal parts called ``names``."""
        node = helper.make_node("Split", [value], names, axis=0, num_outputs=len(names))
        self._nodes.append(node)

    def to_bytes(
        self,
        graph_name: str,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
    ) -> bytes:
        """Return the serialised model: ``inputs`` float32 and ``outputs`` float64, name -> shape."""
        graph = helper.make_graph(
            self._nodes,
            graph_name,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
                for name, shape in outputs.items()
            ],
            self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="superheat",
            ir_version=IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", OPSETS["ai.onnx"]),
                helper.make_opsetid(ML, OPSETS[ML]),
            ],
        )
        content: bytes = model.SerializeToString(deterministic=True)
        return content
