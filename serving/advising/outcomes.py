"""What an advice worker does with what came of advice: written into the ledger, held against the model, and saved."""

import datetime
from collections.abc import Mapping
from typing import Any

from features.errors import ContractError, TargetUnavailableError
from features.history import History
from serving.advising.record import RecordDesk
from serving.follow_up import follow_up
from serving.ledger import Ledger
from serving.models.errors import LineErrors, WatchSettings, delayed, watch
from serving.ports import Named
from serving.predictor import Predictor
from serving.verified import SavingsSettings, Span, verified_savings


class OutcomeDesk:
    """What came of advice on the lines of a record."""

    def __init__(self, predictor: Predictor, record: RecordDesk) -> None:
        """Judge ``predictor`` by ``record``."""
        self._predictor = predictor
        self._record = record
        self._ledgers: dict[str, Ledger] = {}

    def follow(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Write into the ledger what the record now tells of a line's advice."""
        who = Named(told["subject"])
        found = follow_up(self._ledger(told), self._history(told), self._predictor.manifest, who)
        return {"applied": found.applied, "measured": found.measured}

    def errors(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return how wrong the model has been on a line; nothing of a line whose record is too short to say."""
        manifest, line_id = self._predictor.manifest, told["line_id"]
        nothing, plan = LineErrors(manifest.name, line_id, ()), WatchSettings(days=max(told["days"], 7))
        try:
            past = delayed(manifest, self._history(told), line_id, plan)
        except (ContractError, TargetUnavailableError):
            return nothing.values()
        if not len(past.date):
            return nothing.values()
        return watch(manifest, line_id, past, self._predictor.predict(past.X), plan).values()

    def savings(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return a line's verified savings."""
        days = [None if day is None else datetime.date.fromisoformat(day) for day in told["span"]]
        horizon = self._predictor.manifest.horizon_days
        plan = SavingsSettings(horizon_days=horizon, block_days=max(SavingsSettings().block_days, horizon))
        found = verified_savings(
            self._ledger(told), self._history(told), told["line_id"], Span(*days), plan, told["model"]
        )
        return found.model_dump(mode="json")

    def _history(self, told: Mapping[str, Any]) -> History:
        return self._record.history(told)

    def _ledger(self, told: Mapping[str, Any]) -> Ledger:
        url = told["ledger"]
        if url not in self._ledgers:
            self._ledgers[url] = Ledger(url, create=False)
        return self._ledgers[url]
