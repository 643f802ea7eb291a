"""Drawn tree surrogates to search: LightGBM models of drawn process data, as graphs like a bundle's.

``plant_like`` has a plant's four levers with their moves, five outcomes of several members, and limits; the other,
``eight_levers``, is one large model over eight free levers, each 15 % of its range either way: harder than any cell, and comparable with
what is published about samplers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.bundle.graph import FEATURES, LOWER, MEMBERS, SUPPORT, UPPER
from features.errors import SettingsError
from features.setpoints import JointLimit, Lever, OperatingWindow
from serving.limits import Limit
from serving.search.graph import CutGraph
from serving.search.problem import Goal, LeverPrice, Objective, Problem
from serving.search.specialise import Specialised
from training.export.leaves import write_mean
from training.export.lightgbm import read_boosters
from training.export.structures import write_design, write_members
from training.export.writer import GraphWriter
from training.structures import Floats

Rows = NDArray[np.float32]

_PLANT_LEVERS: Final = (
    Lever("set_voltage_v", "V", 3.6, 4.3, 0.002, 0.020, 0.040, "voltage"),
    Lever("alf3_dose_kg_d", "kg/d", 0.0, 120.0, 1.0, 10.0, 20.0, "chemistry"),
    Lever("tap_target_kg", "kg", 3000.0, 4600.0, 10.0, 60.0, 120.0, "metal"),
    Lever("alumina_feed_kg_d", "kg/d", 6500.0, 8500.0, 25.0, 100.0, 200.0, "feed"),
)
_BALANCE: Final = (
    JointLimit("cooling", 1.0, moves={"set_voltage_v": -25.0, "alf3_dose_kg_d": 0.05}),
    JointLimit("heating", 1.0, moves={"set_voltage_v": 25.0, "alf3_dose_kg_d": -0.05}),
)
OUTCOMES: Final[Mapping[str, tuple[float, float]]] = {
    "energy_kwh_per_t": (12450.0, 120.0),
    "net_anode_kg_per_t": (408.0, 3.0),
    "mean_bath_temperature_c": (953.0, 3.0),
    "mean_superheat_c": (9.0, 1.5),
    "mean_noise_mv": (18.0, 3.0),
}
_LIMITS: Final = (
    Limit("mean_bath_temperature_c", 945.0, 961.0, 935.0, 971.0),
    Limit("mean_superheat_c", 6.0, 12.0, 2.0, 17.0),
    Limit("mean_noise_mv", high=24.0, hard_high=34.0),
)
_BOX: Final = 0.15
_BOX_STEPS: Final = 60


@dataclass(frozen=True)
class Size:
    """How large a drawn surrogate is (trees and leaves of one member of one outcome): rows it learns from, features, trees, leaves, members."""

    rows: int
    features: int
    trees: int
    leaves: int
    members: int

    def __post_init__(self) -> None:
        """Refuse a surrogate with no room for levers and context.

        Raises:
            SettingsError: as said.
        """
        if self.features < 20 or min(self.rows, self.trees, self.leaves - 1, self.members) < 1:
            raise SettingsError(
                f"surrogate {self}: give at least 20 features, and one row, tree, split and member"
            )


@dataclass(frozen=True)
class Surrogate:
    """A surface to search for many cells: the cut graph, each cell's row (c, d), and what is wanted."""

    name: str
    graph: CutGraph
    rows: Rows
    lever_columns: tuple[int, ...]
    references: tuple[int, ...]
    window: OperatingWindow
    goal: Goal

    def problem(self, cell: int) -> Problem:
        """Return the search problem of one cell: the graph pruned and tabulated around its row."""
        row = self.rows[cell]
        current = np.array([float(str(row[at])) for at in self.references])
        found = Specialised(self.graph, row, self.lever_columns, self.window.grid(current))
        return Problem(found, self.window, current, self.goal, frozenset(self.graph.outputs))


def plant_like(cells: int, seed: int, size: Size) -> Surrogate:
    """Return surrogates of a plant's outcomes over its four levers, and ``cells`` contexts."""
    draw = np.random.default_rng(seed)
    X, columns = _process(draw, size.rows + cells, size.features)
    k = len(_PLANT_LEVERS)
    Z = np.concatenate([X.astype(np.float64), _moves(X, columns)], axis=1)
    writer = GraphWriter()
    write_design(writer, size.features, columns)
    outputs: dict[str, list[int | str]] = {}
    for name, (level, spread) in OUTCOMES.items():
        y = level + spread * _surface(draw, Z, k)
        members = _train(Z[: size.rows], y[: size.rows] - level, size, seed)
        outputs |= _write_outcome(writer, Z.shape[1], name, members, level, 0.8 * spread)
    outputs |= _write_support(writer, size.members)
    graph = CutGraph(writer.to_bytes("surrogate", {FEATURES: ["n", size.features]}, outputs))
    rows = X[size.rows :].copy()
    for lever, reference in columns:
        rows[:, lever] = rows[:, reference]
    prices = {"energy_kwh_per_t": 0.459, "net_anode_kg_per_t": 5.25}
    goal = Goal(Objective(prices, {"alf3_dose_kg_d": LeverPrice(2.4, 0.0)}), _LIMITS)
    return Surrogate(
        "cell, 4 levers",
        graph,
        rows,
        tuple(lever for lever, _ in columns),
        tuple(reference for _, reference in columns),
        OperatingWindow(_PLANT_LEVERS, _BALANCE),
        goal,
    )


