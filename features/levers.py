"""Which levers a plant can be offered: the defaults, narrowed to what its own record shows was set and moved."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from features.electrolysis.faraday import alumina_demand
from features.errors import TargetUnavailableError, UnknownNameError
from features.history import History
from features.plant import Plant
from features.setpoints import JointLimit, Lever, OperatingWindow
from features.signals import SIGNALS

LEVER_NAMES = ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")

_OBSERVED_PERCENT = (0.5, 99.5)
_PRACTICAL_EFFICIENCY = 0.94


@dataclass(frozen=True)
class LeverChoice:
    """The levers that the record supports, and for each of the others why not."""

    levers: tuple[Lever, ...]
    refused: Mapping[str, str]


def default_levers(plant: Plant) -> tuple[Lever, ...]:
    """Return the four levers with the bounds that fit ``plant``'s line current."""
    return tuple(_lever(name, spec, plant) for name, spec in operating_parameters()["levers"].items())


def resolutions() -> Mapping[str, float]:
    """Return lever -> grid step, in its unit: how finely a plant sets it.

    >>> resolutions()["set_voltage_v"]
    0.002
    """
    return {name: float(spec["resolution"]) for name, spec in operating_parameters()["levers"].items()}


def default_limits(levers: Sequence[Lever]) -> tuple[JointLimit, ...]:
    """Return the joint limits whose levers are all among ``levers``."""
    offered = {lever.name for lever in levers}
    limits = (JointLimit(**entry) for entry in operating_parameters()["limits"])
    return tuple(limit for limit in limits if limit.levers <= offered)


def choose_levers(history: History, names: Sequence[str] = LEVER_NAMES, min_moves: int = 20) -> LeverChoice:
    """Return the levers among ``names`` that were set and moved in ``history``, with bounds narrowed to it.

    A lever is offered only if its setpoint changed at least ``min_moves`` times: what never moved has no effect to
    learn. The bounds shrink to the 0.5-99.5 % range that the plant itself has used.

    Raises:
        UnknownNameError: a name that is no lever.
    """
    known = {lever.name: lever for lever in default_levers(history.plant)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownNameError(f"unknown levers {unknown}; the levers are {', '.join(known)}")
    chosen, refused = [], {}
    for name in names:
        moves = count_moves(history, name)
        if moves is None:
            refused[name] = f"{name} is not in the record; map its setpoint"
        elif moves < min_moves:
            refused[name] = (
                f"{name} moved {moves} times in the record, fewer than {min_moves}; its effect is unknown"
            )
        else:
            chosen.append(_narrowed(known[name], history))
    return LeverChoice(tuple(chosen), refused)


def operating_window(
    history: History, names: Sequence[str] = LEVER_NAMES, min_moves: int = 20
) -> OperatingWindow:
    """Return the window of the levers that ``history`` supports, with the default joint limits.

    Raises:
        UnknownNameError: a name that is no lever.
        TargetUnavailableError: no lever is left; the message says why for each.
    """
    choice = choose_levers(history, names, min_moves)
    if not choice.levers:
        raise TargetUnavailableError(f"no lever can be offered: {'; '.join(choice.refused.values())}")
    return OperatingWindow(choice.levers, default_limits(choice.levers))


def count_moves(history: History, name: str) -> int | None:
    """Return how often signal ``name`` changed from one known value to the next, over all cells; None if absent."""
    values = history.signals.get(name)
    if values is None or not np.isfinite(values).any():
        return None
    moves = 0
    for column in values.T:
        known = column[np.isfinite(column)]
        moves += int(np.count_nonzero(np.diff(known)))
    return moves


@cache
def operating_parameters() -> dict[str, Any]:
    """Return the numbers that a plant starts from, as ``parameters/operating_window.toml`` has them; read only."""
    text = (files("features") / "parameters" / "operating_window.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _lever(name: str, spec: Mapping[str, Any], plant: Plant) -> Lever:
    entry = dict(spec)
    scale = 1.0
    if (current := entry.pop("at_line_current_ka", None)) is not None:
        scale = plant.line_current_ka / float(current)
    if entry.pop("share_of_demand", False):
        scale = float(alumina_demand(plant.line_current_ka, _PRACTICAL_EFFICIENCY))
    bounds = {side: _on_grid(scale * entry.pop(side), entry["resolution"]) for side in ("low", "high")}
    return Lever(**{"name": name, "unit": SIGNALS[name].unit, **entry, **bounds})


def _on_grid(value: float, resolution: float) -> float:
    return round(round(value / resolution) * resolution, 9)


def _narrowed(lever: Lever, history: History) -> Lever:
    values = history.signals[lever.name]
    used = values[np.isfinite(values)]
    low, high = (float(np.percentile(used, percent, method="nearest")) for percent in _OBSERVED_PERCENT)
    low, high = max(lever.low, low), min(lever.high, high)
    return replace(lever, low=low, high=high) if low < high else lever
