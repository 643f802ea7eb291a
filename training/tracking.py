"""Runs, trials and models in MLflow: the only module that knows it.

By default everything lies in one SQLite file with the artifacts beside it; any tracking server does by URI.
Registration is ordered so that a kill at any moment leaves no half-registered model: first the bundle's files, then
the check that all of them arrived, then the version, and the alias ``champion`` last. Runs that a killed process of
this machine left RUNNING are marked KILLED when a tracker opens.
"""

import logging
import os
import re
import socket
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from features.errors import InputError, UnknownNameError
from training.tuning import TuningResult

# Before MLflow reads them: a plant's machine calls nobody, and an unreachable server fails in seconds, not minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

with warnings.catch_warnings():
    # SQLAlchemy's and pydantic's deprecation notes about MLflow's own code: nothing that we could change.
    warnings.simplefilter("ignore")
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  (imported here so that its warnings stay here)
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.entities import Metric, Param, RunTag, ViewType
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)

EXPERIMENT = "superheat"
CHAMPION = "champion"
BUNDLE_FOLDER = "bundle"
PREDICTIONS = "predictions/test.npz"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MODEL_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_A_BATCH = 100


@dataclass(frozen=True)
class Standing:
    """What decides whether a version becomes champion.

    validation: its error on the rolling blocks relative to persistence, averaged over the targets; data_sha256 and
    last_day: of the data it was trained on.
    """

    validation: float
    data_sha256: str
    last_day: str

    def beats(self, champion: "Standing | None") -> bool:
        """Return True where there is no champion, its data are older, or it is no better on the same data.

        Errors on different data do not compare, and a line drifts: newer data win. Older data never win, nor does
        a model that is no better than persistence.
        """
        if not self.validation < 1:
            return False
        if champion is None or self.last_day > champion.last_day:
            return True
        same = self.data_sha256 == champion.data_sha256
        return same and self.validation <= champion.validation


@dataclass(frozen=True)
class Registered:
    """A registered version and whether it became champion."""

    name: str
    version: int
    champion: bool


