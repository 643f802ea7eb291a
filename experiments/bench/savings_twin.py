"""Verified savings held against the truth: cells of the virtual potline moved by hand, beside the same line unmoved.

Each draw takes the line as it stands, lives on with some cells' set voltage held lower, and lives the same days again,
under the same noise, with the operators left alone. The difference of the true energies is what was really saved, with
all that a move sets off: temperature, ledge, efficiency, what operators do about it. Verification sees the one record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from experiments.bench.savings import PROMISE, Told, columns, excess, figures
from experiments.bench.table import BenchMeta, BenchTable
from experiments.progress import Meter
from experiments.simulator.potline import Potline
from experiments.simulator.record import DayRecord
from experiments.simulator.simulate import collect
from features.history import History
from features.tables.history import history as fold
from serving.verified.answer import Span, verify
from serving.verified.moves import Accepted, Move, blocks_of
from serving.verified.panel import panel
from serving.verified.settings import SavingsSettings

LOWER_V: Final = 0.025
"""How much lower the moved cells are set [V]."""
MOVED: Final = 6
_BEFORE_D, _BETWEEN_D = 60, 9
_KEPT_D: Final = 110
_ENERGY: Final = "energy_kwh_per_t"
_PICKS: Final = ("random cells", "cells just now bad")


@dataclass(frozen=True)
class Twins:
    """One draw: the record with its moves, and the days after them as they went and as they would have gone."""

    history: History
    moves: tuple[Move, ...]
    lived: tuple[DayRecord, ...]
    otherwise: tuple[DayRecord, ...]


def run(cells: int, draws: int, seed: int, meter: Meter | None = None) -> BenchTable:
    """Return the table over ``draws`` draws, each with cells at random and with cells just now bad.

    Raises:
        InputError: no cells or a negative seed.
    """
    line = Potline("line-500", cells, seed)
    records = [line.step() for _ in range(_BEFORE_D)]
    found: dict[str, list[Told]] = {name: [] for name in _PICKS}
    for i in range(draws):
        for name in _PICKS:
            found[name].append(judge(twins(line, records, name, np.random.default_rng([seed, i]))))
        records = [*records, *(line.step() for _ in range(_BETWEEN_D))][-_KEPT_D:]
        if meter is not None:
            meter(i + 1, draws)
    return BenchTable.of(
        "Verified savings against the same line without the moves",
        columns("truly saved"),
        [[name, *figures(told)] for name, told in found.items()],
        BenchMeta.here(["scipy"], seed=seed, simulated=True),
        [
            f"{MOVED} of {cells} cells {1000 * LOWER_V:.0f} mV lower; truly saved: their true energy in the line's twin"
            " under the same noise, less their own; the other columns as in superheat bench savings."
        ],
    )


def twins(line: Potline, records: Sequence[DayRecord], pick: str, generator: np.random.Generator) -> Twins:
    """Return ``line`` lived on with ``MOVED`` cells set lower, and with none; ``line`` itself stands still."""
    settings = SavingsSettings()
    days = settings.settling_days + settings.horizon_days + 1
    moved, still = line.copy(), line.copy()
    chosen = _chosen(fold(collect(line, records).tables), line, pick, generator)
    volts = np.full(line.cells, np.nan)
    volts[chosen] = np.round(line.setpoints["set_voltage_v"][chosen] - LOWER_V, 3)
    lived = tuple(moved.step({"set_voltage_v": volts}) for _ in range(days))
    otherwise = tuple(still.step() for _ in range(days))
    history = fold(collect(moved, [*records, *lived]).tables)
    date = lived[0].date.astype("datetime64[D]").item()
    return Twins(
        history, tuple(Move(line.cell_ids[cell], date, 1, PROMISE) for cell in chosen), lived, otherwise
    )


def _chosen(history: History, line: Potline, pick: str, generator: np.random.Generator) -> list[int]:
    """Return the positions in ``line`` of the cells to move, none of them young or at rest."""
    age = history.signals["cell_age_d"][-1]
    grown = [str(cell) for cell, old in zip(history.cell_ids, age, strict=True) if old > 150]
    able = np.array([i for i, cell in enumerate(line.cell_ids) if cell in grown and line.running[i]])
    if pick == _PICKS[0]:
        return sorted(generator.choice(able, min(MOVED, len(able)), replace=False).tolist())
    day = len(history.dates)
    score = excess(history.signals["cell_voltage_v"], day, (3, 28))
    score = score + excess(history.signals["noise_mv"], day, (3, 28))
    worst = dict(zip(history.cell_ids.tolist(), np.nan_to_num(score, nan=-np.inf).tolist(), strict=True))
    ranked = sorted(able.tolist(), key=lambda i: -worst[line.cell_ids[i]])
    return sorted(ranked[:MOVED])


def judge(pair: Twins) -> Told:
    """Return what verification tells of one draw, and what was truly saved on the counted days."""
    history, settings = pair.history, SavingsSettings()
    cells = {move.cell_id: 1 for move in pair.moves}
    found = verify(
        history, str(history.line_ids[0]), Accepted(pair.moves, (), cells, cells), Span(), settings
    )
    true = {cell: _saved(pair, cell, settings) for cell in cells}
    own = [(cell.realised.energy_kwh_per_t, true[cell.cell_id]) for cell in found.cells if cell.realised]
    blocks = blocks_of(pair.moves, history.cell_ids.tolist(), history.dates[0], settings)
    seen = panel(history, [blocks[0].window], settings)
    changes = seen.change[0, [block.cell for block in blocks]]
    realised = found.line.realised
    return Told(
        planted=float(np.mean(list(true.values()))),
        told=None if realised is None else realised.energy_kwh_per_t,
        before_after=-float(np.mean(changes[np.isfinite(changes)])),
        cells_covered=sum(one.lower <= truth <= one.upper for one, truth in own),
        cells_told=len(own),
    )


def _saved(pair: Twins, cell_id: str, settings: SavingsSettings) -> float:
    """Return what a cell truly saved on the counted days [kWh/t]."""
    at = int(cell_id.rpartition("-")[2]) - 1
    counted = slice(settings.settling_days, settings.settling_days + settings.horizon_days)
    days = zip(pair.lived[counted], pair.otherwise[counted], strict=True)
    return float(np.mean([still.truth[_ENERGY][at] - own.truth[_ENERGY][at] for own, still in days]))
