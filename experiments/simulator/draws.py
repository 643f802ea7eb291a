"""All randomness of the virtual potline: a function of seed, stream, day and cell, and of nothing that was done.

Each day of each stream has its own counter-based generator, so runs that act differently see the same noise
(common random numbers), a longer run begins with the shorter one, and a copied plant needs no generator state.
Within a stream the numbers are drawn cell by cell, so cell 3 of a line of 10 is cell 3 of a line of 60.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from features.relations import Array

NORMALS: Final = 32
UNIFORMS: Final = 20
_EPOCH: Final = 100_000
"""Added to the day, so that the spin-up before day 0 has a counter of its own."""
_STREAMS: Final = {
    "cell_day": 1,
    "cell_chance": 2,
    "inner": 3,
    "effect": 4,
    "failure": 5,
    "anode_mass": 6,
    "first_anodes": 7,
    "line_day": 8,
    "cell": 9,
    "life": 10,
    "lots": 11,
    "faults": 12,
}


def stream(seed: int, name: str, day: int = 0) -> Generator:
    """Return the generator of one stream on one day."""
    return Generator(Philox(key=[seed, _STREAMS[name]], counter=[0, 0, 0, day + _EPOCH]))


@dataclass(frozen=True)
class DayDraws:
    """The noise of one day for c cells, s inner steps and p anode positions."""

    normal: Array
    """(NORMALS, c) standard normals."""
    uniform: Array
    """(UNIFORMS, c)."""
    voltage: Array
    """(s, c) standard normals: the controller's error."""
    estimate: Array
    """(s, c) standard normals: the error of the estimated alumina."""
    effect: Array
    """(s, c) uniforms: the anode effects."""
    failure: Array
    """(c, p) uniforms: anodes that fail."""
    anode: Array
    """(4, c) standard normals: masses of the anodes set and of the butts."""


def day_draws(seed: int, day: int, cells: int, steps: int, positions: int) -> DayDraws:
    """Draw the noise of ``day`` for the first ``cells`` cells."""

    def of(name: str) -> Generator:
        return stream(seed, name, day)

    inner = of("inner").standard_normal((cells, 2 * steps)).T
    return DayDraws(
        normal=np.ascontiguousarray(of("cell_day").standard_normal((cells, NORMALS)).T),
        uniform=np.ascontiguousarray(of("cell_chance").random((cells, UNIFORMS)).T),
        voltage=np.ascontiguousarray(inner[:steps]),
        estimate=np.ascontiguousarray(inner[steps:]),
        effect=np.ascontiguousarray(of("effect").random((cells, steps)).T),
        failure=of("failure").random((cells, positions)),
        anode=np.ascontiguousarray(of("anode_mass").standard_normal((cells, 4)).T),
    )


def take(draws: DayDraws, rows: NDArray[np.int64]) -> DayDraws:
    """Return the draws for ``rows`` of the cells, in that order: copies of a cell share its noise."""
    return DayDraws(
        normal=draws.normal[:, rows],
        uniform=draws.uniform[:, rows],
        voltage=draws.voltage[:, rows],
        estimate=draws.estimate[:, rows],
        effect=draws.effect[:, rows],
        failure=draws.failure[rows],
        anode=draws.anode[:, rows],
    )
