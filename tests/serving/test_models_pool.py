"""Worker processes: a request that hangs costs itself its deadline and nobody else anything."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from serving.models.link import Bundle, Job, Link
from serving.models.pool import Pool, PoolSettings
from serving.models.shadow import unpack
from serving.models.wire import Kind, Unpacker, pack
from serving.protocol.call import Signature
from serving.refusals import RefusedError
from tests.fakes.hanging import COMMAND, hanging_bundle, in_the_circle
from tests.fakes.plant_bundle import bundle, manifest, predictor, rows
from tests.fakes.pools import with_pool

SPLIT = 30.0
"""Above any voltage of an answered row, inside the feature's range."""


def calm(n: int, seed: int) -> np.ndarray:
    X = rows(n, seed)
    X[:, manifest().feature_names.index("cell_voltage_v_last")] = 4.1
    return X


async def begun(pool: Pool) -> None:
    """Return when the one worker has begun all that it was sent."""
    await asyncio.sleep(0)  # what was asked is sent
    (link,) = pool._links
    while link._slate.begun < link._ticket:
        await asyncio.sleep(0.001)


def test_frames_survive_any_cut() -> None:
    frames = [
        (1, Kind.REST, b"a" * 5, 3, 0, 0),
        (2, Kind.ANSWER, b"", -1, 1, 0),
        (3, Kind.ROWS, b"z" * 999, -1, 0, 9),
    ]
    stream = b"".join(pack(*frame) for frame in frames)
    for size in (1, 2, 7, 24, len(stream)):
        unpacker = Unpacker()
        got = [f for i in range(0, len(stream), size) for f in unpacker.feed(stream[i : i + size])]
        assert [(f.ticket, f.kind, f.body, f.header_length, f.flags, f.raw) for f in got] == frames


def test_rows_in_answers_out_bit_for_bit() -> None:
    async def act(pool: Pool, replaced: list[str]) -> None:
        X = rows(9, 4)
        frame = await pool.ask(Kind.ROWS, X.tobytes())
        for name, values in unpack(frame.body, Signature.of(manifest())).items():
            assert values.tobytes() == predictor().predict(X)[name].tobytes()
        with pytest.raises(RefusedError) as found:
            await pool.ask(Kind.ROWS, np.full_like(X, np.inf).tobytes())
        assert found.value.code == "not_finite"

    asyncio.run(with_pool(bundle(), PoolSettings(), act))


def test_what_hangs_gets_504_is_replaced_and_its_siblings_are_untouched(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=2, deadline_s=1.0, command=COMMAND)
    names = manifest().feature_names

    async def act(pool: Pool, replaced: list[str]) -> None:
        before = set(pool.pids)
        began = time.monotonic()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, in_the_circle(calm(1, 1), names, SPLIT).tobytes()))
        served = 0
        while not hung.done():
            await pool.ask(Kind.ROWS, calm(3, served).tobytes())
            served += 1
        with pytest.raises(RefusedError) as found:
            hung.result()
        assert (found.value.status, found.value.code) == (504, "deadline")
        assert time.monotonic() - began < 1.1
        assert served > 20
        while len(pool.pids) < 2:
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 1.0 + 5.0
        assert len(set(pool.pids) & before) == 1
        assert replaced == ["deadline"]
        await asyncio.gather(*(pool.ask(Kind.ROWS, calm(2, i).tobytes()) for i in range(20)))

    asyncio.run(with_pool(circle, settings, act))


def test_what_waits_behind_a_hung_request_is_served_by_a_sibling(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=2, deadline_s=2.0, command=COMMAND)
    names = manifest().feature_names

    async def act(pool: Pool, replaced: list[str]) -> None:
        bent = in_the_circle(calm(1, 1), names, SPLIT).tobytes()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, bent))
        await asyncio.sleep(0)
        began = time.monotonic()
        await asyncio.gather(*(pool.ask(Kind.ROWS, calm(2, i).tobytes()) for i in range(30)))
        assert time.monotonic() - began < 1.5
        with pytest.raises(RefusedError):
            await hung

    asyncio.run(with_pool(circle, settings, act))


def test_what_waits_behind_a_hung_request_is_served_by_a_sibling_that_is_never_idle(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=2, deadline_s=4.0, command=COMMAND)

    async def act(pool: Pool, replaced: list[str]) -> None:
        bent = in_the_circle(calm(1, 1), manifest().feature_names, SPLIT).tobytes()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, bent))
        await asyncio.sleep(0)
        served = [0] * 40

        async def ask_on(caller: int) -> None:
            while not hung.done():
                await pool.ask(Kind.ROWS, calm(1, caller).tobytes())
                served[caller] += 1

        await asyncio.gather(*(ask_on(caller) for caller in range(40)))
        assert min(served) > 1
        with pytest.raises(RefusedError) as found:
            await hung
        assert found.value.code == "deadline"
        assert replaced == ["deadline"]

    asyncio.run(with_pool(circle, settings, act))


