"""Verified savings put to the test on a line without advice: what is told where nothing, or a known saving, is there.

Cells of a recorded line are called accepted at random, or because they are just now bad, and nothing, a lower voltage
or a better current efficiency is planted into their record from that day on. What verification tells is held against
what was planted: how far off, and how often the interval covers it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.bench.table import BenchMeta, BenchTable
from experiments.prepare import read_record
from experiments.progress import Meter
from features.history import History
from features.tables.history import history as fold
from serving.schemas import Estimate, Saving
from serving.verified.answer import Span, verify
from serving.verified.moves import Accepted, Move, blocks_of
from serving.verified.panel import Panel, Window, panel
from serving.verified.settings import SavingsSettings

Floats = NDArray[np.float64]
Pick = Callable[[History, np.random.Generator], list[tuple[int, int]]]

LOWER_V: Final = 0.04
"""Planted voltage [V]."""
BETTER: Final = 0.01
"""Planted current efficiency, relative."""
_EARLIEST, _LATEST = 60, 20
_EPISODES: Final = 14
_APART: Final = 45
_NOTHING: Final = Estimate(mean=0.0, lower=0.0, upper=0.0)
PROMISE: Final = Saving(
    energy_kwh_per_t=_NOTHING, net_anode_kg_per_t=None, cost_per_t=_NOTHING, currency="CNY"
)


@dataclass(frozen=True)
class Scenario:
    """Who is accepted, and what is planted: volts less, efficiency more."""

    name: str
    pick: Pick
    volts: float = 0.0
    efficiency: float = 0.0


@dataclass(frozen=True)
class Told:
    """One draw: planted saving, what was told, and what before and after alone would tell [kWh/t]."""

    planted: float
    told: Estimate | None
    before_after: float
    cells_covered: int
    cells_told: int


def at_random(history: History, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return (cell, day) of episodes drawn at random, at most two a cell."""
    cells = np.repeat(np.arange(len(history.cell_ids)), 2)
    chosen = generator.choice(cells, min(_EPISODES, len(cells)), replace=False)
    days = generator.integers(_EARLIEST, len(history.dates) - _LATEST, len(chosen))
    return [(int(cell), int(day)) for cell, day in zip(chosen, days, strict=True)]


