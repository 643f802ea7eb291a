"""A model's answers as its recent errors make them: the same predictions, with wider intervals and more doubt."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, UPPER
from features.bundle.graph import MEMBERS

Floats = NDArray[np.float64]


def widened(outputs: Mapping[str, Floats], factors: Mapping[str, float]) -> dict[str, Floats]:
    """Return ``outputs`` by name, each outcome's interval and its members' spread as many times as wide as ``factors`` say.

    The bounds of an outcome are widened about its prediction, which must be among ``outputs``; members about their
    mean. What ``factors`` leave out keeps every bit.
    """
    found = dict(outputs)
    for outcome, factor in factors.items():
        for end in (LOWER, UPPER):
            if outcome + end in found:
                found[outcome + end] = _about(outputs[outcome], outputs[outcome + end], factor)
        if outcome + MEMBERS in found:
            members = outputs[outcome + MEMBERS]
            found[outcome + MEMBERS] = _about(members.mean(axis=-1, keepdims=True), members, factor)
    return found


def needed(output: str, factors: Mapping[str, float]) -> str:
    """Return what must be known for ``output`` to be widened: the prediction that it bounds, or itself."""
    outcome = output.removesuffix(LOWER).removesuffix(UPPER)
    return outcome if outcome in factors else output


def is_factor(factor: float) -> bool:
    """Say whether intervals can be widened by ``factor``."""
    return math.isfinite(factor) and factor >= 1.0


def _about(centre: Floats, value: Floats, factor: float) -> Floats:
    return np.asarray(centre + factor * (value - centre))
