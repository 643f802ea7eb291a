"""Rows that keep their own grain beside the daily arrays: bath samples and anodes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Days = NDArray[np.datetime64]

SAMPLE_SIGNALS = (
    "excess_alf3_wt_pct",
    "caf2_wt_pct",
    "lif_wt_pct",
    "kf_wt_pct",
    "mgf2_wt_pct",
    "al2o3_wt_pct",
)


WEIGHED_AFTER_DAYS = 1
"""A butt cools before it is cleaned and weighed: its mass counts as known on the day after its removal [B]."""


@dataclass(frozen=True)
class Samples:
    """Bath samples sorted by report day, then cell, then sampling day.

    Attributes:
        reported_day: (s,) the day on which the laboratory's result was there to be read.
        sampled_day: (s,) the day on which the bath was sampled.
        cell: (s,) index of the cell in the history.
        values: name -> (s,) [wt%], NaN = not analysed.
    """

    reported_day: Days
    sampled_day: Days
    cell: Ints
    values: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.cell)

    def take(self, rows: NDArray[np.generic]) -> "Samples":
        """Return the samples that ``rows`` (indices or mask) selects, in their order."""
        return Samples(
            self.reported_day[rows],
            self.sampled_day[rows],
            self.cell[rows],
            {name: column[rows] for name, column in self.values.items()},
        )


@dataclass(frozen=True)
class Anodes:
    """Anodes one by one, sorted by cell, position and setting time.

    Attributes:
        cell: (a,) index of the cell.
        position: (a,) text.
        set_at, removed_at: (a,) local time as fractional days since 1970-01-01 in the plant's zone; removed_at is
            NaN while the anode is in the cell.
        new_mass_kg, butt_mass_kg: (a,) carbon masses; the butt's is NaN until it is weighed.
        lot: (a,) text, "" = not recorded.
    """

    cell: Ints
    position: NDArray[np.str_]
    set_at: Floats
    removed_at: Floats
    new_mass_kg: Floats
    butt_mass_kg: Floats
    lot: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of anodes."""
        return len(self.cell)

    def take(self, rows: NDArray[np.generic]) -> "Anodes":
        """Return the anodes that ``rows`` (indices or mask) selects, in their order."""
        return Anodes(
            self.cell[rows],
            self.position[rows],
            self.set_at[rows],
            self.removed_at[rows],
            self.new_mass_kg[rows],
            self.butt_mass_kg[rows],
            self.lot[rows],
        )
