"""Does a bundle answer a lever as the truth does? Asked on a virtual line that no training saw, cell by cell.

On some days the plant is forked: each copy holds one lever elsewhere for the horizon under the very same noise, and
the truth is read. The bundle is asked the same from what was measured by then. A sign is right where both change the
same way when the lever moves by one daily step, averaged over the days asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray

from experiments.bench.table import BenchMeta, BenchTable, Value
from experiments.confounding.truth import OUTCOME
from experiments.progress import Meter
from experiments.report.charts import Curve, curves
from experiments.report.numbers import lever_words, outcome_words
from experiments.report.words import Words
from experiments.simulator.operators import LEVERS
from experiments.simulator.oracle import Trial, mature, respond
from experiments.simulator.potline import Potline
from experiments.simulator.record import DayRecord
from experiments.simulator.simulate import collect
from features.bundle.manifest import LeverInfo
from features.errors import InputError
from features.recipe import FeatureTable
from features.tables.history import history
from serving.predictor import Predictor

Floats = NDArray[np.float64]

SHARES: Final = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Where on its window each lever is asked; the middle is today's setting."""
WARM_D: Final = 60
_PRICED: Final = ("energy_kwh_per_t", "net_anode_kg_per_t")
_COLUMNS: Final = (
    ("lever", ""),
    ("outcome", ""),
    ("per", ""),
    ("truth", "unit"),
    ("model", "unit"),
    ("model_error", "unit"),
    ("cells", ""),
    ("sign_right", "%"),
    ("sign_errors", ""),
    ("material_cells", ""),
    ("material_right", "%"),
    ("correlation", ""),
    ("record says", ""),
)
MATERIAL: Final[Mapping[str, float]] = {"energy_kwh_per_t": 3.0, "net_anode_kg_per_t": 0.1}
"""Per daily step: below this a true effect is next to none, and its sign says little."""


@dataclass(frozen=True)
class ResponsePlan:
    """Where a bundle is asked: preset, cells and seed of a line that it was not trained on; on how many days, and how
    many days apart.
    """

    preset: str = "line-500"
    cells: int = 40
    seed: int = 1001
    days: int = 4
    apart_d: int = 20

    def __post_init__(self) -> None:
        """Refuse a plan without days.

        Raises:
            InputError: as said.
        """
        if self.days < 1 or self.apart_d < 1 or self.cells < 2:
            raise InputError(f"response bench: {self}; ask on one day and of two cells at least")


@dataclass(frozen=True)
class Answers:
    """What was answered: lever -> outcome -> (days, cells, shares) changes from today's setting, NaN = not asked."""

    truth: Mapping[str, Mapping[str, Floats]]
    model: Mapping[str, Mapping[str, Floats]]
    levers: Mapping[str, LeverInfo]


def run(bundle: Path, plan: ResponsePlan, meter: Meter) -> tuple[BenchTable, Answers]:
    """Return the table and all answers.

    Raises:
        BundleError: the bundle is refused. UnknownNameError: no such preset. InputError: no cell could be asked.
    """
    predictor = Predictor.open(bundle)
    answers = ask(predictor, plan, meter)
    rows = [
        row
        for name, info in answers.levers.items()
        for outcome in _PRICED
        if (row := _row(answers, info, name, outcome)) is not None
    ]
    table = BenchTable.of(
        f"Lever response of bundle {predictor.digest[:12]} against the truth",
        _COLUMNS,
        rows,
        BenchMeta.here(("onnxruntime",), seed=plan.seed, simulated=True),
        (
            f"{plan.cells} cells of {plan.preset}, seed {plan.seed}, asked on {plan.days} days, {plan.apart_d} d apart;"
            f" effects are means over {predictor.manifest.horizon_days} days per daily step of the lever, the others held.",
            "material: cells whose true effect of that step is at least "
            + " or ".join(f"{value:g} {name.partition('_')[0]}" for name, value in MATERIAL.items())
            + " (kWh/t, kg/t).",
            "sign_right counts every cell, those with next to no true effect too.",
            _identified(rows),
        ),
    )
    return table, answers


