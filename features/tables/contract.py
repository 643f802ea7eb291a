"""The contract of the six tables: what a row must be to enter, and what becomes of one that is not.

Column types, emptiness and plausible ranges come from the dictionary and are checked by pandera; the rules between
columns and rows (order of times, weights, repeated keys, the calendar) stand here. A row that breaks a rule is set
aside with the reason, never mended. A table that breaks as a whole is refused.

A cell out of operation is no fault: its voltage of zero is not a measurement of a running cell, so what such a row
"measures" becomes "not known" and the row stays. Anode effects, start-ups, amperage changes and the
transients of tapping and anode changes lie inside the ranges on purpose.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from features.errors import ContractError
from features.layout import MATERIALS, Layout
from features.plant import Plant
from features.signals import SIGNALS, Signal
from features.tables.findings import Fault

SOURCE, ROW = "source_file", "source_row"
ASIDE = "set_aside"
"""Where a row comes from, and whether it was set aside when its cells were read; dropped before the record is kept."""
CARRIED = (SOURCE, ROW, ASIDE)

_ISOLATED_DAYS = 366
_BULK = 0.9
_WEIGHING = 1.03
"""An anode taken out on the day it was set weighs what it weighed, give or take the scale."""
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Circumstances:
    """What the checks need to know beyond the rows: the plant, its sensors, and the present moment."""

    plant: Plant
    sensors: tuple[Signal, ...] = ()
    as_of: datetime | None = None
    canonical: bool = False
    """The rows come from a canonical directory, where an event with unknown values was reported when it came in."""

    @property
    def now(self) -> pd.Timestamp:
        """The moment after which nothing can have been measured."""
        return pd.Timestamp(self.as_of or datetime.now(UTC)).tz_convert("UTC")

    def signal(self, name: str) -> Signal:
        """Return the dictionary's signal or the declared sensor called ``name``."""
        return next((sensor for sensor in self.sensors if sensor.name == name), None) or SIGNALS[name]


@dataclass(frozen=True)
class Checked:
    """A table after the contract: the rows that stay, why others do not, and how many rows are of stopped cells."""

    frame: pd.DataFrame
    faults: tuple[Fault, ...]
    stopped_rows: int = 0


def schema(layout: Layout, columns: tuple[str, ...], around: Circumstances) -> pa.DataFrameSchema:
    """Return the pandera contract of a table's ``columns``: types, emptiness of keys, plausible ranges."""
    return pa.DataFrameSchema(
        {name: _column(name, layout, around) for name in columns if name not in CARRIED},
        name=layout.name,
        strict=False,
    )


def _column(name: str, layout: Layout, around: Circumstances) -> pa.Column:
    kind = layout.kind(name)
    nullable = name not in layout.key
    if kind == "text":
        filled = [] if nullable else [pa.Check.str_length(min_value=1)]
        if name == "material":
            filled.append(pa.Check.isin(MATERIALS))
        return pa.Column("str", filled, nullable=nullable)
    if kind == "day":
        return pa.Column("datetime64[us]", nullable=nullable)
    if kind == "time":
        return pa.Column("datetime64[us, UTC]", nullable=nullable or name in layout.may_be_empty)
    of = around.signal(name)
    return pa.Column("float64", [pa.Check.in_range(of.low, of.high)], nullable=True)


def check(
    frame: pd.DataFrame,
    layout: Layout,
    around: Circumstances,
    earlier: tuple[Fault, ...] = (),
    part: bool = False,
) -> Checked:
    """Return the rows of ``frame`` that keep the contract of ``layout`` and the faults of the others.

    ``frame`` has canonical dtypes and, beside the canonical columns, ``SOURCE`` and ``ROW``, perhaps ``ASIDE``;
    ``earlier`` are the faults of the rows that were set aside already, for the message only. A ``part`` of a table,
    to be joined with others, need not have every required column.

    Raises:
        ContractError: a required column is missing, the table is empty, or no row keeps the contract.
    """
    _refuse_missing_columns(frame, layout, part)
    if frame.empty:
        raise ContractError(f"table {layout.name} is empty; leave it out if the plant does not collect it")
    frame = frame.reset_index(drop=True)
    aside = frame[ASIDE].to_numpy(dtype=np.bool_) if ASIDE in frame else np.zeros(len(frame), dtype=np.bool_)
    frame = frame.drop(columns=ASIDE, errors="ignore")
    stopped = stopped_rows(frame) if layout.name == "cell_days" else np.zeros(len(frame), dtype=np.bool_)
    frame = _unknown_while_stopped(frame, stopped, layout, around)
    found = [*_schema_faults(frame, layout, around), *_rule_faults(frame, layout, around, stopped)]
    found = [(place, fault) for place, fault in found if not aside[place]]
    bad = {place for place, _ in found} | {int(place) for place in np.flatnonzero(aside)}
    good = frame.drop(index=sorted(bad))
    repeated = list(_repetitions(good, layout))
    bad |= {place for place, _ in repeated}
    faults = tuple(fault for _, fault in (*found, *repeated))
    _refuse_all_bad(bad, frame, layout, (*faults, *earlier))
    good = frame.drop(index=sorted(bad))
    kept_stopped = int(stopped[good.index.to_numpy()].sum())
    if layout.event:
        unplaced = {place for place, fault in found if fault.column in layout.key}
        good = _with_unknown_events(good, frame.loc[sorted(bad - unplaced)], layout)
    return Checked(good.reset_index(drop=True), faults, kept_stopped)


