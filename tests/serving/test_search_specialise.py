"""A cell's specialised graph against the whole one, run by the runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import BundleForeignError, InputError, SearchError
from serving.search.graph import CutGraph
from serving.search.specialise import Specialised
from serving.search.trees import Axes, prune, read_forest
from tests.fakes import forests, graphs
from tests.fakes.fitted import fitted
from tests.fakes.fitted import rows as fitted_rows
from tests.fakes.graphs import FakeOutcome, GraphWriter
from training.export.graph import write_graph as write_export
from training.export.structures import write_design, write_members
from training.export.writer import GraphWriter as ExportWriter
from training.structures import (
    Blend,
    Constant,
    EnergyIdentity,
    Inputs,
    Layer,
    Linear,
    Network,
    Structure,
    Sum,
    Tree,
    TreeEnsemble,
)

OUTPUTS = ("energy_kwh_per_t", "energy_kwh_per_t.lower", "energy_kwh_per_t.upper", "energy_kwh_per_t.members")
Floats = NDArray[np.float64]


def whole(model: bytes, rows: NDArray[np.float32], outputs: tuple[str, ...] = OUTPUTS) -> dict[str, Floats]:
    session = onnxruntime.InferenceSession(model)
    return dict(zip(outputs, session.run(list(outputs), {"features": rows}), strict=True))


def rich_structure(draw: np.random.Generator, members: int) -> Structure:
    """Everything that a bundle's target may pass through: trees, a line, a network, V over CE, a blend."""
    z = forests.D + 3
    inputs = Inputs(np.zeros(z), np.full(z, -6000.0), np.full(z, 6000.0))

    def line(level: float, scale: float) -> Linear:
        return Linear(inputs, scale * draw.normal(size=(members, z)) / 1000.0, np.full(members, level))

    layers = (
        Layer(draw.normal(size=(2 * members, z + 2, 5)) / 1000.0, draw.normal(size=(2 * members, 5))),
        Layer(draw.normal(size=(2 * members, 5, 1)), draw.normal(size=(2 * members, 1))),
    )
    network = Network(inputs, np.array([6, 8]), layers, members)
    voltage = Sum((line(4.0, 0.01), forests.ensemble(draw, 0.0, 6, 8, members, 0.02)))
    efficiency = Sum((line(0.93, 0.001), forests.ensemble(draw, 0.0, 6, 8, members, 0.004)))
    direct = Sum((line(12500.0, 1.0), network, forests.ensemble(draw, 0.0, 8, 12, members, 30.0)))
    return Blend((0.6, 0.4), (EnergyIdentity(voltage, efficiency), direct))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equals_the_whole_graph(seed: int) -> None:
    draw = np.random.default_rng(seed)
    model = graphs.write_graph(
        forests.D, forests.LEVERS, {"energy_kwh_per_t": FakeOutcome(rich_structure(draw, 3), 7.0)}
    )
    row = forests.rows(draw, 1, missing=0.3)[0]
    cell = Specialised(CutGraph(model), row, [0, 1, 2], forests.WINDOW.grid(forests.CURRENT))
    points = draw.integers(0, cell.sizes, size=(200, 3))
    mine, full = cell.evaluate(points, OUTPUTS), whole(model, cell.rows(points))
    for name in OUTPUTS:
        np.testing.assert_allclose(mine[name], full[name], rtol=1e-12, atol=0)


def test_evaluates_levers_as_values() -> None:
    drawn = forests.drawn(3)
    cell = drawn.problem.surrogate
    levers = cell.levers(forests.grid_points(drawn.problem.sizes)[:50])
    assert np.array_equal(cell.levers(cell.points(levers)), levers)
    found = cell.evaluate_levers(levers, ("energy_kwh_per_t",))["energy_kwh_per_t"]
    rows = np.repeat(drawn.row[None, :], len(levers), axis=0)
    rows[:, :3] = levers
    np.testing.assert_allclose(found, whole(drawn.model, rows)["energy_kwh_per_t"], rtol=1e-12)


def test_refuses_a_setting_between_grid_values() -> None:
    cell = forests.drawn(3).problem.surrogate
    with pytest.raises(SearchError, match=r"4\.0049 is not on its grid"):
        cell.points(np.array([[4.0049, 50.0, 4000.0]]))


