"""What advice is written into and read from: the ledger, the record, and the clock of each line."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from features.errors import UnknownNameError
from serving.ledger import Ledger
from serving.ports import Identity
from serving.record.store import Line, Mode, RecordStore
from serving.refusals import refused
from serving.schemas import Recommendation
from serving.trust import Watch

MOST_DAYS_BEHIND: Final = 60
"""A record that ends longer before the decision is no record of what the line is doing."""
MOST_DAYS_AHEAD: Final = 2
_ONE_DAY = datetime.timedelta(days=1)


def utc() -> datetime.datetime:
    """Return the present moment."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Books:
    """The ledger and the record with their URLs, what tells the time, and what is known of the models' errors.

    ``watch_days``: decision days over which those are looked at; 0 = not at all.
    """

    ledger: Ledger
    record: RecordStore
    record_url: str
    ledger_url: str
    now: Callable[[], datetime.datetime] = utc
    watch: Watch = field(default_factory=Watch)
    watch_days: int = 56

    def visible_line(self, identity: Identity, line_id: str) -> Line:
        """Return a line of the record.

        Raises:
            UnknownNameError: it has none, or is not the asker's: the two are not told apart.
        """
        if not identity.may_see(line_id):
            raise refused(404, "unknown_name.line", line=line_id[:64])
        return self.record.line(line_id)

    def line_or_none(self, line_id: str) -> Line | None:
        """Return a line of the record; None where it has none."""
        try:
            return self.record.line(line_id)
        except UnknownNameError:
            return None

    def time_at(self, line: Line | None) -> datetime.datetime:
        """Return the present moment on a line's clock.

        A simulated line lives in its own time: it is the day after its record ends, whatever the day is here.
        """
        now = self.now()
        if line is None or not line.plant.simulated or line.last is None:
            return now
        zone = ZoneInfo(line.plant.timezone)
        local = now.astimezone(zone)
        return datetime.datetime.combine(line.last + _ONE_DAY, local.time(), zone).astimezone(datetime.UTC)

    def open_moves(self, line: Line) -> list[Recommendation]:
        """Return the moves of a line that wait for a decision: neither decided, nor expired, nor of a cell that is off."""
        now, modes = self.time_at(line), self.record.modes(line.line_id)
        standing = [found.recommendation for found in self.ledger.latest(line.line_id)]
        moves = [advice for advice in standing if advice.status == "move" and not advice.expired(now)]
        decided = self.ledger.decided(advice.recommendation_id for advice in moves)
        return [
            advice
            for advice in moves
            if advice.recommendation_id not in decided and modes.get(advice.cell_id, Mode()).mode != "off"
        ]

    def today(self, line: Line) -> datetime.date:
        """Return the present day at a line, in the plant's zone."""
        return self.time_at(line).astimezone(ZoneInfo(line.plant.timezone)).date()

    def decision_date(self, line: Line, asked: datetime.date | None) -> datetime.date:
        """Return the day of a decision at ``line``: ``asked``, else today, or tomorrow where today has been reported.

        Raises:
            InputError: it lies too far from the record, or from today.
        """
        if line.last is None:
            raise refused(422, "invalid_input.no_days", line=line.line_id)
        today = self.today(line)
        date = asked or max(today, line.last + _ONE_DAY)
        if date > line.last + datetime.timedelta(days=MOST_DAYS_BEHIND):
            days = (date - line.last).days
            raise refused(
                422, "invalid_input.record_ends", line=line.line_id, last=line.last, days=days, date=date
            )
        if date > max(today, line.last + _ONE_DAY) + datetime.timedelta(days=MOST_DAYS_AHEAD):
            raise refused(422, "invalid_input.ahead", date=date, today=today, line=line.line_id)
        return date
