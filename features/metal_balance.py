"""Production from the balances of metal and alumina, because tapped mass is not production.

Tapping more only draws the metal pad down; a label made from tapped mass would sell that as a saving. Per cell a
three-state Kalman filter carries the metal mass in the cell, the production (a slow random walk) and the feeders'
bias (a slower one). It sees two things: the metal level times the pad's mass per millimetre, which holds the mean
right over months, and the alumina fed over its practical demand per kilogram of metal, which shows what changed
within a week, since a cell dissolves hardly a day's alumina. Where no alumina is recorded, the level stands alone.

The causal filter serves the features, a fixed-lag Rauch-Tung-Striebel smoother serves the labels. Every step of the
filter is elementwise over cells, so that one cell alone and a thousand together give the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.electrolysis.faraday import METAL_KG_PER_KA_DAY
from features.errors import SettingsError
from features.plant import Plant

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

METAL_DENSITY_KG_M3: Final = 2280.0
"""Density of liquid aluminium near 960 degC [kg/m3] [B]."""

PRACTICAL_ALUMINA_KG_PER_KG: Final = 1.935
"""Alumina fed per metal made, losses included [kg/kg] [B, practice 1.92-1.95]; a cell's own is learnt."""

RESTART_DROP_D: Final = 7.0
"""A cell's age that falls by more than this [d] belongs to a new lining."""

LEAST_LOAD: Final = 0.7
"""Below this load [-] a day's alumina says nothing about its metal."""

MASS, PRODUCTION, FEED_BIAS = 0, 1, 2


@dataclass(frozen=True)
class BalanceSettings:
    """Noise of the balances; between the likeliest values of a real 500 kA line's reports and rounder ones [B].

    Attributes:
        kg_per_mm: mass of a millimetre of the metal pad [kg/mm].
        production_guess_kg_d: production that a cell starts from [kg/d].
        level_noise_mm: scatter of a level reading, ledge and heave included [mm].
        production_walk_kg: production's random walk [kg/d per square root of a day].
        mass_noise_kg: what the metal balance misses in a day: ledge profile, tapping scale, spill [kg].
        feed_noise_kg_d: scatter of a day's alumina as metal: bath and sludge take and give it back [kg/d].
        feed_walk_kg: random walk of the feeders' bias as metal [kg/d per square root of a day].
        guess_noise_kg_d: scatter of the first production guess [kg/d].
        feed_bias_noise_kg_d: scatter of the feeders' bias between cells, as metal [kg/d].
        unknown_tap_noise_kg: scatter of a day's balance when its tap is not known [kg].
    """

    kg_per_mm: float
    production_guess_kg_d: float
    level_noise_mm: float = 12.0
    production_walk_kg: float = 20.0
    mass_noise_kg: float = 300.0
    feed_noise_kg_d: float = 80.0
    feed_walk_kg: float = 4.0
    guess_noise_kg_d: float = 250.0
    feed_bias_noise_kg_d: float = 300.0
    unknown_tap_noise_kg: float = 2000.0

    def __post_init__(self) -> None:
        """Refuse what is not above zero.

        Raises:
            SettingsError: as said.
        """
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not (np.isfinite(value) and value > 0):
                raise SettingsError(f"metal balance: {entry.name} is {value}; give a number above zero")

    @classmethod
    def for_plant(cls, plant: Plant) -> "BalanceSettings":
        """Return the settings for ``plant``'s pad area and line current; the guess is 93 % current efficiency."""
        return cls(
            kg_per_mm=plant.metal_pad_area_m2 * METAL_DENSITY_KG_M3 / 1000.0,
            production_guess_kg_d=METAL_KG_PER_KA_DAY * plant.line_current_ka * 0.93,
        )


@dataclass(frozen=True)
class BalanceDay:
    """One day of the record, each (c,), or a whole record, each (t, c): NaN = not known.

    Attributes:
        level_mm: metal level [mm]; tap_kg: metal tapped that day [kg]; alumina_kg: alumina fed that day [kg].
        load: charge of the day over that of a full day at the nominal current [-].
        restarted: True where the cell was started up anew that day.
    """

    level_mm: Floats
    tap_kg: Floats
    alumina_kg: Floats
    load: Floats
    restarted: Flags

    def __getitem__(self, day: int) -> "BalanceDay":
        """Return one day of a whole record."""
        return BalanceDay(*(getattr(self, entry.name)[day] for entry in fields(self)))


@dataclass(frozen=True)
class BalanceState:
    """Mean (3, c) and covariance (3, 3, c) of mass [kg], production [kg/d] and feed bias [kg/d]; NaN before a start.

    The feed bias is the metal that the feeders seem to feed for beyond the production.
    """

    mean: Floats
    covariance: Floats

    @property
    def production(self) -> Floats:
        """Production (c,) [kg/d], as of a full day at the nominal current."""
        return np.asarray(self.mean[PRODUCTION])