def _refuse_all_bad(bad: set[int], frame: pd.DataFrame, layout: Layout, faults: tuple[Fault, ...]) -> None:
    if len(bad) < len(frame):
        return
    reasons = pd.Series([f"{fault.column}: {fault.reason}" for fault in faults if fault.table == layout.name])
    common = reasons.value_counts()
    raise ContractError(
        f"table {layout.name}: none of {len(frame)} rows keeps the contract; most often {common.index[0]}"
        f" ({common.iloc[0]} rows)"
    )


def _with_unknown_events(good: pd.DataFrame, aside: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Return ``good`` and, for each event set aside whose key is sound, its key with every signal unknown."""
    placed = np.flatnonzero(aside[list(layout.key)].notna().to_numpy().all(axis=1))
    unknown = aside.iloc[placed].copy()
    if unknown.empty:
        return good
    unknown[_signals(unknown, layout)] = np.nan
    both = pd.concat([good, unknown])
    return both[~both.duplicated(list(layout.key), keep="first")]


def _refuse_missing_columns(frame: pd.DataFrame, layout: Layout, part: bool) -> None:
    needed = layout.key if part else (*layout.key, *layout.required)
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise ContractError(
            f"table {layout.name}: columns {missing} are missing; it has"
            f" {[name for name in frame.columns if name not in CARRIED]}"
        )


def stopped_rows(frame: pd.DataFrame) -> _Mask:
    """Say which rows (n,) of cell days are of a cell out of operation.

    Its run time is zero; where run time is not collected, both its voltage and its alumina are zero.
    """
    zero = np.zeros(len(frame), dtype=np.float64)
    nothing = np.full(len(frame), np.nan)
    run = frame["run_minutes"].to_numpy() if "run_minutes" in frame else nothing
    voltage = frame["cell_voltage_v"].to_numpy() if "cell_voltage_v" in frame else nothing
    alumina = frame["alumina_fed_kg_d"].to_numpy() if "alumina_fed_kg_d" in frame else nothing
    idle = np.isnan(run) & (voltage == zero) & (np.isnan(alumina) | (alumina == zero))
    return np.asarray((run == zero) | idle, dtype=np.bool_)


def _unknown_while_stopped(
    frame: pd.DataFrame, stopped: _Mask, layout: Layout, around: Circumstances
) -> pd.DataFrame:
    if not stopped.any():
        return frame
    frame = frame.copy()
    for name in _signals(frame, layout):
        of, values = around.signal(name), frame[name].to_numpy(copy=True)
        impossible = ~((values >= of.low) & (values <= of.high)) if of.role != "measured" else True
        values[stopped & impossible] = np.nan
        frame[name] = values
    return frame


def _signals(frame: pd.DataFrame, layout: Layout) -> list[str]:
    return [name for name in frame.columns if name not in CARRIED and layout.kind(name) == "signal"]


def _schema_faults(frame: pd.DataFrame, layout: Layout, around: Circumstances) -> list[tuple[int, Fault]]:
    try:
        schema(layout, tuple(frame.columns), around).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    whole = cases[cases["index"].isna()]
    if not whole.empty:
        first = whole.iloc[0]
        raise ContractError(
            f"table {layout.name}: column {first['column']} breaks {first['check']} with {first['failure_case']}"
        )
    return [
        (
            int(place),
            _fault(
                frame,
                int(place),
                layout,
                str(column),
                _rule(str(check)),
                _reason(str(column), str(check), around),
            ),
        )
        for column, check, place in zip(cases["column"], cases["check"], cases["index"], strict=True)
    ]


def _rule(check: str) -> str:
    known = {
        "in_range": "range",
        "not_nullable": "missing key",
        "str_length": "missing key",
        "isin": "vocabulary",
    }
    return next((rule for start, rule in known.items() if start in check), check)


def _reason(column: str, check: str, around: Circumstances) -> str:
    if "in_range" in check:
        of = around.signal(column)
        return f"outside the plausible range {of.low:g} to {of.high:g} {of.unit}"
    if "isin" in check:
        return f"none of {', '.join(MATERIALS)}"
    return "the row has no key here" if "null" in check or "str_length" in check else f"breaks {check}"


def _fault(frame: pd.DataFrame, place: int, layout: Layout, column: str, rule: str, reason: str) -> Fault:
    value = frame[column].iloc[place] if column in frame.columns else ""
    shown = f"{value:.10g}" if isinstance(value, float) else str(value)
    return Fault(
        str(frame[SOURCE].iloc[place]), layout.name, int(frame[ROW].iloc[place]), column, shown, rule, reason
    )


def _rule_faults(
    frame: pd.DataFrame, layout: Layout, around: Circumstances, stopped: _Mask
) -> list[tuple[int, Fault]]:
    found: list[tuple[int, Fault]] = []
    for column, rule, reason, mask in (
        *_emptiness(frame, layout, around, stopped),
        *_ordering(frame, layout),
        *_calendar(frame, layout, around),
    ):
        found += [(int(i), _fault(frame, int(i), layout, column, rule, reason)) for i in np.flatnonzero(mask)]
    return found


_Broken = tuple[str, str, str, _Mask]


def _emptiness(frame: pd.DataFrame, layout: Layout, around: Circumstances, stopped: _Mask) -> list[_Broken]:
    signals = _signals(frame, layout)
    empty = frame[signals].isna().to_numpy().all(axis=1) if signals else np.ones(len(frame), dtype=np.bool_)
    broken: list[_Broken] = []
    if layout.event and around.canonical:
        return []
    if layout.signals:
        broken.append(("", "empty row", "no signal of the row is known", empty & ~stopped))
    for name in (name for name in layout.essential if name in frame):
        unknown = frame[name].isna().to_numpy() & ~empty & ~stopped
        broken.append((name, "missing", "a row without it says nothing", unknown))
    return broken


def _ordering(frame: pd.DataFrame, layout: Layout) -> list[_Broken]:
    """Return the rows whose times or weights stand in an order that cannot be."""
    if layout.name == "bath_samples" and "reported_at" in frame:
        reason = "reported before it was sampled: is one of them in another zone?"
        return [("reported_at", "order", reason, (frame["reported_at"] < frame["sampled_at"]).to_numpy())]
    if layout.name != "anode_changes":
        return []
    heavier = frame["butt_mass_kg"] > _WEIGHING * frame["new_mass_kg"]
    broken = [("butt_mass_kg", "order", "the butt weighs more than the new anode", heavier.to_numpy())]
    if "removed_at" in frame:
        early = (frame["removed_at"] < frame["set_at"]).to_numpy()
        broken.append(("removed_at", "order", "removed before it was set", early))
    return broken


def _calendar(frame: pd.DataFrame, layout: Layout, around: Circumstances) -> list[_Broken]:
    broken: list[_Broken] = []
    for name in (*layout.days, *layout.times):
        if name not in frame:
            continue
        limit = (
            around.now
            if name in layout.times
            else around.now.tz_convert(around.plant.timezone).tz_localize(None)
        )
        if not around.plant.simulated:
            late = (frame[name] > limit).to_numpy()
            broken.append((name, "future", "lies in the future: a wrong clock or a wrong zone", late))
        if name in layout.key:
            reason = (
                f"more than {_ISOLATED_DAYS} days away from the rest of the record: a clock that was reset"
            )
            broken.append((name, "isolated date", reason, _isolated(frame[name])))
    return broken


def _isolated(stamps: "pd.Series[Any]") -> _Mask:
    """Say which stamps (n,) a gap of over a year parts from the bulk of the record."""
    known = stamps.notna().to_numpy()
    days = stamps.to_numpy(dtype="datetime64[D]").astype(np.int64)
    order = np.argsort(days[known], kind="stable")
    ranked = days[known][order]
    block = np.concatenate([[0], np.cumsum(np.diff(ranked) > _ISOLATED_DAYS)]) if ranked.size else ranked
    sizes = np.bincount(block) if block.size else np.zeros(1)
    outside = np.zeros(len(stamps), dtype=np.bool_)
    if block.size and sizes.max() >= _BULK * block.size:
        outside[np.flatnonzero(known)[order[block != int(sizes.argmax())]]] = True
    return outside


def _repetitions(frame: pd.DataFrame, layout: Layout) -> list[tuple[int, Fault]]:
    """Return every row that repeats a key: the later ones where they are equal, all where they contradict."""
    keys = list(layout.key)
    groups = frame[frame.duplicated(keys, keep=False)]
    values = [name for name in frame.columns if name not in CARRIED]
    copies = frame.duplicated(values, keep="first")
    alike = ~frame[~copies].duplicated(keys, keep=False)
    found = []
    places = {int(place): position for position, place in enumerate(frame.index)}
    for place in groups.index:
        if copies[place]:
            rule, reason = "duplicate", "an earlier row is the same"
        elif not alike[place]:
            rule, reason = "conflict", f"another row has the same {', '.join(keys)} but other values"
        else:
            continue
        found.append((int(place), _fault(frame, places[int(place)], layout, keys[-1], rule, reason)))
    return found
