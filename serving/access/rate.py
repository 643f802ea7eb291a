"""How often one key may ask: a bucket of tokens each, refilled with time."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from features.errors import SettingsError
from serving.refusals import refused

_MOST_BUCKETS: Final = 10_000
"""Beyond it the bucket untouched for longest is dropped."""


@dataclass(frozen=True)
class Rate:
    """Requests a second that one key may make for long, and how many at once."""

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            SettingsError: not above zero.
        """
        if not (math.isfinite(self.per_second) and self.per_second > 0 and self.burst >= 1):
            raise SettingsError(
                f"a rate of {self.per_second:g} a second with bursts of {self.burst} is refused; give numbers above 0"
            )


class Buckets:
    """One bucket a key."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow ``rate`` to each."""
        self._rate = rate
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Take one token of the bucket ``name``.

        Raises:
            RefusedError: 429 with the seconds until there is one.
        """
        now = self._clock()
        left, at = self._left.get(name, (float(self._rate.burst), now))
        left = min(self._rate.burst, left + (now - at) * self._rate.per_second)
        allowed = left >= 1.0
        self._left[name] = (left - 1.0 if allowed else left, now)
        self._left.move_to_end(name)
        if len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        if not allowed:
            wait = max(1, math.ceil((1.0 - left) / self._rate.per_second))
            raise refused(429, "rate_limited.requests", wait, per_second=self._rate.per_second, wait=wait)
