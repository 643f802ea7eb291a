"""Our arm: what the service would recommend on that morning, applied as it says, stage by stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from experiments.closed_loop.plan import Plan, Promise
from experiments.closed_loop.watch import Watch
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from features.relations import Array
from features.setpoints import OperatingWindow
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, recommend
from serving.schemas import Estimate, Recommendation

RETURNED: Final = ("alf3_dose_kg_d", "tap_target_kg")
"""Levers by which operators answer each day's readings: after the horizon they are the operators' again, unless moved
anew. What advice has moved of the others (set voltage, alumina feed) stands until it is moved again or the cell is
abstained on."""


@dataclass(frozen=True)
class Advised:
    """Applies ``serving.recommend`` to every cell, every round.

    A move is followed along its path and held for the horizon, the operators carry on with every lever that was not
    moved; a hold leaves standing what stands; an abstention hands the cell back to its operators.

    Attributes:
        predictor: the bundle. settings: of the advice. returned: see ``RETURNED``.
    """

    predictor: Predictor
    settings: AdviceSettings
    returned: tuple[str, ...] = RETURNED

    def plan(self, plant: Potline, watch: Watch, in_hand: Array, days: int) -> Plan:
        """Return what is recommended today."""
        advice = list(recommend(self.predictor, watch.contexts(), self.settings))
        back = [LEVERS.index(name) for name in self.returned]
        unmoved = in_hand.copy()
        unmoved[:, back] = np.nan
        settings = np.repeat(unmoved[None], days, axis=0)
        for cell, one in enumerate(advice):
            _follow(one, settings[:, cell])
        return Plan(settings, unmoved, _promise(advice))


def _follow(advice: Recommendation, settings: Array) -> None:
    """Write one cell's advice into its ``settings`` (days, k)."""
    if advice.status == "abstain":
        settings[:] = np.nan
    if advice.status != "move":
        return
    for lever in advice.levers:
        if lever.recommended == lever.current:
            continue
        way = [*lever.path, *[lever.recommended] * len(settings)][: len(settings)]
        settings[:, LEVERS.index(lever.name)] = way


def _promise(advice: Sequence[Recommendation]) -> Promise:
    def of(pick: Callable[[Recommendation], Estimate | None]) -> Array:
        rows = []
        for one in advice:
            told = pick(one) if one.status == "move" else None
            rows.append([np.nan] * 3 if told is None else [told.mean, told.lower, told.upper])
        return np.array(rows)

    return Promise(
        energy_kwh_per_t=of(lambda one: one.saving.energy_kwh_per_t if one.saving else None),
        net_anode_kg_per_t=of(lambda one: one.saving.net_anode_kg_per_t if one.saving else None),
        cost_per_t=of(lambda one: one.saving.cost_per_t if one.saving else None),
        status=np.array([one.status for one in advice], dtype="<U24"),
        reason=np.array([one.reasons[0].code if one.reasons else "" for one in advice], dtype="<U24"),
    )


def narrowed(window: OperatingWindow, levers: Sequence[str] | None) -> OperatingWindow | None:
    """Return the part of ``window`` that offers ``levers`` alone; None (all that the bundle has) where none are named.

    Raises:
        UnknownNameError: a lever that the bundle does not have.
    """
    return None if levers is None else OperatingWindow(tuple(window.lever(name) for name in levers))
