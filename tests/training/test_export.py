import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.bundle import CARD, DESIGN, FEATURES, MANIFEST, MODEL, PARITY, Parity, output_names, read_bundle
from features.bundle.encoding import sha256
from features.design import design
from features.errors import ExportError, InputError
from tests.fakes.fitted import MEMBERS, fitted, recipe, rows
from training.confidence import Interval, Support, SupportView
from training.export import Label, ParityPlan, write_bundle
from training.export.confidence import write_half_widths, write_support
from training.export.edges import extremes, landmarks, plant
from training.export.graph import answers, write_graph
from training.export.lightgbm import read_boosters
from training.export.parity import check_parity, run_graph
from training.export.structures import Members, write_design, write_members
from training.export.writer import GraphWriter
from training.fitted import FittedModel
from training.structures import (
    Blend,
    CarbonIdentity,
    Constant,
    EnergyIdentity,
    Floats,
    Inputs,
    Layer,
    Linear,
    Network,
    Structure,
    Sum,
    Tree,
    TreeEnsemble,
)

Rows = NDArray[np.float32]

LABEL = Label("testline", "1", "0123abc", "2025-01-01T00:00:00+00:00")
PLAN = ParityPlan(checked=200, planted=200, stored=60)
LARGE = np.finfo(np.float32).max
TINY = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-36, -1e-36, 1e-35, -1e-35, 2e-35, -2e-35], dtype=np.float32)


def members_graph(structure: Structure, width: int) -> bytes:
    """A graph that answers the members of one structure on ``width`` features without levers."""
    writer = GraphWriter()
    write_design(writer, width, ())
    writer.node("Identity", write_members(writer, structure, width), name="members")
    return writer.to_bytes("members", {FEATURES: ["n", width]}, {"members": ["n", structure.m]})


def with_trees(model: FittedModel, change: Any) -> FittedModel:
    """The model with ``change`` applied to each tree of its voltage."""
    outcome = model.outcomes["mean_voltage_v"]
    assert isinstance(outcome.structure, Sum)
    line, trees = outcome.structure.parts
    assert isinstance(trees, TreeEnsemble)
    changed = tuple(tuple(change(tree) for tree in member) for member in trees.member_trees)
    structure = Sum((line, replace(trees, member_trees=changed)))
    return replace(model, outcomes={**model.outcomes, outcome.name: replace(outcome, structure=structure)})


def test_a_hundred_thousand_rows_agree_on_every_kind_of_structure() -> None:
    model = fitted(3, 12, 6)
    given_rows = rows(40_000, seed=11)
    planted = plant(given_rows, landmarks(model.outcomes), model.recipe.lever_columns, 60_000, seed=12)
    X = np.concatenate([given_rows, planted, extremes(given_rows)])
    graph = write_graph(model, X.shape[1])
    want = Parity(X, answers(model, model.design(X)))
    got = run_graph(graph, X)
    assert want.broken(got) == {}
    assert want.largest_relative(got) < 1e-11  # far inside 1e-6: everything is computed in double


def booster(
    seed: int, missing: bool = True, n: int = 4000, **parameters: Any
) -> tuple[lightgbm.Booster, Rows]:
    """A booster on kWh/t-like labels, and the float32 rows (n, 12) that it was trained on."""
    draw = np.random.default_rng(seed)
    X = (draw.normal(size=(n, 12)) * 10.0 ** draw.integers(-3, 4, size=12)).astype(np.float32)
    if missing:
        X[draw.random(X.shape) < 0.05] = np.nan
    z = X.astype(np.float64)
    signal = np.nan_to_num(z / np.nanstd(z, axis=0)) @ draw.normal(size=12)
    y = 13_200 + 120 * signal + draw.normal(0, 80, n)
    settings = {"num_leaves": 31, "num_threads": 1, "verbosity": -1, "seed": seed, **parameters}
    return lightgbm.train(settings, lightgbm.Dataset(z, y, params=settings), 60), X


def on_thresholds(ensemble: TreeEnsemble, X: Rows, n: int, seed: int) -> Rows:
    out = plant(X, landmarks(ensemble), (), n, seed)
    draw = np.random.default_rng(seed)
    out[draw.random(out.shape) < 0.005] = LARGE
    out[draw.random(out.shape) < 0.005] = -LARGE
    tiny = draw.random(out.shape) < 0.02
    out[tiny] = draw.choice(TINY, tiny.sum())
    return out


