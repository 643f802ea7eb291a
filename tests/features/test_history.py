import numpy as np
import pytest

from features.errors import ContractError
from features.folding import local_time
from features.history import History
from tests.fakes import columns as record


def two_days(**more: dict[str, np.ndarray]) -> History:
    """Return two cells of one line over two days, one of them silent on the second."""
    cell_days = {
        **record.cell_keys(np.array([1, 0, 1])),
        "date": record.FIRST + np.array([0, 0, 1]).astype("timedelta64[D]"),
        "bath_temperature_c": np.array([950.0, 960.0, np.inf]),
    }
    return History.from_columns({"cell_days": cell_days, **more}, record.plant())


def test_rows_find_their_place_and_infinity_is_not_known() -> None:
    history = two_days()
    assert history.cell_ids.tolist() == ["100", "101"]
    expected = np.array([[960.0, 950.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(history.signals["bath_temperature_c"], expected)


def test_taps_belong_to_the_plants_day_and_add_up() -> None:
    local = np.array(["2025-03-01T00:30", "2025-03-01T23:30", "2025-03-02T00:10"], dtype="datetime64[m]")
    taps = {
        **record.cell_keys(np.array([0, 0, 1])),
        "time": local - np.timedelta64(8, "h"),
        "tap_mass_kg": np.array([1000.0, 900.0, 3700.0]),
        "tap_target_kg": np.array([950.0, 950.0, 3600.0]),
    }
    history = two_days(taps=taps)
    # Cell 101 was not tapped on the first day, which is a tap of nothing; cell 100 reported nothing on the second.
    np.testing.assert_array_equal(history.signals["tap_mass_kg"], [[1900.0, 0.0], [np.nan, 3700.0]])
    np.testing.assert_array_equal(history.signals["tap_target_kg"], [[1900.0, np.nan], [np.nan, 3600.0]])


def test_a_tap_without_a_mass_makes_the_days_mass_unknown() -> None:
    taps = {
        **record.cell_keys(np.array([0, 0])),
        "time": record.instant(np.array([0, 0]), np.array([60, 600])),
        "tap_mass_kg": np.array([np.nan, 900.0]),
    }
    assert np.isnan(two_days(taps=taps).signals["tap_mass_kg"][0, 0])


def test_days_follow_summer_time() -> None:
    utc = np.array(["2025-03-29T23:30", "2025-03-30T22:30", "NaT"], dtype="datetime64[s]")
    hours = (local_time(utc, "Europe/Oslo") - local_time(utc[:1], "UTC")) * 24
    np.testing.assert_allclose(hours[:2], [1.0, 25.0])  # an hour ahead, then two
    assert np.isnan(hours[2])


def test_a_butt_is_known_on_the_day_after_its_removal() -> None:
    anodes = {
        **record.cell_keys(np.array([0, 0])),
        "position": np.array(["1", "2"]),
        "set_at": record.instant(np.array([-20, -20]), np.array([0, 0])),
        "removed_at": record.instant(np.array([0, 0]), np.array([720, 720])),
        "new_mass_kg": np.array([1200.0, 1210.0]),
        "butt_mass_kg": np.array([250.0, np.nan]),
        "anode_lot": np.array(["A", "A"]),
    }
    history = two_days(anode_changes=anodes)
    assert history.signals["anode_net_kg_removed"][:, 0].tolist() == [0.0, 950.0]
    assert history.signals["anode_days_removed"][:, 0].tolist() == [0.0, 20.5]
    assert np.isnan(history.until(history.dates[0]).anodes.butt_mass_kg).all()
    assert np.isfinite(history.until(history.dates[0]).anodes.removed_at).all()


def test_lots_are_those_in_the_cell_and_those_in_use() -> None:
    anodes = {
        **record.cell_keys(np.array([0, 0])),
        "position": np.array(["1", "2"]),
        "set_at": record.instant(np.array([-20, -20]), np.array([0, 0])),
        "removed_at": np.array(["2025-03-02T02:00", "NaT"], dtype="datetime64[m]"),
        "new_mass_kg": np.array([1200.0, 1210.0]),
        "butt_mass_kg": np.array([np.nan, np.nan]),
        "anode_lot": np.array(["A", "B"]),
    }
    lots = {
        "lot_id": np.array(["A", "B", "S", "T"]),
        "material": np.array(["anode", "anode", "alumina", "alumina"]),
        "used_from": record.instant(np.array([-30, -30, -9, 1]), np.zeros(4, dtype=int)),
        "crr_pct": np.array([80.0, 90.0, np.nan, np.nan]),
        "soda_wt_pct": np.array([np.nan, np.nan, 0.3, 0.4]),
    }
    history = two_days(anode_changes=anodes, lots=lots)
    np.testing.assert_array_equal(history.signals["crr_pct"], [[85.0, np.nan], [90.0, np.nan]])
    np.testing.assert_array_equal(history.signals["soda_wt_pct"], [[0.3, 0.3], [0.4, 0.4]])
    assert "anode_net_kg_removed" not in history.signals


def test_current_is_the_cells_own_else_the_lines_else_the_nominal() -> None:
    assert (two_days().signals["line_current_ka"] == 500.0).all()
    meters = {
        "line_id": np.array(["L1"]),
        "date": record.FIRST + np.array([1]).astype("timedelta64[D]"),
        "line_current_ka": np.array([490.0]),
    }
    np.testing.assert_array_equal(
        two_days(meters=meters).signals["line_current_ka"], [[np.nan, np.nan], [490.0, 490.0]]
    )


def test_line_medians_do_not_depend_on_the_order_of_rows() -> None:
    tables = record.tables(5, 12, seed=3)
    shuffle = np.random.default_rng(0).permutation(len(tables["cell_days"]["date"]))
    mixed = {**tables, "cell_days": {name: values[shuffle] for name, values in tables["cell_days"].items()}}
    first, second = (History.from_columns(each, record.plant()) for each in (tables, mixed))
    for name in ("line_bath_temperature_c", "line_noise_mv"):
        assert first.signals[name].tobytes() == second.signals[name].tobytes()
    values = first.signals["bath_temperature_c"]
    for day in range(12):
        known = values[day][np.isfinite(values[day])]
        assert first.signals["line_bath_temperature_c"][day, 0] == pytest.approx(np.median(known))


def test_samples_come_on_the_day_they_are_reported() -> None:
    history = record.history(3, 20, seed=1)
    seen = 0
    for index in range(20):
        day = history.day(index)
        assert (day.samples.reported_day == day.date).all()
        assert (day.samples.sampled_day <= day.date).all()
        seen += len(day.samples)
    inside = history.samples.reported_day <= history.dates[-1]
    assert seen == np.count_nonzero(inside) > 10


def test_take_keeps_each_cells_own_record() -> None:
    history = record.history(4, 20, seed=2)
    taken = history.take([2, 0])
    assert taken.cell_ids.tolist() == ["102", "100"]
    np.testing.assert_array_equal(taken.signals["noise_mv"], history.signals["noise_mv"][:, [2, 0]])
    for new, old in ((0, 2), (1, 0)):
        mine, theirs = taken.samples.cell == new, history.samples.cell == old
        np.testing.assert_array_equal(
            taken.samples.values["caf2_wt_pct"][mine], history.samples.values["caf2_wt_pct"][theirs]
        )
        np.testing.assert_array_equal(
            taken.anodes.set_at[taken.anodes.cell == new], history.anodes.set_at[history.anodes.cell == old]
        )


def test_two_rows_for_one_cell_and_day_are_refused() -> None:
    rows = {**record.cell_keys(np.array([0, 0])), "date": np.array([record.FIRST, record.FIRST])}
    with pytest.raises(ContractError, match="several rows for cell 100"):
        History.from_columns({"cell_days": rows}, record.plant())
    with pytest.raises(ContractError, match="cell_days"):
        History.from_columns({}, record.plant())
