"""A model's answers as its recent errors make them: the same predictions, with wider intervals and more doubt."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, UPPER
from features.bundle.graph import MEMBERS

Floats = NDArray[np.float64]


def widened(outputs: Mapping[str, Floats], factor: float) -> dict[str, Floats]:
    """Return ``outputs`` by name with intervals, and members around their mean, ``factor`` times as wide.

    The bounds of an outcome are widened where its prediction is among ``outputs``. A factor of one changes no bit.
    """
    if factor == 1.0:
        return dict(outputs)
    return {name: _widened(name, value, outputs, factor) for name, value in outputs.items()}


def needed(output: str) -> str:
    """Return the output that has to be known for ``output`` to be widened: itself, or the prediction that it bounds."""
    for end in (LOWER, UPPER):
        if output.endswith(end):
            return output.removesuffix(end)
    return output


def _widened(name: str, value: Floats, outputs: Mapping[str, Floats], factor: float) -> Floats:
    if name.endswith(MEMBERS):
        centre = value.mean(axis=-1, keepdims=True)
        return np.asarray(centre + factor * (value - centre))
    centre = outputs.get(needed(name), value)
    return value if centre is value else np.asarray(centre + factor * (value - centre))


def is_factor(factor: float) -> bool:
    """Say whether intervals can be widened by ``factor``."""
    return math.isfinite(factor) and factor >= 1.0
