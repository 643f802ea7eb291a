"""Production from the metal balance, because tapped mass is not production.

Tapping more only draws the metal pad down; a label made from tapped mass would sell that as a saving. Per cell a
two-state Kalman filter carries the metal mass in the cell and the production, a slow random walk; what it sees is
the metal level times the pad's mass per millimetre. The causal filter serves the features, a fixed-lag
Rauch-Tung-Striebel smoother serves the labels. Every step is elementwise over cells, so that one cell alone and a
thousand together give the same bits.
"""

from dataclasses import dataclass, fields
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

RESTART_DROP_D: Final = 7.0
"""A cell's age that falls by more than this [d] belongs to a new lining."""


@dataclass(frozen=True)
class BalanceSettings:
    """Noise of the balance; tuned on a real 500 kA line's daily reports [B].

    Attributes:
        kg_per_mm: mass of a millimetre of the metal pad [kg/mm].
        production_guess_kg_d: production that a cell starts from [kg/d].
        level_noise_mm: scatter of a level reading, ledge and heave included [mm].
        production_walk_kg: production's random walk [kg/d per square root of a day].
        mass_noise_kg: what the balance misses in a day: ledge profile, tapping scale, spill [kg].
        guess_noise_kg_d: scatter of the first production guess [kg/d].
        unknown_tap_noise_kg: scatter of a day's balance when its tap is not known [kg].
    """

    kg_per_mm: float
    production_guess_kg_d: float
    level_noise_mm: float = 12.0
    production_walk_kg: float = 12.0
    mass_noise_kg: float = 300.0
    guess_noise_kg_d: float = 250.0
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
    """One day of the record, each (c,) or (t, c): NaN = not known.

    Attributes:
        level_mm: metal level [mm]; tap_kg: metal tapped that day [kg].
        run_share: share of the day in operation [-].
        restarted: True where the cell was started up anew that day.
    """

    level_mm: Floats
    tap_kg: Floats
    run_share: Floats
    restarted: Flags


@dataclass(frozen=True)
class BalanceState:
    """Means and covariances (c,) at the end of a day; NaN before a cell's first level reading.

    Attributes:
        mass: metal in the cell above the level's zero [kg]; production [kg/d].
        mass_var, cross_var, production_var: the covariance [kg2, kg2/d, kg2/d2].
    """

    mass: Floats
    production: Floats
    mass_var: Floats
    cross_var: Floats
    production_var: Floats


def restarted(age_d: Floats, age_before_d: Floats) -> Flags:
    """Say where a cell was started up anew: its age [d] fell by more than a clerk's slip of a week."""
    return np.asarray(age_d < age_before_d - RESTART_DROP_D)


def run_share(run_minutes: Floats) -> Floats:
    """Return the share of the day in operation [-]; a cell that does not report it runs all day."""
    return np.where(np.isfinite(run_minutes), np.clip(run_minutes / 1440.0, 0.0, 1.0), 1.0)


def start(cells: int) -> BalanceState:
    """Return the state of ``cells`` cells of which nothing is known."""
    return BalanceState(*(np.full(cells, np.nan) for _ in range(5)))


