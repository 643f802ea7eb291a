"""Random trees over random rows with three levers, as graphs, for tests of whatever reads trees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.setpoints import JointLimit, Lever, OperatingWindow
from serving.limits import Limit
from serving.search.graph import CutGraph
from serving.search.problem import Goal, LeverPrice, Objective, Problem
from serving.search.specialise import Specialised
from tests.fakes.graphs import FakeOutcome, write_graph
from training.structures import Constant, Structure, Sum, Tree, TreeEnsemble

D = 12
LEVERS = ((0, 3), (1, 4), (2, 5))
WINDOW = OperatingWindow(
    (
        Lever("set_voltage_v", "V", 3.0, 5.0, 0.01, 0.03, 0.05, "voltage"),
        Lever("alf3_dose_kg_d", "kg/d", 0.0, 100.0, 1.0, 3.0, 6.0, "chemistry"),
        Lever("tap_target_kg", "kg", 3000.0, 5000.0, 10.0, 20.0, 40.0, "metal"),
    ),
    (JointLimit("together", 0.06, moves={"set_voltage_v": 1.0, "alf3_dose_kg_d": 0.01}),),
)
CURRENT = np.array([4.0, 50.0, 4000.0])
_SPREAD = np.array([0.05, 6.0, 40.0])


def rows(draw: np.random.Generator, n: int, missing: float = 0.1) -> NDArray[np.float32]:
    """(n, D) rows around :data:`CURRENT`; context columns are sometimes missing."""
    X = draw.normal(size=(n, D))
    X[:, 3:6] = CURRENT
    X[:, :3] = CURRENT + _SPREAD * draw.normal(size=(n, 3))
    X[:, 6:][draw.random((n, D - 6)) < missing] = np.nan
    return X.astype(np.float32)


def tree(draw: np.random.Generator, leaves: int, scale: float = 1.0) -> Tree:
    """A random tree that splits on levers, moves and context; sometimes only a leaf."""
    inner = int(draw.integers(0, leaves))
    columns = np.array([0, 1, 2, *range(6, D), D, D + 1, D + 2])
    feature = draw.choice(columns, inner)
    threshold = draw.normal(size=inner)
    for column, (centre, spread) in {j: (CURRENT[j], _SPREAD[j]) for j in range(3)}.items():
        threshold[feature == column] = centre + spread * draw.uniform(-1, 1, int((feature == column).sum()))
        moved = feature == D + column
        threshold[moved] = spread * draw.uniform(-1, 1, int(moved.sum()))
    left, right = np.empty(inner, dtype=np.int64), np.empty(inner, dtype=np.int64)
    slots: list[tuple[NDArray[np.int64], int]] = []
    for node in range(inner):
        if node:
            side, parent = slots.pop(int(draw.integers(len(slots))))
            side[parent] = node
        slots += [(left, node), (right, node)]
    for leaf, (side, parent) in enumerate(slots):
        side[parent] = -1 - leaf
    return Tree(
        feature.astype(np.int64),
        threshold,
        draw.random(inner) < 0.5,
        left,
        right,
        scale * draw.normal(size=inner + 1),
    )


def ensemble(
    draw: np.random.Generator, level: float, trees: int, leaves: int, members: int, scale: float
) -> Structure:
    """``level`` plus random trees; the members differ."""
    grown = tuple(tuple(tree(draw, leaves, scale) for _ in range(trees)) for _ in range(members))
    return Sum((Constant(np.full(members, level)), TreeEnsemble(grown, np.zeros(members))))


@dataclass(frozen=True)
class Drawn:
    """A random cell: the whole graph, the cut one, its row, and its problem."""

    model: bytes
    row: NDArray[np.float32]
    problem: Problem


def drawn(seed: int, trees: int = 12, leaves: int = 8, members: int = 2, *, limited: bool = True) -> Drawn:
    """Return a random cell with energy, anode, temperature and noise, two of which are limited."""
    draw = np.random.default_rng(seed)
    levels = {
        "energy_kwh_per_t": (12500.0, 20.0),
        "net_anode_kg_per_t": (410.0, 1.0),
        "mean_bath_temperature_c": (952.0, 1.0),
        "mean_noise_mv": (18.0, 1.0),
    }
    outcomes = {
        name: FakeOutcome(ensemble(draw, level, trees, leaves, members, scale), half_width=scale)
        for name, (level, scale) in levels.items()
    }
    model = write_graph(D, LEVERS, outcomes)
    graph = CutGraph(model)
    row = rows(draw, 1)[0]
    row[:3] = row[3:6]
    limits = (
        Limit("mean_bath_temperature_c", 949.0, 955.0, 946.0, 958.0),
        Limit("mean_noise_mv", high=20.0),
    )
    goal = Goal(
        Objective(
            {"energy_kwh_per_t": 0.45, "net_anode_kg_per_t": 5.0}, {"alf3_dose_kg_d": LeverPrice(2.0, 0.5)}
        ),
        limits if limited else (),
    )
    surrogate = Specialised(graph, row, [0, 1, 2], WINDOW.grid(CURRENT))
    return Drawn(model, row, Problem(surrogate, WINDOW, CURRENT, goal, frozenset(graph.outputs)))


def grid_points(sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Every grid point (n, k)."""
    return np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))
