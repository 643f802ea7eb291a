"""Posted rows: judged as a plant's files are, kept by key, and folded into the very features of the batch path."""

import datetime
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

import serving.record
from features.errors import InputError, SettingsError, UnknownNameError
from features.history import History
from features.layout import TABLES
from features.recipe import Recipe
from features.signals import Signal
from features.tables.contract import ROW, SOURCE, Circumstances
from features.tables.contract import check as check_frame
from features.tables.history import history as batch_history
from features.tables.store import Tables, typed_frame
from serving.context import contexts_today
from serving.ledger import Ledger
from serving.record.contract import Around, check
from serving.record.folding import contexts_on, history_of
from serving.record.intake import take
from serving.record.reading import read_row
from serving.record.store import Mode, RecordStore
from serving.record.tables import METADATA, NEWEST, VERSION_TABLE
from serving.refusals import RefusedError
from tests.fakes.ledgers import DATABASES, url_of
from tests.fakes.posted import posted, rows_of, samples

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LEVERS = ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")
DAY_OF = {
    "cell_days": "date",
    "meters": "date",
    "taps": "time",
    "bath_samples": "reported_at",
    "anode_changes": "set_at",
}


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[RecordStore]:
    with RecordStore(url) as found:
        yield found


def put(store: RecordStore, body: dict[str, Any], lines: list[str] | None = None) -> dict[str, Any]:
    return take(json.dumps(body).encode(), store, lines, (), NOW)


def folded(store: RecordStore, through: datetime.date | None = None) -> History:
    return history_of(store.values("L1", TABLES), store.line("L1").plant, (), through)


def batch(cells: int, days: int) -> History:
    """The same rows by way of frames, as a plant's files take it."""
    tables = samples()
    kept = sorted(set(tables.cell_days["cell_id"]))[:cells]
    end = tables.cell_days["date"].min() + pd.Timedelta(days=days)
    frames: dict[str, Any] = {}
    for name, frame in tables.present():
        if "cell_id" in frame:
            frame = frame[frame["cell_id"].isin(kept)]
        for column in ("date", "time", "sampled_at", "set_at"):
            if column in frame:
                frame = frame[frame[column].dt.tz_localize(None) < end]
        frames[name] = frame
    return batch_history(Tables(plant=tables.plant, **frames))


def same(one: History, other: History) -> None:
    """Features of every day, and the contexts of the day after, bit for bit."""
    recipe = Recipe.for_signals(one.available(), LEVERS)
    assert recipe == Recipe.for_signals(other.available(), LEVERS)
    for make in (recipe.table, recipe.today):
        first, second = make(one), make(other)
        assert len(first) > 0
        assert first.X.tobytes() == second.X.tobytes()
        assert first.date.tolist() == second.date.tolist()
        assert first.cell_ids[first.cell].tolist() == second.cell_ids[second.cell].tolist()
    for mine, theirs in zip(contexts_today(one, recipe), contexts_today(other, recipe), strict=True):
        assert (mine.row is None) == (theirs.row is None)
        if mine.row is not None and theirs.row is not None:
            assert mine.row.tobytes() == theirs.row.tobytes()
        assert mine.last_reported == theirs.last_reported
        assert mine.hours_since_anode_change == theirs.hours_since_anode_change
        assert mine.stuck == theirs.stuck


def test_features_of_posted_rows_are_those_of_the_batch_path(store: RecordStore) -> None:
    answer = put(store, posted(rows_of(samples(), cells=6, days=90)))
    assert answer["accepted"]["cell_days"] == 6 * 90
    assert answer["quarantined"] == []
    assert (answer["cells"], answer["first"], answer["last"]) == (6, "2024-01-01", "2024-03-30")
    same(folded(store), batch(6, 90))


