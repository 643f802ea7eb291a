"""``superheat confounding``: what each lever does, and whether the record can tell."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options


def confounding(
    out: Annotated[Path, typer.Option(help="Directory for confounding.json and confounding.html.")],
    data: options.Data = options.DEFAULT_DATA,
    mapping: options.Mapping = None,
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle trained on the record: its own slopes are put beside.")
    ] = None,
    seed: options.Seed = 7,
) -> None:
    """Say what each lever does to each outcome, and whether this record can tell: it needs no truth and no test.

    Reads --data and --bundle. Effects by double machine learning (what operators' rules explain is taken out of moves
    and outcomes, by models of other cells at other times), with intervals clustered by cell and fortnight, beside
    what physics expects and what the bundle says; a verdict with its reason; and the smallest safe test that would
    settle it. Writes to --out. Costs about two minutes for 30 cells x 400 days.
    """
    from experiments.confounding_job import ConfoundingJob, run

    run(ConfoundingJob(data, out, mapping, bundle, seed), options.console())
