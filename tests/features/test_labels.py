from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.electrolysis.bath import Bath, liquidus_solheim_1996
from features.errors import ContractError, SettingsError, TargetUnavailableError, UnknownNameError
from features.history import History
from features.labels import LabelTable, label_table
from features.outcomes import OUTCOMES, REPORTED_ONLY
from features.plant import Plant
from tests.fakes import columns as record

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "real_pots" / "pot_daily_report.xlsx"


def steady(days: int = 60, anodes: int = 40) -> tuple[History, float, float]:
    """Return one cell that makes 3,750 kg/d at 3.90 V and 500 kA and burns 400 kg/t; its energy and its carbon."""
    made, volts, carbon = 3750.0, 3.90, 400.0
    plant = Plant("steady", "Asia/Shanghai", 500.0, anodes, 62.72, simulated=True)
    day = np.arange(days)
    keys = record.cell_keys(np.zeros(days, dtype=int))
    cell_days = {
        **keys,
        "date": record.FIRST + day.astype("timedelta64[D]"),
        "line_current_ka": np.full(days, 500.0),
        "cell_voltage_v": np.full(days, volts),
        "metal_level_mm": np.full(days, 210.0),
        "alumina_fed_kg_d": np.full(days, 1.96 * made),
        "bath_temperature_c": np.full(days, 955.0),
    }
    taps = {**keys, "time": record.instant(day, np.full(days, 600)), "tap_mass_kg": np.full(days, made)}
    life, rows = 28.0, []
    for position in range(anodes):
        at = -life * position / anodes
        while at < days:
            rows.append((position, at))
            at += life
    position, set_at = (np.array(column) for column in zip(*rows, strict=True))
    out = set_at + life
    minute = np.zeros(len(rows), dtype=int)
    removed = record.instant(minute, np.round(out * 1440).astype(int))
    burnt = carbon * made / 1000.0 * life / anodes
    changes = {
        **record.cell_keys(minute),
        "position": np.array([f"{int(p)}" for p in position]),
        "set_at": record.instant(minute, np.round(set_at * 1440).astype(int)),
        "removed_at": np.where(out < days, removed, np.datetime64("NaT")),
        "new_mass_kg": np.full(len(rows), 1200.0),
        "butt_mass_kg": np.where(out < days, 1200.0 - burnt, np.nan),
        "anode_lot": np.full(len(rows), "A"),
    }
    history = History.from_columns({"cell_days": cell_days, "taps": taps, "anode_changes": changes}, plant)
    return history, 1000.0 * 24.0 * 500.0 * volts / made, carbon


def test_a_steady_cell_has_its_own_energy_and_carbon() -> None:
    history, energy, carbon = steady()
    table = label_table(history)
    late = slice(25, 40)
    np.testing.assert_allclose(table.outcome("energy_kwh_per_t")[late], energy, rtol=2e-3)
    np.testing.assert_allclose(table.outcome("energy_tapped_kwh_per_t")[:50], energy, rtol=1e-9)
    known = table.outcome("net_anode_kg_per_t")[:25]
    np.testing.assert_allclose(known[20:], carbon, rtol=4e-3)
    np.testing.assert_allclose(table.outcome("mean_voltage_v")[:50], 3.90)
    # A horizon's anodes are weighed when the last of them is out: at least a life after the horizon began.
    wait = (table.known_on["net_anode_kg_per_t"] - table.date)[1:25].astype(int)
    assert wait.min() >= 28
    assert np.isnan(table.outcome("net_anode_kg_per_t")[-28:]).all()


def test_energy_is_the_identity_row_by_row() -> None:
    table = label_table(record.history(4, 60, seed=1))
    volts, efficiency = table.outcome("mean_voltage_v"), table.outcome("current_efficiency")
    energy = table.outcome("energy_kwh_per_t")
    known = np.isfinite(energy)
    assert known.sum() > 50
    np.testing.assert_allclose(energy[known], (2979.98 * volts / efficiency)[known], rtol=1e-5)