def test_what_waits_behind_a_hung_request_without_a_sibling_is_told_by_its_deadline(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=1, deadline_s=1.0, command=COMMAND)

    async def act(pool: Pool, replaced: list[str]) -> None:
        bent = in_the_circle(calm(1, 1), manifest().feature_names, SPLIT).tobytes()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, bent))
        await begun(pool)
        behind = [pool.ask(Kind.ROWS, calm(1, i).tobytes()) for i in range(4)]
        told = await asyncio.gather(hung, *behind, return_exceptions=True)
        assert [getattr(error, "code", None) for error in told] == ["deadline"] * 5
        assert await pool.ask(Kind.ROWS, calm(1, 9).tobytes())
        assert replaced == ["deadline"]

    asyncio.run(with_pool(circle, settings, act))


def test_what_is_still_inside_when_patience_ends_is_told(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)

    async def act(pool: Pool, replaced: list[str]) -> None:
        bent = in_the_circle(calm(1, 1), manifest().feature_names, SPLIT).tobytes()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, bent))
        await begun(pool)
        behind = [asyncio.ensure_future(pool.ask(Kind.ROWS, calm(1, i).tobytes())) for i in range(20)]
        await asyncio.sleep(0)
        await pool.close(0.0)
        for asked in (hung, *behind):
            with pytest.raises(RefusedError) as found:
                await asked
            assert found.value.status == 503
        assert not replaced

    asyncio.run(with_pool(circle, PoolSettings(command=COMMAND), act))


def test_a_worker_holds_many_small_requests_or_two_large_ones() -> None:
    async def act() -> None:
        def held(size: int, depth: int) -> int:
            link = Link(lambda link: None, lambda link: None)
            while link.has_room(depth):
                job = Job(Kind.ROWS, bytes(size), -1, 0, 0.0, asyncio.get_running_loop().create_future())
                link.jobs[len(link.jobs)] = job
                link.load += size
            return len(link.jobs)

        assert [held(1000, depth) for depth in (1, 2, 8)] == [1, 2, 8]
        assert [held(1 << 20, depth) for depth in (1, 2, 8)] == [1, 2, 2]

    asyncio.run(act())


def test_a_worker_that_dies_is_replaced_and_its_request_is_told(tmp_path: Path) -> None:
    circle = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)
    settings = PoolSettings(workers=1, deadline_s=20.0, command=COMMAND)

    async def act(pool: Pool, replaced: list[str]) -> None:
        (pid,) = pool.pids
        bent = in_the_circle(calm(1, 1), manifest().feature_names, SPLIT).tobytes()
        hung = asyncio.ensure_future(pool.ask(Kind.ROWS, bent))
        await begun(pool)
        waiting = asyncio.ensure_future(pool.ask(Kind.ROWS, calm(1, 2).tobytes()))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RefusedError) as found:
            await hung
        assert (found.value.status, found.value.code) == (503, "worker_lost")
        await waiting
        assert replaced == ["ended"]
        assert pool.pids != (pid,)

    asyncio.run(with_pool(circle, settings, act))


def test_too_many_that_wait_are_told_to_come_again() -> None:
    async def act(pool: Pool, replaced: list[str]) -> None:
        X = rows(300, 1).tobytes()
        asked = await asyncio.gather(*(pool.ask(Kind.ROWS, X) for _ in range(40)), return_exceptions=True)
        refused = [error for error in asked if isinstance(error, RefusedError)]
        assert len(refused) == 40 - 2 - 5
        assert {(error.status, error.code, error.retry_after) for error in refused} == {
            (503, "overloaded", 1)
        }
        assert pool.busy == 0

    asyncio.run(with_pool(bundle(), PoolSettings(waiting=5), act))


def test_a_bundle_that_is_refused_starts_nothing(tmp_path: Path) -> None:
    broken = hanging_bundle(bundle(), tmp_path / "circle", SPLIT)

    async def act() -> None:
        from features.bundle import read_manifest

        for digest in (read_manifest(broken).digest, "0" * 64):
            pool = Pool(Bundle(broken, digest, 10), PoolSettings(workers=2), lambda reason: None)
            with pytest.raises(BundleError):
                await pool.start()
            assert not pool.ready

    asyncio.run(act())


def test_a_worker_that_does_not_start_in_time_is_refused() -> None:
    async def act() -> None:
        settings = replace(PoolSettings(), command=("sleep", "60"), start_s=0.2)
        pool = Pool(Bundle(bundle(), manifest().digest, 10), settings, lambda reason: None)
        with pytest.raises(BundleError, match=r"did not prove its bundle within|ended before"):
            await pool.start()

    asyncio.run(act())


def test_workers_inherit_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERHEAT_TOKEN", "hush")

    async def act(pool: Pool, replaced: list[str]) -> None:
        seen = Path(f"/proc/{pool.pids[0]}/environ")
        if not seen.exists():
            pytest.skip("no /proc here")
        assert b"hush" not in seen.read_bytes()

    asyncio.run(with_pool(bundle(), PoolSettings(), act))
