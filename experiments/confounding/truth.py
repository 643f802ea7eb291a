"""What a lever truly does, per unit and cell, on the virtual potline: for the judge alone, never for a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.operators import LEVERS
from experiments.simulator.oracle import Trial, mature, respond
from experiments.simulator.potline import Potline
from features.relations import Array

STEP: Final[Mapping[str, float]] = {
    "set_voltage_v": 0.008,
    "alf3_dose_kg_d": 5.0,
    "tap_target_kg": 60.0,
    "alumina_feed_kg_d": 25.0,
}
"""How far each lever is moved, both ways: what operators move it by."""
OUTCOME: Final[Mapping[str, str]] = {
    "energy_kwh_per_t": "energy_kwh_per_t",
    "net_anode_kg_per_t": "net_anode_kg_per_t",
    "mean_voltage_v": "mean_voltage_v",
    "current_efficiency": "current_efficiency",
    "mean_bath_temperature_c": "bath_temperature_c",
    "mean_superheat_c": "superheat_c",
    "mean_noise_mv": "noise_mv",
}
"""Outcome -> what the oracle calls it."""


@dataclass(frozen=True)
class TrueSlopes:
    """lever -> outcome -> true effect per unit (days, cells): the levers held over the horizon, others as they were.

    ``cells``: positions of the cells asked; ``days``: the days on which they were asked.
    """

    slopes: Mapping[str, Mapping[str, Array]]
    cells: NDArray[np.int64]
    days: tuple[int, ...]

    def mean(self, lever: str, outcome: str) -> float:
        """Return the mean over days and cells."""
        return float(np.nanmean(self.slopes[lever][outcome]))


def true_slopes(
    plant: Potline,
    days: Sequence[int],
    horizon_d: int,
    levers: Sequence[str] = LEVERS,
    grown_from_d: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrueSlopes:
    """Return the truth of ``plant``, which lives on under its operators, asked on each of ``days`` (ascending).

    Asked are the sound, grown cells that stay so; with ``grown_from_d`` every running cell of at least that age,
    damaged ones too, which is what a record holds. A cell that is not asked on a day is NaN there.
    """
    trial = Trial(days=horizon_d, counted_from=0)
    found: dict[str, dict[str, list[Array]]] = {lever: {name: [] for name in OUTCOME} for lever in levers}
    for done, day in enumerate(days):
        while plant.day < day:
            plant.step()
        cells = (
            mature(plant, ahead_d=horizon_d)
            if grown_from_d is None
            else _grown(plant, grown_from_d, horizon_d)
        )
        base = {name: values[cells] for name, values in plant.setpoints.items()}
        answer = respond(plant, cells, base, _moves(levers), trial)
        for at, lever in enumerate(levers):
            for name, own in OUTCOME.items():
                slope = np.full(plant.cells, np.nan)
                slope[cells] = (answer[own][:, 2 * at] - answer[own][:, 2 * at + 1]) / (2 * STEP[lever])
                found[lever][name].append(slope)
        if progress is not None:
            progress(done + 1, len(days))
    slopes = {lever: {name: np.stack(each) for name, each in own.items()} for lever, own in found.items()}
    return TrueSlopes(slopes, np.arange(plant.cells), tuple(days))


def _moves(levers: Sequence[str]) -> Array:
    """Return (2 m, 4): each of m levers up, then down."""
    moves = np.zeros((2 * len(levers), len(LEVERS)))
    for at, lever in enumerate(levers):
        place = LEVERS.index(lever)
        moves[2 * at, place], moves[2 * at + 1, place] = STEP[lever], -STEP[lever]
    return moves


def _grown(plant: Potline, from_d: float, ahead_d: int) -> NDArray[np.int64]:
    now, later = plant.life(0), plant.life(ahead_d)
    return np.flatnonzero(now.running & later.running & (now.age_d >= from_d) & (later.age_d >= now.age_d))
