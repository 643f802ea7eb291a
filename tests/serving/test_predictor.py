import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from features.bundle import (
    CARD,
    MANIFEST,
    MODEL,
    PARITY,
    Manifest,
    Parity,
    output_names,
    read_bundle,
    read_manifest,
)
from features.bundle.encoding import sha256
from features.errors import BundleCorruptError, BundleError, BundleForeignError, InputError
from features.recipe import ARITHMETIC
from serving.predictor import Predictor
from tests.fakes.fitted import MEMBERS, fitted, recipe, rows
from training.export import Label, ParityPlan, write_bundle
from training.export.graph import answers

LABEL = Label("testline", "1", "0123abc", "2025-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = ParityPlan(checked=200, planted=200, stored=90)
    return write_bundle(fitted(), tmp_path_factory.mktemp("bundles") / "b", rows(300, 1), LABEL, plan).path


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "b"))


def resealed(bundle: Path, change: Callable[[Manifest], Manifest] | None = None, **content: bytes) -> Path:
    """Change a bundle as someone would who knows the format: every hash fits again."""
    names = {"model": MODEL, "parity": PARITY, "card": CARD}
    for key, data in content.items():
        (bundle / names[key]).write_bytes(data)
    manifest = read_manifest(bundle)
    hashes = {name: sha256((bundle / name).read_bytes()) for name in names.values()}
    manifest = replace(manifest, files=hashes)
    (bundle / MANIFEST).write_bytes((change(manifest) if change else manifest).to_bytes())
    read_bundle(bundle)
    return bundle


def edited(bundle: Path, edit: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load_model_from_string((bundle / MODEL).read_bytes())
    edit(model)
    return resealed(bundle, model=model.SerializeToString(deterministic=True))


def tree_node(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsemble")


def attribute(node: onnx.NodeProto, name: str) -> AttributeProto:
    return next(entry for entry in node.attribute if entry.name == name)


def test_it_answers_what_the_trained_estimators_answer(original: Path) -> None:
    predictor, model, X = Predictor.open(original), fitted(), rows(500, 2)
    got, want = predictor.predict(X), answers(model, model.design(X))
    assert tuple(got) == output_names(predictor.manifest)
    for name, values in want.items():
        assert got[name].dtype == np.float64
        np.testing.assert_allclose(got[name], values, rtol=1e-11, atol=1e-11)
    mean = got["energy_kwh_per_t.members"].mean(axis=1)
    np.testing.assert_allclose(mean, got["energy_kwh_per_t"], rtol=1e-14)
    assert ((got["support"] >= 0) & (got["support"] <= 1)).all()


def test_every_answer_repeats_to_the_last_bit(original: Path) -> None:
    X = rows(64, 3)
    first, second = (Predictor.open(original).predict(X) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_many_rows_are_answered_as_each_alone_to_the_last_bit(original: Path) -> None:
    predictor, X = Predictor.open(original), rows(600, 5)
    whole = predictor.predict(X)
    for i in (0, 1, 255, 256, 257, 511, 599):
        for name, values in predictor.predict(X[i : i + 1]).items():
            np.testing.assert_array_equal(whole[name][i], values[0])
    assert {len(values) for values in whole.values()} == {600}


def test_no_rows_get_empty_answers_of_the_right_shape(original: Path) -> None:
    predictor = Predictor.open(original)
    some, none = predictor.predict(rows(2, 1)), predictor.predict(rows(2, 1)[:0])
    assert {name: (0, *values.shape[1:]) for name, values in some.items()} == {
        name: values.shape for name, values in none.items()
    }
    assert none["energy_kwh_per_t.members"].shape == (0, MEMBERS)


@pytest.mark.parametrize("X", [np.zeros((2, 46)), np.zeros((2, 45), np.float32), np.zeros(46, np.float32)])
def test_rows_of_another_type_or_width_are_refused(original: Path, X: Any) -> None:
    with pytest.raises(InputError, match=r"\(n, 46\) float32"):
        Predictor.open(original).predict(X)


def test_rows_need_not_lie_together_in_memory(original: Path) -> None:
    predictor, X = Predictor.open(original), rows(40, 4)
    apart = np.asfortranarray(X)
    np.testing.assert_array_equal(predictor.predict(apart)["support"], predictor.predict(X)["support"])
    np.testing.assert_array_equal(predictor.predict(X[::2])["support"], predictor.predict(X)["support"][::2])


def test_it_names_its_bundle_and_refuses_another_than_asked(original: Path) -> None:
    predictor = Predictor.open(original)
    assert Predictor.open(original, predictor.digest).digest == predictor.manifest.digest
    assert predictor.model == (original / MODEL).read_bytes()
    assert predictor.recipe.digest == predictor.manifest.recipe.digest
    with pytest.raises(BundleForeignError, match="was asked for"):
        Predictor.open(original, "0" * 64)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, PARITY, CARD])
def test_damage_is_refused_before_anything_is_parsed(bundle: Path, name: str) -> None:
    whole = (bundle / name).read_bytes()
    for place in np.linspace(0, len(whole) - 1, 25).astype(int):
        (bundle / name).write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(BundleError):
            Predictor.open(bundle)


def test_a_model_of_another_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(fitted(4), tmp_path / "other", rows(100, 1), LABEL, ParityPlan(100, 100, 30)).path
    swapped = (other / MODEL).read_bytes()
    (bundle / MODEL).write_bytes(swapped)
    with pytest.raises(BundleCorruptError, match="SHA-256"):
        Predictor.open(bundle)
    with pytest.raises(BundleCorruptError, match="does not reproduce its parity rows"):
        Predictor.open(resealed_after_swap(bundle))


def resealed_after_swap(bundle: Path) -> Path:
    manifest = read_manifest(bundle)
    hashes = {**manifest.files, MODEL: sha256((bundle / MODEL).read_bytes())}
    (bundle / MANIFEST).write_bytes(replace(manifest, files=hashes).to_bytes())
    return bundle


def test_another_recipe_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "features.recipe.recipe.ARITHMETIC", ARITHMETIC + 1
    )  # the running code makes features otherwise
    with pytest.raises(BundleForeignError, match=r"arithmetic.*train again"):
        Predictor.open(bundle)
    monkeypatch.undo()
    Predictor.open(bundle)


