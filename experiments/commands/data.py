"""``superheat ingest`` and ``superheat simulate``: where records come from."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options
from features.errors import InputError


def ingest(
    source: Annotated[
        Path, typer.Argument(help="The plant's file, or a folder of them (CSV, Excel, Parquet).")
    ],
    out: Annotated[Path, typer.Option(help="The canonical directory to write.")],
    mapping: options.Mapping = None,
) -> None:
    """Take a plant's own files in: six canonical tables, what was set aside, and a quality report.

    Reads SOURCE through --mapping (without one, a shipped mapping whose every column is there). Writes to --out:
    the tables (Parquet), plant.toml, quality.json, quarantine.csv. Costs seconds; on an error --out stays as it was.
    """
    from features.tables.ingest import ingest as do

    result = do(mapping, source, out)
    shown, quality = options.console(), result.quality
    for table in quality.tables:
        shown.print(
            f"{table.table:<14} {table.rows:>8,} rows, {table.set_aside:,} set aside, {table.first[:10]} to {table.last[:10]}",
            markup=False,
            highlight=False,
        )
    for finding in quality.findings:
        shown.print(f"{finding.severity:>8}: {finding.text}", markup=False, highlight=False)
    shown.print(
        f"written to {out}; quality.json and quarantine.csv say what was found", markup=False, highlight=False
    )


def simulate(
    out: Annotated[
        Path | None, typer.Option(help="The canonical directory to write; the truth goes beside it.")
    ] = None,
    cells: Annotated[int, typer.Option(help="Cells in the line.", min=1)] = 30,
    days: Annotated[int, typer.Option(help="Days recorded.", min=1)] = 400,
    seed: options.Seed = 7,
    preset: Annotated[str, typer.Option(help="The virtual line's parameter set.")] = "line-500",
    credibility: Annotated[
        bool, typer.Option("--credibility", help="Print simulated against real figures, row by row.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Run the virtual potline and write what a plant would have: SIMULATED data, plainly marked as such.

    Reads nothing. Writes six tables to --out, and what only the simulation knows to --out with "-truth" appended.
    Costs about 5 minutes for 60 cells x 540 days on 2 cores. With --credibility it compares the record with the
    published figures of a real line and says which fall outside.
    """
    from experiments.simulate_job import compare_with_real, simulate_to

    if out is None and not credibility:
        raise InputError("name --out DIRECTORY to write the record to, or ask for --credibility, or both")
    shown = options.console()
    simulated = simulate_to(out, (preset, cells, days, seed), shown)
    if credibility:
        table = compare_with_real(simulated, seed)
        table.print(shown)
        if json is not None:
            table.write_json(json)