@pytest.mark.parametrize(
    ("missing", "parameters"),
    [
        (True, {"objective": "regression"}),
        (False, {"objective": "huber", "min_data_in_leaf": 1}),
        (True, {"objective": "quantile", "alpha": 0.9}),
        (True, {"objective": "regression", "use_missing": False}),
        (False, {"objective": "regression", "monotone_constraints": [1] * 6 + [0] * 6}),
    ],
    ids=["missing", "complete", "quantile", "missing-unused", "monotone"],
)
def test_the_graph_answers_a_hundred_thousand_rows_as_lightgbm_to_the_last_bit(
    missing: bool, parameters: dict[str, Any]
) -> None:
    boosters, X = zip(*(booster(seed, missing, **parameters) for seed in (1, 2)), strict=True)
    ensemble = read_boosters(boosters)
    at = np.concatenate(
        [X[0], on_thresholds(ensemble, X[0], 46_000, seed=3), on_thresholds(ensemble, X[1], 50_000, 4)]
    )
    assert len(at) == 100_000
    got = run_graph(members_graph(ensemble, 12), at)["members"]
    want = np.stack([each.predict(at.astype(np.float64)) for each in boosters], axis=1)
    np.testing.assert_array_equal(got, want)


def test_a_row_gets_the_same_answer_alone_and_in_any_company_to_the_last_bit() -> None:
    model = fitted()
    X = rows(1000, seed=21)
    graph = write_graph(model, X.shape[1])
    alone = [run_graph(graph, X[i : i + 1]) for i in range(0, 64)]
    for company in (2, 7, 32, 64, 1000):
        for start in (0, 1):
            whole = run_graph(graph, X[start : start + company])
            for i in range(start, min(64, company)):
                for name, values in whole.items():
                    np.testing.assert_array_equal(values[i - start], alone[i][name][0])


def test_the_mean_of_members_is_the_trained_one_to_the_last_bit() -> None:
    model, X = fitted(), rows(200, seed=22)
    got = run_graph(write_graph(model, X.shape[1]), X)
    for name in ("energy_kwh_per_t", "net_anode_kg_per_t", "mean_voltage_v", "current_efficiency"):
        np.testing.assert_array_equal(got[name], got[name + ".members"].mean(axis=1))


def _drawn_network(draw: np.random.Generator, trunk: Network | None, members: int, hidden: int) -> Network:
    """Six perceptrons on five columns: a head of its own on the layers of ``trunk``, or all of its own."""
    if trunk is not None:
        head = Layer(draw.normal(size=trunk.layers[-1].weight.shape), draw.normal(size=(6, 1)))
        return replace(trunk, layers=(*trunk.layers[:-1], head), m=members)
    widths = [7, *[4] * hidden, 1]
    layers = tuple(
        Layer(draw.normal(size=(6, into, out)), draw.normal(size=(6, out))) for into, out in pairwise(widths)
    )
    ends = np.sort(draw.normal(size=(2, 5)), axis=0)
    return Network(Inputs(draw.normal(size=5), *ends), np.array([1, 3]), layers, members)


