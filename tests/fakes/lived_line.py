"""A simulated line that goes on living while it is advised: what its meters post, and its levers set as advised."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.potline import Potline
from experiments.simulator.record import DayRecord
from experiments.simulator.simulate import collect
from features.labels import label_table
from features.tables.history import history as fold
from serving.record.plants import plant_values
from tests.fakes import fitted
from tests.fakes.advice import LEVELS, fitted_model
from tests.fakes.posted import rows_of
from training.export import Label, write_bundle

SAVES = 3000.0
"""kWh/t that a volt less saves, as the planted models say; close to what it does on the simulated line."""
_DISAGREE = (0.9, 1.0, 1.1)


class LivedLine:
    """The line, and the rows of the days that it has lived since it was last asked."""

    def __init__(self, cells: int, seed: int = 7) -> None:
        self.plant = Potline("line-500", cells, seed)
        self.records: list[DayRecord] = []
        self.otherwise: list[DayRecord] = []
        self._told = 0

    def live(self, days: int, paths: Mapping[str, Sequence[float]] | None = None) -> None:
        """Live ``days``; the voltage of the cells in ``paths`` (by day from now, then as it stands) is set by hand.

        How it would have gone without is kept in ``otherwise``.
        """
        twin = self.plant.copy()
        at = {cell: i for i, cell in enumerate(self.plant.cell_ids)}
        for day in range(days):
            volts = np.full(self.plant.cells, np.nan)
            for cell, path in (paths or {}).items():
                volts[at[cell]] = path[min(day, len(path) - 1)]
            self.records.append(self.plant.step({"set_voltage_v": volts} if paths else None))
            if paths:
                self.otherwise.append(twin.step())

    def saved(self, cells: Sequence[str], days: slice) -> float:
        """The energy [kWh/t] that ``cells`` truly saved on ``days`` since they were moved."""
        at = [self.plant.cell_ids.index(cell) for cell in cells]
        lived = self.records[-len(self.otherwise) :]
        pairs = zip(lived[days], self.otherwise[days], strict=True)
        name = "energy_kwh_per_t"
        return float(np.mean([other.truth[name][at] - own.truth[name][at] for own, other in pairs]))

    def post(self) -> dict[str, Any]:
        """The days since the last post; events are told again, for a butt is weighed later."""
        tables = collect(self.plant, self.records).tables
        rows = rows_of(tables)
        since = str(self.records[self._told].date)
        self._told = len(self.records)
        for name in ("cell_days", "meters"):
            rows[name] = [row for row in rows[name] if row["date"] >= since]
        return {"plant": plant_values(tables.plant), **rows}

    def spread(self, outcome: str) -> tuple[float, float]:
        """The median of ``outcome``'s labels, and what 90 % of them lie within around it."""
        labels = label_table(fold(collect(self.plant, self.records).tables), 7).values[outcome]
        known = labels[np.isfinite(labels)]
        middle = float(np.median(known))
        return middle, float(np.quantile(np.abs(known - middle), 0.9))


def model(where: Path, level: Mapping[str, float], half_width: Mapping[str, float]) -> Path:
    """Write a model of the line: the voltage saves energy, every other outcome stands at its level."""
    shares: list[Any] = [lambda moves, share=share: share * SAVES * moves for share in _DISAGREE]
    planted = fitted_model(
        {"energy_kwh_per_t": {"set_voltage_v": shares}},
        levels=level,
        half_widths={**LEVELS, **half_width},
    )
    write_bundle(planted, where, fitted.rows(120, seed=1), Label(name="potline"))
    return where


def path_of(advice: Mapping[str, Any]) -> NDArray[np.float64]:
    """The voltage on each day of a recommendation."""
    lever = next(lever for lever in advice["levers"] if lever["name"] == "set_voltage_v")
    return np.array(lever["path"] or [lever["recommended"]])