@given(
    seed=st.integers(0, 10**6), cut=st.integers(20, 50), horizon=st.integers(1, 9), reach=st.integers(0, 16)
)
@settings(max_examples=15, deadline=None)
def test_a_label_is_the_same_once_known(seed: int, cut: int, horizon: int, reach: int) -> None:
    """What was known at the end of the cut gives the very labels that the whole record gives."""
    history = record.history(3, 60, seed)
    whole = label_table(history, horizon, reach)
    then = label_table(history.until(history.dates[cut]), horizon, reach)
    seen = then.aligned(whole.cell, whole.date)
    for name in whole.values:
        early = whole.known_on[name] <= history.dates[cut]
        if name in seen.values:
            np.testing.assert_allclose(
                seen.values[name][early], whole.values[name][early], rtol=1e-9, err_msg=name
            )
        else:
            assert not early.any()
        known = np.isfinite(whole.values[name])
        assert (whole.known_on[name][known] >= whole.date[known] + np.timedelta64(horizon - 1, "D")).all()
        assert np.isnat(whole.known_on[name][~known]).all()


def test_energy_is_known_a_reach_after_its_horizon_or_at_the_end() -> None:
    history = record.history(2, 60, seed=2, missing=0.0)
    table = label_table(history, horizon=7, reach=14)
    wait = (table.known_on["energy_kwh_per_t"] - table.date).astype(int)
    known = np.isfinite(table.outcome("energy_kwh_per_t"))
    capped = np.minimum(20, (history.dates[-1] - table.date).astype(int))
    np.testing.assert_array_equal(wait[known], capped[known])


def test_labels_are_plausible_or_missing() -> None:
    table = label_table(record.history(5, 80, seed=3, anodes=4))
    for name, values in table.values.items():
        if name != REPORTED_ONLY:
            known = values[np.isfinite(values)]
            assert (known >= OUTCOMES[name].low).all(), name
            assert (known <= OUTCOMES[name].high).all(), name
    # Four anodes burn far less than 334 kg/t: the record is wrong, not the cell a wonder.
    assert "plausible" in table.unavailable["net_anode_kg_per_t"]


def test_superheat_is_the_mean_temperature_less_the_mean_liquidus() -> None:
    history = record.history(1, 8, seed=4, missing=0.0)
    samples = history.samples.take(np.array([0, 1]))
    days = history.dates[np.array([1, 4])]
    bath = {name: np.array([value, value]) for name, value in (("caf2_wt_pct", 5.0), ("al2o3_wt_pct", 2.5))}
    samples = replace(
        samples,
        sampled_day=days,
        reported_day=days + np.timedelta64(1, "D"),
        values={**bath, "excess_alf3_wt_pct": np.array([10.0, 11.0])},
    )
    table = label_table(replace(history, samples=samples))
    liquidus = liquidus_solheim_1996(Bath(np.array([10.0, 11.0]), al2o3=2.5, caf2=5.0, mgf2=0.3)).mean()
    expected = history.signals["bath_temperature_c"][:7, 0].mean() - liquidus
    assert table.outcome("mean_superheat_c")[0] == pytest.approx(expected, abs=1e-3)
    assert table.known_on["mean_superheat_c"][0] == history.dates[6]


def test_a_late_report_delays_the_superheat() -> None:
    history = record.history(1, 12, seed=4, missing=0.0).until(record.FIRST + np.timedelta64(11, "D"))
    one = history.samples.take(np.array([0]))
    one = replace(one, sampled_day=history.dates[[2]], reported_day=history.dates[[9]])
    table = label_table(replace(history, samples=one))
    assert table.known_on["mean_superheat_c"][0] == history.dates[9]
    late = replace(one, reported_day=history.dates[[11]] + np.timedelta64(3, "D"))
    table = label_table(replace(history, samples=late))
    assert "mean_superheat_c" in table.unavailable


def test_what_the_record_cannot_carry_says_why() -> None:
    tables = record.tables(2, 30, seed=5)
    poor = {name: tables[name] for name in ("cell_days", "taps")}
    table = label_table(History.from_columns(poor, record.plant()))
    assert "anode_changes" in table.unavailable["net_anode_kg_per_t"]
    assert "bath_samples" in table.unavailable["mean_superheat_c"]
    with pytest.raises(TargetUnavailableError, match="anode_changes"):
        table.outcome("net_anode_kg_per_t")
    unweighed = dict(tables["anode_changes"])
    unweighed["butt_mass_kg"] = np.full(len(unweighed["butt_mass_kg"]), np.nan)
    table = label_table(History.from_columns({**tables, "anode_changes": unweighed}, record.plant()))
    assert "weigh the butts" in table.unavailable["net_anode_kg_per_t"]
    few = label_table(record.history(2, 40, seed=5, anodes=48))
    assert "of 48 anodes" in few.unavailable["net_anode_kg_per_t"]
    blind = {**poor, "cell_days": {k: v for k, v in tables["cell_days"].items() if k != "metal_level_mm"}}
    table = label_table(History.from_columns(blind, record.plant()))
    assert "tapped mass alone is not production" in table.unavailable["energy_kwh_per_t"]
    assert "mean_voltage_v" in table.values
    short = label_table(record.history(2, 5, seed=5))
    assert set(short.unavailable) >= {"energy_kwh_per_t", "mean_noise_mv"}
    with pytest.raises(UnknownNameError, match="mean_voltage_v"):
        table.outcome("voltage")
    with pytest.raises(SettingsError, match="horizon"):
        label_table(record.history(2, 5, seed=5), horizon=0)


