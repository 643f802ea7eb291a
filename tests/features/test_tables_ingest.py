import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.electrolysis.bath import Bath, cryolite_ratio
from features.errors import ContractError, InputError, MappingError, UnitError
from features.tables.findings import QUARANTINE_COLUMNS
from features.tables.history import history as history_of
from features.tables.ingest import QUALITY_FILE, QUARANTINE_FILE, examine, ingest, load
from features.tables.mapping import parse_mapping, read_mapping, shipped_mappings
from features.tables.store import Tables, read_tables, write_tables
from tests.fakes.line_record import HEADERS, as_csv, report, sound_record, tables

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "real_pots" / "pot_daily_report.xlsx"
SHIPPED = (resources.files("features.tables") / "mappings" / "daily_report_zh.toml").read_text(
    encoding="utf-8"
)


@pytest.fixture(scope="module")
def record():
    return sound_record(3, cells=5, days=60)


def a_report(record, folder, change=lambda frame: frame) -> Path:
    file = folder / "report.csv"
    file.write_text(as_csv(change(report(record))), encoding="utf-8")
    return file


def same(one: Tables, other: Tables) -> None:
    assert one.plant == other.plant
    assert [name for name, _ in one.present()] == [name for name, _ in other.present()]
    for name, frame in one.present():
        pd.testing.assert_frame_equal(frame, getattr(other, name), check_exact=True)


# ingest


def test_what_is_ingested_is_what_is_loaded(record, tmp_path):
    file = a_report(record, tmp_path)
    result = ingest(None, file, tmp_path / "out", AS_OF)
    same(read_tables(tmp_path / "out"), result.tables)
    same(load(tmp_path / "out", as_of=AS_OF), result.tables)
    same(load(file, as_of=AS_OF), result.tables)
    assert result.quality.mapping == "daily_report_zh"
    written = json.loads((tmp_path / "out" / QUALITY_FILE).read_text(encoding="utf-8"))
    assert written == result.quality.as_json()
    aside = pd.read_csv(tmp_path / "out" / QUARANTINE_FILE)
    assert tuple(aside.columns) == QUARANTINE_COLUMNS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "report.csv"]


def test_values_arrive_in_canonical_units_and_zones(record, tmp_path):
    made = load(a_report(record, tmp_path, lambda f: f.assign(**{"阳极行程(日mm)": 192})), as_of=AS_OF)
    assert made.cell_days["beam_travel_mm"].unique().tolist() == [19.2]
    assert made.taps["time"].iloc[0] == pd.Timestamp("2025-03-01 12:00", tz="Asia/Shanghai")
    assert made.cell_days["noise_mv"].tolist() == record.signals["noise_mv"].T.ravel().tolist()
    assert made.plant.line_current_ka == 500.0


def test_a_failed_ingest_leaves_what_was_there(record, tmp_path, monkeypatch):
    ingest(None, a_report(record, tmp_path), tmp_path / "out", AS_OF)
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    broken = a_report(record, tmp_path, lambda f: f.assign(**{HEADERS["cell_voltage_v"]: "broken"}))
    with pytest.raises(ContractError, match="not a number"):
        ingest(None, broken, tmp_path / "out", AS_OF)
    monkeypatch.setattr(
        pd.DataFrame, "to_csv", lambda *_args, **_kwargs: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        ingest(None, tmp_path / "out", tmp_path / "out", AS_OF)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "report.csv"]


def test_a_re_ingested_directory_is_itself(record, tmp_path):
    bad = a_report(
        record,
        tmp_path,
        lambda f: f.astype(object).assign(**{HEADERS["tap_mass_kg"]: ["", *f[HEADERS["tap_mass_kg"]][1:]]}),
    )
    first = ingest(None, bad, tmp_path / "one", AS_OF)
    second = ingest(None, tmp_path / "one", tmp_path / "two", AS_OF)
    assert len(first.quarantine) == 1
    assert second.quarantine.empty
    same(first.tables, second.tables)
    for file in (tmp_path / "one").glob("*.parquet"):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


# bad input: a named error or quarantined rows


