"""How far the rows of today are from those that the model knows, feature by feature.

Population stability index over bins of the known rows' own quantiles, with missing values as a bin of their own:
below 0.1 nothing to see, above 0.25 a different population (the usual reading, which holds where rows are independent).
What a worker is asked is compared with the rows that its bundle was proved on, whose days nobody knows, and counts add up
over workers; a line's record is compared with its own days of the time that the model learnt from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Rows = NDArray[np.float32]

BINS: Final = 8
"""Bins by quantile; one more holds the missing values."""
LEAST_ROWS: Final = 100
"""Fewer rows than this say nothing."""
DRIFTED: Final = 0.25
"""Index from which a feature counts as drifted, unless it is known to vary by more."""
DAYS: Final = 28
"""Days over which a line's rows are looked at."""
LEAST_WINDOWS: Final = 9
"""Windows, a week apart, that the learnt days must hold to say what is usual: twelve weeks."""
_APART: Final = 7


class Reference:
    """Quantile bins of the known rows and their counts, by feature."""

    def __init__(self, rows: Rows) -> None:
        """Take ``rows`` (r, d) as what is normal."""
        inner = np.linspace(0, 1, BINS + 1)[1:-1]
        with np.errstate(invalid="ignore"):
            known = [column[~np.isnan(column)] for column in rows.T]
        self.edges = [
            np.unique(np.quantile(column, inner)) if len(column) else np.empty(0) for column in known
        ]
        self.counts = self.count(rows)

    def count(self, rows: Rows) -> Counts:
        """Return how many of ``rows`` (n, d) lie in each bin: (d, BINS + 1), the last for missing values."""
        found = np.zeros((rows.shape[1], BINS + 1), dtype=np.int64)
        for j, edges in enumerate(self.edges):
            column = rows[:, j]
            missing = np.isnan(column)
            at = np.searchsorted(edges, column[~missing], side="right")
            found[j, : len(edges) + 1] = np.bincount(at, minlength=len(edges) + 1)
            found[j, BINS] = missing.sum()
        return found


def stability_index(reference: Counts, recent: Counts) -> NDArray[np.float64]:
    """Return the index of each feature (d,) from bin counts (d, BINS + 1); NaN where there are too few rows.

    Half a row is added to every bin, so that an empty one is rare and not impossible.
    """
    shares = [(counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True) for counts in (reference, recent)]
    index = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(axis=1)
    # What two samples of one population differ by on average, so that few rows do not look like drift.
    sizes = [counts.sum(axis=1) for counts in (reference, recent)]
    used = ((reference + recent) > 0).sum(axis=1) - 1
    expected = used * (1 / np.maximum(sizes[0], 1) + 1 / np.maximum(sizes[1], 1))
    enough = np.minimum(sizes[0], sizes[1]) >= min(LEAST_ROWS, int(sizes[0].min()))
    return np.where(enough & (sizes[1] >= LEAST_ROWS), np.maximum(index - expected, 0.0), np.nan)


@dataclass(frozen=True)
class Drift:
    """How far one feature has drifted: stability index, and the most that is usual; None = cannot be said."""

    feature: str
    psi: float | None
    usual: float | None

    @property
    def drifted(self) -> bool:
        """Whether the index is beyond what is usual."""
        return self.psi is not None and self.usual is not None and self.psi > self.usual


def line_drift(
    rows: Rows, day: NDArray[np.int64], learnt: NDArray[np.bool_], names: Sequence[str]
) -> list[Drift]:
    """Return how far the last days of a line are from those that the model learnt from, by feature.

    Rows of one day share the line's state, and rows of one cell its past: a month of them is worth few independent ones,
    and slow features differ from any other month's without having drifted. So a feature counts as drifted only beyond
    what the learnt days show of themselves: each window of as many days against the learnt rows outside it. As the
    largest of ``w`` windows, that is exceeded without drift once in ``w`` + 1 times where windows are independent.

    Args:
        rows: (n, d) of the line, by decision.
        day: (n,) of each row, counted from any day.
        learnt: (n,) whether the model learnt from that day, or was proved on it.
        names: (d,) of the features.
    """
    windows = _windows(day[learnt])
    if len(windows) < LEAST_WINDOWS:
        return [Drift(name, None, None) for name in names]
    reference = Reference(rows[learnt])

    def index(first: int, last: int) -> NDArray[np.float64]:
        inside = (day >= first) & (day <= last)
        others = reference.counts - reference.count(rows[inside & learnt])
        return stability_index(others, reference.count(rows[inside]))

    last = int(day.max())
    now = index(last - DAYS + 1, last)
    seen = np.stack([index(*window) for window in windows])
    usual = np.fmax.reduce(np.vstack([seen, np.full((1, len(names)), DRIFTED)]))
    return [
        Drift(name, psi if np.isfinite(psi) else None, most)
        for name, psi, most in zip(names, now.tolist(), usual.tolist(), strict=True)
    ]


def _windows(days: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return first and last day of the windows of :data:`DAYS` within ``days``, a week apart, back from the last."""
    if not len(days):
        return []
    lasts = range(int(days.max()), int(days.min()) + DAYS - 2, -_APART)
    return [(last - DAYS + 1, last) for last in lasts]


class Recent:
    """The last rows that were asked about: a ring, so that remembering costs a copy and no more."""

    def __init__(self, width: int, size: int = 2048) -> None:
        """Remember up to ``size`` rows of ``width`` features."""
        self._rows = np.empty((size, width), dtype=np.float32)
        self._seen = 0

    def add(self, rows: Rows) -> None:
        """Remember ``rows`` (n, d), the oldest forgotten."""
        size = len(self._rows)
        rows = rows[-size:]
        at = self._seen % size
        first = min(len(rows), size - at)
        self._rows[at : at + first] = rows[:first]
        self._rows[: len(rows) - first] = rows[first:]
        self._seen += len(rows)

    @property
    def rows(self) -> Rows:
        """The rows remembered, in no order that means anything."""
        return self._rows[: min(self._seen, len(self._rows))]
