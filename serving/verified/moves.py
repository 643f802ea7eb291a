"""What was really moved on advice: from the ledger's accepted recommendations to days on which a cell counts."""

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serving.follow_up import carried_out
from serving.ledger import Applied, Decision, Ledger
from serving.schemas import Recommendation, Saving
from serving.verified.panel import Window
from serving.verified.settings import SavingsSettings

_ALF3 = "alf3_dose_kg_d"


@dataclass(frozen=True)
class Move:
    """One accepted recommendation that was carried out.

    Attributes:
        cell_id: of the cell.
        date: day on which the first lever was set.
        days: days that its path takes.
        promised: saving a tonne that the recommendation named; None where a person chose another setting.
        alf3_more_kg_d: AlF3 that the move feeds more [kg/d], none where it feeds less.
        model: name of the model that recommended it.
    """

    cell_id: str
    date: datetime.date
    days: int
    promised: Saving | None
    alf3_more_kg_d: float = 0.0
    model: str = ""


class Waiting(NamedTuple):
    """An accepted recommendation of which it is not known yet what was set."""

    cell_id: str
    date: datetime.date
    model: str = ""


@dataclass(frozen=True)
class Accepted:
    """A line's accepted recommendations.

    Attributes:
        moves: those that were carried out, and waiting: those of which it is not known yet what was set; of every model,
            since a cell that any of them moved is no control of another.
        advised, accepted: recommendations given and accepted, by cell, of ``model``.
        model: the one that is told about; None = all of them.
    """

    moves: tuple[Move, ...]
    waiting: tuple[Waiting, ...]
    advised: dict[str, int]
    accepted: dict[str, int]
    model: str | None = None

    def tells(self, models: Collection[str]) -> bool:
        """Say whether what ``models`` did together is told about: what two did cannot be told of one."""
        return self.model is None or set(models) == {self.model}


@dataclass(frozen=True)
class Block:
    """Some counted days of one cell after its moves, compared in one window.

    Attributes:
        cell: index of the cell.
        window: baseline and counted days.
        promised: what was promised for those days, on average; None where some of it was never promised.
        alf3_more_kg_d: AlF3 fed more [kg/d], on average.
        models: that recommended its episode's moves.
    """

    cell: int
    window: Window
    promised: tuple[Saving, ...] | None
    shares: tuple[float, ...]
    alf3_more_kg_d: float
    models: frozenset[str] = frozenset()

    @property
    def days(self) -> int:
        """Counted days."""
        return self.window.last - self.window.first + 1


def accepted_of(ledger: Ledger, line_id: str, model: str | None = None) -> Accepted:
    """Return what was accepted on line ``line_id``, to tell about ``model`` (None = all of them).

    Of several decisions about one recommendation the last holds.
    """
    lines = frozenset({line_id})
    decisions = {
        decision.recommendation_id: decision
        for decision in (Decision.model_validate(r.body) for r in ledger.records("decision", lines=lines))
    }
    taken = {key: one for key, one in decisions.items() if one.action in ("accept", "modify")}
    set_values = {
        entry.recommendation_id: entry
        for entry in (Applied.model_validate(r.body) for r in ledger.records("applied", lines=lines))
    }
    moves, accepted = [], dict[str, int]()
    waiting: list[Waiting] = []
    for key, found in sorted(ledger.advised(taken).items()):
        advice = found.recommendation
        if model in (None, advice.model_name):
            accepted[advice.cell_id] = accepted.get(advice.cell_id, 0) + 1
        if key not in set_values:
            waiting.append(Waiting(advice.cell_id, advice.date, advice.model_name))
        elif (move := move_of(advice, taken[key], set_values[key])) is not None:
            moves.append(move)
    moves.sort(key=lambda move: (move.cell_id, move.date))
    advised = ledger.advised_by_cell(line_id, model)
    return Accepted(tuple(moves), tuple(sorted(waiting)), advised, accepted, model)


