"""Folding the canonical tables into daily arrays: who was it, which plant day was it, what was in the cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from features.errors import ContractError
from features.plant import Plant
from features.record import SAMPLE_SIGNALS, WEIGHED_AFTER_DAYS, Anodes, Days, Floats, Ints, Samples

Columns = Mapping[str, NDArray[Any]]

_KEYS = ("line_id", "cell_id", "date")
_ANODE_QUALITY = ("crr_pct", "arr_pct", "air_permeability_npm", "thermal_conductivity_w_mk")
_ALUMINA_QUALITY = ("soda_wt_pct", "fines_wt_pct")
_LINE_MEDIANS = ("bath_temperature_c", "noise_mv", "cell_voltage_v")
_DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Folded:
    """The arrays of a History, before it has a plant."""

    cell_ids: NDArray[np.str_]
    line_ids: NDArray[np.str_]
    dates: Days
    signals: Mapping[str, Floats]
    samples: Samples
    anodes: Anodes


@dataclass(frozen=True)
class _Frame:
    """Where a row belongs: cells by (line, cell), days by date, instants by the plant's zone."""

    cell_ids: NDArray[np.str_]
    line_ids: NDArray[np.str_]
    dates: Days
    zone: str

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.dates), len(self.cell_ids)

    def cells(self, columns: Columns) -> Ints:
        """Return each row's cell index, -1 where ``cell_days`` does not know the cell."""
        index = {key: i for i, key in enumerate(zip(self.line_ids, self.cell_ids, strict=True))}
        keys = zip(_text(columns["line_id"]), _text(columns["cell_id"]), strict=True)
        return np.array([index.get(key, -1) for key in keys], dtype=np.intp)

    def rows(self, day: Days) -> Ints:
        """Return each day's row, -1 outside the calendar or NaT."""
        offset = (day - self.dates[0]).astype(np.int64)
        inside = ~np.isnat(day) & (offset >= 0) & (offset < len(self.dates))
        return np.where(inside, offset, -1).astype(np.intp)

    def empty(self) -> Floats:
        return np.full(self.shape, np.nan)


def fold(tables: Mapping[str, Columns], plant: Plant, through: np.datetime64 | None = None) -> Folded:
    """Return the folded arrays of ``tables``, each a mapping of column name to array.

    The calendar ends with the last day of ``cell_days``, or at ``through`` where that is later: days on which nothing
    was reported are days too.

    Raises:
        ContractError: ``cell_days`` or a key column of it is missing, empty, or a key occurs twice.
    """
    days = tables.get("cell_days")
    if days is None or any(name not in days for name in _KEYS) or not len(days["date"]):
        raise ContractError(f"history: cell_days with the columns {', '.join(_KEYS)} is needed; give it")
    frame = _frame(days, plant, through)
    signals = _cell_days(frame, days)
    if (taps := tables.get("taps")) is not None:
        signals |= _taps(frame, taps, _reported(frame, days))
    anodes = _anodes(frame, tables.get("anode_changes"))
    signals |= _removals(frame, anodes)
    if (lots := tables.get("lots")) is not None:
        signals |= _anode_quality(frame, anodes, lots) | _alumina_quality(frame, lots)
    if (meters := tables.get("meters")) is not None:
        signals |= _meters(frame, meters)
    signals["line_current_ka"] = _line_current(frame, signals, plant)
    signals.pop("meter_current_ka", None)
    signals |= _line_medians(frame, signals)
    return Folded(
        frame.cell_ids,
        frame.line_ids,
        frame.dates,
        signals,
        _samples(frame, tables.get("bath_samples")),
        anodes,
    )


def local_time(utc: Days, zone: str) -> Floats:
    """Return naive UTC instants as fractional days since 1970-01-01 in ``zone``; NaT becomes NaN."""
    instants = np.asarray(utc, dtype="datetime64[us]")
    missing = np.isnat(instants)
    seconds = np.where(missing, 0, instants.astype(np.int64)) / 1e6
    # A zone changes its offset on whole quarter hours, so one look-up serves the whole quarter.
    quarters, place = np.unique(np.floor(seconds / 900.0), return_inverse=True)
    info = ZoneInfo(zone)
    offsets = np.array([_offset(float(quarter) * 900.0, info) for quarter in quarters])
    local = (seconds + offsets[place.reshape(seconds.shape)]) / _DAY_SECONDS
    return np.where(missing, np.nan, local)


def _offset(seconds: float, zone: ZoneInfo) -> float:
    shift = datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
    return 0.0 if shift is None else shift.total_seconds()


def _local_day(utc: Days, zone: str) -> Days:
    local = local_time(utc, zone)
    days = np.floor(np.nan_to_num(local)).astype(np.int64).astype("datetime64[D]")
    days[np.isnan(local)] = np.datetime64("NaT")
    return days


def _text(column: NDArray[Any]) -> NDArray[np.str_]:
    return np.asarray(column, dtype=np.str_)


