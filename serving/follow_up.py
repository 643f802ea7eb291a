"""What became of a recommendation, written into the ledger once the record can tell it: what was set, what followed.

``applied`` holds the setpoints in force at the end of the recommended path, ``measured`` the outcomes over the
horizon by the very arithmetic that made the training labels. Both are written once, when no later report can change
them; only net anode, which is weighed a month later, is added in an entry of its own.
"""

import datetime
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.bundle import Manifest
from features.history import History
from features.labels import REACH_DAYS, LabelTable, label_table
from serving.ledger import Applied, Decision, Kind, Ledger, Measured
from serving.ports import Identity
from serving.schemas import LeverAdvice, Recommendation

Floats = NDArray[np.float64]

GRACE_DAYS: Final = 1
"""Days behind the path in which a setpoint may still be set: shifts do not change at midnight."""
CARRIED: Final = 0.5
"""Share of the way to the wanted setting from which a lever counts as moved."""
_LATE_DAYS: Final = 120
"""An anode's carbon is known when its butt is weighed; after so many days nobody waits for it."""
_ANODE: Final = "net_anode_kg_per_t"
_WRITING: Final = threading.Lock()


@dataclass(frozen=True)
class FollowedUp:
    """How many entries were written."""

    applied: int
    measured: int


def follow_up(ledger: Ledger, history: History, manifest: Manifest, identity: Identity) -> FollowedUp:
    """Write what ``history`` now tells of the recommendations of its lines, in the name of ``identity``.

    Calling it again with the same record writes nothing. Lines that ``identity`` may not see are left alone.

    Raises:
        LedgerError: the ledger's database refuses.
    """
    lines = [line for line in sorted(set(history.line_ids.tolist())) if identity.may_see(line)]
    with _WRITING:
        applied = [("applied", entry) for line in lines for entry in _all_applied(ledger, history, line)]
        horizon = manifest.horizon_days
        measured = [
            ("measured", entry) for line in lines for entry in _all_measured(ledger, history, line, horizon)
        ]
        written: list[tuple[Kind, object]] = [*applied, *measured]  # type: ignore[list-item]
        if written:
            ledger.append_all(written, identity)
    return FollowedUp(len(applied), len(measured))


def wanted_levers(advice: Recommendation, decision: Decision) -> Mapping[str, float]:
    """Return the settings that ``decision`` made of ``advice``, for the levers that it moves."""
    wanted = {lever.name: lever.recommended for lever in advice.levers} | dict(decision.levers or {})
    current = {lever.name: lever.current for lever in advice.levers}
    return {name: value for name, value in wanted.items() if value != current[name]}


def carried_out(advice: Recommendation, decision: Decision, levers: Mapping[str, float]) -> bool:
    """Say whether ``levers``, as they were set, went at least half the way on any lever that was to move."""
    wanted = wanted_levers(advice, decision)
    return any(
        _share(lever, wanted[lever.name], levers[lever.name]) >= CARRIED
        for lever in advice.levers
        if lever.name in wanted and lever.name in levers
    )


def applied_of(history: History, advice: Recommendation, decision: Decision) -> Applied | None:
    """Return what was really set after ``advice``, or None while the record cannot tell it."""
    cell = _cell(history, advice)
    begin = _day(history, advice.date)
    path = max((len(lever.path) for lever in advice.levers), default=0)
    end = begin + max(path, 1) - 1 + GRACE_DAYS
    if cell is None or begin < 0 or end >= len(history.dates):
        return None
    wanted = wanted_levers(advice, decision)
    found, first = dict[str, float](), None
    for lever in advice.levers:
        values = history.signals.get(lever.name)
        told = np.array([]) if values is None else values[begin : end + 1, cell]
        known = np.flatnonzero(np.isfinite(told))
        if not len(known):
            continue
        found[lever.name] = float(told[known[-1]])
        if lever.name in wanted:
            step = lever.path[0] if lever.path and lever.path[0] != lever.current else wanted[lever.name]
            moved = [day for day in known.tolist() if _share(lever, step, float(told[day])) >= CARRIED]
            first = min([day for day in (first, *moved[:1]) if day is not None], default=None)
    if not found:
        return None
    date: datetime.date = history.dates[begin + (first or 0)].item()
    return Applied(recommendation_id=advice.recommendation_id, date=date, levers=found)