def _alike_structures(draw: np.random.Generator) -> list[Structure]:
    """Structures of two member counts whose parts agree in everything, in their weights, their inputs or nothing."""
    first, second = (_drawn_network(draw, None, 3, hidden=1) for _ in range(2))
    moved = Network(_drawn_network(draw, None, 3, 1).inputs, first.indicator, first.layers, 3)
    heads = [_drawn_network(draw, trunk, 3, 1) for trunk in (first, second, first)]
    plain = [_drawn_network(draw, None, 3, hidden=0) for _ in range(2)]
    lines = [Linear(second.inputs, draw.normal(size=(m, 5)), draw.normal(size=m)) for m in (3, 3, 2)]
    level = Constant(np.array([4.0, 5.0, 6.0]))
    efficiency = Sum((level, lines[1]))
    return [
        Sum((lines[0], first)),
        Sum((lines[0], moved)),
        Sum((lines[0], heads[0], level)),
        lines[2],
        Blend((0.25, 0.75), (heads[1], Sum((lines[1], heads[2])))),
        EnergyIdentity(Sum((lines[0], plain[0])), efficiency),
        CarbonIdentity(efficiency, plain[1]),
        _drawn_network(draw, None, 2, hidden=2),
        efficiency,
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_alike_structures_side_by_side_are_what_each_is_alone(seed: int) -> None:
    draw = np.random.default_rng(seed)
    structures = _alike_structures(draw)
    X = draw.normal(size=(90, 5)).astype(np.float32)
    X[draw.random(X.shape) < 0.1] = np.nan
    writer = GraphWriter()
    write_design(writer, 5, ())
    members = Members(writer, structures, 5)
    outputs: dict[str, list[int | str]] = {}
    for m in (3, 2):
        which = [i for i, structure in enumerate(structures) if structure.m == m]
        stack = members.stack([structures[i] for i in which])
        joined = writer.node("Reshape", stack, writer.constant([-1, m]))
        writer.split(joined, [f"members_{i}" for i in which])
        outputs |= {f"members_{i}": ["n", m] for i in which}
    writer.node("Identity", members.means(structures), name="means")
    got = run_graph(writer.to_bytes("alike", {FEATURES: ["n", 5]}, {**outputs, "means": [9, "n"]}), X)
    for i, structure in enumerate(structures):
        want = structure.members(X.astype(np.float64))
        np.testing.assert_allclose(got[f"members_{i}"], want, rtol=1e-12, atol=1e-12)
        alone = run_graph(members_graph(structure, 5), X)["members"]
        np.testing.assert_array_equal(got[f"members_{i}"], alone)
        np.testing.assert_array_equal(got["means"][i], alone.mean(axis=1))


def test_the_heavier_branch_of_every_exported_node_lies_beside_it() -> None:
    model = onnx.load_model_from_string(write_graph(fitted(), len(recipe().names)))
    turned = 0
    for node in (node for node in model.graph.node if node.op_type == "TreeEnsemble"):
        held = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        assert "nodes_missing_value_tracks_true" not in held
        leaves = {"true": list(held["nodes_trueleafs"]), "false": list(held["nodes_falseleafs"])}
        for at in range(len(leaves["true"]) - 1, -1, -1):
            for side, counts in leaves.items():
                if not counts[at]:
                    child = held[f"nodes_{side}nodeids"][at]
                    counts[at] = leaves["true"][child] + leaves["false"][child]
            assert leaves["false"][at] >= leaves["true"][at]
        turned += sum(column >= 2 * 48 for column in held["nodes_featureids"])
    assert turned > 100


def test_a_threshold_at_the_end_of_the_doubles_is_exported_too() -> None:
    ends = np.finfo(np.float64).max * np.array([1.0, -1.0, 1.0])
    tree = Tree(
        np.zeros(3, dtype=np.int64),
        ends,
        np.array([True, False, True]),
        np.array([1, 2, -1]),
        np.array([-4, -3, -2]),
        np.array([1.0, 2.0, 3.0, 4.0]),
    )
    ensemble = TreeEnsemble(((tree,),), np.zeros(1))
    X = np.array([[0.0], [np.nan], [np.inf], [-np.inf], [LARGE], [-LARGE]], dtype=np.float32)
    got = run_graph(members_graph(ensemble, 1), X)["members"]
    np.testing.assert_array_equal(got, ensemble.members(X.astype(np.float64)))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"linear_tree": True}, "linear leaves"),
        ({"zero_as_missing": True}, "zero as missing"),
        ({"categorical_feature": [0]}, "category"),
        ({"objective": "poisson"}, "poisson"),
        ({"objective": "regression", "reg_sqrt": True}, "sqrt"),
        ({"objective": "multiclass", "num_class": 3}, "3 outputs"),
        ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "averages"),
    ],
)
def test_what_no_tree_node_can_hold_is_refused_with_the_reason(
    parameters: dict[str, Any], reason: str
) -> None:
    draw = np.random.default_rng(5)
    X = draw.integers(0, 3, size=(600, 3)).astype(np.float64)
    given_parameters = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1, "objective": "regression"}
    given_parameters |= parameters
    columns = given_parameters.pop("categorical_feature", "auto")
    data = lightgbm.Dataset(X, X[:, 0] % 3, params=given_parameters, categorical_feature=columns)
    made = lightgbm.train(given_parameters, data, 3)
    with pytest.raises(ExportError, match=reason):
        read_boosters([made])