def test_day_by_day_out_of_order_and_twice(store: RecordStore) -> None:
    rows = rows_of(samples(), cells=4, days=45)
    by_day: dict[str, dict[str, list[Any]]] = {}
    for table, column in DAY_OF.items():
        for row in rows[table]:
            by_day.setdefault(row[column][:10], {}).setdefault(table, []).append(row)
    posts = list(by_day.values())
    # The first word on an anode is that it was set; that it came out, and what was left of it, is posted later.
    news = [
        {**row, "removed_at": None, "butt_mass_kg": None}
        for row in rows["anode_changes"]
        if row["removed_at"] is not None
    ]
    draw = random.Random(5)
    draw.shuffle(posts)
    put(store, posted({"anode_changes": news, "cell_days": rows["cell_days"][:1], "lots": rows["lots"]}))
    for post in (*posts, *draw.sample(posts, 12)):
        put(store, post)
    same(folded(store), batch(4, 45))
    versions = store.versions("L1", "anode_changes")
    assert max(versions.values()) >= 2
    assert store.line("L1").revision == 1 + len(posts) + 12


def test_a_decision_looks_at_what_was_known_then(store: RecordStore) -> None:
    put(store, posted(rows_of(samples(), cells=4, days=60)))
    history = folded(store)
    recipe = Recipe.for_signals(history.available(), LEVERS)
    date = datetime.date(2024, 2, 20)
    known = history.until(np.datetime64("2024-02-19"))
    for mine, theirs in zip(contexts_on(history, recipe, date), contexts_today(known, recipe), strict=True):
        assert mine.date == date
        assert mine.row is not None
        assert theirs.row is not None
        assert mine.row.tobytes() == theirs.row.tobytes()
    for date in (datetime.date(2024, 1, 1), datetime.date(2024, 3, 2), datetime.date(2020, 1, 1)):
        with pytest.raises(InputError, match="record goes from"):
            contexts_on(history, recipe, date)


def test_silent_days_are_days(store: RecordStore) -> None:
    put(store, posted(rows_of(samples(), cells=4, days=60)))
    history = folded(store, datetime.date(2024, 3, 2))
    assert str(history.dates[-1]) == "2024-03-02"
    recipe = Recipe.for_signals(history.available(), LEVERS)
    found = contexts_on(history, recipe, datetime.date(2024, 3, 3))
    assert {context.last_reported for context in found} == {datetime.date(2024, 2, 29)}
    # Lots that are in use stay in use, whether or not the cells report.
    assert np.isfinite(history.signals["soda_wt_pct"][-1]).all()
    assert np.isnan(history.signals["cell_voltage_v"][-1]).all()


# The contract, with the frames' own as the oracle.

_FAULTS = (
    ("cell_days", "bath_temperature_c", 1300.0),
    ("cell_days", "cell_voltage_v", None),
    ("cell_days", "noise_mv", -1.0),
    ("cell_days", "run_minutes", 0.0),
    ("cell_days", "cell_voltage_v", 0.0),
    ("cell_days", "date", "2034-01-01"),
    ("taps", "tap_mass_kg", 30000.0),
    ("taps", "fe_wt_pct", 9.0),
    ("bath_samples", "excess_alf3_wt_pct", 80.0),
    ("bath_samples", "reported_at", "2023-01-01T00:00:00Z"),
    ("anode_changes", "butt_mass_kg", 1900.0),
    ("anode_changes", "removed_at", "2020-01-01T00:00:00Z"),
    ("lots", "material", "coal"),
    ("meters", "renewable_share", 1.5),
)


