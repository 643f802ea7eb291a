import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BundleForeignError, ContractError, InputError, UnknownNameError
from features.history import History
from features.recipe import Recipe
from features.signals import Signal
from tests.fakes import columns as record
from tests.golden.make_recipe_rows import golden_rows

LEVERS = ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")
GOLDEN = Path(__file__).parents[1] / "golden" / "recipe_rows.json"


def recipe_for(history: History) -> Recipe:
    return Recipe.for_signals(history.available(), LEVERS)


@given(
    cells=st.sampled_from([1, 2, 3, 7, 17]),
    days=st.integers(3, 40),
    seed=st.integers(0, 10**6),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
)
@settings(max_examples=12, deadline=None)
def test_one_cell_streamed_gives_the_bits_of_the_whole_line(
    cells: int, days: int, seed: int, missing: float
) -> None:
    history = record.history(cells, days, seed, missing)
    recipe = recipe_for(history)
    table = recipe.table(history)
    for cell in {0, cells // 2, cells - 1}:
        alone = history.take([cell])
        state = recipe.start(1, history.plant)
        mine = table.take(table.cell == cell)
        for index in range(days - 1):
            state.advance(alone.day(index))
            row = np.flatnonzero(mine.date == state.date)
            assert bool(state.usable[0]) == bool(len(row))
            if len(row):
                levers = mine.X[row][:, [place for place, _ in recipe.lever_columns]].astype(float)
                told = np.array([[alone.signals[name][index + 1, 0] for name in LEVERS]])
                chosen = np.where(np.isfinite(told), told, state.levers_in_force)
                np.testing.assert_array_equal(chosen.astype(np.float32), levers.astype(np.float32))
                assert state.row(chosen).tobytes() == mine.X[row].tobytes()


@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)))
@settings(max_examples=8, deadline=None)
def test_shuffling_cells_permutes_rows_only(seed: int, order: list[int]) -> None:
    history = record.history(5, 33, seed)
    recipe = recipe_for(history)
    table, shuffled = recipe.table(history), recipe.table(history.take(order))
    for new, old in enumerate(order):
        mine, theirs = shuffled.take(shuffled.cell == new), table.take(table.cell == old)
        np.testing.assert_array_equal(mine.date, theirs.date)
        assert mine.X.tobytes() == theirs.X.tobytes()


def planted(tables: dict[str, record.Columns], day: int, seed: int) -> dict[str, record.Columns]:
    """Return ``tables`` with everything that is reported on ``day`` or later told differently."""
    rng = np.random.default_rng(seed)
    noon = record.instant(np.array([day]), np.array([0]))[0]
    date = record.FIRST + np.timedelta64(day, "D")
    yesterday = noon - np.timedelta64(1, "D")
    later = {
        "cell_days": tables["cell_days"]["date"] >= date,
        "taps": tables["taps"]["time"] >= noon,
        "bath_samples": tables["bath_samples"]["reported_at"] >= noon,
        "lots": tables["lots"]["used_from"] >= noon,
        "meters": tables["meters"]["date"] >= date,
    }
    found: dict[str, record.Columns] = {name: dict(table) for name, table in tables.items()}
    for name, rows in later.items():
        for column, values in tables[name].items():
            if values.dtype == np.float64:
                changed = values * (1.0 + rng.random(len(values)))
                found[name][column] = np.where(rows, changed, values)
    changes = found["anode_changes"]
    weighed_later = ~(changes["removed_at"] < yesterday)
    changes["butt_mass_kg"] = np.where(weighed_later, changes["butt_mass_kg"] + 50.0, changes["butt_mass_kg"])
    changes["removed_at"] = np.where(
        changes["removed_at"] >= noon, changes["removed_at"] + np.timedelta64(5, "D"), changes["removed_at"]
    )
    changes["anode_lot"] = np.where(changes["set_at"] >= noon, "A0", changes["anode_lot"])
    return found


@given(seed=st.integers(0, 10**6), day=st.integers(2, 39))
@settings(max_examples=12, deadline=None)
def test_no_feature_moves_with_what_is_reported_later(seed: int, day: int) -> None:
    tables = record.tables(3, 40, seed)
    before = History.from_columns(tables, record.plant(anodes=44))
    after = History.from_columns(planted(tables, day, seed), record.plant(anodes=44))
    recipe = recipe_for(before)
    first, second = recipe.table(before), recipe.table(after)
    date = before.dates[day]
    set_on_the_day = [place for place, _ in recipe.lever_columns]
    kept = [place for place in range(len(recipe.names)) if place not in set_on_the_day]
    for rows in (first.date < date, first.date == date):
        other = second.take(np.isin(second.date, first.date[rows]))
        columns = kept if (first.date[rows] == date).any() else range(len(recipe.names))
        assert first.X[rows][:, columns].tobytes() == other.X[:, columns].tobytes()
    # The plant does reach the record: later rows differ.
    if day < 35:
        assert first.X[first.date > date].tobytes() != second.X[second.date > date].tobytes()