def eight_levers(cells: int, seed: int, size: Size) -> Surrogate:
    """Return one large energy surrogate over eight levers, free within 15 % of their range, and ``cells`` contexts."""
    draw = np.random.default_rng(seed + 1)
    k = 8
    drawn = draw.normal(size=(size.rows + cells, size.features))
    drawn[:, :k] = np.round(draw.uniform(0.0, 100.0, size=(len(drawn), k)))
    X = drawn.astype(np.float32)
    Z = X.astype(np.float64)
    y = 12450.0 + 60.0 * _smooth(draw, Z, k) + 20.0 * draw.normal(size=len(Z))
    members = _train(Z[: size.rows], y[: size.rows] - 12450.0, size, seed)
    writer = GraphWriter()
    write_design(writer, size.features, ())
    outputs = _write_outcome(writer, size.features, "energy_kwh_per_t", members, 12450.0, 100.0)
    outputs |= _write_support(writer, size.members)
    step = 100.0 * _BOX / _BOX_STEPS
    levers = tuple(
        Lever(f"lever_{j}", "%", 0.0, 100.0, step, 100.0 * _BOX, 100.0 * _BOX, "voltage") for j in range(k)
    )
    return Surrogate(
        "box, 8 levers",
        CutGraph(writer.to_bytes("surrogate", {FEATURES: ["n", size.features]}, outputs)),
        X[size.rows :],
        tuple(range(k)),
        tuple(range(k)),
        OperatingWindow(levers),
        Goal(Objective({"energy_kwh_per_t": 1.0})),
    )


def _process(draw: np.random.Generator, n: int, d: int) -> tuple[Rows, list[tuple[int, int]]]:
    """Return drawn rows (n, d): levers first, their references next, context after."""
    k = len(_PLANT_LEVERS)
    X = draw.normal(size=(n, d))
    centre, spread = np.array([3.93, 52.0, 3800.0, 7500.0]), np.array([0.06, 14.0, 110.0, 140.0])
    grid = np.array([lever.resolution for lever in _PLANT_LEVERS])
    step = np.array([0.3 * lever.window for lever in _PLANT_LEVERS])
    low = np.array([lever.low for lever in _PLANT_LEVERS])
    high = np.array([lever.high for lever in _PLANT_LEVERS])
    reference = np.clip(np.round((centre + spread * draw.normal(size=(n, k))) / grid) * grid, low, high)
    moved = reference + np.round(step * draw.normal(size=(n, k)) / grid) * grid
    X[:, :k], X[:, k : 2 * k] = moved, reference
    return X.astype(np.float32), [(j, k + j) for j in range(k)]


def _moves(X: Rows, columns: Sequence[tuple[int, int]]) -> Floats:
    lever, reference = np.array(columns).T
    return X[:, lever].astype(np.float64) - X[:, reference].astype(np.float64)


def _surface(draw: np.random.Generator, Z: Floats, k: int) -> Floats:
    """Return a drawn response (n,): context, lever moves with an optimum each, their interplay, and noise."""
    S = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    moves, context = S[:, -k:], S[:, 2 * k : -k]
    best = draw.normal(0.0, 1.0, k)
    out = 0.6 * (context[:, :12] @ draw.normal(size=12)) / 3.0 + 0.4 * np.sin(context[:, 0] * context[:, 1])
    out += 0.35 * np.square(moves - best).mean(axis=1) + 0.25 * moves[:, 0] * context[:, 2]
    return np.asarray(out + 0.2 * moves[:, 0] * moves[:, 1] + 0.6 * draw.normal(size=len(Z)))


def _smooth(draw: np.random.Generator, Z: Floats, k: int) -> Floats:
    """Return a drawn response (n,) of levers between 0 and 100: a tilted bowl, ripples, and context that shifts it."""
    levers, context = (Z[:, :k] - 50.0) / 50.0, Z[:, k:]
    mixing = draw.normal(size=(k, k)) / np.sqrt(k)
    best = draw.uniform(-0.7, 0.7, k) + 0.2 * context[:, :k]
    bowl = np.square((levers - best) @ mixing).mean(axis=1)
    return np.asarray(2.0 * bowl + np.sin(4.0 * levers).sum(axis=1) / 4.0)


def _train(Z: Floats, y: Floats, size: Size, seed: int) -> list[lightgbm.Booster]:
    draw = np.random.default_rng(seed)
    found = []
    for member in range(size.members):
        chosen = draw.integers(0, len(Z), len(Z)) if size.members > 1 else np.arange(len(Z))
        parameters = {
            "objective": "regression",
            "num_leaves": size.leaves,
            "learning_rate": 0.05,
            "min_data_in_leaf": 10,
            "feature_fraction": 0.6,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": seed + member,
            "verbosity": -1,
        }
        found.append(lightgbm.train(parameters, lightgbm.Dataset(Z[chosen], y[chosen]), size.trees))
    return found


def _write_outcome(
    writer: GraphWriter, width: int, name: str, members: Sequence[lightgbm.Booster], level: float, half: float
) -> dict[str, list[int | str]]:
    trees = write_members(writer, read_boosters(list(members)), width)
    lifted = writer.node("Add", trees, writer.constant(np.float64(level)), name=name + MEMBERS)
    write_mean(writer, lifted, len(members), name)
    writer.node("Sub", name, writer.constant(np.float64(half)), name=name + LOWER)
    writer.node("Add", name, writer.constant(np.float64(half)), name=name + UPPER)
    return {
        **{output: ["n"] for output in (name, name + LOWER, name + UPPER)},
        name + MEMBERS: ["n", len(members)],
    }


def _write_support(writer: GraphWriter, members: int) -> dict[str, list[int | str]]:
    """A surrogate is supported everywhere: one, in the shape of any outcome."""
    zero = writer.node("Mul", "energy_kwh_per_t", writer.constant(np.float64(0.0)))
    writer.node("Add", zero, writer.constant(np.float64(1.0)), name=SUPPORT)
    return {SUPPORT: ["n"]}