@pytest.mark.parametrize("seed", range(6))
def test_the_contract_is_that_of_the_batch_path(seed: int) -> None:
    draw = random.Random(seed)
    rows = rows_of(samples(), cells=3, days=25)
    for table, column, value in _FAULTS:
        for row in draw.sample(rows[table], 2):
            row[column] = value
    for table in ("cell_days", "taps", "bath_samples"):
        first, second = draw.sample(rows[table], 2)
        rows[table].append(dict(first))
        rows[table].append({**second, TABLES[table].signals[1]: None})
    plant = samples().plant
    checked = check(rows, Around({"L1": plant}, NOW, line="L1"))
    for table, posted_rows in rows.items():
        layout = TABLES[table]
        frame = pd.DataFrame(posted_rows)
        for column in (*layout.days, *layout.times):
            stamps = pd.to_datetime(frame[column], format="ISO8601", utc=True)
            frame[column] = stamps.dt.tz_localize(None) if column in layout.days else stamps
        typed = typed_frame(frame, layout).assign(**{SOURCE: "post", ROW: range(len(frame))})
        around = Circumstances(plant, canonical=True, as_of=NOW)
        theirs = check_frame(typed, layout, around).frame
        mine = {row.place for row in checked.rows[table]}
        unknown = {row.place for row in checked.unknown.get(table, ())}
        kept = set(theirs[ROW].tolist())
        if layout.event:
            assert len(mine | unknown) == len(kept), table
            assert mine <= kept
        else:
            assert mine == kept, table


