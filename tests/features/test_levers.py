from dataclasses import replace

import numpy as np
import pytest

from features.design import design, design_names
from features.errors import InputError, TargetUnavailableError, UnknownNameError
from features.history import History
from features.levers import choose_levers, count_moves, operating_window
from features.outcomes import HELPERS, OUTCOMES, TARGETS, outcome
from tests.fakes import columns as record


def with_setpoints(**setpoints: np.ndarray) -> History:
    """Return a history of two cells and thirty days whose setpoints are exactly these (t, c)."""
    history = record.history(2, 30, seed=1, missing=0.0)
    signals = {name: values for name, values in history.signals.items() if name not in record.RANGES}
    signals.pop("tap_target_kg")
    return replace(history, signals={**signals, **setpoints})


def stairs(low: float, step: float) -> np.ndarray:
    return low + step * np.repeat(np.arange(30.0)[:, None], 2, axis=1)


def test_a_lever_is_offered_where_it_was_set_and_moved() -> None:
    still = np.full((30, 2), 45.0)
    still[15:, 0] = 50.0
    history = with_setpoints(set_voltage_v=stairs(3.85, 0.004), alf3_dose_kg_d=still)
    choice = choose_levers(history, min_moves=20)
    assert [lever.name for lever in choice.levers] == ["set_voltage_v"]
    assert "moved 1 times" in choice.refused["alf3_dose_kg_d"]
    assert "not in the record" in choice.refused["tap_target_kg"]
    lever = choice.levers[0]
    # Half a per cent of sixty values is less than one value: the range is the plant's own, inside the hard bounds.
    assert lever.low == pytest.approx(3.85)
    assert lever.high == pytest.approx(3.85 + 29 * 0.004)


def test_gaps_are_no_moves() -> None:
    values = stairs(3.85, 0.0)
    values[::2] = np.nan
    assert count_moves(with_setpoints(set_voltage_v=values), "set_voltage_v") == 0
    assert count_moves(with_setpoints(), "set_voltage_v") is None


def test_extreme_settings_do_not_widen_the_bounds() -> None:
    values = np.round(3.88 + 0.02 * np.random.default_rng(0).random((30, 2)), 3)
    values[3, 0] = 4.15
    lever = choose_levers(with_setpoints(set_voltage_v=np.tile(values, (1, 1))), min_moves=5).levers[0]
    assert lever.high == 4.15  # one of sixty is more than half a per cent
    many = with_setpoints(set_voltage_v=values)
    wide = replace(
        many,
        cell_ids=np.array([f"{i}" for i in range(20)]),
        line_ids=np.full(20, "L1"),
        signals={
            "set_voltage_v": np.concatenate([values, np.round(3.88 + 0 * np.ones((30, 18)), 3)], axis=1)
        },
    )
    assert choose_levers(wide, min_moves=5).levers[0].high < 3.91


def test_the_window_carries_the_limits_of_its_levers() -> None:
    history = with_setpoints(set_voltage_v=stairs(3.85, 0.004), alf3_dose_kg_d=stairs(30.0, 1.0))
    window = operating_window(history)
    assert window.names == ("set_voltage_v", "alf3_dose_kg_d")
    assert {limit.name for limit in window.limits} == {"heat_balance_cooling", "heat_balance_heating"}
    with pytest.raises(TargetUnavailableError, match="no lever can be offered"):
        operating_window(with_setpoints())
    with pytest.raises(UnknownNameError, match="noise_mv"):
        choose_levers(history, ["noise_mv"])


def test_the_design_appends_exact_moves() -> None:
    rng = np.random.default_rng(2)
    X = (4.0 * rng.random((50, 5))).astype(np.float32)
    X[3, 1] = np.nan
    Z = design(X, [(4, 1), (0, 2)])
    assert Z.dtype == np.float64
    np.testing.assert_array_equal(Z[:, :5], X.astype(np.float64))
    for i, (lever, reference) in enumerate([(4, 1), (0, 2)]):
        # A difference of two float32 is exact in double: adding it back gives the lever again.
        np.testing.assert_array_equal(Z[:, 5 + i] + Z[:, reference], Z[:, lever] + 0 * Z[:, reference])
    assert design_names(("a", "b", "c", "d", "e"), [(4, 1), (0, 2)]) == (
        "a",
        "b",
        "c",
        "d",
        "e",
        "e_move",
        "a_move",
    )
    assert design(X, []).shape == (50, 5)
    for wrong, levers in ((X.astype(float), [(0, 1)]), (X, [(0, 5)]), (X, [(-1, 0)]), (X[0], [])):
        with pytest.raises(InputError, match="design"):
            design(wrong, levers)


def test_outcomes_by_name() -> None:
    assert TARGETS == ("energy_kwh_per_t", "net_anode_kg_per_t")
    assert set(TARGETS) | set(HELPERS) == set(OUTCOMES)
    assert outcome("current_efficiency").unit == "fraction"
    with pytest.raises(UnknownNameError, match="energy_kwh_per_t"):
        outcome("energy")
