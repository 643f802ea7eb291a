"""Is a simulated record like a real line's? Every figure of a real 500 kA line's daily reports, side by side.

The real figures are the published summary of 42 cells over 209 days (``docs``: the domain notes, section 4): means,
spreads, autocorrelations, the cadence of the setpoints and simple baselines. None is used by the simulation itself.

Criteria. ``factor``: same sign and within a factor of 1.5. ``location``: that, and no further than half of the
real standard deviation, because a factor says nothing about a temperature. ``score``: an R2 within 0.15.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, SupportsFloat

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.electrolysis.faraday import METAL_KG_PER_KA_DAY
from features.relations import Array
from features.tables.store import Tables

Criterion = Literal["factor", "location", "score"]
FACTOR: Final = 1.5
SCORE_TOLERANCE: Final = 0.15
_REAL_DAYS: Final = 209

VOLT, TEMPERATURE, NOISE = "cell_voltage_v", "bath_temperature_c", "noise_mv"
METAL, BATH, ALF3, TAP = "metal_level_mm", "bath_level_mm", "alf3_fed_kg_d", "tap_mass_kg"
_MEAN_SD: Final = {
    VOLT: (3.927, 0.103),
    TEMPERATURE: (951.8, 7.0),
    NOISE: (18.8, 6.3),
    METAL: (241.0, 53.0),
    BATH: (182.0, 16.0),
    ALF3: (50.4, 16.6),
    TAP: (3778.0, 139.0),
}
_RANGE: Final = {"set_voltage_v": (3.85, 4.09), TEMPERATURE: (943.0, 969.0), NOISE: (10.0, 30.0)}
_WITHIN_SD: Final = {TEMPERATURE: 5.6, VOLT: 0.042, NOISE: 5.7, ALF3: 14.0, METAL: 23.0, TAP: 127.0}
_LAG: Final = {TEMPERATURE: 0.63, NOISE: 0.52, ALF3: 0.71, METAL: 0.87, "fe_wt_pct": 0.91}
_CORRELATION: Final = {
    (TEMPERATURE, METAL): -0.49,
    (TEMPERATURE, TAP): -0.53,
    (VOLT, METAL): 0.61,
    (NOISE, ALF3): -0.32,
    (TEMPERATURE, ALF3): 0.09,
    (TEMPERATURE, NOISE): -0.22,
}
_CADENCE: Final = {
    "set_voltage_v": (0.119, {0.50: 0.008, 0.75: 0.016, 0.90: 0.027, 0.95: 0.042}),
    "alf3_dose_kg_d": (0.515, {0.50: 5.0, 0.90: 10.0, 0.95: 15.0, 0.99: 20.0}),
    "tap_target_kg": (0.288, {0.50: 60.0, 0.99: 120.0}),
}
_BASELINES: Final = {VOLT: (0.968, 0.700), TEMPERATURE: (0.787, 0.111), NOISE: (0.318, None)}


@dataclass(frozen=True)
class CredibilityRow:
    """One quantity of the real line beside the same of the simulated one."""

    quantity: str
    real: float
    simulated: float
    criterion: Criterion
    tolerance: float
    """Half the real standard deviation for a location, the allowed difference for a score, else the factor."""

    @property
    def ratio(self) -> float:
        """Simulated over real, NaN where the real figure is nought."""
        return self.simulated / self.real if self.real else float("nan")

    @property
    def same_sign(self) -> bool:
        """Whether both point the same way."""
        return bool(np.sign(self.real) == np.sign(self.simulated))

    @property
    def inside(self) -> bool:
        """Whether the row meets its criterion."""
        difference = abs(self.simulated - self.real)
        if self.criterion == "score":
            return difference <= self.tolerance
        near = self.same_sign and 1.0 / FACTOR <= self.ratio <= FACTOR
        return near if self.criterion == "factor" else near and difference <= self.tolerance


def credibility(tables: Tables) -> list[CredibilityRow]:
    """Compare ``tables`` with the real line, figure by figure, as far as the tables carry them."""
    days = _with_taps(tables)
    rows = [
        *_means(days),
        *_energy(days, tables),
        *_within(days),
        *_cadence(days),
        *_baselines(days),
    ]
    return [row for row in rows if np.isfinite(row.simulated)]


def outside(rows: Iterable[CredibilityRow]) -> list[CredibilityRow]:
    """Return the rows that miss their criterion."""
    return [row for row in rows if not row.inside]


def _factor(quantity: str, real: float, simulated: SupportsFloat) -> CredibilityRow:
    return CredibilityRow(quantity, real, float(simulated), "factor", FACTOR)


def _location(quantity: str, real: float, simulated: SupportsFloat, spread: float) -> CredibilityRow:
    return CredibilityRow(quantity, real, float(simulated), "location", 0.5 * spread)


def _score(quantity: str, real: float, simulated: float) -> CredibilityRow:
    return CredibilityRow(quantity, real, float(simulated), "score", SCORE_TOLERANCE)


def _with_taps(tables: Tables) -> pd.DataFrame:
    """Return cell days with the day's taps and the line's current."""
    taps = tables.taps.copy()
    local = taps["time"].dt.tz_convert(tables.plant.timezone).dt.tz_localize(None)
    taps["date"] = local.dt.normalize().astype(tables.cell_days["date"].dtype)
    sums = {"tap_mass_kg": "sum", "tap_target_kg": "sum", "fe_wt_pct": "mean", "si_wt_pct": "mean"}
    kept = {name: how for name, how in sums.items() if name in taps}
    daily = taps.groupby(["cell_id", "date"], as_index=False).agg(kept)
    days = tables.cell_days.merge(daily, on=["cell_id", "date"], how="left")
    first, last = days["date"].min(), days["date"].max()
    length = (last - first).days + 1
    stretches = max(1, round(length / _REAL_DAYS))
    days["stretch"] = (days["date"] - first).dt.days * stretches // length
    return days.sort_values(["cell_id", "date"], ignore_index=True)


def _means(days: pd.DataFrame) -> list[CredibilityRow]:
    rows = []
    for name, (mean, spread) in _MEAN_SD.items():
        rows.append(_location(f"mean {name}", mean, days[name].mean(), spread))
        rows.append(_factor(f"SD {name}", spread, days[name].std()))
    rows.append(_factor("mean fe_wt_pct", 0.064, days["fe_wt_pct"].mean()))
    rows.append(_factor("mean si_wt_pct", 0.033, days["si_wt_pct"].mean()))
    for name, edges in _RANGE.items():
        spread = _MEAN_SD[VOLT if name == "set_voltage_v" else name][1]
        for share, edge in zip((0.05, 0.95), edges, strict=True):
            rows.append(_location(f"{share:.0%} {name}", edge, days[name].quantile(share), spread))
    fed = days["alumina_fed_kg_d"].sum() / days["tap_mass_kg"].sum()
    rows.append(_factor("alumina fed for each kg tapped", 1.974, fed))
    rows.append(_factor("mean alumina_shots", 1448.0, days["alumina_shots"].mean()))
    rows.append(_factor("AlF3 kg/t", 13.3, 1000.0 * days[ALF3].sum() / days["tap_mass_kg"].sum()))
    return rows


def _rolling_energy(days: pd.DataFrame, window: int) -> pd.Series:
    """Energy for each tonne tapped over ``window`` days [kWh/t], indexed like ``days``."""
    volts = (days[VOLT] * days["line_current_ka"] * 24.0).groupby(days["cell_id"])
    tapped = days["tap_mass_kg"].groupby(days["cell_id"])
    energy = volts.rolling(window).sum() / (tapped.rolling(window).sum() / 1000.0)
    return energy.reset_index(level=0, drop=True).replace(np.inf, np.nan)


def _energy(days: pd.DataFrame, tables: Tables) -> list[CredibilityRow]:
    charge = days["line_current_ka"].where(days["tap_mass_kg"].notna())
    by_cell = pd.DataFrame(
        {"tap": days["tap_mass_kg"], "charge": charge, "kwh": charge * days[VOLT] * 24.0}
    ).groupby(days["cell_id"])
    total = by_cell.sum()[by_cell["tap"].count() >= 30]
    ce = total["tap"] / (METAL_KG_PER_KA_DAY * total["charge"])
    energy = total["kwh"] / total["tap"] * 1000.0
    rows = [
        _location("current efficiency from taps", 0.938, ce.mean(), 0.012),
        _factor("lowest cell's loss of current efficiency", 1.0 - 0.895, 1.0 - ce.min()),
        _factor("highest cell's loss of current efficiency", 1.0 - 0.959, 1.0 - ce.max()),
        _location("mean of cells kWh/t", 12477.0, energy.mean(), 345.0),
        _location("lower quartile of cells kWh/t", 12206.0, energy.quantile(0.25), 345.0),
        _location("upper quartile of cells kWh/t", 12865.0, energy.quantile(0.75), 345.0),
        _factor("SD between cells kWh/t", 345.0, energy.std()),
    ]
    for window, real in ((1, 703.0), (7, 526.0), (30, 408.0)):
        rows.append(_factor(f"SD of {window}-day kWh/t", real, _rolling_energy(days, window).std()))
    return rows


def _demeaned(days: pd.DataFrame, name: str) -> pd.Series:
    """Take off each cell's mean over stretches as long as the real record: over longer ones more cells change regime."""
    return days[name] - days.groupby(["cell_id", "stretch"])[name].transform("mean")


