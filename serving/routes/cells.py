"""The routes of cells: the map of a line, one cell's card, and the mode that a cell is in."""

import asyncio
import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from serving.advising.cells import decision_values, overview
from serving.advising.counter import Counter, can_search
from serving.ledger.entries import AuditEntry
from serving.models.house import Version
from serving.ports import Identity
from serving.record.store import Mode
from serving.refusals import RefusedError, refused
from serving.routes import forms
from serving.routes.advice import answer, identity_of
from serving.routes.bounded import BoundedRoute

CellId = Annotated[str, Path(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
LineId = Annotated[str | None, Query(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
Days = Annotated[int, Query(ge=1, le=730)]
_CURRENCY: Final = "CNY"
_NOTHING: Final[dict[str, Any]] = {"trends": {"dates": [], "signals": {}}, "precedents": []}


def router(counter: Counter) -> APIRouter:
    """Return the routes."""
    found = APIRouter(route_class=BoundedRoute, tags=["cells"])

    @found.get("/v1/cells", response_model=forms.Cells, summary="The cells of a line")
    async def cells(request: Request, line_id: LineId = None) -> Response:
        """Return every cell with its standing recommendation, decision, mode and last measurements."""
        return answer(await asyncio.to_thread(map_of, counter, identity_of(request), line_id))

    @found.get("/v1/cells/{cell_id}", response_model=forms.CellCard, summary="A cell's card")
    async def cell(request: Request, cell_id: CellId, line_id: LineId = None, days: Days = 60) -> Response:
        """Return a cell with its trends, past recommendations, and days of its line that were alike."""
        seen = await asyncio.to_thread(the_cell, counter, identity_of(request), cell_id, line_id)
        line = seen["line_id"]
        if seen["last_reported"] is None:
            return answer({**seen, **_NOTHING})
        return answer({**seen, **await counter.card(line, cell_id, days)})

    @found.put("/v1/cells/{cell_id}/mode", response_model=forms.ModeSet, summary="Set a cell's mode")
    async def mode(request: Request, cell_id: CellId, asked: forms.ModeRequest) -> Response:
        """Turn advice for a cell off or on, or approve levers whose advice is accepted by itself."""
        return answer(await asyncio.to_thread(set_mode, counter, identity_of(request), cell_id, asked))

    return found


def the_cell(counter: Counter, identity: Identity, cell_id: str, line_id: str | None) -> dict[str, Any]:
    """Return one cell as the map shows it, with its past recommendations.

    Raises:
        UnknownNameError: there is no such cell, or it is not the asker's.
        RefusedError: 422 where several lines have a cell of this name.
    """
    books = counter.books
    names = sorted({line.line_id for line in books.record.lines()} | set(books.ledger.advised_lines()))
    seen = [name for name in names if identity.may_see(name) and line_id in (None, name)]
    found = [cell for name in seen for cell in overview(books, name, cell_id)]
    if not found:
        raise refused(404, "unknown_name.cell", cell=cell_id[:64])
    if len(found) > 1:
        lines = ", ".join(cell["line_id"] for cell in found)
        raise refused(422, "which_line", cell=cell_id, lines=lines)
    past = books.ledger.of_cell(found[0]["line_id"], cell_id)
    decided = books.ledger.decided(advised.recommendation.recommendation_id for advised in past)
    given = [
        {
            "recommendation_id": advised.recommendation.recommendation_id,
            "date": advised.recommendation.date.isoformat(),
            "status": advised.recommendation.status,
            "decision": decision_values(taken) if (taken := decided.get(advised.entry.about)) else None,
        }
        for advised in past
    ]
    return {**found[0], "recommendations": given}


def map_of(counter: Counter, identity: Identity, line_id: str | None) -> dict[str, Any]:
    """Return the cells of a line, or of every line that ``identity`` may see.

    Raises:
        UnknownNameError: the line has neither record nor advice, or is not the asker's.
    """
    books = counter.books
    names = sorted({line.line_id for line in books.record.lines()} | set(books.ledger.advised_lines()))
    seen = [name for name in names if identity.may_see(name)]
    if line_id is not None:
        if line_id not in seen:
            raise refused(404, "unknown_name.cells", line=line_id[:64])
        seen = [line_id]
    version = version_or_none(counter)
    lines = [_line_info(counter, name, version) for name in seen]
    cells = [cell for name in seen for cell in overview(books, name)]
    dates = [line["date"] for line in lines if line["date"] is not None]
    return {
        "simulated": any(line["simulated"] for line in lines),
        "currency": lines[0]["currency"] if lines else _CURRENCY,
        "date": max(dates) if dates else None,
        "model": None if version is None else _model_info(version),
        "state": state_of(version, [cell["mode"] for cell in cells]),
        "lines": lines,
        "cells": cells,
    }


def state_of(version: Version | None, modes: list[str]) -> str:
    """Return the service's own state, by NAMUR NE 194."""
    if version is None or not version.pool.ready:
        return "fault"
    if not can_search():
        return "off"
    return "approved" if "approved" in modes else "advise"


def version_or_none(counter: Counter) -> Version | None:
    """Return the version that looks at records now; None where there is none."""
    try:
        return counter.any_version()
    except RefusedError:
        return None


def _line_info(counter: Counter, line_id: str, version: Version | None) -> dict[str, Any]:
    line = counter.books.line_or_none(line_id)
    plant = line.plant if line is not None else version.manifest.plant if version is not None else None
    date: datetime.date | None = None
    if line is not None and line.last is not None:
        # The day that would be decided on, however old the record is: the page says how old.
        date = max(counter.books.today(line), line.last + datetime.timedelta(days=1))
    return {
        "line_id": line_id,
        "date": date.isoformat() if date else None,
        "now": counter.books.time_at(line).isoformat(),
        "simulated": plant.simulated if plant else False,
        "currency": plant.currency if plant else _CURRENCY,
    }


def _model_info(version: Version) -> dict[str, Any]:
    return {
        "name": version.signature.name,
        "version": version.signature.version,
        "bundle_digest": version.manifest.digest,
        "ready": version.pool.ready,
    }


def set_mode(counter: Counter, identity: Identity, cell_id: str, asked: forms.ModeRequest) -> dict[str, Any]:
    """Put a cell into a mode, written into the ledger first.

    Raises:
        UnknownNameError: there is no such cell, lever or model, or the line is not the asker's.
    """
    books = counter.books
    if not identity.may_see(asked.line_id) or not overview(books, asked.line_id, cell_id):
        raise refused(404, "unknown_name.cell_of_line", cell=cell_id[:64], line=asked.line_id[:64])
    if asked.levers:
        known = {lever.name for lever in counter.any_version().manifest.levers}
        if unknown := sorted(set(asked.levers) - known):
            raise refused(404, "unknown_name.lever", lever=unknown[0], offered=", ".join(sorted(known)))
    told: dict[str, Any] = {
        "line_id": asked.line_id,
        "cell_id": cell_id,
        "mode": asked.mode,
        "levers": sorted(asked.levers),
    }
    entry = AuditEntry(
        category="control system event", action="set mode", target={**told, "reason": asked.reason}
    )
    record = books.ledger.append("audit", entry, identity)
    mode = Mode(
        asked.mode,
        tuple(sorted(asked.levers)),
        asked.reason,
        record.content.subject,
        record.content.recorded_at,
    )
    books.record.set_mode(asked.line_id, cell_id, mode)
    return {**told, "reason": mode.reason, "subject": mode.subject, "changed_at": mode.changed_at}