@pytest.mark.parametrize(
    "name", ["cell_voltage_v", "set_voltage_v", "bath_temperature_c", "tap_mass_kg", "date", "cell_id"]
)
def test_a_missing_column_is_named(record, tmp_path, name):
    with pytest.raises(MappingError) as refusal:
        load(a_report(record, tmp_path, lambda f: f.drop(columns=HEADERS[name])), as_of=AS_OF)
    assert HEADERS[name] in str(refusal.value)
    folder = write_tables(tables(record), tmp_path / "canonical")
    table = "taps" if name == "tap_mass_kg" else "cell_days"
    pd.read_parquet(folder / f"{table}.parquet").drop(columns=name).to_parquet(folder / f"{table}.parquet")
    with pytest.raises(ContractError, match=name):
        load(folder, as_of=AS_OF)


@pytest.mark.parametrize("table", ["cell_days", "taps"])
def test_an_empty_or_absent_table_is_named(record, tmp_path, table):
    folder = write_tables(tables(record), tmp_path / "canonical")
    frame = pd.read_parquet(folder / f"{table}.parquet")
    frame.iloc[:0].to_parquet(folder / f"{table}.parquet")
    with pytest.raises(ContractError, match=f"{table} is empty"):
        load(folder, as_of=AS_OF)
    (folder / f"{table}.parquet").unlink()
    with pytest.raises(InputError, match=table):
        load(folder, as_of=AS_OF)


def test_bad_rows_of_a_canonical_directory_are_set_aside_one_by_one(record, tmp_path):
    folder = write_tables(tables(record), tmp_path / "canonical")
    frame = pd.read_parquet(folder / "cell_days.parquet")
    frame = pd.concat([frame, frame.iloc[[0]], frame.iloc[[1]].assign(noise_mv=44.0)], ignore_index=True)
    frame.loc[5, "cell_voltage_v"] = np.nan
    frame.loc[6, "bath_temperature_c"] = 2000.0
    frame.loc[7, [name for name in frame.columns if name not in ("line_id", "cell_id", "date")]] = np.nan
    frame["alf3_fed_kg_d"] = frame["alf3_fed_kg_d"].astype(str).where(frame.index != 8, "much")
    frame.to_parquet(folder / "cell_days.parquet", index=False)
    result = examine(folder, as_of=AS_OF)
    count = len(frame)
    assert [(f.row, f.column, f.rule) for f in result.quarantine.itertuples()] == [
        (2, "date", "conflict"),
        (6, "cell_voltage_v", "missing"),
        (7, "bath_temperature_c", "range"),
        (8, "", "empty row"),
        (9, "alf3_fed_kg_d", "text in number"),
        (count - 1, "date", "duplicate"),
        (count, "date", "conflict"),
    ]
    assert len(result.tables.cell_days) == count - 7
    assert result.quarantine.query("rule == 'range'")["value"].tolist() == ["2000"]
    with pytest.raises(ContractError, match="cell_days"):
        read_tables(folder)


def test_a_tap_set_aside_is_unknown_and_not_zero(record, tmp_path):
    def spoil(frame):
        frame = frame.astype(object)
        frame.loc[4, HEADERS["tap_mass_kg"]] = "scale broken"
        frame.loc[9, HEADERS["fe_wt_pct"]] = 77.0
        return frame

    result = examine(a_report(record, tmp_path, spoil), as_of=AS_OF)
    assert len(result.quarantine) == 2
    folded = history_of(result.tables).signals["tap_mass_kg"]
    assert np.isnan(folded[[4, 9], 0]).all()
    assert np.isfinite(folded).sum() == folded.size - 2


def test_a_day_without_a_tap_is_a_tap_of_zero(record, tmp_path):
    made = load(
        a_report(
            record,
            tmp_path,
            lambda f: f.assign(
                **{HEADERS["tap_mass_kg"]: f[HEADERS["tap_mass_kg"]].where(f.index % 3 > 0, 0)}
            ),
        ),
        as_of=AS_OF,
    )
    assert (made.taps["tap_mass_kg"] == 0).sum() == len(made.taps) // 3


def test_a_table_of_which_no_row_is_good_is_refused_with_the_commonest_reason(record, tmp_path):
    later = a_report(record, tmp_path, lambda f: f.assign(**{HEADERS["date"]: "2031-01-01"}))
    with pytest.raises(ContractError, match=r"none of 300 rows.*date: lies in the future"):
        load(later, as_of=AS_OF)