def restarted(age_d: Floats, age_before_d: Floats) -> Flags:
    """Say where a cell was started up anew: its age [d] fell by more than a clerk's slip of a week."""
    return np.asarray(age_d < age_before_d - RESTART_DROP_D)


def run_share(run_minutes: Floats) -> Floats:
    """Return the share of the day in operation [-]; a cell that does not report it runs all day."""
    return np.where(np.isfinite(run_minutes), np.clip(run_minutes / 1440.0, 0.0, 1.0), 1.0)


def load(line_current_ka: Floats, run_minutes: Floats, plant: Plant) -> Floats:
    """Return the charge of the day over that of a full day at ``plant``'s nominal current [-]."""
    relative = line_current_ka / plant.line_current_ka
    return run_share(run_minutes) * np.where(np.isfinite(relative), relative, 1.0)


def start(cells: int) -> BalanceState:
    """Return the state of ``cells`` cells of which nothing is known."""
    return BalanceState(np.full((3, cells), np.nan), np.full((3, 3, cells), np.nan))


def carried(day: BalanceDay) -> Floats:
    """Return the load with which ``day``'s production enters the metal in the cell.

    An unknown tap most likely took what the cell made, so that day neither enters; the noise says how unsure that is.
    """
    return np.where(np.isfinite(day.tap_kg), day.load, 0.0)


