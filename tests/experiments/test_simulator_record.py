"""The virtual potline as a record: what a plant would have written, its credibility, and the committed sample."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.simulator import samples
from experiments.simulator.credibility import CredibilityRow, credibility, outside
from experiments.simulator.potline import Potline
from experiments.simulator.simulate import Simulated, collect, simulate
from features.signals import SIGNALS
from features.tables.store import Tables, read_tables

SAMPLE = Path(__file__).parents[2] / "data_samples"
DAYS_AGAIN = 12


@pytest.fixture(scope="module")
def again() -> Simulated:
    return simulate(samples.PRESET, samples.CELLS, DAYS_AGAIN, samples.SEED)


@pytest.fixture(scope="module")
def sample() -> Tables:
    return read_tables(SAMPLE)


def test_sample_is_small_says_simulated_and_matches_its_hashes(sample: Tables) -> None:
    assert sample.plant.simulated
    assert "SIMULATED" in (SAMPLE / "README.md").read_text("utf-8")
    files = [line.split("  ") for line in (SAMPLE / "SHA256SUMS").read_text("utf-8").splitlines()]
    assert {name for _, name in files} == {p.name for p in SAMPLE.iterdir()} - {"SHA256SUMS"}
    for digest, name in files:
        assert hashlib.sha256((SAMPLE / name).read_bytes()).hexdigest() == digest, name
    assert sum(p.stat().st_size for p in SAMPLE.iterdir()) < samples.LIMIT_BYTES


def test_datasheet_is_the_one_that_the_code_writes(sample: Tables) -> None:
    assert (SAMPLE / "README.md").read_text("utf-8") == samples.datasheet(sample)


def test_the_first_days_of_the_sample_come_out_again(again: Simulated, sample: Tables) -> None:
    end = again.tables.cell_days["date"].max()
    early = sample.cell_days[sample.cell_days["date"] <= end].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.tables.cell_days, early)
    for name, column in (("taps", "time"), ("bath_samples", "sampled_at")):
        mine, theirs = dict(again.tables.present())[name], dict(sample.present())[name]
        kept = theirs[theirs[column] <= mine[column].max()].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, kept)
    removed, whole = again.tables.anode_changes, sample.anode_changes
    assert removed is not None
    assert whole is not None
    weighed = removed[removed["butt_mass_kg"].notna()]
    keys = ["cell_id", "position", "set_at"]
    both = weighed.merge(whole, on=keys, suffixes=("", "_sample"))
    assert len(both) == len(weighed) > 100
    np.testing.assert_array_equal(both["butt_mass_kg"], both["butt_mass_kg_sample"])


def test_every_signal_is_in_its_plausible_range(sample: Tables) -> None:
    for name, frame in sample.present():
        for column in frame.columns.intersection(list(SIGNALS)):
            known = frame[column].dropna()
            assert known.between(SIGNALS[column].low, SIGNALS[column].high).all(), f"{name}.{column}"


def test_readings_are_rounded_as_a_plant_writes_them(sample: Tables) -> None:
    days = sample.cell_days
    for column, unit in (("metal_level_mm", 10.0), ("bath_level_mm", 10.0), ("bath_temperature_c", 1.0)):
        assert (days[column] % unit == 0).all(), column
    for column in ("cell_voltage_v", "set_voltage_v", "applied_set_voltage_v"):
        np.testing.assert_allclose(days[column] * 1000, (days[column] * 1000).round(), atol=1e-6)
    assert (sample.taps["tap_mass_kg"] % 10 == 0).all()


def test_laboratory_is_late_and_regular(sample: Tables) -> None:
    lab = sample.bath_samples
    assert lab is not None
    delay = (lab["reported_at"] - lab["sampled_at"]).dt.total_seconds() / 3600.0
    assert delay.between(12, 36).all()
    pause = lab.groupby("cell_id")["sampled_at"].diff().dropna().dt.total_seconds() / 86400.0
    assert 2.0 <= pause.median() <= 4.0
    assert pause.quantile(0.95) <= 5.0


def test_anodes_live_a_rotation_and_leave_a_butt(sample: Tables) -> None:
    changes = sample.anode_changes
    assert changes is not None
    grown = changes[(changes["new_mass_kg"] > 1200) & changes["butt_mass_kg"].notna()]
    life = (grown["removed_at"] - grown["set_at"]).dt.total_seconds() / 86400.0
    assert 28.0 <= life.median() <= 33.0
    assert ((life > 27.5) & (life < 33.8)).mean() > 0.95
    net = (grown["new_mass_kg"] - grown["butt_mass_kg"]) / life * sample.plant.anodes_per_cell
    assert 1450.0 < net.median() < 1650.0
    in_now = changes[changes["removed_at"].isna()].groupby("cell_id").size()
    assert (in_now == sample.plant.anodes_per_cell).all()
    last = changes["removed_at"].max()
    assert changes.loc[changes["removed_at"] > last - pd.Timedelta(hours=20), "butt_mass_kg"].isna().all()


def test_a_cell_that_stops_has_no_rows_and_comes_back_young(sample: Tables) -> None:
    days = sample.cell_days.sort_values(["cell_id", "date"])
    gap = days.groupby("cell_id")["date"].diff() > pd.Timedelta(days=1)
    assert gap.sum() >= 3
    assert (days.loc[gap, "cell_age_d"] == 0).all()


def test_a_record_may_end_on_the_eve_of_a_restart() -> None:
    line = Potline("line-500", 10, 11, spin_up=False)
    at_rest = [day for day in range(200) if not line.life(day - line.day).running[1]]
    line = line.fork(1, np.array([1]))
    records = [line.step() for _ in range(at_rest[-1] + 1 - line.day)][-60:]
    assert line.running.all()
    anodes = collect(line, records).tables.anode_changes
    assert anodes is not None
    assert anodes["removed_at"].notna().all()


def test_lots_change_every_two_to_four_weeks(sample: Tables) -> None:
    lots = sample.lots
    assert lots is not None
    for _, part in lots.groupby("material"):
        pause = part["used_from"].sort_values().diff().dropna().dt.total_seconds() / 86400.0
        assert pause.between(13.9, 28.1).all()
    assert sample.anode_changes is not None
    anodes = lots[lots["material"] == "anode"]
    assert set(sample.anode_changes["anode_lot"]) <= set(anodes["lot_id"])


def test_meters_agree_with_the_cells(sample: Tables) -> None:
    meters, days = sample.meters, sample.cell_days
    assert meters is not None
    kwh = (days["cell_voltage_v"] * days["line_current_ka"] * 24.0).groupby(days["date"]).sum()
    metered = meters.set_index("date")["dc_energy_kwh"]
    np.testing.assert_allclose(kwh, metered, rtol=0.02)
    assert (meters["ac_energy_kwh"] > meters["dc_energy_kwh"]).all()


def test_operators_keep_the_cadence_of_a_real_line(sample: Tables) -> None:
    rows = {row.quantity: row for row in credibility(sample)}
    cadence = [row for name, row in rows.items() if "days with a new" in name or "|steps|" in name]
    assert len(cadence) == 13
    assert all(row.inside for row in cadence), [row for row in cadence if not row.inside]


def test_sample_is_credible(sample: Tables) -> None:
    rows = credibility(sample)
    off = {row.quantity for row in outside(rows)}
    assert len(rows) == 72
    assert len(off) <= 6, off
    signs = [row for row in rows if row.quantity.startswith("within-cell correlation")]
    assert all(row.same_sign for row in signs)
    basics = {
        row.quantity for row in rows if row.quantity.startswith(("mean ", "SD ", "within-cell SD", "lag-1"))
    }
    assert not off & basics


def test_truth_is_in_no_table(again: Simulated) -> None:
    hidden = {"current_efficiency", "acd_mm", "superheat_c", "ledge_mm", "sludge_kg", "dust_kg", "sickness"}
    assert hidden <= set(again.truth.columns)
    for _, frame in again.tables.present():
        assert not hidden & set(frame.columns)


def test_a_record_without_memory_is_not_credible(sample: Tables) -> None:
    shuffled = sample.cell_days.copy()
    shuffled["bath_temperature_c"] = np.random.default_rng(0).permutation(shuffled["bath_temperature_c"])
    off = {row.quantity for row in outside(credibility(replace(sample, cell_days=shuffled)))}
    assert {"lag-1 bath_temperature_c", "within-cell correlation bath_temperature_c tap_mass_kg"} <= off


@pytest.mark.parametrize(
    ("row", "inside"),
    [
        (CredibilityRow("q", 2.0, 2.9, "factor", 1.5), True),
        (CredibilityRow("q", 2.0, 3.1, "factor", 1.5), False),
        (CredibilityRow("q", 2.0, -2.0, "factor", 1.5), False),
        (CredibilityRow("q", 950.0, 953.0, "location", 3.5), True),
        (CredibilityRow("q", 950.0, 954.0, "location", 3.5), False),
        (CredibilityRow("q", 0.1, -0.04, "score", 0.15), True),
        (CredibilityRow("q", 0.1, 0.26, "score", 0.15), False),
    ],
)
def test_criteria(row: CredibilityRow, inside: bool) -> None:
    assert row.inside is inside