@pytest.mark.parametrize("made", ["gone", "nothing", "foreign"])
def test_a_path_that_holds_no_record_is_refused_by_name(tmp_path, made):
    if made == "nothing":
        (tmp_path / made).mkdir()
    if made == "foreign":
        (tmp_path / made).mkdir()
        (tmp_path / made / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=made if made != "foreign" else "daily_report_zh"):
        load(tmp_path / made)


# mappings

TWO_FILES = """
protocol = 1
name = "two files"
[plant]
name = "line B"
timezone = "Europe/Berlin"
line_current_ka = 500.0
anodes_per_cell = 48
metal_pad_area_m2 = 62.0
simulated = false
[[sensors]]
name = "shell_temperature_c"
unit = "degC"
meaning = "shell temperature"
low = 50
high = 600
[[sources]]
files = "voltage*.csv"
[[sources.tables]]
table = "cell_days"
constants = { line_id = "B" }
[sources.tables.columns]
date = { column = "day", formats = ["%d.%m.%Y"] }
cell_id = { column = "pot" }
cell_voltage_v = { column = ["U", "U mean"], unit = "mV" }
set_voltage_v = { column = "U set", unit = "mV" }
[[sources]]
files = "bath*.csv"
[[sources.tables]]
table = "cell_days"
constants = { line_id = "B" }
[sources.tables.columns]
date = { column = "day", formats = ["%d.%m.%Y"] }
cell_id = { column = "pot" }
bath_temperature_c = { column = "T", unit = "degF" }
metal_level_mm = { column = "metal", unit = "cm" }
shell_temperature_c = { column = "shell", unit = "degC", optional = true }
[[sources.tables]]
table = "bath_samples"
constants = { line_id = "B" }
[sources.tables.columns]
sampled_at = { column = "day", formats = ["%d.%m.%Y"], time_of_day = "08:00" }
reported_at = { column = "day", formats = ["%d.%m.%Y"], time_of_day = "08:00", shift_hours = 24.0 }
cell_id = { column = "pot" }
excess_alf3_wt_pct = { column = "CR", unit = "molar ratio", transform = "excess_alf3_from_ratio", others_wt_pct = 9.5 }
[[sources]]
files = "taps.csv"
[[sources.tables]]
table = "taps"
constants = { line_id = "B" }
skip_without = ["tap_mass_kg"]
[sources.tables.columns]
time = { column = "time" }
cell_id = { column = "pot" }
tap_mass_kg = { column = "mass", unit = "t", scale = 1.0, offset = -0.2 }
"""


def two_files(folder: Path) -> Path:
    days = pd.date_range("2025-05-01", periods=20)
    keys = [(str(pot), day.strftime("%d.%m.%Y")) for pot in (1, 2) for day in days]
    volts = "".join(f"{pot};{day};{3900 + i};3880\n" for i, (pot, day) in enumerate(keys[:30]))
    more = "".join(f"{pot};{day};{3930 + i};3880\n" for i, (pot, day) in enumerate(keys[30:]))
    (folder / "voltage1.csv").write_text("pot;day;U;U set\n" + volts)
    (folder / "voltage2.csv").write_text("pot;day;U mean;U set\n" + more)
    bath = "".join(
        f"{pot};{day};{1742 + i % 3};{21 + i % 2};2,2;{200 + i}\n" for i, (pot, day) in enumerate(keys[:-1])
    )
    (folder / "bath.csv").write_text("pot;day;T;metal;CR;shell\n" + bath)
    taps = "".join(
        f"{pot},{d.strftime('%Y-%m-%d')} 10:15,{'' if d.day == 3 else 4.0}\n" for pot in (1, 2) for d in days
    )
    (folder / "taps.csv").write_text("pot,time,mass\n" + taps)
    return folder


