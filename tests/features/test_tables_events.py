"""What the process does by itself: anode effects, amperage changes, starts and stops, transients are no faults."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from features.errors import UnitError
from features.signals import Signal
from features.tables.ingest import examine
from features.tables.store import Tables, write_tables
from tests.fakes.line_record import Record, as_csv, report, sound_record, tables

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
CELL = "2003"


@pytest.fixture(scope="module")
def record() -> Record:
    return sound_record(11)


def at(record: Record, cell: str = CELL) -> int:
    return record.cells.index(cell)


def anode_effects(record: Record) -> Tables:
    """Five anode effects: half a volt on the day's mean, noise and temperature with it."""
    signals = {name: values.astype(float).copy() for name, values in record.signals.items()}
    signals["anode_effects"] = np.zeros_like(signals["noise_mv"])
    for day in (20, 45, 70, 95, 115):
        c = at(record)
        signals["anode_effects"][day, c] = 1.0
        signals["cell_voltage_v"][day, c] += 0.5
        signals["bath_temperature_c"][day, c] += 25.0
        signals["noise_mv"][day, c] += 60.0
    return tables(replace(record, signals=signals))


def amperage_change(record: Record) -> Tables:
    """The line goes from 500 to 515 kA: voltage, feed and metal of every cell follow."""
    signals = {name: values.astype(float).copy() for name, values in record.signals.items()}
    signals["line_current_ka"] = np.full_like(signals["noise_mv"], 500.0)
    later = slice(75, None)
    signals["line_current_ka"][later] = 515.0
    signals["cell_voltage_v"][later] += 0.04
    signals["alumina_fed_kg_d"][later] *= 1.03
    signals["tap_mass_kg"][later] *= 1.03
    signals["bath_temperature_c"][later] += 2.0
    made = tables(replace(record, signals=signals))
    power = (signals["cell_voltage_v"] * signals["line_current_ka"]).sum(axis=1) * 24.0 * 1.02
    meters = made.meters.assign(dc_energy_kwh=power, line_current_ka=signals["line_current_ka"][:, 0])
    return replace(made, meters=meters)


def shut_down_and_start_up(record: Record) -> Tables:
    """One cell stops for a month and starts again: zero volts, then hot, high and young."""
    signals = {name: values.astype(float).copy() for name, values in record.signals.items()}
    c = at(record)
    off, young = slice(40, 70), slice(70, 130)
    for name in (
        "run_minutes",
        "cell_voltage_v",
        "noise_mv",
        "alumina_fed_kg_d",
        "alumina_shots",
        "tap_mass_kg",
    ):
        signals[name][off, c] = 0.0
    for name in ("bath_temperature_c", "metal_level_mm", "bath_level_mm", "alf3_fed_kg_d", "alf3_dose_kg_d"):
        signals[name][off, c] = np.nan
    rest = np.exp(-np.arange(60) / 15.0)
    signals["cell_age_d"][young, c] = np.arange(60)
    signals["set_voltage_v"][young, c] = np.round(3.9 + 1.1 * rest, 3)
    signals["applied_set_voltage_v"][young, c] = signals["set_voltage_v"][young, c]
    signals["cell_voltage_v"][young, c] += 1.1 * rest
    signals["bath_temperature_c"][young, c] += np.round(35 * rest)
    signals["metal_level_mm"][young, c] += np.round(110 * rest)
    made = tables(replace(record, signals=signals))
    power = (signals["cell_voltage_v"] * 500.0).sum(axis=1) * 24.0 * 1.02
    changes = made.anode_changes
    return replace(
        made,
        meters=made.meters.assign(dc_energy_kwh=power),
        anode_changes=changes[changes["cell_id"] != CELL],
    )


def transients(record: Record) -> Tables:
    """Every anode change cools its cell and lifts its voltage for a day; one tap is late by a day."""
    made = tables(record)
    signals = {name: values.astype(float).copy() for name, values in record.signals.items()}
    removed = made.anode_changes.dropna(subset="removed_at")
    days = (
        removed["removed_at"].dt.tz_convert("Asia/Shanghai").dt.tz_localize(None).dt.normalize()
        - record.dates[0]
    ).dt.days
    for cell in record.cells:
        on = np.unique(days[removed["cell_id"] == cell])
        signals["bath_temperature_c"][on, at(record, cell)] -= 10.0
        signals["cell_voltage_v"][on, at(record, cell)] += 0.05
        signals["noise_mv"][on, at(record, cell)] += 12.0
    c = at(record)
    signals["tap_mass_kg"][60, c], signals["tap_mass_kg"][61, c] = 0.0, 7500.0
    signals["metal_level_mm"][60, c] += 50.0
    power = (signals["cell_voltage_v"] * 500.0).sum(axis=1) * 24.0 * 1.02
    changed = tables(replace(record, signals=signals))
    return replace(changed, meters=changed.meters.assign(dc_energy_kwh=power))


@pytest.mark.parametrize("event", [anode_effects, amperage_change, shut_down_and_start_up, transients])
@pytest.mark.parametrize("seed", [11, 12])
def test_a_process_event_is_no_fault(event, seed, tmp_path):
    result = examine(write_tables(event(sound_record(seed)), tmp_path / "canonical"), as_of=AS_OF)
    assert result.quarantine.empty, result.quarantine.head().to_string()
    assert [f.text for f in result.quality.findings if f.severity != "info"] == []


def test_a_sensor_in_another_unit_is_refused_with_the_unit_that_fits(record, tmp_path):
    energy = Signal("reported_energy_kwh_per_t", "kWh/t", "energy", "电耗", 11000, 16000, "measured", "plant")
    made = tables(record)
    days = made.cell_days.assign(reported_energy_kwh_per_t=12.6)
    folder = write_tables(replace(made, cell_days=days, sensors=(energy,)), tmp_path / "canonical")
    with pytest.raises(UnitError, match='unit = "kWh/kg"'):
        examine(folder, as_of=AS_OF)


def test_a_stopped_cell_without_rows_is_a_stop_and_not_a_gap(record, tmp_path):
    made = shut_down_and_start_up(record)
    days = made.cell_days[~((made.cell_days["cell_id"] == CELL) & (made.cell_days["run_minutes"] == 0))]
    result = examine(write_tables(replace(made, cell_days=days), tmp_path / "canonical"), as_of=AS_OF)
    assert [f.evidence["cells"] for f in result.quality.of("stops")] == [1]
    assert [f.text for f in result.quality.findings if f.severity != "info"] == []


def test_a_stopped_cell_keeps_its_rows_without_its_impossible_values(record, tmp_path):
    result = examine(write_tables(shut_down_and_start_up(record), tmp_path / "canonical"), as_of=AS_OF)
    off = result.tables.cell_days.query("cell_id == @CELL and run_minutes == 0")
    assert len(off) == 30
    assert off["cell_voltage_v"].isna().all()
    assert result.quality.of("stopped_cells")


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_record_has_no_findings_to_look_at(seed, tmp_path):
    made = sound_record(seed, cells=6 + 3 * (seed % 2))
    (tmp_path / "report.csv").write_bytes(as_csv(report(made)).encode())
    for path in (tmp_path / "report.csv", write_tables(tables(made), tmp_path / "canonical")):
        result = examine(path, as_of=AS_OF)
        assert result.quarantine.empty
        assert result.quality.worst in (None, "info"), [f.text for f in result.quality.findings]