def _share(lever: LeverAdvice, wanted: float, value: float) -> float:
    """Return how far ``value`` went from the lever's current setting to ``wanted``."""
    return (value - lever.current) / (wanted - lever.current) if wanted != lever.current else 0.0


def _all_applied(ledger: Ledger, history: History, line_id: str) -> Iterable[Applied]:
    told = {record.content.about for record in ledger.records("applied", lines=frozenset({line_id}))}
    decisions = {
        decision.recommendation_id: decision
        for decision in (
            Decision.model_validate(record.body)
            for record in ledger.records("decision", lines=frozenset({line_id}))
        )
    }
    taken = {
        key: one for key, one in decisions.items() if one.action in ("accept", "modify") and key not in told
    }
    for key, found in ledger.advised(taken).items():
        applied = applied_of(history, found.recommendation, taken[key])
        if applied is not None:
            yield applied


def _all_measured(ledger: Ledger, history: History, line_id: str, horizon: int) -> Iterable[Measured]:
    final = _told_days(history, line_id) - horizon - REACH_DAYS
    """Decision days before this one are followed by all that their labels look at."""
    waiting = [
        found.recommendation
        for found in ledger.unanswered("measured", line_id)
        if 0 <= _day(history, found.recommendation.date) <= final
    ]
    late = _without_anode(ledger, history, line_id) if len(history.anodes) else {}
    if not waiting and not late:
        return
    labels = label_table(history, horizon)
    for advice in waiting:
        outcomes = _outcomes(labels, history, advice)
        if outcomes:
            yield _measured(advice, horizon, outcomes)
    for found in ledger.advised(late).values():
        advice = found.recommendation
        outcomes = _outcomes(labels, history, advice)
        if _ANODE in outcomes and _day(history, advice.date) >= 0:
            yield _measured(advice, horizon, late[advice.recommendation_id] | {_ANODE: outcomes[_ANODE]})


def _told_days(history: History, line_id: str) -> int:
    """Return the days up to the last one on which cells and taps both tell something of the line.

    A record comes table by table: outcomes of days whose taps are still on their way would be written for good.
    """
    mine = history.line_ids == line_id
    told = np.ones(len(history.dates), dtype=bool)
    for name in ("cell_voltage_v", "tap_mass_kg"):
        values = history.signals.get(name)
        told &= False if values is None else (values[:, mine] > 0).any(axis=1)
    days = np.flatnonzero(told)
    return int(days[-1]) + 1 if len(days) else 0


def _without_anode(ledger: Ledger, history: History, line_id: str) -> dict[str, dict[str, float]]:
    """Return the measured outcomes, by recommendation, that may still be given their net anode."""
    earliest = (history.dates[-1] - np.timedelta64(_LATE_DAYS, "D")).item()
    last = {
        entry.recommendation_id: entry
        for entry in (
            Measured.model_validate(record.body)
            for record in ledger.records("measured", lines=frozenset({line_id}))
        )
    }
    return {
        key: dict(entry.outcomes)
        for key, entry in last.items()
        if _ANODE not in entry.outcomes and entry.first >= earliest
    }


def _measured(advice: Recommendation, horizon: int, outcomes: Mapping[str, float]) -> Measured:
    last = advice.date + datetime.timedelta(days=horizon - 1)
    return Measured(
        recommendation_id=advice.recommendation_id, first=advice.date, last=last, outcomes=dict(outcomes)
    )


def _outcomes(labels: LabelTable, history: History, advice: Recommendation) -> dict[str, float]:
    cell = _cell(history, advice)
    if cell is None:
        return {}
    # Rows are ordered by day, then cell.
    row = _day(history, advice.date) * len(history.cell_ids) + cell
    values = {name: float(column[row]) for name, column in labels.values.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _day(history: History, date: datetime.date) -> int:
    return int((np.datetime64(date, "D") - history.dates[0]).astype(np.int64))


def _cell(history: History, advice: Recommendation) -> int | None:
    found = np.flatnonzero((history.cell_ids == advice.cell_id) & (history.line_ids == advice.line_id))
    return int(found[0]) if len(found) else None
