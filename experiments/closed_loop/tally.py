"""The judge's book: the truth of every cell, summed round by round. Nothing that decides may read it."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.potline import Potline
from experiments.simulator.record import DayRecord
from features.policy.cost import Prices, cost_per_t
from features.relations import Array

SUMS: Final = (
    "days",
    "kwh",
    "carbon_kg",
    "metal_kg",
    "ideal_kg",
    "alf3_kg",
    "anode_effects",
    "anode_effect_min",
    "noise_mv_d",
    "temperature_c_d",
    "superheat_c_d",
    "superheat_outside_h",
    "temperature_outside_h",
    "voltage_v_d",
)
"""What is summed over the days of a round in which the cell ran, each (c,)."""


class Tally:
    """Sums over one round; ``close`` returns them and begins the next round."""

    def __init__(self, plant: Potline, alf3_kg: Array | None = None) -> None:
        """Begin a round; ``alf3_kg`` (c,) is what each bath holds now, not known (NaN) at the very beginning."""
        self._cells = plant.cells
        self._alf3 = np.full(plant.cells, np.nan) if alf3_kg is None else alf3_kg
        self._begin()

    def _begin(self) -> None:
        self._sums = {name: np.zeros(self._cells) for name in SUMS}

    def add(self, record: DayRecord) -> None:
        """Add one day."""
        truth, ran = record.truth, record.running
        made = truth["produced_kg"]
        # AlF3 that a lower dose takes out of the bath is no saving: what counts is what the cell used up.
        used = truth["alf3_fed_kg"] - _change(truth["alf3_kg"], self._alf3, ran)
        self._alf3 = np.where(ran, truth["alf3_kg"], np.nan)
        values = {
            "days": np.ones(self._cells),
            "kwh": truth["energy_kwh_per_t"] * made / 1000.0,
            "carbon_kg": truth["net_anode_kg"],
            "metal_kg": made,
            "ideal_kg": made / truth["current_efficiency"],
            "alf3_kg": used,
            "anode_effects": record.cell_days["anode_effects"],
            "anode_effect_min": truth["anode_effect_minutes"],
            "noise_mv_d": truth["noise_mv"],
            "temperature_c_d": truth["bath_temperature_c"],
            "superheat_c_d": truth["superheat_c"],
            "superheat_outside_h": truth["superheat_outside_h"],
            "temperature_outside_h": truth["temperature_outside_h"],
            "voltage_v_d": truth["mean_voltage_v"],
        }
        for name, value in values.items():
            self._sums[name] += np.where(ran, value, 0.0)

    def close(self) -> dict[str, Array]:
        """Return the round's sums and begin the next."""
        closed = self._sums
        self._begin()
        return closed

    @property
    def alf3_kg(self) -> Array:
        """(c,) what each bath held at the end of the last day; NaN where the cell stood."""
        return self._alf3.copy()


def _change(now: Array, before: Array, ran: NDArray[np.bool_]) -> Array:
    """Return the bath's change (c,); none where a cell has just been started, whose bath came from elsewhere."""
    change = np.where(ran & np.isfinite(before), now - before, 0.0)
    return np.where(np.abs(change) < _START_KG, change, 0.0)


_START_KG: Final = 250.0
"""A bath that changes by more AlF3 in a day has been poured anew."""


def per_tonne(sums: Mapping[str, Array], prices: Prices) -> dict[str, Array]:
    """Return energy, net anode, AlF3 and cost of a tonne for ``sums`` of any one shape; NaN without metal."""
    tonnes = np.where(sums["metal_kg"] > 0.0, sums["metal_kg"], np.nan) / 1000.0
    energy, anode, alf3 = sums["kwh"] / tonnes, sums["carbon_kg"] / tonnes, sums["alf3_kg"] / tonnes
    return {
        "energy_kwh_per_t": energy,
        "net_anode_kg_per_t": anode,
        "alf3_kg_per_t": alf3,
        "cost_per_t": cost_per_t(energy, anode, alf3, prices),
    }
