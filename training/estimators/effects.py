"""What moving a lever does, learnt from the operators' own moves: physics' expectation, met by what followed.

A record is not an experiment: a lever is moved because of what the cell does, and a regression on the record gives
that back as an effect. What counts here is the part of a move that no rule explains
(:mod:`training.identification.instruments`), on mature cells, all levers together. The voltage has two effects: one
straight, and the crowding response, which bites the harder the nearer the anodes already stand.

Each effect starts from what physics expects, with the weight that physics deserves; data that push one to the sign that
physics forbids are not believed. Every member is one draw of what is then believed, so the members differ by what is
not known about an effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from training.estimators.crowding import crowding, scales, voltage_lever
from training.estimators.ridge import Normal, Prior
from training.estimators.task import Task
from training.identification.moves import less_line_day
from training.lever_effects import CROWDING, CROWDING_SCALE_V, VOLTAGE, LeverEffect, doubtful, turned
from training.structures import ENERGY_KWH_V_PER_T, Floats, Inputs, Ints

MEAN_VOLTAGE, EFFICIENCY = "mean_voltage_v", "current_efficiency"
"""What energy is made of."""
_LEAST_ROWS = 200
"""Fewer own moves to look at than this add nothing to what physics expects."""


@dataclass(frozen=True)
class Effects:
    """What a unit of each of k levers' moves does: straight (m, k), and crowding (m,) of amplitude one, or None."""

    straight: Floats
    crowding: Floats | None


def learn_effects(task: Task, inputs: Inputs, overlap_d: float) -> Effects:
    """Return the effects of ``task.levers``, one draw a member.

    Energy is 2979.98 V / CE: where the record holds both, a lever does to energy what it does to them.

    overlap_d: a label averages so many days, so neighbouring rows repeat each other and count as that many times
    fewer against the prior.
    """
    if task.parts:
        return _of_energy(task, inputs, overlap_d)
    crowds = voltage_lever(task) is not None and task.outcome in CROWDING
    evidence = _Evidence.of(task, inputs, crowds)
    noise = overlap_d * float(np.var(task.y) if evidence is None else np.mean(np.square(evidence.left)))
    found = np.zeros((task.m, len(task.levers) + crowds))
    for j in range(task.m):
        expected = _expected(task, np.sqrt(noise), crowds, j)
        normal = _silent(len(expected)) if evidence is None else evidence.equations(j)
        found[j] = _Belief(normal, expected, noise).drawn(j, task.m)
    return Effects(found[:, : len(task.levers)], found[:, -1] if crowds else None)


def _of_energy(task: Task, inputs: Inputs, overlap_d: float) -> Effects:
    volts, efficiency = (
        learn_effects(task.relabelled(name, task.parts[name]), inputs, overlap_d)
        for name in (MEAN_VOLTAGE, EFFICIENCY)
    )
    at = {name: float(np.mean(y)) for name, y in task.parts.items()}
    per_volt = ENERGY_KWH_V_PER_T / at[EFFICIENCY]
    per_efficiency = -per_volt * at[MEAN_VOLTAGE] / at[EFFICIENCY]
    straight = per_volt * volts.straight + per_efficiency * efficiency.straight
    if volts.crowding is None or efficiency.crowding is None:
        return Effects(straight, None)
    return Effects(straight, per_volt * volts.crowding + per_efficiency * efficiency.crowding)


@dataclass(frozen=True)
class _Evidence:
    """q decisions: own moves and what was held of them (q, k, m), what is left of the outcome (q,)."""

    own: Floats
    held: Floats
    left: Floats

    @classmethod
    def of(cls, task: Task, inputs: Inputs, crowds: bool) -> "_Evidence | None":
        """Return the evidence of ``task``; with ``crowds`` the voltage's crowding response is the last column."""
        told = task.own
        if told is None:
            return None
        left = told.left(task.y[told.row])
        columns = [told.moves.levers.index(lever.name) for lever in task.levers]
        parts = (told.own[:, columns], told.held[:, columns])
        known = np.isfinite(np.column_stack([left, *parts])).all(axis=1)
        if known.sum() < _LEAST_ROWS:
            return None
        at, day = told.row[known], told.day[known]
        own, held = (
            np.concatenate(
                [
                    np.repeat(part[known][:, :, None], task.m, axis=2),
                    _crowded(task, inputs, at, part[known], day)[:, None]
                    if crowds
                    else np.zeros((len(at), 0, task.m)),
                ],
                axis=1,
            )
            for part in parts
        )
        return cls(own, held, left[known])

    def equations(self, j: int) -> Normal:
        """Return member j's normal equations of two-stage least squares: what is left, on ``held`` by ``own``."""
        own = self.own[:, :, j]
        cross = own.T @ self.held[:, :, j]
        first = np.linalg.pinv(own.T @ own, hermitian=True) @ cross
        return replace(_silent(own.shape[1]), gram=cross.T @ first, right=first.T @ (own.T @ self.left))


