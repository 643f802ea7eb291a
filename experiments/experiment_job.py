"""One experiment from its definition to its figures: arms run, compared, shown, written and logged."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from experiments.bench.table import BenchMeta, BenchTable
from experiments.closed_loop.build import Workbench
from experiments.closed_loop.compare import ArmRow, Kept
from experiments.closed_loop.definition import Definition
from experiments.closed_loop.home import workbench
from experiments.closed_loop.page import page
from experiments.closed_loop.run import Ran, run
from experiments.machine import usable_cores
from experiments.progress import Stages
from features.errors import InputError
from training.tracking import Tracker

ARMS: Final = "arms"
PASTS: Final = "pasts"
PAGE: Final = "closed_loop.html"
TABLE: Final = "table.json"
FIGURES: Final = "figures.json"


@dataclass(frozen=True)
class ExperimentJob:
    """What a run of an experiment is told."""

    definition: Definition
    bundle: Path
    data: Path
    out: Path
    tracking_uri: str | None = None
    workers: int | None = None


def run_experiment(job: ExperimentJob, console: Console) -> tuple[Ran, BenchTable]:
    """Run what is missing of an experiment, compare, and leave table, page and MLflow runs.

    Results of single arms stay in ``out``/arms and are found again, so a killed run goes on where it was.

    Raises:
        InputError: the bundle, the history or the tracking store is not what it should be.
        SettingsError: an arm's options do not fit.
    """
    if not job.bundle.is_dir():
        raise InputError(f"no bundle at {job.bundle}; train one (superheat run) or name it with --bundle")
    job.out.mkdir(parents=True, exist_ok=True)
    stages = Stages(3, console)
    given = Workbench(job.bundle, job.data)
    with stages.stage("Opening the bundle and the tracking store"):
        tracker = Tracker(job.tracking_uri, job.out.absolute().parent)
        currency = given.prices.currency
    benches = {line.name: workbench(line, given, job.out / PASTS, console) for line in job.definition.lines}
    with stages.stage(f"Living through {job.definition.name}") as meter:
        ran = run(job.definition, benches, job.out / ARMS, job.workers or usable_cores(), meter)
    table = table_of(job.definition, ran, currency)
    with stages.stage("Writing and logging the figures"):
        _write(job.out / FIGURES, json.dumps(_figures(job.definition, ran), indent=2, allow_nan=False))
        table.write_json(job.out / TABLE)
        _write(job.out / PAGE, page(job.definition, ran, currency))
        _log(tracker, job, ran)
    for part in narrow(table):
        part.print(console)
    console.print(f"page, table and arms are in {job.out}", markup=False, highlight=False)
    return ran, table


_KEYS: Final = (("line", ""), ("arm", ""))
_SAVINGS: Final = (
    ("energy", "kWh/t"),
    ("net anode", "kg/t"),
    ("saves", "currency/t"),
    ("95 % from", "currency/t"),
    ("to", "currency/t"),
    ("p (Holm)", ""),
    ("share of ceiling", "%"),
)
_HARMS: Final = (
    ("superheat outside", "superheat_outside_h", "h/d"),
    ("temperature outside", "temperature_outside_h", "h/d"),
    ("anode effects", "anode_effects", "1/d"),
)
_SAFETY: Final = (
    *((f"{name}{part}", unit) for name, _, unit in _HARMS for part in ("", ", added", ", from", ", to")),
    ("noise", "mV"),
)
_PROMISES: Final = (
    ("moves", "1/week"),
    ("abstained", "%"),
    ("promised", "currency/t"),
    ("realised", "currency/t"),
    ("saving inside", "%"),
    ("line-weeks inside", "%"),
    ("energy inside", "%"),
)
_PARTS: Final = (("savings", _SAVINGS), ("safety", _SAFETY), ("promises", _PROMISES))


def table_of(definition: Definition, ran: Ran, currency: str) -> BenchTable:
    """Return the comparison as a table."""
    every = (*_KEYS, *_SAVINGS, *_SAFETY, *_PROMISES)
    columns = [(name, unit.replace("currency", currency)) for name, unit in every]
    seen = max((row.detectable for row in ran.compared.arms if row.detectable == row.detectable), default=0.0)
    notes = [
        definition.question,
        f"savings against {definition.reference}, paired by seed; Student intervals over {len(ran.seeds)} seeds,"
        f" p by Holm over the arms of a line; a difference of {seen:.3g} {currency}/t would be seen in every arm"
        " (80 % power)",
        f"added: beyond {definition.safety or definition.reference}, paired by seed, with its 95 % interval",
        f"stopped because {ran.stopped}; {ran.seconds:.0f} s"
        + (f"; missing: {', '.join(ran.missing)}" if ran.missing else ""),
    ]
    meta = BenchMeta.here(["onnxruntime", "optuna", "lightgbm"], seed=None, simulated=True)
    rows = [_cells(row) for row in ran.compared.arms]
    return BenchTable.of(f"{definition.name}: closed loop", columns, rows, meta, notes)


def _cells(row: ArmRow) -> list[str | float | None]:
    saved, kept = row.change["cost_per_t"], row.kept
    found: list[str | float | None] = [row.line, row.arm]
    found += [row.level["energy_kwh_per_t"], row.level["net_anode_kg_per_t"]]
    found += [saved.mean, saved.lower, saved.upper, row.p, 100.0 * row.share.mean]
    for _, name, _ in _HARMS:
        harm = row.harm[name]
        found += [row.level[name], harm.mean, harm.lower, harm.upper]
    found.append(row.level["noise_mv"])
    found += [row.moves, 100.0 * row.abstained]
    found += [None] * 5 if kept is None else _kept_cells(kept)
    return [None if isinstance(value, float) and value != value else value for value in found]


def _kept_cells(kept: Kept) -> list[str | float | None]:
    shares = (kept.inside, kept.line_inside, kept.energy_inside)
    return [kept.promised, kept.realised, *(100.0 * share for share in shares)]


def narrow(table: BenchTable) -> list[BenchTable]:
    """Return ``table`` in three that fit a terminal: what was saved, at which price in safety, what was promised."""
    first = len(_KEYS)
    found: list[BenchTable] = []
    for words, columns in _PARTS:
        picked = (*range(len(_KEYS)), *range(first, first + len(columns)))
        first += len(columns)
        found.append(
            replace(
                table,
                title=f"{table.title}, {words}",
                columns=tuple(table.columns[k] for k in picked),
                rows=tuple(tuple(row[k] for k in picked) for row in table.rows),
                notes=() if found else table.notes,
            )
        )
    return found


def _figures(definition: Definition, ran: Ran) -> dict[str, Any]:
    """Return every figure as plain JSON values, null where not known."""
    rows = [_plain(asdict(row)) for row in ran.compared.arms]
    return {
        "experiment": definition.describe(),
        "seeds": list(ran.seeds),
        "stopped": ran.stopped,
        "missing": list(ran.missing),
        "seconds": ran.seconds,
        "simulated": True,
        "arms": rows,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _write(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _log(tracker: Tracker, job: ExperimentJob, ran: Ran) -> None:
    """Keep the experiment as one MLflow run, with a child for every line and arm."""
    told = {"seeds": ran.seeds, "bundle": job.bundle.name, "metric": job.definition.metric}
    with tracker.start(job.definition.name, {"superheat.kind": "experiment"}) as parent:
        parent.log(params=told, tags={"superheat.simulated": "true", "superheat.stopped": ran.stopped})
        parent.files([job.out / name for name in (FIGURES, TABLE, PAGE)], "closed_loop")
        for row in ran.compared.arms:
            with tracker.start(f"{row.line}/{row.arm}", {"superheat.kind": "arm"}, parent) as child:
                child.log(params={"line": row.line, "arm": row.arm}, metrics=_metrics(row))


def _metrics(row: ArmRow) -> Mapping[str, float]:
    found = {f"level.{name}": value for name, value in row.level.items()}
    found |= {f"saves.{name}": value.mean for name, value in row.change.items()}
    found |= {f"harm.{name}": value.mean for name, value in row.harm.items()}
    found |= {"share_of_ceiling": row.share.mean, "p_holm": row.p, "smallest_detectable": row.detectable}
    found |= {"moves_per_cell_week": row.moves, "abstained": row.abstained}
    if row.kept is not None:
        found |= {f"promise.{name}": float(value) for name, value in asdict(row.kept).items()}
    return found
