"""Each line's record as a history, folded once and again only when rows have come."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from features.errors import UnknownNameError
from features.history import History
from features.layout import TABLES
from features.signals import Signal
from serving.record.folding import history_of
from serving.record.store import RecordStore

_KEPT: Final = 8


class Histories:
    """The histories of a record's lines, for whoever looks at a line as a whole. Safe to share between threads."""

    def __init__(self, store: RecordStore, sensors: Iterable[Signal] = ()) -> None:
        """Read ``store``; ``sensors``: the plant's own signals beyond the dictionary."""
        self._store = store
        self._sensors = tuple(sensors)
        self._folded: OrderedDict[tuple[str, int], History] = OrderedDict()
        self._lock = threading.Lock()

    def history(self, line_id: str) -> History | None:
        """Return the record of a line; None where it has none, or no cell day yet."""
        try:
            line = self._store.line(line_id)
        except UnknownNameError:
            return None
        if line.last is None:
            return None
        key = (line_id, line.revision)
        with self._lock:
            if key not in self._folded:
                values = self._store.values(line_id, TABLES)
                self._folded[key] = history_of(values, line.plant, self._sensors)
                while len(self._folded) > _KEPT:
                    self._folded.popitem(last=False)
            self._folded.move_to_end(key)
            return self._folded[key]
