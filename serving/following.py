"""Who is told that a line's record has grown: writes into the ledger what it now tells of earlier advice."""

from dataclasses import dataclass

from features.bundle import Manifest
from serving.follow_up import FollowedUp, follow_up
from serving.ledger import Ledger
from serving.ports import HistorySource, Identity


@dataclass(frozen=True)
class Follower:
    """A ``RecordFollower``: what was set and what followed, from ``source``'s records into ``ledger``."""

    ledger: Ledger
    source: HistorySource

    def __call__(self, line_id: str, manifest: Manifest, identity: Identity) -> FollowedUp:
        """Look at the record of line ``line_id``; nothing is written twice."""
        history = self.source.history(line_id) if line_id in self.ledger.advised_lines() else None
        return FollowedUp(0, 0) if history is None else follow_up(self.ledger, history, manifest, identity)
