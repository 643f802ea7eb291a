"""Where a test may be laid: grown, calm cells, and how large an effect would matter."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.confounding.switchback import Ground
from experiments.prepare import Prepared
from serving.limits import DEFAULT_LIMITS
from training.identification.assess import LeverAssessment, Residuals
from training.identification.verdict import WORTH
from training.rows import Rows
from training.structures import Floats

_RECENT_D = 28
_SIGNALS: Mapping[str, str] = {"mean_bath_temperature_c": "bath_temperature_c", "mean_noise_mv": "noise_mv"}
"""Limited outcome -> the signal that shows it."""


def ground_of(rows: Rows, residual: Residuals, lever: str, prepared: Prepared) -> Ground:
    """Return what a plan for ``lever`` is laid on: cells that kept every window of late, the calmest first."""
    history = prepared.history
    at = residual.moves.levers.index(lever)
    value = rows.z[:, rows.levers[at].value]
    settings = np.full(len(history.cell_ids), np.nan)
    settings[rows.cell] = value  # rows are in order of date: the last one stays
    day = rows.date.astype("datetime64[D]").astype(np.int64)
    today = int(history.dates[-1].astype("datetime64[D]").astype(np.int64))
    reported = np.zeros(len(history.cell_ids), dtype=bool)
    reported[rows.cell[day >= today - 7]] = True
    calm = _calm(prepared)
    fit = np.flatnonzero(reported & np.isfinite(settings) & np.isfinite(calm))
    return Ground(
        cell=rows.cell,
        day=day,
        left=residual.left,
        cell_ids=history.cell_ids,
        fit=fit[np.argsort(calm[fit], kind="stable")],
        settings=settings,
    )


def _calm(prepared: Prepared) -> Floats:
    """Return (c,) mean noise of the last four weeks [mV]; NaN for a cell outside a window, or with an anode effect."""
    signals = prepared.history.signals
    recent = {name: values[-_RECENT_D:] for name, values in signals.items()}
    noise = _mean(recent["noise_mv"]) if "noise_mv" in recent else np.zeros(len(prepared.history.cell_ids))
    out = np.array(noise)
    for limit in DEFAULT_LIMITS:
        name = _SIGNALS.get(limit.outcome)
        if name in recent:
            mean = _mean(recent[name])
            inside = (mean >= limit.low + limit.margin) & (mean <= limit.high - limit.margin)
            out[~inside] = np.nan
    if "anode_effects" in recent:
        out[np.nansum(recent["anode_effects"][-7:], axis=0) > 0] = np.nan
    return out


def _mean(values: NDArray[np.float64]) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def hopes_of(told: LeverAssessment) -> dict[str, float]:
    """Return outcome -> the effect per unit that a test should show: what physics expects, or what is worth knowing."""
    found = {}
    for entry in told.outcomes:
        worth = WORTH[entry.outcome] / told.reach
        if entry.outcome == "mean_voltage_v":
            continue  # the controller follows the setpoint: nobody needs a test of that
        found[entry.outcome] = max(worth, abs(entry.expected.mean)) if entry.expected else worth
    return found
