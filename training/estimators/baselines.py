"""What a model must beat: the last known outcome, the running estimate, the cell's own mean, and plain ridge."""

import numpy as np

from training.rows import Rows
from training.structures import Floats


def persistence(rows: Rows, history: Rows, outcome: str) -> Floats:
    """Return (n,) for ``rows``: the latest label of the same cell that was known the day before each decision.

    ``history`` holds all rows with labels, test rows too: what was known on the day may be used on the day. Where
    a cell has no label yet, the mean of all that was known in ``history`` before the first decision of ``rows``;
    where not even that is known, NaN.
    """
    y, known_on = history.y[outcome], history.known_on[outcome].astype("datetime64[D]")
    usable = np.isfinite(y) & ~np.isnat(known_on)
    early = usable & (known_on < rows.date.min())
    out = np.full(len(rows), y[early].mean() if early.any() else np.nan)
    for cell in np.unique(rows.cell):
        mine = np.flatnonzero(usable & (history.cell == cell))
        if not mine.size:
            continue
        mine = mine[np.lexsort((history.date[mine], known_on[mine]))]
        # Labels do not always become known in the order of their decisions: keep the latest decision known so far.
        latest = np.maximum.accumulate(history.date[mine].astype(np.int64))
        newest = np.maximum.accumulate(
            np.where(history.date[mine].astype(np.int64) == latest, np.arange(len(mine)), 0)
        )
        here = np.flatnonzero(rows.cell == cell)
        count = np.searchsorted(known_on[mine], rows.date[here], side="left")
        found = count > 0
        out[here[found]] = y[mine[newest[count[found] - 1]]]
    return out


def cell_mean(rows: Rows, train: Rows, outcome: str) -> Floats:
    """Return (n,) for ``rows``: the mean label of the same cell in ``train``, of all cells where it has none."""
    y = train.y[outcome]
    known = np.isfinite(y)
    out = np.full(len(rows), y[known].mean())
    for cell in np.unique(rows.cell):
        mine = known & (train.cell == cell)
        if mine.any():
            out[rows.cell == cell] = y[mine].mean()
    return out