def _identified(rows: Sequence[tuple[Value, ...]]) -> str:
    """Say how often signs are right over the effects that the record identifies."""
    names = [name for name, _ in _COLUMNS]
    cells, right, said = (names.index(name) for name in ("cells", "sign_right", "record says"))
    told = [row for row in rows if row[said] == "follows"]
    count = sum(int(row[cells] or 0) for row in told)
    good = sum(float(row[right] or 0.0) / 100.0 * int(row[cells] or 0) for row in told)
    share = f"{good / count:.1%} of {count} signs right" if count else "none asked"
    return f"effects that the record identifies (follows): {len(told)}; {share}."


def ask(predictor: Predictor, plan: ResponsePlan, meter: Meter) -> Answers:
    """Run the line, and on each asked day ask truth and bundle alike.

    Raises:
        InputError: on no day was a sound, grown cell to be asked.
    """
    manifest = predictor.manifest
    infos = {lever.name: lever for lever in manifest.levers if lever.name in LEVERS}
    known = [outcome.name for outcome in manifest.outcomes if outcome.name in OUTCOME]
    plant = Potline(plan.preset, plan.cells, plan.seed)
    records: list[DayRecord] = []
    truth: dict[str, dict[str, list[Floats]]] = {name: {one: [] for one in known} for name in infos}
    model: dict[str, dict[str, list[Floats]]] = {name: {one: [] for one in known} for name in infos}
    last = WARM_D + (plan.days - 1) * plan.apart_d
    for day in range(last + 1):
        if day >= WARM_D and (day - WARM_D) % plan.apart_d == 0:
            line = history(collect(plant, records).tables)
            table = predictor.recipe.today(line)
            at = {str(table.cell_ids[cell]): row for row, cell in enumerate(table.cell.tolist())}
            asked = [c for c in mature(plant).tolist() if plant.cell_ids[c] in at]
            if asked:
                cells = np.array(asked, dtype=np.int64)
                rows = np.array([at[plant.cell_ids[cell]] for cell in asked])
                _keep(truth, _of_truth(plant, cells, infos, known, manifest.horizon_days), cells, plan.cells)
                _keep(model, _of_model(predictor, table, rows, infos, known), cells, plan.cells)
        if day < last:
            records.append(plant.step())
        meter(day + 1, last + 1, f"day {day} of {last}")
    if not any(each for one in truth.values() for each in one.values()):
        raise InputError("no sound, grown cell to ask on any day; give more cells")

    def stacked(found: Mapping[str, Mapping[str, list[Floats]]]) -> dict[str, dict[str, Floats]]:
        return {name: {one: np.stack(each) for one, each in own.items()} for name, own in found.items()}

    return Answers(stacked(truth), stacked(model), infos)


def _keep(
    found: Mapping[str, Mapping[str, list[Floats]]],
    answer: Mapping[str, Mapping[str, Floats]],
    cells: NDArray[np.int64],
    count: int,
) -> None:
    for name, own in answer.items():
        for one, values in own.items():
            whole = np.full((count, len(SHARES)), np.nan)
            whole[cells] = values - values[:, [SHARES.index(0.0)]]
            found[name][one].append(whole)


def _of_truth(
    plant: Potline,
    cells: NDArray[np.int64],
    infos: Mapping[str, LeverInfo],
    known: Sequence[str],
    horizon_d: int,
) -> dict[str, dict[str, Floats]]:
    base = {name: values[cells] for name, values in plant.setpoints.items()}
    moves = np.zeros((len(infos) * len(SHARES), len(LEVERS)))
    for at, (name, info) in enumerate(infos.items()):
        moves[at * len(SHARES) : (at + 1) * len(SHARES), LEVERS.index(name)] = np.array(SHARES) * info.window
    answer = respond(plant, cells, base, moves, Trial(days=horizon_d, counted_from=0))
    return {
        name: {one: answer[OUTCOME[one]][:, at * len(SHARES) : (at + 1) * len(SHARES)] for one in known}
        for at, name in enumerate(infos)
    }


