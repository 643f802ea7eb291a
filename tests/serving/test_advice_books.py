"""A line's clock: which day is decided on, and when advice has expired, at a real line and at a simulated one."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.errors import InputError, UnknownNameError
from serving.access import Identity, Role
from serving.advising.books import Books
from serving.ledger import Ledger
from serving.ports import Named
from serving.record.intake import take
from serving.record.store import RecordStore
from tests.fakes.posted import posted, rows_of, samples

LATE = datetime.datetime(2024, 1, 5, 17, 30, tzinfo=datetime.UTC)
"""Half past one in the morning of the sixth in Shanghai."""


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    url = f"sqlite:///{tmp_path / 'books.db'}"
    with Ledger(url) as ledger, RecordStore(url) as record:
        yield Books(ledger, record, url, url, lambda: LATE)


def put(books: Books, simulated: bool, days: int) -> None:
    body: dict[str, Any] = posted(rows_of(samples(), cells=1, days=days))
    body["plant"]["simulated"] = simulated
    take(json.dumps(body).encode(), books.record, None, (), LATE)


@pytest.mark.parametrize(("days", "date"), [(2, "2024-01-06"), (5, "2024-01-06"), (6, "2024-01-07")])
def test_a_real_line_decides_on_today_or_tomorrow_once_today_is_reported(
    books: Books, days: int, date: str
) -> None:
    put(books, simulated=False, days=days)
    line = books.record.line("L1")
    assert books.today(line) == datetime.date(2024, 1, 6)
    assert books.time_at(line) == LATE
    assert books.decision_date(line, None).isoformat() == date


def test_a_simulated_line_lives_in_the_day_after_its_record(books: Books) -> None:
    put(books, simulated=True, days=20)
    line = books.record.line("L1")
    assert books.today(line) == books.decision_date(line, None) == datetime.date(2024, 1, 21)
    assert books.time_at(line) == LATE + datetime.timedelta(days=15)


def test_days_too_far_away_are_refused(books: Books) -> None:
    put(books, simulated=False, days=5)
    line = books.record.line("L1")
    assert books.decision_date(line, datetime.date(2024, 1, 8)) == datetime.date(2024, 1, 8)
    with pytest.raises(InputError, match="lies ahead: today is 2024-01-06"):
        books.decision_date(line, datetime.date(2024, 1, 9))
    later = replace(books, now=lambda: LATE + datetime.timedelta(days=200))
    with pytest.raises(InputError, match="ends on 2024-01-05"):
        later.decision_date(line, None)


def test_others_lines_are_as_lines_that_are_not(books: Books) -> None:
    put(books, simulated=True, days=3)
    stranger = Identity("stranger", Role.ADMIN, frozenset({"L2"}), "x")
    with pytest.raises(UnknownNameError) as theirs:
        books.visible_line(stranger, "L1")
    with pytest.raises(UnknownNameError) as none:
        books.visible_line(Named("all"), "L9")
    assert str(theirs.value).replace("L1", "L9") == str(none.value)
    assert books.visible_line(Named("all"), "L1").line_id == "L1"
