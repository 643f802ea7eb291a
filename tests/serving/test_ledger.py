"""The ledger: what is written stays, what was changed is named, and writers wait for each other."""

import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import DatabaseError

import serving.ledger
from features.errors import InputError, SettingsError, UnknownNameError
from serving.access import Identity, Role
from serving.command import run
from serving.ledger import Anchor, Ledger, LedgerError
from serving.ledger.audit import LedgerAudit
from serving.ledger.chain import Record
from serving.ledger.export import verify_export, write_export
from serving.ledger.schema import NEWEST
from serving.ledger.tables import METADATA
from serving.ports import Named
from tests.fakes.advised import MORNING, recommendation
from tests.fakes.ledgers import DATABASES, Tamper, url_of

WHO = Named("li.wei")
SETTINGS = {"digest": "cd" * 32, "settings": {}}
COLUMNS = ("recorded_at", "kind", "subject", "about", "line_id", "cell_id", "body", "previous", "hash")


def advice(**changes: Any) -> dict[str, Any]:
    found = recommendation(**changes)
    return {"recommendation": found.model_dump(), "context": {"row": None}, "settings": "cd" * 32}


class Clock:
    def __init__(self) -> None:
        self.time = MORNING

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger(url, clock) as found:
        yield found


@pytest.fixture
def tamper(url: str) -> Iterator[Tamper]:
    found = Tamper(url)
    yield found
    found.close()


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Eight records: settings, four recommendations, two decisions, one audit."""
    ids = [recommendation(f"c{i}").recommendation_id for i in range(4)]
    ledger.append("settings", SETTINGS, WHO)
    ledger.append_all([("recommendation", advice(cell=f"c{i}")) for i in range(4)], WHO)
    ledger.append("decision", {"recommendation_id": ids[0], "action": "accept"}, WHO)
    ledger.append("decision", {"recommendation_id": ids[1], "action": "reject", "reason": "tapping"}, WHO)
    ledger.append("audit", {"category": "configuration change", "action": "promote"}, WHO)
    return ledger


def test_what_is_written_is_read_back_in_its_chain(filled: Ledger) -> None:
    records = filled.records()
    assert [record.sequence for record in records] == list(range(1, 9))
    assert [record.content.kind for record in records][-3:] == ["decision", "decision", "audit"]
    assert records[0].previous == "0" * 64
    assert all(later.previous == earlier.hash for earlier, later in pairwise(records))
    verdict = filled.verify()
    assert (verdict.intact, verdict.records, verdict.head) == (True, 8, filled.head())
    wanted = recommendation("c2")
    found = filled.recommendation(wanted.recommendation_id)
    assert found.recommendation == wanted
    assert found.recommendation.content_hash() == wanted.recommendation_id
    assert (found.record.content.line_id, found.record.content.cell_id) == ("L1", "c2")
    decided = filled.decisions(recommendation("c1").recommendation_id)
    assert [(d.decision.action, d.decision.reason, d.record.content.subject) for d in decided] == [
        ("reject", "tapping", "li.wei")
    ]
    assert filled.decisions(wanted.recommendation_id) == []
    assert filled.records("decision", after=6) == records[6:7]
    assert filled.records(lines=frozenset({"L2"})) == []
    assert len(filled.records(lines=frozenset({"L1"}))) == 6


def test_an_empty_ledger_is_intact(ledger: Ledger) -> None:
    verdict = ledger.verify()
    assert (verdict.intact, verdict.records, verdict.head) == (True, 0, Anchor(0, "0" * 64))


# Every row: what is done to the database, and the first record that is then not as it was written.


def _row(record: Record) -> dict[str, object]:
    content = record.content
    return {
        "sequence": record.sequence,
        **{name: getattr(content, name) for name in COLUMNS[:7]},
        "previous": record.previous,
        "hash": record.hash,
    }


_INSERT = "INSERT INTO records (sequence, {}) VALUES (:sequence, {})".format(
    ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
)


def swap(one: int, other: int) -> tuple[str, ...]:
    return (
        f"UPDATE records SET sequence = 1000 WHERE sequence = {one}",
        f"UPDATE records SET sequence = {one} WHERE sequence = {other}",
        f"UPDATE records SET sequence = {other} WHERE sequence = 1000",
    )


def close_gap(after: int, last: int = 8) -> tuple[str, ...]:
    return tuple(
        f"UPDATE records SET sequence = {i - 1} WHERE sequence = {i}" for i in range(after + 1, last + 1)
    )


@pytest.mark.parametrize("sequence", [1, 4, 8])
def test_a_changed_field_is_found(filled: Ledger, tamper: Tamper, sequence: int) -> None:
    written = _row(filled.records()[sequence - 1])
    for column in COLUMNS:
        value = "f" * 64 if column in ("previous", "hash") else "decision" if column == "kind" else "other"
        for set_to in [value, written[column]] if value != written[column] else []:
            tamper.run(f"UPDATE records SET {column} = :value WHERE sequence = {sequence}", value=set_to)
            fault = filled.verify().fault
            if set_to == value:
                assert fault is not None, column
                assert (fault.kind, fault.sequence) == ("changed", sequence), column
                assert filled.verify().records == sequence - 1
    assert filled.verify().intact


@pytest.mark.parametrize(
    ("statements", "kind", "sequence"),
    [
        (("UPDATE records SET about = NULL WHERE sequence = 3",), "changed", 3),
        (("UPDATE records SET body = body || ' ' WHERE sequence = 5",), "changed", 5),
        (("DELETE FROM records WHERE sequence = 1",), "removed", 1),
        (("DELETE FROM records WHERE sequence = 4",), "removed", 4),
        (("DELETE FROM records WHERE sequence IN (4, 5)",), "removed", 4),
        (("DELETE FROM records WHERE sequence = 4", *close_gap(4)), "removed", 4),
        (("DELETE FROM records WHERE sequence = 1", *close_gap(1)), "removed", 1),
        (("DELETE FROM records WHERE sequence = 8",), "removed", 8),
        (("DELETE FROM records WHERE sequence > 5",), "removed", 6),
        (("DELETE FROM records",), "removed", 1),
        (swap(3, 4), "moved", 3),
        (swap(1, 8), "moved", 1),
        (swap(2, 7), "moved", 2),
        (("UPDATE records SET sequence = 9 WHERE sequence = 3",), "moved", 3),
        (("UPDATE records SET sequence = 9 WHERE sequence = 3", *close_gap(3, 9)), "moved", 3),
        (("UPDATE head SET sequence = 7",), "added", 8),
        (("UPDATE head SET hash = '" + "e" * 64 + "'",), "changed", 8),
        (("DELETE FROM head",), "removed", 8),
    ],
)
def test_the_first_record_that_is_wrong_is_named(
    filled: Ledger, tamper: Tamper, statements: tuple[str, ...], kind: str, sequence: int
) -> None:
    tamper.run(*statements)
    fault = filled.verify().fault
    assert fault is not None
    assert (fault.kind, fault.sequence) == (kind, sequence), fault.message
    assert str(sequence) in fault.message or "head" in fault.message


def test_one_that_hashes_anew_what_he_changed_is_found(filled: Ledger, tamper: Tamper) -> None:
    for place in (4, 8):
        before, record = filled.records()[place - 2 : place]
        forged = Record.after(before.anchor, replace(record.content, subject="somebody else"))
        tamper.run(
            f"UPDATE records SET subject = 'somebody else', hash = '{forged.hash}' WHERE sequence = {place}"
        )
        fault = filled.verify().fault
        assert fault is not None
        assert (fault.kind, fault.sequence) == ("changed", place)
        tamper.run(f"UPDATE records SET subject = 'li.wei', hash = '{record.hash}' WHERE sequence = {place}")
        assert filled.verify().intact


def test_a_record_put_in_between_is_found(filled: Ledger, tamper: Tamper) -> None:
    records = filled.records()
    forged = Record.after(records[3].anchor, records[5].content)
    shift = [f"UPDATE records SET sequence = {i + 1} WHERE sequence = {i}" for i in range(8, 4, -1)]
    tamper.run(*shift, _INSERT, **_row(forged))
    fault = filled.verify().fault
    assert fault is not None
    assert (fault.kind, fault.sequence) == ("added", 5)


def test_a_chain_written_anew_to_its_end_is_found_by_a_noted_anchor_only(
    filled: Ledger, tamper: Tamper
) -> None:
    noted = filled.head()
    records = filled.records()
    forged = [records[0], records[1]]
    for record in records[2:]:
        content = replace(record.content, subject="somebody else") if record.sequence == 3 else record.content
        forged.append(Record.after(forged[-1].anchor, content))
    for record in forged:
        tamper.run(
            f"UPDATE records SET subject = '{record.content.subject}', previous = '{record.previous}',"
            f" hash = '{record.hash}' WHERE sequence = {record.sequence}"
        )
    tamper.run(f"UPDATE head SET hash = '{forged[-1].hash}'")
    assert filled.verify().intact
    fault = filled.verify(noted).fault
    assert fault is not None
    assert (fault.kind, fault.sequence) == ("changed", 8)
    assert filled.verify(records[1].anchor).intact


def test_a_truncated_ledger_with_its_head_set_back_is_found_by_a_noted_anchor(
    filled: Ledger, tamper: Tamper
) -> None:
    noted, fifth = filled.head(), filled.records()[4]
    tamper.run(
        "DELETE FROM records WHERE sequence > 5", f"UPDATE head SET sequence = 5, hash = '{fifth.hash}'"
    )
    assert filled.verify().intact
    fault = filled.verify(noted).fault
    assert fault is not None
    assert (fault.kind, fault.sequence) == ("removed", 6)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE records SET subject = 'x'", "DELETE FROM records", "UPDATE records SET sequence = 99"],
)
def test_the_database_itself_refuses(filled: Ledger, tamper: Tamper, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        tamper.politely(statement)
    assert filled.verify().intact


def test_two_writers_at_once_make_one_chain(url: str) -> None:
    broken: list[Exception] = []

    def write(name: str) -> None:
        try:
            with Ledger(url) as own:
                for i in range(25):
                    own.append("audit", {"category": "log event", "action": f"{name} {i}"}, Named(name))
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
    with Ledger(url, create=False) as ledger:
        assert (ledger.verify().intact, ledger.verify().records) == (True, 75)
        for name in "abc":
            own = [r.body["action"] for r in ledger.records() if r.content.subject == name]
            assert own == [f"{name} {i}" for i in range(25)]


def test_all_or_none(filled: Ledger) -> None:
    head = filled.head()
    with pytest.raises(UnknownNameError):
        filled.append_all(
            [
                ("recommendation", advice(cell="c8")),
                ("decision", {"recommendation_id": "0" * 32, "action": "accept"}),
            ],
            WHO,
        )
    assert filled.head() == head
    assert filled.verify().intact


def test_the_same_recommendation_is_written_once(filled: Ledger) -> None:
    first = filled.recommendation(recommendation("c1").recommendation_id).record
    assert filled.append("recommendation", advice(cell="c1"), Named("other")) == first
    assert filled.append("settings", SETTINGS, WHO).sequence == 1
    again = filled.append("recommendation", {**advice(cell="c1"), "context": {"row": "x"}}, WHO)
    assert again.sequence == 9


def test_a_lost_head_stops_writing(filled: Ledger, tamper: Tamper) -> None:
    tamper.run("DELETE FROM head")
    for ask in (lambda: filled.append("settings", {**SETTINGS, "digest": "a" * 64}, WHO), filled.head):
        with pytest.raises(LedgerError, match="head"):
            ask()


RID = recommendation("c0").recommendation_id


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ("decision", {"recommendation_id": RID, "action": "reject"}, "reason"),
    ("decision", {"recommendation_id": RID, "action": "reject", "reason": "  "}, "reason"),
    ("decision", {"recommendation_id": RID, "action": "modify"}, "levers"),
    (
        "decision",
        {"recommendation_id": RID, "action": "accept", "levers": {"set_voltage_v": 3.95}},
        "levers",
    ),
    ("decision", {"recommendation_id": RID, "action": "modify", "levers": {"tap_kg": 1.0}}, "no lever"),
    (
        "decision",
        {"recommendation_id": RID, "action": "modify", "levers": {"set_voltage_v": 4.2}},
        "outside",
    ),
    (
        "decision",
        {"recommendation_id": RID, "action": "modify", "levers": {"set_voltage_v": float("nan")}},
        "finite",
    ),
    ("decision", {"recommendation_id": RID, "action": "ignore"}, "action"),
    ("decision", {"recommendation_id": "../x", "action": "accept"}, "recommendation_id"),
    ("decision", {"recommendation_id": RID, "action": "accept", "role": "admin"}, "role"),
    ("applied", {"recommendation_id": RID, "date": "2025-03-10", "levers": {}}, "levers"),
    ("applied", {"recommendation_id": RID, "date": "2025-03-10", "levers": {"x": 1.0}}, "no lever"),
    (
        "measured",
        {"recommendation_id": RID, "first": "2025-03-11", "last": "2025-03-10", "outcomes": {"a": 1}},
        "before",
    ),
    (
        "measured",
        {
            "recommendation_id": RID,
            "first": "2025-03-10",
            "last": "2025-03-10",
            "outcomes": {"a": float("inf")},
        },
        "finite",
    ),
    ("audit", {"category": "gossip", "action": "x"}, "category"),
    ("audit", {"category": "log event", "action": "a\nb"}, "action"),
    ("audit", {"category": "log event", "action": "a", "target": {"x": float("nan")}}, "finite|JSON"),
    (
        "recommendation",
        {**advice(), "recommendation": {**advice()["recommendation"], "cell_id": "c9"}},
        "content",
    ),
    ("diary", {}, "diary"),
]


def test_what_makes_no_sense_is_refused(filled: Ledger) -> None:
    head = filled.head()
    for kind, body, words in REFUSED:
        with pytest.raises(InputError, match=words):
            filled.append(kind, body, WHO)
    assert filled.head() == head


def test_expired_and_held_recommendations_are_not_accepted(filled: Ledger, clock: Clock) -> None:
    held = filled.append("recommendation", advice(cell="c7", status="hold"), WHO).content.about
    with pytest.raises(InputError, match="nothing to decide"):
        filled.append("decision", {"recommendation_id": held, "action": "accept"}, WHO)
    modify = {"recommendation_id": RID, "action": "modify", "levers": {"set_voltage_v": 3.91}}
    filled.append("decision", modify, WHO)
    clock.time = MORNING + timedelta(days=1)
    for action in ({"recommendation_id": RID, "action": "accept"}, modify):
        with pytest.raises(InputError, match="expired"):
            filled.append("decision", action, WHO)
    filled.append("decision", {"recommendation_id": RID, "action": "reject", "reason": "too late"}, WHO)
    assert [d.decision.action for d in filled.decisions(RID)] == ["accept", "modify", "reject"]


def test_other_lines_look_like_none(filled: Ledger) -> None:
    own = Identity("a", Role.ADMIN, frozenset({"L1"}), "a")
    other = Identity("b", Role.ADMIN, frozenset({"L2"}), "b")
    body = {"recommendation_id": RID, "action": "accept"}
    filled.append("decision", body, own)
    for kind, entry in (("decision", body), ("recommendation", advice(cell="c8"))):
        with pytest.raises(UnknownNameError, match="there is no recommendation"):
            filled.append(kind, entry, other)  # type: ignore[arg-type]


def test_names_that_are_none_are_refused(ledger: Ledger) -> None:
    for name in ("", "a\x00b", "a\nb", "x" * 400):
        with pytest.raises(InputError, match="subject"):
            ledger.append("settings", SETTINGS, Named(name))


def test_numbers_and_texts_come_back_bit_for_bit(ledger: Ledger) -> None:
    target = {"n": 2**62, "words": "电解槽 \x00 \ud800 é", "x": 0.1 + 0.2, "y": 5e-324, "z": -0.0}
    ledger.append("audit", {"category": "log event", "action": "电压", "target": target}, WHO)
    body = ledger.records()[0].body
    assert repr(body["target"]) == repr(target)
    assert ledger.verify().intact


def test_an_export_is_verified_by_itself(filled: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    assert write_export(filled, path) == filled.head()
    assert verify_export(path, filled.head()).records == 8
    lines = path.read_text().splitlines(keepends=True)

    def fault(change: Callable[[list[str]], list[str]]) -> tuple[str, int]:
        path.write_text("".join(change(list(lines))))
        found = verify_export(path).fault
        assert found is not None
        return found.kind, found.sequence

    assert fault(lambda rows: [*rows[:3], *rows[4:]]) == ("removed", 3)
    assert fault(lambda rows: rows[:-2]) == ("removed", 7)
    assert fault(lambda rows: [*rows[:2], rows[2].replace("3.94", "3.96"), *rows[3:]]) == ("changed", 2)
    assert fault(lambda rows: [*rows[:3], rows[4], rows[3], *rows[5:]]) == ("moved", 3)
    for bad in ("", "{}\n", "[1]\n", lines[0] + "{}\n", lines[0] + "x\n"):
        path.write_text(bad)
        with pytest.raises(InputError, match="export"):
            verify_export(path)


def test_the_command_says_intact_or_what_is_wrong(
    filled: Ledger, tamper: Tamper, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ledger", "verify", "--ledger", url]) == 0
    anchor = capsys.readouterr().out.splitlines()[-1]
    assert anchor == str(filled.head())
    out = str(tmp_path / "all.jsonl")
    assert run(["ledger", "export", "--ledger", url, "--out", out]) == 0
    assert run(["ledger", "verify", "--file", out, "--anchor", anchor]) == 0
    tamper.run("UPDATE records SET subject = 'x' WHERE sequence = 5")
    capsys.readouterr()
    assert run(["ledger", "verify", "--ledger", url, "--anchor", anchor]) == 1
    assert "record 5 was changed" in capsys.readouterr().err
    assert run(["ledger", "verify", "--ledger", url, "--anchor", "8:x"]) == 2
    assert run(["ledger", "verify", "--ledger", f"sqlite:///{tmp_path}/none.db"]) == 2
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://a:secret@b/c",
        "postgresql:secret",
        "nonsense",
        "x://secret",
    ],
)
def test_places_that_keep_no_ledger_are_refused_without_their_password(bad: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Ledger(bad)
    assert "secret" not in str(refused.value)


def test_the_file_is_the_owners_only(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}") as ledger:
        ledger.append("settings", SETTINGS, WHO)
        for path in (tmp_path / "deep").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_migrations_make_what_the_code_reads(url: str, ledger: Ledger) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        migrations = MigrationContext.configure(connection)
        assert compare_metadata(migrations, METADATA) == []
        assert migrations.get_current_revision() == NEWEST
    engine.dispose()


def test_a_schema_of_another_version_is_refused(url: str, ledger: Ledger, tamper: Tamper) -> None:
    tamper.politely("UPDATE alembic_version SET version_num = '9999'")
    for create in (True, False):
        with pytest.raises(SettingsError, match="9999"):
            Ledger(url, create=create)


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is no database at all" * 100)
    for create in (True, False):
        with pytest.raises(SettingsError):
            Ledger(f"sqlite:///{path}", create=create)


def test_more_records_than_are_read_at_once(ledger: Ledger) -> None:
    body = {"category": "log event", "action": "x"}
    ledger.append_all([("audit", body)] * 2000, WHO)
    assert [record.sequence for record in ledger.records()] == list(range(1, 2001))
    assert [record.sequence for record in ledger.records("audit", after=999)] == list(range(1000, 2001))
    assert ledger.verify().records == 2000


def test_the_newest_revision_is_the_last_migration() -> None:
    folder = Path(serving.ledger.__file__).parent / "migrations" / "versions"
    assert sorted(path.stem.split("_")[0] for path in folder.glob("v*.py"))[-1] == f"v{NEWEST}"


def test_the_audit_writes_and_its_failure_is_told_in_the_log(
    ledger: Ledger, tamper: Tamper, caplog: pytest.LogCaptureFixture
) -> None:
    audit = LedgerAudit(ledger)
    audit("li.wei/0a1b", "promote", {"model": "potline", "version": "ab" * 32})
    record = ledger.records("audit")[0]
    assert record.content.subject == "li.wei/0a1b"
    assert record.body == {
        "category": "configuration change",
        "action": "promote",
        "target": {"model": "potline", "version": "ab" * 32},
        "result": "done",
    }
    tamper.run("DELETE FROM head")
    with caplog.at_level("ERROR", "superheat.audit"):
        audit("li.wei/0a1b", "rollback", {"model": "potline"})
    assert caplog.records[-1].fields["what"] == "rollback"  # type: ignore[attr-defined]


def test_a_line_is_asked_about_without_reading_the_whole_ledger(filled: Ledger) -> None:
    ids = [recommendation(f"c{i}").recommendation_id for i in range(4)]
    assert filled.advised_by_cell("L1") == {f"c{i}": 1 for i in range(4)}
    assert filled.advised_by_cell("L2") == {}
    found = filled.advised([ids[2], "f" * 32, ids[0]])
    assert {key: one.recommendation.cell_id for key, one in found.items()} == {ids[0]: "c0", ids[2]: "c2"}
    assert filled.advised([]) == {}
    assert [one.recommendation.recommendation_id for one in filled.unanswered("decision", "L1")] == ids[2:]
    body = {"recommendation_id": ids[3], "date": "2025-03-10", "levers": {"set_voltage_v": 3.94}}
    filled.append("applied", body, WHO)
    assert [one.recommendation.recommendation_id for one in filled.unanswered("applied", "L1")] == ids[:3]
    assert filled.unanswered("applied", "L2") == []