def _numbers(column: NDArray[Any]) -> Floats:
    values = np.asarray(column, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _frame(days: Columns, plant: Plant, through: np.datetime64 | None) -> _Frame:
    pairs = sorted(set(zip(_text(days["line_id"]).tolist(), _text(days["cell_id"]).tolist(), strict=True)))
    dates = np.asarray(days["date"], dtype="datetime64[D]")
    last = dates.max() if through is None else max(dates.max(), through.astype("datetime64[D]"))
    calendar = np.arange(dates.min(), last + np.timedelta64(1, "D"))
    return _Frame(
        np.array([cell for _, cell in pairs], dtype=np.str_),
        np.array([line for line, _ in pairs], dtype=np.str_),
        calendar,
        plant.timezone,
    )


def _reported(frame: _Frame, days: Columns) -> NDArray[np.bool_]:
    seen = np.zeros(frame.shape, dtype=bool)
    seen[frame.rows(np.asarray(days["date"], dtype="datetime64[D]")), frame.cells(days)] = True
    return seen


def _cell_days(frame: _Frame, days: Columns) -> dict[str, Floats]:
    row, cell = frame.rows(np.asarray(days["date"], dtype="datetime64[D]")), frame.cells(days)
    flat = row * frame.shape[1] + cell
    values, counts = np.unique(flat, return_counts=True)
    if (counts > 1).any():
        where = divmod(int(values[counts > 1][0]), frame.shape[1])
        raise ContractError(
            f"history: cell_days has several rows for cell {frame.cell_ids[where[1]]} on {frame.dates[where[0]]};"
            " keep one"
        )
    folded = {}
    for name in days:
        if name not in _KEYS:
            folded[name] = frame.empty()
            folded[name][row, cell] = _numbers(days[name])
    return folded


def _taps(frame: _Frame, taps: Columns, reported: NDArray[np.bool_]) -> dict[str, Floats]:
    row, cell = frame.rows(_local_day(taps["time"], frame.zone)), frame.cells(taps)
    known = (row >= 0) & (cell >= 0)
    row, cell = row[known], cell[known]
    folded: dict[str, Floats] = {}
    for name in ("tap_mass_kg", "tap_target_kg"):
        if name in taps:
            # A tap without a mass makes the day's mass unknown: NaN is added on purpose.
            total, count = np.zeros(frame.shape), np.zeros(frame.shape)
            np.add.at(total, (row, cell), _numbers(taps[name])[known])
            np.add.at(count, (row, cell), 1.0)
            quiet = np.where(reported, 0.0, np.nan) if name == "tap_mass_kg" else np.nan
            folded[name] = np.where(count > 0, total, quiet)
    for name in ("fe_wt_pct", "si_wt_pct"):
        if name in taps:
            folded[name] = _mean_at(frame, row, cell, _numbers(taps[name])[known])
    return folded


def _mean_at(frame: _Frame, row: Ints, cell: Ints, values: Floats) -> Floats:
    finite = np.isfinite(values)
    total, count = np.zeros(frame.shape), np.zeros(frame.shape)
    np.add.at(total, (row[finite], cell[finite]), values[finite])
    np.add.at(count, (row[finite], cell[finite]), 1.0)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _anodes(frame: _Frame, changes: Columns | None) -> Anodes:
    if changes is None:
        none, text = np.zeros(0), np.zeros(0, dtype=np.str_)
        return Anodes(np.zeros(0, dtype=np.intp), text, none, none, none, none, text)
    size = len(changes["set_at"])
    lots = _text(changes["anode_lot"]) if "anode_lot" in changes else np.full(size, "", dtype=np.str_)
    anodes = Anodes(
        frame.cells(changes),
        _text(changes["position"]),
        local_time(changes["set_at"], frame.zone),
        local_time(changes["removed_at"], frame.zone),
        _numbers(changes["new_mass_kg"]),
        _numbers(changes["butt_mass_kg"]),
        lots,
    )
    anodes = anodes.take((anodes.cell >= 0) & np.isfinite(anodes.set_at))
    return anodes.take(np.lexsort((anodes.set_at, anodes.position, anodes.cell)))


def _removals(frame: _Frame, anodes: Anodes) -> dict[str, Floats]:
    """Fold the removals to the day on which their butts were weighed."""
    net = anodes.new_mass_kg - anodes.butt_mass_kg
    life = anodes.removed_at - anodes.set_at
    weighed = np.isfinite(net) & (life > 0)
    if not weighed.any():
        return {}
    day = np.floor(anodes.removed_at[weighed] + WEIGHED_AFTER_DAYS).astype(np.int64).astype("datetime64[D]")
    row, cell = frame.rows(day), anodes.cell[weighed]
    inside = row >= 0
    folded = {}
    for name, values in (
        ("anode_net_kg_removed", net[weighed]),
        ("anode_days_removed", life[weighed]),
        ("anodes_removed", np.ones(len(row))),
    ):
        folded[name] = np.zeros(frame.shape)
        np.add.at(folded[name], (row[inside], cell[inside]), values[inside])
    return folded


def _anode_quality(frame: _Frame, anodes: Anodes, lots: Columns) -> dict[str, Floats]:
    is_anode = _text(lots["material"]) == "anode"
    places = {lot: i for i, lot in enumerate(_text(lots["lot_id"])) if is_anode[i]}
    place = np.array([places.get(lot, -1) for lot in anodes.lot], dtype=np.intp)
    first = frame.dates[0].astype("datetime64[D]").astype(np.int64)
    # In the cell at the end of a day: set before midnight, not yet out.
    start = np.clip(np.floor(anodes.set_at) - first, 0, frame.shape[0]).astype(np.intp)
    stop = np.clip(np.nan_to_num(np.floor(anodes.removed_at) - first, nan=1e9), 0, frame.shape[0])
    folded = {}
    for name in (name for name in _ANODE_QUALITY if name in lots):
        quality = _numbers(lots[name])
        values = np.where(place >= 0, quality[place], np.nan)
        total, count = np.zeros(frame.shape), np.zeros(frame.shape)
        for i in np.flatnonzero(np.isfinite(values)):
            span = slice(start[i], int(stop[i]))
            total[span, anodes.cell[i]] += values[i]
            count[span, anodes.cell[i]] += 1.0
        folded[name] = np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)
    return {name: values for name, values in folded.items() if np.isfinite(values).any()}


