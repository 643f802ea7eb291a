import numpy as np
import pandas as pd
import pytest

from features.errors import ContractError, InputError, SettingsError
from features.layout import TABLES
from features.plant import Plant
from features.policy.cost import Prices
from features.signals import Signal
from features.tables.history import column_arrays
from features.tables.history import history as history_of
from features.tables.store import Tables, is_canonical, plant_toml, read_plant, read_tables, write_tables

SENSOR = Signal("side_wall_c", "degC", 'shell "hot spot"', "侧壁温度", 50, 500, "measured", "plant")
PLANT = Plant(
    name="line one",
    timezone="Asia/Shanghai",
    line_current_ka=500.0,
    anodes_per_cell=48,
    metal_pad_area_m2=62.0,
    simulated=True,
    prices=Prices(electricity_per_kwh=0.51),
)


def cell_days(cells: int = 2, days: int = 3) -> pd.DataFrame:
    dates = pd.date_range("2025-03-01", periods=days)
    keys = pd.MultiIndex.from_product([[f"C{i:02d}" for i in range(cells)], dates], names=["cell_id", "date"])
    frame = keys.to_frame(index=False)
    frame.insert(0, "line_id", "L1")
    return frame.assign(
        cell_voltage_v=3.9,
        set_voltage_v=3.88,
        bath_temperature_c=950.0,
        metal_level_mm=200,
        side_wall_c=210.0,
    )


def taps(cells: int = 2, days: int = 3) -> pd.DataFrame:
    frame = cell_days(cells, days)[["line_id", "cell_id", "date"]].rename(columns={"date": "time"})
    frame["time"] = (
        (frame["time"] + pd.Timedelta(hours=12)).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    )
    return frame.assign(tap_mass_kg=3800.0)


def anode_changes() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "line_id": "L1",
            "cell_id": "C00",
            "position": [1, 2],
            "set_at": pd.to_datetime(["2025-03-01T04:00Z", "2025-03-02T04:00Z"]),
            "removed_at": pd.to_datetime(["2025-03-03T04:00Z", None], utc=True),
            "new_mass_kg": 1250.0,
            "butt_mass_kg": [260.0, np.nan],
            "anode_lot": ["A1", None],
        }
    )


def tables() -> Tables:
    return Tables(
        plant=PLANT, cell_days=cell_days(), taps=taps(), anode_changes=anode_changes(), sensors=(SENSOR,)
    )


def test_what_is_written_is_what_is_read(tmp_path):
    wrote = tables()
    read = read_tables(write_tables(wrote, tmp_path / "data"))
    assert read.plant == wrote.plant
    assert read.sensors == wrote.sensors
    assert read.bath_samples is None
    for name, frame in wrote.present():
        pd.testing.assert_frame_equal(getattr(read, name), frame, check_exact=True)
    assert is_canonical(tmp_path / "data")


def test_every_dtype_is_canonical_whatever_was_given():
    frame = tables().cell_days
    assert str(frame["cell_id"].dtype) == "str"
    assert str(frame["date"].dtype) == "datetime64[us]"
    assert str(frame["metal_level_mm"].dtype) == "float64"
    changes = tables().anode_changes
    assert str(changes["set_at"].dtype) == "datetime64[us, UTC]"
    assert changes["position"].tolist() == ["1", "2"]


def test_rows_come_sorted_by_key_and_the_given_frame_is_untouched():
    shuffled = cell_days().sample(frac=1.0, random_state=3)
    before = shuffled.copy()
    made = Tables(plant=PLANT, cell_days=shuffled, taps=taps(), sensors=(SENSOR,))
    pd.testing.assert_frame_equal(made.cell_days, tables().cell_days)
    pd.testing.assert_frame_equal(shuffled, before)


