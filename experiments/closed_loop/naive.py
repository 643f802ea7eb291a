"""The arm that most projects would build: a plain model of the history, and the setpoints that it likes best.

No guard, no support, no causal care, no lower bound: LightGBM with its default settings on every feature and the
setpoints, and the lowest predicted cost within the plant's own bounds, windows and steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from experiments.closed_loop.loop import Bools
from experiments.closed_loop.plan import Plan, Promise, in_force, staged
from experiments.closed_loop.watch import Watch
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from features.errors import TargetUnavailableError
from features.policy.cost import Prices, outcome_prices
from features.relations import Array
from features.setpoints import OperatingWindow
from training.inputs import TrainingInputs

_CANDIDATES = 300


@dataclass(frozen=True)
class PlainModel:
    """One LightGBM a priced outcome, each of the features as they are."""

    boosters: Mapping[str, lightgbm.Booster]
    columns: tuple[int, ...]
    """Where the window's levers stand in a feature row."""
    window: OperatingWindow

    @classmethod
    def trained(cls, inputs: TrainingInputs, seed: int = 0) -> "PlainModel":
        """Fit on all of ``inputs``.

        Raises:
            TargetUnavailableError: no priced outcome has a label.
        """
        rows = inputs.rows()
        width = len(inputs.recipe.features)
        settings = {"verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True}
        boosters = {}
        for name in outcome_prices(Prices()):
            labels = rows.y.get(name)
            if labels is None or not np.isfinite(labels).any():
                continue
            known = np.isfinite(labels)
            data = lightgbm.Dataset(rows.z[known, :width], labels[known])
            boosters[name] = lightgbm.train({"objective": "regression", **settings}, data, 200)
        if not boosters:
            raise TargetUnavailableError("a plain model needs a target with labels; the record carries none")
        columns = tuple(column for column, _ in inputs.recipe.lever_columns)
        return cls(boosters, columns, inputs.window)


@dataclass(eq=False)
class Naive:
    """Moves every cell to where ``model`` predicts the cheapest tonne."""

    model: PlainModel
    prices: Prices
    seed: int = 0

    def __post_init__(self) -> None:
        """Draw from one stream over all days."""
        self._generator = np.random.default_rng(self.seed)
        self._steps = np.zeros(len(LEVERS))
        for lever in self.model.window.levers:
            self._steps[LEVERS.index(lever.name)] = lever.max_daily_step

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Return the cheapest predicted setting of every cell with a row."""
        current = in_force(plant.setpoints)
        settings = np.repeat(in_hand[None], days, axis=0)
        promise = Promise.nothing(plant.cells)
        table = watch.table
        for row, cell in zip(table.X, table.cell.tolist(), strict=True):
            if not due[cell]:
                continue
            target, promise.cost_per_t[cell] = self._best(row, current[cell])
            promise.status[cell] = "move"
            settings[:, cell] = staged(current[[cell]], target[None], self._steps, days)[:, 0]
        return Plan(settings, in_hand, promise, np.zeros(plant.cells, dtype=bool))

    def _best(self, row: NDArray[np.float32], current: Array) -> tuple[Array, float]:
        """Return the setting (k,) with the lowest predicted cost, and what it is said to save."""
        window = self.model.window
        places = [LEVERS.index(name) for name in window.names]
        low, high = window.bounds(current[places])
        tried = self._generator.uniform(low, high, (_CANDIDATES, len(places)))
        tried[0] = current[places]
        rows = np.repeat(row[None].astype(np.float64), _CANDIDATES, axis=0)
        rows[:, self.model.columns] = tried
        prices = outcome_prices(self.prices)
        cost = np.sum(
            [prices[n] * np.asarray(b.predict(rows)) for n, b in self.model.boosters.items()], axis=0
        )
        best = int(cost.argmin())
        target = np.full(len(LEVERS), np.nan)
        target[places] = tried[best]
        return target, float(cost[0] - cost[best])
