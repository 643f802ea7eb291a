"""The recipe at work: a day's reports go in, the decision rows of the next day come out.

The same code serves a whole line's history and one cell's stream. What it computes is elementwise over cells, so the
number of cells does not reach the arithmetic.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import metal_balance
from features.electrolysis.faraday import ALUMINA_KG_PER_KG, ENERGY_KWH_PER_T_PER_V, METAL_KG_PER_KA_DAY
from features.errors import ContractError, InputError
from features.held import Repetition, without
from features.history import Day
from features.metal_balance import BalanceDay, BalanceSettings
from features.plant import Plant
from features.recipe.catalogue import DIFFERENCES, SENSOR_STATISTICS, SERIES, Feature
from features.recipe.chemistry import Chemistry
from features.recipe.memory import DaysSince, Setpoints
from features.windows import Ring, Summary

Floats = NDArray[np.float64]

SILENT_DAYS: Final = 3
"""A cell that has reported nothing for longer than this gives no row."""
_PULSE: Final = ("cell_voltage_v", "bath_temperature_c", "noise_mv", "metal_level_mm")
_FOLDED: Final = ("anode_net_kg_removed", "anode_days_removed")


class RecipeState:
    """What is known of ``cells`` cells at the end of a day.

    Days must be advanced one by one; after ``advance(day)`` the rows are those of decisions on the day after.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        levers: Sequence[str],
        sensors: Sequence[str],
        cells: int,
        plant: Plant,
    ) -> None:
        """Start with nothing known; use ``Recipe.start``."""
        self._features, self._levers, self._sensors = tuple(features), tuple(levers), tuple(sensors)
        self._series = list(dict.fromkeys((*SERIES, *sensors, *levers, *_unmoved(features), *_FOLDED)))
        self._cells, self._plant = cells, plant
        self._settings = BalanceSettings.for_plant(plant)
        self._balance = metal_balance.start(cells)
        self._ring = Ring(len(self._series), cells)
        self._bath = Chemistry(cells)
        self._setpoints = Setpoints(len(levers), cells)
        self._since_effect = DaysSince((cells,))
        self._repetition = Repetition(cells)
        self._silent = np.full(cells, np.inf)
        self._age = np.full(cells, np.nan)
        self._date: np.datetime64 | None = None
        self._known: Mapping[str, Floats] | None = None

    @property
    def date(self) -> np.datetime64:
        """The decision date that the rows are for: the day after the last one advanced.

        Raises:
            InputError: no day has been advanced yet.
        """
        if self._date is None:
            raise InputError("recipe: no day has been advanced yet; advance one before asking for rows")
        return self._date + np.timedelta64(1, "D")

    @property
    def levers_in_force(self) -> Floats:
        """The levers (c, k) as they stood at the end of the last day; NaN where never reported."""
        return np.ascontiguousarray(self._setpoints.in_force.T)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Mark (c,) the cells that can be decided on: every lever known, and a report within three days."""
        levers_known = np.isfinite(self._setpoints.in_force).all(axis=0)
        return np.asarray(levers_known & (self._silent <= SILENT_DAYS))

    def advance(self, day: Day) -> None:
        """Take in everything that was reported on ``day``.

        Raises:
            ContractError: the day does not follow the last one, or has another number of cells.
        """
        if self._date is not None and day.date != self._date + np.timedelta64(1, "D"):
            raise ContractError(f"recipe: {day.date} does not follow {self._date}; give every day, in order")
        reported = {name: self._checked(name, values) for name, values in day.signals.items()}
        reported = without(reported, self._repetition.advance(reported))
        self._date, self._known = day.date, None
        restarted = self._restart(self._get(reported, "cell_age_d"))
        self._balance_day(reported, restarted)
        self._ring.push(np.stack([self._daily(name, reported) for name in self._series]))
        self._bath.report(day.samples, self._temperature_on)
        self._setpoints.advance(
            np.array([self._get(reported, name) for name in self._levers]).reshape(-1, self._cells)
        )
        self._since_effect.advance(self._get(reported, "anode_effects") > 0)
        heard = np.zeros(self._cells, dtype=bool)
        for name in _PULSE:
            heard |= np.isfinite(self._get(reported, name))
        self._silent = np.where(heard, 1.0, self._silent + 1.0)

    def row(self, levers: Floats | None = None) -> NDArray[np.float32]:
        """Return the rows (c, d) float32 of decisions on ``date`` that set ``levers`` (c, k); None = hold.

        Raises:
            InputError: levers of the wrong shape, or no day advanced yet.
        """
        chosen = self.levers_in_force if levers is None else np.asarray(levers, dtype=np.float64)
        if chosen.shape != (self._cells, len(self._levers)):
            raise InputError(
                f"recipe: levers must be ({self._cells}, {len(self._levers)}) in the order {self._levers},"
                f" not {chosen.shape}"
            )
        known = self._values()
        columns = [
            chosen[:, self._levers.index(feature.name)]
            if feature.name in self._levers
            else known[feature.name]
            for feature in self._features
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _checked(self, name: str, values: Floats) -> Floats:
        if values.shape != (self._cells,):
            raise ContractError(
                f"recipe: {name} has shape {values.shape}; this state follows {self._cells} cells"
            )
        return np.ascontiguousarray(values, dtype=np.float64)

    def _get(self, reported: Mapping[str, Floats], name: str) -> Floats:
        return reported[name] if name in reported else np.full(self._cells, np.nan)

    def _restart(self, age: Floats) -> NDArray[np.bool_]:
        """Forget what was known of cells that were started up anew, and return which they are."""
        restarted = metal_balance.restarted(age, self._age)
        self._age = np.where(np.isfinite(age), age, self._age)
        if restarted.any():
            self._ring.forget(restarted)
            self._bath.forget(restarted, _day_number(self.date) - 1.0)
            self._since_effect.days[restarted] = 0.0
        return restarted

    def _balance_day(self, reported: Mapping[str, Floats], restarted: NDArray[np.bool_]) -> None:
        day = BalanceDay(
            level_mm=self._get(reported, "metal_level_mm"),
            tap_kg=self._get(reported, "tap_mass_kg"),
            alumina_kg=self._get(reported, "alumina_fed_kg_d"),
            load=metal_balance.load(
                self._get(reported, "line_current_ka"), self._get(reported, "run_minutes"), self._plant
            ),
            restarted=restarted,
        )
        self._balance = metal_balance.step(self._balance, day, self._settings)

    def _daily(self, name: str, reported: Mapping[str, Floats]) -> Floats:
        """Return the day's value (c,) of series ``name``."""
        if name in DIFFERENCES:
            plus, minus = DIFFERENCES[name]
            return self._get(reported, plus) - self._get(reported, minus)
        if name == "production_kg_d":
            return self._balance.production
        if name == "alumina_feed_ratio":
            current = self._get(reported, "line_current_ka")
            running = current > 0
            demand = ALUMINA_KG_PER_KG * METAL_KG_PER_KA_DAY * np.where(running, current, 1.0)
            return np.where(running, self._get(reported, "alumina_fed_kg_d") / demand, np.nan)
        return self._get(reported, name)

    def _temperature_on(self, cells: NDArray[np.intp], days: Floats) -> Floats:
        """Return the bath temperature (r,) that ``cells`` reported on ``days``, else on the day before."""
        row = self._series.index("bath_temperature_c")
        today = _day_number(self.date) - 1.0
        found = np.full(len(cells), np.nan)
        for i in range(len(cells)):
            age = int(today - days[i])
            same, before = self._ring.at(age)[row, cells[i]], self._ring.at(age + 1)[row, cells[i]]
            found[i] = same if np.isfinite(same) else before
        return found

    def _values(self) -> Mapping[str, Floats]:
        """Return every feature but the levers themselves, (c,) each; outside its range a value is not known."""
        if self._known is None:
            summary = self._ring.summary()
            found = self._window_values(summary)
            found |= self._bath.values(_day_number(self.date))
            found |= self._physics_values(summary, found)
            found |= self._lever_values(summary)
            self._known = {
                feature.name: np.where(
                    (found[feature.name] >= feature.low) & (found[feature.name] <= feature.high),
                    found[feature.name],
                    np.nan,
                )
                if feature.may_be_missing
                else found[feature.name]
                for feature in self._features
                if feature.name not in self._levers
            }
        return self._known

    def _window_values(self, summary: Summary) -> dict[str, Floats]:
        found = {}
        for row, name in enumerate(self._series):
            for statistic in (*SERIES.get(name, SENSOR_STATISTICS), "dev_28d", "last"):
                found[f"{name}_{statistic}"] = _statistic(summary, row, statistic)
        return found

    def _physics_values(self, summary: Summary, found: Mapping[str, Floats]) -> dict[str, Floats]:
        def row(name: str) -> int:
            return self._series.index(name)

        production = self._balance.production
        current = summary.mean[7][row("line_current_ka")]
        running = current > 0
        efficiency = np.where(
            running, production / (METAL_KG_PER_KA_DAY * np.where(running, current, 1.0)), np.nan
        )
        efficient = efficiency > 0
        safe = np.where(efficient, efficiency, 1.0)
        volts = summary.mean[7][row("cell_voltage_v")]
        carbon, days = (summary.total[28][row(name)] for name in _FOLDED)
        rate_known = (days > 0) & (production > 0)
        carbon_rate = carbon / np.where(rate_known, days, 1.0) * self._plant.anodes_per_cell
        ratio = found["alumina_feed_ratio_mean_28d"]
        return {
            "superheat_c_now": found["bath_temperature_c_mean_3d"] - found["liquidus_c_last"],
            "production_kg_d_now": production,
            "current_efficiency_now": efficiency,
            "energy_kwh_per_t_now": np.where(efficient, ENERGY_KWH_PER_T_PER_V * volts / safe, np.nan),
            "alumina_per_metal_28d": np.where(efficient, ALUMINA_KG_PER_KG * ratio / safe, np.nan),
            "tap_over_production_kg_d_7d": found["tap_mass_kg_mean_7d"] - production,
            "net_anode_kg_per_t_28d": np.where(
                rate_known, 1000.0 * carbon_rate / np.where(rate_known, production, 1.0), np.nan
            ),
            "anode_effect_days_since": self._since_effect.days,
        }

    def _lever_values(self, summary: Summary) -> dict[str, Floats]:
        found = {}
        memory = self._setpoints
        for i, name in enumerate(self._levers):
            found[f"{name}_days_since_move"] = memory.since_move.days[i]
            found[f"{name}_last_move"] = memory.last_move[i]
            found[f"{name}_last"] = memory.in_force[i]
            found[f"{name}_dev_28d"] = memory.in_force[i] - summary.mean[28][self._series.index(name)]
        return found


def _unmoved(features: Sequence[Feature]) -> list[str]:
    """Return the setpoints that are context here: offered as ``<name>_last`` without being levers."""
    names = {feature.name for feature in features}
    return [
        name
        for name in ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")
        if f"{name}_last" in names
    ]


def _day_number(date: np.datetime64) -> float:
    """Return days since 1970-01-01."""
    return float((date - np.datetime64(0, "D")) / np.timedelta64(1, "D"))


def _statistic(summary: Summary, row: int, statistic: str) -> Floats:
    kind, _, window = statistic.partition("_")
    by_window = {"mean": summary.mean, "std": summary.std, "slope": summary.slope}
    found: Floats
    if kind in by_window:
        found = by_window[kind][int(window.removesuffix("d"))][row]
    elif kind == "age":
        # The newest day is yesterday for the decision.
        found = summary.age[row] + 1.0
    else:
        found = summary.last[row] - summary.mean[28][row] if kind == "dev" else summary.last[row]
    return found
