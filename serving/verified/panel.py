"""What every cell did before and after a day: energy per tonne, metal, and what cells are matched on.

Energy per tonne is charge-weighted voltage over production, and production comes from the balances of metal and
alumina, never from tapped mass. The smoother is told that production may have jumped on the first day of the move, for
moved cells and controls alike: without that it spreads a step over the days around it and a saving would be told too
small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import metal_balance
from features.electrolysis.faraday import ENERGY_KWH_PER_T_PER_V, METAL_KG_PER_KA_DAY
from features.history import History
from features.metal_balance import BalanceDay, BalanceSettings
from serving.verified.settings import SavingsSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.intp]

_BURN_DAYS: Final = 28
"""Days before the baseline in which the balance finds the cell's own production and feeders' bias."""
_REACH_DAYS: Final = 7
"""Days behind the reporting period that the smoother may look at."""
_JUMP_KG_D: Final = 300.0
"""How far production may have jumped at the move [kg/d]: far beyond any move, so that nothing is held back."""
_COLUMNS: Final = 3000
"""Columns of one run of the balance: bounds the memory."""

NEEDED: Final = ("cell_voltage_v", "line_current_ka", "metal_level_mm", "tap_mass_kg")
"""Signals without which no energy per tonne can be told."""
MATCHED_ON: Final = (
    "energy_kwh_per_t",
    "cell_voltage_v",
    "cell_voltage_v, last 7 d over the baseline",
    "cell_voltage_v, last 3 d over the last 7",
    "cell_voltage_v, trend",
    "noise_mv",
    "noise_mv, last 7 d over the baseline",
    "noise_mv, last 3 d over the last 7",
    "bath_temperature_c",
    "bath_temperature_c, last 7 d over the baseline",
    "set_voltage_v, last 7 d over the baseline",
    "set_voltage_v, last day over the last 7 d",
    "metal_level_mm, last 7 d",
    "logarithm of cell_age_d",
)


@dataclass(frozen=True, order=True)
class Window:
    """Days of one comparison, as indices of the record: baseline ``begin``..``start - 1``, counted ``first``..``last``."""

    begin: int
    start: int
    first: int
    last: int


@dataclass(frozen=True)
class Panel:
    """Every cell over w windows; NaN where too little is known.

    Attributes:
        windows: the w windows.
        before, after: (w, c) energy [kWh/t] in the baseline and in the counted days.
        metal_before_kg_d, metal_kg_d: (w, c) production in the baseline and in the counted days [kg/d].
        matched_on: (w, c, p) what cells are matched on, NaN where not known.
        grown: (w, c) neither young nor started anew from the baseline to the last counted day.
    """

    windows: tuple[Window, ...]
    before: Floats
    after: Floats
    metal_before_kg_d: Floats
    metal_kg_d: Floats
    matched_on: Floats
    grown: Flags

    @property
    def change(self) -> Floats:
        """Energy after less before [kWh/t] (w, c)."""
        return self.after - self.before


def panel(history: History, windows: Sequence[Window], settings: SavingsSettings) -> Panel:
    """Return every cell of ``history`` over ``windows``."""
    shape = (len(windows), len(history.cell_ids))
    made, charge = _production(history, windows, settings), _charge(history)
    before, after, metal_before, metal = (np.full(shape, np.nan) for _ in range(4))
    for i, window in enumerate(windows):
        baseline, counted = slice(window.begin, window.start), slice(window.first, window.last + 1)
        before[i], metal_before[i] = _energy(history, charge, made[i][0], baseline, settings)
        after[i], metal[i] = _energy(history, charge, made[i][1], counted, settings)
    matched_on = np.stack([_matched_on(history, window, before[i]) for i, window in enumerate(windows)])
    grown = np.stack([_grown(history, window, settings) for window in windows])
    return Panel(tuple(windows), before, after, metal_before, metal, matched_on, grown)


def _energy(
    history: History, charge: Floats, made: Floats, span: slice, settings: SavingsSettings
) -> tuple[Floats, Floats]:
    """Return energy [kWh/t] and production [kg/d] (c,) over the days ``span``; ``made`` is that of a full day (c,)."""
    volts, charge = history.signals["cell_voltage_v"][span], charge[span]
    known = np.isfinite(volts) & (charge > 0)
    level, tap = history.signals["metal_level_mm"][span], history.signals["tap_mass_kg"][span]
    share = np.minimum(known.mean(axis=0), (np.isfinite(level) & np.isfinite(tap)).mean(axis=0))
    weight = np.where(known, charge, 0.0)
    total = weight.sum(axis=0)
    mean = (weight * np.where(known, volts, 0.0)).sum(axis=0) / np.where(total > 0, total, np.nan)
    efficiency = made / (METAL_KG_PER_KA_DAY * history.plant.line_current_ka)
    sound = (share >= settings.least_known) & (efficiency > 0.5) & (efficiency < 1.1)
    energy = ENERGY_KWH_PER_T_PER_V * mean / np.where(sound, efficiency, np.nan)
    days = np.where(np.isfinite(charge), charge, 0.0).sum(axis=0) / (
        history.plant.line_current_ka * len(charge)
    )
    return energy, np.where(sound, made * days, np.nan)


def _charge(history: History) -> Floats:
    """Return the charge of each day [kA d] (t, c)."""
    current = history.signals["line_current_ka"]
    minutes = history.signals.get("run_minutes", np.full(current.shape, np.nan))
    return current * metal_balance.run_share(minutes)


def _production(
    history: History, windows: Sequence[Window], settings: SavingsSettings
) -> list[tuple[Floats, Floats]]:
    """Return for each window the production of a full day before and after [kg/d], each (c,)."""
    record, cells = _record(history), len(history.cell_ids)
    lead = settings.baseline_days + _BURN_DAYS
    reach: dict[int, int] = {}
    for window in windows:
        reach[window.start] = max(reach.get(window.start, 0), window.last - window.start)
    # Alike lengths together: a run is as long as its longest.
    starts = sorted(reach, key=lambda start: (reach[start], start))
    found: dict[Window, tuple[Floats, Floats]] = {}
    at_once = max(1, _COLUMNS // cells)
    for chunk in (starts[i : i + at_once] for i in range(0, len(starts), at_once)):
        place = {start: i for i, start in enumerate(chunk)}
        mine = [window for window in windows if window.start in place]
        length = lead + max(reach[start] for start in chunk) + 1 + _REACH_DAYS
        days = np.arange(length)[:, None] - lead + np.array(chunk)[None, :]
        made = _smoothed(record, days, history, settings, lead).reshape(length, len(chunk), cells)
        for window in mine:
            column = made[:, place[window.start]]
            offset = lead - window.start
            found[window] = (
                column[window.begin + offset : lead].mean(axis=0),
                column[window.first + offset : window.last + offset + 1].mean(axis=0),
            )
    return [found[window] for window in windows]


def _smoothed(
    record: BalanceDay, days: Ints, history: History, settings: SavingsSettings, lead: int
) -> Floats:
    """Return production [kg/d] (t, w * c) on ``days`` (t, w), each of the w runs with its own jump at ``lead``."""
    size = len(history.dates)
    inside = (days >= 0) & (days < size)
    at = np.clip(days, 0, size - 1)

    def taken(values: Floats, missing: float) -> Floats:
        chosen = np.where(inside[:, :, None], values[at], missing)
        return np.asarray(chosen.reshape(len(days), -1))

    cut = BalanceDay(
        level_mm=taken(record.level_mm, np.nan),
        tap_kg=taken(record.tap_kg, np.nan),
        alumina_kg=taken(record.alumina_kg, np.nan),
        load=taken(record.load, 1.0),
        restarted=taken(record.restarted.astype(np.float64), 0.0) > 0,
    )
    jumps = max(1, settings.settling_days)
    walks = dict.fromkeys(range(lead, lead + jumps), _JUMP_KG_D / np.sqrt(jumps))
    filtered = metal_balance.run_filter(cut, BalanceSettings.for_plant(history.plant), walks)
    return metal_balance.smoothed_days(filtered)


def _record(history: History) -> BalanceDay:
    level = history.signals["metal_level_mm"]
    nothing = np.full(level.shape, np.nan)
    age = history.signals.get("cell_age_d", nothing)
    before = np.vstack([np.full((1, age.shape[1]), np.nan), _carried(age)[:-1]])
    return BalanceDay(
        level_mm=level,
        tap_kg=history.signals["tap_mass_kg"],
        alumina_kg=history.signals.get("alumina_fed_kg_d", nothing),
        load=metal_balance.load(
            history.signals["line_current_ka"], history.signals.get("run_minutes", nothing), history.plant
        ),
        restarted=metal_balance.restarted(age, before),
    )


def _carried(values: Floats) -> Floats:
    """Return ``values`` (t, c) with each gap filled by the last known value before it."""
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, last, axis=0)


def _matched_on(history: History, window: Window, before: Floats) -> Floats:
    """Return (c, p) what cells are matched on: level, trend and the last days before the move, age, metal level."""
    nothing = np.full(history.signals["cell_voltage_v"].shape, np.nan)

    def mean(name: str, days: int | None = None) -> Floats:
        first = window.begin if days is None else max(window.begin, window.start - days)
        return _mean(history.signals.get(name, nothing)[first : window.start])

    volts, noise, heat, setting = "cell_voltage_v", "noise_mv", "bath_temperature_c", "set_voltage_v"
    columns = (
        before,
        mean(volts),
        mean(volts, 7) - mean(volts),
        mean(volts, 3) - mean(volts, 7),
        _slope(history.signals[volts][window.begin : window.start]),
        mean(noise),
        mean(noise, 7) - mean(noise),
        mean(noise, 3) - mean(noise, 7),
        mean(heat),
        mean(heat, 7) - mean(heat),
        mean(setting, 7) - mean(setting),
        mean(setting, 1) - mean(setting, 7),
        mean("metal_level_mm", 7),
        np.log(np.maximum(mean("cell_age_d", 7), 1.0)),
    )
    return np.stack(columns, axis=1)


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan))


def _slope(values: Floats) -> Floats:
    """Return the least-squares slope a day of ``values`` (t, c), NaN where fewer than three are known."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    some = np.where(count >= 3, count, np.nan)
    day = np.arange(len(values))[:, None] * known
    centred = (np.arange(len(values))[:, None] - day.sum(axis=0) / some) * known
    return np.asarray((centred * np.where(known, values, 0.0)).sum(axis=0) / (centred**2).sum(axis=0))


def _grown(history: History, window: Window, settings: SavingsSettings) -> Flags:
    age = history.signals.get("cell_age_d")
    if age is None:
        return np.ones(len(history.cell_ids), dtype=bool)
    span = age[window.begin : window.last + 1]
    oldest = np.fmax.reduce(span, axis=0, initial=-np.inf)
    youngest = np.fmin.reduce(span, axis=0, initial=np.inf)
    restarted = oldest - youngest > (window.last - window.begin) + metal_balance.RESTART_DROP_D
    return np.asarray((youngest >= settings.young_cell_d) & ~restarted)
