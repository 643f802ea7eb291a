"""A planted confounding: a dial that is wired to nothing, turned up on cells that look sick.

The record shows a setpoint and the trouble that it was turned up for side by side, so that whoever takes association
for effect finds a strong one. Its true effect is zero by construction: the simulation ran without it.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from features.errors import UnknownNameError
from features.tables.store import Tables

DIALS: Final = {
    "alumina_feed_kg_d": (7200.0, 25.0, 50.0),
    "alf3_dose_kg_d": (50.0, 1.0, 6.0),
}
"""Lever -> (where it stands on a sound cell, its resolution, how far it is turned per unit of sickness)."""
_FED: Final = {"alf3_dose_kg_d": "alf3_fed_kg_d"}
"""What is fed by the setpoint itself. Alumina is fed by what the cell asks for, whatever its target says; and what
was fed of it enters the metal balance, from which production comes."""
_SCATTER: Final = 0.7
"""Of a turn: what a hand adds to the rule, so that the dial moves on its own too."""
_ACTS: Final = 0.35


def plant_dial(tables: Tables, lever: str, seed: int) -> Tables:
    """Return ``tables`` whose setpoint ``lever`` is a dial wired to nothing; what was fed follows it, as it would.

    Raises:
        UnknownNameError: a lever that no dial stands in for.
    """
    if lever not in DIALS:
        raise UnknownNameError(f"no dial stands in for {lever!r}; there are dials for {', '.join(DIALS)}")
    days = tables.cell_days.copy()
    rest, resolution, turn = DIALS[lever]
    draw = np.random.default_rng(seed)
    value = np.empty(len(days))
    for at in days.groupby(["line_id", "cell_id"], sort=True).indices.values():
        sick = _sickness(days["noise_mv"].to_numpy()[at], days["bath_temperature_c"].to_numpy()[at])
        value[at] = _turned(sick, (rest, resolution, turn), draw)
    fed = _FED.get(lever)
    if fed in days.columns:
        # The feeder is as true to its setpoint as it was.
        days[fed] = days[fed] - days[lever] + value
    days[lever] = value
    return replace(tables, cell_days=days)


def _sickness(noise: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Return how sick a cell looks on each day, from what was recorded up to the day before, smoothed as people do."""
    looks = np.nan_to_num((noise - 18.0) / 6.0) + 0.5 * np.nan_to_num((temperature - 952.0) / 6.0)
    seen = np.empty(len(looks))
    memory = 0.0
    for day, now in enumerate(looks):
        seen[day] = memory
        memory = 0.5 * memory + 0.5 * float(now)
    return seen


def _turned(sick: np.ndarray, dial: tuple[float, float, float], draw: np.random.Generator) -> np.ndarray:
    rest, resolution, turn = dial
    out = np.empty(len(sick))
    setting = rest
    for day, looks in enumerate(sick):
        if draw.random() < _ACTS:
            wanted = rest + turn * (looks + _SCATTER * draw.normal())
            setting = round(wanted / resolution) * resolution
        out[day] = max(setting, 0.0)
    return out
