"""The ledger itself: records are added at its end, one writer after the other, and read; nothing else can be done."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, Select, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from features.errors import InputError, SuperheatError
from features.signals import SIGNALS
from serving.database import WRITES, open_engine
from serving.ledger.chain import Anchor, Content, Record, Verdict, verify_chain
from serving.ledger.entries import (
    Applied,
    Decision,
    Entry,
    Kind,
    Measured,
    RecommendationEntry,
    SettingsEntry,
    entry_of,
    text_of,
)
from serving.ledger.schema import SCHEMA
from serving.ledger.tables import HEAD, RECORDS
from serving.ports import Identity
from serving.refusals import UnavailableError, refused
from serving.schemas import STATUS_ZH, LeverAdvice, Recommendation

_BATCH: Final = 1000
_MANY: Final = 500
"""Ids in one question: databases bound how many they take."""
_LONGEST_SUBJECT: Final = 320


class LedgerError(UnavailableError):
    """The ledger's database does not do what it is asked: nothing was written."""


@dataclass(frozen=True)
class Advised:
    """A recommendation as it stands in the ledger."""

    record: Record
    entry: RecommendationEntry

    @property
    def recommendation(self) -> Recommendation:
        """The recommendation."""
        return self.entry.recommendation


@dataclass(frozen=True)
class Decided:
    """A decision as it stands in the ledger."""

    record: Record
    decision: Decision