def test_a_folder_of_several_files_joins_into_one_record(tmp_path):
    result = examine(two_files(tmp_path), parse_mapping(TWO_FILES, "two.toml"), AS_OF)
    days = result.tables.cell_days
    assert len(days) == 40
    assert days["cell_voltage_v"].iloc[:2].tolist() == [3.9, 3.901]
    assert days["bath_temperature_c"].iloc[0] == pytest.approx(950.0)
    assert days["metal_level_mm"].iloc[0] == 210.0
    assert np.isnan(days["bath_temperature_c"].iloc[39])
    assert days["shell_temperature_c"].iloc[3] == 203.0
    assert history_of(result.tables).sensors[0].name == "shell_temperature_c"
    assert len(result.tables.taps) == 38
    assert result.tables.taps["tap_mass_kg"].unique().tolist() == [3800.0]
    assert result.tables.taps["time"].iloc[0] == pd.Timestamp("2025-05-01T08:15Z")
    assert result.quality.of("no_event")
    assert result.quarantine.empty


def test_a_ratio_becomes_excess_alf3(tmp_path):
    samples = examine(two_files(tmp_path), parse_mapping(TWO_FILES, "two.toml"), AS_OF).tables.bath_samples
    excess = samples["excess_alf3_wt_pct"].iloc[0]
    assert float(cryolite_ratio(Bath(excess, al2o3=2.5, caf2=5.0, lif=1.5, mgf2=0.5))) == pytest.approx(2.2)
    assert (samples["reported_at"] - samples["sampled_at"]).unique().tolist() == [pd.Timedelta(hours=24)]


def test_a_column_with_two_names_in_one_file_is_refused(tmp_path):
    two_files(tmp_path)
    (tmp_path / "voltage1.csv").write_text("pot;day;U;U mean;U set\n1;01.05.2025;3900;3900;3880\n")
    with pytest.raises(MappingError, match="alternatives"):
        examine(tmp_path, parse_mapping(TWO_FILES, "two.toml"), AS_OF)


