"""Cells become numbers, days and instants; what cannot is a fault of its row, never a guess.

``float`` and ``pandas.to_numeric`` both read 1E400 as infinity and know nothing of a decimal comma, so numbers are
read here: the marks of a file are settled once, from all its numeric columns together, and a file whose marks
cannot be settled is refused.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import MappingError

MISSING = frozenset(
    {
        "", "-", "--", "---", "—", "——", "/", "*", "n/a", "na", "#n/a", "#n/a n/a", "nan", "null", "none", "nil",
        "bad", "bad input", "bad quality", "i/o timeout", "no data", "no result", "not connect", "comm fail",
        "intf shut", "scan off", "scan timeout", "pt created", "arc off-line", "under range", "over range",
        "out of serv", "invalid data", "calc failed", "invalid float", "shutdown", "equip fail", "configure",
        "#value!", "#ref!", "#div/0!", "#num!", "#name?", "#null!", "无", "空", "无数据", "坏点", "停槽", "未测",
    }
)  # fmt: skip
"""Cell texts (folded to lower case) that historians, laboratories and Excel write where there is no value."""

ISO_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z",
)  # fmt: skip
"""Year first, so that no day is taken for a month; other orders are declared."""

_FIRST_YEAR, _LAST_YEAR = 1950, 2200
_COMMA_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_DOT_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?")
_COMMA_DECIMAL = re.compile(r"[+-]?[0-9.]*,[0-9]*")
_STRAY = 0.05
_DIGITS = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Marks:
    """How the file writes numbers: the decimal mark and the thousands mark ("" = none)."""

    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True)
class Parsed:
    """One column read: values (n,), which cells hold no value, which could not be read and why ("" = fine)."""

    values: Any
    missing: NDArray[np.bool_]
    problem: NDArray[np.object_]


def is_missing(cell: object, further: Collection[str] = ()) -> bool:
    """Say whether ``cell`` is one of the ways of writing "no value", or one of ``further`` (text or number)."""
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return True
    text = str(cell).strip()
    if text.lower() in MISSING or text in further:
        return True
    number = _number_or_none(text) if further else None
    return number is not None and any(_number_or_none(value) == number for value in further)


def _number_or_none(text: str) -> float | None:
    return float(text) if _DIGITS.fullmatch(text.strip()) else None


def settle_marks(cells: Iterable[object], decimal: str | None, thousands: str | None, where: str) -> Marks:
    """Return how the file writes numbers, from what is declared and what its texts prove.

    Raises:
        MappingError: the texts contradict each other, or only ambiguous ones such as "7,545" are there.
    """
    if decimal is not None:
        return Marks(decimal, thousands or "")
    counts = Counter(cell for cell in cells if isinstance(cell, str))
    texts: Counter[str] = Counter()
    for cell, count in counts.items():
        texts[cell.strip().replace(" ", "")] += count
    commas = [t for t in texts if "," in t and any(c.isdigit() for c in t)]
    if not commas:
        return Marks(".", thousands or "")
    groups = [t for t in commas if _COMMA_THOUSANDS.fullmatch(t)]
    by_comma = [t for t in commas if _COMMA_DECIMAL.fullmatch(t) and not _COMMA_THOUSANDS.fullmatch(t)]
    by_dot = [t for t in groups if "." in t or t.count(",") > 1]
    by_dot += [t for t in texts if "." in t and _DIGITS.fullmatch(t) and not _DOT_THOUSANDS.fullmatch(t)]
    comma_cells, dot_cells = (sum(texts[t] for t in found) for found in (by_comma, by_dot))
    rarer, evidence = min(comma_cells, dot_cells), comma_cells + dot_cells
    if not evidence:
        raise MappingError(
            f"{where}: {commas[0]!r} may be a decimal comma or a thousands mark; declare decimal in the mapping"
        )
    if rarer > _STRAY * evidence:
        raise MappingError(
            f"{where}: {by_comma[0]!r} has a decimal comma but {by_dot[0]!r} a decimal point;"
            " declare decimal, or correct the file"
        )
    if comma_cells > dot_cells:
        return Marks(
            ",",
            ("." if any(_DOT_THOUSANDS.fullmatch(t) for t in texts) else "")
            if thousands is None
            else thousands,
        )
    return Marks(".", ("," if groups else "") if thousands is None else thousands)


def parse_numbers(cells: Sequence[object], marks: Marks, further: Collection[str] = ()) -> Parsed:
    """Return ``cells`` (n,) as float64, NaN where there is no value; a text that is no number is a problem."""
    keys = list(zip(map(type, cells), cells, strict=True))  # True is no 1 and 1.0 no "1.0"
    distinct = {key: _read_number(key[1], marks, further) for key in set(keys)}
    read = [distinct[key] for key in keys]
    values, missing, problem = zip(*read, strict=True) if read else ((), (), ())
    return Parsed(
        np.array(values, dtype=np.float64), np.array(missing, dtype=np.bool_), np.array(problem, dtype=object)
    )


def _read_number(cell: object, marks: Marks, further: Collection[str]) -> tuple[float, bool, str]:
    """Return a cell's number (NaN where there is none), whether it holds no value, and what is wrong with it."""
    if is_missing(cell, further):
        return math.nan, True, ""
    number = _number(cell, marks)
    if number is None:
        return math.nan, False, "not a number"
    return (number, False, "") if math.isfinite(number) else (math.nan, False, "not a finite number")


