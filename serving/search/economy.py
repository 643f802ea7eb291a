"""Fewest levers moved for the same gain: a lever that earns next to nothing stays where it is."""

import numpy as np

from serving.search.descent import descend
from serving.search.problem import Landscape
from serving.search.specialise import Points


def fewest_levers(land: Landscape, point: Points, tolerance: float) -> Points:
    """Return a point (k,) that moves as few levers as keep all but ``tolerance`` (a share) of ``point``'s gain.

    Levers go home one at a time, the one that costs least first; those still free are searched again each time.
    """
    home_key = float(land.keys(land.home[None, :])[0])
    gain = home_key - float(land.keys(point[None, :])[0])
    if not gain > 0:
        return land.home.copy()
    worst = home_key - (1.0 - tolerance) * gain
    kept = point
    while True:
        moved = np.flatnonzero(kept != land.home).tolist()
        if len(moved) <= 1:
            return kept
        tries = [_without(land, kept, lever, moved) for lever in moved]
        best_key, best = min(tries, key=lambda entry: entry[0])
        if best_key > worst:
            return kept
        kept = best


def _without(land: Landscape, point: Points, lever: int, moved: list[int]) -> tuple[float, Points]:
    """Return the best (key, point) with ``lever`` at home and only the other ``moved`` levers free."""
    begin = point.copy()
    begin[lever] = land.home[lever]
    # From home too: the point without one lever may break a limit that home keeps.
    walk = descend(land, np.stack([begin, land.home]), tuple(other for other in moved if other != lever))
    return walk.best_key, walk.best
