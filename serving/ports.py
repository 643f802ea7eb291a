"""What others bring to the service: who is asking and may they, and a line's record. Plugged in at the start."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from features.bundle import Manifest
from features.history import History
from serving.dashboard import FILES
from serving.refusals import RefusedError

OPEN_PATHS: Final = frozenset({"/v2/health/live", "/v2/health/ready", *FILES})
"""Answered to anybody: what an orchestrator asks, and the page's own files. Neither tells anything of a line."""
HOUR: Final = 3600.0


class Identity(Protocol):
    """Who is asking."""

    @property
    def subject(self) -> str:
        """A name for logs and the audit; never the secret itself."""

    def may_see(self, line_id: str) -> bool:
        """Say whether anything of line ``line_id`` may be read or changed."""


class Access(Protocol):
    """Who is asking, by headers or gRPC metadata (lower-case names), and whether they may."""

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return who sent ``headers``; raises ``RefusedError`` 401 if nobody known, 429 if too often."""

    def authorise(self, identity: Identity, method: str, path: str) -> None:
        """Raise ``RefusedError`` unless ``identity`` may use ``method`` on ``path``; a path without a rule is refused."""


@dataclass(frozen=True)
class Named:
    """An identity that is a name and nothing else; it sees every line."""

    subject: str

    def may_see(self, line_id: str) -> bool:
        """Say yes."""
        return True


class ErrorWatch(Protocol):
    """What compares what a model said with what came of it, outcome by outcome and cell by cell."""

    def counted_in(self, advised: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``advised`` (recommendation, context and settings' digest, as the ledger takes them) with the model's
        recent errors counted in: intervals widened, or nothing said; the context then holds what replays it.
        """

    def states(self, line_id: str) -> Sequence[Mapping[str, Any]]:
        """Return how each outcome stands: outcome, recent_mae, training_mae, ratio, days, state."""


class RecordFollower(Protocol):
    """What is told that a line's record has grown: what became of earlier advice may be known now."""

    def __call__(self, line_id: str, manifest: Manifest, identity: Identity) -> object:
        """Look at the record of line ``line_id``; called outside the event loop, after each accepted post."""


class LoopbackAccess:
    """Everybody on this machine, for the first hour: to try the service out."""

    def __init__(self, seconds: float = HOUR) -> None:
        """Open for ``seconds`` from now."""
        self._until = time.monotonic() + seconds

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return the local identity while the hour lasts."""
        if time.monotonic() > self._until:
            raise RefusedError(401, "hour_over", "the hour without keys is over; create a key")
        return Named("local")

    def authorise(self, identity: Identity, method: str, path: str) -> None:
        """Allow."""


class HistorySource(Protocol):
    """Where a line's record is found."""

    def history(self, line_id: str) -> History | None:
        """Return the record of line ``line_id`` as far as it is known, None where there is none."""