@given(seed=st.integers(0, 10**6), day=st.integers(3, 39))
@settings(max_examples=8, deadline=None)
def test_today_is_the_row_that_history_will_show(seed: int, day: int) -> None:
    history = record.history(3, 40, seed)
    recipe = recipe_for(history)
    today, table = recipe.today(history.until(history.dates[day - 1])), recipe.table(history)
    shown = table.take(table.date == history.dates[day])
    kept = [i for i in range(len(recipe.names)) if i not in {place for place, _ in recipe.lever_columns}]
    np.testing.assert_array_equal(today.cell, shown.cell)
    assert today.X[:, kept].tobytes() == shown.X[:, kept].tobytes()
    for lever, reference in recipe.lever_columns:
        np.testing.assert_array_equal(today.X[:, lever], today.X[:, reference])


def test_a_late_result_counts_from_its_report() -> None:
    history = record.history(2, 20, seed=4, missing=0.0).take([0])
    samples = history.samples.take(np.array([0]))
    day = history.dates[10]
    one = replace(
        samples,
        sampled_day=np.array([day - np.timedelta64(2, "D")]),
        reported_day=np.array([day]),
        values={**samples.values, "excess_alf3_wt_pct": np.array([11.5])},
    )
    history = replace(history, samples=one)
    table = recipe_for(history).table(history)
    excess, age = table.column("excess_alf3_wt_pct_last"), table.column("sample_age_d")
    known = table.date > day
    assert np.isnan(excess[~known]).all()
    assert (excess[known] == np.float32(11.5)).all()
    assert age[known][0] == 3.0
    temperature = history.signals["bath_temperature_c"][8, 0]
    gap = temperature - table.column("liquidus_c_last")[known][0]
    assert table.column("superheat_c_last")[known][0] == pytest.approx(gap, abs=1e-3)


def test_levers_and_their_references() -> None:
    history = record.history(2, 30, seed=5, missing=0.0)
    recipe = recipe_for(history)
    table = recipe.table(history)
    for (lever, reference), name in zip(recipe.lever_columns, LEVERS, strict=True):
        assert table.names[lever] == name
        assert table.names[reference] == f"{name}_last"
        for row in range(0, len(table), 7):
            day = int((table.date[row] - history.dates[0]).astype(int))
            assert table.X[row, lever] == np.float32(history.signals[name][day, table.cell[row]])
            assert table.X[row, reference] == np.float32(history.signals[name][day - 1, table.cell[row]])
    assert np.isfinite(table.X[:, [i for pair in recipe.lever_columns for i in pair]]).all()


def test_moves_are_remembered() -> None:
    history = record.history(1, 12, seed=6, missing=0.0)
    volts = np.full((12, 1), 3.90)
    volts[4:] = 3.92
    history = replace(history, signals={**history.signals, "set_voltage_v": volts})
    table = recipe_for(history).table(history)
    day = (table.date - history.dates[0]).astype(int)
    since, move = table.column("set_voltage_v_days_since_move"), table.column("set_voltage_v_last_move")
    assert since[day == 4] == 4.0  # not yet: what is set on the day is not the past
    assert since[day == 5] == 1.0
    assert since[day == 8] == 4.0
    assert move[day == 4] == 0.0
    assert move[day == 5] == pytest.approx(0.02, abs=1e-6)


def test_every_value_is_within_its_declared_range_or_missing_by_leave() -> None:
    history = record.history(6, 60, seed=7, missing=0.2, anodes=44)
    recipe = recipe_for(history)
    X = recipe.table(history).X.astype(float)
    for column, feature in enumerate(recipe.features):
        known = np.isfinite(X[:, column])
        assert known.all() or feature.may_be_missing, feature.name
        assert known.any(), feature.name
        assert (X[known, column] >= feature.low - 1e-6 * abs(feature.low)).all(), feature.name
        assert (X[known, column] <= feature.high + 1e-6 * abs(feature.high)).all(), feature.name


def test_a_recipe_fits_what_the_record_carries() -> None:
    history = record.history(2, 30, seed=8)
    whole = recipe_for(history)
    assert 60 <= len(whole.names) <= 115
    assert len(set(whole.names)) == len(whole.names)
    assert "side_temperature_c_mean_7d" in whole.names  # a sensor that the house does not know
    thin = Recipe.for_signals({"cell_voltage_v", "set_voltage_v", "bath_temperature_c"}, ["set_voltage_v"])
    assert not any("alf3" in name or "anode" in name or "production" in name for name in thin.names)
    assert {"voltage_excess_v_mean_7d", "bath_temperature_c_slope_7d", "set_voltage_v"} <= set(thin.names)
    unmoved = Recipe.for_signals(history.available(), ["set_voltage_v"])
    assert "alf3_dose_kg_d_last" in unmoved.names
    assert "alf3_dose_kg_d" not in unmoved.names
    assert np.isfinite(unmoved.table(history).column("alf3_dose_kg_d_last")).any()


