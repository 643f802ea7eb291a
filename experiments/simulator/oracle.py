"""What the truth answers to a move of the levers, and the best move that an oracle finds by trying it on copies.

A trial forks the plant, holds each copy's setpoints for some days under the very same noise, and reads the truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from features.errors import InputError
from features.policy.cost import Prices, cost_per_t
from features.relations import Array

WINDOW: Final[Mapping[str, float]] = {
    "set_voltage_v": 0.040,
    "alf3_dose_kg_d": 20.0,
    "tap_target_kg": 120.0,
    "alumina_feed_kg_d": 200.0,
}
"""How far a recommendation may go from the setpoint in force, each way (domain notes, section 3)."""
_MEAN: Final = (
    "mean_voltage_v",
    "bath_temperature_c",
    "superheat_c",
    "acd_mm",
    "noise_mv",
    "ledge_mm",
    "sludge_kg",
)


@dataclass(frozen=True)
class Trial:
    """How long setpoints are held, and from which day on the truth counts."""

    days: int = 28
    counted_from: int = 7

    def __post_init__(self) -> None:
        """Refuse a trial that counts nothing.

        Raises:
            InputError: no counted day.
        """
        if not 0 <= self.counted_from < self.days:
            raise InputError(
                f"a trial of {self.days} days cannot count from day {self.counted_from}; start earlier"
            )


def respond(
    plant: Potline, cells: NDArray[np.int64], base: Mapping[str, Array], moves: Array, trial: Trial
) -> dict[str, Array]:
    """Return the truth (n, m) of n cells under m moves each.

    Args:
        plant: the plant, left as it is.
        cells: (n,) positions of the cells.
        base: lever to (n,), the setpoints that a move starts from.
        moves: (n, m, 4) or (m, 4), in the order of ``LEVERS``.
        trial: how long.

    Returns:
        energy_kwh_per_t and net_anode_kg_per_t as ratios of sums, current_efficiency, alf3_kg_per_t,
        anode_effects a day, and means of voltage, temperature, superheat, distance, noise, ledge and sludge.
    """
    shifts = np.broadcast_to(moves, (cells.size, *np.shape(moves)[-2:]))
    count = shifts.shape[1]
    copies = plant.fork(count, cells)
    held = {name: (base[name][:, None] + shifts[:, :, k]).reshape(-1) for k, name in enumerate(LEVERS)}
    sums = dict.fromkeys(("kwh", "carbon", "metal", "alf3", "ideal", "anode_effects", *_MEAN), 0.0)
    totals: dict[str, Array] = {name: np.zeros(cells.size * count) for name in sums}
    for day in range(trial.days):
        record = copies.step(held)
        if day < trial.counted_from:
            continue
        truth = record.truth
        totals["kwh"] += truth["energy_kwh_per_t"] * truth["produced_kg"]
        totals["carbon"] += truth["net_anode_kg"]
        totals["metal"] += truth["produced_kg"]
        totals["ideal"] += truth["produced_kg"] / truth["current_efficiency"]
        totals["alf3"] += truth["alf3_fed_kg"]
        totals["anode_effects"] += record.cell_days["anode_effects"]
        for name in _MEAN:
            totals[name] += truth[name]
    days = trial.days - trial.counted_from
    answer = {name: totals[name] / days for name in (*_MEAN, "anode_effects")}
    answer["energy_kwh_per_t"] = totals["kwh"] / totals["metal"]
    answer["net_anode_kg_per_t"] = 1000.0 * totals["carbon"] / totals["metal"]
    answer["alf3_kg_per_t"] = 1000.0 * totals["alf3"] / totals["metal"]
    answer["current_efficiency"] = totals["metal"] / totals["ideal"]
    return {name: value.reshape(cells.size, count) for name, value in answer.items()}


@dataclass(frozen=True)
class Found:
    """The best move of each of n cells."""

    moves: Array
    """(n, 4) in the order of ``LEVERS``."""
    energy_kwh_per_t: Array
    """(n,) change against holding; negative saves."""
    net_anode_kg_per_t: Array
    cost_per_t: Array


@dataclass(frozen=True)
class Search:
    """How the oracle searches: rounds of trials, candidates in each, the share of the window left each round."""

    rounds: int = 4
    candidates: int = 12
    shrink: float = 0.6
    window: Mapping[str, float] | None = None
    prices: Prices = field(default_factory=Prices)
    seed: int = 0


def best_moves(
    plant: Potline, cells: NDArray[np.int64], base: Mapping[str, Array], trial: Trial, search: Search
) -> Found:
    """Find, for each of ``cells`` (n,), the move within the window that makes a tonne cheapest in truth.

    Each round tries random moves around each cell's best so far, holding included, and draws the circle closer.
    """
    limits = WINDOW if search.window is None else search.window
    reach = np.array([limits[name] for name in LEVERS])
    generator = np.random.default_rng(search.seed)
    best = np.zeros((cells.size, len(LEVERS)))
    for round_ in range(search.rounds):
        radius = reach * search.shrink**round_
        around = generator.uniform(-1.0, 1.0, (cells.size, search.candidates, len(LEVERS))) * radius
        # Half of the candidates move one lever only, so that ridges along an axis are found too.
        single = np.eye(len(LEVERS))[generator.integers(len(LEVERS), size=around.shape[:2])]
        around[:, ::2] *= single[:, ::2]
        tried = np.clip(best[:, None] + around, -reach, reach)
        tried = np.concatenate([best[:, None], tried], axis=1)
        cost = cost_of(respond(plant, cells, base, tried, trial), search.prices)
        best = np.take_along_axis(tried, cost.argmin(axis=1)[:, None, None], axis=1)[:, 0]
    final = respond(plant, cells, base, np.stack([np.zeros_like(best), best], axis=1), trial)
    money = cost_of(final, search.prices)
    gain = {name: value[:, 1] - value[:, 0] for name, value in final.items()}
    return Found(best, gain["energy_kwh_per_t"], gain["net_anode_kg_per_t"], money[:, 1] - money[:, 0])


def cost_of(answer: Mapping[str, Array], prices: Prices) -> Array:
    """Cost of a tonne for what :func:`respond` answered, in its shape."""
    energy, anode = answer["energy_kwh_per_t"], answer["net_anode_kg_per_t"]
    return cost_per_t(energy, anode, answer["alf3_kg_per_t"], prices)


def settled_setpoints(plant: Potline, cells: NDArray[np.int64], days: int = 28) -> dict[str, Array]:
    """Live ``days`` under the operators (the plant moves on) and return the mean setpoints of ``cells``.

    One day's AlF3 dose is a reaction to that day; held for weeks it would drive the cell away. The mean is what the
    cell lives on.
    """
    seen: dict[str, list[Array]] = {name: [] for name in LEVERS}
    for _ in range(days):
        plant.step()
        for name, value in plant.setpoints.items():
            seen[name].append(value[cells])
    return {name: np.mean(values, axis=0) for name, values in seen.items()}


def mature(plant: Potline, at_least_d: float = 250.0, ahead_d: int = 60) -> NDArray[np.int64]:
    """Return the positions of the sound, grown cells that stay so for ``ahead_d`` days."""
    now, later = plant.life(0), plant.life(ahead_d)
    sound = (now.damage == 0.0) & (later.damage == 0.0) & now.running & later.running
    return np.flatnonzero(sound & (now.age_d >= at_least_d) & (later.age_d >= now.age_d))


def sweep(
    plant: Potline, cells: NDArray[np.int64], base: Mapping[str, Array], lever: str, sizes: Sequence[float]
) -> dict[str, Array]:
    """Return :func:`respond` (n, m) to moves of one lever alone, settled."""
    moves = np.zeros((len(sizes), len(LEVERS)))
    moves[:, LEVERS.index(lever)] = sizes
    return respond(plant, cells, base, moves, Trial())
