"""One finished quick run on a part of the sample, made once and looked at by many tests."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from experiments import main_job
from experiments.main_job import JobSettings
from experiments.summary import RunSummary
from tests.fakes.small_record import small_record
from training.fitted import FittedModel


@dataclass(frozen=True)
class Finished:
    """A run that ended well: what it was told, what it said, and where its trained model is kept for tests."""

    settings: JobSettings
    summary: RunSummary
    said: str
    fitted: Path

    @property
    def out(self) -> Path:
        return self.settings.out


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = tmp_path_factory.mktemp("run")
    settings = JobSettings(small_record(place / "record"), place / "runs" / "latest", seed=11, quick=True)
    console, kept = Console(width=160, record=True, file=(place / "log").open("w")), place / "fitted.pickle"
    real = main_job.train

    def keeping(*arguments: object, **named: object) -> FittedModel:
        fitted = real(*arguments, **named)  # type: ignore[arg-type]
        kept.write_bytes(pickle.dumps(fitted))
        return fitted

    main_job.train = keeping
    try:
        summary = main_job.run(settings, console)
    finally:
        main_job.train = real
        console.file.close()
    return Finished(settings, summary, console.export_text(), kept)
