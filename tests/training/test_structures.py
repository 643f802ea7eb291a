"""Structures against LightGBM itself, against each other, and what they refuse."""

import lightgbm
import numpy as np
import pytest

from training.estimators.boosting import read_trees
from training.structures import (
    Blend,
    CarbonIdentity,
    Constant,
    EnergyIdentity,
    Inputs,
    Layer,
    Linear,
    Network,
    Sum,
    Tree,
    TreeEnsemble,
    describe,
    predict,
)


def _booster(seed: int, *, trees: int = 30, missing: bool = True) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(800, 6)).astype(np.float32).astype(np.float64)
    if missing:
        z[rng.random(z.shape) < 0.1] = np.nan
    y = np.nan_to_num(z[:, 0]) + np.nan_to_num(z[:, 1]) ** 2 + rng.normal(size=800)
    parameters = {
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "num_leaves": 9,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(z, label=y), num_boost_round=trees), z


@pytest.mark.parametrize("missing", [True, False])
def test_a_tree_ensemble_repeats_lightgbm_to_the_last_bit(missing: bool) -> None:
    booster, z = _booster(1, missing=missing)
    ensemble = TreeEnsemble((read_trees(booster, np.arange(6), np.zeros(6)),), np.zeros(1))
    assert np.array_equal(ensemble.members(z)[:, 0], booster.predict(z, num_threads=1))


def test_rows_on_a_threshold_go_the_way_lightgbm_sends_them() -> None:
    booster, z = _booster(2)
    trees = read_trees(booster, np.arange(6), np.zeros(6))
    ensemble = TreeEnsemble((trees,), np.zeros(1))
    edges = np.repeat(z[:1], 200, axis=0)
    for row, (column, threshold) in enumerate(
        [(c, t) for tree in trees for c, t in zip(tree.feature, tree.threshold, strict=True)][:100]
    ):
        edges[row, column], edges[100 + row, column] = threshold, np.nextafter(threshold, np.inf)
    assert np.array_equal(ensemble.members(edges)[:, 0], booster.predict(edges, num_threads=1))


def test_a_node_that_never_saw_nan_sends_it_where_the_training_mean_goes() -> None:
    booster, z = _booster(3, missing=False)
    fill = z.mean(axis=0)
    ensemble = TreeEnsemble((read_trees(booster, np.arange(6), fill),), np.zeros(1))
    unknown = z[:50].copy()
    unknown[:, 0] = np.nan
    filled = z[:50].copy()
    filled[:, 0] = fill[0]
    assert np.array_equal(ensemble.members(unknown), ensemble.members(filled))


def test_trees_read_the_columns_they_were_trained_on() -> None:
    booster, z = _booster(4)
    wide = np.concatenate([np.full((len(z), 3), 99.0), z], axis=1)
    trees = read_trees(booster, np.arange(3, 9), np.zeros(6))
    assert np.array_equal(
        TreeEnsemble((trees,), np.zeros(1)).members(wide)[:, 0], booster.predict(z, num_threads=1)
    )


def test_many_rows_are_walked_in_parts_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    booster, z = _booster(5)
    trees = read_trees(booster, np.arange(6), np.zeros(6))
    whole = TreeEnsemble((trees[:10], trees[10:]), np.array([1.0, -2.0])).members(z)
    monkeypatch.setattr("training.structures.CELLS_AT_ONCE", 700)
    parts = TreeEnsemble((trees[:10], trees[10:]), np.array([1.0, -2.0])).members(z)
    assert np.array_equal(whole, parts)


def test_a_tree_of_one_leaf_is_a_constant() -> None:
    empty = np.zeros(0)
    stump = Tree(
        empty.astype(int), empty, empty.astype(bool), empty.astype(int), empty.astype(int), np.array([2.5])
    )
    assert TreeEnsemble(((stump, stump),), np.array([1.0])).members(np.zeros((3, 2))).tolist() == [[6.0]] * 3


def _tree(**changes: np.ndarray) -> Tree:
    parts = {
        "feature": np.array([0, 1]),
        "threshold": np.array([0.0, 1.0]),
        "nan_left": np.array([True, False]),
        "left": np.array([1, -1]),
        "right": np.array([-2, -3]),
        "value": np.array([1.0, 2.0, 3.0]),
    }
    return Tree(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": np.array([1.0, 2.0])}, "one more leaf"),
        ({"left": np.array([1, -2])}, "exactly once"),
        ({"threshold": np.array([0.0, np.inf])}, "not finite"),
        ({"value": np.array([1.0, np.nan, 3.0])}, "not finite"),
        ({"nan_left": np.array([True])}, "lengths"),
    ],
)
def test_a_damaged_tree_is_refused(changes: dict[str, np.ndarray], message: str) -> None:
    assert _tree().value.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=message):
        _tree(**changes)


