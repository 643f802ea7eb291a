"""``superheat bench NAME``: every claim with its measurement."""

from typing import Annotated

import typer

from experiments.commands import options

app = typer.Typer(help="Measure a claim; print the table, write it with --json.", no_args_is_help=True)


@app.command("export")
def export(
    rows: Annotated[int, typer.Option(help="Rows compared.", min=1)] = 100_000,
    seed: options.Seed = 7,
    json: options.Json = None,
) -> None:
    """Compare our export with the usual converter, row by row, against LightGBM's own predictions.

    Reads nothing. Costs minutes and about 2 GB at 100,000 rows.
    """
    from experiments.bench.export import run

    shown = options.console()
    table = run(rows=rows, seed=seed)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("search")
def search(
    cells: Annotated[int, typer.Option(help="Cells searched.", min=1)] = 300,
    seed: options.Seed = 7,
    json: options.Json = None,
) -> None:
    """Compare search methods: time a cell, and share of the optimum that a mixed-integer solver proves.

    Reads nothing. Costs minutes at 300 cells.
    """
    from experiments.bench.search import run

    shown = options.console()
    table = run(cells=cells, seed=seed)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("kill")
def kill(
    data: options.Data = options.DEFAULT_DATA,
    rounds: Annotated[int, typer.Option(help="Kills.", min=1)] = 6,
    seed: options.Seed = 7,
    json: options.Json = None,
) -> None:
    """Kill the main job at random moments and look at what stands: the result before it, whole, and no half model.

    Reads --data. Writes to a temporary place only. Costs a quick run a round.
    """
    from experiments.kill_job import run

    shown = options.console()
    table = run(data, rounds=rounds, seed=seed)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("savings")
def savings(
    data: options.Data = options.DEFAULT_DATA,
    draws: Annotated[int, typer.Option(help="Draws of each scenario.", min=1)] = 200,
    seed: options.Seed = 7,
    json: options.Json = None,
) -> None:
    """Plant nothing, or a known saving, into a line's record and look at what verified savings tell of it.

    Reads --data, a line without advice. Costs about a quarter of a second a draw and scenario.
    """
    from experiments.bench.savings import run
    from experiments.progress import Stages

    shown = options.console()
    with Stages(1, shown).stage("Planting and verifying") as meter:
        table = run(data, draws=draws, seed=seed, meter=meter)
    table.print(shown)
    if json is not None:
        table.write_json(json)