def test_no_booster_is_refused() -> None:
    with pytest.raises(ExportError, match="no booster"):
        read_boosters([])


@st.composite
def random_tree(draw: Any, width: int) -> Tree:
    """A tree of any shape, chains included; thresholds are numbers that rows can stand on."""
    p = draw(st.integers(0, 12))
    left, right = np.full(p, 0), np.full(p, 0)
    free: list[tuple[int, NDArray[np.int64]]] = []
    for node in range(p):
        if node:
            parent, side = free.pop(draw(st.integers(0, len(free) - 1)))
            side[parent] = node
        free += [(node, left), (node, right)]
    for leaf, (parent, side) in enumerate(free):
        side[parent] = -1 - leaf
    number = st.sampled_from([0.0, -0.0, 0.1, 1.0, -1.0, 0.5 + 2**-40, 1e-40, 3.0e38, -2.5])
    return Tree(
        feature=np.array(draw(st.lists(st.integers(0, width - 1), min_size=p, max_size=p)), dtype=np.int64),
        threshold=np.array(draw(st.lists(number, min_size=p, max_size=p)), dtype=np.float64),
        nan_left=np.array(draw(st.lists(st.booleans(), min_size=p, max_size=p)), dtype=np.bool_),
        left=left.astype(np.int64),
        right=right.astype(np.int64),
        value=np.array(
            draw(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=p + 1, max_size=p + 1)),
            dtype=np.float64,
        ),
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_trees_are_summed_to_the_last_bit(data: st.DataObject) -> None:
    width = 3
    members = data.draw(
        st.lists(st.lists(random_tree(width), max_size=4).map(tuple), min_size=1, max_size=3).map(tuple)
    )
    base = np.array(data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(members), max_size=len(members))))
    ensemble = TreeEnsemble(members, base)
    values = np.array([0.0, -0.0, 0.1, 1.0, -1.0, 0.5, 1e-40, 3.0e38, -2.5, np.nan], dtype=np.float32)
    seed = data.draw(st.integers(0, 2**32 - 1))
    X = np.random.default_rng(seed).choice(values, size=(64, width))
    got = run_graph(members_graph(ensemble, width), X)["members"]
    np.testing.assert_array_equal(got, ensemble.members(X.astype(np.float64)))


def test_the_design_matrix_in_the_graph_is_ours_to_the_last_bit() -> None:
    X, levers = rows(500, seed=31), recipe().lever_columns
    writer = GraphWriter()
    write_design(writer, X.shape[1], levers)
    graph = writer.to_bytes("d", {FEATURES: ["n", X.shape[1]]}, {DESIGN: ["n", X.shape[1] + len(levers)]})
    np.testing.assert_array_equal(run_graph(graph, X)[DESIGN], design(X, levers))


def test_what_outcomes_share_is_computed_once() -> None:
    graph = onnx.load_model_from_string(write_graph(fitted(), len(recipe().names))).graph
    operators = Counter(node.op_type for node in graph.node)
    # Three ensembles stand behind four outcomes, two intervals and an identity; one trunk carries two networks.
    assert operators["TreeEnsemble"] == 3 * MEMBERS
    assert operators["IsNaN"] <= 4
    assert operators["Relu"] == 2


@pytest.mark.parametrize(
    "age", [0.0, 119.0, np.nextafter(np.float32(120), np.float32(0)), 120.0, 3000.0, np.nan]
)
def test_the_interval_knows_the_regime(age: float) -> None:
    interval = Interval(Constant(np.array([2.0, 4.0])), 1.0, {"young": 3.0, "mature": 0.5}, 1, 120.0, 0.9)
    writer = GraphWriter()
    write_design(writer, 2, ())
    members = Members(writer, [interval.scale], 2)
    writer.node("Identity", write_half_widths(writer, [interval], members), name="half_width")
    X = np.array([[7.0, age]], dtype=np.float32)
    got = run_graph(writer.to_bytes("i", {FEATURES: ["n", 2]}, {"half_width": [1, "n"]}), X)
    assert got["half_width"].tolist() == [[1.5 if age >= 120 else 9.0]]


