"""What one day leaves behind: the plant's record, as instruments and people write it, and the truth apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.simulator.anodes import Changes
from features.relations import Array


@dataclass(frozen=True)
class Morning:
    """What the morning round reads before anything is set, each (c,), rounded as recorded."""

    bath_temperature_c: Array
    metal_level_mm: Array
    bath_level_mm: Array
    noise_mv: Array
    """The controller's noise of the night; only the day's mean is recorded."""
    samples: dict[str, Array]
    """The analyses of a bath sample taken on the round."""


@dataclass(frozen=True)
class DayRecord:
    """One day of the line.

    ``cell_days``, ``taps`` and ``truth`` map a column to (c,); rows of cells that do not run are to be left out.
    """

    day: int
    date: np.datetime64
    running: NDArray[np.bool_]
    """(c,) cells that ran."""
    cell_days: Mapping[str, Array]
    taps: Mapping[str, Array]
    tap_time: Array
    """(c,) fraction of the day."""
    tapped: NDArray[np.bool_]
    samples: Mapping[str, Array]
    """(c,) analyses; only those under ``sampled`` were taken."""
    sampled: NDArray[np.bool_]
    sample_time: Array
    """(c,) fraction of the day at which the sample was taken."""
    report_delay_d: Array
    """(c,) days until it is reported."""
    changes: Changes
    meters: Mapping[str, float]
    truth: Mapping[str, Array]
