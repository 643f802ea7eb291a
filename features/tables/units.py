"""The units of this field and the exact way from one to another.

Every unit is ``value * scale + offset`` of its kind's base. A unit that is not here is refused by name: a plant's
column whose unit nobody knows must not enter as if it were canonical.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.errors import UnitError


@dataclass(frozen=True)
class Unit:
    """One unit: its name, the kind of quantity it measures, and ``base = value * scale + offset``.

    Scale and offset are exact fractions, so that decimal data stay decimal: 3863 mV is 3.863 V to the last bit.
    """

    name: str
    kind: str
    scale: Fraction | int
    offset: Fraction | int = 0
    aliases: tuple[str, ...] = ()


_MILLI = Fraction(1, 1000)

_ALL = (
    Unit("V", "voltage", 1, aliases=("volt", "伏")),
    Unit("mV", "voltage", _MILLI, aliases=("mv", "毫伏")),
    Unit("kV", "voltage", 1000),
    Unit("kA", "current", 1, aliases=("千安",)),
    Unit("A", "current", _MILLI, aliases=("安",)),
    Unit("degC", "temperature", 1, aliases=("°C", "℃", "C", "celsius")),
    Unit("degF", "temperature", Fraction(5, 9), Fraction(-160, 9), aliases=("°F", "℉", "F", "fahrenheit")),
    Unit("K", "temperature", 1, Fraction(-27315, 100), aliases=("kelvin",)),
    Unit("fraction", "share", 1, aliases=("1", "-")),
    Unit("%", "share", Fraction(1, 100), aliases=("wt%", "pct", "wt_pct", "mass%", "％")),
    Unit("permille", "share", _MILLI, aliases=("‰", "g/kg", "kg/t")),
    Unit("ppm", "share", Fraction(1, 1_000_000), aliases=("g/t", "mg/kg")),
    Unit("kg", "mass", 1, aliases=("千克", "公斤")),
    Unit("g", "mass", _MILLI),
    Unit("t", "mass", 1000, aliases=("tonne", "吨")),
    Unit("kg/d", "mass rate", 1, aliases=("kg/day", "kg/日")),
    Unit("kg/h", "mass rate", 24),
    Unit("kg/shift", "mass rate", 3, aliases=("kg/班",)),
    Unit("t/d", "mass rate", 1000, aliases=("t/day",)),
    Unit("mm", "length", 1, aliases=("毫米",)),
    Unit("cm", "length", 10, aliases=("厘米",)),
    Unit("m", "length", 1000),
    Unit("in", "length", Fraction(254, 10), aliases=("inch",)),
    Unit("0.1 mm", "length", Fraction(1, 10)),
    Unit("mm/d", "length rate", 1, aliases=("mm/day",)),
    Unit("cm/d", "length rate", 10),
    Unit("0.1 mm/d", "length rate", Fraction(1, 10)),
    Unit("min", "time", 1, aliases=("minute", "minutes", "分", "分钟")),
    Unit("s", "time", Fraction(1, 60), aliases=("sec", "second", "秒")),
    Unit("h", "time", 60, aliases=("hour", "hours", "小时")),
    Unit("d", "time", 1440, aliases=("day", "days", "天", "日")),
    Unit("1/d", "count rate", 1, aliases=("count", "/d", "1/day", "次")),
    Unit("1/h", "count rate", 24),
    Unit("kWh", "energy", 1, aliases=("kwh", "度")),
    Unit("MWh", "energy", 1000),
    Unit("GWh", "energy", 1_000_000),
    Unit("10^4 kWh", "energy", 10_000, aliases=("万kWh", "万度")),
    Unit("GJ", "energy", Fraction(2500, 9)),
    Unit("kWh/t", "specific energy", 1, aliases=("kwh/t",)),
    Unit("kWh/kg", "specific energy", 1000, aliases=("MWh/t",)),
    Unit("GJ/t", "specific energy", Fraction(2500, 9), aliases=("MJ/kg",)),
    Unit("nPm", "permeability", 1, aliases=("nperm",)),
    Unit("W/(m K)", "thermal conductivity", 1, aliases=("W/mK", "W/m/K", "W/(m·K)")),
    Unit("1/kWh", "price of energy", 1, aliases=("/kWh", "CNY/kWh", "EUR/kWh", "USD/kWh", "元/kWh")),
    Unit("1/MWh", "price of energy", _MILLI, aliases=("/MWh", "CNY/MWh", "EUR/MWh", "USD/MWh", "元/MWh")),
    Unit("kW", "power", 1),
    Unit("W", "power", _MILLI),
    Unit("MW", "power", 1000),
    Unit("uOhm", "resistance", 1, aliases=("µΩ", "μΩ")),
    Unit("mOhm", "resistance", 1000, aliases=("mΩ",)),
    Unit("A/cm2", "current density", 1, aliases=("A/cm²",)),
    Unit("kPa", "pressure", 1),
    Unit("Pa", "pressure", _MILLI),
    Unit("mbar", "pressure", Fraction(1, 10)),
    Unit("bar", "pressure", 100),
    Unit("m3/h", "flow", 1, aliases=("m³/h", "Nm3/h")),
    Unit("m3/min", "flow", 60, aliases=("m³/min",)),
    Unit("molar ratio", "bath ratio", 1, aliases=("CR", "分子比")),
    Unit("weight ratio", "bath ratio", 2, aliases=("BR",)),
)

UNITS: Mapping[str, Unit] = {unit.name: unit for unit in _ALL}
_BY_SPELLING: Mapping[str, Unit] = {
    spelling: unit for unit in _ALL for spelling in (unit.name, *unit.aliases)
}


def unit(name: str) -> Unit:
    """Return the unit spelled ``name``, case and all (mV is not MV).

    Raises:
        UnitError: the unit is unknown; the message shows the nearest spellings.
    """
    spelling = " ".join(name.split())
    if spelling in _BY_SPELLING:
        return _BY_SPELLING[spelling]
    near = difflib.get_close_matches(spelling, _BY_SPELLING, n=3, cutoff=0.4) or sorted(UNITS)
    raise UnitError(f"unknown unit {name!r}; nearest are {', '.join(near)}")


def convert(values: ArrayLike, source: str, target: str) -> NDArray[np.float64]:
    """Return ``values`` (any shape, in ``source``) in ``target``; NaN stays NaN.

    Raises:
        UnitError: a unit is unknown, or the two measure different kinds of quantity.

    >>> float(convert(1742.0, "degF", "degC")), float(convert(3863.0, "mV", "V"))
    (950.0, 3.863)
    """
    given, wanted = unit(source), unit(target)
    numbers = np.asarray(values, dtype=np.float64)
    if given.kind != wanted.kind:
        raise UnitError(
            f"{source!r} is a unit of {given.kind}, {target!r} of {wanted.kind};"
            f" give one of {', '.join(units_of(wanted.kind))}"
        )
    if given.name == wanted.name:
        return numbers.copy()
    ratio = Fraction(given.scale) / Fraction(wanted.scale)
    shift = (Fraction(given.offset) - Fraction(wanted.offset)) / Fraction(wanted.scale)
    return (numbers * ratio.numerator + float(shift * ratio.denominator)) / ratio.denominator


def units_of(kind: str) -> tuple[str, ...]:
    """Return the names of the units that measure ``kind``."""
    return tuple(name for name, known in UNITS.items() if known.kind == kind)
