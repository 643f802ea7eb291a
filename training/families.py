"""Every family, fitted at every origin: side by side in threads, the same numbers in any order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np

from training.anchors import anchors
from training.bootstrap import member_weights
from training.estimators.blend import blend
from training.estimators.boosting import fit_boosting
from training.estimators.effects import EFFICIENCY, MEAN_VOLTAGE
from training.estimators.hybrid import compose_energy, fit_carbon
from training.estimators.linear import fit_linear, fit_plain
from training.estimators.network import fit_network
from training.estimators.task import Task
from training.identification.crossfit import ridge
from training.identification.instruments import Instruments, Learners, instruments
from training.rolling import Origin
from training.rows import Rows, line_wide, mature, moved, usable
from training.settings import TrainSettings
from training.structures import Bools, Floats, Structure

ENERGY, ANODE = "energy_kwh_per_t", "net_anode_kg_per_t"

_LEAST_MATURE = 200
"""With fewer rows of mature cells than this, effects are learnt from all."""

Fitted: TypeAlias = dict[str, dict[str, Structure]]
"""outcome -> family -> structure."""
_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(frozen=True)
class Workshop:
    """Rows, their members' draws, and the settings: what every fit of a run shares."""

    rows: Rows
    weights: Floats
    settings: TrainSettings

    def task(self, outcome: str, train: Bools) -> Task:
        """Return the task of ``outcome`` on the rows ``train`` (n,)."""
        part = self.rows.take(train)
        return Task(
            outcome=outcome,
            z=part.z,
            y=part.y[outcome],
            date=part.date,
            weights=self.weights[train],
            usable=usable(part),
            levers=moved(part),
            seed=self.settings.seed,
            line_wide=line_wide(part),
            anchors=anchors(outcome, part.names),
        )

    def causal_task(self, outcome: str, train: Bools) -> Task:
        """Return :meth:`task` with what its levers' effects are learnt from: a line needs it, trees do not."""
        part = self.rows.take(train)
        parts = _parts(part) if outcome == ENERGY else {}
        return replace(self.task(outcome, train), own=self._own(part), parts=parts)

    def _own(self, part: Rows) -> Instruments | None:
        """Return what of the moves of ``part`` no rule explains, on mature cells where there are enough."""
        grown = mature(part, self.settings.mature_from_d)
        where = grown if grown.sum() >= _LEAST_MATURE else np.ones(len(part), dtype=bool)
        if not moved(part) or where.sum() < _LEAST_MATURE:
            return None
        return instruments(part, self.settings.horizon_d, learners=Learners(rule=ridge), where=where)

    def each(self, work: Callable[[_A], _B], items: Iterable[_A]) -> list[_B]:
        """Return ``work`` of every item, in order, ``settings.workers`` at a time."""
        with ThreadPoolExecutor(self.settings.workers) as pool:
            return list(pool.map(work, items))


def _parts(rows: Rows) -> dict[str, Floats]:
    """Return the labels that energy is made of, where every row has them."""
    found = {name: rows.y[name] for name in (MEAN_VOLTAGE, EFFICIENCY) if name in rows.y}
    return found if len(found) == 2 and all(np.isfinite(y).all() for y in found.values()) else {}


def workshop(rows: Rows, settings: TrainSettings, members: int | None = None) -> Workshop:
    """Return the workshop of ``rows`` with every member's bootstrap draw; ``members`` overrides the settings."""
    m = members or settings.members
    weights = member_weights(rows.cell, rows.date, settings.bootstrap_block_d, m, settings.seed)
    return Workshop(rows, weights, settings)


def fit_direct(shop: Workshop, outcome: str, train: Bools) -> dict[str, Structure]:
    """Return the ridge and the boosting of one outcome, fitted on the rows ``train`` (n,)."""
    task = shop.causal_task(outcome, train)
    line = fit_linear(task, shop.settings.linear)
    return {"ridge": line, "boosting": fit_boosting(task, line, shop.settings.boosting)}


def fit_networks(shop: Workshop, trains: Mapping[str, Bools], direct: Fitted) -> dict[str, Structure]:
    """Return outcome -> network, all outcomes trained at once on the rows ``trains`` (outcome -> (n,))."""
    every = np.logical_or.reduce(list(trains.values()))
    part = shop.rows.take(every)
    labels = {name: np.where(train[every], part.y[name], np.nan) for name, train in trains.items()}
    task = Task(
        outcome="all outcomes",
        z=part.z,
        y=np.zeros(len(part)),
        date=part.date,
        weights=shop.weights[every],
        usable=usable(part),
        levers=moved(part),
        seed=shop.settings.seed,
        line_wide=line_wide(part),
    )
    lines = {name: direct[name]["ridge"] for name in trains}
    return dict(fit_network(task, labels, lines, shop.settings.network))


def fit_origins(
    shop: Workshop, cuts: Sequence[Origin], outcomes: Sequence[str], tick: Callable[[], None]
) -> list[Fitted]:
    """Return ridge, boosting and network of every outcome at every origin."""
    trains = [{name: cut.train(shop.rows, name) for name in outcomes} for cut in cuts]
    pairs = [(i, name) for i in range(len(cuts)) for name in outcomes]

    def one(pair: tuple[int, str]) -> dict[str, Structure]:
        out = fit_direct(shop, pair[1], trains[pair[0]][pair[1]])
        tick()
        return out

    direct: list[Fitted] = [{} for _ in cuts]
    for (i, name), families in zip(pairs, shop.each(one, pairs), strict=True):
        direct[i][name] = families

    def all_outcomes(i: int) -> dict[str, Structure]:
        out = fit_networks(shop, trains[i], direct[i])
        tick()
        return out

    for i, networks in enumerate(shop.each(all_outcomes, range(len(cuts)))):
        for name, network in networks.items():
            direct[i][name]["network"] = network
    return direct


def add_composed(
    shop: Workshop, cuts: Sequence[Origin], fitted: list[Fitted], weights: Mapping[str, Mapping[str, float]]
) -> None:
    """Add the composed family to the targets of ``fitted``, from voltage and efficiency blended by ``weights``."""

    def composed(i: int) -> dict[str, Structure]:
        here = fitted[i]
        out: dict[str, Structure] = {}
        if EFFICIENCY not in here:
            return out
        efficiency = blend(weights[EFFICIENCY], here[EFFICIENCY])
        if ENERGY in here and MEAN_VOLTAGE in here:
            out[ENERGY] = compose_energy(blend(weights[MEAN_VOLTAGE], here[MEAN_VOLTAGE]), efficiency)
        if ANODE in here:
            task = shop.causal_task(ANODE, cuts[i].train(shop.rows, ANODE))
            out[ANODE] = fit_carbon(task, efficiency, shop.settings.linear, shop.settings.boosting)
        return out

    for i, families in enumerate(shop.each(composed, range(len(cuts)))):
        for name, structure in families.items():
            fitted[i][name]["composed"] = structure


def plain_ridge(shop: Workshop, outcome: str, train: Bools) -> Structure:
    """Return the baseline: one ridge on every usable column, without physics or bootstrap."""
    task = replace(shop.task(outcome, train), weights=np.ones((int(train.sum()), 1)))
    return fit_plain(task, shop.settings.linear)
