"""What a plant offers to be moved: a part of the bundle's levers, never more than the bundle's record supports."""

from collections.abc import Iterator

from features.errors import SettingsError
from features.setpoints import JointLimit, OperatingWindow


def offered(own: OperatingWindow, window: OperatingWindow | None) -> OperatingWindow:
    """Return ``window`` with the joint limits of the bundle's ``own`` window added, or ``own`` if there is none.

    A lever that is not offered stands still, so a limit over moves keeps its other levers' part.

    Raises:
        UnknownNameError: a lever that the bundle does not have.
        SettingsError: bounds beyond the bundle's, or a joint limit over values that loses one of its levers.
    """
    if window is None:
        return own
    for lever in window.levers:
        known = own.lever(lever.name)
        slack = 1e-6 * lever.resolution
        if lever.low < known.low - slack or lever.high > known.high + slack:
            raise SettingsError(
                f"lever {lever.name} is offered from {lever.low} to {lever.high}, the bundle's record supports"
                f" {known.low} to {known.high}; stay inside"
            )
    kept = {limit.name for limit in window.limits}
    inherited = tuple(limit for limit in _inherited(own, window) if limit.name not in kept)
    return OperatingWindow(window.levers, (*window.limits, *inherited))


def _inherited(own: OperatingWindow, window: OperatingWindow) -> Iterator[JointLimit]:
    for limit in own.limits:
        mine = limit.levers & set(window.names)
        if mine == limit.levers:
            yield limit
        elif mine and limit.values:
            raise SettingsError(
                f"joint limit {limit.name} holds the values of {', '.join(sorted(limit.levers))}: offer all of them,"
                " or none"
            )
        elif mine:
            moves = {name: number for name, number in limit.moves.items() if name in mine}
            yield JointLimit(limit.name, limit.bound, moves, source=limit.source)
