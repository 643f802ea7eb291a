"""How far the models are trusted: what is known of their recent errors, and what follows for what is said of a cell.

What follows goes into the cell's context before it is advised on: the search, the guard and the intervals all count
with it, and a replay from the ledger's context says the same again.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

from features.bundle.encoding import plain
from serving.context import Erring, RecentErrors
from serving.models.errors import LineErrors, OutcomeError, states

KEY: Final = "errors"
"""Where a context holds it."""
_KEPT: Final = 256
_WIDEST: Final = 1e6
"""An interval of no width is never wide enough; what is out of hand is withheld, whatever the factor."""


def recent(errors: LineErrors, cell_id: str) -> RecentErrors | None:
    """Return what ``errors`` ask of what is said of ``cell_id``; None where the model is as good as it was proved."""
    found = [error for outcome in errors.outcomes if (error := errors.of(cell_id, outcome)) is not None]
    widened = tuple(_erring(error) for error in found if error.factor > 1.0)
    withheld = tuple(_erring(error) for error in found if error.state == "withheld")
    return RecentErrors(widened, withheld) if widened or withheld else None


def _erring(error: OutcomeError) -> Erring:
    told = (error.missed or 0.0, error.nominal, min(error.factor, _WIDEST))
    return Erring(error.outcome, error.days, *(float(f"{value:.9g}") for value in told))


class Watch:
    """What is known of the models' recent errors, by bundle and line. Safe to share between threads."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._errors: OrderedDict[tuple[str, str], LineErrors] = OrderedDict()
        self._lock = Lock()

    def note(self, digest: str, errors: LineErrors) -> None:
        """Take in how wrong the bundle ``digest`` has been on a line."""
        with self._lock:
            self._errors[digest, errors.line_id] = errors
            self._errors.move_to_end((digest, errors.line_id))
            while len(self._errors) > _KEPT:
                self._errors.popitem(last=False)

    @property
    def known(self) -> Sequence[LineErrors]:
        """All that is known, the newest last."""
        with self._lock:
            return list(self._errors.values())

    def states(self, digest: str, line_id: str) -> list[dict[str, Any]]:
        """Return how each outcome of the bundle ``digest`` stands on a line; none where nothing is known."""
        found = self._errors.get((digest, line_id))
        return [] if found is None else list(states(found))

    def counted_in(self, digest: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``context``, as the ledger takes it, with what the bundle's errors on its line ask for."""
        found = self._errors.get((digest, context["line_id"]))
        asked = None if found is None else recent(found, context["cell_id"])
        return context if asked is None else {**context, KEY: plain(asked)}