@dataclass(frozen=True)
class RunInfo:
    """One stored run: its id, name, status and what it logged."""

    run_id: str
    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Tracker:
    """One experiment in one MLflow store."""

    def __init__(
        self, uri: str | None = None, root: Path = Path("runs"), experiment: str = EXPERIMENT
    ) -> None:
        """Open the store at ``uri``, or ``root``/mlflow.db with artifacts beside it, and sweep killed runs.

        Raises:
            InputError: the store cannot be reached.
        """
        self.uri, artifacts = uri or "", None
        if uri is None:
            root.mkdir(parents=True, exist_ok=True)
            self.uri = f"sqlite:///{(root / 'mlflow.db').resolve()}"
            artifacts = (root / "mlartifacts").resolve().as_uri()
        try:
            self._client = MlflowClient(self.uri, registry_uri=self.uri)
            known = self._client.get_experiment_by_name(experiment)
            self._experiment = (
                known.experiment_id if known else self._client.create_experiment(experiment, artifacts)
            )
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            raise InputError(
                f"no MLflow store at {shown(self.uri)!r}: {shown(str(error))[:500]}; check --tracking-uri"
            ) from error
        self._sweep()

    def _sweep(self) -> None:
        host = socket.gethostname()
        running = self._client.search_runs(
            [self._experiment], f"attributes.status = 'RUNNING' and tags.`superheat.host` = '{host}'"
        )
        for run in running:
            if not _alive(run.data.tags.get("superheat.process", "")):
                self._client.set_terminated(run.info.run_id, "KILLED")

    def start(self, name: str, tags: Mapping[str, str] | None = None, parent: "Run | None" = None) -> "Run":
        """Start a run (a context manager); ``parent`` makes it a child."""
        every = {"superheat.host": socket.gethostname(), "superheat.process": _process(), **(tags or {})}
        if parent is not None:
            every["mlflow.parentRunId"] = parent.run_id
        run = self._client.create_run(self._experiment, tags=every, run_name=name)
        return Run(self._client, run.info.run_id)

    def log_trials(self, parent: "Run", study: TuningResult) -> None:
        """Log every trial of ``study`` as a finished child of ``parent``."""
        for trial in study.trials:
            with self.start(
                f"{study.family} trial {trial.number}", {"superheat.kind": "trial"}, parent
            ) as child:
                figures = {f"relative_mae.{name}": value for name, value in trial.outcomes.items()}
                child.log(params=trial.params, metrics={"relative_mae": trial.value, **figures})

    def runs(self, kind: str | None = None, limit: int = 200) -> list[RunInfo]:
        """Return the newest runs, of one ``superheat.kind`` where given."""
        query = f"tags.`superheat.kind` = '{kind}'" if kind else ""
        found = self._client.search_runs(
            [self._experiment], query, ViewType.ACTIVE_ONLY, limit, ["attributes.start_time DESC"]
        )
        return [_info(run) for run in found]

    def find(self, key: str) -> RunInfo:
        """Return the newest run whose id starts with ``key`` or whose name is ``key``.

        Raises:
            UnknownNameError: no such run; the message lists the newest.
        """
        known = self.runs()
        for run in known:
            if run.name == key or (len(key) >= 4 and run.run_id.startswith(key)):
                return run
        newest = ", ".join(f"{run.name} ({run.run_id[:8]})" for run in known[:5])
        raise UnknownNameError(f"no run {key!r} in {shown(self.uri)}; the newest are: {newest or 'none'}")

    def fetch(self, run_id: str, path: str, into: Path) -> Path:
        """Copy artifact ``path`` of a run below ``into`` and return where it lies.

        Raises:
            UnknownNameError: the run has no such artifact.
        """
        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self._client.download_artifacts(run_id, path, str(into)))
        except (MlflowException, OSError) as error:
            raise UnknownNameError(f"run {run_id} has no artifact {path!r}: {error}") from error

    def register(self, run: "Run", bundle: Path, name: str, standing: Standing) -> Registered:
        """Log ``bundle`` as the run's artifact and register it as a version of ``name``; see the module's order.

        Raises:
            InputError: the name is none, or a file did not arrive whole.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"model name {name!r} is not allowed; use a-z, 0-9, '.', '_', '-', at most 64")
        run.directory(bundle, BUNDLE_FOLDER)
        self._check_arrived(run.run_id, bundle)
        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name)
        champion = self._champion(name)
        tags = {f"superheat.{key}": str(value) for key, value in vars(standing).items()}
        source = f"runs:/{run.run_id}/{BUNDLE_FOLDER}"
        version = self._client.create_model_version(name, source, run.run_id, tags=tags).version
        wins = standing.beats(champion)
        if wins:
            self._client.set_registered_model_alias(name, CHAMPION, str(version))
        return Registered(name, int(version), wins)

    def _check_arrived(self, run_id: str, bundle: Path) -> None:
        arrived = {item.path: item.file_size for item in self._client.list_artifacts(run_id, BUNDLE_FOLDER)}
        for file in sorted(bundle.iterdir()):
            size = arrived.get(f"{BUNDLE_FOLDER}/{file.name}")
            if size != file.stat().st_size:
                raise InputError(
                    f"{file.name} arrived in {shown(self.uri)} as {size} bytes, not {file.stat().st_size}"
                )

    def _champion(self, name: str) -> Standing | None:
        try:
            tags = self._client.get_model_version_by_alias(name, CHAMPION).tags
        except MlflowException:
            return None
        return Standing(
            validation=float(tags.get("superheat.validation", "inf")),
            data_sha256=tags.get("superheat.data_sha256", ""),
            last_day=tags.get("superheat.last_day", ""),
        )

    def resolve(self, model_uri: str, into: Path) -> Path:
        """Copy the bundle behind ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` below ``into``.

        The copy is unverified: ``features.bundle`` decides whether it is whole and ours.

        Raises:
            InputError: the URI is not of that form.
            UnknownNameError: no such model, alias or version.
        """
        match = _MODEL_URI.fullmatch(model_uri)
        if match is None or not _NAME.fullmatch(match["name"]):
            raise InputError(
                f"{model_uri!r} is no model URI; expected models:/NAME@champion or models:/NAME/3"
            )
        name = match["name"]
        try:
            version = (
                match["version"] or self._client.get_model_version_by_alias(name, match["alias"]).version
            )
            source = self._client.get_model_version_download_uri(name, str(version))
            into.mkdir(parents=True, exist_ok=True)
            return Path(
                download_artifacts(
                    artifact_uri=source, dst_path=str(into), tracking_uri=self.uri, registry_uri=self.uri
                )
            )
        except (MlflowException, OSError) as error:
            raise UnknownNameError(f"{model_uri} is not in {shown(self.uri)}: {shown(str(error))}") from error


class Run:
    """One run while it lasts; leaving the context ends it FINISHED, FAILED, or KILLED on an interrupt."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        """Wrap the run ``run_id`` that ``client`` created."""
        self._client = client
        self.run_id = run_id

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED"
        if kind is not None:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
            self.log(tags={"superheat.error": f"{kind.__name__}: {error}"[:500]})
        self._client.set_terminated(self.run_id, status)

    def log(
        self,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in batches; metrics that are not finite are left out, as MLflow's stores disagree on them."""
        now = int(time.time() * 1000)
        figures = [
            Metric(key, float(value), now, 0)
            for key, value in (metrics or {}).items()
            if float("-inf") < value < float("inf")
        ]
        settings = [Param(key, str(value)) for key, value in (params or {}).items()]
        labels = [RunTag(key, value) for key, value in (tags or {}).items()]
        for start in range(0, max(len(figures), len(settings), len(labels)), _A_BATCH):
            batch = slice(start, start + _A_BATCH)
            self._client.log_batch(self.run_id, figures[batch], settings[batch], labels[batch])

    def file(self, path: Path, folder: str | None = None) -> None:
        """Log one file as an artifact."""
        self._client.log_artifact(self.run_id, str(path), folder)

    def directory(self, path: Path, folder: str | None = None) -> None:
        """Log every file of a directory as artifacts."""
        self._client.log_artifacts(self.run_id, str(path), folder)

    def files(self, paths: Iterable[Path], folder: str | None = None) -> None:
        """Log several files as artifacts."""
        for path in paths:
            self.file(path, folder)


def shown(text: str) -> str:
    """Return ``text`` without the user and password of any address in it."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _info(run: Any) -> RunInfo:
    return RunInfo(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
    )


def _process() -> str:
    """Return this process as ``pid/start``: a pid is used again, a pid with its start time is not."""
    return f"{os.getpid()}/{_start_time(os.getpid())}"


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # no such process, or a system without /proc
    return text.rpartition(")")[2].split()[19]


def _alive(process: str) -> bool:
    pid, _, started = process.partition("/")
    if not pid.isdigit():
        return False
    if os.name == "nt":  # signal 0 is no question there: rather leave a run RUNNING than end a process
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _start_time(int(pid)) == started
