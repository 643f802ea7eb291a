"""Contexts from a history: freshness, stuck instruments, anode changes, and cells without a row."""

import datetime

import numpy as np
import pytest

from features.history import History
from features.recipe import Recipe
from serving.context import contexts_today
from tests.fakes.line_record import PLANT, sound_record

DAYS = 60


def history(**changed: dict[str, np.ndarray]) -> History:
    """Six sound cells; ``changed`` maps a signal to {cell: values of its last days}."""
    record = sound_record(seed=4, cells=6, days=DAYS)
    days: dict[str, np.ndarray] = {
        "line_id": np.full(6 * DAYS, "L1"),
        "cell_id": np.repeat(record.cells, DAYS),
        "date": np.tile(record.dates.to_numpy().astype("datetime64[D]"), 6),
    }
    for name, values in record.signals.items():
        told = np.array(values, dtype=np.float64)
        for cell, last in changed.get(name, {}).items():
            told[DAYS - len(last) :, int(cell)] = last
        days[name] = told.T.ravel()
    taps: dict[str, np.ndarray] = {
        name: days.pop(name)
        for name in ("tap_mass_kg", "tap_target_kg", "fe_wt_pct", "si_wt_pct")
        if name in days
    }
    noon = days["date"].astype("datetime64[s]") + np.timedelta64(4, "h")
    changes = {
        "line_id": np.array(["L1", "L1"]),
        "cell_id": np.array([record.cells[0]] * 2),
        "position": np.array(["1", "2"]),
        "set_at": np.array([noon[DAYS - 1], noon[DAYS - 20]]),
        "removed_at": np.full(2, np.datetime64("NaT"), dtype="datetime64[s]"),
        "new_mass_kg": np.full(2, 1000.0),
        "butt_mass_kg": np.full(2, np.nan),
        "anode_lot": np.array(["", ""]),
    }
    keys = {name: days[name] for name in ("line_id", "cell_id")}
    return History.from_columns(
        {"cell_days": days, "taps": {**keys, "time": noon, **taps}, "anode_changes": changes}, PLANT
    )


def recipe(line: History) -> Recipe:
    return Recipe.for_signals(line.available(), ["set_voltage_v", "alf3_dose_kg_d"])


@pytest.fixture(scope="module")
def sound() -> History:
    return history()


def test_every_cell_has_a_context_for_the_day_after(sound: History) -> None:
    made = recipe(sound)
    found = list(contexts_today(sound, made))
    last = sound.dates[-1].item()
    assert [context.cell_id for context in found] == sound.cell_ids.tolist()
    assert {context.date for context in found} == {last + datetime.timedelta(days=1)}
    assert {context.last_reported for context in found} == {last}
    table = made.today(sound)
    for i, context in enumerate(found):
        assert context.row is not None
        np.testing.assert_array_equal(context.row, table.X[i])


def test_hours_since_the_last_anode_change(sound: History) -> None:
    """Set at 04:00 UTC, noon in Shanghai, on the last day: 12 hours before the decision's midnight."""
    first, second, *_ = contexts_today(sound, recipe(sound))
    assert first.hours_since_anode_change == pytest.approx(12.0)
    assert second.hours_since_anode_change is None


def test_a_silent_cell_has_no_row_but_a_context() -> None:
    watched = ("cell_voltage_v", "bath_temperature_c", "noise_mv", "metal_level_mm")
    silent = np.full(9, np.nan)
    line = history(**{name: {"2": silent} for name in watched})
    found = list(contexts_today(line, recipe(line)))
    assert found[2].row is None
    assert found[2].last_reported == line.dates[-10].item()
    assert found[3].row is not None


def test_stuck_instruments_are_counted_in_days() -> None:
    held = {"1": np.full(6, 17.0)}
    gaps = {"4": np.array([951.0, 951.0, np.nan, 951.0, np.nan, 951.0])}
    line = history(noise_mv=held, bath_temperature_c=gaps)
    found = list(contexts_today(line, recipe(line)))
    noise = next(stuck for stuck in found[1].stuck if stuck.signal == "noise_mv")
    assert noise.value == 17.0
    assert noise.days in (6, 7)
    bath = next(stuck for stuck in found[4].stuck if stuck.signal == "bath_temperature_c")
    assert bath.days in (4, 5)