def test_a_folder_without_a_required_file_is_refused(tmp_path):
    (two_files(tmp_path) / "taps.csv").unlink()
    with pytest.raises(MappingError, match=r"taps\.csv"):
        examine(tmp_path, parse_mapping(TWO_FILES, "two.toml"), AS_OF)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("protocol = 1", "protocol = 9", MappingError, "protocol"),
        ("protocol = 1", "protocol = ", MappingError, "not TOML"),
        ('table = "taps"', 'table = "tabs"', MappingError, "unknown table 'tabs'"),
        ("tap_mass_kg = {", "tap_weight_kg = {", MappingError, "tap_weight_kg"),
        ('unit = "degF"', 'unit = "degR"', UnitError, "degR"),
        ('unit = "degF"', 'unit = "mV"', UnitError, "temperature"),
        (', unit = "degF"', "", MappingError, "no unit"),
        ('column = "T"', 'colum = "T"', MappingError, "colum"),
        ('column = "T"', 'column = ""', MappingError, "name the file's column"),
        ("scale = 1.0", 'scale = "1"', MappingError, "give a float"),
        ('constants = { line_id = "B" }\nskip', "skip", MappingError, "nothing fills the key"),
        ('line_id = "B" }\nskip', "line_id = 5 }\nskip", MappingError, "wrong type"),
        ('skip_without = ["tap_mass_kg"]', 'skip_without = ["fe_wt_pct"]', MappingError, "skip_without"),
        ("set_voltage_v = {", "applied_set_voltage_v = {", MappingError, "set_voltage_v"),
        ('"excess_alf3_from_ratio"', '"log"', MappingError, "transform 'log'"),
        ("line_current_ka = 500.0", "line_current_ka = 5.0", MappingError, "line_current_ka"),
        ('timezone = "Europe/Berlin"', 'timezone = "Mars"', MappingError, "Mars"),
        ('unit = "degC"\nmeaning', 'unit = "warm"\nmeaning', UnitError, "warm"),
        ('files = "taps.csv"', 'files = "taps.csv"\ndecimal = ";"', MappingError, "decimal"),
        ('files = "taps.csv"', 'file = "taps.csv"', MappingError, "file"),
    ],
)
def test_a_wrong_mapping_is_refused_by_name(tmp_path, old, new, error, message):
    assert old in TWO_FILES
    (tmp_path / "plant.toml").write_text(TWO_FILES.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(error) as refusal:
        read_mapping(tmp_path / "plant.toml")
    assert message in str(refusal.value)


def test_a_mapping_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(MappingError, match=r"gone\.toml"):
        read_mapping(tmp_path / "gone.toml")


def test_a_mapping_given_is_taken_and_named(record, tmp_path):
    (tmp_path / "ours.toml").write_text(
        SHIPPED.replace('name = "daily_report_zh"', 'name = "ours"'), encoding="utf-8"
    )
    assert examine(a_report(record, tmp_path), tmp_path / "ours.toml", AS_OF).quality.mapping == "ours"


def test_a_shipped_mapping_is_taken_by_its_name(record, tmp_path):
    assert examine(a_report(record, tmp_path), "daily_report_zh", AS_OF).quality.mapping == "daily_report_zh"


def test_an_optional_column_that_is_not_there_is_reported(record, tmp_path):
    made = examine(
        a_report(record, tmp_path, lambda f: f.drop(columns=HEADERS["bath_level_mm"])), as_of=AS_OF
    )
    assert "bath_level_mm" not in made.tables.cell_days
    assert [f.severity for f in made.quality.of("absent_column", "bath_level_mm")] == ["warning"]


def test_a_declared_missing_value_is_no_fault(record, tmp_path):
    file = a_report(
        record,
        tmp_path,
        lambda f: f.assign(**{HEADERS["noise_mv"]: f[HEADERS["noise_mv"]].where(f.index != 3, -9999)}),
    )
    assert len(examine(file, as_of=AS_OF).quarantine) == 1
    declared = parse_mapping(SHIPPED.replace('files = "*"', 'files = "*"\nmissing = ["-9999"]'), "declared")
    assert examine(file, declared, AS_OF).quarantine.empty


def test_the_shipped_mapping_does_not_take_the_column_called_current_efficiency():
    used = {
        name
        for m in shipped_mappings()
        for s in m.sources
        for t in s.tables
        for c in t.columns
        for name in c.names
    }
    assert "电流效率(%)" not in used
    assert "平均电压" not in used


# the report


def test_the_report_is_plain_json_in_two_languages(record, tmp_path):
    quality = examine(write_tables(tables(record), tmp_path / "c"), as_of=AS_OF).quality
    text = json.dumps(quality.as_json(), allow_nan=False)
    assert json.loads(text)["protocol"] == 1
    noise = next(s for s in quality.signals if s.signal == "noise_mv")
    assert (noise.unit, noise.completeness, noise.step) == ("mV", 1.0, 1.0)
    assert noise.low <= noise.p05 <= noise.median <= noise.p95 <= noise.high
    assert {t.table: t.rows for t in quality.tables}["cell_days"] == 300
    assert all(f.text and f.text_zh and f.severity in ("info", "warning", "error") for f in quality.findings)


def test_what_a_simulated_line_dates_ahead_is_no_fault(record, tmp_path):
    made = tables(record)
    made = replace(made, plant=replace(made.plant, simulated=True))
    assert examine(
        write_tables(made, tmp_path / "c"), as_of=datetime(2020, 1, 1, tzinfo=UTC)
    ).quarantine.empty


# the real line, where its file is there


@pytest.mark.skipif(not os.path.exists(REAL), reason="the plant's file is not part of the project")
def test_the_real_traps_are_found():
    result = examine(REAL, as_of=datetime(2026, 6, 1, tzinfo=UTC))
    assert result.quality.mapping == "daily_report_zh"
    assert len(result.tables.cell_days) == 21 * 150
    assert result.quarantine.empty
    seen = {(f.signal, f.evidence.get("end"), f.evidence.get("value")) for f in result.quality.of("clipped")}
    assert ("平均电压", "low", 3.77) in seen
    assert ("平均电压", "high", 4.02) in seen
    assert ("cell_voltage_v", "high", 4.14) in seen
    assert ("cell_age_d", "low", 6.0) in seen
    assert result.quality.of("constant", "阳极行程(吨铝mm)")
    assert result.quality.of("mere_ratio", "电流效率(%)")
    assert result.quality.of("record_held")
    assert not result.quality.of("swapped")
    assert not result.quality.of("efficiency")
