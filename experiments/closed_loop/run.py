"""Runs what an experiment still lacks, over processes, seed by seed, until its rule or its budget says stop."""

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from experiments.closed_loop.build import Workbench
from experiments.closed_loop.compare import Compared, compare
from experiments.closed_loop.definition import Definition
from experiments.closed_loop.loop import run_arm
from experiments.closed_loop.store import Store, Task
from experiments.progress import Meter
from experiments.revision import code_revision
from experiments.simulator.preset import load_preset
from features.policy.cost import Prices


@dataclass(frozen=True)
class Ran:
    """What a run left: the comparison of what is done, and what is missing and why."""

    compared: Compared
    seeds: tuple[int, ...]
    missing: tuple[str, ...]
    stopped: str
    seconds: float


def tasks(definition: Definition, seed: int) -> list[Task]:
    """Return the tasks of one seed, every line and arm."""
    return [
        Task(line, arm, seed)
        for line in definition.lines
        for arm in definition.arms
        if definition.lives_on(arm, line)
    ]


def run(
    definition: Definition, benches: Mapping[str, Workbench], folder: Path, workers: int, meter: Meter
) -> Ran:
    """Do what is not done yet and compare; results lie in ``folder`` and are found again by the next run.

    ``benches``: line -> what its arms are made of.

    Raises:
        InputError: the bundle or the history is not what it should be.
        SettingsError: an arm's options do not fit.
    """
    store = Store(
        folder, {name: bench.predictor.manifest.digest for name, bench in benches.items()}, code_revision()
    )
    prices = next(iter(benches.values())).prices
    _check_arms(definition, benches)
    begun, stopped = time.monotonic(), "every seed is done"
    ended: tuple[int, ...] = ()
    deadline = begun + 60.0 * definition.budget_min
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        crew = _Crew(pool, workers, benches, store, deadline)
        for number, seed in enumerate(definition.seeds):
            every = tasks(definition, seed)
            note = f"seed {number + 1} of {len(definition.seeds)}"
            if not crew.finish(every, meter, note):
                stopped = f"the budget of {definition.budget_min:g} minutes is spent"
                break
            ended = (*ended, seed)
            if _resolved(definition, store, ended, prices):
                stopped = f"differences of {definition.stopping.resolve:g} would be seen"
                break
    missing = tuple(
        task.words
        for seed in definition.seeds[: len(ended) + 1]
        for task in tasks(definition, seed)
        if not store.has(task)
    )
    compared = compare(definition, store, ended, prices)
    return Ran(compared, ended, missing, stopped, time.monotonic() - begun)


def _check_arms(definition: Definition, benches: Mapping[str, Workbench]) -> None:
    """Make every arm and read every preset once, so that a mistake is named before the first hour is spent."""
    for line in definition.lines:
        load_preset(line.settings.preset)
        for arm in definition.arms:
            if arm.kind != "naive" and definition.lives_on(arm, line):
                benches[line.name].arm(arm.name, arm.kind, arm.options)


@dataclass(frozen=True)
class _Crew:
    """Processes that run tasks until a deadline."""

    pool: ProcessPoolExecutor
    workers: int
    benches: Mapping[str, Workbench]
    store: Store
    deadline: float

    def finish(self, every: list[Task], meter: Meter, note: str) -> bool:
        """Run those of ``every`` that are not done; False where the deadline came before the last one began."""
        left = [task for task in every if self.store.get(task) is None]
        done, running = len(every) - len(left), set[Future[str]]()
        while left and time.monotonic() < self.deadline:
            task = left.pop(0)
            bench = self.benches[task.line.name]
            running.add(self.pool.submit(_one, task, (bench.bundle, bench.data), self.store))
            if len(running) >= self.workers:
                done, running = self._wait(running, done, len(every), (meter, note))
        while running:
            done, running = self._wait(running, done, len(every), (meter, note))
        return not left

    def _wait(
        self, running: set[Future[str]], done: int, total: int, say: tuple[Meter, str]
    ) -> tuple[int, set[Future[str]]]:
        """Wait for one of ``running``; return how many are done, and who still runs."""
        ready, still = wait(running, return_when=FIRST_COMPLETED)
        words = [future.result() for future in ready]
        meter, note = say
        meter(done + len(words), total, f"{note}: {words[-1]}")
        return done + len(words), set(still)


@cache
def _workbench(bundle: Path, data: Path) -> Workbench:
    """Return a worker's workbench: it opens a bundle once, whatever number of arms it runs."""
    return Workbench(bundle, data)


def _one(task: Task, paths: tuple[Path, Path], store: Store) -> str:
    """Run one task in a worker and keep its result."""
    bench = _workbench(*paths)
    with threadpool_limits(limits=1):
        preset = load_preset(task.line.settings.preset)
        arm = bench.arm(task.arm.name, task.arm.kind, task.arm.options)
        store.put(task, run_arm(task.line.settings, preset, arm, bench.predictor.recipe, task.seed))
    return task.words


def _resolved(definition: Definition, store: Store, seeds: tuple[int, ...], prices: Prices) -> bool:
    """Say whether the stopping rule holds: every arm's smallest detectable difference is small enough."""
    rule = definition.stopping
    if not rule.resolve or len(seeds) < max(rule.least_seeds, 2):
        return False
    compared = compare(definition, store, seeds, prices)
    return all(row.detectable <= rule.resolve for row in compared.arms if row.arm != definition.reference)
