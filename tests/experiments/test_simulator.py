"""The virtual potline as a machine: determinism, common noise, copies, setpoints from outside."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.simulator.operators import LEVERS, hard_limits
from experiments.simulator.potline import Potline
from experiments.simulator.preset import load_preset, preset_from, preset_names
from experiments.simulator.simulate import collect, simulate
from features.errors import InputError, SettingsError, UnknownNameError

NAME = "line-500"
_FULL = load_preset(NAME)
# These tests are about the machine, not about the line's balance: two days of spin-up are enough.
PRESET = replace(_FULL, line=replace(_FULL.line, spin_up_days=2))


@pytest.fixture(scope="module")
def settled() -> Potline:
    """A line after its spin-up; tests copy it."""
    return Potline(PRESET, cells=6, seed=11)


def _same(first: pd.DataFrame, second: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))


def test_same_seed_same_record_and_another_seed_another() -> None:
    one, two, other = (simulate(PRESET, 2, 5, seed) for seed in (3, 3, 4))
    for (name, frame), (_, again) in zip(one.tables.present(), two.tables.present(), strict=True):
        pd.testing.assert_frame_equal(frame, again, obj=name)
    _same(one.truth, two.truth)
    assert not np.allclose(one.truth["current_efficiency"], other.truth["current_efficiency"])


def test_longer_run_begins_with_the_shorter_and_more_cells_with_the_fewer() -> None:
    small, large = simulate(PRESET, 2, 6, 5), simulate(PRESET, 4, 9, 5)
    last = small.truth["date"].max()
    kept = large.truth["cell_id"].isin(small.truth["cell_id"]) & (large.truth["date"] <= last)
    _same(small.truth, large.truth[kept])
    days = large.tables.cell_days
    kept = days["cell_id"].isin(small.truth["cell_id"]) & (days["date"] <= last)
    _same(small.tables.cell_days, days[kept])


def test_copy_is_independent_and_lives_the_same_future(settled: Potline) -> None:
    plant, twin = settled.copy(), settled.copy()
    before = settled.setpoints
    first = [plant.step() for _ in range(4)]
    low = {"set_voltage_v": np.full(6, 3.80)}
    for _ in range(4):
        twin.step(low)
    third = settled.copy()
    again = [third.step() for _ in range(4)]
    for one, other in zip(first, again, strict=True):
        for name, values in one.truth.items():
            np.testing.assert_array_equal(values, other.truth[name], err_msg=name)
    for name, values in settled.setpoints.items():
        np.testing.assert_array_equal(values, before[name])


def test_arms_share_their_noise(settled: Potline) -> None:
    hold, low = settled.copy(), settled.copy()
    fixed = settled.setpoints
    lower = {**fixed, "set_voltage_v": fixed["set_voltage_v"] - 0.05}
    for _ in range(6):
        one, other = hold.step(fixed), low.step(lower)
        np.testing.assert_array_equal(one.tap_time, other.tap_time)
        np.testing.assert_array_equal(one.sampled, other.sampled)
        np.testing.assert_array_equal(one.changes.position, other.changes.position)
        np.testing.assert_array_equal(one.truth["sickness"], other.truth["sickness"])
        np.testing.assert_array_equal(one.cell_days["line_current_ka"], other.cell_days["line_current_ka"])
        assert one.meters["tariff_per_kwh"] == other.meters["tariff_per_kwh"]
    assert (other.truth["mean_voltage_v"] < one.truth["mean_voltage_v"] - 0.02).all()
    assert (other.truth["bath_temperature_c"] < one.truth["bath_temperature_c"]).all()


def test_fork_holds_every_cell_several_times(settled: Potline) -> None:
    fork, plain = settled.fork(3, np.array([1, 4])), settled.copy()
    assert fork.cell_ids == ("L1-002",) * 3 + ("L1-005",) * 3
    for _ in range(3):
        copies, original = fork.step(), plain.step()
    for name in ("current_efficiency", "ledge_mm", "net_anode_kg_per_t"):
        np.testing.assert_array_equal(copies.truth[name], np.repeat(original.truth[name][[1, 4]], 3))


def test_none_means_what_the_operators_choose(settled: Potline) -> None:
    plant, told = settled.copy(), settled.copy()
    for _ in range(5):
        choice = told.operators_choice()
        one, other = plant.step(), told.step(choice)
        for name, values in one.truth.items():
            np.testing.assert_array_equal(values, other.truth[name], err_msg=name)


def test_named_levers_are_set_others_hold_and_nan_is_the_operators(settled: Potline) -> None:
    plant = settled.copy()
    before, choice = plant.setpoints, plant.operators_choice()
    volts = np.array([3.9, np.nan, 3.85, 3.86, 3.87, 9.0])
    plant.step({"set_voltage_v": volts})
    after, running = plant.setpoints, plant.life(-1).running
    assert running.all()
    np.testing.assert_array_equal(after["set_voltage_v"][[0, 2, 3, 4]], volts[[0, 2, 3, 4]])
    assert after["set_voltage_v"][1] == choice["set_voltage_v"][1]
    assert after["set_voltage_v"][5] == hard_limits(settled.preset)["set_voltage_v"][1]
    for name in LEVERS[1:]:
        np.testing.assert_array_equal(after[name], before[name])


def test_setpoints_that_do_not_fit_are_refused(settled: Potline) -> None:
    with pytest.raises(UnknownNameError, match="set_voltage_v"):
        settled.copy().step({"voltage": np.zeros(6)})
    with pytest.raises(InputError, match="6 values"):
        settled.copy().step({"set_voltage_v": np.zeros(5)})


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="at least one cell"):
        Potline(PRESET, 0, 1)
    with pytest.raises(InputError, match="at least one day"):
        simulate(PRESET, 1, 0, 1)
    with pytest.raises(UnknownNameError, match=NAME):
        Potline("line-1", 1, 1)
    with pytest.raises(InputError, match="no day"):
        collect(Potline(PRESET, 1, 1, spin_up=False), [])


def test_every_preset_loads_and_a_wrong_key_is_named() -> None:
    import tomllib
    from importlib import resources

    for name in preset_names():
        assert load_preset(name).line.anodes > 0
    text = (resources.files("experiments.simulator") / "presets" / f"{NAME}.toml").read_text("utf-8")
    document = tomllib.loads(text)
    document["heat"]["amient_c"] = document["heat"].pop("ambient_c")
    with pytest.raises(SettingsError, match=r"heat.*ambient_c.*amient_c"):
        preset_from(document)


def test_progress_counts_the_days() -> None:
    seen: list[tuple[int, int]] = []
    simulate(PRESET, 1, 3, 1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
