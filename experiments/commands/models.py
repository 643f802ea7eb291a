"""``superheat train``, ``tune``, ``compare`` and ``export``: models without the rest of the main job."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from experiments.commands import options

_BUNDLE = Annotated[
    Path, typer.Option(help="The bundle's directory; one that stands there is replaced in one step.")
]


def train(
    out: _BUNDLE,
    data: options.Data = options.DEFAULT_DATA,
    mapping: options.Mapping = None,
    seed: options.Seed = 7,
    tracking_uri: options.TrackingUri = None,
    quick: options.Quick = False,
    lever: options.Levers = None,
) -> None:
    """Train every family on a record, export the champion as a bundle, and log the run.

    Reads --data. Writes the bundle --out, and the run with its figures to MLflow; registers nothing (`superheat run`
    does). Costs what the training of the main job costs.
    """
    from experiments.model_jobs import TrainJob, train_bundle

    job = TrainJob(data, out, mapping, seed, tracking_uri, quick, tuple(lever) if lever else None)
    train_bundle(job, options.console())


def tune(
    data: options.Data = options.DEFAULT_DATA,
    mapping: options.Mapping = None,
    family: Annotated[
        Literal["boosting", "network"], typer.Option(help="Whose settings are searched.")
    ] = "boosting",
    trials: Annotated[int, typer.Option(help="Trials of the study.", min=1)] = 40,
    seed: options.Seed = 7,
    tracking_uri: options.TrackingUri = None,
    json: options.Json = None,
) -> None:
    """Search one family's settings with Optuna, judged on rolling validation blocks, never on the test days.

    Reads --data. Writes a study and its trials (as children) to MLflow. Costs seconds a trial for boosting, more for
    the network.
    """
    from experiments.model_jobs import TuneJob, tune_family

    shown = options.console()
    table = tune_family(TuneJob(data, mapping, family, trials, seed, tracking_uri), shown)
    table.print(shown)
    if json is not None:
        table.write_json(json)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(help="Runs by name or the beginning of their id; the first is the reference."),
    ],
    tracking_uri: options.TrackingUri = None,
    root: Annotated[
        Path, typer.Option(help="Where the default SQLite store lies.")
    ] = options.DEFAULT_OUT.parent,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Compare runs side by side on the very same held-out decisions, with paired confidence intervals.

    Reads the runs' held-out predictions from MLflow. Writes nothing but the table. Costs seconds.
    """
    from experiments.model_jobs import compare_runs

    shown = options.console()
    table = compare_runs(runs, tracking_uri, root, seed)
    table.print(shown)
    if json is not None:
        table.write_json(json)


def export(
    model: Annotated[
        str, typer.Argument(help="models:/NAME@champion or models:/NAME/VERSION, of the MLflow registry.")
    ],
    out: _BUNDLE,
    tracking_uri: options.TrackingUri = None,
    root: Annotated[
        Path, typer.Option(help="Where the default SQLite store lies.")
    ] = options.DEFAULT_OUT.parent,
) -> None:
    """Bring a registered model out as a bundle that a service can open; verified before it takes its place.

    Reads the registry. Writes the bundle --out. Costs seconds.
    """
    from experiments.model_jobs import export_registered

    export_registered(model, out, tracking_uri, root, options.console())
