"""What the bundle itself says a lever does: its partial response, averaged over rows, beside the record's answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from features.bundle.graph import MEMBERS
from features.bundle.manifest import LeverInfo
from serving.predictor import Predictor

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelSlope:
    """The bundle's own effect per unit: the mean over rows, and the interval that its members give (None without)."""

    value: float
    low: float | None
    high: float | None


def row_slopes(
    predictor: Predictor, rows: Rows, lever: LeverInfo, column: int, reference: int
) -> Mapping[str, Floats]:
    """Return every output's slope per unit of ``lever`` on each of ``rows`` (n, d): (n,), of members (n, m).

    The lever goes half a day's step up and down from what is in force; the others stay as the row has them.
    """
    half = lever.max_daily_step / 2
    up, down = rows.copy(), rows.copy()
    up[:, column] = rows[:, reference] + np.float32(half)
    down[:, column] = rows[:, reference] - np.float32(half)
    # Float32 rounds a setpoint: the step is what the model saw.
    step = up[:, column].astype(np.float64) - down[:, column].astype(np.float64)
    above, below = predictor.predict(up), predictor.predict(down)
    names = [outcome.name for outcome in predictor.manifest.outcomes]
    names += [name + MEMBERS for name in names if name + MEMBERS in above]
    return {
        name: (above[name] - below[name]) / (step if above[name].ndim == 1 else step[:, None])
        for name in names
    }


def model_slopes(predictor: Predictor, rows: Rows) -> dict[str, dict[str, ModelSlope]]:
    """Return lever -> outcome -> the bundle's slope, averaged over ``rows`` (n, d)."""
    found: dict[str, dict[str, ModelSlope]] = {}
    manifest = predictor.manifest
    for lever, (column, reference) in zip(manifest.levers, manifest.lever_columns, strict=True):
        slopes = row_slopes(predictor, rows, lever, column, reference)
        found[lever.name] = {
            outcome.name: _slope(slopes[outcome.name], slopes.get(outcome.name + MEMBERS))
            for outcome in manifest.outcomes
        }
    return found


def _slope(rows: Floats, members: Floats | None) -> ModelSlope:
    value = float(rows.mean())
    if members is None or members.shape[1] < 2:
        return ModelSlope(value, None, None)
    each = members.mean(axis=0)
    half = float(student.ppf(0.975, len(each) - 1) * each.std(ddof=1))
    return ModelSlope(value, value - half, value + half)
