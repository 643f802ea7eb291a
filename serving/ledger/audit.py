"""Changes of state, written into the ledger: who did what to what."""

import logging
from collections.abc import Mapping
from typing import Any

from features.errors import SuperheatError
from serving.ledger.book import Ledger
from serving.ports import Named

_LOG = logging.getLogger("superheat.audit")


class LedgerAudit:
    """Writes each change of what is served into the ledger, and into the log."""

    def __init__(self, ledger: Ledger) -> None:
        """Write into ``ledger``."""
        self._ledger = ledger

    def __call__(self, subject: str, what: str, target: Mapping[str, Any]) -> None:
        """Write down that ``subject`` did ``what`` to ``target``.

        The change has been made already: a ledger that cannot be written is told in the log, with all that it missed.
        """
        fields = {"subject": subject, "what": what, **target}
        try:
            entry = {"category": "configuration change", "action": what, "target": dict(target)}
            self._ledger.append("audit", entry, Named(subject or "unknown"))
        except SuperheatError as error:
            _LOG.error("change that the ledger missed", extra={"fields": {**fields, "reason": str(error)}})
        else:
            _LOG.info("change", extra={"fields": fields})
