"""The six canonical tables: which columns each has, of what kind, and what makes a row unique.

Day columns are the plant's calendar days, time columns are UTC instants, signal columns are float64 with NaN for
"not known", everything else is text. A table may lack any signal that the plant does not collect, but the columns in
``required`` carry the energy balance, the levers and the guard, and without them nothing can be recommended. A row
must know what is ``essential``: a cell day without a voltage, a tap without a mass says nothing. A tap that is set
aside was still tapped, so that its metal is unknown and not zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from features.errors import UnknownNameError
from features.signals import SIGNALS

Kind = Literal["text", "day", "time", "signal"]


@dataclass(frozen=True)
class Layout:
    """One canonical table: unique key, columns by kind, and the signals that it cannot do without."""

    name: str
    key: tuple[str, ...]
    text: tuple[str, ...]
    days: tuple[str, ...]
    times: tuple[str, ...]
    signals: tuple[str, ...]
    required: tuple[str, ...]
    essential: tuple[str, ...] = ()
    may_be_empty: tuple[str, ...] = ()
    event: bool = False
    """A row stands for something that happened: set aside, its key stays, with every signal unknown."""

    def __post_init__(self) -> None:
        """Refuse a signal that the dictionary does not know, and a key that is no column."""
        unknown = [name for name in (*self.signals, *self.required) if name not in SIGNALS]
        if unknown:
            raise UnknownNameError(
                f"table {self.name}: {unknown} are not in the dictionary; add them to SIGNALS"
            )
        loose = [name for name in self.key if name not in (*self.text, *self.days, *self.times)]
        if loose:
            raise UnknownNameError(
                f"table {self.name}: key columns {loose} are no columns of it; declare them"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every canonical column in order: texts, days, times, signals."""
        return (*self.text, *self.days, *self.times, *self.signals)

    def kind(self, column: str) -> Kind:
        """Return what ``column`` holds; a column beyond the canonical ones is a declared sensor, a signal."""
        return self.kinds.get(column, "signal")

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What every canonical column holds."""
        by_kind: tuple[tuple[Kind, tuple[str, ...]], ...] = (
            ("text", self.text),
            ("day", self.days),
            ("time", self.times),
            ("signal", self.signals),
        )
        return {column: kind for kind, columns in by_kind for column in columns}


_CELL_DAYS = Layout(
    name="cell_days",
    key=("line_id", "cell_id", "date"),
    text=("line_id", "cell_id"),
    days=("date",),
    times=(),
    signals=(
        "line_current_ka",
        "cell_voltage_v",
        "set_voltage_v",
        "applied_set_voltage_v",
        "noise_mv",
        "swing_minutes",
        "bath_temperature_c",
        "metal_level_mm",
        "bath_level_mm",
        "alf3_dose_kg_d",
        "alf3_fed_kg_d",
        "alumina_feed_kg_d",
        "alumina_fed_kg_d",
        "alumina_shots",
        "anode_effects",
        "anode_effect_minutes",
        "cell_age_d",
        "run_minutes",
        "beam_travel_mm",
    ),
    required=("cell_voltage_v", "set_voltage_v", "bath_temperature_c", "metal_level_mm"),
    essential=("cell_voltage_v",),
)
_TAPS = Layout(
    name="taps",
    key=("line_id", "cell_id", "time"),
    text=("line_id", "cell_id"),
    days=(),
    times=("time",),
    signals=("tap_mass_kg", "tap_target_kg", "fe_wt_pct", "si_wt_pct"),
    required=("tap_mass_kg",),
    essential=("tap_mass_kg",),
    event=True,
)
_BATH_SAMPLES = Layout(
    name="bath_samples",
    key=("line_id", "cell_id", "sampled_at"),
    text=("line_id", "cell_id"),
    days=(),
    times=("sampled_at", "reported_at"),
    signals=(
        "excess_alf3_wt_pct",
        "caf2_wt_pct",
        "lif_wt_pct",
        "kf_wt_pct",
        "mgf2_wt_pct",
        "al2o3_wt_pct",
    ),
    required=("excess_alf3_wt_pct",),
)
_ANODE_CHANGES = Layout(
    name="anode_changes",
    key=("line_id", "cell_id", "position", "set_at"),
    text=("line_id", "cell_id", "position", "anode_lot"),
    days=(),
    times=("set_at", "removed_at"),
    signals=("new_mass_kg", "butt_mass_kg"),
    required=("new_mass_kg", "butt_mass_kg"),
    may_be_empty=("removed_at",),
)
_LOTS = Layout(
    name="lots",
    key=("material", "lot_id"),
    text=("material", "lot_id"),
    days=(),
    times=("used_from",),
    signals=(
        "crr_pct",
        "arr_pct",
        "air_permeability_npm",
        "thermal_conductivity_w_mk",
        "soda_wt_pct",
        "fines_wt_pct",
    ),
    required=(),
)
_METERS = Layout(
    name="meters",
    key=("line_id", "date"),
    text=("line_id",),
    days=("date",),
    times=(),
    signals=(
        "dc_energy_kwh",
        "ac_energy_kwh",
        "auxiliary_energy_kwh",
        "line_current_ka",
        "tariff_per_kwh",
        "renewable_share",
    ),
    required=(),
)

TABLES: Mapping[str, Layout] = {
    layout.name: layout for layout in (_CELL_DAYS, _TAPS, _BATH_SAMPLES, _ANODE_CHANGES, _LOTS, _METERS)
}
REQUIRED_TABLES = ("cell_days", "taps")
MATERIALS = ("anode", "alumina")


def layout_of(table: str) -> Layout:
    """Return the layout of ``table``.

    Raises:
        UnknownNameError: no such canonical table.
    """
    if table not in TABLES:
        raise UnknownNameError(f"unknown table {table!r}; the canonical tables are {', '.join(TABLES)}")
    return TABLES[table]
