"""What a version in the shadow answers beside what was answered: counted and compared, never sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.protocol.call import Signature

Values = Mapping[str, NDArray[np.float64]]


@dataclass
class Difference:
    """How far one output of the shadow lies from the answer: rows compared, mean and largest absolute difference."""

    rows: int = 0
    total: float = 0.0
    largest: float = 0.0

    @property
    def mean(self) -> float:
        """The mean absolute difference, in the output's unit; 0 before the first row."""
        return self.total / self.rows if self.rows else 0.0


@dataclass
class Comparison:
    """The shadow of one model, over all requests since it was cast."""

    answered: Signature
    shadow: Signature
    requests: int = 0
    failed: int = 0
    by_output: dict[str, Difference] = field(default_factory=dict)

    def add(self, answered: bytes, shadow: bytes) -> None:
        """Count one request by the raw outputs of both versions.

        Raises:
            ValueError: they are for different numbers of rows.
        """
        ours, theirs = unpack(answered, self.answered), unpack(shadow, self.shadow)
        self.requests += 1
        for name in ours.keys() & theirs.keys():
            if ours[name].ndim != 1:
                continue
            away = np.abs(ours[name] - theirs[name])
            difference = self.by_output.setdefault(name, Difference())
            difference.rows += len(away)
            difference.total += float(away.sum())
            difference.largest = max(difference.largest, float(away.max(initial=0.0)))


def unpack(raw: bytes, signature: Signature) -> dict[str, NDArray[np.float64]]:
    """Return output -> values (n,) or (n, m) of the raw float64 outputs that a worker answered.

    Raises:
        ValueError: the bytes are no whole number of rows.
    """
    widths = {name: signature.members.get(name, 1) for name in signature.outputs}
    n, rest = divmod(len(raw), 8 * sum(widths.values()))
    if rest:
        raise ValueError(f"{len(raw)} raw bytes are no whole number of rows of {signature.name}")
    found: dict[str, NDArray[np.float64]] = {}
    at = 0
    for name, width in widths.items():
        found[name] = np.frombuffer(raw, "<f8", n * width, at).reshape(signature.shape(name, n))
        at += 8 * n * width
    return found