def test_support_is_the_lowest_view_flat_beyond_its_table_and_whole_on_a_prototype() -> None:
    draw = np.random.default_rng(41)
    prototypes = draw.normal(size=(40, 6))
    columns, mean, scale = np.arange(6), draw.normal(size=6), draw.uniform(0.1, 10, 6)
    knots, scores = np.array([0.5, 1.0, 1.1, 4.0]), np.array([1.0, 0.7, 0.2, 0.0])
    views = (
        SupportView(columns, mean + 1, mean, scale, prototypes, knots, scores),
        SupportView(columns[:2], mean[:2], mean[:2], scale[:2], prototypes[:3, :2], knots / 2, scores),
    )
    support = Support(views, 0.1)
    near = (prototypes[draw.integers(0, 40, 3000)] + draw.normal(0, 0.3, (3000, 6))) * scale + mean
    X = np.concatenate([near, prototypes * scale + mean, np.full((1, 6), LARGE), np.full((1, 6), 1e15)])
    X = np.concatenate([X.astype(np.float32), np.full((1, 6), np.nan, np.float32)])
    X[draw.random(X.shape) < 0.05] = np.nan
    writer = GraphWriter()
    write_design(writer, 6, ())
    write_support(writer, support)
    got = run_graph(writer.to_bytes("s", {FEATURES: ["n", 6]}, {"support": ["n"]}), X)["support"]
    want = support.score(X.astype(np.float64))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    assert got[3041] <= 1e-15
    assert (got > 0.9).any()
    assert ((got > 0.0) & (got < 1.0)).any()


def test_rows_are_planted_on_thresholds_and_on_both_sides() -> None:
    model, X = fitted(), rows(500, seed=51)
    marks = landmarks(model.outcomes)
    planted = plant(X, marks, model.recipe.lever_columns, 500, seed=52)
    assert planted.dtype == np.float32
    assert 0.05 < np.isnan(planted).mean() < 0.25
    z = design(planted, model.recipe.lever_columns)
    for column in (0, 14, z.shape[1] - 1):
        value = z[:, column][~np.isnan(z[:, column])]
        gap = np.abs(value[:, None] - marks[column][None]).min(axis=1)
        spacing = np.spacing(np.abs(planted).max(initial=1.0, where=~np.isnan(planted)).astype(np.float32))
        assert (gap <= 4 * spacing).mean() > 0.4
    again = plant(X, marks, model.recipe.lever_columns, 500, seed=52)
    np.testing.assert_array_equal(planted, again)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: replace(tree, threshold=tree.threshold.astype(np.float32).astype(np.float64)),
        lambda tree: replace(
            tree, threshold=np.nextafter(tree.threshold.astype(np.float32), np.float32(9e9)) * 1.0
        ),
        lambda tree: replace(tree, nan_left=~tree.nan_left),
        lambda tree: replace(tree, value=tree.value * (1 + 1e-4)),
    ],
    ids=["thresholds-in-float32", "thresholds-one-up", "missing-the-other-way", "leaves-a-little-off"],
)
def test_an_export_that_is_not_exact_fails_and_names_the_rows(change: Any) -> None:
    model, X = fitted(), rows(400, seed=61)
    wrong = write_graph(with_trees(model, change), X.shape[1])
    with pytest.raises(ExportError, match=r"mean_voltage_v.*rows \(row \d+: .* for ") as caught:
        check_parity(model, wrong, X, ParityPlan(checked=400, planted=4000))
    assert "Nothing was written" in str(caught.value)


class _Moody:
    """An estimator whose answer to a row depends on the row's company, as sums of cancelling weights do."""

    def __init__(self, calm: Structure) -> None:
        self.calm, self.m = calm, calm.m

    def members(self, z: Floats) -> Floats:
        return self.calm.members(z) * (1 + 1e-5 * (len(z) > 1))


