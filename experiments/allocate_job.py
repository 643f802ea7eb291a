"""``superheat allocate``: which of the recommended moves a shift should make first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.prepare import read_record
from experiments.report.numbers import lever_words, money, signed
from features.errors import InputError
from features.signals import SIGNALS
from features.tables.history import history
from serving.allotment import key, parts, whole
from serving.context import contexts_today
from serving.files import read_jsonl
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, Advisor
from serving.schemas import Recommendation
from serving.search.allocation import Allocation, Budget, Option, allocate


@dataclass(frozen=True)
class AllocateJob:
    """What ``superheat allocate`` is told; without a bundle every recommendation is taken whole."""

    recommendations: Path
    budget: Budget
    bundle: Path | None = None
    data: Path | None = None
    mapping: Path | None = None
    out: Path | None = None
    seconds: float = 30.0


def run(job: AllocateJob, console: Console) -> Allocation:
    """Choose, print the order of work, and write the chosen moves where ``job.out`` says.

    Raises:
        InputError: the recommendations cannot be read, or were not made by the bundle from the record.
        SearchError: the solver found nothing in time.
    """
    if not job.recommendations.is_file():
        raise InputError(f"{job.recommendations} is no file; name the recommendations.jsonl of a run")
    advice = list(read_jsonl(job.recommendations))
    options, unit = _options(job, advice)
    found = allocate(options, job.budget, job.seconds)
    show(options, found, unit, console)
    if job.out is not None:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        job.out.write_text(_csv(options, found, unit), encoding="utf-8-sig")
        console.print(f"the order of work is in {job.out}", markup=False, highlight=False)
    return found


def _options(job: AllocateJob, advice: Sequence[Recommendation]) -> tuple[list[Option], str]:
    currency = next((each.saving.currency for each in advice if each.saving), "")
    if job.bundle is None:
        return whole(advice), f"{currency}/t"
    if job.data is None:
        raise InputError("--bundle asks for parts of moves, which needs the record too; name it with --data")
    predictor = Predictor.open(job.bundle)
    advisor = Advisor(predictor, AdviceSettings())
    line = history(read_record(job.data, job.mapping).tables)
    contexts = {
        f"{context.line_id}/{context.cell_id}": context for context in contexts_today(line, predictor.recipe)
    }
    wanted = {key(each) for each in advice if each.status == "move"}
    return parts(advisor, {name: contexts[name] for name in wanted & set(contexts)}, advice), f"{currency}/d"


def show(options: Sequence[Option], found: Allocation, unit: str, console: Console) -> None:
    """Print the order of work and what it is worth."""
    table = Table(title=Text("Order of work"), title_justify="left")
    for heading, right in (("", True), ("cell", False), ("moves", False), (f"gains {unit}", True)):
        table.add_column(Text(heading), justify="right" if right else "left")
    table.add_column(Text(f"lost without it {unit}"), justify="right")
    table.add_column("changes by day")
    for place, at in enumerate(found.chosen, start=1):
        option = options[at]
        mean = sum(option.gains) / len(option.gains)
        table.add_row(
            f"{place}",
            Text(option.cell),
            Text("\n".join(_move(name, change) for name, change in option.moves.items())),
            money(mean),
            money(found.worth[at]),
            " ".join(str(count) for count in option.changes),
        )
    console.print(table)
    cells = len({option.cell for option in options})
    lines = [
        f"{len(found.chosen)} of {cells} cells move; together {money(found.mean)} {unit}, a standard deviation of"
        f" {money(found.deviation)} from errors that all cells share",
        f"proved within {found.gap:.2%} of the best; "
        + (f"more would fit but for {', '.join(found.binding)}" if found.binding else "no budget stops it"),
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _move(name: str, change: float) -> str:
    unit = SIGNALS[name].unit
    return f"{lever_words(name).en} {signed(change, unit)} {unit}"


def _csv(options: Sequence[Option], found: Allocation, unit: str) -> str:
    rows = ["place,cell,lever,change,unit,gain,lost_without,gain_unit"]
    for place, at in enumerate(found.chosen, start=1):
        option = options[at]
        mean = sum(option.gains) / len(option.gains)
        for name, change in option.moves.items():
            row = (place, option.cell, name, f"{change:.6g}", SIGNALS[name].unit)
            rows.append(",".join(str(cell) for cell in (*row, f"{mean:.6g}", f"{found.worth[at]:.6g}", unit)))
    return "\n".join(rows) + "\n"
