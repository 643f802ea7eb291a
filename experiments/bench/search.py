"""How good and how fast is a search? Every method against the optimum that a mixed-integer programme proves.

The default search runs on every cell; Optuna's samplers and the proof, which take seconds a cell, run on some. A
share is the gain over today's setting that a method finds, of the gain that is proved possible.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from experiments.bench.surrogates import OUTCOMES, Size, Surrogate, eight_levers, plant_like
from experiments.bench.table import BenchMeta, BenchTable, Value
from experiments.prepare import prepare, read_record
from features.errors import SettingsError
from serving.context import Context
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, Advisor
from serving.search.problem import Problem
from serving.search.proof import best_of_grid, prove
from serving.search.samplers import METHODS
from serving.search.study import SearchSettings, search

SAMPLES: Final = Path("data_samples")
_COLUMNS: Final = (
    ("surface", ""),
    ("method", ""),
    ("cells", ""),
    ("per_cell_median", "s"),
    ("per_cell_worst", "s"),
    ("all_cells", "s"),
    ("share_median", "%"),
    ("share_worst", "%"),
    ("reference", ""),
)
_SEEN: Final = ("optuna", "cmaes", "highspy", "onnxruntime", "lightgbm", "torch")
_LEAST_GAIN: Final = 1e-3
_PLANT: Final = Size(rows=6000, features=60, trees=150, leaves=24, members=5)
_EIGHT: Final = Size(rows=8000, features=24, trees=500, leaves=63, members=1)


@dataclass(frozen=True)
class SearchPlan:
    """What is run beside the default search.

    Attributes:
        methods: Optuna's methods to compare with; stock_cells: on how many cells they run; stock_trials: how many
            trials each, None = the method's own number. proof_seconds: limit of one proof.
        plant, eight: sizes of the two drawn surfaces.
    """

    methods: tuple[str, ...] = ("tpe", "cmaes", "nsga2", "gp")
    stock_cells: int = 10
    stock_trials: int | None = None
    proof_seconds: float = 120.0
    plant: Size = _PLANT
    eight: Size = _EIGHT

    def __post_init__(self) -> None:
        """Refuse a plan without a compared cell, and unknown methods."""
        if self.stock_cells < 1:
            raise SettingsError(
                f"search bench: stock_cells is {self.stock_cells}; compare on at least 1 cell"
            )
        unknown = sorted(set(self.methods) - set(METHODS))
        if unknown:
            raise SettingsError(
                f"search bench: unknown methods {unknown}; the methods are {', '.join(METHODS)}"
            )

    @classmethod
    def quick(cls) -> "SearchPlan":
        """Return a plan of seconds, for checks of the machinery only."""
        return cls(
            methods=("tpe", "nsga2"),
            stock_cells=2,
            stock_trials=60,
            plant=Size(rows=800, features=24, trees=15, leaves=8, members=2),
            eight=Size(rows=800, features=20, trees=30, leaves=16, members=1),
        )


def run(
    cells: int = 300,
    seed: int = 7,
    bundle: Path | None = None,
    data: Path = SAMPLES,
    plan: SearchPlan | None = None,
) -> BenchTable:
    """Return the comparison on ``cells`` cells of each surface; ``bundle`` adds whole advice from a real bundle.

    Args:
        cells: contexts of each surface.
        seed: of surfaces and samplers.
        bundle: a bundle's directory; its contexts come from the record in ``data``.
        data: a canonical directory.
        plan: what is compared, on how many cells.

    Raises:
        SettingsError: no cell. InputError, BundleError: ``data`` or ``bundle`` is not one.
    """
    if cells < 1:
        raise SettingsError(f"search bench: cells is {cells}; search at least 1")
    told = plan or SearchPlan()
    rows: list[tuple[Value, ...]] = []
    for surface in (plant_like(cells, seed, told.plant), eight_levers(cells, seed, told.eight)):
        rows += _compare(surface, seed, told)
    if bundle is not None:
        rows += _advise(bundle, data, cells, seed)
    return BenchTable.of(
        f"Search for setpoints on {cells} cells",
        _COLUMNS,
        rows,
        BenchMeta.here(_SEEN, seed=seed, simulated=True),
        (
            f"cell: {len(OUTCOMES)} outcomes of {told.plant.members} members of {told.plant.trees} trees x"
            f" {told.plant.leaves} leaves, a plant's window, joint and predicted limits;"
            f" box: {told.eight.trees} trees x {told.eight.leaves} leaves, +-15 % of each lever's range.",
            "per_cell includes pruning the graph to the cell; one process, one thread.",
            f"The default search runs on every cell; the others and the shares are of {told.stock_cells} cells.",
            "Surfaces are drawn (SIMULATED): figures about the methods, not about cells.",
        ),
    )


@dataclass(frozen=True)
class _Cell:
    """A compared cell: its gain's reference (currency a tonne) and how that is known."""

    problem: Problem
    possible: float
    reference: str
    seconds: float


