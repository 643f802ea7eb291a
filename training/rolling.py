"""Rolling origin: train on what was known, predict the days that follow, move on.

The last origin opens the test days; the ones before it open blocks inside the development period. What is chosen
(strengths, weights, champions, widths) is chosen on those blocks; the test days only report.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.outcomes import TARGETS
from training.rows import Rows
from training.settings import TrainSettings
from training.structures import Bools

_LEAST_DAYS = 40
"""A period of fewer decision days cannot be cut into blocks and a test."""


@dataclass(frozen=True)
class Origin:
    """One cut: rows whose label was known before ``at`` train; decisions in [at, end) are predicted."""

    at: np.datetime64
    end: np.datetime64
    known_by: np.datetime64
    """Labels that became known on or after this day must not be looked at in this block."""

    def train(self, rows: Rows, outcome: str) -> Bools:
        """Return (n,): decided and labelled before the origin."""
        return _labelled(rows, outcome, self.at) & (rows.date < self.at)

    def block(self, rows: Rows, outcome: str) -> Bools:
        """Return (n,): decided in the block, with a label that may be looked at."""
        return _labelled(rows, outcome, self.known_by) & (rows.date >= self.at) & (rows.date < self.end)

    def past(self, rows: Rows) -> Bools:
        """Return (n,): decided before the origin, labelled or not."""
        return np.asarray(rows.date < self.at)


def _labelled(rows: Rows, outcome: str, before: np.datetime64) -> Bools:
    known_on: NDArray[np.datetime64] = rows.known_on[outcome]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(rows.y[outcome]) & (known_on < before))


@dataclass(frozen=True)
class Origins:
    """Validation blocks in order of time, and the test."""

    blocks: tuple[Origin, ...]
    test: Origin


def origins(rows: Rows, settings: TrainSettings) -> Origins:
    """Return the cuts of ``rows``: the last ``test_share`` of the decision days, and ``folds`` blocks before them.

    The blocks share the latest ``validated_share`` of the development days that have a target's label when the
    test begins: a label takes weeks to become known, and a block without labels decides nothing.

    Raises:
        InputError: fewer decision days than 40, or no target has a label before the test days.
    """
    days = np.unique(rows.date.astype("datetime64[D]"))
    if len(days) < _LEAST_DAYS:
        raise InputError(f"{len(days)} decision days; training needs {_LEAST_DAYS} and more")
    first = round(len(days) * (1 - settings.test_share))
    after = days[-1] + np.timedelta64(1, "D")
    test = Origin(days[first], after, np.datetime64("9999-12-31", "D"))
    labelled = [rows.date[test.train(rows, name)] for name in TARGETS if name in rows.y]
    last = max((dates.max() for dates in labelled if len(dates)), default=None)
    if last is None:
        raise InputError(f"no target has a label that was known before {days[first]}; give a longer record")
    end = int(np.searchsorted(days, last, side="right"))
    length = max(1, round(end * settings.validated_share / settings.folds))
    starts = [end - length * (settings.folds - i) for i in range(settings.folds)]
    blocks = tuple(Origin(days[start], days[start + length], days[first]) for start in starts)
    return Origins(blocks=blocks, test=test)
