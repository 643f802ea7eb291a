"""How errors shrink as history grows, told from the same rows predicted with less of it and with more.

Out-of-block errors come from models that knew less than the one handed on. What a longer history buys is seen where
an earlier origin's model and a later one's predict the same block; the errors are scaled to the final history by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.structures import Floats

STEEPEST = -0.25
"""Errors that fell faster than with the fourth root of the history fell by luck, or the record changed."""


@dataclass(frozen=True)
class Learning:
    """Rows that each origin (o + 1,) trained on, the final one last, and mean absolute errors by block.

    errors: block i (of o) -> (i + 1,) errors on it of the models of origins 0..i.
    """

    rows: Sequence[int]
    errors: Sequence[Sequence[float]]

    @property
    def exponent(self) -> float:
        """The power of the history's length that errors go with, between :data:`STEEPEST` and zero."""
        pairs = [
            (np.log(self.rows[i] / self.rows[j]), np.log(by_origin[i] / by_origin[j]))
            for i, by_origin in enumerate(self.errors)
            for j in range(i)
            if min(by_origin[i], by_origin[j]) > 0
        ]
        found: Floats = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        longer, larger = found[:, 0], found[:, 1]
        if not np.any(longer > 0):
            return 0.0
        return float(np.clip(longer @ larger / (longer @ longer), STEEPEST, 0.0))

    @property
    def factors(self) -> Floats:
        """What errors on each block (o,) are multiplied with to be those of the final history."""
        return np.asarray((self.rows[-1] / np.asarray(self.rows[:-1], dtype=np.float64)) ** self.exponent)
