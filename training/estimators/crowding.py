"""The crowding response: an effect of the voltage setpoint that grows as the anodes come nearer to the metal.

``exp(-value / s) - exp(-reference / s)``, relative to the mean voltage, as a small network of hinges: piecewise linear
between knots, zero where nothing moves, flat outside the range, exportable like any other network. Every member has
its own scale s: how fast it bites is what is known least, and the members part where a move goes further than history.
"""

import numpy as np

from training.estimators.task import Task
from training.lever_effects import CROWDING_SCALE_SD, CROWDING_SCALE_V, VOLTAGE, quantiles
from training.rows import LeverPlace
from training.structures import Floats, Inputs, Layer, Network

_KNOTS = 17
_TAIL = 0.005
_ROOM_V = 0.03
"""Room beyond the usual voltages on either side; start-ups lie far outside and count as flat."""


def voltage_lever(task: Task) -> LeverPlace | None:
    """Return the voltage lever of ``task`` if its history moved."""
    return next((lever for lever in task.levers if lever.name == VOLTAGE), None)


def scales(members: int) -> Floats:
    """Return each member's scale (m,) [V], spread around the middle one by a factor."""
    return CROWDING_SCALE_V * np.exp(CROWDING_SCALE_SD * np.array(quantiles(members)))


def crowding(task: Task, lever: LeverPlace, inputs: Inputs, amplitude: Floats, scale: Floats) -> Network:
    """Return the response with one ``amplitude`` (m,) and ``scale`` (m,) [V] per member.

    The amplitude is in the outcome's unit per e-fold at the mean voltage.
    """
    columns = [lever.value, lever.reference]
    low, high = np.nanquantile(task.z[:, columns], [_TAIL, 1 - _TAIL]) + np.array([-_ROOM_V, _ROOM_V])
    middle = float(np.nanmean(task.z[:, lever.reference]))
    knots = np.linspace(low, high, _KNOTS)
    height = np.exp(-(knots[None, :] - middle) / scale[:, None])
    slope = np.diff(height, axis=1) / np.diff(knots)
    bend = np.concatenate(
        [slope[:, :1], np.diff(slope, axis=1)], axis=1
    )  # of the hinge at each knot but the last
    hinges, m = bend.shape[1], len(amplitude)
    weight = np.zeros((len(inputs.fill), 2 * hinges))
    weight[lever.value, :hinges] = weight[lever.reference, hinges:] = 1.0
    first = Layer(np.repeat(weight[None], m, axis=0), np.tile(-np.tile(knots[:-1], 2), (m, 1)))
    head = amplitude[:, None] * np.concatenate([bend, -bend], axis=1)
    ranges = Inputs(inputs.fill.copy(), inputs.low.copy(), inputs.high.copy())
    for column in columns:
        ranges.low[column], ranges.high[column] = low, high
        ranges.fill[column] = middle
    return Network(
        inputs=ranges,
        indicator=np.zeros(0, dtype=np.int64),
        layers=(first, Layer(head[:, :, None], np.zeros((m, 1)))),
        m=m,
    )
