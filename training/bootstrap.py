"""Aligned ensemble members: each is trained on its own draw of cell-fortnights.

Days of one cell resemble their neighbours, so single rows drawn anew would all but repeat the same sample; whole
blocks of cell and time are drawn instead. The draw depends on the seed, the block and the member alone, so member j
of every outcome and family saw the same blocks, and a block keeps its draw when the period grows.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from training.structures import Floats, Ints

BLOCK_RATE = 1.0
"""Mean number of times that a block is drawn into one member (Poisson bootstrap)."""


def blocks(cell: Ints, date: NDArray[np.datetime64], days: int) -> tuple[Ints, Ints]:
    """Return (block of each row (n,), one (cell, period) pair per block (b, 2)), periods of ``days`` days."""
    period = date.astype("datetime64[D]").astype(np.int64) // days
    pairs, index = np.unique(np.stack([cell, period], axis=1), axis=0, return_inverse=True)
    return index.reshape(-1).astype(np.int64), pairs


def member_weights(cell: Ints, date: NDArray[np.datetime64], days: int, members: int, seed: int) -> Floats:
    """Return row weights (n, m): how often each member drew the row's block of one cell and ``days`` days."""
    index, pairs = blocks(cell, date, days)
    draws = np.empty((len(pairs), members))
    for row, (which, period) in enumerate(pairs):
        digest = hashlib.sha256(f"{seed}/{which}/{period}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        draws[row] = rng.poisson(BLOCK_RATE, size=members)
    return np.asarray(draws[index])
