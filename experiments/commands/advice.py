"""``superheat recommend``: setpoints from a bundle and a record, without training."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options


def recommend(
    data: options.Data = options.DEFAULT_DATA,
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = options.DEFAULT_OUT / "bundle",
    mapping: options.Mapping = None,
    out: Annotated[Path | None, typer.Option(help="Directory for recommendations.jsonl and .csv.")] = None,
    sampler: Annotated[
        str, typer.Option(help="How to search: descent (default), or one of Optuna's samplers.")
    ] = "descent",
    cell: Annotated[list[str] | None, typer.Option("--cell", help="Only this cell; again for more.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Recommend setpoints for the day after a record ends, for every cell: move, hold or abstain, with reasons.

    Reads --bundle and --data. Prints the table; writes two files to --out where it is named. Costs well under a
    second a cell with the default sampler.
    """
    from experiments.advice_job import AdviceJob, recommend_from

    job = AdviceJob(data, bundle, mapping, out, sampler, tuple(cell or ()), seed)
    recommend_from(job, options.console())
