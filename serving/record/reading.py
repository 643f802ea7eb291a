"""One posted row becomes canonical values, or is set aside with the reason: never mended, never guessed."""

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from features.layout import MATERIALS, Layout
from features.signals import SIGNALS, Signal

LONGEST_TEXT: Final = 128
FIRST_YEAR, LAST_YEAR = 1950, 2200
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH = datetime.date(1970, 1, 1)
_SHOWN: Final = 40

Value = str | float | None

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "not_a_row": ("a row is a JSON object of column and value", "每行应为“列名: 值”的 JSON 对象"),
    "unknown_column": (
        "not a column of table {table}; its columns are in the data dictionary",
        "表 {table} 没有这一列，列名见数据字典",
    ),
    "missing_key": ("the row has no key here", "该行缺少主键"),
    "not_text": (
        "text of 1 to {longest} printable characters is expected",
        "应为 1 至 {longest} 个可打印字符的文本",
    ),
    "not_a_day": ("a day is written YYYY-MM-DD", "日期应写作 YYYY-MM-DD"),
    "not_an_instant": (
        "an instant is written in ISO 8601 with its offset, such as 2025-03-10T06:00:00Z",
        "时刻应为带时区的 ISO 8601 格式，例如 2025-03-10T06:00:00Z",
    ),
    "year": ("the year is in no plant's record", "年份不在任何电厂记录范围内"),
    "not_a_number": ("a number or null is expected", "应为数值或 null"),
    "not_finite": ("not a finite number", "不是有限数值"),
    "range": (
        "outside the plausible range {low:g} to {high:g} {unit}",
        "超出合理范围 {low:g} 至 {high:g} {unit}",
    ),
    "vocabulary": ("none of {choices}", "不属于 {choices}"),
    "empty_row": ("no signal of the row is known", "该行没有任何已知信号"),
    "missing": ("a row without it says nothing", "缺少该值的行没有意义"),
    "heavy_butt": ("the butt weighs more than the new anode", "残极重于新极"),
    "removed_early": ("removed before it was set", "取出时刻早于装入时刻"),
    "reported_early": (
        "reported before it was sampled: is one of them in another zone?",
        "报告时刻早于取样时刻：时区是否不一致？",
    ),
    "future": ("lies in the future: a wrong clock or a wrong zone", "位于未来：时钟或时区有误"),
    "isolated": (
        "more than {days} days away from the rest of the record: a clock that was reset",
        "与其余记录相距超过 {days} 天：时钟可能被重置",
    ),
    "duplicate": ("an earlier row is the same", "与前面的行相同"),
    "conflict": ("another row has the same {key} but other values", "另有一行主键 {key} 相同但数值不同"),
    "no_line": (
        "no line is named: post the lot together with rows of its line",
        "未指明系列：请与该系列的数据行一并提交",
    ),
}


@dataclass(frozen=True)
class Fault:
    """Why a row is set aside; ``row`` is its place in the posted array, from 0."""

    table: str
    row: int
    column: str
    value: str
    code: str
    reason: str
    reason_zh: str


@dataclass
class Row:
    """One row on its way in.

    ``values``: canonical values by column: text, days as YYYY-MM-DD, instants in UTC, signals as floats; a column
    that was not posted is not among them. ``faults``: why it is set aside; ``keyed``: its key is sound all the same.
    """

    table: str
    place: int
    values: dict[str, Value]
    faults: list[Fault] = field(default_factory=list)
    keyed: bool = True

    def key(self, layout: Layout) -> tuple[str, ...]:
        """Return the values of its key."""
        return tuple(str(self.values[name]) for name in layout.key)


def fault(row: Row, column: str, code: str, value: object = "", **told: object) -> Fault:
    """Return the fault ``code`` of ``row``, its sentences filled from ``told``."""
    words, words_zh = _WORDS[code]
    return Fault(
        row.table, row.place, column, _shown(value), code, words.format(**told), words_zh.format(**told)
    )


