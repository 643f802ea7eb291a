"""The counter where advice is asked for: which model, which cells, which day; then the round, and decisions on it."""

import asyncio
import datetime
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import orjson

from features.errors import SuperheatError, UnknownNameError
from serving.advising import tasks
from serving.advising.books import Books
from serving.advising.cells import decision_values
from serving.advising.desk import Desk
from serving.advising.rounds import Outcome, Round, advise
from serving.ledger import Advised, Decision
from serving.ledger.entries import SettingsEntry
from serving.models.errors import LineErrors
from serving.models.house import House, Version
from serving.models.pool import Pool
from serving.ports import Identity
from serving.record.store import Line, Mode
from serving.refusals import RefusedError, outside_words, refused
from serving.verified import Span

_LOG = logging.getLogger("superheat.advice")
_KEPT: Final = 8
_KEPT_SAVINGS: Final = 64
Values = Mapping[str, Any]


def can_search() -> bool:
    """Say whether the search extra is installed, without loading it."""
    return all(find_spec(name) is not None for name in ("optuna", "scipy"))


@dataclass(frozen=True)
class Wish:
    """What a request narrows: the levers on offer with their bounds, and prices; None = the bundle's and the plant's."""

    window: Sequence[Values] | None = None
    prices: Values | None = None


@dataclass(frozen=True)
class Known:
    """The contexts of a line's cells on a date, as plain values, and the row that is typical of the line."""

    date: datetime.date
    contexts: tuple[Values, ...]
    typical: Sequence[float | None] | None


