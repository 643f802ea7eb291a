"""``superheat allocate``: which of the recommended moves a shift should make first."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options


def allocate(
    recommendations: Annotated[
        Path, typer.Option(help="recommendations.jsonl of a run.")
    ] = options.DEFAULT_OUT / "recommendations.jsonl",
    moves: Annotated[
        int | None, typer.Option(help="Setpoint changes that the crew can make on a day.", min=0)
    ] = None,
    alf3: Annotated[
        float | None, typer.Option(help="By how much the line's AlF3 may rise, kg a day.", min=0.0)
    ] = None,
    line_voltage: Annotated[
        float | None, typer.Option(help="By how much the line's voltage may change either way, V.", min=0.0)
    ] = None,
    caution: Annotated[
        float, typer.Option(help="Standard deviations of the shared error taken off the mean.", min=0.0)
    ] = 1.0,
    bundle: Annotated[
        Path | None, typer.Option(help="Ask this bundle for parts of moves too (needs --data).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The record that the recommendations came from.")] = None,
    mapping: options.Mapping = None,
    out: Annotated[Path | None, typer.Option(help="Write the order of work there (CSV).")] = None,
) -> None:
    """Choose the moves to make first: the largest joint saving less its risk, within what a shift can do.

    Reads --recommendations; with --bundle and --data every part of a move is weighed by the model's members, else
    each recommendation is taken whole. Solved by a mixed-integer programme to a proved gap. Costs seconds.
    """
    from experiments.allocate_job import AllocateJob, run
    from serving.search.allocation import Budget

    budget = Budget(moves, alf3, line_voltage, caution)
    run(AllocateJob(recommendations, budget, bundle, data, mapping, out), options.console())