def _within(days: pd.DataFrame) -> list[CredibilityRow]:
    rows = [
        _factor(f"within-cell SD {name}", real, _demeaned(days, name).std())
        for name, real in _WITHIN_SD.items()
    ]
    for name, real in _LAG.items():
        rows.append(_factor(f"lag-1 {name}", real, lag_one(days, name)))
    for (first, second), real in _CORRELATION.items():
        value = _demeaned(days, first).corr(_demeaned(days, second))
        rows.append(_factor(f"within-cell correlation {first} {second}", real, value))
    return rows


def lag_one(days: pd.DataFrame, name: str) -> float:
    """Autocorrelation of ``name`` from day to day, pooled over cells after taking off each cell's mean."""
    value = _demeaned(days, name)
    before = value.groupby(days["cell_id"]).shift(1)
    step = days["date"] - days["date"].groupby(days["cell_id"]).shift(1)
    return float(value.corr(before.where(step == pd.Timedelta(days=1))))


def _cadence(days: pd.DataFrame) -> list[CredibilityRow]:
    rows = []
    for name, (share, quantiles) in _CADENCE.items():
        change = days.groupby("cell_id")[name].diff().abs().dropna().to_numpy()
        moved = change[change > 1e-9]
        rows.append(_factor(f"share of days with a new {name}", share, moved.size / max(change.size, 1)))
        for q, real in quantiles.items():
            value = np.quantile(moved, q) if moved.size else np.nan
            rows.append(_factor(f"{q:.0%} of |steps| of {name}", real, value))
    return rows