def _number(cell: object, marks: Marks) -> float | None:
    if isinstance(cell, (bool, np.bool_)):
        return None
    if isinstance(cell, (int, float, np.integer, np.floating)):
        return float(cell)
    if not isinstance(cell, str):
        return None  # Excel turns 4.05 into the fourth of May: a date in a number's place is no number
    text = cell.strip()
    if marks.thousands and not _grouped(text, marks):
        return None
    if marks.thousands:
        text = text.replace(marks.thousands, "")
    if marks.decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".", 1)
    return float(text) if _DIGITS.fullmatch(text) else None


def _grouped(text: str, marks: Marks) -> bool:
    """Say whether the thousands marks of ``text``, if any, stand in front of groups of three digits."""
    whole = text.split(marks.decimal)[0].lstrip("+-")
    groups = whole.split(marks.thousands)
    return len(groups) == 1 or (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:]))


def parse_text(cells: Sequence[object], further: Collection[str] = ()) -> Parsed:
    """Return ``cells`` as text; a whole number loses Excel's ".0", so that cell 2001.0 is cell "2001"."""
    missing = np.array([is_missing(cell, further) for cell in cells], dtype=np.bool_)
    values = np.array(
        ["" if empty else _label(cell) for cell, empty in zip(cells, missing, strict=True)], dtype=object
    )
    return Parsed(values, missing, np.full(len(cells), "", dtype=object))


def _label(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


@dataclass(frozen=True)
class Clock:
    """How a column writes days and instants: formats, zone of stamps without offset, time added, shift."""

    zone: str
    formats: tuple[str, ...] = ()
    time_of_day: str = ""
    shift_hours: float = 0.0


def parse_days(cells: Sequence[object], clock: Clock, further: Collection[str] = ()) -> Parsed:
    """Return ``cells`` as the plant's calendar days (naive datetime64[us] at midnight)."""
    stamps, missing, problem = _stamps(cells, clock, further)
    shift = timedelta(hours=clock.shift_hours)
    zone = ZoneInfo(clock.zone)
    local = [
        None if s is None else (s.astimezone(zone).replace(tzinfo=None) if s.tzinfo else s) + shift
        for s in stamps
    ]
    days = pd.to_datetime(pd.Series(local, dtype=object)).astype("datetime64[us]").dt.normalize()
    return Parsed(days, missing, problem)


def parse_times(cells: Sequence[object], clock: Clock, further: Collection[str] = ()) -> Parsed:
    """Return ``cells`` as UTC instants; a local time that the zone skips or repeats is a problem of its row."""
    stamps, missing, problem = _stamps(cells, clock, further)
    added = _time_of_day(clock.time_of_day)
    whole = [s if s is None or added is None or s.time() != time(0) else s + added for s in stamps]
    naive = pd.Series([None if s is None or s.tzinfo else s for s in whole], dtype=object)
    aware = pd.Series([s if s is not None and s.tzinfo else None for s in whole], dtype=object)
    wall = pd.to_datetime(naive).astype("datetime64[us]")
    placed = wall.dt.tz_localize(clock.zone, ambiguous="NaT", nonexistent="NaT")
    lost = (wall.notna() & placed.isna()).to_numpy()
    skipped = wall.dt.tz_localize(
        clock.zone, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent="NaT"
    ).isna()
    problem[lost & skipped.to_numpy()] = (
        f"this local time does not exist in {clock.zone}: the clocks go forward"
    )
    problem[lost & ~skipped.to_numpy()] = f"this local time occurs twice in {clock.zone}: give it in UTC"
    instants = placed.dt.tz_convert("UTC").astype("datetime64[us, UTC]")
    given = pd.to_datetime(aware, utc=True).astype("datetime64[us, UTC]")
    shifted = instants.fillna(given) + pd.Timedelta(hours=clock.shift_hours)
    return Parsed(shifted.astype("datetime64[us, UTC]"), missing, problem)


def _time_of_day(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        moment = time.fromisoformat(text)
    except ValueError as error:
        raise MappingError(f"time_of_day is {text!r}; write HH:MM") from error
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def _stamps(
    cells: Sequence[object], clock: Clock, further: Collection[str]
) -> tuple[list[datetime | None], NDArray[np.bool_], NDArray[np.object_]]:
    formats = clock.formats or ISO_DATES
    seen: dict[object, datetime | None] = {}
    stamps: list[datetime | None] = []
    missing = np.zeros(len(cells), dtype=np.bool_)
    problem = np.full(len(cells), "", dtype=object)
    for i, cell in enumerate(cells):
        if is_missing(cell, further):
            missing[i] = True
            stamps.append(None)
            continue
        if cell not in seen:
            seen[cell] = _stamp(cell, formats)
        stamp = seen[cell]
        if stamp is None:
            problem[i] = f"not a date in {' or '.join(formats[:3])}"
        elif not _FIRST_YEAR <= stamp.year <= _LAST_YEAR:
            problem[i] = f"the year {stamp.year} is in no plant's record"
            stamp = None
        stamps.append(stamp)
    return stamps, missing, problem


def _stamp(cell: object, formats: tuple[str, ...]) -> datetime | None:
    if isinstance(cell, pd.Timestamp):
        return cell.to_pydatetime()
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    text = _label(cell)
    for form in formats:
        if form == "excel" and isinstance(cell, (int, float)):
            return datetime(1899, 12, 30) + timedelta(days=float(cell))
        try:
            return datetime.strptime(text.removesuffix("Z") + "+0000" if text.endswith("Z") else text, form)
        except ValueError:
            continue
    return None
