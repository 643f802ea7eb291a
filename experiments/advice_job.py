"""Recommendations from a bundle and a record, without training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments.advise import CSV, JSONL, advise_all, as_rows, show, write_recommendations
from experiments.prepare import read_record
from experiments.progress import Stages
from features.errors import UnknownNameError
from features.history import History
from features.tables.history import history
from serving.predictor import Predictor
from serving.recommend import AdviceSettings
from serving.search.study import SearchSettings


@dataclass(frozen=True)
class AdviceJob:
    """What ``superheat recommend`` is told."""

    data: Path
    bundle: Path
    mapping: Path | None
    out: Path | None
    sampler: str
    cells: tuple[str, ...]
    seed: int


def recommend_from(job: AdviceJob, console: Console) -> None:
    """Recommend for the day after the record ends and print it; write it where ``job.out`` says.

    Raises:
        InputError: the record is not what it should be.
        UnknownNameError: a cell that the record does not have, or no such sampler.
        BundleError: the bundle is refused.
    """
    stages = Stages(3, console)
    settings = AdviceSettings(search=SearchSettings(method=job.sampler, seed=job.seed))
    with stages.stage("Opening and verifying the bundle"):
        predictor = Predictor.open(job.bundle)
    with stages.stage("Reading and checking the record"):
        line = _narrowed(history(read_record(job.data, job.mapping).tables), job.cells)
    with stages.stage("Searching setpoints, cell by cell") as meter:
        found = advise_all(predictor, line, settings, meter)
    if job.out is not None:
        job.out.mkdir(parents=True, exist_ok=True)
        write_recommendations(found, job.out)
        console.print(f"{JSONL} and {CSV} are in {job.out}", markup=False, highlight=False)
    show(as_rows(found), console, line.plant.simulated)


def _narrowed(line: History, cells: tuple[str, ...]) -> History:
    if not cells:
        return line
    known = line.cell_ids.tolist()
    unknown = [cell for cell in cells if cell not in known]
    if unknown:
        raise UnknownNameError(f"cells {unknown} are not in the record; it has {', '.join(known[:8])} ...")
    return line.take(np.array([known.index(cell) for cell in cells], dtype=np.intp))