def test_a_recipe_digest_that_does_not_fit_is_refused(bundle: Path) -> None:
    resealed(bundle, lambda manifest: replace(manifest, recipe=replace(manifest.recipe, digest="0" * 64)))
    with pytest.raises(BundleForeignError, match="train again"):
        Predictor.open(bundle)


def test_features_in_another_order_than_the_recipe_makes_are_refused(bundle: Path) -> None:
    resealed(bundle, lambda manifest: replace(manifest, features=manifest.features[::-1]))
    with pytest.raises(BundleForeignError, match="other features or levers"):
        Predictor.open(bundle)


def test_levers_in_another_order_than_the_recipe_makes_are_refused(bundle: Path) -> None:
    resealed(bundle, lambda manifest: replace(manifest, levers=manifest.levers[::-1]))
    with pytest.raises(BundleForeignError, match="other features or levers"):
        Predictor.open(bundle)


def outside(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("double_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/hostname"])
def test_external_data_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    (bundle.parent / "secret.bin").write_bytes(bytes(1 << 16))
    monkeypatch.chdir(bundle.parent)
    edited(bundle, lambda model: outside(model.graph.initializer[0], location))
    with pytest.raises(BundleCorruptError, match="external data"):
        Predictor.open(bundle)


def test_external_data_inside_a_node_is_refused(bundle: Path) -> None:
    edited(bundle, lambda model: outside(attribute(tree_node(model), "nodes_splits").t, "secret.bin"))
    with pytest.raises(BundleCorruptError, match="external data"):
        Predictor.open(bundle)


def set_int(name: str, place: int, value: int) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        attribute(tree_node(model), name).ints[place] = value

    return edit


