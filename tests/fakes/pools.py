"""A pool of real workers for the length of a test."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from features.bundle import read_manifest
from serving.models.link import Bundle
from serving.models.pool import Pool, PoolSettings


async def with_pool(
    directory: Path, settings: PoolSettings, act: Callable[[Pool, list[str]], Awaitable[None]]
) -> None:
    """Let ``act`` (pool, why workers were replaced) use a pool of the bundle in ``directory``; none of it is left."""
    replaced: list[str] = []
    pool = Pool(Bundle(directory, read_manifest(directory).digest, 1000), settings, replaced.append)
    await pool.start()
    try:
        await act(pool, replaced)
    finally:
        await pool.close(1.0)
    assert not pool.pids