def _r2(truth: Array, guess: Array) -> float:
    known = np.isfinite(truth) & np.isfinite(guess)
    if known.sum() < 3:
        return float("nan")
    error, spread = truth[known] - guess[known], truth[known] - truth[known].mean()
    return float(1.0 - (error**2).mean() / (spread**2).mean())


def _baselines(days: pd.DataFrame) -> list[CredibilityRow]:
    """Score persistence and the cell mean as section 4 does: learnt on 80 % of the dates, scored on the rest.

    Only the last 209 days count, the length of the real record: over a longer one more cells change their regime, and
    a cell's mean says less.
    """
    dates = np.sort(days["date"].unique())[-_REAL_DAYS:]
    days = days[days["date"] >= dates[0]].reset_index(drop=True)
    late: NDArray[np.bool_] = (days["date"] >= dates[int(0.8 * (len(dates) - 1))]).to_numpy()
    rows = []
    for name, (persistence, mean) in _BASELINES.items():
        ahead = days.groupby("cell_id")[name].shift(-1).to_numpy()[late]
        rows.append(
            _score(f"R2 persistence, next-day {name}", persistence, _r2(ahead, days[name].to_numpy()[late]))
        )
        if mean is not None:
            rows.append(
                _score(f"R2 cell mean, next-day {name}", mean, _r2(ahead, _early_mean(days, name, late)))
            )
    week = _rolling_energy(days, 7)
    ahead = week.groupby(days["cell_id"]).shift(-7).to_numpy()[late]
    known = days.assign(week=week)
    rows.append(_score("R2 persistence, 7-day kWh/t", 0.131, _r2(ahead, week.to_numpy()[late])))
    rows.append(_score("R2 cell mean, 7-day kWh/t", 0.329, _r2(ahead, _early_mean(known, "week", late))))
    return rows


def _early_mean(days: pd.DataFrame, name: str, late: NDArray[np.bool_]) -> Array:
    means = days.loc[~late].groupby("cell_id")[name].mean()
    return (
        means.reindex(days.loc[late, "cell_id"])
        .to_numpy(dtype=np.float64, na_value=np.nan)
        .astype(np.float64)
    )