def test_tapping_more_is_no_saving() -> None:
    """From day 30 on, one cell of two alike is tapped 150 kg a day harder."""
    history, _, _ = steady(70)
    tap, level = history.signals["tap_mass_kg"].copy(), history.signals["metal_level_mm"].copy()
    tap[30:] += 150.0
    level[30:, 0] -= np.arange(1, 41) * 150.0 / 143.0
    greedy = replace(history, signals={**history.signals, "tap_mass_kg": tap, "metal_level_mm": level})
    plain, harder = (label_table(each) for each in (history, greedy))
    rows = slice(31, 45)
    fooled = harder.outcome(REPORTED_ONLY)[rows] / plain.outcome(REPORTED_ONLY)[rows] - 1.0
    np.testing.assert_allclose(fooled, -150.0 / 3900.0, rtol=1e-6)
    honest = harder.outcome("energy_kwh_per_t")[rows] / plain.outcome("energy_kwh_per_t")[rows] - 1.0
    assert np.abs(honest).max() < 1e-3


def test_aligned_rows_and_their_gaps() -> None:
    table = label_table(record.history(3, 30, seed=6))
    date = table.date[[40, 5, 5]] + np.array([0, 0, 400]).astype("timedelta64[D]")
    found = table.aligned(table.cell[[40, 5, 5]], date)
    np.testing.assert_array_equal(found.outcome("mean_noise_mv")[:2], table.outcome("mean_noise_mv")[[40, 5]])
    assert np.isnan(found.outcome("mean_noise_mv")[2])
    assert np.isnat(found.known_on["mean_noise_mv"][2])
    assert len(table.take([1, 2])) == 2
    with pytest.raises(ContractError, match="label table"):
        LabelTable(np.zeros(2, dtype=int), table.date[:2], {"x": np.zeros(3)}, {"x": table.date[:3]}, {}, 7)


@pytest.mark.skipif(not REAL.is_file(), reason="the real line's file is not part of the repository")
def test_a_real_line_keeps_less_noise_than_tapped_mass() -> None:
    history = real_line()
    table = label_table(history)
    mature = history.signals["cell_age_d"][0] >= 150
    shape = (len(history.dates), len(history.cell_ids))

    def within(name: str) -> float:
        return float(np.median(np.nanstd(table.outcome(name).reshape(shape)[:, mature], axis=0)))

    assert within(REPORTED_ONLY) == pytest.approx(137, abs=5)
    assert within("energy_kwh_per_t") < 110
    assert np.nanmean(table.outcome("current_efficiency")) == pytest.approx(0.94, abs=0.01)


def real_line() -> History:
    import pandas as pd

    names = {
        "日期": "date", "槽号": "cell_id", "槽龄": "cell_age_d", "运行时间(分)": "run_minutes",
        "加料量(kg)": "alumina_fed_kg_d", "工作平均": "cell_voltage_v", "噪声(mv)": "noise_mv",
        "电解温度": "bath_temperature_c", "铝水平": "metal_level_mm", "实际出铝量": "tap_mass_kg",
    }  # fmt: skip
    frame = pd.read_excel(REAL, engine="openpyxl").rename(columns=names)
    frame["date"] = pd.to_datetime(frame["date"])
    keys = {"line_id": np.full(len(frame), "L"), "cell_id": frame["cell_id"].astype(str).to_numpy(dtype=str)}
    signals = [name for name in names.values() if name not in ("date", "cell_id", "tap_mass_kg")]
    cell_days = {**keys, "date": frame["date"].to_numpy(), **{n: frame[n].to_numpy(float) for n in signals}}
    time = (frame["date"] + pd.Timedelta(hours=2)).to_numpy()
    taps = {**keys, "time": time, "tap_mass_kg": frame["tap_mass_kg"].to_numpy(float)}
    plant = Plant("real", "Asia/Shanghai", 500.0, 48, 62.72, simulated=False)
    return History.from_columns({"cell_days": cell_days, "taps": taps}, plant)