def test_a_rewrite_removes_what_is_no_longer_collected_and_keeps_foreign_files(tmp_path):
    write_tables(tables(), tmp_path)
    (tmp_path / "DATASHEET.md").write_text("ours")
    write_tables(Tables(plant=PLANT, cell_days=cell_days(), taps=taps(), sensors=(SENSOR,)), tmp_path)
    assert not (tmp_path / "anode_changes.parquet").exists()
    assert (tmp_path / "DATASHEET.md").read_text() == "ours"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "DATASHEET.md",
        "cell_days.parquet",
        "plant.toml",
        "taps.parquet",
    ]


def test_a_failed_write_leaves_the_old_directory(tmp_path, monkeypatch):
    write_tables(tables(), tmp_path / "data")
    before = {p.name: p.read_bytes() for p in (tmp_path / "data").iterdir()}

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_tables(
            Tables(plant=PLANT, cell_days=cell_days(), taps=taps(), sensors=(SENSOR,)), tmp_path / "data"
        )
    assert {p.name: p.read_bytes() for p in (tmp_path / "data").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="cell_id"), "cell_id"),
        (lambda f: f.iloc[:0], "empty"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "repeat a key"),
        (lambda f: f.assign(mystery=1.0), "mystery"),
        (lambda f: f.assign(cell_voltage_v="high"), "cell_voltage_v"),
        (lambda f: f.assign(date=pd.NaT), "empty key"),
    ],
)
def test_a_broken_table_is_refused_by_name(change, message):
    with pytest.raises(ContractError, match=message):
        Tables(plant=PLANT, cell_days=change(cell_days()), taps=taps(), sensors=(SENSOR,))


def test_a_time_without_its_zone_is_refused():
    naive = taps().assign(time=lambda f: f["time"].dt.tz_localize(None))
    with pytest.raises(ContractError, match="no time zone"):
        Tables(plant=PLANT, cell_days=cell_days(), taps=naive, sensors=(SENSOR,))


def test_a_directory_without_its_files_is_no_canonical_one(tmp_path):
    assert not is_canonical(tmp_path)
    with pytest.raises(InputError, match=r"plant\.toml, cell_days\.parquet, taps\.parquet"):
        read_tables(tmp_path)


def test_a_parquet_file_that_is_none_is_refused_by_name(tmp_path):
    write_tables(tables(), tmp_path)
    (tmp_path / "taps.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"taps\.parquet"):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("line_current_ka = 500.0", "line_current_ka = 5000.0", "5000"),
        ("metal_pad_area_m2", "metal_pad_area", "metal_pad_area"),
        ("Asia/Shanghai", "Asia/Nowhere", "Nowhere"),
        ("[prices]", "[prices", "TOML"),
        ('name = "side_wall_c"', 'name = "noise_mv"', "dictionary"),
        ("high = 500", "high = 5", "refused"),
    ],
)
def test_a_wrong_plant_file_is_refused_by_name(tmp_path, old, new, message):
    text = plant_toml(PLANT, (SENSOR,))
    assert old in text
    (tmp_path / "plant.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises((InputError, SettingsError), match=message):
        read_plant(tmp_path / "plant.toml")


def test_arrays_hold_plain_numpy_in_utc():
    arrays = column_arrays(tables())
    assert set(arrays) == {"cell_days", "taps", "anode_changes"}
    assert arrays["taps"]["time"][0] == np.datetime64("2025-03-01T04:00:00")
    assert arrays["cell_days"]["date"].dtype == np.dtype("datetime64[D]")
    assert arrays["cell_days"]["cell_id"].dtype.kind == "U"
    assert arrays["anode_changes"]["anode_lot"].tolist() == ["A1", ""]
    assert np.isnat(arrays["anode_changes"]["removed_at"][1])
    for name, columns in arrays.items():
        for column, values in columns.items():
            assert (
                values.dtype.kind
                == {"text": "U", "day": "M", "time": "M", "signal": "f"}[TABLES[name].kind(column)]
            )


def test_the_history_holds_the_days_and_the_sensors():
    made = history_of(tables())
    assert made.signals["side_wall_c"].shape == (3, 2)
    assert made.sensors == (SENSOR,)
    assert np.all(made.signals["tap_mass_kg"] == 3800.0)