def _of_model(
    predictor: Predictor,
    table: FeatureTable,
    rows: NDArray[np.int64],
    infos: Mapping[str, LeverInfo],
    known: Sequence[str],
) -> dict[str, dict[str, Floats]]:
    found: dict[str, dict[str, Floats]] = {}
    X = table.X[rows]
    places = dict(
        zip(
            (lever.name for lever in predictor.manifest.levers), predictor.manifest.lever_columns, strict=True
        )
    )
    for name, info in infos.items():
        column, reference = places[name]
        answers = []
        for share in SHARES:
            moved = X.copy()
            moved[:, column] = (X[:, reference].astype(np.float64) + share * info.window).astype(np.float32)
            answers.append(predictor.predict(moved))
        found[name] = {one: np.stack([answer[one] for answer in answers], axis=1) for one in known}
    return found


def per_step(changes: Floats, info: LeverInfo) -> Floats:
    """Return (days, cells): the change per daily step, from half the window down to half the window up."""
    up, down = SHARES.index(0.5), SHARES.index(-0.5)
    return np.asarray((changes[..., up] - changes[..., down]) / info.window * info.max_daily_step)


def _row(answers: Answers, info: LeverInfo, name: str, outcome: str) -> tuple[Value, ...] | None:
    if outcome not in answers.truth[name]:
        return None
    true, said = (
        _over_days(per_step(found[name][outcome], info)) for found in (answers.truth, answers.model)
    )
    known = np.isfinite(true) & np.isfinite(said)
    true, said = true[known], said[known]
    right = np.sign(true) == np.sign(said)
    material = np.abs(true) >= MATERIAL[outcome]
    varied = len(true) > 2 and true.std() > 0 and said.std() > 0
    return (
        name,
        outcome,
        f"{info.max_daily_step:g} {info.unit}",
        float(true.mean()),
        float(said.mean()),
        float(np.abs(said - true).mean()),
        len(true),
        100.0 * float(right.mean()),
        int((~right).sum()),
        int(material.sum()),
        100.0 * float(right[material].mean()) if material.any() else None,
        float(np.corrcoef(true, said)[0, 1]) if varied else None,
        info.identification.outcomes.get(outcome, "unknown").replace("_", " "),
    )


def _over_days(values: Floats) -> Floats:
    """Return the mean (cells,) over the days asked, NaN where a cell never was."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def write_figure(answers: Answers, path: Path) -> None:
    """Draw truth (black) and model (blue) over each lever's window, bands = the middle 80 % of cells, as one page."""
    environment = Environment(autoescape=True)
    figures = [
        (_figure(answers, info, outcome), lever_words(name), outcome_words(outcome))
        for name, info in answers.levers.items()
        for outcome in answers.truth[name]
    ]
    path.write_text(environment.from_string(_PAGE).render(figures=figures), encoding="utf-8")


def _figure(answers: Answers, info: LeverInfo, outcome: str) -> Markup:
    x = [share * info.window for share in SHARES]
    lines = []
    for kind, found in (("measured", answers.truth), ("model", answers.model)):
        changes = found[info.name][outcome].reshape(-1, len(SHARES))
        changes = changes[np.isfinite(changes).all(axis=1)]
        low, high = np.quantile(changes, [0.1, 0.9], axis=0)
        lines.append(Curve(x, changes.mean(axis=0).tolist(), low.tolist(), high.tolist(), kind))
    axes = (Words.same(f"{info.name} [{info.unit}]"), Words.same(outcome))
    return curves(lines, axes, outcome_words(outcome), mark=0.0)


_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lever response, SIMULATED</title>
<style>body{font:14px system-ui,sans-serif;margin:24px}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:18px}
figure{margin:0}.zh{display:none}svg{width:100%}svg text{font:12px system-ui,sans-serif}svg .grid,svg .tick,svg .axis{stroke:#ccd}
svg .curve{fill:none;stroke-width:2}svg .measured{stroke:#17222d}svg .model{stroke:#1f5f99}svg .band{stroke:none;fill-opacity:.14}
svg .band.measured{fill:#17222d}svg .band.model{fill:#1f5f99}svg .mark{stroke:#17222d;stroke-dasharray:5 4}svg .zero{stroke:#7d8791}</style></head>
<body><h1>Lever response: truth (black) and model (blue), SIMULATED</h1><p>Mean change over the horizon when one lever moves alone; bands hold the middle 80 % of cells.</p>
<div class="grid">{% for svg, lever, outcome in figures %}<figure>{{ svg }}<figcaption>{{ lever }}: {{ outcome }}</figcaption></figure>{% endfor %}</div></body></html>
"""