def _utc() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """The ledger in one database. Safe to share between threads; several processes may write at once."""

    def __init__(self, url: str, now: Callable[[], datetime] = _utc, *, create: bool = True) -> None:
        """Open the ledger at ``url`` (``sqlite:///FILE`` or ``postgresql://...``).

        Args:
            url: of the database.
            now: tells the time, in UTC.
            create: make it, and bring its schema up to date; else it must be there and up to date.

        Raises:
            SettingsError: the URL or the database cannot be used.
        """
        self._engine = open_engine(url, "ledger", must_exist=not create)
        self._now = now
        try:
            if create:
                SCHEMA.upgrade(self._engine)
            else:
                SCHEMA.require_newest(self._engine)
        except SuperheatError:
            self._engine.dispose()
            raise

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def append(self, kind: Kind, body: object, identity: Identity) -> Record:
        """Write one record of ``kind``, ``body`` as plain values or as the entry, in the name of ``identity``.

        A recommendation or settings that stand there already, to the letter, are not written again.

        Raises:
            InputError: the body is no entry of ``kind``, or what it says does not fit the recommendation.
            UnknownNameError: it is about a recommendation that does not exist or is not of one's lines.
            LedgerError: the database refuses.
        """
        return self.append_all([(kind, body)], identity)[0]

    def append_all(self, entries: Iterable[tuple[Kind, object]], identity: Identity) -> list[Record]:
        """Write ``entries`` (kind, body) in their order, all or none; see :meth:`append`."""
        read = [(kind, entry_of(kind, body)) for kind, body in entries]
        with self._writing() as connection:
            return self._add(connection, read, identity)

    def decide(self, decision: Decision, identity: Identity, as_of: datetime | None = None) -> Decided:
        """Write the one decision about a recommendation that still stands; ``as_of``: the moment on the line's clock.

        Raises:
            UnknownNameError: there is no such recommendation, or it is not of one's lines.
            RefusedError: 409 it says nothing to decide, is decided already, or a newer one stands for its cell; 410
                it has expired.
            InputError: the levers are not those of the recommendation.
            LedgerError: the database refuses.
        """
        with self._writing() as connection:
            found = _advised(connection, decision.recommendation_id)
            _require_seen(found.recommendation, identity)
            _require_open(connection, found, as_of or self._now())
            written = self._add(connection, [("decision", decision)], identity, as_of)[0]
        return Decided(written, decision)

    def require_open(self, recommendation_id: str, as_of: datetime | None = None) -> None:
        """Refuse, as :meth:`decide` would, a recommendation about which nothing can be decided any more."""
        with self._reading() as connection:
            _require_open(connection, _advised(connection, recommendation_id), as_of or self._now())

    def _add(
        self,
        connection: Connection,
        entries: Iterable[tuple[Kind, Entry]],
        identity: Identity,
        as_of: datetime | None = None,
    ) -> list[Record]:
        subject, written = _subject(identity), []
        head = _head(connection, lock=True)
        if head is None:
            raise LedgerError("the ledger has lost its head; verify it before anything is written")
        for kind, entry in entries:
            place = _place(connection, entry, identity, as_of or self._now())
            text = text_of(entry)
            known = _standing(connection, kind, entry, text)
            if known is None:
                moment = self._now().astimezone(UTC).isoformat(timespec="microseconds")
                content = Content(moment, kind, subject, entry.about, *place, text)
                known = Record.after(head, content)
                head = known.anchor
                row = {**asdict(content), "sequence": known.sequence, "previous": known.previous}
                connection.execute(insert(RECORDS).values(**row, hash=known.hash))
            written.append(known)
        connection.execute(update(HEAD).values(sequence=head.sequence, hash=head.hash))
        return written

    def latest(self, line_id: str, cell_id: str | None = None) -> list[Advised]:
        """Return the recommendation that stands for each cell of a line, by cell: the last one written for it."""
        with self._reading() as connection:
            return _latest(connection, line_id, cell_id)

    def advised_lines(self) -> list[str]:
        """Return the lines that a recommendation was ever written for."""
        asked = select(RECORDS.c.line_id).where(RECORDS.c.kind == "recommendation").distinct()
        with self._reading() as connection:
            return sorted(connection.execute(asked).scalars())

    def of_cell(self, line_id: str, cell_id: str, most: int = 100) -> list[Advised]:
        """Return the last ``most`` recommendations for a cell, the newest first."""
        asked = _of_line(line_id, cell_id).order_by(RECORDS.c.sequence.desc()).limit(most)
        with self._reading() as connection:
            return [_read_advised(_record(row)) for row in connection.execute(asked)]

    def recommendation(self, recommendation_id: str) -> Advised:
        """Return the recommendation with that id.

        Raises:
            UnknownNameError: there is none.
        """
        with self._reading() as connection:
            return _advised(connection, recommendation_id)

    def decisions(self, recommendation_id: str) -> list[Decided]:
        """Return what was decided about a recommendation, in order: the last one holds.

        Raises:
            UnknownNameError: there is no such recommendation.
        """
        with self._reading() as connection:
            _advised(connection, recommendation_id)
            found = list(_find(connection, "decision", recommendation_id))
        return [Decided(record, Decision.model_validate(record.body)) for record in found]

    def decided(self, recommendation_ids: Iterable[str]) -> dict[str, Decided]:
        """Return the decision that holds for each of the recommendations that one was taken about."""
        ids, found = sorted(set(recommendation_ids)), {}
        with self._reading() as connection:
            for at in range(0, len(ids), _BATCH // 2):
                asked = select(RECORDS).where(
                    RECORDS.c.kind == "decision", RECORDS.c.about.in_(ids[at : at + _BATCH // 2])
                )
                for row in connection.execute(asked.order_by(RECORDS.c.sequence)):
                    record = _record(row)
                    found[row.about] = Decided(record, Decision.model_validate(record.body))
        return found

    def records(
        self,
        kind: Kind | None = None,
        about: str | None = None,
        lines: frozenset[str] | None = None,
        after: int = 0,
    ) -> list[Record]:
        """Return the records behind ``after``, in order: of one ``kind``, ``about`` one thing, of some ``lines``."""
        with self._reading() as connection:
            return list(_find(connection, kind, about, lines, after))

    def advised_by_cell(self, line_id: str, model: str | None = None) -> dict[str, int]:
        """Return how many recommendations a line's cells were given, by cell; by ``model`` where it is named."""
        asked = (
            select(RECORDS.c.cell_id, func.count(RECORDS.c.about.distinct()))
            .where(RECORDS.c.kind == "recommendation", RECORDS.c.line_id == line_id)
            .group_by(RECORDS.c.cell_id)
        )
        if model is not None:
            # As text_of writes it; within a text of the record the quotes would be escaped.
            asked = asked.where(RECORDS.c.body.contains(f'"model_name":{json.dumps(model)}', autoescape=True))
        with self._reading() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(asked)}

    def advised(self, ids: Iterable[str]) -> dict[str, Advised]:
        """Return the recommendations called ``ids``, by id; those that do not exist are left out."""
        wanted, found = sorted(set(ids)), {}
        with self._reading() as connection:
            for at in range(0, len(wanted), _MANY):
                asked = select(RECORDS).where(
                    RECORDS.c.kind == "recommendation", RECORDS.c.about.in_(wanted[at : at + _MANY])
                )
                for row in connection.execute(asked):
                    record = _record(row)
                    found[row.about] = Advised(record, RecommendationEntry.model_validate(record.body))
        return found

    def unanswered(self, kind: Kind, line_id: str) -> list[Advised]:
        """Return a line's recommendations that no record of ``kind`` is about, in order."""
        answered = select(RECORDS.c.about).where(RECORDS.c.kind == kind, RECORDS.c.line_id == line_id)
        asked = (
            select(RECORDS)
            .where(RECORDS.c.kind == "recommendation", RECORDS.c.line_id == line_id)
            .where(RECORDS.c.about.not_in(answered))
            .order_by(RECORDS.c.sequence)
        )
        with self._reading() as connection:
            records = [_record(row) for row in connection.execute(asked)]
        return [Advised(record, RecommendationEntry.model_validate(record.body)) for record in records]

    def head(self) -> Anchor:
        """Return the chain's head: note it down elsewhere, and the ledger can be verified against it.

        Raises:
            LedgerError: there is none.
        """
        with self._reading() as connection:
            found = _head(connection)
        if found is None:
            raise LedgerError("the ledger has lost its head; verify it")
        return found

    def verify(self, noted: Anchor | None = None) -> Verdict:
        """Look at every record, and at ``noted``, an anchor kept elsewhere; name the first that is not as written."""
        with self._reading() as connection:
            return verify_chain(lambda: _find(connection), _head(connection), noted)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._engine.execution_options(**{WRITES: True}).begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        # One look sees one state, whatever is written meanwhile.
        level = {"isolation_level": "REPEATABLE READ"} if self._engine.dialect.name == "postgresql" else {}
        with self._told(), self._engine.execution_options(**level).connect() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger's database refuses: {type(error).__name__}") from error


def _subject(identity: Identity) -> str:
    subject = identity.subject
    if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise InputError(f"subject {subject[:64]!r} is no name that the ledger takes")
    return subject


def _record(row: Row[Any]) -> Record:
    content = Content(row.recorded_at, row.kind, row.subject, row.about, row.line_id, row.cell_id, row.body)
    return Record(row.sequence, content, row.previous, row.hash)


def _head(connection: Connection, lock: bool = False) -> Anchor | None:
    asked = select(HEAD.c.sequence, HEAD.c.hash)
    row = connection.execute(asked.with_for_update() if lock else asked).first()
    return None if row is None else Anchor(row.sequence, row.hash)


def _find(
    connection: Connection,
    kind: Kind | None = None,
    about: str | None = None,
    lines: frozenset[str] | None = None,
    after: int | None = None,
) -> Iterator[Record]:
    """Yield records in order, read in batches: whoever stops early leaves no cursor open."""
    asked = select(RECORDS).order_by(RECORDS.c.sequence).limit(_BATCH)
    if kind is not None:
        asked = asked.where(RECORDS.c.kind == kind)
    if about is not None:
        asked = asked.where(RECORDS.c.about == about)
    if lines is not None:
        asked = asked.where(RECORDS.c.line_id.in_(sorted(lines)))
    while True:
        behind = asked if after is None else asked.where(RECORDS.c.sequence > after)
        rows = connection.execute(behind).all()
        for row in rows:
            yield _record(row)
        if len(rows) < _BATCH:
            return
        after = rows[-1].sequence


def _advised(connection: Connection, recommendation_id: str) -> Advised:
    found = list(_find(connection, "recommendation", recommendation_id))
    if not found:
        raise refused(404, "unknown_name.recommendation", recommendation=recommendation_id[:64])
    return _read_advised(found[-1])


def _read_advised(record: Record) -> Advised:
    return Advised(record, RecommendationEntry.model_validate(record.body))


def _of_line(line_id: str, cell_id: str | None) -> Select[Any]:
    asked = select(RECORDS).where(RECORDS.c.kind == "recommendation", RECORDS.c.line_id == line_id)
    return asked if cell_id is None else asked.where(RECORDS.c.cell_id == cell_id)


def _latest(connection: Connection, line_id: str, cell_id: str | None = None) -> list[Advised]:
    of = _of_line(line_id, cell_id).subquery()
    last = select(func.max(of.c.sequence)).group_by(of.c.cell_id)
    asked = select(RECORDS).where(RECORDS.c.sequence.in_(last)).order_by(RECORDS.c.cell_id)
    return [_read_advised(_record(row)) for row in connection.execute(asked)]


def _require_open(connection: Connection, found: Advised, now: datetime) -> None:
    """Refuse a recommendation about which nothing can be decided any more."""
    advice = found.recommendation
    if advice.status != "move":
        raise refused(
            409,
            "nothing_to_decide",
            zh={"status": STATUS_ZH[advice.status]},
            recommendation=advice.recommendation_id,
            status=advice.status,
        )
    if next(_find(connection, "decision", advice.recommendation_id), None) is not None:
        raise refused(409, "already_decided", recommendation=advice.recommendation_id)
    newest = _latest(connection, advice.line_id, advice.cell_id)[0].recommendation.recommendation_id
    if newest != advice.recommendation_id:
        raise refused(
            409, "superseded", recommendation=advice.recommendation_id, newest=newest, cell=advice.cell_id
        )
    if advice.expired(now):
        raise refused(
            410,
            "expired.recommendation",
            recommendation=advice.recommendation_id,
            at=advice.expires_at.isoformat(),
        )


def _standing(connection: Connection, kind: Kind, entry: Entry, text: str) -> Record | None:
    """Return the record that says ``text`` already, for kinds that are named by their content."""
    if isinstance(entry, RecommendationEntry):
        advice = entry.recommendation
        last = [found.record for found in _latest(connection, advice.line_id, advice.cell_id)]
        # One that another has superseded meanwhile is written again, so that it stands again.
        return next((record for record in last if record.content.body == text), None)
    if not isinstance(entry, SettingsEntry):
        return None
    return next(
        (record for record in _find(connection, kind, entry.about) if record.content.body == text), None
    )


def _place(
    connection: Connection, entry: Entry, identity: Identity, now: datetime
) -> tuple[str | None, str | None]:
    """Return line and cell of what ``entry`` is about, once it may be written."""
    if isinstance(entry, RecommendationEntry):
        recommendation = entry.recommendation
    elif isinstance(entry, Decision | Applied | Measured):
        recommendation = _advised(connection, entry.recommendation_id).recommendation
    else:
        return None, None
    _require_seen(recommendation, identity)
    if isinstance(entry, Decision):
        _require_decidable(entry, recommendation, now)
    elif isinstance(entry, Applied):
        _require_offered(entry.levers, recommendation)
    return recommendation.line_id, recommendation.cell_id


def _require_seen(recommendation: Recommendation, identity: Identity) -> None:
    if not identity.may_see(recommendation.line_id):
        # As for one that does not exist: others' recommendations are not told apart from none.
        raise refused(404, "unknown_name.recommendation", recommendation=recommendation.recommendation_id)


def _require_decidable(decision: Decision, recommendation: Recommendation, now: datetime) -> None:
    name = recommendation.recommendation_id
    if recommendation.status != "move":
        raise InputError(f"recommendation {name} is {recommendation.status}: there is nothing to decide")
    if decision.action != "reject" and recommendation.expired(now):
        raise InputError(
            f"recommendation {name} expired at {recommendation.expires_at.isoformat()}; ask for a new one"
        )
    offered = _require_offered(decision.levers or {}, recommendation)
    for lever, value in (decision.levers or {}).items():
        low, high = offered[lever].lower, offered[lever].upper
        slack = 1e-9 * max(1.0, abs(value))
        if not low - slack <= value <= high + slack:
            raise refused(
                422,
                "invalid_input.outside",
                zh={"lever": SIGNALS[lever].meaning_zh},
                lever=SIGNALS[lever].meaning,
                value=value,
                unit=offered[lever].unit,
                low=low,
                high=high,
            )


def _require_offered(levers: Iterable[str], recommendation: Recommendation) -> dict[str, LeverAdvice]:
    offered = {lever.name: lever for lever in recommendation.levers}
    if unknown := sorted(set(levers) - set(offered)):
        raise refused(
            422,
            "invalid_input.not_offered",
            recommendation=recommendation.recommendation_id,
            lever=unknown[0][:64],
            offered=", ".join(offered) or "-",
        )
    return offered
