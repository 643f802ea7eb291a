"""How far the rows of today are from those that the model was proved on, feature by feature.

Population stability index over bins of the parity rows' own quantiles, with missing values as a bin of their own:
below 0.1 nothing to see, above 0.25 a different population (the usual reading). Counts add up over workers.
"""

from collections.abc import Mapping, Sequence
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
"""Index from which a feature counts as drifted."""


class Reference:
    """The parity rows' quantile bins and their counts, by feature."""

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
    """How far one feature has drifted: population stability index, None = too few rows to say."""

    feature: str
    psi: float | None
    drifted: bool


def drift_of(index: Mapping[str, float]) -> list[Drift]:
    """Return what ``index`` (feature -> stability index, NaN = not known) says, the most drifted first."""
    found = [
        Drift(name, float(value) if np.isfinite(value) else None, bool(value > DRIFTED))
        for name, value in index.items()
    ]
    return sorted(found, key=lambda one: (-1.0 if one.psi is None else one.psi, one.feature), reverse=True)


def rows_index(proved: Rows, rows: Rows, names: Sequence[str]) -> dict[str, float]:
    """Return the index of each feature of ``rows`` (n, d), a line's own recent ones, against the ``proved`` (r, d)."""
    reference = Reference(proved)
    index = stability_index(reference.counts, reference.count(rows))
    return dict(zip(names, index.tolist(), strict=True))


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
