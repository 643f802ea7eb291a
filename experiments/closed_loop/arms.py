"""The arms that need no model: the plant's operators, setpoints frozen, and the oracle."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.closed_loop.loop import ADVISED_AGE_D, Bools
from experiments.closed_loop.plan import Plan, Promise, as_setpoints, in_force, staged
from experiments.closed_loop.tally import SUMS, Tally, per_tonne
from experiments.closed_loop.watch import Watch
from experiments.simulator.inner import SUPERHEAT_WINDOW_C, TEMPERATURE_WINDOW_C
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from features.policy.cost import Prices
from features.relations import Array
from features.setpoints import OperatingWindow
from serving.limits import Limit


class Operators:
    """The plant as it runs: its own operators decide everything. What every other arm's saving is counted against."""

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Leave everything to the operators."""
        free = np.full((days, plant.cells, len(LEVERS)), np.nan)
        return Plan(free, free[0], Promise.nothing(plant.cells), np.zeros(plant.cells, dtype=bool))


class Hold:
    """Every grown cell frozen at the mean of its setpoints over the record's last four weeks, and nobody reacts."""

    def __init__(self, settle_d: int = 28) -> None:
        """``settle_d``: days that the mean is over."""
        self._settle_d = settle_d

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Freeze what is not frozen yet."""
        grown = _grown(plant)[:, None]
        mean = watch.mean_settings(self._settle_d)
        frozen = np.where(np.isfinite(in_hand), in_hand, np.where(grown, mean, np.nan))
        return Plan(
            np.repeat(frozen[None], days, axis=0),
            in_hand,
            Promise.nothing(plant.cells),
            np.zeros(plant.cells, dtype=bool),
        )


TRUE_LIMITS: Final = (
    Limit("mean_superheat_c", *SUPERHEAT_WINDOW_C),
    Limit("mean_bath_temperature_c", *TEMPERATURE_WINDOW_C),
    Limit("mean_noise_mv", high=25.0),
)
"""The windows of the truth's own means: the guard's, of what it can only compute, stand around the same."""


@dataclass(frozen=True)
class OracleSettings:
    """How the oracle searches: rounds of trials on copies, candidates a round, days that each is held and counted.

    ``shrink``: share of the window left from round to round. ``futures``: draws of what is to come that a trial is
    averaged over; 0 looks into the very noise that will come. ``limits``: windows of the truth's own means.
    ``hours_outside``: hours a day outside the windows that count as none. No move may stand further outside than its
    operators would bring the cell: what may not be done safely is no saving that anybody missed.
    """

    rounds: int = 3
    candidates: int = 12
    horizon_d: int = 21
    shrink: float = 0.6
    futures: int = 2
    hours_outside: float = 0.1
    seed: int = 0
    limits: tuple[Limit, ...] = TRUE_LIMITS


_TRUTH = {
    "mean_superheat_c": "superheat_c_d",
    "mean_bath_temperature_c": "temperature_c_d",
    "mean_noise_mv": "noise_mv_d",
}


@dataclass
class Oracle:
    """Knows the state and the noise to come, and tries moves on copies, under the bounds, windows and steps of advice."""

    window: OperatingWindow
    prices: Prices
    settings: OracleSettings = field(default_factory=OracleSettings)

    def __post_init__(self) -> None:
        """Draw from one stream over all rounds."""
        self._generator = np.random.default_rng(self.settings.seed)
        self._places = [LEVERS.index(name) for name in self.window.names]
        reach, low, high, step = np.zeros((4, len(LEVERS)))
        for place, lever in zip(self._places, self.window.levers, strict=True):
            reach[place], low[place], high[place] = lever.window, lever.low, lever.high
            step[place] = lever.max_daily_step
        self._reach, self._low, self._high, self._step = reach, low, high, step

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Return the cheapest found."""
        current = in_force(plant.setpoints)
        settings = np.repeat(in_hand[None], days, axis=0)
        grown = np.flatnonzero(_grown(plant, self.settings.horizon_d) & due)
        if grown.size:
            best = self._search(plant, grown, current[grown], in_hand[grown])
            settings[:, grown] = staged(current[grown], best, self._step, days)
        return Plan(settings, in_hand, Promise.nothing(plant.cells), np.zeros(plant.cells, dtype=bool))

    def _search(self, plant: Potline, cells: NDArray[np.int64], current: Array, in_hand: Array) -> Array:
        """Return targets (n, k), NaN where a lever is better left to the operators."""
        told, best = self.settings, in_hand
        stands = np.zeros((len(cells), 1, 1))
        for round_ in range(told.rounds):
            tried = self._candidates(current, in_hand, best, told.shrink**round_)
            if round_ == 0:
                tried[:, 1] = np.nan  # all of it back to the operators
            cost, excess = self._judge(plant, cells, current, tried)
            # A move may leave no window further than the operators would: they are the second candidate.
            stands = excess[:, 1:2] if round_ == 0 else stands
            cost = np.where((excess <= stands + 1e-9).all(axis=2), cost, np.inf)
            best = np.take_along_axis(tried, cost.argmin(axis=1)[:, None, None], axis=1)[:, 0]
        return best

    def _candidates(self, current: Array, in_hand: Array, best: Array, share: float) -> Array:
        """Return (n, m + 1, k): ``best`` first, then moves around it, half of them of one lever."""
        n, m, k = len(current), self.settings.candidates, len(LEVERS)
        draw = self._generator.uniform(-1.0, 1.0, (n, m, k)) * self._reach * share
        places = self._generator.choice(self._places, size=(n, m))
        single = np.eye(k)[places]
        several = np.repeat((np.arange(m) % 2 == 1)[None], n, axis=0) & (len(self._places) > 1)
        chosen = np.where(several[:, :, None], self._generator.random((n, m, k)) < 0.5, single > 0)
        offered = np.zeros(k, dtype=bool)
        offered[self._places] = True
        start = np.where(np.isfinite(best), best, current)[:, None]
        target = np.clip(start + draw, (current - self._reach)[:, None], (current + self._reach)[:, None])
        # A bound that the current setting breaks binds at the current setting, as in the operating window.
        low, high = np.minimum(self._low, current)[:, None], np.maximum(self._high, current)[:, None]
        moved = np.where(chosen & offered, np.clip(target, low, high), best[:, None])
        return np.concatenate([best[:, None], moved], axis=1)

    def _judge(
        self, plant: Potline, cells: NDArray[np.int64], current: Array, tried: Array
    ) -> tuple[Array, Array]:
        """Return cost of a tonne (n, m), and how far outside its limits each candidate runs (n, m, l)."""
        n, m, k = tried.shape
        told = self.settings
        ways = staged(np.repeat(current, m, axis=0), tried.reshape(n * m, k), self._step, told.horizon_d)
        sums: dict[str, Array] = dict.fromkeys(SUMS, np.zeros(n * m))
        for future in range(max(told.futures, 1)):
            copies = plant.fork(m, cells)
            if told.futures:
                copies.seed = plant.seed + _OTHER_DICE * (future + 1)
            tally = Tally(copies, copies.bath_alf3_kg)
            for way in ways:
                tally.add(copies.step(as_setpoints(way)))
            sums = {name: sums[name] + value for name, value in tally.close().items()}
        cost = per_tonne(sums, self.prices)["cost_per_t"].reshape(n, m)
        days = np.maximum(sums["days"], 1.0)
        excess = []
        for limit in told.limits:
            mean = (sums[_TRUTH[limit.outcome]] / days).reshape(n, m)
            beyond = np.maximum(limit.low + limit.margin - mean, mean - limit.high + limit.margin)
            excess.append(np.maximum(beyond, 0.0))
        for name in ("superheat_outside_h", "temperature_outside_h"):
            hours = (sums[name] / days).reshape(n, m)
            excess.append(np.maximum(hours - told.hours_outside, 0.0))
        return np.where(np.isnan(cost), np.inf, cost), np.stack(excess, axis=2)


_OTHER_DICE: Final = 7919


def _grown(plant: Potline, ahead_d: int = 0) -> NDArray[np.bool_]:
    """Mark (c,) the cells that run, past their start-up, and (for looking ahead) run on for ``ahead_d`` days."""
    now, later = plant.life(), plant.life(ahead_d)
    return np.asarray(now.running & later.running & (now.age_d >= ADVISED_AGE_D) & (later.age_d >= now.age_d))
