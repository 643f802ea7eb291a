"""Splits that leak nothing: by time, with what was not yet known purged outcome by outcome, and by cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingsError
from features.labels import LabelTable

Rows = NDArray[np.intp]
Days = NDArray[np.datetime64]

YOUNG_BELOW_D: Final = 120.0
"""A cell younger than this [d] is a regime of its own: hot, high in voltage, still soaking up bath."""
MATURE: Final = "mature"
YOUNG: Final = "young"


@dataclass(frozen=True)
class TimeSplit:
    """Three blocks of decision dates, in order, and for each outcome the rows that each may use.

    Attributes:
        train, calibration, test: outcome -> row indices.
        calibration_from, test_from: first decision date of those blocks.
        purged: outcome -> rows with a label that was not yet known when the next block began.
    """

    train: Mapping[str, Rows]
    calibration: Mapping[str, Rows]
    test: Mapping[str, Rows]
    calibration_from: np.datetime64
    test_from: np.datetime64
    purged: Mapping[str, int]


def time_split(table: LabelTable, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)) -> TimeSplit:
    """Split ``table`` by decision date into train, calibration and test blocks.

    A row of train or calibration is kept for an outcome only if its label was known before the next block's first
    decision: what a model could not have seen then, it does not see here.

    Args:
        table: labels, rows in any order.
        fractions: shares of the decision dates that carry any label; they must sum to one.

    Raises:
        SettingsError: fractions out of range, or fewer than three dates carry a label.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1.0) > 1e-9:
        raise SettingsError(f"time split: fractions {fractions} must be above zero and sum to 1")
    labelled = np.zeros(len(table), dtype=bool)
    for values in table.values.values():
        labelled |= np.isfinite(values)
    dates = np.unique(table.date[labelled])
    if len(dates) < 3:
        raise SettingsError(
            f"time split: only {len(dates)} decision dates carry a label; three blocks need three"
        )
    first = int(np.clip(round(fractions[0] * len(dates)), 1, len(dates) - 2))
    second = int(np.clip(round((fractions[0] + fractions[1]) * len(dates)), first + 1, len(dates) - 1))
    cuts = (dates[first], dates[second])
    blocks: tuple[dict[str, Rows], dict[str, Rows], dict[str, Rows]] = ({}, {}, {})
    purged = {}
    for name, values in table.values.items():
        known = np.isfinite(values)
        block = np.searchsorted(np.array(cuts), table.date, side="right")
        in_time = np.ones(len(table), dtype=bool)
        for number, cut in enumerate(cuts):
            in_time &= (block != number) | (table.known_on[name] < cut)
        purged[name] = int(np.count_nonzero(known & ~in_time))
        for number, rows in enumerate(blocks):
            rows[name] = np.flatnonzero(known & in_time & (block == number))
    return TimeSplit(*blocks, calibration_from=cuts[0], test_from=cuts[1], purged=purged)


def cell_folds(cell: NDArray[np.intp], folds: int, seed: int) -> Rows:
    """Return the fold (n,) of each row: whole cells together, folds of nearly equal size, drawn by ``seed``.

    Raises:
        SettingsError: fewer than two folds, or fewer cells than folds.
    """
    cells, counts = np.unique(cell, return_counts=True)
    if not 2 <= folds <= len(cells):
        raise SettingsError(
            f"cell folds: {folds} folds of {len(cells)} cells; give between 2 and {len(cells)}"
        )
    order = np.random.default_rng(seed).permutation(len(cells))
    # Largest first into the emptiest fold; the shuffle decides among equals.
    order = order[np.argsort(-counts[order], kind="stable")]
    size = np.zeros(folds, dtype=np.int64)
    chosen = np.empty(len(cells), dtype=np.intp)
    for place in order:
        chosen[place] = int(np.argmin(size))
        size[chosen[place]] += counts[place]
    return chosen[np.searchsorted(cells, cell)]


def regimes(cell_age_d: NDArray[np.floating]) -> NDArray[np.str_]:
    """Return ``young`` or ``mature`` (n,) by cell age [d]; an unknown age counts as mature."""
    return np.where(np.asarray(cell_age_d) < YOUNG_BELOW_D, YOUNG, MATURE)


def months(date: Days) -> Days:
    """Return the month (n,) datetime64[M] of each date."""
    return np.asarray(date, dtype="datetime64[M]")
