"""What a run leaves in the tracking store: settings, figures, charts, held-out predictions, trials, the model."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from experiments.figures import flat_metrics
from experiments.progress import Meter
from experiments.summary import RunSummary
from features.outcomes import TARGETS
from training import heldout
from training.export import BundleInfo
from training.figures import draw
from training.fitted import FittedModel
from training.inputs import TrainingInputs
from training.settings import TrainSettings
from training.tracking import BUNDLE_FOLDER, EXPERIMENT, PREDICTIONS, Run, Standing, Tracker
from training.tuning import TuningResult

KIND: Final = "superheat.kind"
RUN_KIND: Final = "run"


class Logbook:
    """One tracking store and, inside :meth:`run`, one run of it."""

    def __init__(self, uri: str | None, root: Path) -> None:
        """Open the store at ``uri``, or the SQLite file below ``root``.

        Raises:
            InputError: the store cannot be reached.
        """
        self._tracker = Tracker(uri, root)
        self._run: Run | None = None
        self._name = ""

    @property
    def shown(self) -> dict[str, str]:
        """Where the run is kept, without what may be secret in an address."""
        return {
            "tracking store": shown_uri(self._tracker.uri),
            "experiment": EXPERIMENT,
            "run": self.current.run_id,
        }

    @property
    def current(self) -> Run:
        """The run at hand.

        Raises:
            RuntimeError: there is none; enter :meth:`run` first.
        """
        if self._run is None:
            raise RuntimeError("no run is open; enter Logbook.run first")
        return self._run

    @contextmanager
    def run(self, name: str, settings: TrainSettings) -> Iterator[None]:
        """Open a run called ``name``; it ends finished, failed or killed as the body does."""
        with self._tracker.start(name, {KIND: RUN_KIND}) as opened:
            self._run, self._name = opened, name
            opened.log(params=settings.flat())
            try:
                yield
            finally:
                self._run = None

    def keep(
        self, summary: RunSummary, fitted: FittedModel, inputs: TrainingInputs, report: Path, meter: Meter
    ) -> None:
        """Log the data, the figures, the charts, the held-out predictions and the trials of the tuning study."""
        data = summary.data
        meter(0, 4, "figures")
        self.current.log(
            params={
                "data.sha256": data.sha256,
                "data.first_day": data.first_day,
                "data.last_day": data.last_day,
            },
            metrics=flat_metrics(summary),
            tags={"superheat.bundle": summary.bundle.digest},
        )
        self._keep_predictions(fitted)
        self.current.file(report, "report")
        meter(1, 4, "trials")
        self.keep_study(fitted.study)
        meter(2, 4, "charts")
        if not summary.quick:  # a chart takes longer to draw than a quick model to train
            with tempfile.TemporaryDirectory() as folder:
                self.current.files(draw(fitted, inputs, Path(folder)), "figures")

    def keep_study(self, study: TuningResult | None) -> None:
        """Log every trial of ``study``, if there was one, as a child of the run."""
        if study is not None:
            self._tracker.log_trials(self.current, study)
            self.current.log(metrics={"study.best_relative_mae": study.best.value})

    def keep_model(self, fitted: FittedModel, info: BundleInfo) -> None:
        """Log a training without the rest of the main job: errors, held-out predictions, trials, the bundle."""
        metrics = {
            f"{name}.{family}.{figure}": value
            for name, entry in fitted.outcomes.items()
            for family, score in entry.scores.items()
            for figure, value in (("mae", score.mae), ("r2", score.r2))
        }
        tags = {"superheat.bundle": info.digest}
        self.current.log(params={"data.sha256": fitted.data.sha256}, metrics=metrics, tags=tags)
        self._keep_predictions(fitted)
        self.keep_study(fitted.study)
        self.current.directory(info.path, BUNDLE_FOLDER)

    def _keep_predictions(self, fitted: FittedModel) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(PREDICTIONS).name
            heldout.save({name: entry.heldout for name, entry in fitted.outcomes.items()}, path)
            self.current.file(path, str(Path(PREDICTIONS).parent))

    def register(self, info: BundleInfo, fitted: FittedModel) -> dict[str, str]:
        """Register the bundle; return its version and whether it became champion, in words."""
        found = self._tracker.register(self.current, info.path, self._name, standing(fitted))
        return {
            "model": found.name,
            "model version": str(found.version),
            "champion": "yes" if found.champion else "no, an earlier version stands",
        }


def standing(fitted: FittedModel) -> Standing:
    """Return what decides whether a model becomes champion: its validation error relative to persistence."""
    targets = [fitted.outcomes[name] for name in TARGETS if name in fitted.outcomes]
    relative = [entry.validation[entry.family] / entry.validation["persistence"] for entry in targets]
    return Standing(
        validation=float(np.mean(relative)),
        data_sha256=fitted.data.sha256,
        last_day=str(fitted.data.test_last_day),
    )


def shown_uri(uri: str) -> str:
    """Return an address without user, password and path: enough to know which store, nothing to steal."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return f"sqlite, {Path(parts.path).name}"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else parts.scheme or uri