@pytest.mark.parametrize(
    "levers", [[], ["noise_mv"], ["set_voltage_v", "set_voltage_v"], ["alumina_feed_kg_d"]]
)
def test_levers_that_cannot_be_are_refused(levers: list[str]) -> None:
    with pytest.raises((InputError, UnknownNameError)):
        Recipe.for_signals({"set_voltage_v", "noise_mv"}, levers)


def test_the_description_rebuilds_the_recipe_and_pins_it() -> None:
    sensor = Signal("side_temperature_c", "degC", "side wall", "侧壁温度", 0, 600, "measured", "plant")
    recipe = Recipe.for_signals(record.history(2, 30, seed=8).available(), LEVERS, [sensor])
    description = json.loads(json.dumps(recipe.describe()))
    again = Recipe.from_description(description)
    assert again == recipe
    assert again.digest == recipe.digest
    others: list[dict[str, Any]] = [
        {**description, "arithmetic": description["arithmetic"] + 1},
        {**description, "features": description["features"][:-1]},
        {**description, "signals": [*description["signals"], "unheard_of"]},
        {"signals": []},
    ]
    for other in others:
        with pytest.raises(BundleForeignError):
            Recipe.from_description(other)
    fewer = Recipe.for_signals(recipe.signals, LEVERS[:2])
    assert fewer.digest != recipe.digest


def test_what_the_recipe_does_not_use_does_not_change_its_digest() -> None:
    available = record.history(2, 30, seed=8).available()
    assert recipe_digest(available | {"tariff_per_kwh", "dc_energy_kwh"}) == recipe_digest(available)


def recipe_digest(available: frozenset[str]) -> str:
    return Recipe.for_signals(available, LEVERS).digest


def test_a_new_lining_forgets_the_old_one() -> None:
    history = record.history(1, 40, seed=9, missing=0.0)
    age = np.arange(900.0, 940.0)[:, None]
    age[30:, 0] = np.arange(1.0, 11.0)
    history = replace(history, signals={**history.signals, "cell_age_d": age})
    table = recipe_for(history).table(history)
    day = (table.date - history.dates[0]).astype(int)
    volts = history.signals["cell_voltage_v"][:, 0]
    mean = table.column("cell_voltage_v_mean_7d")
    assert mean[day == 30][0] == pytest.approx(volts[23:30].mean(), abs=1e-6)
    assert mean[day == 31][0] == pytest.approx(volts[30], abs=1e-6)
    assert np.isnan(table.column("cell_voltage_v_mean_28d")[day == 31])


def test_a_silent_cell_gives_no_row() -> None:
    history = record.history(2, 20, seed=10, missing=0.0)
    signals = {name: values.copy() for name, values in history.signals.items()}
    for name in ("cell_voltage_v", "bath_temperature_c", "noise_mv", "metal_level_mm"):
        signals[name][8:, 0] = np.nan
    table = recipe_for(history).table(replace(history, signals=signals))
    last = table.date[table.cell == 0].max()
    assert last == history.dates[10]
    assert table.date[table.cell == 1].max() == history.dates[-1]


def test_days_must_follow_each_other() -> None:
    history = record.history(2, 10, seed=11)
    state = recipe_for(history).start(2, history.plant)
    with pytest.raises(InputError, match="no day"):
        state.row()
    state.advance(history.day(0))
    with pytest.raises(ContractError, match="does not follow"):
        state.advance(history.day(2))
    with pytest.raises(ContractError, match="2 cells"):
        state.advance(history.take([0]).day(1))
    with pytest.raises(InputError, match="levers must be"):
        state.row(np.zeros((2, 1)))


def test_the_arithmetic_is_the_one_that_its_version_promises() -> None:
    """Where this fails on purpose: raise ARITHMETIC and run tests/golden/make_recipe_rows.py."""
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    made = golden_rows()
    assert made["arithmetic"] == stored["arithmetic"]
    assert set(made["rows"]) == set(stored["rows"])
    for name, values in stored["rows"].items():
        expected = np.array([np.nan if value is None else value for value in values])
        found = np.array([np.nan if value is None else value for value in made["rows"][name]])
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9, err_msg=name)


def test_a_sample_of_the_old_bath_says_nothing_about_the_new_one() -> None:
    history = record.history(1, 20, seed=9, missing=0.0)  # its only cell starts anew on day 10
    samples = history.samples.take(np.array([0, 0]))
    days = history.dates[np.array([8, 10])]
    samples = replace(samples, sampled_day=days, reported_day=history.dates[np.array([11, 12])])
    table = recipe_for(history).table(replace(history, samples=samples))
    known = np.isfinite(table.column("excess_alf3_wt_pct_last"))
    assert table.date[known].min() == history.dates[13]