def test_an_estimator_at_odds_with_itself_is_told_from_a_wrong_export() -> None:
    model, X = fitted(), rows(60, seed=63)
    outcome = model.outcomes["current_efficiency"]
    moody = replace(outcome, structure=_Moody(outcome.structure))  # type: ignore[arg-type]
    calm, odd = (replace(model, outcomes={outcome.name: each}) for each in (outcome, moody))
    with pytest.raises(ExportError, match="otherwise alone than in a batch"):
        check_parity(odd, write_graph(calm, X.shape[1]), X, PLAN)


def test_no_number_is_no_agreement() -> None:
    model, X = fitted(), rows(50, seed=62)
    outcome = model.outcomes["mean_noise_mv"]
    endless = Constant(np.full(MEMBERS, 1.7e308))  # its mean is infinite
    broken = replace(model, outcomes={"mean_noise_mv": replace(outcome, structure=endless)})
    with np.errstate(over="ignore"), pytest.raises(ExportError, match="not finite"):
        check_parity(broken, write_graph(broken, X.shape[1]), X, PLAN)


def test_an_unknown_structure_is_refused(tmp_path: Path) -> None:
    model = fitted()
    outcome = replace(model.outcomes["mean_noise_mv"], structure=_Unknown())  # type: ignore[arg-type]
    unknown = replace(model, outcomes={"mean_noise_mv": outcome})
    with pytest.raises(ExportError, match="_Unknown cannot be exported"):
        write_bundle(unknown, tmp_path / "b", rows(20, 1), LABEL, PLAN)
    assert list(tmp_path.iterdir()) == []


class _Unknown:
    m = MEMBERS

    def members(self, z: Floats) -> Floats:
        return np.zeros((len(z), self.m))


def test_operators_that_serving_does_not_admit_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="serving admits"):
        GraphWriter().node("Loop", "x")
    with pytest.raises(ValueError, match="float32"):
        GraphWriter().constant(np.zeros(3, np.float32))


def test_a_plan_that_checks_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="compares nothing"):
        ParityPlan(planted=0)


def test_the_bundle_holds_what_was_asked(tmp_path: Path) -> None:
    model, X = fitted(), rows(300, seed=71)
    info = write_bundle(model, tmp_path / "deep" / "b", X, LABEL, PLAN)
    files = read_bundle(info.path)
    assert info.manifest == files.manifest
    assert info.digest == files.manifest.digest
    assert info.rows_compared >= 200 + 200
    assert 0 < info.largest_relative < 1e-9
    assert info.model_bytes == len(files.model)
    manifest = files.manifest
    assert (manifest.name, manifest.seed, manifest.data.simulated) == ("testline", 3, True)
    assert [target.name for target in manifest.targets] == ["energy_kwh_per_t", "net_anode_kg_per_t"]
    assert manifest.feature_names == recipe().names
    assert manifest.lever_columns == recipe().lever_columns
    assert manifest.operating_window == model.window
    assert manifest.plant == model.plant
    assert manifest.unavailable[0].name == "mean_superheat_c"
    assert manifest.outcomes[0].metrics["blend"]["r2_high"] is None  # NaN has no JSON
    stored = Parity.from_bytes(files.parity)
    assert set(stored.expected) == set(output_names(manifest))
    assert 50 <= len(stored.features) <= 60
    assert np.isnan(stored.features).any()


def test_same_model_same_bytes_and_digest(tmp_path: Path) -> None:
    X = rows(200, seed=72)
    first = write_bundle(fitted(), tmp_path / "a", X, LABEL, PLAN)
    fitted.cache_clear()
    second = write_bundle(
        fitted(), tmp_path / "b", X, replace(LABEL, created="2031-01-01T00:00:00+00:00"), PLAN
    )
    assert first.digest == second.digest
    for name in (MODEL, PARITY, CARD):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / MANIFEST).read_bytes() != (tmp_path / "b" / MANIFEST).read_bytes()
    assert write_bundle(fitted(4), tmp_path / "c", X, LABEL, PLAN).digest != first.digest