def move_of(advice: Recommendation, decision: Decision, applied: Applied) -> Move | None:
    """Return the move that ``applied`` made of ``advice``, None where it was not carried out."""
    if not carried_out(advice, decision, applied.levers):
        return None
    current = {lever.name: lever.current for lever in advice.levers}
    more = applied.levers.get(_ALF3, 0.0) - current.get(_ALF3, 0.0) if _ALF3 in current else 0.0
    days = max((len(lever.path) for lever in advice.levers), default=1)
    promised = advice.saving if decision.action == "accept" else None
    return Move(advice.cell_id, applied.date, max(days, 1), promised, max(more, 0.0), advice.model_name)


@dataclass
class _Episode:
    """Moves of one cell that cannot be told apart: they share one baseline."""

    begin: int
    start: int
    moves: list[tuple[int, Move]]

    def settled(self, settings: SavingsSettings) -> int:
        """Return the first counted day of the latest move."""
        start, move = self.moves[-1]
        return start + move.days - 1 + settings.settling_days


def blocks_of(
    moves: Iterable[Move], cells: Sequence[str], origin: np.datetime64, settings: SavingsSettings
) -> list[Block]:
    """Return the counted days of ``moves``, cut into blocks; days are counted from ``origin``.

    A move that comes before the last one has had a baseline of its own joins it: both are compared with the days
    before the first, and their promises add up (a path that was cut short by the next move counts for the days done).
    """
    at = {cell: i for i, cell in enumerate(cells)}
    by_cell: dict[str, list[Move]] = {}
    for move in moves:
        if move.cell_id in at:
            by_cell.setdefault(move.cell_id, []).append(move)
    found = []
    for cell, mine in by_cell.items():
        for episode in _episodes(sorted(mine, key=lambda move: move.date), origin, settings):
            found += _blocks(at[cell], episode, settings)
    return found


def _episodes(moves: Sequence[Move], origin: np.datetime64, settings: SavingsSettings) -> list[_Episode]:
    found: list[_Episode] = []
    for move in moves:
        start = int((np.datetime64(move.date, "D") - origin).astype(np.int64))
        if found and start < found[-1].settled(settings) + settings.least_baseline:
            found[-1].moves.append((start, move))
            continue
        begin = max(start - settings.baseline_days, found[-1].settled(settings) if found else 0, 0)
        found.append(_Episode(begin, start, [(start, move)]))
    return found


def _blocks(cell: int, episode: _Episode, settings: SavingsSettings) -> list[Block]:
    counted: set[int] = set()
    firsts, shares = [], []
    for i, (start, move) in enumerate(episode.moves):
        following = episode.moves[i + 1][0] if i + 1 < len(episode.moves) else start + move.days
        done = min(following - start, move.days)
        first = start + max(done, 1) - 1 + settings.settling_days
        firsts.append(first)
        counted |= set(range(first, first + settings.horizon_days))
        shares.append(done / move.days)
    moves = [move for _, move in episode.moves]
    found = []
    for first, last in _runs(sorted(counted), settings.block_days):
        days = np.arange(first, last + 1)
        parts = [share * float((days >= begun).mean()) for begun, share in zip(firsts, shares, strict=True)]
        under = [(move, part) for move, part in zip(moves, parts, strict=True) if part > 0]
        promised = [move.promised for move, _ in under]
        known = tuple(one for one in promised if one is not None)
        found.append(
            Block(
                cell,
                Window(episode.begin, episode.start, first, last),
                known if len(known) == len(promised) else None,
                tuple(part for _, part in under),
                sum(move.alf3_more_kg_d * part for move, part in under),
                # Of the whole episode: its moves share one baseline.
                frozenset(move.model for move in moves),
            )
        )
    return found


def _runs(days: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return first and last day of each run of consecutive ``days``, cut evenly where longer than ``most``."""
    found: list[tuple[int, int]] = []
    groups = np.split(np.array(days), np.flatnonzero(np.diff(days) > 1) + 1)
    for group in groups:
        pieces = -(-len(group) // most)
        found += [(int(part[0]), int(part[-1])) for part in np.array_split(group, pieces)]
    return found
