"""``superheat run``: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options


def run(
    data: options.Data = options.DEFAULT_DATA,
    mapping: options.Mapping = None,
    out: Annotated[
        Path, typer.Option(help="Where the result takes its place, whole or not at all.")
    ] = options.DEFAULT_OUT,
    seed: options.Seed = 7,
    tracking_uri: options.TrackingUri = None,
    quick: options.Quick = False,
    lever: options.Levers = None,
) -> None:
    """Do the main job: history in; trained models, an exact bundle, recommended setpoints and a report out.

    Reads --data (default the simulated sample). Writes to --out: bundle/, recommendations.jsonl, recommendations.csv,
    report.html, summary.json; logs and registers the model in MLflow. An earlier result stays until the new one is
    whole. Costs minutes on 2 cores (the sample: under 10) and about 2 GB of memory.
    """
    from experiments.main_job import JobSettings
    from experiments.main_job import run as do

    settings = JobSettings(data, out, mapping, seed, tracking_uri, quick, tuple(lever) if lever else None)
    do(settings, options.console())