def predict(state: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the state carried through ``day``'s production and tap, before its level is seen."""
    share = day.run_share
    tapped = np.isfinite(day.tap_kg)
    # An unknown tap is most likely what the cell made; how much is anyone's guess, hence the wide noise.
    tap = np.where(tapped, day.tap_kg, share * state.production)
    noise = np.where(tapped, settings.mass_noise_kg, settings.unknown_tap_noise_kg)
    return BalanceState(
        mass=state.mass + share * state.production - tap,
        production=state.production,
        mass_var=state.mass_var
        + share * (2.0 * state.cross_var + share * state.production_var)
        + noise * noise,
        cross_var=state.cross_var + share * state.production_var,
        production_var=state.production_var + settings.production_walk_kg * settings.production_walk_kg,
    )


def update(predicted: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the state after ``day``'s level; a missing level changes nothing, a first or restarted one starts."""
    observed = day.level_mm * settings.kg_per_mm
    level_var = (settings.level_noise_mm * settings.kg_per_mm) ** 2
    seen = np.isfinite(observed)
    begin = seen & (np.isnan(predicted.mass) | day.restarted)
    follow = seen & ~begin
    residual_var = predicted.mass_var + level_var
    gain_mass, gain_production = predicted.mass_var / residual_var, predicted.cross_var / residual_var
    residual = observed - predicted.mass
    pairs = (
        (observed, predicted.mass + gain_mass * residual, predicted.mass),
        (
            settings.production_guess_kg_d,
            predicted.production + gain_production * residual,
            predicted.production,
        ),
        (level_var, predicted.mass_var - gain_mass * predicted.mass_var, predicted.mass_var),
        (0.0, predicted.cross_var - gain_mass * predicted.cross_var, predicted.cross_var),
        (
            settings.guess_noise_kg_d**2,
            predicted.production_var - gain_production * predicted.cross_var,
            predicted.production_var,
        ),
    )
    return BalanceState(
        *(np.where(begin, first, np.where(follow, then, stay)) for first, then, stay in pairs)
    )


def step(state: BalanceState, day: BalanceDay, settings: BalanceSettings) -> BalanceState:
    """Return the causal state at the end of ``day``."""
    return update(predict(state, day, settings), day, settings)


@dataclass(frozen=True)
class Filtered:
    """A filter's whole run: states (t, c) before and after each day's level, and where a cell started anew."""

    predicted: BalanceState
    updated: BalanceState
    begun: Flags


def run_filter(days: BalanceDay, settings: BalanceSettings) -> Filtered:
    """Return the causal filter over ``days`` (t, c)."""
    before, after, begun = [], [], []
    state = start(days.level_mm.shape[1])
    for i in range(len(days.level_mm)):
        day = BalanceDay(days.level_mm[i], days.tap_kg[i], days.run_share[i], days.restarted[i])
        predicted = predict(state, day, settings)
        begun.append(np.isfinite(day.level_mm) & (np.isnan(predicted.mass) | day.restarted))
        state = update(predicted, day, settings)
        before.append(predicted)
        after.append(state)
    return Filtered(_stack(before), _stack(after), np.stack(begun))


def smoothed_production(
    filtered: Filtered, share: Floats, horizon: int, reach: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Return the metal made over each horizon [kg] (t, c), and the last day's index that it used (t,).

    Row D is the sum over days D..D+horizon-1 of ``share`` (t, c) of the day in operation times production, each day's production being the
    smoother's answer from the record up to day D+horizon-1+reach (or the end of the record). Later days are not
    looked at, so that ``known on`` means what it says. Horizons that leave the record are NaN.
    """
    size = len(share)
    first = np.arange(size)
    last = np.minimum(first + horizon - 1 + reach, size - 1)
    gains = _gains(filtered, share)
    mass, production = filtered.updated.mass[last], filtered.updated.production[last]
    total = np.zeros_like(production)
    for back in range(horizon + reach):
        day = last - back
        inside = (day >= first) & (day < first + horizon)
        at = np.maximum(day, 0)
        if back:
            mass, production = _backward(filtered, gains, at, mass, production)
        total = total + np.where(inside[:, None], share[at] * production, 0.0)
    whole = first + horizon <= size
    return np.where(whole[:, None], total, np.nan), last


def _backward(
    filtered: Filtered, gains: tuple[Floats, ...], day: NDArray[np.intp], mass: Floats, production: Floats
) -> tuple[Floats, Floats]:
    """One smoother step: from the smoothed state of day+1 to that of ``day``, each (t, c)."""
    later = np.minimum(day + 1, len(filtered.begun) - 1)
    off_mass = mass - filtered.predicted.mass[later]
    off_production = production - filtered.predicted.production[later]
    mm, mp, pm, pp = (gain[day] for gain in gains)
    # A restart cuts the chain: what a new cell does says nothing about the old one.
    cut = filtered.begun[later]
    mass_step = np.where(cut, 0.0, mm * off_mass + mp * off_production)
    production_step = np.where(cut, 0.0, pm * off_mass + pp * off_production)
    return filtered.updated.mass[day] + mass_step, filtered.updated.production[day] + production_step


def _gains(filtered: Filtered, share: Floats) -> tuple[Floats, ...]:
    """Return the smoother's 2x2 gains P F' inv(P_next), each entry (t, c); the last row is not used."""
    now = filtered.updated
    following = np.minimum(np.arange(len(share)) + 1, len(share) - 1)
    f = share[following]
    a, b, d = (
        filtered.predicted.mass_var[following],
        filtered.predicted.cross_var[following],
        filtered.predicted.production_var[following],
    )
    mass_row = (now.mass_var + f * now.cross_var, now.cross_var)
    production_row = (now.cross_var + f * now.production_var, now.production_var)
    determinant = a * d - b * b
    determinant = np.where(determinant > 0, determinant, np.nan)
    return tuple(
        entry
        for left, right in (mass_row, production_row)
        for entry in ((left * d - right * b) / determinant, (right * a - left * b) / determinant)
    )


def _stack(states: list[BalanceState]) -> BalanceState:
    return BalanceState(
        *(np.stack([getattr(state, f.name) for state in states]) for f in fields(BalanceState))
    )
