"""A line's plant as it is posted and kept: the fields of ``plant.toml`` as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from features.errors import SettingsError
from features.plant import Plant
from features.policy.cost import Prices
from serving.refusals import RefusedError


def plant_values(plant: Plant) -> dict[str, Any]:
    """Return ``plant`` as plain values."""
    return asdict(plant)


def plant_from(values: Mapping[str, Any]) -> Plant:
    """Return the plant of plain ``values``; prices that are not given are the defaults.

    Raises:
        SettingsError: a field is missing, unknown, of another type or out of range.
    """
    told = {**values, "prices": Prices(**_checked(values.get("prices") or {}, Prices, "prices"))}
    return Plant(**_checked(told, Plant, "plant", keep="prices"))


def _checked(values: object, kind: type, where: str, keep: str = "") -> dict[str, Any]:
    """Return ``values`` with the types of ``kind``'s fields."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where} must be an object of {', '.join(f.name for f in fields(kind))}")
    known = {entry.name: entry.type for entry in fields(kind)}
    if unknown := sorted(str(name)[:64] for name in set(values) - set(known)):
        raise SettingsError(f"{where} has no {unknown[0]!r}; it has {', '.join(known)}")
    found: dict[str, Any] = {}
    for name, value in values.items():
        hint = known[name] if isinstance(known[name], type) else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if hint is float and number:
            value = float(value)
        fine = name == keep or hint is None or (type(value) is hint)
        if not fine:
            raise SettingsError(
                f"{where}.{name} is {str(value)[:64]!r}; give a {getattr(hint, '__name__', hint)}"
            )
        found[name] = value
    if kind is Plant:
        needed = ("name", "timezone", "line_current_ka", "anodes_per_cell", "metal_pad_area_m2", "simulated")
        if missing := [name for name in needed if name not in found]:
            raise SettingsError(f"{where} lacks {', '.join(missing)}")
    return found


def same_plant(line_id: str, kept: Plant, posted: Plant) -> None:
    """Refuse a plant that is not the one of the line's record; its prices may change.

    Raises:
        RefusedError: 409, the field that differs named.
    """
    for entry in fields(Plant):
        one, other = getattr(kept, entry.name), getattr(posted, entry.name)
        if one != other and entry.name != "prices":
            raise RefusedError(
                409,
                "other_plant",
                f"plant.{entry.name} of line {line_id} is {str(one)[:80]} in the record and {str(other)[:80]} in"
                " this post; leave plant out, or post to another line",
            )