@pytest.mark.parametrize(
    ("table", "column", "value", "code"),
    [
        ("cell_days", "cell_voltage_v", True, "not_a_number"),
        ("cell_days", "cell_voltage_v", "3.9", "not_a_number"),
        ("cell_days", "cell_voltage_v", 10**400, "not_finite"),
        ("cell_days", "cell_voltage_v", 1e39, "range"),
        ("cell_days", "cell_voltage_mv", 3900.0, "unknown_column"),
        ("cell_days", "date", "2024-1-1", "not_a_day"),
        ("cell_days", "date", "20240101", "not_a_day"),
        ("cell_days", "date", 20240101, "not_text"),
        ("cell_days", "date", None, "missing_key"),
        ("cell_days", "date", "1066-10-14", "year"),
        ("cell_days", "cell_id", "", "not_text"),
        ("cell_days", "cell_id", 7, "not_text"),
        ("cell_days", "cell_id", "a\x00b", "not_text"),
        ("cell_days", "cell_id", "x" * 129, "not_text"),
        ("taps", "time", "2024-01-01T08:00:00", "not_an_instant"),
        ("taps", "time", "yesterday", "not_an_instant"),
        ("lots", "material", "coal", "vocabulary"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(table: str, column: str, value: object, code: str) -> None:
    rows = rows_of(samples(), cells=1, days=3)
    row = {**rows[table][0], column: value}
    found = read_row(row, 4, TABLES[table], {})
    faults = [fault for fault in found.faults if fault.column == column]
    assert [fault.code for fault in faults] == [code]
    assert (faults[0].table, faults[0].row) == (table, 4)
    assert faults[0].reason
    assert faults[0].reason_zh
    assert len(faults[0].value) <= 40


def test_one_bad_row_does_not_hold_up_the_others(store: RecordStore) -> None:
    rows = rows_of(samples(), cells=2, days=5)
    rows["cell_days"][3]["bath_temperature_c"] = 1300.0
    rows["cell_days"][4]["colour"] = "red"
    rows["taps"][1]["tap_mass_kg"] = -5.0
    answer = put(store, posted(rows))
    assert answer["set_aside"] == {"cell_days": 2, "taps": 1}
    told = [(f["table"], f["row"], f["column"]) for f in answer["quarantined"]]
    assert told == [
        ("cell_days", 3, "bath_temperature_c"),
        ("cell_days", 4, "colour"),
        ("taps", 1, "tap_mass_kg"),
    ]
    assert answer["accepted"]["cell_days"] == 8
    # The tap happened all the same: its metal is unknown and not zero.
    history = folded(store)
    day, cell = 1, 0
    assert np.isnan(history.signals["tap_mass_kg"][day, cell])
    again = put(store, {"taps": rows_of(samples(), cells=2, days=5)["taps"]})
    assert again["replaced"] == {"taps": len(rows["taps"])}
    assert np.isfinite(folded(store).signals["tap_mass_kg"][day, cell])
    # ... and a later bad word on it does not make the known mass unknown.
    rows["taps"][2]["tap_mass_kg"] = -5.0
    put(store, {"taps": rows["taps"]})
    assert np.isfinite(folded(store).signals["tap_mass_kg"][day, cell])


def test_the_future_is_refused_for_a_real_line(store: RecordStore) -> None:
    body = posted(rows_of(samples(), cells=1, days=5))
    body["plant"]["simulated"] = False
    early = datetime.datetime(2024, 1, 3, 3, tzinfo=datetime.UTC)
    answer = take(json.dumps(body).encode(), store, None, (), early)
    assert answer["last"] == "2024-01-03"
    assert {fault["code"] for fault in answer["quarantined"]} == {"future"}


def test_a_stray_date_is_set_aside_once_there_is_a_record(store: RecordStore) -> None:
    put(store, posted(rows_of(samples(), cells=1, days=5)))
    stray = {**rows_of(samples(), cells=1, days=5)["cell_days"][0], "date": "2030-01-01"}
    with pytest.raises(InputError, match="away from the rest"):
        put(store, {"cell_days": [stray]})


def test_lines_and_plants(store: RecordStore) -> None:
    rows = rows_of(samples(), cells=1, days=5)
    with pytest.raises(InputError, match="is new here: give its plant"):
        put(store, rows)
    assert store.lines() == []
    with pytest.raises(RefusedError, match="not yours") as refused:
        put(store, posted(rows), lines=["L2"])
    assert refused.value.status == 404
    put(store, posted(rows), lines=["L1", "L2"])
    other = posted(rows)
    other["plant"]["line_current_ka"] = 420.0
    with pytest.raises(RefusedError, match=r"plant\.line_current_ka of line L1 is 500.0") as refused:
        put(store, other)
    assert refused.value.status == 409
    dearer = posted(rows)
    dearer["plant"]["prices"]["electricity_per_kwh"] = 0.6
    put(store, dearer)
    assert store.line("L1").plant.prices.electricity_per_kwh == 0.6
    for name, value in (("timezone", "Mars/Base"), ("colour", "red"), ("anodes_per_cell", 4.5)):
        with pytest.raises(SettingsError, match=name):
            put(store, {**posted(rows), "plant": {**posted(rows)["plant"], name: value}})
    with pytest.raises(UnknownNameError, match="no record here"):
        store.line("L9")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"cell_days": {}}', "array of rows"),
        (b'{"pots": []}', "unknown table 'pots'"),
        (b'{"cell_days": [], "cell_days": []}', "stands twice"),
        (b'{"cell_days": [{"cell_voltage_v": NaN}]}', "no JSON"),
        (b'{"plant": 3}', "plant must be"),
        (b'{"line_id": 3}', "line_id must be"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_bodies_that_are_none(store: RecordStore, body: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as refused:
        take(body, store, None, (), NOW)
    assert refused.value.status == 400


def test_an_empty_post_says_so(store: RecordStore) -> None:
    with pytest.raises(InputError, match="none of 0 rows"):
        put(store, {})


def test_two_lines_in_one_post_are_two_records(store: RecordStore, tmp_path: Path) -> None:
    """Lots enter each line that the post names; everything else its own."""
    rows = rows_of(samples(), cells=4, days=30)
    split: dict[str, dict[str, list[Any]]] = {"L1": {}, "L2": {}}
    for table, mine in rows.items():
        for row in mine:
            line = "L2" if row.get("cell_id", "") > "L1-002" else "L1"
            if table in ("lots", "meters"):
                for name in split:
                    own = row if table == "lots" else {**row, "line_id": name}
                    split[name].setdefault(table, []).append(own)
            else:
                split[line].setdefault(table, []).append({**row, "line_id": line})
    tables = {name: [*split["L1"][name], *split["L2"][name]] for name in rows if name != "lots"}
    answer = put(store, posted({**tables, "lots": rows["lots"]}))
    assert (answer["lines"], answer["cells"]) == (["L1", "L2"], 4)
    assert answer["accepted"]["lots"] == 2 * len(rows["lots"])
    for line, own_rows in split.items():
        with RecordStore(f"sqlite:///{tmp_path / line}.db") as alone:
            put(alone, posted(own_rows))
            one = history_of(alone.values(line, TABLES), alone.line(line).plant)
        same(one, history_of(store.values(line, TABLES), store.line(line).plant))
    with pytest.raises(RefusedError, match="not yours"):
        put(store, tables, lines=["L1"])


def test_a_plants_own_sensor_becomes_a_feature(store: RecordStore) -> None:
    sensor = Signal(
        "shell_temperature_c", "degC", "shell temperature", "槽壳温度", 50, 500, "measured", "plant"
    )
    rows = rows_of(samples(), cells=2, days=10)
    for at, row in enumerate(rows["cell_days"]):
        row["shell_temperature_c"] = 250.0 + at % 7
    rows["cell_days"][5]["shell_temperature_c"] = 900.0
    body = json.dumps(posted(rows)).encode()
    answer = take(body, store, None, (sensor,), NOW)
    assert [(f["column"], f["code"]) for f in answer["quarantined"]] == [("shell_temperature_c", "range")]
    history = history_of(store.values("L1", TABLES), store.line("L1").plant, (sensor,))
    recipe = Recipe.for_signals(history.available(), LEVERS, history.sensors)
    table = recipe.today(history)
    assert np.isfinite(table.column("shell_temperature_c_last")).all()
    # Without a model that reads it, it is a column that nobody knows.
    with pytest.raises(InputError, match="not a column"):
        put(store, {"cell_days": rows["cell_days"]})


_VALUES = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.just("2024-01-02")
)
_COLUMNS = st.sampled_from(
    sorted({name for layout in TABLES.values() for name in layout.columns} | {"colour"})
)
_ROWS = st.lists(st.dictionaries(_COLUMNS, _VALUES, max_size=6) | _VALUES, max_size=6)


@given(st.dictionaries(st.sampled_from(sorted(TABLES)), _ROWS, max_size=3))
def test_whatever_is_posted_every_row_enters_or_is_named(rows: dict[str, list[Any]]) -> None:
    checked = check(rows, Around({"L1": samples().plant}, NOW, line="L1"))
    for table, sent in rows.items():
        entered = {row.place for row in checked.rows[table]}
        named = {fault.row for fault in checked.faults if fault.table == table}
        assert entered | named == set(range(len(sent)))
        assert not entered & named
        for row in checked.rows[table]:
            json.dumps(row.values, allow_nan=False)


def test_modes_are_kept(store: RecordStore) -> None:
    assert store.modes("L1") == {}
    mode = Mode("approved", ("set_voltage_v",), "trial", "li.wei", "2026-01-01T00:00:00+00:00")
    store.set_mode("L1", "c1", Mode("off", (), "relining", "li.wei", "2025-12-01T00:00:00+00:00"))
    store.set_mode("L1", "c1", mode)
    assert store.modes("L1") == {"c1": mode}


def test_ledger_and_record_share_a_database(url: str) -> None:
    with Ledger(url) as ledger, RecordStore(url) as record:
        assert record.lines() == []
        assert ledger.records() == []
    with RecordStore(url), Ledger(url):
        pass


def test_migrations_make_what_the_code_reads(url: str, store: RecordStore) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrations = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or str(name).startswith("record_"),
            },
        )
        assert compare_metadata(migrations, METADATA) == []
        assert migrations.get_current_revision() == NEWEST
    engine.dispose()
    folder = Path(serving.record.__file__).parent / "migrations" / "versions"
    assert sorted(path.stem.split("_")[0] for path in folder.glob("v*.py"))[-1] == f"v{NEWEST}"


def test_a_whole_number_is_kept_as_a_float() -> None:
    row = {"line_id": "L1", "cell_id": "L1-001", "date": "2024-01-01", "cell_voltage_v": 4, "noise_mv": 17.5}
    read = read_row(row, 0, TABLES["cell_days"], {})
    assert not read.faults
    assert [type(read.values[name]) for name in ("cell_voltage_v", "noise_mv")] == [float, float]
