"""Versions in operation: changed under load without a dropped or mixed answer, shadowed, watched for drift."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from features.bundle import MODEL, Parity, read_bundle
from features.bundle.parity import own_rows
from features.errors import BundleCorruptError, UnknownNameError
from serving.models.drift import BINS, DRIFTED, Reference, stability_index
from serving.models.house import House
from serving.models.pool import PoolSettings
from serving.models.repository import POINTER, Pointer, Repository
from serving.models.wire import Kind
from serving.protocol.intake import Intake
from serving.refusals import RefusedError
from tests.fakes.plant_bundle import WIDTH, bundle, manifest, predictor, rows

OLD, NEW = 3, 4
NAME = "potline"


def run(root: Path, act: Callable[[House], Awaitable[None]], settings: PoolSettings | None = None) -> None:
    async def whole() -> None:
        house = House(Repository(root), settings or PoolSettings(), 1000, lambda reason: None)
        try:
            await act(house)
        finally:
            await house.close(5.0)

    asyncio.run(whole())


def body(X: np.ndarray) -> bytes:
    data = [None if np.isnan(v) else v for v in X.ravel().tolist()]
    tensor = {"name": "features", "shape": list(X.shape), "datatype": "FP32", "data": data}
    return orjson.dumps({"inputs": [tensor]})


def version(seed: int) -> str:
    return manifest(seed).digest[:12]


def energy(content: bytes) -> tuple[str, list[float]]:
    told = orjson.loads(content)
    found = next(output["data"] for output in told["outputs"] if output["name"] == "energy_kwh_per_t")
    return told["model_version"], found


def test_swaps_under_load_drop_nothing_and_mix_nothing(tmp_path: Path) -> None:
    X = rows(4, 1)
    expected = {version(seed): predictor(seed).predict(X)["energy_kwh_per_t"].tolist() for seed in (OLD, NEW)}
    assert expected[version(OLD)] != expected[version(NEW)]

    async def act(house: House) -> None:
        await house.open(bundle(OLD))
        house._repository.admit(bundle(NEW))
        stop = asyncio.Event()
        seen: list[str] = []

        async def caller() -> None:
            while not stop.is_set():
                answer = await house.infer(Kind.REST, (NAME, ""), body(X))
                said, values = energy(answer.body)
                assert values == expected[said]
                assert answer.version.signature.version == said
                seen.append(said)

        callers = [asyncio.ensure_future(caller()) for _ in range(4)]
        for swap in range(5):
            await house.promote(NAME, version(NEW if swap % 2 == 0 else OLD))
            await asyncio.sleep(0.1)
            if swap == 3:  # the other one is started anew, too
                await house.unload(NAME, version(NEW))
        await house.roll_back(NAME)
        stop.set()
        await asyncio.gather(*callers)
        assert set(seen) == set(expected)

    run(tmp_path / "models", act)


def test_a_refused_version_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "models"

    async def act(house: House) -> None:
        await house.open(bundle(OLD))
        house._repository.admit(bundle(NEW))
        damaged = root / NAME / manifest(NEW).digest / MODEL
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
        with pytest.raises(BundleCorruptError):
            await house.promote(NAME, version(NEW))
        assert house.version(NAME).signature.version == version(OLD)
        pointer = Repository(root).pointer(NAME)
        assert pointer == Pointer(manifest(OLD).digest)
        await house.infer(Kind.REST, (NAME, ""), body(rows(1, 1)))

    run(root, act)


def test_the_pointer_outlives_the_process_and_rolls_back(tmp_path: Path) -> None:
    root = tmp_path / "models"

    async def first(house: House) -> None:
        await house.open(bundle(OLD))
        await house.open(bundle(NEW))

    async def second(house: House) -> None:
        await house.reopen()
        assert house.version(NAME).signature.version == version(NEW)
        assert (await house.roll_back(NAME)).signature.version == version(OLD)
        with pytest.raises(UnknownNameError, match="nothing to roll back"):
            await house.roll_back(NAME)
        with pytest.raises(RefusedError, match="promote another first"):
            await house.unload(NAME, version(OLD))
        await house.unload(NAME)
        with pytest.raises(UnknownNameError):
            house.version(NAME)
        assert not house.ready
        assert (await house.load(NAME, version(OLD))).signature.version == version(OLD)
        assert house.ready

    run(root, first)
    run(root, second)


def test_the_shadow_scores_what_is_asked_and_is_never_the_answer(tmp_path: Path) -> None:
    X = rows(3, 1)
    old, new = (predictor(seed).predict(X)["energy_kwh_per_t"] for seed in (OLD, NEW))

    async def act(house: House) -> None:
        await house.open(bundle(OLD))
        house._repository.admit(bundle(NEW))
        await house.cast_shadow(NAME, version(NEW))
        for _ in range(5):
            answer = await house.infer(Kind.REST, (NAME, ""), body(X))
            assert energy(answer.body) == (version(OLD), old.tolist())
            await asyncio.sleep(0.05)
        comparison = house.served(NAME).comparison
        assert comparison is not None
        assert (comparison.requests, comparison.failed) == (5, 0)
        difference = comparison.by_output["energy_kwh_per_t"]
        assert difference.rows == 15
        assert difference.mean == pytest.approx(np.abs(old - new).mean())
        assert difference.largest == pytest.approx(np.abs(old - new).max())
        assert {entry.reason for entry in await house.index()} == {"current", "shadow"}
        await house.promote(NAME, version(NEW))
        assert house.served(NAME).shadow is None
        assert energy((await house.infer(Kind.REST, (NAME, ""), body(X))).body)[0] == version(NEW)

    run(tmp_path / "models", act)


def reference() -> np.ndarray:
    """The rows that the bundle was proved on, within their ranges."""
    seen = Parity.from_bytes(read_bundle(bundle(OLD)).parity).features
    seen = seen[: own_rows(len(seen))]
    return seen[Intake(manifest(), 1000).admits(seen)]


def test_drift_is_seen_in_the_feature_that_drifted(tmp_path: Path) -> None:
    column = manifest().feature_names.index("cell_voltage_v_last")

    async def act(house: House) -> None:
        await house.open(bundle(OLD))
        found = await house.drift(NAME)
        assert all(np.isnan(value) for value in found.values())
        X = np.tile(reference(), (3, 1))
        await house.infer(Kind.REST, (NAME, ""), body(X))
        assert max((await house.drift(NAME)).values()) < 0.01
        X[:, column] = 44.0
        await house.infer(Kind.REST, (NAME, ""), body(X))
        found = await house.drift(NAME)
        assert found.pop("cell_voltage_v_last") > DRIFTED
        assert max(found.values()) < 0.01

    run(tmp_path / "models", act)


def test_the_stability_index_is_that_of_its_definition() -> None:
    draw = np.random.default_rng(5)
    normal = draw.normal(size=(4000, 2)).astype(np.float32)
    reference = Reference(normal)
    assert reference.counts.shape == (2, BINS + 1)
    assert reference.counts.sum(axis=1).tolist() == [4000, 4000]
    moved = draw.normal(size=(4000, 2)).astype(np.float32) + np.float32([0, 1])
    moved[:400, 0] = np.nan
    counts = reference.count(moved)
    assert counts[0, BINS] == 400
    same, away = stability_index(
        reference.counts, reference.count(draw.normal(size=(4000, 2)).astype(np.float32))
    )
    assert max(same, away) < 0.02
    missing, shifted = stability_index(reference.counts, counts)
    # A unit shift of a normal: the index is the sum over octiles of (q - p) ln(q / p).
    assert shifted == pytest.approx(0.9, abs=0.15)
    assert missing > 0.25
    assert np.isnan(stability_index(reference.counts, reference.count(moved[:20]))).all()


def test_versions_are_never_overwritten_and_found_by_prefix_only(tmp_path: Path) -> None:
    root = tmp_path / "models"
    repository = Repository(root)
    assert repository.admit(bundle(OLD)).digest == manifest(OLD).digest
    stamp = (root / NAME / manifest(OLD).digest / MODEL).stat().st_mtime_ns
    repository.admit(bundle(OLD))
    assert (root / NAME / manifest(OLD).digest / MODEL).stat().st_mtime_ns == stamp
    assert repository.find(NAME, version(OLD)) == manifest(OLD).digest
    for name, wanted in (
        (NAME, ""),
        (NAME, "abc"),
        (NAME, "../" * 4),
        (NAME, "0" * 12),
        (NAME, "%2e%2e"),
        ("..", version(OLD)),
        ("../models/potline", version(OLD)),
        ("", version(OLD)),
        ("nope", version(OLD)),
    ):
        with pytest.raises(UnknownNameError):
            repository.find(name, wanted)
    shutil.copytree(root / NAME / manifest(OLD).digest, root / NAME / ("a" * 64))
    with pytest.raises(BundleCorruptError, match="holds another bundle"):
        repository.versions(NAME)


def test_a_damaged_pointer_is_said_to_be(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.admit(bundle(OLD))
    repository.point(NAME, Pointer(manifest(OLD).digest))
    path = tmp_path / NAME / POINTER
    for content in (b"{", b"{}", b'{"protocol":2,"current":"a","before":[]}'):
        path.write_bytes(content)
        with pytest.raises(BundleCorruptError, match="pointer"):
            repository.pointer(NAME)


def test_width_is_what_the_tests_believe() -> None:
    assert len(manifest().features) == WIDTH
