"""The 33 classes of faults of a plant's data, each planted and seen; and the four that are none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.errors import ContractError, InputError, MappingError, UnitError
from features.tables.ingest import IngestResult, examine
from features.tables.mapping import parse_mapping
from features.tables.store import Tables, write_tables
from tests.fakes.line_record import HEADERS, Record, as_csv, report, sound_record, tables

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
CELL = "2003"
ZH = HEADERS

FAULT_CLASSES = (
    *(
        "encoding",
        "delimiter",
        "decimal comma",
        "thousands mark",
        "line ends and NULs",
        "truncated last line",
    ),
    *("duplicate header", "column order"),
    *("renamed tag", "swapped tags", "unit change", "scale x10", "sign flip"),
    *("blank", "text states", "infinities and sentinels", "spike", "flat-line", "saturation", "quantisation"),
    *("drift", "step bias", "noise increase"),
    *("duplicates", "late or out of order", "gaps", "clock jump", "DST fold and gap", "wrong zone", "future"),
    *("energy balance", "carbon and current efficiency", "totals"),
)


@dataclass(frozen=True)
class Refused:
    """The whole file is refused with this error, whose message holds this text."""

    error: type[InputError]
    text: str


@dataclass(frozen=True)
class SetAside:
    """Exactly these rows of the file (or this many) are set aside by this rule; the rest goes on."""

    rule: str
    rows: int
    table: str = "cell_days"


@dataclass(frozen=True)
class Found:
    """The report says it, with this severity or a graver one."""

    code: str
    signal: str = ""
    severity: str = "warning"


@dataclass(frozen=True)
class Same:
    """Nothing is lost: the tables are those of the sound file."""

    code: str = ""


Outcome = Refused | SetAside | Found | Same


@dataclass(frozen=True)
class Case:
    name: str
    plant: Callable[[Record], "bytes | Tables | Record"]
    outcome: Outcome
    mapping: str = ""


def at(record: Record, cell: str = CELL) -> int:
    return record.cells.index(cell)


def change(name: str, do: Callable[[np.ndarray, int], None]) -> Callable[[Record], Record]:
    """Return a planter that changes signal ``name`` (t, c) in place of a copy, told the index of the cell."""

    def plant(record: Record) -> Record:
        values = record.signals[name].astype(float).copy()
        do(values, at(record))
        return replace(record, signals={**record.signals, name: values})

    return plant


def text_of(do: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Record], bytes]:
    """Return a planter that changes the report, all cells text, before it is written as CSV."""
    return lambda record: as_csv(do(report(record).astype(object))).encode()


def set_cell(header: str, row: int, value: object) -> Callable[[Record], bytes]:
    def do(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, header] = value
        return frame

    return text_of(do)


def bytes_of(do: Callable[[bytes], bytes]) -> Callable[[Record], bytes]:
    return lambda record: do(as_csv(report(record)).encode())


def of_tables(table: str, do: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Record], Tables]:
    return lambda record: replace(made := tables(record), **{table: do(getattr(made, table).copy())})


def assign(values: np.ndarray, where: object, new: object) -> None:
    values[where] = new  # type: ignore[index]


def one(name: str, day: int, value: float) -> Callable[[Record], Record]:
    return change(name, lambda v, c: assign(v, (day, c), value))


def zoned(times: list[str], zone: str = "Europe/Berlin") -> Callable[[Record], bytes]:
    """Return a planter of a report whose first rows carry these local times."""

    def do(frame: pd.DataFrame) -> pd.DataFrame:
        frame["出铝时间"] = frame[ZH["date"]] + " 10:00"
        frame.loc[: len(times) - 1, "出铝时间"] = times
        return frame

    return text_of(do)


def timed_mapping(zone: str) -> str:
    from importlib import resources

    text = (resources.files("features.tables") / "mappings" / "daily_report_zh.toml").read_text(
        encoding="utf-8"
    )
    daily = 'time = { column = ["日期", "报表日期"], time_of_day = "12:00" }'
    assert daily in text
    return text.replace(daily, 'time = { column = "出铝时间" }').replace("Asia/Shanghai", zone)


def thousands(header: str, mark: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def do(frame: pd.DataFrame) -> pd.DataFrame:
        frame[header] = [f"{value:,.1f}".replace(",", mark) for value in frame[header]]
        return frame

    return do


def continental(frame: pd.DataFrame, grouped: str = "") -> bytes:
    """Write decimals with a comma and semicolons between, thousands with ``grouped``."""
    for name in frame.columns[2:]:
        swap = str.maketrans({",": grouped or None, ".": ","})
        frame[name] = [f"{float(value):,.3f}".translate(swap) for value in frame[name]]
    return as_csv(frame, delimiter=";").encode()


def steady(values: np.ndarray, cell: int, first: int, size: float) -> None:
    values[first:, cell] += size


def pushed(values: np.ndarray, limit: float) -> None:
    np.minimum(values, limit, out=values)


def moved_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """The last 30 rows of one cell come with a clock that was reset to years ago."""
    mine = frame.index[frame[ZH["cell_id"]] == CELL]
    late = pd.to_datetime(frame.loc[mine[100:], ZH["date"]]) - pd.Timedelta(days=1500)
    frame.loc[mine[100:], ZH["date"]] = late.dt.strftime("%Y-%m-%d")
    return frame


def in_mv_from(values: np.ndarray, cell: int) -> None:
    values[80:, cell] /= 1000.0


CASES = (
    # file and dialect
    Case("encoding", lambda r: as_csv(report(r)).encode("gb18030"), Same("dialect")),
    Case("encoding", lambda r: as_csv(report(r)).encode("utf-8-sig"), Same("dialect")),
    Case("encoding", lambda r: as_csv(report(r)).encode("utf-16"), Same("dialect")),
    Case("encoding", lambda r: as_csv(report(r)).encode("utf-16-le"), Same("dialect")),
    Case(
        "encoding",
        lambda r: "Température;Cuve\n951;12\n".encode("latin-1"),
        Refused(MappingError, "encoding"),
    ),
    Case("delimiter", lambda r: as_csv(report(r), ";").encode(), Same("dialect")),
    Case("delimiter", lambda r: as_csv(report(r), "\t").encode(), Same("dialect")),
    Case("decimal comma", lambda r: continental(report(r)), Same()),
    Case(
        "decimal comma",
        lambda r: as_csv(report(r)).replace(".", ",").encode(),
        Refused(ContractError, "decimal comma in a comma-separated file"),
    ),
    Case("decimal comma", lambda r: as_csv(report(r), "\t", ",").encode(), Same()),
    Case("thousands mark", lambda r: continental(report(r), grouped="."), Same()),
    Case("thousands mark", text_of(thousands(ZH["alumina_fed_kg_d"], ",")), Same()),
    Case(
        "thousands mark",
        lambda r: as_csv(
            pd.DataFrame(
                {
                    h: (f"{v:,.0f}" for v in c) if h == ZH["tap_mass_kg"] else ("5" for _ in c)
                    for h, c in report(r).items()
                }
            ),
            "\t",
        ).encode(),
        Refused(MappingError, "decimal comma or a thousands mark"),
    ),
    Case("line ends and NULs", bytes_of(lambda b: b.replace(b"\n", b"\r\n", 50)), Same("mixed_line_ends")),
    Case(
        "line ends and NULs",
        bytes_of(lambda b: b[: (at_ := b.index(b"2025-03-05,2001") + 12)] + b"\0\0" + b[at_:]),
        SetAside("nul", 1),
    ),
    Case("truncated last line", bytes_of(lambda b: b[: b.rindex(b",")][:-8]), SetAside("truncated", 1)),
    Case("truncated last line", bytes_of(lambda b: b.rstrip(b"\n")), Same("unended_last_line")),
    Case(
        "duplicate header",
        bytes_of(lambda b: b.replace("噪声(mv)".encode(), "工作平均".encode(), 1)),
        Refused(MappingError, "columns missing: '噪声(mv) or 噪声'"),
    ),
    Case(
        "duplicate header",
        lambda r: as_csv(pd.concat([report(r), report(r)[[ZH["cell_voltage_v"]]]], axis=1)).encode(),
        Refused(MappingError, "more than once"),
    ),
    Case("column order", lambda r: as_csv(report(r)[list(ZH.values())[::-1]]).encode(), Same()),
    # tags and units
    Case(
        "renamed tag",
        text_of(lambda f: f.rename(columns={ZH["bath_temperature_c"]: "电解质温度"})),
        Refused(MappingError, "电解温度"),
    ),
    Case(
        "swapped tags",
        text_of(
            lambda f: f.rename(
                columns={ZH["set_voltage_v"]: ZH["cell_voltage_v"], ZH["cell_voltage_v"]: ZH["set_voltage_v"]}
            )
        ),
        Found("swapped", "set_voltage_v", "error"),
    ),
    Case(
        "swapped tags",
        text_of(
            lambda f: f.rename(
                columns={ZH["noise_mv"]: ZH["bath_temperature_c"], ZH["bath_temperature_c"]: ZH["noise_mv"]}
            )
        ),
        Refused(UnitError, "bath_temperature_c"),
    ),
    Case(
        "unit change",
        change("cell_voltage_v", lambda v, c: assign(v, ..., v * 1000)),
        Refused(UnitError, 'unit = "mV"'),
    ),
    Case(
        "unit change",
        change("noise_mv", lambda v, c: assign(v, ..., v / 1000)),
        Refused(UnitError, 'unit = "V"'),
    ),
    Case(
        "unit change",
        change("bath_temperature_c", lambda v, c: assign(v, ..., v * 1.8 + 32)),
        Refused(UnitError, 'unit = "degF"'),
    ),
    Case(
        "unit change",
        change("metal_level_mm", lambda v, c: assign(v, ..., v / 10)),
        Refused(UnitError, 'unit = "cm"'),
    ),
    Case(
        "unit change",
        change("fe_wt_pct", lambda v, c: assign(v, ..., v / 100)),
        Refused(UnitError, 'unit = "fraction"'),
    ),
    Case(
        "unit change",
        change("tap_mass_kg", lambda v, c: assign(v, ..., v / 1000)),
        Refused(UnitError, 'unit = "t"'),
    ),
    Case("unit change", change("noise_mv", in_mv_from), Found("scale_jump", "noise_mv", "error")),
    Case(
        "unit change",
        change("bath_temperature_c", lambda v, c: assign(v, (slice(100, None), c), v[100:, c] * 1.8 + 32)),
        SetAside("range", 30),
    ),
    Case(
        "unit change",
        of_tables("meters", lambda f: f.assign(line_current_ka=f["line_current_ka"] * 1000)),
        Refused(UnitError, 'unit = "A"'),
    ),
    Case(
        "scale x10",
        change("alf3_dose_kg_d", lambda v, c: assign(v, ..., v * 10)),
        Refused(UnitError, "multiplied by 0.1"),
    ),
    Case(
        "scale x10",
        change("cell_voltage_v", lambda v, c: assign(v, ..., v * 10)),
        Refused(UnitError, "multiplied by 0.1"),
    ),
    Case(
        "scale x10",
        change("noise_mv", lambda v, c: assign(v, (slice(None), c), v[:, c] * 10)),
        Found("other_scale", "noise_mv", "error"),
    ),
    Case(
        "sign flip",
        of_tables("bath_samples", lambda f: f.assign(excess_alf3_wt_pct=-f["excess_alf3_wt_pct"])),
        Refused(UnitError, "multiplied by -1"),
    ),
    Case(
        "sign flip",
        change("alf3_fed_kg_d", lambda v, c: assign(v, (slice(0, 5), c), -v[:5, c])),
        SetAside("range", 5),
    ),
    # values
    Case("blank", set_cell(ZH["cell_voltage_v"], 7, ""), SetAside("missing", 1)),
    Case("blank", set_cell(ZH["tap_mass_kg"], 7, ""), SetAside("missing", 1, "taps")),
    Case("blank", set_cell(ZH["cell_id"], 7, ""), SetAside("missing key", 1)),
    Case("blank", set_cell(ZH["date"], 7, ""), SetAside("missing key", 1, "taps")),
    Case(
        "blank",
        change("bath_temperature_c", lambda v, c: assign(v, (slice(None, None, 2), slice(None)), np.nan)),
        Found("incomplete", "bath_temperature_c", "info"),
    ),
    Case(
        "text states", set_cell(ZH["noise_mv"], 7, "Bad Input"), Found("missing_states", "noise_mv", "info")
    ),
    Case("text states", set_cell(ZH["noise_mv"], 7, "#N/A"), Found("missing_states", "noise_mv", "info")),
    Case("text states", set_cell(ZH["noise_mv"], 7, "--"), Found("missing_states", "noise_mv", "info")),
    Case("text states", set_cell(ZH["noise_mv"], 7, "broken probe"), SetAside("text in number", 1)),
    Case("infinities and sentinels", set_cell(ZH["noise_mv"], 7, "1E400"), SetAside("text in number", 1)),
    Case("infinities and sentinels", set_cell(ZH["noise_mv"], 7, "inf"), SetAside("text in number", 1)),
    Case(
        "infinities and sentinels",
        of_tables("taps", lambda f: f.assign(fe_wt_pct=np.where(f.index == 3, np.inf, f["fe_wt_pct"]))),
        SetAside("range", 1, "taps"),
    ),
    Case("infinities and sentinels", one("bath_temperature_c", 9, -9999), SetAside("range", 1)),
    Case("infinities and sentinels", one("metal_level_mm", 9, 32767), SetAside("range", 1)),
    Case("infinities and sentinels", one("cell_voltage_v", 9, 0), SetAside("range", 1)),
    Case("infinities and sentinels", one("noise_mv", 9, 0), Found("zeros", "noise_mv")),
    Case("spike", one("bath_temperature_c", 70, 1020), Found("spikes", "bath_temperature_c")),
    Case("spike", one("cell_voltage_v", 70, 4.6), Found("spikes", "cell_voltage_v")),
    Case(
        "flat-line",
        change("bath_temperature_c", lambda v, c: assign(v, (slice(60, 75), c), 955.0)),
        Found("frozen", "bath_temperature_c"),
    ),
    Case(
        "flat-line",
        change("noise_mv", lambda v, c: assign(v, (slice(60, 72), c), 19.0)),
        Found("frozen", "noise_mv"),
    ),
    Case(
        "saturation",
        change("cell_voltage_v", lambda v, c: pushed(v, round(float(np.quantile(v, 0.9)), 3))),
        Found("clipped", "cell_voltage_v"),
    ),
    Case(
        "saturation", change("noise_mv", lambda v, c: np.maximum(v, 16, out=v)), Found("clipped", "noise_mv")
    ),
    Case(
        "quantisation",
        change("bath_temperature_c", lambda v, c: assign(v, ..., np.round(v / 10) * 10)),
        Found("coarse", "bath_temperature_c", "info"),
    ),
    # slow faults
    Case(
        "drift",
        change(
            "bath_temperature_c",
            lambda v, c: assign(v, (slice(None), c), v[:, c] + np.linspace(0, 30, len(v))),
        ),
        Found("drift", "bath_temperature_c"),
    ),
    Case(
        "drift",
        change(
            "metal_level_mm", lambda v, c: assign(v, (slice(None), c), v[:, c] + np.linspace(0, 110, len(v)))
        ),
        Found("drift", "metal_level_mm"),
    ),
    Case(
        "step bias",
        change("bath_temperature_c", lambda v, c: steady(v, c, 80, 22.0)),
        Found("shift", "bath_temperature_c"),
    ),
    Case(
        "step bias",
        change("cell_voltage_v", lambda v, c: steady(v, c, 80, 0.06)),
        Found("shift", "cell_voltage_v"),
    ),
    Case(
        "noise increase",
        change(
            "bath_temperature_c",
            lambda v, c: assign(
                v, (slice(90, None), c), v[90:, c] + np.random.default_rng(1).normal(0, 18, len(v) - 90)
            ),
        ),
        Found("noisier", "bath_temperature_c"),
    ),
    # time
    Case("duplicates", text_of(lambda f: pd.concat([f, f.iloc[[5, 9]]])), SetAside("duplicate", 2)),
    Case(
        "duplicates",
        text_of(lambda f: pd.concat([f, f.iloc[[5]].assign(**{ZH["noise_mv"]: 40})])),
        SetAside("conflict", 2),
    ),
    Case(
        "late or out of order",
        text_of(lambda f: pd.concat([f.drop(index=5), f.loc[[5]]])),
        Same("out_of_order"),
    ),
    Case(
        "late or out of order",
        of_tables("bath_samples", lambda f: f.assign(reported_at=f["sampled_at"] + pd.Timedelta(hours=100))),
        Found("late_results"),
    ),
    Case(
        "late or out of order",
        of_tables(
            "bath_samples",
            lambda f: f.assign(
                reported_at=f["reported_at"].where(f.index != 4, f["sampled_at"] - pd.Timedelta(hours=1))
            ),
        ),
        SetAside("order", 1, "bath_samples"),
    ),
    Case("gaps", text_of(lambda f: f[~((f[ZH["cell_id"]] == CELL) & (f.index % 7 == 0))]), Found("gaps")),
    Case("gaps", text_of(lambda f: f[~f[ZH["date"]].isin(["2025-04-01", "2025-04-02"])]), Found("line_gap")),
    Case("clock jump", text_of(moved_clock), SetAside("isolated date", 30)),
    Case("clock jump", text_of(lambda f: moved_back(f, 60)), Found("clock_jump")),
    Case(
        "DST fold and gap",
        zoned(["2025-03-30 02:30", "2025-10-26 02:30"]),
        SetAside("unreadable date", 2, "taps"),
        "Europe/Berlin",
    ),
    Case(
        "DST fold and gap",
        zoned(["2025-03-30T00:30:00Z", "2025-03-30T03:30:00+0200"]),
        Same(),
        "Europe/Berlin",
    ),
    Case(
        "wrong zone",
        of_tables("bath_samples", lambda f: f.assign(reported_at=f["reported_at"] - pd.Timedelta(hours=30))),
        Refused(ContractError, "another zone"),
    ),
    Case("wrong zone", lambda r: naive_taps(r), Refused(ContractError, "no time zone")),
    Case("future", set_cell(ZH["date"], 7, "2031-01-05"), SetAside("future", 1)),
    # physics
    Case(
        "energy balance",
        of_tables(
            "meters", lambda f: f.assign(dc_energy_kwh=f["dc_energy_kwh"] * np.where(f.index == 60, 1.2, 1.0))
        ),
        Found("energy_days", "dc_energy_kwh"),
    ),
    Case(
        "energy balance",
        of_tables("meters", lambda f: f.assign(dc_energy_kwh=f["dc_energy_kwh"] * 0.8)),
        Found("energy_level", "dc_energy_kwh"),
    ),
    Case(
        "carbon and current efficiency",
        of_tables("anode_changes", lambda f: f.assign(butt_mass_kg=f["butt_mass_kg"] + 200.0)),
        Found("carbon_below_stoichiometric", "butt_mass_kg", "error"),
    ),
    Case(
        "carbon and current efficiency",
        change("tap_mass_kg", lambda v, c: assign(v, (slice(None), c), v[:, c] + 330)),
        Found("efficiency_over_one", "tap_mass_kg"),
    ),
    Case(
        "carbon and current efficiency",
        change("tap_mass_kg", lambda v, c: assign(v, ..., v * 1.2)),
        Found("efficiency", "tap_mass_kg", "error"),
    ),
    Case(
        "carbon and current efficiency",
        of_tables(
            "anode_changes",
            lambda f: f.assign(
                butt_mass_kg=f["butt_mass_kg"].where(f.index != f["butt_mass_kg"].first_valid_index(), 1300.0)
            ),
        ),
        SetAside("order", 1, "anode_changes"),
    ),
    Case(
        "totals",
        of_tables("meters", lambda f: f.assign(dc_energy_kwh=f["dc_energy_kwh"] * 1.3)),
        Found("energy_level", "dc_energy_kwh"),
    ),
    Case(
        "totals",
        of_tables(
            "cell_days", lambda f: f.assign(line_current_ka=np.where(f["cell_id"] == CELL, 460.0, 500.0))
        ),
        Found("current_differs", "line_current_ka"),
    ),
)


def moved_back(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    """One cell has no record for two months; then its clock is set back over that hole."""
    mine = frame.index[frame[ZH["cell_id"]] == CELL]
    frame = frame.drop(index=mine[30:100])
    back = pd.to_datetime(frame.loc[mine[100:], ZH["date"]]) - pd.Timedelta(days=days)
    frame.loc[mine[120:], ZH["date"]] = back.loc[mine[120:]].dt.strftime("%Y-%m-%d")
    return frame


def naive_taps(record: Record) -> "tuple[Tables, pd.DataFrame]":
    made = tables(record)
    return made, made.taps.assign(time=made.taps["time"].dt.tz_localize(None))


def handle(case: Case, record: Record, folder) -> IngestResult:
    made = case.plant(record)
    if isinstance(made, Record):
        made = as_csv(report(made)).encode()
    if isinstance(made, tuple):
        write_tables(made[0], folder / "canonical")
        made[1].to_parquet(folder / "canonical" / "taps.parquet", index=False)
        return examine(folder / "canonical", as_of=AS_OF)
    if isinstance(made, Tables):
        return examine(write_tables(made, folder / "canonical"), as_of=AS_OF)
    file = folder / "report.csv"
    file.write_bytes(made)
    mapping = parse_mapping(timed_mapping(case.mapping), "timed") if case.mapping else None
    return examine(file, mapping, AS_OF)


@pytest.fixture(scope="module")
def record() -> Record:
    return sound_record(11)


@pytest.fixture(scope="module")
def sound(record, tmp_path_factory) -> IngestResult:
    file = tmp_path_factory.mktemp("sound") / "report.csv"
    file.write_bytes(as_csv(report(record)).encode())
    return examine(file, as_of=AS_OF)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_planted_fault_is_handled(case, record, sound, tmp_path):
    outcome = case.outcome
    if isinstance(outcome, Refused):
        with pytest.raises(outcome.error) as refusal:
            handle(case, record, tmp_path)
        assert outcome.text in str(refusal.value)
        return
    result = handle(case, record, tmp_path)
    if isinstance(outcome, SetAside):
        rows = result.quarantine.query("table == @outcome.table and rule == @outcome.rule")
        assert len(rows) == outcome.rows, result.quarantine.head().to_string()
        assert rows["reason"].str.len().min() > 5
        for name in ("cell_days", "taps"):
            assert len(getattr(result.tables, name)) >= 0.9 * len(getattr(sound.tables, name))
    elif isinstance(outcome, Found):
        found = result.quality.of(outcome.code, outcome.signal)
        assert found, [f.text for f in result.quality.findings]
        grades = ("info", "warning", "error")
        assert all(grades.index(f.severity) >= grades.index(outcome.severity) for f in found)
        assert all(f.text and f.text_zh for f in found)
    else:
        if not case.mapping:
            for name in ("cell_days", "taps"):
                pd.testing.assert_frame_equal(getattr(result.tables, name), getattr(sound.tables, name))
        assert result.quarantine.empty
        assert not outcome.code or result.quality.of(outcome.code)


def test_a_day_sent_twice_at_the_end_of_the_file_is_no_clock_that_jumped(record, tmp_path):
    frame = report(record)
    (tmp_path / "report.csv").write_bytes(as_csv(pd.concat([frame, frame.iloc[:40]])).encode())
    result = examine(tmp_path / "report.csv", as_of=AS_OF)
    assert not result.quality.of("clock_jump")
    assert len(result.quarantine) == 80


def test_every_class_of_faults_is_planted():
    assert {case.name for case in CASES} == set(FAULT_CLASSES)
    assert len(FAULT_CLASSES) == 33