def _silent(k: int) -> Normal:
    """Return normal equations that say nothing about k effects."""
    return Normal(np.zeros((k, k)), np.zeros(k), np.zeros(k), 0.0, 1.0)


def _crowded(task: Task, inputs: Inputs, row: Ints, moved: Floats, day: Ints) -> Floats:
    """Return the crowding response (q, m) to the voltage's part of ``moved`` (q, k), line-days taken out."""
    at = next(at for at, lever in enumerate(task.levers) if lever.name == VOLTAGE)
    lever = task.levers[at]
    z = task.z[row].copy()
    z[:, lever.value] = z[:, lever.reference] + moved[:, at]
    answer = crowding(task, lever, inputs, np.ones(task.m), scales(task.m)).members(z)
    everywhere = np.ones(len(row), dtype=bool)
    return np.stack([less_line_day(one, day, everywhere) for one in answer.T], axis=1)


@dataclass(frozen=True)
class _Belief:
    """What evidence and expectation say of k effects together; ``noise``: variance of what is left of an outcome."""

    normal: Normal
    expected: list[LeverEffect]
    noise: float

    def drawn(self, member: int, members: int) -> Floats:
        """Return one member's draw (k,), none of a sign that physics forbids.

        An effect that the evidence pushes to the forbidden sign is not believed: it is drawn from what physics expects
        of it, or, where the others could then not keep their signs, is none. Where that does not help either, physics
        alone tells all whose sign it knows.
        """
        drawn = [effect.draw(member, members, at) for at, effect in enumerate(self.expected)]
        wrong = self._forbidden(self._mean({}), {})
        signed = [at for at, effect in enumerate(self.expected) if effect.sign]
        for held in (
            {at: drawn[at] for at in wrong},
            dict.fromkeys(wrong, 0.0),
            {at: drawn[at] for at in signed},
        ):
            mean = self._mean(held)
            if not self._forbidden(mean, held):
                break
        spread = self._spread(held) @ [turned(member, members, at) for at in range(len(mean))]
        return np.array(
            [effect.allowed(value) for effect, value in zip(self.expected, mean + spread, strict=True)]
        )

    def _mean(self, held: Mapping[int, float]) -> Floats:
        mean = np.array([effect.mean for effect in self.expected])
        return self.normal.solve(0.0, Prior(mean, np.ones(len(mean)), self._precision), held)[0]

    def _spread(self, held: Mapping[int, float]) -> Floats:
        """Return (k, k): the root of the covariance, nothing for those that are ``held``."""
        free = [at for at in range(len(self.expected)) if at not in held]
        root = np.zeros((len(self.expected), len(self.expected)))
        information = (self.normal.gram + np.diag(self._precision))[np.ix_(free, free)] / self.noise
        root[np.ix_(free, free)] = np.linalg.cholesky(np.linalg.inv(information))
        return root

    @property
    def _precision(self) -> Floats:
        return np.array([self.noise / effect.sd**2 for effect in self.expected])

    def _forbidden(self, slope: Floats, held: Mapping[int, float]) -> list[int]:
        return [
            at for at, effect in enumerate(self.expected) if at not in held and effect.sign * slope[at] < 0
        ]


def _expected(task: Task, spread: float, crowds: bool, member: int) -> list[LeverEffect]:
    """Return what physics expects of each lever, where it is silent a doubt; and of the member's crowding response."""
    found = []
    for lever in task.levers:
        moves = task.z[:, lever.move]
        usual = float(np.sqrt(np.mean(np.square(moves[moves != 0]))))
        found.append(task.effect(lever) or doubtful(spread, usual))
    if crowds:
        # What is known is how steep it is at the mean voltage: a response that bites faster is a smaller one there.
        found.append(CROWDING[task.outcome].per(float(scales(task.m)[member]) / CROWDING_SCALE_V))
    return found