def set_tensor(name: str, change: Callable[[Any], Any]) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        entry = attribute(tree_node(model), name)
        entry.t.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(entry.t).copy())))

    return edit


def circle(model: onnx.ModelProto) -> None:
    """The second node of the second tree leads back to itself: the runtime would walk it for ever."""
    node = tree_node(model)
    leafs = attribute(node, "nodes_trueleafs").ints
    at = next(i for i in range(2, len(leafs)) if not leafs[i])
    attribute(node, "nodes_truenodeids").ints[at] = at


def shared(model: onnx.ModelProto) -> None:
    """A node with two parents: a runtime that unrolls trees doubles it at every level."""
    node = tree_node(model)
    leafs = [attribute(node, f"nodes_{side}leafs").ints for side in ("true", "false")]
    at = next(i for i in range(1, len(leafs[0])) if not leafs[0][i] and not leafs[1][i])
    ids = [attribute(node, f"nodes_{side}nodeids").ints for side in ("true", "false")]
    ids[0][at] = ids[1][at]


def set_number(name: str, value: int) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        attribute(tree_node(model), name).i = value

    return edit


def with_spoiled(values: Any, value: float) -> Any:
    values[-1] = value
    return values


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (circle, "circle"),
        (shared, "several parents"),
        (set_int("nodes_truenodeids", 1, 10**6), "not there"),
        (set_int("nodes_truenodeids", 1, -1), "circle|not there"),
        (set_int("nodes_falsenodeids", 1, 10**12), "not there"),
        (set_int("nodes_featureids", 1, 4 * 48), "column that is not there"),
        (set_int("nodes_featureids", 1, -1), "column that is not there"),
        (set_int("leaf_targetids", 0, 1), "target"),
        (set_int("tree_roots", 0, 10**6), "root"),
        (set_number("n_targets", 2), "several targets"),
        (set_number("post_transform", 2), "transforms"),
        (set_number("aggregate_function", 0), "add its leaves"),
        (set_tensor("leaf_weights", lambda v: with_spoiled(v, np.nan)), "not finite"),
        (set_tensor("nodes_splits", lambda v: with_spoiled(v, np.inf)), "not finite"),
        (set_tensor("nodes_splits", lambda v: v[:-1]), "differ in length"),
        (set_tensor("leaf_weights", lambda v: v.astype(np.float32)), "double"),
        (set_tensor("nodes_modes", lambda v: v + 4), "<="),
        (lambda model: attribute(tree_node(model), "tree_roots").ints.pop(), "parity rows"),
        (lambda model: tree_node(model).input.__setitem__(0, "features"), "reads"),
        (
            lambda model: tree_node(model).attribute.append(
                helper.make_attribute("nodes_missing_value_tracks_true", [1])
            ),
            "differ in length",
        ),
        (
            lambda model: tree_node(model).attribute.remove(attribute(tree_node(model), "nodes_splits")),
            "lacks",
        ),
        (lambda model: tree_node(model).attribute.remove(attribute(tree_node(model), "tree_roots")), "lacks"),
    ],
)
def test_a_damaged_tree_is_refused_though_its_hash_fits(
    bundle: Path, edit: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    edited(bundle, edit)
    with pytest.raises(BundleCorruptError, match=reason):
        Predictor.open(bundle)


def add_loop(model: onnx.ModelProto) -> None:
    empty = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=empty))


def smuggle_graph(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Squeeze")
    node.attribute.append(helper.make_attribute("body", helper.make_graph([], "body", [], [])))


def add_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("d", "F", [], [], [], []))


def widen_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 47


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "profit"