def _compare(surface: Surrogate, seed: int, plan: SearchPlan) -> Iterator[tuple[Value, ...]]:
    """Yield the rows of one surface: the proof, the default search on every cell, the other methods."""
    compared = [_reference(surface, cell, plan) for cell in range(min(plan.stock_cells, len(surface.rows)))]
    kinds = sorted({cell.reference for cell in compared})
    yield _row(surface.name, "proof (HiGHS)", [cell.seconds for cell in compared], None, (), ", ".join(kinds))
    settings = SearchSettings(seed=seed)
    took, gains = [], []
    begin = time.perf_counter()
    for cell in range(len(surface.rows)):
        start = time.perf_counter()
        found = search(surface.problem(cell), settings)
        took.append(time.perf_counter() - start)
        gains.append(found.gain)
    total = time.perf_counter() - begin
    yield _row(surface.name, "descent (default)", took, total, _shares(gains, compared), ", ".join(kinds))
    for name in plan.methods:
        yield _stock(surface, name, compared, SearchSettings(name, plan.stock_trials, seed=seed))


def _reference(surface: Surrogate, cell: int, plan: SearchPlan) -> _Cell:
    """Prove a cell's optimum; where it has no linear form, take the best of its grid."""
    problem = surface.problem(cell)
    home = float(problem.keys(problem.home[None, :])[0])
    start = time.perf_counter()
    proof = prove(problem, plan.proof_seconds)
    seconds = time.perf_counter() - start
    if proof is not None:
        kind = "proven" if proof.proven else "bound"
        return _Cell(problem, home - proof.bound, kind, seconds)
    best, whole = best_of_grid(problem)
    return _Cell(problem, home - best, "whole grid" if whole else "grid sample", time.perf_counter() - start)


def _stock(
    surface: Surrogate, name: str, compared: Sequence[_Cell], settings: SearchSettings
) -> tuple[Value, ...]:
    took, gains = [], []
    for cell in range(len(compared)):
        start = time.perf_counter()
        gains.append(search(surface.problem(cell), settings).gain)
        took.append(time.perf_counter() - start)
    trials = settings.trials or METHODS[name].trials
    return _row(
        surface.name,
        f"Optuna {name}, {trials} trials",
        took,
        None,
        _shares(gains, compared),
        ", ".join(sorted({cell.reference for cell in compared})),
    )


def _shares(gains: Sequence[float], compared: Iterable[_Cell]) -> list[float]:
    return [
        100.0 * gain / cell.possible
        for gain, cell in zip(gains, compared, strict=False)
        if cell.possible > _LEAST_GAIN
    ]


def _row(
    surface: str,
    method: str,
    seconds: Sequence[float],
    total: float | None,
    shares: Sequence[float],
    reference: str,
) -> tuple[Value, ...]:
    return (
        surface,
        method,
        len(seconds),
        float(np.median(seconds)),
        float(np.max(seconds)),
        total,
        float(np.median(shares)) if len(shares) else None,
        float(np.min(shares)) if len(shares) else None,
        reference,
    )


def _advise(bundle: Path, data: Path, cells: int, seed: int) -> Iterator[tuple[Value, ...]]:
    """Yield the row of whole advice: screen, search, intervals, guard, path, on contexts drawn from the record."""
    advisor = Advisor(Predictor.open(bundle), AdviceSettings(search=SearchSettings(seed=seed)))
    took = []
    begin = time.perf_counter()
    for context in _contexts(advisor, data, cells, seed):
        start = time.perf_counter()
        advisor.advise(context)
        took.append(time.perf_counter() - start)
    total = time.perf_counter() - begin
    levers = len(advisor.window.levers)
    yield _row(
        f"bundle {advisor.manifest.name}, {levers} levers", "whole advice (default)", took, total, (), "-"
    )


def _contexts(advisor: Advisor, data: Path, cells: int, seed: int) -> Iterator[Context]:
    """Yield ``cells`` contexts of the record's last fifth, drawn with ``seed``, all of mature cells."""
    table = prepare(read_record(data, None), advisor.manifest.horizon_days).inputs.features
    age = table.column("cell_age_d_last") if "cell_age_d_last" in table.names else np.full(len(table), np.inf)
    late = np.flatnonzero((age >= 120) & (table.date >= np.quantile(table.date.astype(np.int64), 0.8)))
    chosen = np.random.default_rng(seed).choice(late, cells, replace=len(late) < cells)
    for at in chosen.tolist():
        day = table.date[at].astype("datetime64[D]")
        yield Context(
            str(table.line_ids[table.cell[at]]),
            str(table.cell_ids[table.cell[at]]),
            day.item(),
            table.X[at],
            (day - np.timedelta64(1, "D")).item(),
        )