class Counter:
    """Where advice is given out."""

    def __init__(
        self,
        house: House,
        desk: Desk,
        books: Books | None,
        on_given: Callable[[str, str], None] = lambda what, result: None,
    ) -> None:
        """Advise by the models of ``house`` with the workers of ``desk``, written into ``books``.

        ``on_given`` is told of each recommendation and its status, and of each decision and its action.
        """
        self._house = house
        self._on_given = on_given
        self.desk = desk
        self._books = books
        self._known: OrderedDict[tuple[str, str, int, datetime.date], Known] = OrderedDict()
        self._settled: OrderedDict[tuple[str, bytes], Values] = OrderedDict()
        self._looked: set[tuple[str, str, int]] = set()
        self._saved: OrderedDict[tuple[str, str, int, int, Span, str | None], dict[str, Any]] = OrderedDict()

    @property
    def books(self) -> Books:
        """The ledger and the record.

        Raises:
            RefusedError: 503 where the service runs without them.
        """
        if self._books is None:
            raise refused(503, "no_ledger")
        return self._books

    @property
    def errors(self) -> Sequence[LineErrors]:
        """What is known of the models' recent errors, a line each."""
        return [] if self._books is None else self._books.watch.known

    def version(self, model: str | None = None) -> Version:
        """Return the version that advises now: of ``model``, or of the one model that is served.

        Raises:
            UnknownNameError: there is no such model.
            RefusedError: 503 none is served; 422 several are, and none is named.
        """
        names = self._house.names()
        if model is None and len(names) > 1:
            raise refused(422, "which_model", models=", ".join(names))
        if not names:
            raise refused(503, "not_ready", 1)
        return self._house.version(model or names[0])

    def any_version(self) -> Version:
        """Return the version that looks at records: of the one model, or of the first by name.

        Raises:
            RefusedError: 503 none is served.
        """
        names = self._house.names()
        return self.version(names[0] if names else None)

    def keeps(self, model: str, digest: str) -> bool:
        """Say whether the bundle ``digest`` is still in the repository, so that its advice can be made again."""
        return self._house.keeps(model, digest)

    @asynccontextmanager
    async def seat(self, version: Version) -> AsyncIterator[Pool]:
        """Hold the advice workers of ``version``."""
        async with self.desk.seat(version) as pool:
            yield pool

    async def post(self, content: bytes, lines: Sequence[str] | None, identity: Identity) -> dict[str, Any]:
        """Put posted rows into the record and return what became of them; ``lines``: the sender's, None = all."""
        told = {"store": self.books.record_url, "lines": lines, "now": self.books.now().isoformat()}
        version = self.any_version()
        async with self.seat(version) as pool:
            taken = await tasks.ask(pool, "post", told, content)
            for line in taken["lines"]:
                await self._follow(pool, version, line, identity)
        return taken

    async def _follow(self, pool: Pool, version: Version, line_id: str, identity: Identity) -> None:
        """Look what became of a line's advice. The rows are kept: what goes wrong here must not say otherwise."""
        told = {**self._at(line_id), "subject": identity.subject}
        try:
            await tasks.ask(pool, "follow", told)
            await self._judge_errors(pool, version, await asyncio.to_thread(self.books.record.line, line_id))
        except SuperheatError as error:
            fields = {"line": line_id, "reason": outside_words(str(error))}
            _LOG.error("record not followed up", extra={"fields": fields})

    def _at(self, line_id: str) -> dict[str, Any]:
        return {"store": self.books.record_url, "ledger": self.books.ledger_url, "line_id": line_id}

    async def _judge_errors(self, pool: Pool, version: Version, line: Line) -> None:
        """Look how wrong the model has been on a line, once for each state of its record."""
        key = (version.manifest.digest, line.line_id, line.revision)
        days = self.books.watch_days
        if key in self._looked or line.last is None or not days:
            return
        told = {**self._at(line.line_id), "days": days}
        found = LineErrors.read(await tasks.ask(pool, "errors", told))
        self.books.watch.note(version.manifest.digest, found)
        self._looked = {known for known in self._looked if known[:2] != key[:2]} | {key}

    async def savings(
        self, line_id: str, span: Span, identity: Identity, model: str | None = None
    ) -> dict[str, Any]:
        """Return what accepted advice really saved on a line: of whichever model, or of ``model`` alone.

        The plan is one for all: the days counted after a move are the horizon of the version that looks at records.

        Raises:
            UnknownNameError: the line has no record, or is not the asker's.
        """
        line = await asyncio.to_thread(self.books.visible_line, identity, line_id)
        if line.last is None:
            raise refused(404, "unknown_name.no_days", line=line_id[:64])
        version = self.any_version()
        head = await asyncio.to_thread(self.books.ledger.head)
        key = (version.manifest.digest, line_id, line.revision, head.sequence, span, model)
        if key not in self._saved:
            days = [None if day is None else day.isoformat() for day in (span.first, span.last)]
            told = {**self._at(line_id), "span": days, "model": model}
            async with self.seat(version) as pool:
                self._saved[key] = await tasks.ask(pool, "savings", told)
            while len(self._saved) > _KEPT_SAVINGS:
                self._saved.popitem(last=False)
        return self._saved[key]

    async def known(self, pool: Pool, version: Version, line: Line, date: datetime.date) -> Known:
        """Return the contexts of a line's cells on ``date``, from the record as it stands now."""
        key = (version.manifest.digest, line.line_id, line.revision, date)
        await self._judge_errors(pool, version, line)
        if key not in self._known:
            told = {"store": self.books.record_url, "line_id": line.line_id, "date": date.isoformat()}
            answer = await tasks.ask(pool, "contexts", told)
            digest, watch = version.manifest.digest, self.books.watch
            contexts = tuple(watch.counted_in(digest, context) for context in answer["contexts"])
            self._known[key] = Known(date, contexts, answer["typical"])
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    async def counted_in(
        self, pool: Pool, version: Version, contexts: Sequence[Values], identity: Identity
    ) -> list[Values]:
        """Return given ``contexts`` with the model's recent errors on their lines, where those have a record."""
        for name in sorted({context["line_id"] for context in contexts}):
            line = await asyncio.to_thread(self.books.line_or_none, name)
            if line is not None and identity.may_see(name):
                await self._judge_errors(pool, version, line)
        return [self.books.watch.counted_in(version.manifest.digest, context) for context in contexts]

    async def settle(self, pool: Pool, digest: str, wish: Wish) -> Values:
        """Return the settings' entry of a wish on the bundle ``digest``.

        Raises:
            RefusedError: 422 it is wider than the bundle, 501 the search extra is missing.
        """
        if not can_search():
            raise refused(501, "not_installed.search")
        told = {"window": wish.window, "prices": wish.prices}
        key = (digest, orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
        if key not in self._settled:
            self._settled[key] = await tasks.ask(pool, "settle", told)
            while len(self._settled) > _KEPT:
                self._settled.popitem(last=False)
        return self._settled[key]

    async def round(self, pool: Pool, asked: Round) -> AsyncGenerator[Outcome]:
        """Advise every context of ``asked``."""
        async with aclosing(advise(pool, self.desk.workers, asked, self.books)) as outcomes:
            async for outcome in outcomes:
                found = outcome.recommendation
                self._on_given("recommendation", "refused" if found is None else found["status"])
                yield outcome

    def modes(self, contexts: Sequence[Values]) -> dict[tuple[str, str], Mode]:
        """Return the mode of every cell of ``contexts`` whose mode was ever set."""
        lines = sorted({context["line_id"] for context in contexts})
        return {(line, cell): mode for line in lines for cell, mode in self.books.record.modes(line).items()}

    async def card(self, line_id: str, cell_id: str, days: int) -> dict[str, Any]:
        """Return a cell's trends and the days of its line that were like the one advised on; none without a record."""
        found = await asyncio.to_thread(self.books.ledger.latest, line_id, cell_id)
        told = {"store": self.books.record_url, "line_id": line_id, "cell_id": cell_id, "days": days}
        version = self.any_version()
        async with self.seat(version) as pool:
            return await tasks.ask(pool, "card", {**told, **_moved(found, version)})

    async def explain(self, recommendation_id: str, identity: Identity) -> dict[str, Any]:
        """Return why a recommendation says what it says, from the bundle that made it.

        Raises:
            UnknownNameError: there is no such recommendation, or it is not of the asker's lines.
            RefusedError: 409 its bundle is not in operation any more; 501 the search extra is missing.
        """
        books = self.books
        found = await asyncio.to_thread(books.ledger.recommendation, recommendation_id)
        advice = found.recommendation
        if not identity.may_see(advice.line_id):
            raise refused(404, "unknown_name.recommendation", recommendation=recommendation_id)
        if not advice.levers:
            return {"outcomes": {}, "curves": {}, "precedents": []}
        version = self._version_of(advice.model_name, advice.bundle_digest)
        line = await asyncio.to_thread(books.line_or_none, advice.line_id)
        async with self.seat(version) as pool:
            typical: Sequence[float | None] | None = None
            precedents: list[Values] = []
            if line is not None and line.last is not None:
                try:
                    typical = (await self.known(pool, version, line, advice.date)).typical
                    told = {"store": books.record_url, "line_id": line.line_id, **_moved([found], version)}
                    precedents = (await tasks.ask(pool, "precedents", told))["precedents"]
                except RefusedError as error:
                    if error.status != 422:  # the record does not reach that day: the rest can be told
                        raise
            told = {
                "settings": (await self._settings(found)).model_dump(mode="json"),
                "context": found.entry.context,
                "levers": {lever.name: lever.recommended for lever in advice.levers},
                "typical": typical,
            }
            return {**await tasks.ask(pool, "explain", told), "precedents": precedents}

    async def first_moves(self, line_id: str, budget: Values, identity: Identity) -> dict[str, Any]:
        """Return which of a line's open moves a shift should make first within ``budget``.

        Nothing is written: it follows from the ledger and the budget, and the decisions on it are what is recorded.

        Raises:
            UnknownNameError: the line has no record, or is not the asker's.
            RefusedError: 501 the search extra is missing.
        """
        books = self.books
        line = await asyncio.to_thread(books.visible_line, identity, line_id)
        moves = await asyncio.to_thread(books.open_moves, line)
        told = {
            "recommendations": [advice.model_dump(mode="json") for advice in moves],
            "budget": budget,
            "line_current_ka": line.plant.line_current_ka,
        }
        async with self.seat(self.any_version()) as pool:
            return {"line_id": line_id, **await tasks.ask(pool, "allocate", told)}

    async def quality(self, line_id: str, identity: Identity) -> dict[str, Any]:
        """Return what a line's record is worth, how far the inputs have drifted, and how wrong the model has been.

        Raises:
            UnknownNameError: the line has no record, or is not the asker's.
        """
        books = self.books
        line = await asyncio.to_thread(books.visible_line, identity, line_id)
        version = self.any_version()
        date = books.decision_date(line, None)
        told = {"store": books.record_url, "line_id": line_id, "date": date.isoformat()}
        async with self.seat(version) as pool:
            found = await tasks.ask(pool, "quality", told)
            await self._judge_errors(pool, version, line)
        return {**found, "model_error": books.watch.states(version.manifest.digest, line_id)}

    def _version_of(self, model: str, digest: str) -> Version:
        try:
            return self._house.version(model, digest)
        except UnknownNameError as error:
            raise refused(409, "version_gone") from error

    async def _settings(self, found: Advised) -> SettingsEntry:
        noted = await asyncio.to_thread(self.books.ledger.records, "settings", found.entry.settings)
        if not noted:
            raise refused(409, "settings_gone")
        return SettingsEntry.model_validate(noted[-1].body)

    async def decide(self, decision: Decision, identity: Identity) -> dict[str, Any]:
        """Write a decision down and return it with who took it and when.

        A modified setting is judged by the guard first, with the full graph of the bundle that advised.

        Raises:
            RefusedError: 409 or 410 where nothing can be decided any more; 422 where the guard refuses.
        """
        books = self.books
        found = await asyncio.to_thread(books.ledger.recommendation, decision.recommendation_id)
        advice = found.recommendation
        if not identity.may_see(advice.line_id):
            raise refused(404, "unknown_name.recommendation", recommendation=decision.recommendation_id)
        mode = (await asyncio.to_thread(books.record.modes, advice.line_id)).get(advice.cell_id, Mode())
        if mode.mode == "off" and decision.action != "reject":
            raise refused(409, "cell_off", cell=advice.cell_id)
        line = await asyncio.to_thread(books.line_or_none, advice.line_id)
        as_of = books.time_at(line)
        if decision.action == "modify":
            await asyncio.to_thread(books.ledger.require_open, decision.recommendation_id, as_of)
            decision = await self._judged(decision, advice.bundle_digest)
        taken = await asyncio.to_thread(books.ledger.decide, decision, identity, as_of)
        self._on_given("decision", decision.action)
        return decision_values(taken)

    async def _judged(self, decision: Decision, digest: str) -> Decision:
        """Return ``decision`` with the value of every lever, once the guard lets it pass."""
        ledger = self.books.ledger
        found = await asyncio.to_thread(ledger.recommendation, decision.recommendation_id)
        advice = found.recommendation
        entry = await self._settings(found)
        offered = {lever.name: lever.recommended for lever in advice.levers}
        chosen = decision.levers or {}
        if unknown := sorted(set(chosen) - set(offered)):
            raise refused(
                422,
                "invalid_input.not_offered",
                recommendation=advice.recommendation_id,
                lever=unknown[0][:64],
                offered=", ".join(offered),
            )
        version = self._version_of(advice.model_name, digest)
        told = {
            "settings": entry.model_dump(mode="json"),
            "context": found.entry.context,
            "levers": {**offered, **chosen},
        }
        async with self.seat(version) as pool:
            judged = await tasks.ask(pool, "judge", told)
        return decision.model_copy(update={"levers": judged["levers"]})


def _moved(found: Sequence[Advised], version: Version) -> dict[str, Any]:
    """Return what the standing recommendation moves, and from which context."""
    if not found or found[0].recommendation.bundle_digest != version.manifest.digest:
        return {}
    levers = found[0].recommendation.levers
    moved = [(x.name, x.current, x.recommended) for x in levers if x.recommended != x.current]
    return {"moved": moved, "context": found[0].entry.context, "horizon": version.manifest.horizon_days}
