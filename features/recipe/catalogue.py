"""Which features there are: name, unit, range, window, and the signals that each needs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from features.errors import UnknownNameError
from features.signals import DERIVED, SIGNALS, Signal

CAPPED_DAYS: Final = 60
"""Days since an event are counted up to this: longer ago is all the same."""

_LEVERS: Final = tuple(name for name, signal in SIGNALS.items() if signal.role == "lever")


@dataclass(frozen=True)
class Feature:
    """One recipe feature as the bundle's manifest carries it.

    Attributes:
        name: the column's name; unit: its unit.
        low, high: what the feature can plausibly be; outside, a request is refused.
        window_days: days of the record that it looks back on.
        may_be_missing: whether NaN ("not known") is a legal value.
    """

    name: str
    unit: str
    low: float
    high: float
    window_days: int
    may_be_missing: bool


@dataclass(frozen=True)
class Entry:
    """A feature and the signals without which it is left out."""

    feature: Feature
    needs: frozenset[str]


_FULL = ("last", "mean_3d", "mean_7d", "mean_28d", "std_7d", "slope_7d", "dev_28d")

SERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "cell_voltage_v": _FULL,
    "noise_mv": _FULL,
    "bath_temperature_c": (*_FULL, "age_d"),
    "metal_level_mm": ("last", "mean_7d", "slope_7d", "dev_28d"),
    "bath_level_mm": ("mean_7d", "slope_7d", "dev_28d"),
    "swing_minutes": ("mean_7d",),
    "voltage_excess_v": ("mean_7d", "dev_28d"),
    "voltage_modifier_v": ("mean_7d",),
    "alf3_fed_kg_d": ("mean_3d", "mean_7d", "mean_28d"),
    "alf3_fed_excess_kg_d": ("mean_7d",),
    "alumina_feed_ratio": ("mean_7d", "mean_28d"),
    "tap_mass_kg": ("mean_7d", "mean_28d"),
    "tap_excess_kg": ("mean_7d",),
    "fe_wt_pct": ("last", "slope_28d"),
    "si_wt_pct": ("last",),
    "anode_effects": ("mean_7d", "mean_28d"),
    "anode_effect_minutes": ("mean_28d",),
    "beam_travel_mm": ("mean_7d",),
    "line_current_ka": ("last", "dev_28d"),
    "cell_age_d": ("last",),
    "run_minutes": ("mean_7d",),
    "line_bath_temperature_c": ("last",),
    "line_noise_mv": ("last",),
    "line_cell_voltage_v": ("last",),
    "bath_temperature_over_line_c": ("mean_3d",),
    "noise_over_line_mv": ("mean_3d",),
    "crr_pct": ("last",),
    "arr_pct": ("last",),
    "air_permeability_npm": ("last",),
    "thermal_conductivity_w_mk": ("last",),
    "soda_wt_pct": ("last",),
    "fines_wt_pct": ("last",),
    "production_kg_d": ("slope_28d",),
}
"""Daily series and the statistics of them that are features."""

SENSOR_STATISTICS: Final = ("last", "mean_7d", "mean_28d", "slope_7d")
"""What a plant's own sensor gets."""

DIFFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "voltage_excess_v": ("cell_voltage_v", "set_voltage_v"),
    "voltage_modifier_v": ("applied_set_voltage_v", "set_voltage_v"),
    "alf3_fed_excess_kg_d": ("alf3_fed_kg_d", "alf3_dose_kg_d"),
    "tap_excess_kg": ("tap_mass_kg", "tap_target_kg"),
    "bath_temperature_over_line_c": ("bath_temperature_c", "line_bath_temperature_c"),
    "noise_over_line_mv": ("noise_mv", "line_noise_mv"),
}
"""Daily series that are one signal minus another of the same day."""

BALANCE_NEEDS: Final = frozenset({"metal_level_mm", "tap_mass_kg"})
_LAB: Final = frozenset({"excess_alf3_wt_pct"})
_TEMPERATURE: Final = frozenset({"bath_temperature_c"})
_BUTTS: Final = frozenset({"anode_net_kg_removed", "anode_days_removed"})


