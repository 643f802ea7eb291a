"""What the protocol asks of access control: who is asking, and may they. Its keeper is plugged in at the start."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from serving.dashboard import FILES
from serving.refusals import refused

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


class LoopbackAccess:
    """Everybody on this machine, for the first hour: to try the service out."""

    def __init__(self, seconds: float = HOUR) -> None:
        """Open for ``seconds`` from now."""
        self._until = time.monotonic() + seconds

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return the local identity while the hour lasts."""
        if time.monotonic() > self._until:
            raise refused(401, "hour_over")
        return Named("local")

    def authorise(self, identity: Identity, method: str, path: str) -> None:
        """Allow."""