def just_now_bad(history: History, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return (cell, day) of the two worst cells on each of some days: voltage and noise of three days over a month's."""
    return _worst(history, generator, (3, 28))


def bad_for_weeks(history: History, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return (cell, day) of the two worst cells on each of some days: voltage and noise of a month over four months'."""
    return _worst(history, generator, (28, 120))


def _worst(history: History, generator: np.random.Generator, spans: tuple[int, int]) -> list[tuple[int, int]]:
    days = generator.integers(spans[1], len(history.dates) - _LATEST, _EPISODES // 2)
    found = []
    for day in days:
        score = sum(excess(history.signals[name], int(day), spans) for name in ("cell_voltage_v", "noise_mv"))
        worst = np.argsort(-np.nan_to_num(np.asarray(score), nan=-np.inf), kind="stable")[:2]
        found += [(int(cell), int(day)) for cell in worst]
    return found


def excess(values: Floats, day: int, spans: tuple[int, int]) -> Floats:
    """Return (c,) how far the last days before ``day`` lie above a longer span's mean, in the line's deviations."""
    recent, long = (_mean(values[day - back : day]) for back in spans)
    return np.asarray((recent - long) / np.nanstd(recent - long))


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan))


SCENARIOS: Final = (
    Scenario("nothing, random cells", at_random),
    Scenario(f"{1000 * LOWER_V:.0f} mV less, random cells", at_random, volts=LOWER_V),
    Scenario(f"{BETTER:.0%} better efficiency, random cells", at_random, efficiency=BETTER),
    Scenario("nothing, cells just now bad", just_now_bad),
    Scenario(f"{1000 * LOWER_V:.0f} mV less, cells just now bad", just_now_bad, volts=LOWER_V),
    Scenario("nothing, cells bad for weeks", bad_for_weeks),
    Scenario(f"{1000 * LOWER_V:.0f} mV less, cells bad for weeks", bad_for_weeks, volts=LOWER_V),
)


def run(data: Path, draws: int, seed: int, meter: Meter | None = None) -> BenchTable:
    """Return the table over ``draws`` draws of every scenario on the record ``data``."""
    line = fold(read_record(data, None).tables)
    # Anodes are another measurement, with a question of its own: without them a draw takes a third of the time.
    line = replace(line, anodes=line.anodes.take(np.array([], dtype=np.intp)))
    rows = []
    for number, scenario in enumerate(SCENARIOS):
        found = []
        for i in range(draws):
            found.append(draw(line, scenario, np.random.default_rng([seed, number, i])))
            if meter is not None:
                meter(number * draws + i + 1, len(SCENARIOS) * draws, scenario.name)
        rows.append([scenario.name, *figures(found)])
    return BenchTable.of(
        "Verified savings against what was planted",
        columns("planted"),
        rows,
        BenchMeta.here(["scipy"], seed=seed, simulated=line.plant.simulated),
        [
            f"{_EPISODES} episodes a draw; found: mean of what was told; error: root mean square; covered: share of"
            " 90 % intervals of the line that hold what was planted, cells covered: of each cell's own; naive:"
            " the moved cells' own change alone."
        ],
    )


def columns(truth: str) -> list[tuple[str, str]]:
    """Return names and units of the table's columns; ``truth`` is what the found saving is held against."""
    shares = [("covered", "share"), ("half width", "kWh/t"), ("cells covered", "share")]
    counts = [("scenario", ""), ("draws", ""), ("told", "")]
    return [
        *counts,
        *((name, "kWh/t") for name in (truth, "found", "error")),
        *shares,
        *((name, "kWh/t") for name in ("bias", "naive bias")),
    ]


def draw(line: History, scenario: Scenario, generator: np.random.Generator) -> Told:
    """Return what verification tells of one draw of ``scenario`` on ``line``."""
    settings = SavingsSettings()
    moves = tuple(
        Move(str(line.cell_ids[cell]), line.dates[day].item(), 1, PROMISE)
        for cell, day in _apart(scenario.pick(line, generator))
    )
    planted = plant(line, moves, scenario)
    cells = {move.cell_id: 1 for move in moves}
    told = verify(planted, str(line.line_ids[0]), Accepted(moves, (), cells, cells), Span(), settings)
    blocks = blocks_of(moves, [str(cell) for cell in line.cell_ids], line.dates[0], settings)
    windows = sorted({block.window for block in blocks})
    bare, seen = panel(line, windows, settings), panel(planted, windows, settings)
    at = {window: i for i, window in enumerate(windows)}
    places = [(at[block.window], block.cell) for block in blocks]
    known = [place for place in places if np.isfinite(seen.change[place]) and seen.grown[place]]
    true = {place: _true(line, bare, place, scenario) for place in known}
    weight = np.array([seen.metal_kg_d[place] for place in known])
    share = weight / weight.sum() if known else weight
    realised = told.line.realised
    own = [
        (cell.realised.energy_kwh_per_t, [true[p] for p in known if line.cell_ids[p[1]] == cell.cell_id])
        for cell in told.cells
        if cell.realised is not None
    ]
    return Told(
        planted=float(share @ np.array([true[place] for place in known])) if known else 0.0,
        told=None if realised is None else realised.energy_kwh_per_t,
        before_after=float(-(share @ np.array([seen.change[place] for place in known]))) if known else 0.0,
        cells_covered=sum(one.lower <= float(np.mean(truth)) <= one.upper for one, truth in own if truth),
        cells_told=sum(bool(truth) for _, truth in own),
    )


def _apart(picked: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``picked`` without those that come close after another of the same cell: what is planted would add up."""
    kept: list[tuple[int, int]] = []
    for cell, day in sorted(picked, key=lambda one: one[1]):
        if all(cell != other or day - before > _APART for other, before in kept):
            kept.append((cell, day))
    return kept


def plant(line: History, moves: tuple[Move, ...], scenario: Scenario) -> History:
    """Return ``line`` with the scenario's saving in every moved cell, from its first move to the end of the record."""
    place = {str(cell): i for i, cell in enumerate(line.cell_ids)}
    volts, fed, tapped = (
        line.signals[name].copy() for name in ("cell_voltage_v", "alumina_fed_kg_d", "tap_mass_kg")
    )
    for move in moves:
        after = (line.dates >= np.datetime64(move.date, "D"), place[move.cell_id])
        volts[after] -= scenario.volts
        # More metal is made from more alumina and tapped as it comes: the level stays where it was.
        fed[after] *= 1.0 + scenario.efficiency
        tapped[after] *= 1.0 + scenario.efficiency
    signals = {"cell_voltage_v": volts, "alumina_fed_kg_d": fed, "tap_mass_kg": tapped}
    return replace(line, signals={**line.signals, **signals})


def _true(line: History, bare: Panel, place: tuple[int, int], scenario: Scenario) -> float:
    """Return the saving of one move [kWh/t]: energy is 2979.98 V / CE, so both changes act on it in proportion."""
    window: Window = bare.windows[place[0]]
    volts = float(np.nanmean(line.signals["cell_voltage_v"][window.first : window.last + 1, place[1]]))
    left = (1.0 - scenario.volts / volts) / (1.0 + scenario.efficiency)
    return float(bare.after[place]) * (1.0 - left)


def figures(found: list[Told]) -> list[float | int | None]:
    """Return a row's figures, in the order of :func:`columns`."""
    told = [(one.planted, one.told) for one in found if one.told is not None]
    if not told:
        return [len(found), 0, *[None] * 8]
    planted = np.array([truth for truth, _ in told])
    mean, lower, upper = (
        np.array([getattr(one, end) for _, one in told]) for end in ("mean", "lower", "upper")
    )
    cells = sum(one.cells_told for one in found)
    return [
        len(found),
        len(told),
        float(planted.mean()),
        float(mean.mean()),
        float(np.sqrt(np.mean((mean - planted) ** 2))),
        float(np.mean((lower <= planted) & (planted <= upper))),
        float(np.mean(upper - lower) / 2),
        sum(one.cells_covered for one in found) / cells if cells else None,
        float(np.mean(mean - planted)),
        float(np.mean([one.before_after - one.planted for one in found])),
    ]
