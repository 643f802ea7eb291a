"""Labels: what followed each decision, and the day on which that was known.

Energy and current efficiency rest on production from the metal balance, never on tapped mass. Voltage is weighted by
charge, so that energy is exactly 2979.98 V / CE row by row. Net anode comes from weighed butts alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import anode_labels, metal_balance
from features.anode_labels import ahead, latest_ahead
from features.electrolysis.faraday import ENERGY_KWH_PER_T_PER_V, METAL_KG_PER_KA_DAY
from features.errors import ContractError, SettingsError, TargetUnavailableError, UnknownNameError
from features.held import measured
from features.history import History
from features.metal_balance import BalanceDay, BalanceSettings
from features.outcomes import OUTCOMES, REPORTED_ONLY
from features.recipe.chemistry import sample_liquidus_c

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Days = NDArray[np.datetime64]

REACH_DAYS = 14
"""How far beyond the horizon the production smoother may look."""
_KNOWN_SHARE = 0.7


@dataclass(frozen=True)
class LabelTable:
    """What followed each decision.

    Attributes:
        cell: (n,) index into the history's cells.
        date: (n,) decision dates; outcomes are means over ``date .. date + horizon - 1``.
        values: outcome -> (n,), NaN = not available for that row.
        known_on: outcome -> (n,) datetime64[D], the last day whose data the label used; NaT where the value is NaN.
        unavailable: outcome -> why the record cannot carry it at all.
        horizon: days over which an outcome is averaged.
    """

    cell: NDArray[np.intp]
    date: Days
    values: Mapping[str, Floats]
    known_on: Mapping[str, Days]
    unavailable: Mapping[str, str]
    horizon: int

    def __post_init__(self) -> None:
        """Refuse arrays that do not agree.

        Raises:
            ContractError: a shape is wrong or an outcome has no known_on.
        """
        rows = len(self.cell)
        lengths = {name: len(values) for name, values in (*self.values.items(), *self.known_on.items())}
        if set(self.values) != set(self.known_on) or any(
            n != rows for n in (len(self.date), *lengths.values())
        ):
            raise ContractError(
                f"label table: {rows} rows, but its arrays have {lengths} and {len(self.date)} dates"
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.cell)

    def outcome(self, name: str) -> Floats:
        """Return the (n,) labels of outcome ``name``.

        Raises:
            TargetUnavailableError: the record cannot carry it; the message says why.
            UnknownNameError: no such outcome.
        """
        if name in self.unavailable:
            raise TargetUnavailableError(f"{name} is not available: {self.unavailable[name]}")
        if name not in self.values:
            raise UnknownNameError(f"unknown outcome {name!r}; the labels are {', '.join(self.values)}")
        return self.values[name]

    def take(self, rows: NDArray[np.generic] | Sequence[int]) -> "LabelTable":
        """Return the rows that ``rows`` (indices or mask) selects."""
        chosen = np.asarray(rows)
        return replace(
            self,
            cell=self.cell[chosen],
            date=self.date[chosen],
            values={name: values[chosen] for name, values in self.values.items()},
            known_on={name: days[chosen] for name, days in self.known_on.items()},
        )

    def aligned(self, cell: NDArray[np.intp], date: Days) -> "LabelTable":
        """Return the labels of the rows ``(cell, date)``, NaN and NaT where there is none."""
        place = {key: i for i, key in enumerate(zip(self.cell.tolist(), self.date.tolist(), strict=True))}
        days = np.asarray(date, dtype="datetime64[D]")
        rows = np.array(
            [place.get(key, -1) for key in zip(cell.tolist(), days.tolist(), strict=True)], dtype=np.intp
        )
        missing = rows < 0
        return replace(
            self,
            cell=np.asarray(cell, dtype=np.intp),
            date=days,
            values={
                name: np.where(missing, np.nan, _pick(values, rows)) for name, values in self.values.items()
            },
            known_on={
                name: np.where(missing, np.datetime64("NaT", "D"), _pick(days_of, rows))
                for name, days_of in self.known_on.items()
            },
        )


def _pick(values: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    return values[rows] if len(values) else np.zeros(len(rows), dtype=values.dtype)


@dataclass(frozen=True)
class _Label:
    """One outcome over all horizons: values (t, c) and the index of the last day used (t, c)."""

    values: Floats
    used_until: Indices


def label_table(history: History, horizon: int = 7, reach: int = REACH_DAYS) -> LabelTable:
    """Return the labels of every cell and decision date of ``history``, ordered by date, then cell.

    Args:
        history: the record.
        horizon: days D..D+horizon-1 over which an outcome is averaged.
        reach: days beyond the horizon that the production smoother may look at; ``known_on`` counts them.

    Raises:
        SettingsError: a horizon below one day or a reach below zero.
    """
    if horizon < 1 or reach < 0:
        raise SettingsError(f"labels: horizon {horizon} must be at least 1 and reach {reach} at least 0")
    labels, unavailable = _all_labels(measured(history), horizon, reach)
    shape = (len(history.dates), len(history.cell_ids))
    values, known_on = {}, {}
    for name, label in labels.items():
        plausible = _plausible(name, label.values)
        if not np.isfinite(plausible).any():
            unavailable[name] = f"no stretch of {horizon} days in {shape[0]} carries a plausible value"
            continue
        values[name] = plausible.ravel()
        used = history.dates[np.clip(label.used_until, 0, shape[0] - 1)]
        known_on[name] = np.where(np.isfinite(plausible), used, np.datetime64("NaT", "D")).ravel()
    return LabelTable(
        cell=np.tile(np.arange(shape[1]), shape[0]),
        date=np.repeat(history.dates, shape[1]),
        values=values,
        known_on=known_on,
        unavailable=unavailable,
        horizon=horizon,
    )


def _all_labels(history: History, horizon: int, reach: int) -> tuple[dict[str, _Label], dict[str, str]]:
    labels: dict[str, _Label] = {}
    unavailable: dict[str, str] = {}
    for name, source in (("mean_bath_temperature_c", "bath_temperature_c"), ("mean_noise_mv", "noise_mv")):
        if source in history.available():
            labels[name] = _mean(history.signals[source], horizon)
        else:
            unavailable[name] = f"{source} is not in the record; map its column"
    if len(history.samples) and "bath_temperature_c" in history.available():
        labels["mean_superheat_c"] = _superheat(history, horizon, labels["mean_bath_temperature_c"])
    else:
        unavailable["mean_superheat_c"] = "bath_samples or bath_temperature_c is not in the record"
    labels |= _voltage(history, horizon, unavailable)
    labels |= _production(history, horizon, reach, labels, unavailable)
    return labels, unavailable


def _voltage(history: History, horizon: int, unavailable: dict[str, str]) -> dict[str, _Label]:
    if "cell_voltage_v" not in history.available():
        unavailable["mean_voltage_v"] = "cell_voltage_v is not in the record; map its column"
        return {}
    volts, charge = history.signals["cell_voltage_v"], _charge(history)
    known = np.isfinite(volts) & (charge > 0)
    weight = ahead(np.where(known, charge, 0.0), horizon)
    mean = ahead(np.where(known, volts * charge, 0.0), horizon) / np.where(weight > 0, weight, np.nan)
    return {"mean_voltage_v": _Label(np.where(_enough(known, horizon), mean, np.nan), _ends(mean, horizon))}


def _production(
    history: History, horizon: int, reach: int, labels: Mapping[str, _Label], unavailable: dict[str, str]
) -> dict[str, _Label]:
    missing = sorted({"metal_level_mm", "tap_mass_kg"} - history.available())
    if missing:
        reason = f"production needs {' and '.join(missing)}, not in the record; tapped mass alone is not production"
        unavailable |= dict.fromkeys(("current_efficiency", "energy_kwh_per_t", "net_anode_kg_per_t"), reason)
        return {}
    metal, used_until = horizon_metal(history, horizon, reach)
    charge = _charge(history)
    charged = ahead(np.where(np.isfinite(charge), charge, 0.0), horizon)
    complete = _enough(np.isfinite(charge) & (charge > 0), horizon)
    # Days without a known current count as the mean of the others.
    known_days = np.maximum(ahead(np.isfinite(charge).astype(np.float64), horizon), 1.0)
    charged = np.where(complete, charged * horizon / known_days, np.nan)
    efficiency = metal / (METAL_KG_PER_KA_DAY * charged)
    found = {"current_efficiency": _Label(efficiency, used_until)}
    if "mean_voltage_v" in labels:
        volts = labels["mean_voltage_v"].values
        safe = np.where(efficiency > 0, efficiency, np.nan)
        found["energy_kwh_per_t"] = _Label(ENERGY_KWH_PER_T_PER_V * volts / safe, used_until)
        tapped = ahead(history.signals["tap_mass_kg"], horizon)
        energy = METAL_KG_PER_KA_DAY * ENERGY_KWH_PER_T_PER_V * volts * charged
        ratio = energy / np.where(tapped > 0, tapped, np.nan)
        found[REPORTED_ONLY] = _Label(ratio, _ends(ratio, horizon))
    else:
        unavailable["energy_kwh_per_t"] = unavailable["mean_voltage_v"]
    return found | _net_anode(history, horizon, _Label(metal, used_until), unavailable)


def _net_anode(
    history: History, horizon: int, metal: _Label, unavailable: dict[str, str]
) -> dict[str, _Label]:
    reason = anode_labels.unavailable(history)
    if reason is None:
        daily = anode_labels.daily_carbon(history)
        carbon, weighed = anode_labels.horizon_carbon(daily, history.plant.anodes_per_cell, horizon)
        if np.isfinite(carbon).any():
            ratio = 1000.0 * carbon / np.where(metal.values > 0, metal.values, np.nan)
            return {"net_anode_kg_per_t": _Label(ratio, np.maximum(weighed, metal.used_until))}
        reason = (
            f"weighed butts cover at most {daily.anode_days.max():.1f} of {history.plant.anodes_per_cell} anodes"
            " of a cell on any day; weigh every butt"
        )
    unavailable["net_anode_kg_per_t"] = reason
    return {}


def horizon_metal(history: History, horizon: int, reach: int = REACH_DAYS) -> tuple[Floats, Indices]:
    """Return the metal made over each horizon [kg] (t, c) and the index of the last day used (t, c).

    NaN where fewer than 70 % of the horizon's days have a level and a tap record, or where the cell was started anew
    within it.
    """
    level, tap = history.signals["metal_level_mm"], history.signals["tap_mass_kg"]
    nothing = np.full(level.shape, np.nan)
    age = history.signals.get("cell_age_d", nothing)
    before = np.vstack([np.full((1, age.shape[1]), np.nan), _carried(age)[:-1]])
    day = BalanceDay(
        level_mm=level,
        tap_kg=tap,
        alumina_kg=history.signals.get("alumina_fed_kg_d", nothing),
        load=metal_balance.load(
            history.signals["line_current_ka"], history.signals.get("run_minutes", nothing), history.plant
        ),
        restarted=metal_balance.restarted(age, before),
    )
    filtered = metal_balance.run_filter(day, BalanceSettings.for_plant(history.plant))
    metal, last = metal_balance.smoothed_production(filtered, horizon, reach)
    known = np.isfinite(level) & np.isfinite(tap)
    begun = ahead(filtered.begun.astype(np.float64), horizon) > 0
    good = _enough(known, horizon) & ~begun
    return np.where(good, metal, np.nan), np.repeat(last[:, None], level.shape[1], axis=1)


def _charge(history: History) -> Floats:
    """Return the charge of each day [kA d] (t, c): current times the share of the day in operation."""
    current = history.signals["line_current_ka"]
    minutes = history.signals.get("run_minutes", np.full(current.shape, np.nan))
    return current * metal_balance.run_share(minutes)


def _mean(values: Floats, horizon: int) -> _Label:
    known = np.isfinite(values)
    count = ahead(known.astype(np.float64), horizon)
    total = ahead(np.where(known, values, 0.0), horizon)
    # Temperatures are often taken every second day, so half the days are enough for a mean.
    enough = count >= max(1, horizon // 2)
    return _Label(np.where(enough, total / np.where(enough, count, 1.0), np.nan), _ends(values, horizon))


def _superheat(history: History, horizon: int, temperature: _Label) -> _Label:
    """Mean temperature less the mean liquidus of the samples taken within the horizon; known at the last report."""
    shape = temperature.values.shape
    samples = history.samples
    liquidus = sample_liquidus_c(samples)
    row = (samples.sampled_day - history.dates[0]).astype(np.int64)
    good = np.isfinite(liquidus) & (row >= 0) & (row < shape[0])
    at = (row[good], samples.cell[good])
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, at, liquidus[good])
    np.add.at(count, at, 1.0)
    reported = np.full(shape, -1, dtype=np.intp)
    np.maximum.at(reported, at, (samples.reported_day[good] - history.dates[0]).astype(np.int64))
    known, mean = ahead(count, horizon), ahead(total, horizon)
    mean = np.where(known > 0, mean / np.where(known > 0, known, 1.0), np.nan)
    used = latest_ahead(reported, horizon)
    # A result reported after the record ends is not known within it.
    inside = used < shape[0]
    return _Label(
        np.where(inside, temperature.values - mean, np.nan), np.maximum(used, temperature.used_until)
    )


def _enough(known: NDArray[np.bool_], horizon: int) -> NDArray[np.bool_]:
    return np.asarray(ahead(known.astype(np.float64), horizon) >= math.ceil(_KNOWN_SHARE * horizon))


def _ends(values: Floats, horizon: int) -> Indices:
    """Return the index (t, c) of each horizon's last day."""
    last = np.minimum(np.arange(len(values)) + horizon - 1, len(values) - 1)
    return np.repeat(last[:, None], values.shape[1], axis=1)


def _carried(values: Floats) -> Floats:
    """Return ``values`` (t, c) with each gap filled by the last known value before it."""
    filled = values.copy()
    for i in range(1, len(filled)):
        filled[i] = np.where(np.isfinite(filled[i]), filled[i], filled[i - 1])
    return filled


def _plausible(name: str, values: Floats) -> Floats:
    """Return ``values`` without those that say more about the record than about the cell."""
    limits = OUTCOMES.get(name)
    if limits is None:
        return values
    return np.where((values >= limits.low) & (values <= limits.high), values, np.nan)
