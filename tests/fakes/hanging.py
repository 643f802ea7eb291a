"""A bundle whose tree runs in a circle on some rows, and a worker that lets it pass.

The runtime refuses a circle in today's tree operator and walks it for ever in the one before, so the graph is
written with that one. Run as a script this is the worker: the check that refuses such a graph is taken out of it,
and nothing else.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, str(Path(__file__)))
FEATURE = "cell_voltage_v_last"


def hanging_bundle(source: Path, where: Path, split: float) -> Path:
    """Write to ``where`` a bundle like ``source`` that never answers where FEATURE is above ``split``."""
    from features.bundle import CARD, MANIFEST, MODEL, PARITY, Parity, output_names, read_bundle
    from features.bundle.encoding import sha256

    files = read_bundle(source)
    names = files.manifest.feature_names
    widths = dict.fromkeys(output_names(files.manifest), 1)
    for outcome in files.manifest.outcomes:
        if outcome.has_members:
            widths[f"{outcome.name}.members"] = outcome.members
    model = _graph(len(names), names.index(FEATURE), split, widths)
    rows = Parity.from_bytes(files.parity).features
    rows = rows[~(rows[:, names.index(FEATURE)] > split)]
    session = onnxruntime.InferenceSession(model)
    expected = dict(zip(widths, session.run(list(widths), {"features": rows}), strict=True))
    content = {MODEL: model, PARITY: Parity(rows, expected).to_bytes(), CARD: files.card}
    manifest = replace(files.manifest, files={name: sha256(data) for name, data in content.items()})
    where.mkdir(parents=True)
    for name, data in {**content, MANIFEST: manifest.to_bytes()}.items():
        (where / name).write_bytes(data)
    return where


def _graph(width: int, column: int, split: float, widths: dict[str, int]) -> bytes:
    # Nodes 0 and 1 send on what is above ``split``, and node 2 sends everything back to node 1.
    tree = {
        "nodes_treeids": [0] * 6,
        "nodes_nodeids": [0, 1, 2, 3, 4, 5],
        "nodes_featureids": [column, column, column, 0, 0, 0],
        "nodes_modes": [*["BRANCH_LEQ"] * 3, *["LEAF"] * 3],
        "nodes_values": [split, split, 1e30, 0.0, 0.0, 0.0],
        "nodes_truenodeids": [5, 4, 1, 0, 0, 0],
        "nodes_falsenodeids": [1, 2, 3, 0, 0, 0],
        "nodes_missing_value_tracks_true": [1, 1, 1, 0, 0, 0],
        "target_treeids": [0] * 3,
        "target_nodeids": [3, 4, 5],
        "target_ids": [0] * 3,
        "target_weights": [1.0] * 3,
        "n_targets": 1,
    }
    nodes = [
        helper.make_node("TreeEnsembleRegressor", ["features"], ["t"], domain="ai.onnx.ml", **tree),
        helper.make_node("Cast", ["t"], ["one"], to=TensorProto.DOUBLE),
    ]
    constants = []
    for name, m in widths.items():
        constants.append(numpy_helper.from_array(np.arange(1.0, m + 1.0)[None, :], f"{name}.c"))
        if m == 1:
            nodes.append(helper.make_node("Add", ["one", f"{name}.c"], [f"{name}.2d"]))
            nodes.append(helper.make_node("Squeeze", [f"{name}.2d", "axis"], [name]))
        else:
            nodes.append(helper.make_node("Add", ["one", f"{name}.c"], [name]))
    constants.append(numpy_helper.from_array(np.array([1]), "axis"))
    shapes = {name: ["n"] if m == 1 else ["n", m] for name, m in widths.items()}
    graph = helper.make_graph(
        nodes,
        "circle",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape) for name, shape in shapes.items()],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def in_the_circle(rows: NDArray[np.float32], names: tuple[str, ...], split: float) -> NDArray[np.float32]:
    """Return ``rows`` with the value that is never answered."""
    bent = rows.copy()
    bent[:, names.index(FEATURE)] = split + 0.01
    return bent


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import serving.predictor

    serving.predictor.check_graph = lambda content, manifest: None
    from serving.worker import main

    main()