def read_row(posted: object, place: int, layout: Layout, sensors: Mapping[str, Signal]) -> Row:
    """Return row ``place`` of a table as posted, with every fault that it shows by itself."""
    row = Row(layout.name, place, {})
    if not isinstance(posted, dict):
        row.faults.append(fault(row, "", "not_a_row", posted))
        row.keyed = False
        return row
    own = sensors if layout.name == "cell_days" else {}
    kinds, values = layout.kinds, row.values
    for column, value in posted.items():
        # Nearly every value is a number of the dictionary within its range, or not known.
        if kinds.get(column) == "signal" and column not in own:
            of = SIGNALS[column]
            if value is None or (type(value) is float and of.low <= value <= of.high):
                values[column] = value
                continue
        if column not in kinds and column not in own:
            row.faults.append(fault(row, str(column)[:_SHOWN], "unknown_column", value, table=layout.name))
            continue
        code, told = _read(row, column, value, layout, own)
        if code:
            row.faults.append(fault(row, column, code, value, **told))
            row.keyed &= column not in layout.key
    for column in layout.key:
        if row.values.get(column) is None:
            row.keyed = False
            if not any(found.column == column for found in row.faults):
                row.faults.append(fault(row, column, "missing_key"))
    return row


def _read(
    row: Row, column: str, value: object, layout: Layout, sensors: Mapping[str, Signal]
) -> tuple[str, dict[str, Any]]:
    """Put the canonical value of ``column`` into ``row``; return what is wrong with it ("" = nothing)."""
    kind = layout.kind(column)
    if value is None:
        row.values[column] = None
        return "", {}
    if kind == "signal":
        return _number(row, column, value, sensors.get(column) or SIGNALS[column])
    if not isinstance(value, str):
        return "not_text", {"longest": LONGEST_TEXT}
    if kind == "day":
        return _day(row, column, value), {}
    if kind == "time":
        return _instant(row, column, value), {}
    if not (0 < len(value) <= LONGEST_TEXT and value.isprintable() and value == value.strip()):
        return "not_text", {"longest": LONGEST_TEXT}
    if column == "material" and value not in MATERIALS:
        return "vocabulary", {"choices": ", ".join(MATERIALS)}
    row.values[column] = value
    return "", {}


def _number(row: Row, column: str, value: object, of: Signal) -> tuple[str, dict[str, Any]]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not_a_number", {}
    try:
        number = float(value)
    except OverflowError:
        return "not_finite", {}
    if not math.isfinite(number):
        return "not_finite", {}
    row.values[column] = number
    # A stopped cell's instruments show what no running cell does: whether it is one is judged with the whole row.
    if not of.low <= number <= of.high:
        return "range", {"low": of.low, "high": of.high, "unit": of.unit}
    return "", {}


def _day(row: Row, column: str, value: str) -> str:
    try:
        day = datetime.date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        return "not_a_day"
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        return "year"
    row.values[column] = day.isoformat()
    return ""


def _instant(row: Row, column: str, value: str) -> str:
    try:
        moment = datetime.datetime.fromisoformat(value) if len(value) <= _SHOWN else None
        utc = moment.astimezone(datetime.UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None:
        return "not_an_instant"
    if not FIRST_YEAR <= utc.year <= LAST_YEAR:
        return "year"
    row.values[column] = utc.replace(tzinfo=None).isoformat(timespec="microseconds")
    return ""


def day_number(row: Row, layout: Layout) -> int | None:
    """Return the days since 1970 of the row's own day or instant (UTC); None where its key has none."""
    for column in (*layout.days, *layout.times):
        if column in layout.key:
            return (datetime.date.fromisoformat(str(row.values[column])[:10]) - _EPOCH).days
    return None


def stamps(row: Row, layout: Layout) -> Iterator[tuple[str, datetime.datetime]]:
    """Yield every known day (at its midnight) and instant (UTC) of ``row``, without a zone."""
    for column in (*layout.days, *layout.times):
        value = row.values.get(column)
        if isinstance(value, str):
            yield column, datetime.datetime.fromisoformat(value)


def _shown(value: object) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
