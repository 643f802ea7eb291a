"""Running the virtual potline from the command line: record, hidden truth apart, comparison with a real line."""

from pathlib import Path

from rich.console import Console

from experiments.bench.table import BenchMeta, BenchTable
from experiments.progress import Stages
from experiments.simulator.credibility import credibility
from experiments.simulator.simulate import Simulated, simulate
from features.tables.store import write_tables

TRUTH_SUFFIX = "-truth"


def simulate_to(out: Path | None, run: tuple[str, int, int, int], console: Console) -> Simulated:
    """Simulate ``run`` (preset, cells, days, seed) and write it to ``out``, the truth beside it where no job looks.

    Raises:
        InputError: no cells, no days or a negative seed.
        UnknownNameError: no such preset.
    """
    preset, cells, days, seed = run
    stages = Stages(1 if out is None else 2, console)
    with stages.stage(f"Simulating {cells} cells over {days} days") as meter:
        simulated = simulate(
            preset, cells, days, seed, lambda done, total: meter(done, total, f"day {done} of {total}")
        )
    if out is not None:
        with stages.stage("Writing the record"):
            write_tables(simulated.tables, out)
            truth = out.with_name(f"{out.name}{TRUTH_SUFFIX}")
            truth.mkdir(parents=True, exist_ok=True)
            simulated.truth.to_parquet(truth / "truth.parquet", index=False)
        console.print(
            f"SIMULATED record in {out}, what only the simulation knows in {truth}",
            markup=False,
            highlight=False,
        )
    return simulated


def compare_with_real(simulated: Simulated, seed: int) -> BenchTable:
    """Return simulated against real figures, row by row, and how many fall outside their criterion."""
    rows = credibility(simulated.tables)
    off = sum(not row.inside for row in rows)
    return BenchTable.of(
        "Simulated against a real 500 kA line",
        [("quantity", ""), ("real", ""), ("simulated", ""), ("criterion", ""), ("inside", "")],
        [[row.quantity, row.real, row.simulated, row.criterion, row.inside] for row in rows],
        BenchMeta.here(["pandas"], seed=seed, simulated=True),
        [
            f"{len(rows) - off} of {len(rows)} inside. factor: same sign and within 1.5 times; location: that, and"
            " within half a real standard deviation; score: an R2 within 0.15."
        ],
    )
