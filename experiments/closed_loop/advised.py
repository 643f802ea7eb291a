"""Our arm: what the service would recommend on that morning, applied as it says, stage by stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.closed_loop.loop import Bools
from experiments.closed_loop.plan import Plan, Promise
from experiments.closed_loop.watch import Watch
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from features.relations import Array
from features.setpoints import OperatingWindow
from serving.context import Context
from serving.models.errors import LineErrors
from serving.predictor import Predictor
from serving.recommend import Advisor
from serving.schemas import Estimate, Recommendation
from serving.trust import recent

RETURNED: Final = ("alf3_dose_kg_d", "tap_target_kg")
"""Levers by which operators answer each day's readings: after the horizon they are the operators' again, unless moved
anew. What advice has moved of the others (set voltage, alumina feed) stands until it is moved again or the cell is
abstained on."""

_ERRORS_EVERY_D: Final = 7
"""Days between two looks at how wrong the model has been: an error is told over eight weeks."""
_FOR_LONG: Final = ("young", "no_data")
"""Reasons that tomorrow will not have changed: the cell is its operators', and is asked about after a horizon."""


@dataclass(eq=False)
class Advised:
    """Applies ``serving.recommend`` to every cell, every round.

    A move is followed along its path and held for the horizon, the operators carry on with every lever that was not
    moved; a hold leaves standing what stands. A cell that comes to stand outside a window is its operators' again, to
    bring back; it is looked at every day, as a service is asked every day. A cell that is abstained on is asked about
    again the next day; where nothing can be said for ``patience_d`` days in a row, what stood is its operators' again.

    Attributes:
        advisor: the bundle with the settings of its advice. predictor: the bundle, to be held against what followed;
            None = its errors are not watched. returned: see ``RETURNED``. patience_d: see above.
    """

    advisor: Advisor
    predictor: Predictor | None = None
    returned: tuple[str, ...] = RETURNED
    patience_d: int = 7

    def __post_init__(self) -> None:
        """Begin with no abstention, and with nothing known of the model's errors."""
        self._silent: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._errors: LineErrors | None = None
        self._told_on = 0

    def plan(self, plant: Potline, watch: Watch, due: Bools, in_hand: Array, days: int) -> Plan:
        """Return what is recommended today."""
        asked = np.flatnonzero(due)
        watched = np.flatnonzero(~due & np.isfinite(in_hand).any(axis=1))
        contexts = self._contexts(watch) if asked.size or watched.size else []
        advice = [self.advisor.advise(contexts[cell]) for cell in asked]
        back = [LEVERS.index(name) for name in self.returned]
        unmoved = in_hand.copy()
        unmoved[:, back] = np.nan
        settings = np.repeat(unmoved[None], days, axis=0)
        again = np.zeros(plant.cells, dtype=bool)
        if not self._silent.size:
            self._silent = np.zeros(plant.cells, dtype=np.int64)
        for cell, one in zip(asked, advice, strict=True):
            _follow(one, settings[:, cell])
            code = one.reasons[0].code if one.reasons else ""
            again[cell] = one.status == "abstain" and code not in _FOR_LONG
            self._silent[cell] = self._silent[cell] + 1 if one.status == "abstain" else 0
            outside = any(why.code == "outside_window" for why in one.reasons)
            if self._silent[cell] >= self.patience_d or code in _FOR_LONG or outside:
                settings[:, cell] = np.nan
        given_back = np.zeros(plant.cells, dtype=bool)
        given_back[watched] = [self.advisor.outside(contexts[cell]) for cell in watched]
        return Plan(settings, unmoved, _promise(advice, asked, plant.cells), again, given_back)

    def _contexts(self, watch: Watch) -> list[Context]:
        """Return every cell's context, with what the model's recent errors ask for."""
        if self.predictor is None:
            return watch.contexts()
        if self._errors is None or watch.days_seen >= self._told_on + _ERRORS_EVERY_D:
            self._errors, self._told_on = watch.errors(self.predictor), watch.days_seen
        errors = self._errors
        return [replace(one, errors=recent(errors, one.cell_id)) for one in watch.contexts()]


def _follow(advice: Recommendation, settings: Array) -> None:
    """Write one cell's advice into its ``settings`` (days, k)."""
    if advice.status != "move":
        return
    for lever in advice.levers:
        if lever.recommended == lever.current:
            continue
        way = [*lever.path, *[lever.recommended] * len(settings)][: len(settings)]
        settings[:, LEVERS.index(lever.name)] = way


def _promise(advice: Sequence[Recommendation], asked: NDArray[np.int64], cells: int) -> Promise:
    promise = Promise.nothing(cells)
    for cell, one in zip(asked, advice, strict=True):
        promise.status[cell] = one.status
        promise.reason[cell] = one.reasons[0].code if one.reasons else ""
        if (energy := one.expected.get("energy_kwh_per_t")) is not None and one.status != "abstain":
            promise.expected_energy_kwh_per_t[cell] = (energy.recommended, energy.lower, energy.upper)
        if one.status == "move" and one.saving is not None:
            for name in ("energy_kwh_per_t", "net_anode_kg_per_t", "cost_per_t", "cost_in_one_horizon"):
                told: Estimate | None = getattr(one.saving, name)
                if told is not None:
                    getattr(promise, name)[cell] = (told.mean, told.lower, told.upper)
    return promise


def narrowed(window: OperatingWindow, levers: Sequence[str] | None) -> OperatingWindow | None:
    """Return the part of ``window`` that offers ``levers`` alone; None (all that the bundle has) where none are named.

    Raises:
        UnknownNameError: a lever that the bundle does not have.
    """
    return None if levers is None else OperatingWindow(tuple(window.lever(name) for name in levers))
