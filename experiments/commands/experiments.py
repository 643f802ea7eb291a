"""``superheat closed-loop`` and ``superheat experiment``: recommendations judged on virtual lines."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options

app = typer.Typer(
    help="Run an experiment that is written down as a file, or list them.", no_args_is_help=True
)
_BUNDLE = Annotated[Path, typer.Option(help="The bundle whose advice is judged.")]
_DEFAULT_BUNDLE = options.DEFAULT_OUT / "bundle"
_WORKERS = Annotated[int | None, typer.Option(help="Processes; default all cores.", min=1)]


def closed_loop(
    bundle: _BUNDLE = _DEFAULT_BUNDLE,
    data: options.Data = options.DEFAULT_DATA,
    preset: Annotated[str, typer.Option(help="The virtual line's parameter set.")] = "line-500",
    cells: Annotated[int, typer.Option(help="Cells in the line.", min=1)] = 60,
    days: Annotated[int, typer.Option(help="Days judged.", min=7)] = 120,
    seeds: Annotated[int, typer.Option(help="Lines, each from its own seed.", min=1)] = 5,
    first_seed: Annotated[
        int, typer.Option(help="The first line's seed; the sample was written with 7.", min=0)
    ] = 201,
    lever: options.Levers = None,
    out: Annotated[Path, typer.Option(help="Where arms, table and page go.")] = Path("runs/closed-loop"),
    tracking_uri: options.TrackingUri = None,
    workers: _WORKERS = None,
    json: options.Json = None,
) -> None:
    """Apply recommendations day by day to a virtual potline unseen in training, and compare with five other arms.

    Arms: the plant's own operators (reference), setpoints frozen, the naive optimum, ours, and an oracle that searches
    on the truth. Reads --bundle, and --data for the naive model. Writes --out and MLflow runs; finished arms are found
    again, so a run that was killed goes on. Costs about 25 minutes at the defaults on 2 cores.
    """
    from experiments.closed_loop.standard import standard
    from experiments.experiment_job import ExperimentJob, run_experiment

    definition = standard(preset, cells, days, tuple(range(first_seed, first_seed + seeds)), lever)
    job = ExperimentJob(definition, bundle, data, out, tracking_uri, workers)
    _, table = run_experiment(job, options.console())
    if json is not None:
        table.write_json(json)


@app.command("list")
def list_() -> None:
    """List the experiments that come with the package."""
    from experiments.closed_loop.definition import definition_names, load_definition

    shown = options.console()
    for name in definition_names():
        shown.print(f"{name}: {load_definition(name).question}", markup=False, highlight=False)


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="One of `superheat experiment list`, or a .toml file.")],
    bundle: _BUNDLE = _DEFAULT_BUNDLE,
    data: options.Data = options.DEFAULT_DATA,
    out: Annotated[
        Path | None, typer.Option(help="Where arms, table and page go; default runs/experiments/NAME.")
    ] = None,
    tracking_uri: options.TrackingUri = None,
    workers: _WORKERS = None,
    json: options.Json = None,
) -> None:
    """Run what an experiment still lacks, and compare its arms, paired by seed and corrected for their number.

    Reads the definition, --bundle, and --data for arms that train a model of their own. Writes --out and MLflow runs.
    Finished arms are found again, so a run that was killed goes on. Costs what the definition's budget says at most.
    """
    from experiments.closed_loop.definition import load_definition
    from experiments.experiment_job import ExperimentJob, run_experiment

    definition = load_definition(name)
    folder = out if out is not None else Path("runs/experiments") / definition.name
    job = ExperimentJob(definition, bundle, data, folder, tracking_uri, workers)
    _, table = run_experiment(job, options.console())
    if json is not None:
        table.write_json(json)