def predict(state: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the state carried through ``day``'s production and tap, before its level and feed are seen."""
    share = carried(day)
    tapped = np.isfinite(day.tap_kg)
    tap = np.where(tapped, day.tap_kg, 0.0)
    noise = np.where(tapped, settings.mass_noise_kg, settings.unknown_tap_noise_kg)
    mean, spread = state.mean.copy(), state.covariance.copy()
    mean[MASS] = mean[MASS] + share * state.mean[PRODUCTION] - tap
    spread[MASS] = spread[MASS] + share * spread[PRODUCTION]
    spread[:, MASS] = spread[:, MASS] + share * spread[:, PRODUCTION]
    spread[MASS, MASS] = spread[MASS, MASS] + noise * noise
    spread[PRODUCTION, PRODUCTION] = spread[PRODUCTION, PRODUCTION] + settings.production_walk_kg**2
    spread[FEED_BIAS, FEED_BIAS] = spread[FEED_BIAS, FEED_BIAS] + settings.feed_walk_kg**2
    return BalanceState(mean, spread)


def update(predicted: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the state after ``day``'s level and feed; a missing one changes nothing, a first level starts."""
    observed = day.level_mm * settings.kg_per_mm
    begin = begins(predicted, day)
    level_var = (settings.level_noise_mm * settings.kg_per_mm) ** 2
    state = _observe(
        predicted, observed - predicted.mean[MASS], predicted.covariance[MASS], (MASS,), level_var
    )
    state = _begun(state, observed, level_var, begin, settings)
    # A day partly out of operation says little: the feeders stop later and start earlier than the current.
    full = day.load > LEAST_LOAD
    metal = (
        np.where(full, day.alumina_kg / np.where(full, day.load, 1.0), np.nan) / PRACTICAL_ALUMINA_KG_PER_KG
    )
    expected = state.mean[PRODUCTION] + state.mean[FEED_BIAS]
    along = state.covariance[PRODUCTION] + state.covariance[FEED_BIAS]
    return _observe(state, metal - expected, along, (PRODUCTION, FEED_BIAS), settings.feed_noise_kg_d**2)


def begins(predicted: BalanceState, day: BalanceDay) -> Flags:
    """Say where ``day`` starts a cell: at its first level reading, and at the first after a restart."""
    return np.asarray(np.isfinite(day.level_mm) & (np.isnan(predicted.mean[MASS]) | day.restarted))


def step(state: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the causal state at the end of ``day``."""
    return update(predict(state, day, settings), day, settings)


def _observe(
    state: BalanceState, residual: Floats, along: Floats, seen: tuple[int, ...], noise_var: float
) -> BalanceState:
    """Return the state after one scalar reading, the sum of the states ``seen``; ``along`` (3, c) is P h'."""
    variance = noise_var
    for entry in seen:
        variance = variance + along[entry]
    known = np.isfinite(residual)
    gain = np.where(known, along / variance, 0.0)
    mean = state.mean + gain * np.where(known, residual, 0.0)
    return BalanceState(mean, state.covariance - gain[:, None] * along[None])


def _begun(
    state: BalanceState, observed: Floats, level_var: float, begin: Flags, settings: BalanceSettings
) -> BalanceState:
    mean, spread = state.mean.copy(), state.covariance.copy()
    mean[MASS] = np.where(begin, observed, mean[MASS])
    mean[PRODUCTION] = np.where(begin, settings.production_guess_kg_d, mean[PRODUCTION])
    mean[FEED_BIAS] = np.where(begin, 0.0, mean[FEED_BIAS])
    variances = (level_var, settings.guess_noise_kg_d**2, settings.feed_bias_noise_kg_d**2)
    for i in range(3):
        for j in range(3):
            spread[i, j] = np.where(begin, variances[i] if i == j else 0.0, spread[i, j])
    return BalanceState(mean, spread)


@dataclass(frozen=True)
class Filtered:
    """A filter's whole run: means (t, 3, c), covariances (t, 3, 3, c), starts, loads and carried loads (t, c)."""

    predicted: BalanceState
    updated: BalanceState
    begun: Flags
    load: Floats
    carried: Floats


def run_filter(
    days: BalanceDay, settings: BalanceSettings, walks: Mapping[int, float] | None = None
) -> Filtered:
    """Return the causal filter over ``days`` (t, c).

    ``walks`` (day's index -> random walk [kg/d]) loosens the production on days on which it may have jumped, so that
    a smoother does not spread the jump over the days before and after.
    """
    before, after, begun = [], [], []
    state = start(days.level_mm.shape[1])
    told = walks or {}
    for i in range(len(days.level_mm)):
        mine = replace(settings, production_walk_kg=told[i]) if i in told else settings
        predicted = predict(state, days[i], mine)
        begun.append(begins(predicted, days[i]))
        state = update(predicted, days[i], settings)
        before.append(predicted)
        after.append(state)
    return Filtered(_stack(before), _stack(after), np.stack(begun), days.load, carried(days))


def smoothed_production(filtered: Filtered, horizon: int, reach: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return the metal made over each horizon [kg] (t, c), and the last day's index that it used (t,).

    Row D is the sum over days D..D+horizon-1 of load times production, each day's production being the smoother's
    answer from the record up to day D+horizon-1+reach (or the end of the record). Later days are not looked at, so
    that ``known on`` means what it says. Horizons that leave the record are NaN.
    """
    size = len(filtered.load)
    first = np.arange(size)
    last = np.minimum(first + horizon - 1 + reach, size - 1)
    gains = _gains(filtered)
    mean = filtered.updated.mean[last]
    total = np.zeros(filtered.load.shape)
    for back in range(horizon + reach):
        day = last - back
        inside = (day >= first) & (day < first + horizon)
        at = np.maximum(day, 0)
        if back:
            mean = _backward(filtered, gains, at, mean)
        total = total + np.where(inside[:, None], filtered.load[at] * mean[:, PRODUCTION], 0.0)
    whole = first + horizon <= size
    return np.where(whole[:, None], total, np.nan), last


def smoothed_days(filtered: Filtered) -> Floats:
    """Return each day's production [kg/d] (t, c), as of a full day, from the whole record: fixed-interval smoother."""
    gains = _gains(filtered)
    mean = filtered.updated.mean[-1:]
    found = [mean[0, PRODUCTION]]
    for day in range(len(filtered.load) - 2, -1, -1):
        mean = _backward(filtered, gains, np.array([day]), mean)
        found.append(mean[0, PRODUCTION])
    return np.stack(found[::-1])


def _backward(filtered: Filtered, gains: Floats, day: NDArray[np.intp], mean: Floats) -> Floats:
    """One smoother step: from the smoothed means (t, 3, c) of day+1 to those of ``day`` (t,)."""
    later = np.minimum(day + 1, len(filtered.begun) - 1)
    off = mean - filtered.predicted.mean[later]
    moved = np.sum(gains[day] * off[:, None], axis=2)
    # A restart cuts the chain: what a new cell does says nothing about the old one.
    return filtered.updated.mean[day] + np.where(filtered.begun[later][:, None], 0.0, moved)


def _gains(filtered: Filtered) -> Floats:
    """Return the smoother's gains P F' inv(P_next) (t, 3, 3, c); the last row is not used."""
    size = len(filtered.load)
    following = np.minimum(np.arange(size) + 1, size - 1)
    across = filtered.updated.covariance.copy()
    across[:, :, MASS] += filtered.carried[following][:, None] * across[:, :, PRODUCTION]
    return _times(across, _inverse(filtered.predicted.covariance[following]))


def _inverse(P: Floats) -> Floats:
    """Return the inverses of symmetric P (t, 3, 3, c) by their cofactors: a general solver spends its time on calls."""
    a, b, c, d, e, f = P[:, 0, 0], P[:, 0, 1], P[:, 0, 2], P[:, 1, 1], P[:, 1, 2], P[:, 2, 2]
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * aa + b * bb + c * cc
    rows = [[aa, bb, cc], [bb, dd, ee], [cc, ee, ff]]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1) / determinant[:, None, None]


def _times(left: Floats, right: Floats) -> Floats:
    """Return the products of (t, 3, 3, c) matrices, day by day and cell by cell."""
    return np.stack(
        [
            np.stack([sum(left[:, i, k] * right[:, k, j] for k in range(3)) for j in range(3)], axis=1)
            for i in range(3)
        ],
        axis=1,
    )


def _stack(states: list[BalanceState]) -> BalanceState:
    return BalanceState(
        np.stack([state.mean for state in states]), np.stack([state.covariance for state in states])
    )