def float_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1), "s")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64)), [4])
    )


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (add_loop, "Loop"),
        (smuggle_graph, "no number or tensor"),
        (add_function, "functions"),
        (sparse, "sparse"),
        (widen_input, "inputs"),
        (rename_output, "outputs"),
        (float_output, "float64"),
        (lambda model: model.opset_import.append(helper.make_opsetid("com.microsoft", 1)), "operator sets"),
        (lambda model: model.graph.node.pop(), "cannot be loaded|parity"),
        (lambda model: model.graph.initializer.pop(), "cannot be loaded"),
    ],
)
def test_a_graph_that_training_never_writes_is_refused(
    bundle: Path, edit: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    edited(bundle, edit)
    with pytest.raises(BundleCorruptError, match=reason):
        Predictor.open(bundle)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x0a"])
def test_what_is_no_graph_is_refused(bundle: Path, content: bytes) -> None:
    with pytest.raises(BundleCorruptError):
        Predictor.open(resealed(bundle, model=content))


def test_a_leaf_a_little_off_does_not_pass_the_parity_rows(bundle: Path) -> None:
    edited(bundle, set_tensor("leaf_weights", lambda values: values + 1e-4))
    with pytest.raises(BundleCorruptError, match=r"does not reproduce.*mean_voltage_v on rows \["):
        Predictor.open(bundle)


def test_parity_rows_that_do_not_fit_are_refused(bundle: Path) -> None:
    parity = Parity.from_bytes((bundle / PARITY).read_bytes())
    fewer = {name: values for name, values in parity.expected.items() if name != "support"}
    narrow = Parity(np.ascontiguousarray(parity.features[:, :5]), parity.expected)
    for content in (Parity(parity.features, fewer).to_bytes(), narrow.to_bytes(), b"no zip"):
        with pytest.raises(BundleCorruptError, match="parity rows of bundle"):
            Predictor.open(resealed(bundle, parity=content))
    off = {name: values * (1 + 3e-6) for name, values in parity.expected.items()}
    with pytest.raises(BundleCorruptError, match="does not reproduce"):
        Predictor.open(resealed(bundle, parity=Parity(parity.features, off).to_bytes()))


def oversized(model: onnx.ModelProto) -> None:
    shape = next(t for t in model.graph.initializer if t.data_type == TensorProto.INT64)
    shape.CopyFrom(numpy_helper.from_array(np.array([1 << 40]), shape.name))


def test_a_shape_that_asks_for_all_memory_is_refused(bundle: Path) -> None:
    edited(bundle, oversized)
    with pytest.raises(BundleCorruptError, match="size or index"):
        Predictor.open(bundle)


def test_random_damage_is_refused_by_name_even_where_every_hash_fits(bundle: Path) -> None:
    """Nothing but our own error comes out, and most of it is found without the hash's help."""
    whole, draw, refused = (bundle / MODEL).read_bytes(), np.random.default_rng(8), 0
    for _ in range(30):
        damaged = bytearray(whole)
        for place in draw.integers(0, len(whole), 3):
            damaged[place] ^= int(draw.integers(1, 256))
        try:
            Predictor.open(resealed(bundle, model=bytes(damaged)))
        except BundleCorruptError:
            refused += 1
    assert refused >= 15


class Watch:
    """Python's own record of what is opened and unpickled while ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[str] = []
        self.pickled: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and not isinstance(arguments[0], int):
            self.opened.append(str(arguments[0]))
        if self.on and event == "pickle.find_class":
            self.pickled.append(str(arguments))


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    watch = Watch()
    sys.addaudithook(watch)  # for good: a hook cannot be taken off, so it is switched
    yield watch
    watch.on = False


def test_opening_reads_each_file_once_and_unpickles_nothing(bundle: Path, watch: Watch) -> None:
    Predictor.open(bundle)  # whatever is imported late is imported now
    watch.on = True
    Predictor.open(bundle)
    watch.on = False
    assert watch.pickled == []
    inside = [Path(path).name for path in watch.opened if str(bundle) in path]
    assert sorted(inside) == sorted((MANIFEST, MODEL, PARITY, CARD))
    assert [path for path in watch.opened if str(bundle) not in path] == []


def test_the_recipe_is_the_running_one(original: Path) -> None:
    assert Predictor.open(original).recipe == recipe()
