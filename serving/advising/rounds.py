"""Many cells advised at once: spread over the workers, each written into the ledger before it is told."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.advising import tasks
from serving.advising.books import Books
from serving.ledger import Decision
from serving.ledger.entries import Kind
from serving.models.pool import Pool
from serving.ports import Identity, Named
from serving.record.store import Mode
from serving.refusals import RefusedError

_AHEAD: Final = 2
"""Cells that a request has under way per worker: one that is searched, one that spares the worker the wait."""
_LONGEST_SUBJECT: Final = 320
_ENERGY: Final = "energy_kwh_per_t"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Round:
    """One request for advice: the contexts as plain values, the settings' entry, who asks, and the cells' modes."""

    contexts: Sequence[Values]
    settings: Values
    identity: Identity
    modes: Mapping[tuple[str, str], Mode]


@dataclass(frozen=True)
class Outcome:
    """What became of the context at ``place``: its recommendation, or why there is none."""

    place: int
    recommendation: Values | None
    refused: RefusedError | None = None


async def advise(pool: Pool, workers: int, asked: Round, books: Books) -> AsyncGenerator[Outcome]:
    """Yield the outcome of every context as it comes; what was told stands in the ledger.

    Ending the iteration early withdraws what has not begun.
    """
    waiting = iter(enumerate(asked.contexts))
    pending: set[asyncio.Task[tuple[int, Values | RefusedError]]] = set()
    try:
        while True:
            while len(pending) < _AHEAD * workers and (following := next(waiting, None)) is not None:
                pending.add(asyncio.create_task(_one(pool, asked.settings, *following)))
            if not pending:
                return
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            found = [task.result() for task in done]
            fine = [(place, answer) for place, answer in found if not isinstance(answer, RefusedError)]
            if fine:
                written = await asyncio.to_thread(_write, books, asked, [answer for _, answer in fine])
            for place, answer in found:
                if isinstance(answer, RefusedError):
                    yield Outcome(place, None, answer)
            for (place, _), advice in zip(fine, written if fine else (), strict=True):
                yield Outcome(place, advice)
    finally:
        for task in pending:
            task.cancel()


async def _one(
    pool: Pool, settings: Values, place: int, context: Values
) -> tuple[int, Values | RefusedError]:
    try:
        return place, await tasks.ask(pool, "advise", {"settings": settings, "context": context})
    except RefusedError as refused:
        return place, refused


def _write(books: Books, asked: Round, answers: Iterable[Values]) -> list[Values]:
    """Write recommendations down, accept those that a cell's mode accepts by itself, and return them."""
    answers = list(answers)
    entries: list[tuple[Kind, object]] = [("settings", asked.settings)]
    entries += [("recommendation", answer) for answer in answers]
    books.ledger.append_all(entries, asked.identity)
    for answer in answers:
        advice = answer["recommendation"]
        mode = asked.modes.get((advice["line_id"], advice["cell_id"]))
        if mode is not None and mode.mode == "approved" and _within(advice, mode.levers):
            _accept(books, advice, mode)
    return [answer["recommendation"] for answer in answers]


def _within(advice: Values, levers: Sequence[str]) -> bool:
    """Say whether ``advice`` moves nothing but ``levers``, each by no more than a day's step."""
    moves = [
        (lever["name"], abs(lever["recommended"] - lever["current"]), lever["step"])
        for lever in advice["levers"]
        if lever["recommended"] != lever["current"]
    ]
    return bool(moves) and all(name in levers and move <= step * (1 + 1e-9) for name, move, step in moves)


def _accept(books: Books, advice: Values, mode: Mode) -> None:
    who = Named(f"approved mode, set by {mode.subject}"[:_LONGEST_SUBJECT])
    decision = Decision(
        recommendation_id=advice["recommendation_id"],
        action="accept",
        reason=f"{', '.join(mode.levers)} are approved for cell {advice['cell_id']}, within the day's step",
    )
    line = books.line_or_none(advice["line_id"])
    try:
        books.ledger.decide(decision, who, books.time_at(line))
    except RefusedError:
        return  # decided already, or expired: a mode accepts nothing that a person could not


def summary(outcomes: Iterable[Outcome], off: int) -> dict[str, Any]:
    """Return what a round came to: cells by status, and the mean saving of those that are moved.

    The bounds are the means of the cells' bounds: the model's error is shared by the cells and does not average out.
    """
    outcomes = list(outcomes)
    advice = [outcome.recommendation for outcome in outcomes if outcome.recommendation is not None]
    by_status = {status: sum(a["status"] == status for a in advice) for status in ("move", "hold", "abstain")}
    saved = [a["saving"][_ENERGY] for a in advice if a["status"] == "move" and a["saving"] is not None]
    energy = (
        {key: sum(s[key] for s in saved) / len(saved) for key in ("mean", "lower", "upper")}
        if saved
        else None
    )
    return {
        "moved": by_status["move"],
        "held": by_status["hold"],
        "abstained": by_status["abstain"],
        "refused": len(outcomes) - len(advice),
        "off": off,
        _ENERGY: energy,
    }
