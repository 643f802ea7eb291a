"""``superheat bench NAME``: every claim with its measurement."""

from pathlib import Path
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


@app.command("confounding")
def confounding(
    histories: Annotated[int, typer.Option(help="Simulated histories.", min=1)] = 3,
    cells: Annotated[int, typer.Option(help="Cells of each.", min=4)] = 30,
    days: Annotated[int, typer.Option(help="Days of each.", min=60)] = 300,
    preset: Annotated[str, typer.Option(help="The virtual line's parameter set.")] = "line-500",
    seed: Annotated[int, typer.Option(help="Of the first history; the others follow.", min=0)] = 11,
    json: options.Json = None,
) -> None:
    """Judge the confounding report on histories whose truth is known: coverage, signs, and dials wired to nothing.

    Reads nothing. Costs about three minutes a history of 30 cells x 300 days.
    """
    from experiments.bench.confounding import ConfoundingPlan, run
    from experiments.progress import Stages

    shown = options.console()
    with Stages(1, shown).stage("Simulating histories, and judging what their records say") as meter:
        table = run(ConfoundingPlan(histories, cells, days, preset, seed), meter)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("response")
def response(
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = options.DEFAULT_OUT / "bundle",
    cells: Annotated[int, typer.Option(help="Cells of the line that it is asked on.", min=2)] = 40,
    days: Annotated[int, typer.Option(help="Days on which it is asked.", min=1)] = 4,
    preset: Annotated[str, typer.Option(help="The virtual line's parameter set.")] = "line-500",
    seed: Annotated[int, typer.Option(help="Of the line; not the one trained on.", min=0)] = 1001,
    figure: Annotated[
        Path | None, typer.Option(help="Draw truth and model over each lever there (HTML).")
    ] = None,
    json: options.Json = None,
) -> None:
    """Compare the bundle's answer to each lever with the truth of a virtual line it never saw, signs counted by cell.

    Reads --bundle. Costs about a minute for 40 cells.
    """
    from experiments.bench.response import ResponsePlan, run, write_figure
    from experiments.progress import Stages

    shown = options.console()
    with Stages(1, shown).stage("Asking truth and bundle") as meter:
        table, answers = run(bundle, ResponsePlan(preset, cells, seed, days), meter)
    table.print(shown)
    if json is not None:
        table.write_json(json)
    if figure is not None:
        write_figure(answers, figure)


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


@app.command("advice")
def advice(
    bundle: Annotated[Path, typer.Option(help="The bundle that advises.")] = Path("runs/latest/bundle"),
    data: options.Data = options.DEFAULT_DATA,
    cells: Annotated[int, typer.Option(help="Cells of the line.", min=1)] = 300,
    days: Annotated[int, typer.Option(help="Days of its record.", min=30)] = 120,
    workers: Annotated[int, typer.Option(help="Search processes; 0 = one a core.", min=0)] = 0,
    json: options.Json = None,
) -> None:
    """Post a line's record to a running service and advise all its cells in one call, streamed as they come.

    Reads --bundle and --data. Writes to a temporary place only. Costs a minute or two at 300 cells.
    """
    from experiments.bench.advice import run

    shown = options.console()
    table = run(bundle, data, cells, days, workers)
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


@app.command("serve")
def serve(
    bundle: Annotated[Path, typer.Option(help="The bundle that is served.")] = options.DEFAULT_OUT / "bundle",
    seconds: Annotated[float, typer.Option(help="Seconds a figure.", min=0.1)] = 5.0,
    connections: Annotated[int, typer.Option(help="Connections that ask at once.", min=1)] = 16,
    mlserver: Annotated[
        Path | None,
        typer.Option(help="Interpreter of an environment with MLServer and onnxruntime; without: left out."),
    ] = None,
    mlflow: Annotated[bool, typer.Option(help="Run 'mlflow models serve' beside.")] = True,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Measure requests a second and latency of the service, beside other servers with the same model.

    Reads --bundle. Writes to a temporary place only. Costs three or four minutes.
    """
    from experiments.bench.serve import ServeBench, run

    shown = options.console()
    plan = ServeBench(seconds, connections, mlserver_python=mlserver, mlflow=mlflow, seed=seed)
    table = run(bundle, plan)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("serve-proof")
def serve_proof(
    bundle: Annotated[Path, typer.Option(help="The bundle that is served.")] = options.DEFAULT_OUT / "bundle",
    other: Annotated[
        Path | None, typer.Option(help="Another bundle of the same model, for the swaps; without: left out.")
    ] = None,
    swaps: Annotated[int, typer.Option(help="Changes of version under load.", min=0)] = 200,
    terminations: Annotated[int, typer.Option(help="Ends under load.", min=0)] = 50,
    bad: Annotated[int, typer.Option(help="Bad bodies for inference, and as many for /v1.", min=0)] = 5000,
    cases: Annotated[int, typer.Option(help="Generated requests for each description.", min=0)] = 10_000,
    description: Annotated[
        list[Path] | None, typer.Option(help="An OpenAPI file to try besides our own; again for more.")
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Try what the service promises on a running one: swaps, ends, bad bodies, its contract. 0 leaves a proof out.

    Reads --bundle. Writes to a temporary place only. Costs half an hour in full.
    """
    from experiments.bench.serve_proof import Effort, run

    shown = options.console()
    effort = Effort(
        swaps=swaps,
        other=other,
        terminations=terminations,
        bad_bodies=bad,
        bad_advice=bad,
        cases=cases,
        descriptions=tuple(description or ()),
        seed=seed,
    )
    table = run(bundle, effort)
    table.print(shown)
    if json is not None:
        table.write_json(json)


@app.command("savings-twin")
def savings_twin(
    cells: Annotated[int, typer.Option(help="Cells in the line.", min=8)] = 40,
    draws: Annotated[int, typer.Option(help="Draws.", min=1)] = 60,
    seed: options.Seed = 7,
    json: options.Json = None,
) -> None:
    """Move cells of the virtual potline and hold verified savings against the same line without the moves.

    Reads nothing. Costs about five seconds a draw.
    """
    from experiments.bench.savings_twin import run
    from experiments.progress import Stages

    shown = options.console()
    with Stages(1, shown).stage("Living twice and verifying") as meter:
        table = run(cells, draws=draws, seed=seed, meter=meter)
    table.print(shown)
    if json is not None:
        table.write_json(json)