def test_many_rows_are_the_same_as_few() -> None:
    cell = forests.drawn(4).problem.surrogate
    points = np.tile(forests.grid_points(forests.drawn(4).problem.sizes), (6, 1))
    assert len(points) > 4096
    once = cell.evaluate(points, ("mean_noise_mv",))["mean_noise_mv"]
    again = np.concatenate(
        [cell.evaluate(part, ("mean_noise_mv",))["mean_noise_mv"] for part in np.array_split(points, 7)]
    )
    np.testing.assert_allclose(once, again, rtol=1e-13)
    assert cell.evaluate(points[:0], ("mean_noise_mv",))["mean_noise_mv"].shape == (0,)


def one_tree_graph(tree: Tree, mode: int) -> bytes:
    writer = GraphWriter()
    z = writer.design(forests.LEVERS)
    attributes = graphs.tree_attributes([[tree]], modes=mode)
    trees = writer.node("TreeEnsemble", z, domain="ai.onnx.ml", **attributes)
    writer.node("ReduceMean", trees, writer.constant(np.array([1])), name="energy_kwh_per_t", keepdims=0)
    return finish(writer, ("energy_kwh_per_t",))


def finish(writer: GraphWriter, outputs: tuple[str, ...]) -> bytes:
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        writer.nodes,
        "one",
        [helper.make_tensor_value_info("features", kinds.FLOAT, ["n", forests.D])],
        [helper.make_tensor_value_info(name, kinds.DOUBLE, ["n"]) for name in outputs],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


@pytest.mark.parametrize("mode", [graphs.LEQ, graphs.LT, graphs.GTE, graphs.GT])
@pytest.mark.parametrize("column", [1, forests.D + 1, 7])
def test_every_comparison_on_the_threshold_itself(mode: int, column: int) -> None:
    """Thresholds that stand exactly on grid values, moves and context values: where < and <= part."""
    value = {1: 52.0, forests.D + 1: 2.0, 7: 0.25}[column]
    nothing = np.zeros(1, dtype=np.int64)
    for nan_left in (False, True):
        tree = Tree(
            np.array([column]),
            np.array([value]),
            np.array([nan_left]),
            nothing - 1,
            nothing - 2,
            np.array([1.0, 2.0]),
        )
        model = one_tree_graph(tree, mode)
        assert_specialised_is_whole(model)


@pytest.mark.parametrize("column", [1, forests.D + 1, 7])
@pytest.mark.parametrize("heavy_left", [False, True])
def test_an_exported_tree_on_the_thresholds_themselves(column: int, heavy_left: bool) -> None:
    """The exporter turns a node whose left side is the heavier one: it then reads a column that falls."""
    value = {1: 52.0, forests.D + 1: 2.0, 7: 0.25}[column]
    below, above = np.array([1, -1]), np.array([-3, -2])
    for nan_left in (False, True):
        tree = Tree(
            np.array([column, column]),
            np.array([value, value - 1.0 if heavy_left else value + 1.0]),
            np.array([nan_left, not nan_left]),
            below if heavy_left else above,
            above if heavy_left else below,
            np.array([1.0, 2.0, 4.0]),
        )
        writer = ExportWriter()
        write_design(writer, forests.D, forests.LEVERS)
        trees = write_members(writer, TreeEnsemble(((tree,),), np.zeros(1)), forests.D + len(forests.LEVERS))
        writer.node("Squeeze", trees, writer.constant([1]), name="energy_kwh_per_t")
        model = writer.to_bytes("one", {"features": ["n", forests.D]}, {"energy_kwh_per_t": ["n"]})
        assert_specialised_is_whole(model)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_boxes_of_a_tree_tile_the_grid(seed: int) -> None:
    draw = np.random.default_rng(seed)
    trees = [forests.tree(draw, 12) for _ in range(6)]
    node = onnx.helper.make_node(
        "TreeEnsemble", ["z"], ["t"], domain="ai.onnx.ml", **graphs.tree_attributes([trees])
    )
    sizes = np.array([5, 7, 3], dtype=np.int16)
    moves = {
        forests.D + j: (j, np.linspace(-spread, spread, sizes[j]))
        for j, spread in enumerate((0.05, -6.0, 40.0))
    }
    boxes = prune(read_forest([node]), draw.normal(size=forests.D + 3), Axes(sizes, moves))
    volume = np.prod((boxes.high - boxes.low).astype(np.int64), axis=0)
    assert (boxes.low < boxes.high).all()
    for tree in np.unique(boxes.tree):
        assert volume[boxes.tree == tree].sum() == 5 * 7 * 3


def test_refuses_a_comparison_that_is_no_interval() -> None:
    equal = 4
    with pytest.raises(BundleForeignError, match=r"compares by modes \[4\]"):
        CutGraph(one_tree_graph(forests.tree(np.random.default_rng(1), 30), equal))