def _linear(coef: list[list[float]], intercept: list[float]) -> Linear:
    z = len(coef[0])
    inputs = Inputs(np.full(z, 0.5), np.full(z, -1.0), np.full(z, 1.0))
    return Linear(inputs, np.array(coef), np.array(intercept))


def test_a_line_fills_what_is_missing_and_does_not_extrapolate() -> None:
    line = _linear([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    z = np.array([[np.nan, 5.0], [-9.0, 0.25]])
    assert line.members(z).tolist() == [[2.0, 1.0], [-1.0, 0.25]]


def test_a_network_is_its_perceptrons_averaged_in_groups() -> None:
    rng = np.random.default_rng(0)
    inputs = Inputs(np.zeros(3), np.full(3, -9.0), np.full(3, 9.0))
    layers = (
        Layer(rng.normal(size=(4, 4, 5)), rng.normal(size=(4, 5))),
        Layer(rng.normal(size=(4, 5, 1)), rng.normal(size=(4, 1))),
    )
    network = Network(inputs, np.array([1]), layers, m=2)
    z = rng.normal(size=(7, 3))
    z[2, 1] = np.nan
    x = np.concatenate([np.nan_to_num(z), np.isnan(z[:, [1]])], axis=1)
    single = [
        np.maximum(x @ layers[0].weight[i] + layers[0].bias[i], 0) @ layers[1].weight[i] + layers[1].bias[i]
        for i in range(4)
    ]
    expected = np.stack([(single[0] + single[1])[:, 0] / 2, (single[2] + single[3])[:, 0] / 2], axis=1)
    np.testing.assert_allclose(network.members(z), expected, rtol=1e-13)


def test_identities_hold_member_by_member() -> None:
    voltage, efficiency = Constant(np.array([3.9, 4.0])), Constant(np.array([0.94, 0.95]))
    z = np.zeros((1, 1))
    energy = EnergyIdentity(voltage, efficiency).members(z)[0]
    np.testing.assert_allclose(energy, [2979.98 * 3.9 / 0.94, 2979.98 * 4.0 / 0.95])
    carbon = CarbonIdentity(efficiency, Constant(np.array([60.0, 61.0]))).members(z)[0]
    np.testing.assert_allclose(carbon, [333.87 / 0.94 + 60, 333.87 / 0.95 + 61])


def test_an_absurd_efficiency_does_not_divide_by_nothing() -> None:
    energy = EnergyIdentity(Constant(np.array([4.0])), Constant(np.array([-0.1])))
    assert energy.members(np.zeros((1, 1)))[0, 0] == pytest.approx(2979.98 * 4.0 / 0.5)


def test_sums_and_blends_are_taken_member_by_member() -> None:
    a, b = Constant(np.array([1.0, 2.0])), Constant(np.array([10.0, 30.0]))
    z = np.zeros((2, 1))
    assert Sum((a, b)).members(z).tolist() == [[11.0, 32.0]] * 2
    assert Blend((0.25, 0.75), (a, b)).members(z).tolist() == [[7.75, 23.0]] * 2
    assert predict(Sum((a, b)), z).tolist() == [21.5] * 2


@pytest.mark.parametrize("weights", [(0.5, 0.6), (-0.1, 1.1), (1.0,)])
def test_a_blend_that_is_no_convex_combination_is_refused(weights: tuple[float, ...]) -> None:
    part = Constant(np.array([1.0]))
    with pytest.raises(ValueError, match="blend"):
        Blend(weights, (part, part))


def test_parts_with_different_members_are_refused() -> None:
    with pytest.raises(ValueError, match="aligned"):
        Sum((Constant(np.array([1.0])), Constant(np.array([1.0, 2.0]))))


def test_structures_compare_by_content() -> None:
    assert _tree() == _tree()
    assert _tree() != _tree(value=np.array([1.0, 2.0, 4.0]))
    assert _linear([[1.0]], [0.0]) == _linear([[1.0]], [0.0])
    assert _linear([[1.0]], [0.0]) != _linear([[1.0]], [0.1])
    assert hash(_tree()) == hash(_tree())


def test_a_card_can_describe_a_structure() -> None:
    part = Sum((_linear([[1.0]], [0.0]), TreeEnsemble(((_tree(),),), np.zeros(1))))
    about = describe(Blend((1.0,), (part,)))
    assert about["kind"] == "Blend"
    assert about["parts"][0]["parts"][1] == {"kind": "TreeEnsemble", "members": 1, "trees": 1}
