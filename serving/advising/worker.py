"""The process that advises: a bundle's searches and a line's record, asked task by task, ended when it hangs.

Started like a model's worker (``serving.worker``), on the same wire. The search libraries are loaded with the first
task that needs them: a service with the serving extra alone keeps records and refuses recommendations with the remedy.
"""

from pathlib import Path

from features.errors import SuperheatError
from serving.advising import tasks
from serving.advising.outcomes import OutcomeDesk
from serving.advising.record import RecordDesk
from serving.answering import one_by_one, refusal, run
from serving.models.wire import Frame
from serving.predictor import Predictor
from serving.refusals import internal, refusal_of, refused

_OF_RECORD = {
    "contexts": RecordDesk.contexts,
    "card": RecordDesk.card,
    "precedents": RecordDesk.precedents,
    "quality": RecordDesk.quality,
}
_OF_OUTCOMES = {
    "follow": OutcomeDesk.follow,
    "errors": OutcomeDesk.errors,
    "savings": OutcomeDesk.savings,
}
_SEARCH = frozenset({"optuna", "cmaes", "scipy", "highspy"})


class AdviceWorker:
    """One bundle's advice, task by task."""

    def __init__(self, predictor: Predictor) -> None:
        """Advise by ``predictor``."""
        self._predictor = predictor
        self._record = RecordDesk(predictor.recipe, predictor.manifest.data)
        self._outcomes = OutcomeDesk(predictor, self._record)
        self._desk: object | None = None

    def answer(self, frame: Frame) -> bytes:
        """Return the answering frame: the answer, or a refusal."""
        try:
            return tasks.answer(frame.ticket, self._answer(frame))
        except SuperheatError as error:
            return refusal(frame.ticket, refusal_of(error))
        except (MemoryError, ValueError, ArithmeticError, RuntimeError):
            # Anything else ends this process: its place is taken, and the caller told.
            return refusal(frame.ticket, internal())

    def _answer(self, frame: Frame) -> dict[str, object]:
        verb, told, payload = tasks.read(frame)
        if verb == "post":
            return self._record.post(told, payload)
        if verb in _OF_RECORD:
            return _OF_RECORD[verb](self._record, told)
        if verb in _OF_OUTCOMES:
            return _OF_OUTCOMES[verb](self._outcomes, told)
        found: dict[str, object] = getattr(self._search(), verb)(told)
        return found

    def _search(self) -> object:
        if self._desk is None:
            try:
                from serving.advising.search import SearchDesk
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] not in _SEARCH:
                    raise
                raise refused(501, "not_installed.search") from error
            self._desk = SearchDesk(self._predictor)
        return self._desk


def open_worker(directory: Path, digest: str, max_rows: int) -> AdviceWorker:
    """Return the worker of the bundle in ``directory`` once it is verified and proved.

    Raises:
        BundleError: the bundle is refused.
    """
    return AdviceWorker(Predictor.open(directory, digest))


if __name__ == "__main__":
    run(open_worker, one_by_one)