def _alumina_quality(frame: _Frame, lots: Columns) -> dict[str, Floats]:
    alumina = np.flatnonzero(_text(lots["material"]) == "alumina")
    start = _local_day(lots["used_from"], frame.zone)[alumina]
    alumina, start = alumina[~np.isnat(start)], start[~np.isnat(start)]
    order = np.argsort(start, kind="stable")
    alumina, start = alumina[order], start[order]
    if not len(start):
        return {}
    place = np.searchsorted(start, frame.dates, side="right") - 1
    folded = {}
    for name in (name for name in _ALUMINA_QUALITY if name in lots):
        daily = np.where(place >= 0, _numbers(lots[name])[alumina[place]], np.nan)
        folded[name] = np.repeat(daily[:, None], frame.shape[1], axis=1)
    return folded


def _meters(frame: _Frame, meters: Columns) -> dict[str, Floats]:
    row = frame.rows(np.asarray(meters["date"], dtype="datetime64[D]"))
    lines = _text(meters["line_id"])
    folded = {}
    for name in (name for name in meters if name not in ("line_id", "date")):
        values, column = _numbers(meters[name]), frame.empty()
        for line in np.unique(lines):
            mine = (lines == line) & (row >= 0)
            column[np.ix_(row[mine], np.flatnonzero(frame.line_ids == line))] = values[mine][:, None]
        folded["meter_current_ka" if name == "line_current_ka" else name] = column
    return folded


def _line_current(frame: _Frame, signals: Mapping[str, Floats], plant: Plant) -> Floats:
    """Cells in series share one current: their own report, else the line's median that day, else the meter's.

    The nominal current stands in only where the plant records no amperage at all.
    """
    current = signals.get("line_current_ka", frame.empty())
    current = np.where(np.isnan(current), _median_by_line(frame, current), current)
    current = np.where(np.isnan(current), signals.get("meter_current_ka", frame.empty()), current)
    return current if np.isfinite(current).any() else np.full(frame.shape, plant.line_current_ka)


def _line_medians(frame: _Frame, signals: Mapping[str, Floats]) -> dict[str, Floats]:
    return {
        f"line_{name}": _median_by_line(frame, signals[name]) for name in _LINE_MEDIANS if name in signals
    }


def _median_by_line(frame: _Frame, values: Floats) -> Floats:
    """Return each line's median of the day (t, c); a median does not depend on the order of the cells."""
    medians = frame.empty()
    for line in np.unique(frame.line_ids):
        mine = np.flatnonzero(frame.line_ids == line)
        ordered = np.sort(values[:, mine], axis=1)  # NaN sorts last
        count = np.isfinite(ordered).sum(axis=1)
        rows = np.arange(len(ordered))
        low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
        middle = 0.5 * (
            ordered[rows, np.minimum(low, len(mine) - 1)] + ordered[rows, np.minimum(high, len(mine) - 1)]
        )
        medians[:, mine] = np.where(count > 0, middle, np.nan)[:, None]
    return medians


def _samples(frame: _Frame, table: Columns | None) -> Samples:
    if table is None:
        nat = np.zeros(0, dtype="datetime64[D]")
        return Samples(nat, nat, np.zeros(0, dtype=np.intp), {})
    sampled = _local_day(table["sampled_at"], frame.zone)
    reported = _local_day(table["reported_at"], frame.zone)
    # A result cannot be read before the bath was sampled, whatever the laboratory's clock says.
    reported = np.where(reported < sampled, sampled, reported)
    samples = Samples(
        reported,
        sampled,
        frame.cells(table),
        {name: _numbers(table[name]) for name in SAMPLE_SIGNALS if name in table},
    )
    samples = samples.take((samples.cell >= 0) & ~np.isnat(reported) & ~np.isnat(sampled))
    return samples.take(np.lexsort((samples.sampled_day, samples.cell, samples.reported_day)))