def _physics() -> Iterator[Entry]:
    rows: tuple[tuple[str, str, float, float, int, frozenset[str]], ...] = (
        ("bath_ratio_last", "-", 0.5, 2.0, CAPPED_DAYS, _LAB),
        ("liquidus_c_last", "degC", 750, 1030, CAPPED_DAYS, _LAB),
        ("superheat_c_last", "degC", -60, 120, CAPPED_DAYS, _LAB | _TEMPERATURE),
        ("superheat_c_recent", "degC", -60, 120, CAPPED_DAYS, _LAB | _TEMPERATURE),
        ("superheat_c_now", "degC", -60, 120, CAPPED_DAYS, _LAB | _TEMPERATURE),
        ("excess_alf3_wt_pct_recent", "wt%", -5, 25, CAPPED_DAYS, _LAB),
        ("excess_alf3_wt_pct_trend", "wt%/d", -10, 10, CAPPED_DAYS, _LAB),
        ("sample_age_d", "d", 0, 6000, CAPPED_DAYS, _LAB),
        ("production_kg_d_now", "kg/d", 200, 8000, 28, BALANCE_NEEDS),
        ("current_efficiency_now", "fraction", 0.5, 1.2, 28, BALANCE_NEEDS),
        ("energy_kwh_per_t_now", "kWh/t", 8000, 30000, 28, BALANCE_NEEDS | {"cell_voltage_v"}),
        ("alumina_per_metal_28d", "kg/kg", 0, 6, 28, BALANCE_NEEDS | {"alumina_fed_kg_d"}),
        ("tap_over_production_kg_d_7d", "kg/d", -20000, 20000, 28, BALANCE_NEEDS),
        ("net_anode_kg_per_t_28d", "kg/t", 100, 1000, 28, _BUTTS | BALANCE_NEEDS),
        ("anode_effect_days_since", "d", 0, CAPPED_DAYS, CAPPED_DAYS, frozenset({"anode_effects"})),
    )
    for name, unit, low, high, window, needs in rows:
        yield Entry(Feature(name, unit, low, high, window, may_be_missing=True), needs)


def entries(available: Collection[str], levers: Sequence[str], sensors: Sequence[Signal] = ()) -> list[Entry]:
    """Return every feature that ``available`` signals can carry, levers and their references last.

    Raises:
        UnknownNameError: a lever that is no lever of the dictionary or has no setpoint in the record.
    """
    wrong = [name for name in levers if name not in _LEVERS or name not in available]
    if wrong:
        raise UnknownNameError(
            f"levers {wrong} cannot be used; setpoints in this record are {sorted(set(_LEVERS) & set(available))}"
        )
    found = [entry for name in SERIES for entry in _windows(name, SERIES[name], _range(name))]
    found += [entry for name in _lab_signals() for entry in _windows(name, ("last",), SIGNALS[name])]
    found += _physics()
    found += [
        Entry(_statistic(SIGNALS[name], "last"), frozenset({name})) for name in _LEVERS if name not in levers
    ]
    for sensor in sensors:
        found += _windows(sensor.name, SENSOR_STATISTICS, sensor)
    kept = [entry for entry in found if entry.needs <= set(available)]
    return kept + [entry for name in levers for entry in _lever(SIGNALS[name])]


def sensors_beyond(available: Collection[str]) -> list[str]:
    """Return the names among ``available`` that the house does not know: the plant's own sensors."""
    return sorted(name for name in available if name not in SIGNALS and name not in DERIVED)


def _lab_signals() -> list[str]:
    return [name for name in SIGNALS if name.endswith("_wt_pct") and name not in SERIES]


def _range(name: str) -> Signal:
    return SIGNALS[name] if name in SIGNALS else DERIVED[name]


def _needs(name: str) -> frozenset[str]:
    if name in DIFFERENCES:
        return frozenset(DIFFERENCES[name])
    if name == "production_kg_d":
        return BALANCE_NEEDS
    return frozenset({"alumina_fed_kg_d" if name == "alumina_feed_ratio" else name})


def _windows(name: str, statistics: Sequence[str], signal: Signal) -> Iterator[Entry]:
    for statistic in statistics:
        yield Entry(_statistic(signal, statistic), _needs(name))


def _statistic(signal: Signal, statistic: str) -> Feature:
    kind, _, window = statistic.partition("_")
    days = 28 if kind in ("last", "age") else int(window.removesuffix("d"))
    span = signal.high - signal.low
    unit, low, high = {
        "last": (signal.unit, signal.low, signal.high),
        "mean": (signal.unit, signal.low, signal.high),
        "std": (signal.unit, 0.0, span),
        "dev": (signal.unit, -span, span),
        "slope": (f"{signal.unit} per day", -span, span),
        "age": ("d", 0.0, 28.0),
    }[kind]
    return Feature(f"{signal.name}_{statistic}", unit, float(low), float(high), days, may_be_missing=True)


def _lever(signal: Signal) -> Iterator[Entry]:
    span, unit, name = signal.high - signal.low, signal.unit, signal.name
    rows: tuple[tuple[str, str, float, float, int, bool], ...] = (
        (f"{name}_days_since_move", "d", 0.0, CAPPED_DAYS, CAPPED_DAYS, False),
        (f"{name}_last_move", unit, -span, span, CAPPED_DAYS, False),
        (f"{name}_dev_28d", unit, -span, span, 28, True),
        (f"{name}_last", unit, signal.low, signal.high, 28, False),
        (name, unit, signal.low, signal.high, 0, False),
    )
    for label, unit_of, low, high, window, missing in rows:
        yield Entry(Feature(label, unit_of, float(low), float(high), window, missing), frozenset({name}))
