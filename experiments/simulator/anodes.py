"""The anodes in their positions: rotation, early failures, consumption by lot, butts.

Net consumption is the operating form of the domain's section 1.9, 333.9/CE + airburn + carboxy + dust, with the
quality of each anode's lot; the features' Fischer-Perruchoud form is another one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.cells import CellEffects
from experiments.simulator.draws import stream
from experiments.simulator.line import Line
from experiments.simulator.preset import Preset
from features.electrolysis.faraday import CARBON_KG_PER_T
from features.relations import Array

Rows = NDArray[np.int64]
_MOST_A_DAY = 3


@dataclass(eq=False)
class Anodes:
    """The anodes of c cells in p positions, each (c, p)."""

    set_day: Array
    """Day and fraction at which the anode was set."""
    new_kg: Array
    kg: Array
    lot: Rows
    share: Array
    """Relative current of the position."""

    def copy(self) -> "Anodes":
        """Return an independent copy (the positions' shares never change and are shared)."""
        return Anodes(self.set_day.copy(), self.new_kg.copy(), self.kg.copy(), self.lot.copy(), self.share)

    def rows(self, index: Rows) -> "Anodes":
        """Return a copy that holds the cells in ``index``, in that order."""
        return Anodes(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Changes:
    """Anodes removed on one day, each (e,)."""

    cell: Rows
    position: Rows
    set_day: Array
    removed_day: Array
    new_kg: Array
    butt_kg: Array
    """NaN where the butt is never weighed."""
    lot: Rows


def merge(parts: Sequence[Changes]) -> Changes:
    """Put the changes of ``parts`` behind each other."""
    return Changes(*(np.concatenate([getattr(c, f.name) for c in parts]) for f in fields(Changes)))


@dataclass(frozen=True)
class ChangeDay:
    """What the anode crew does on one day to c cells in s steps."""

    changes: Changes
    per_step: Array
    """(s, c) anodes set."""
    bad: NDArray[np.bool_]
    """(c,) one of them was set badly."""


@dataclass(frozen=True)
class Burn:
    """What the anodes lost on one day, each (c,)."""

    net_kg: Array
    dust_kg: Array


def first_anodes(preset: Preset, seed: int, effects: CellEffects, line: Line, day: int) -> Anodes:
    """Return a rotation in full swing on ``day``: positions of all ages, older ones lighter."""
    cells, p = effects.anode_phase.shape[0], preset.line.anodes
    generator = stream(seed, "first_anodes")
    # An order of change that walks round the cell in jumps of seven positions, different in every cell.
    order = (np.arange(p)[None, :] * 7 + np.floor(effects.anode_phase * p).astype(np.int64)[:, None]) % p
    age = (order + 0.5) / p * effects.anode_life_days[:, None]
    z = generator.standard_normal((cells, 2, p))
    new = preset.carbon.new_mass_kg + preset.carbon.new_mass_spread_kg * z[:, 0]
    daily = 1550.0 / p
    set_day = np.round(day - age, 3)
    lot = np.maximum(np.searchsorted(line.anode_lots.used_from, set_day, side="right") - 1, 0)
    share = np.maximum(1.0 + preset.carbon.position_spread * z[:, 1], 0.8)
    return Anodes(set_day, new, new - daily * age, lot.astype(np.int64), share)


def fresh_anodes(preset: Preset, now: Anodes, cells: NDArray[np.bool_], day: int, lot: int) -> None:
    """Give the cells under ``cells`` (c,) a start-up set: used anodes of all heights, so that the rotation goes on."""
    p = preset.line.anodes
    rank = np.argsort(np.argsort(now.set_day[cells], axis=1, kind="stable"), axis=1)
    worn = (p - 1 - rank) / p
    now.set_day[cells] = np.round(day - 0.5 + rank / (p * 4.0), 3)
    now.new_kg[cells] = np.round(preset.carbon.new_mass_kg - 960.0 * worn)
    now.kg[cells] = now.new_kg[cells]
    now.lot[cells] = lot


def taken_out(anodes: Anodes, where: tuple[Rows, Rows], removed_day: float) -> Changes:
    """Return the anodes at ``where`` (cells, positions) as removed on ``removed_day`` (NaN: still in), never weighed."""
    cell, position = where
    return Changes(
        cell=cell,
        position=position,
        set_day=anodes.set_day[where],
        removed_day=np.full(cell.shape, removed_day),
        new_kg=np.round(anodes.new_kg[where]),
        butt_kg=np.full(cell.shape, np.nan),
        lot=anodes.lot[where],
    )


def stopped(anodes: Anodes, stops: NDArray[np.bool_], day: int) -> Changes:
    """Return the anodes of the cells under ``stops`` (c,): a cell that stops gives them up unweighed."""
    cell, position = np.nonzero(np.repeat(stops[:, None], anodes.set_day.shape[1], axis=1))
    return taken_out(anodes, (cell, position), float(day))


def change_anodes(
    preset: Preset, anodes: Anodes, effects: CellEffects, day: int, lot: int, chance: "Chance"
) -> ChangeDay:
    """Change the oldest anodes by rotation, and any that failed; edits ``anodes`` in place."""
    steps, cells = preset.line.steps_per_day, anodes.set_day.shape[0]
    pace = preset.line.anodes / effects.anode_life_days
    due = np.floor((day + 1) * pace + effects.anode_phase) - np.floor(day * pace + effects.anode_phase)
    due = np.where(chance.running, due, 0).astype(np.int64)
    per_step = np.zeros((steps, cells))
    found: list[Changes] = []
    for number, (rows, position) in enumerate(_picked(preset, anodes, due, chance, day)):
        step = (chance.uniform[0][rows] * (steps - 24)).astype(np.int64) % (steps - 24) + 6 + 3 * number
        when = np.round(day + step / steps, 3)
        change = _replace(preset, anodes, (rows, position), (when, lot, number), chance)
        per_step[step, rows] += 1.0
        found.append(change)
    merged = merge(found)
    bad = (per_step.sum(axis=0) > 0.0) & (chance.uniform[1] < preset.noise.bad_anode_share)
    return ChangeDay(merged, per_step, bad)


@dataclass(frozen=True)
class Chance:
    """The noise that the anode crew meets on one day."""

    running: NDArray[np.bool_]
    uniform: Array
    """(3, c)"""
    failure: Array
    """(c, p) uniforms."""
    normal: Array
    """(4, c)"""


def _picked(
    preset: Preset, anodes: Anodes, due: Rows, chance: Chance, day: int
) -> Iterator[tuple[Rows, Rows]]:
    """Yield (cells, positions) to change, one position a cell at a time; the caller replaces in between."""
    for number in range(_MOST_A_DAY):
        rows = np.flatnonzero(due > number)
        yield rows, np.argmin(anodes.set_day[rows], axis=1)
    lost = (chance.failure < preset.carbon.failure_per_day) & (anodes.set_day < day - 2.0)
    rows = np.flatnonzero(lost.any(axis=1) & chance.running)
    yield rows, np.argmax(lost[rows], axis=1)


def _replace(
    preset: Preset,
    anodes: Anodes,
    where: tuple[Rows, Rows],
    what: tuple[Array, int, int],
    chance: Chance,
) -> Changes:
    (rows, position), (when, lot, number) = where, what
    butt = np.round(anodes.kg[where] + preset.instruments.butt_kg * chance.normal[number % 4][rows])
    unweighed = np.mod(chance.uniform[2][rows] + 0.37 * number, 1.0) < preset.instruments.unweighed_share
    change = Changes(
        cell=rows,
        position=position,
        set_day=anodes.set_day[where],
        removed_day=when,
        new_kg=np.round(anodes.new_kg[where]),
        butt_kg=np.where(unweighed, np.nan, np.maximum(butt, 20.0)),
        lot=anodes.lot[where],
    )
    mass = (
        preset.carbon.new_mass_kg + preset.carbon.new_mass_spread_kg * chance.normal[(number + 1) % 4][rows]
    )
    anodes.set_day[where] = when
    anodes.new_kg[where] = mass
    anodes.kg[where] = mass
    anodes.lot[where] = lot
    return change


@dataclass(frozen=True)
class Burning:
    """What the anodes burn under on one day, each (c,)."""

    current_efficiency: Array
    temperature_c: Array
    metal_kg: Array


def burn(preset: Preset, anodes: Anodes, line: Line, under: Burning, day: int) -> Burn:
    """Consume the anodes (c, p) for one day's metal; edits their masses in place."""
    c = preset.carbon
    factors = lot_factors(preset, line)
    # The published slopes hold for a cell in operation, not for a start-up's first hot weeks.
    warm = np.clip(under.temperature_c - preset.heat.reference_temperature_c, -20.0, 15.0)
    airburn = c.airburn_kg_t * np.exp(c.airburn_per_k * warm)
    carboxy = c.carboxy_kg_t * np.exp(c.carboxy_per_k * warm)
    dust = c.dust_kg_t * factors[2][anodes.lot]
    rate = (CARBON_KG_PER_T / under.current_efficiency)[:, None] + airburn[:, None] * factors[0][anodes.lot]
    rate = rate + carboxy[:, None] * factors[1][anodes.lot] + dust
    age = day + 0.5 - anodes.set_day
    weight = anodes.share * np.where(age < 0.5, 0.25, np.where(age < 1.5, 0.8, 1.0))
    weight = weight / weight.sum(axis=1, keepdims=True)
    tonnes = (under.metal_kg / 1000.0)[:, None] * weight
    net = tonnes * rate
    anodes.kg -= net
    return Burn(net.sum(axis=1), (tonnes * dust).sum(axis=1))


def lot_factors(preset: Preset, line: Line) -> tuple[Array, Array, Array]:
    """Factors (l,) of each anode lot on airburn, carboxy and dust."""
    c, q = preset.carbon, line.anode_lots.quality
    crr, arr = q["crr_pct"] - c.crr_pct[0], q["arr_pct"] - c.arr_pct[0]
    ap = np.log(np.maximum(q["air_permeability_npm"], 0.2) / c.air_permeability_npm[0])
    tc = q["thermal_conductivity_w_mk"] - c.thermal_conductivity_w_mk[0]
    airburn = np.exp(c.airburn_per_arr * arr + c.airburn_per_tc * tc)
    carboxy = np.exp(c.carboxy_per_crr * crr + c.carboxy_per_ap * ap)
    return airburn, carboxy, np.exp(c.dust_per_crr * crr)
