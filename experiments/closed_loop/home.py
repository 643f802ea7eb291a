"""A line's own past: a simulated history of the same plant, and a bundle trained on it, for lines that ask for one."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from experiments.closed_loop.build import Workbench
from experiments.closed_loop.definition import LineSpec
from experiments.model_jobs import TrainJob, train_bundle
from experiments.output import fresh_result
from experiments.simulator.preset import load_preset
from experiments.simulator.simulate import simulate
from features.bundle.files import MANIFEST
from features.tables.store import write_tables

_DATA: Final = "data"
_BUNDLE: Final = "bundle"
_DONE: Final = "plant.toml"


def workbench(line: LineSpec, given: Workbench, folder: Path, console: Console) -> Workbench:
    """Return what ``line``'s arms are made of: ``given``, or a bundle trained on the line's own past.

    The past knows no amperage raise: what is to come is not in the record. It is simulated and trained on once and
    found again below ``folder``.
    """
    past = line.trained_on
    if past is None:
        return given
    home = folder / f"{line.name}-{past.cells}-{past.days}-{past.seed}{'-quick' if past.quick else ''}"
    data, bundle = home / _DATA, home / _BUNDLE
    if not (data / _DONE).is_file():
        preset = load_preset(line.settings.preset)
        preset = replace(preset, current=replace(preset.current, raise_ka=0.0))
        console.print(f"simulating the past of line {line.name}", markup=False, highlight=False)
        with fresh_result(data, mark=_DONE) as staging:
            write_tables(simulate(preset, past.cells, past.days, past.seed).tables, staging)
    if not (bundle / MANIFEST).is_file():
        job = TrainJob(data, bundle, None, past.seed, None, past.quick, None)
        train_bundle(job, console)
    return Workbench(bundle, data)