def test_another_process_writes_the_same_graph() -> None:
    script = (
        "import hashlib; from tests.fakes.fitted import fitted, recipe;"
        "from training.export.graph import write_graph;"
        "print(hashlib.sha256(write_graph(fitted(), len(recipe().names))).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == sha256(write_graph(fitted(), len(recipe().names)))


ROOT = Path(__file__).parents[2]


def test_a_bundle_replaces_a_bundle_and_leaves_nothing_behind(tmp_path: Path) -> None:
    X = rows(100, seed=73)
    write_bundle(fitted(), tmp_path / "b", X, LABEL, PLAN)
    info = write_bundle(fitted(4), tmp_path / "b", X, LABEL, PLAN)
    assert read_bundle(tmp_path / "b").manifest.digest == info.digest
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755


def test_a_failed_export_leaves_the_old_bundle_and_no_rubbish(tmp_path: Path, monkeypatch: Any) -> None:
    X = rows(100, seed=74)
    old = write_bundle(fitted(), tmp_path / "b", X, LABEL, PLAN)
    monkeypatch.setattr("training.export.write.read_bundle", _fail)
    with pytest.raises(OSError, match="disk"):
        write_bundle(fitted(4), tmp_path / "b", X, LABEL, PLAN)
    monkeypatch.undo()
    assert read_bundle(tmp_path / "b").manifest.digest == old.digest
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def _fail(directory: Path) -> None:
    raise OSError(f"the disk is full at {directory.name}")


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    X = rows(50, seed=75)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "file", "link"):
        with pytest.raises(InputError, match="bundle's directory"):
            write_bundle(fitted(), tmp_path / name, X, LABEL, PLAN)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "X", [np.zeros((3, 5), np.float32), np.zeros((3, 46)), np.zeros((0, 46), np.float32)]
)
def test_rows_that_do_not_fit_the_recipe_are_refused(tmp_path: Path, X: Any) -> None:
    with pytest.raises(InputError, match="float32 recipe rows"):
        write_bundle(fitted(), tmp_path / "b", X, LABEL, PLAN)


@pytest.mark.parametrize("label", [Label(name="../x"), Label(version=""), Label(created="now")])
def test_a_label_that_no_manifest_takes_is_refused(tmp_path: Path, label: Label) -> None:
    with pytest.raises(ExportError, match="cannot be written down"):
        write_bundle(fitted(), tmp_path / "b", rows(50, 1), label, PLAN)
    assert list(tmp_path.iterdir()) == []


def card(tmp_path: Path, model: FittedModel) -> str:
    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    write_bundle(model, tmp_path / "c", rows(50, 1), LABEL, PLAN)
    return (tmp_path / "c" / CARD).read_text(encoding="utf-8")


def test_the_card_says_what_a_reader_must_know(tmp_path: Path) -> None:
    model = fitted()
    text = card(tmp_path, model)
    for said in (
        "SIMULATED",
        "2024-01-01 to 2024-09-30",
        "2024-10-01 to 2024-12-31",
        "no bath sample was reported",
        "`set_voltage_v`",
        "heat_balance_cooling",
        "50% less error than the best baseline",
        "unseen cells",
        "90.0%",
        "It sets nothing by itself",
        recipe().digest,
    ):
        assert said in text, said
    assert LABEL.created[:10] not in text
    assert not re.search(r"\bnan\b|None\b", text)
    real = replace(model, data=replace(model.data, simulated=False))
    assert "SIMULATED" not in card(tmp_path, real)


def test_the_card_admits_a_model_that_beats_nothing(tmp_path: Path) -> None:
    model = fitted()
    outcome = model.outcomes["energy_kwh_per_t"]
    swapped = {"blend": outcome.scores["persistence"], "persistence": outcome.scores["blend"]}
    beaten = replace(model, outcomes={outcome.name: replace(outcome, scores=swapped)})
    assert "**It does not beat the cell's last known value** (1 kWh/t)" in card(tmp_path, beaten)
    alone = replace(
        model, outcomes={outcome.name: replace(outcome, scores={"blend": outcome.scores["blend"]})}
    )
    assert "No baseline was measured" in card(tmp_path, alone)


def names(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    return {node.op_type for node in nodes}


def test_the_graph_passes_the_onnx_checker_and_infers_its_shapes() -> None:
    model = onnx.load_model_from_string(write_graph(fitted(), len(recipe().names)))
    onnx.checker.check_model(model, full_check=True)
    assert "TreeEnsemble" in names(model.graph.node)