def test_refuses_trees_that_read_more_than_the_design() -> None:
    writer = GraphWriter()
    squared = writer.node("Mul", writer.design(forests.LEVERS), writer.constant(2.0))
    attributes = graphs.tree_attributes([[forests.tree(np.random.default_rng(1), 30)]])
    trees = writer.node("TreeEnsemble", squared, domain="ai.onnx.ml", **attributes)
    writer.node("ReduceMean", trees, writer.constant(np.array([1])), name="energy_kwh_per_t", keepdims=0)
    with pytest.raises(BundleForeignError, match="passes through Mul"):
        CutGraph(finish(writer, ("energy_kwh_per_t",)))


def test_refuses_a_design_column_of_two_levers() -> None:
    model = graphs.write_graph(
        forests.D,
        ((0, 1), (2, 5)),
        {"energy_kwh_per_t": FakeOutcome(forests.ensemble(np.random.default_rng(2), 0.0, 20, 20, 1, 1.0))},
    )
    row = np.zeros(forests.D, dtype=np.float32)
    row[:3] = forests.CURRENT
    with pytest.raises(BundleForeignError, match="moves with levers 0 and 1"):
        Specialised(CutGraph(model), row, [0, 1, 2], forests.WINDOW.grid(forests.CURRENT))


@pytest.mark.parametrize(
    "grid", [[np.array([1.0, 1.0 + 1e-9])], [np.array([])], [np.array([1.0]), np.array([2.0])]]
)
def test_refuses_grids_that_do_not_fit(grid: list[Floats]) -> None:
    model = graphs.write_graph(
        forests.D, forests.LEVERS, {"energy_kwh_per_t": FakeOutcome(Constant(np.ones(1)))}
    )
    with pytest.raises(InputError, match="grid"):
        Specialised(CutGraph(model), np.zeros(forests.D, dtype=np.float32), [0], grid)


def test_a_graph_without_trees_is_searched_too() -> None:
    draw = np.random.default_rng(5)
    z = forests.D + 3
    line = Linear(
        Inputs(np.zeros(z), np.full(z, -1e4), np.full(z, 1e4)), draw.normal(size=(2, z)), np.ones(2)
    )
    model = graphs.write_graph(forests.D, forests.LEVERS, {"energy_kwh_per_t": FakeOutcome(line)})
    cell = Specialised(
        CutGraph(model), forests.rows(draw, 1)[0], [0, 1, 2], forests.WINDOW.grid(forests.CURRENT)
    )
    points = forests.grid_points(tuple(cell.sizes.tolist()))[:100]
    np.testing.assert_allclose(
        cell.evaluate(points, OUTPUTS)["energy_kwh_per_t"],
        whole(model, cell.rows(points))["energy_kwh_per_t"],
        rtol=1e-12,
    )


def test_equals_an_exported_bundles_graph_in_every_output() -> None:
    """The exporter's own graph: blends, identities, shared networks, learned widths and support."""
    model = fitted()
    content = write_export(model, len(model.recipe.features))
    graph = CutGraph(content)
    columns = [lever for lever, _ in model.recipe.lever_columns]
    for row in fitted_rows(4, 17):
        current = np.array([row[reference] for _, reference in model.recipe.lever_columns], dtype=np.float64)
        current = np.clip(current, [3.8, 1.0], [4.2, 119.0]).round(3)
        row[[reference for _, reference in model.recipe.lever_columns]] = current
        cell = Specialised(graph, row, columns, model.window.grid(current))
        points = forests.grid_points(tuple(cell.sizes.tolist()))[::3]
        mine, full = cell.evaluate(points, graph.outputs), whole(content, cell.rows(points), graph.outputs)
        for name in graph.outputs:
            np.testing.assert_allclose(mine[name], full[name], rtol=1e-12, atol=1e-12)


def assert_specialised_is_whole(model: bytes) -> None:
    """Compare the specialised graph with the whole one on every grid point, with the context known and missing."""
    for context in (0.25, np.nan):
        row = np.zeros(forests.D, dtype=np.float32)
        row[:3] = row[3:6] = forests.CURRENT
        row[7] = context
        cell = Specialised(CutGraph(model), row, [0, 1, 2], forests.WINDOW.grid(forests.CURRENT))
        points = forests.grid_points(tuple(cell.sizes.tolist()))
        mine = cell.evaluate(points, ("energy_kwh_per_t",))["energy_kwh_per_t"]
        full = whole(model, cell.rows(points), ("energy_kwh_per_t",))["energy_kwh_per_t"]
        assert np.array_equal(mine, full)
