"""Window statistics over the last days, the same to the last bit for one cell and for a thousand.

Nothing here sums along an axis: every addition is an elementwise operation on (s, c) arrays, newest day first, so
the order of the additions, and with it the last bit, depends neither on the number of cells nor on their layout.
Sums run over deviations from the newest known value, so a constant series has a deviation of exactly zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOWS: Final = (1, 3, 7, 28)
"""Days of the windows; the last is also how long a value is remembered."""


@dataclass(frozen=True)
class Summary:
    """Statistics of s series over c cells; every array is (s, c), NaN where too little is known.

    A mean needs at least one value and a quarter of its window, a standard deviation at least two values, a slope
    at least three.

    Attributes:
        last: the newest known value; age: days since it (0 = the newest day).
        mean, std, total: by window; std is the sample standard deviation.
        slope: by window, least squares [unit/d], positive = rising.
        count: by window, known values.
    """

    last: Floats
    age: Floats
    mean: Mapping[int, Floats]
    std: Mapping[int, Floats]
    slope: Mapping[int, Floats]
    total: Mapping[int, Floats]
    count: Mapping[int, Floats]


@dataclass
class _Sums:
    """Running sums over ages 0, 1, 2, ...: counts, deviations, their squares and their products with the age."""

    n: Floats
    x: Floats
    xx: Floats
    a: Floats
    aa: Floats
    ax: Floats

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "_Sums":
        return cls(*(np.zeros(shape) for _ in range(6)))

    def add(self, known: Floats, deviation: Floats, age: float) -> None:
        self.n = self.n + known
        self.x = self.x + deviation
        self.xx = self.xx + deviation * deviation
        self.a = self.a + known * age
        self.aa = self.aa + known * (age * age)
        self.ax = self.ax + deviation * age


class Ring:
    """The last 28 days of s series over c cells; the only state that the windows need."""

    def __init__(self, series: int, cells: int) -> None:
        """Start with nothing known."""
        self._days = np.full((WINDOWS[-1], series, cells), np.nan)
        self._newest = 0

    def push(self, values: Floats) -> None:
        """Add a day's ``values`` (s, c); the oldest day is forgotten."""
        self._newest = (self._newest - 1) % len(self._days)
        self._days[self._newest] = values

    def forget(self, cells: NDArray[np.bool_]) -> None:
        """Forget the past of the cells that ``cells`` (c,) marks."""
        self._days[:, :, cells] = np.nan

    def at(self, age: int) -> Floats:
        """Return the values (s, c) of ``age`` days before the newest day; NaN beyond the memory."""
        if not 0 <= age < len(self._days):
            return np.full(self._days.shape[1:], np.nan)
        return np.asarray(self._days[(self._newest + age) % len(self._days)])

    def summary(self) -> Summary:
        """Return the statistics of every series over every window."""
        last, last_age = self._last()
        reference = np.where(np.isfinite(last), last, 0.0)
        sums = _Sums.zeros(last.shape)
        mean, std, slope, total, count = {}, {}, {}, {}, {}
        for age in range(WINDOWS[-1]):
            values = self.at(age)
            known = np.isfinite(values)
            sums.add(known.astype(np.float64), np.where(known, values - reference, 0.0), float(age))
            if (window := age + 1) in WINDOWS:
                mean[window] = _mean(sums, reference, window)
                std[window] = _std(sums, window)
                slope[window] = _slope(sums, window)
                total[window] = np.where(sums.n > 0, sums.n * reference + sums.x, np.nan)
                count[window] = sums.n
        return Summary(last, last_age, mean, std, slope, total, count)

    def _last(self) -> tuple[Floats, Floats]:
        last, last_age = np.full(self._days.shape[1:], np.nan), np.full(self._days.shape[1:], np.nan)
        for age in range(WINDOWS[-1] - 1, -1, -1):
            values = self.at(age)
            known = np.isfinite(values)
            last, last_age = np.where(known, values, last), np.where(known, float(age), last_age)
        return last, last_age


def _mean(sums: _Sums, reference: Floats, window: int) -> Floats:
    enough = sums.n >= max(1, window // 4)
    return np.where(enough, reference + sums.x / np.where(enough, sums.n, 1.0), np.nan)


def _std(sums: _Sums, window: int) -> Floats:
    enough = sums.n >= max(2, window // 4)
    n = np.where(enough, sums.n, 2.0)
    variance = (sums.xx - sums.x * sums.x / n) / (n - 1.0)
    return np.where(enough, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _slope(sums: _Sums, window: int) -> Floats:
    enough = sums.n >= max(3, window // 4)
    n = np.where(enough, sums.n, 1.0)
    spread = sums.aa - sums.a * sums.a / n
    enough = enough & (spread > 0)
    # Ages run backwards in time, hence the sign.
    falling = (sums.ax - sums.a * sums.x / n) / np.where(enough, spread, 1.0)
    return np.where(enough, -falling, np.nan)
