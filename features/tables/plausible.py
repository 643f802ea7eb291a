"""Is this column in the unit it claims? The typical level of each signal, and what would explain another level.

A plausible range alone cannot see a wrong unit where the range starts at zero: 0.019 V of noise passes as 0.019 mV.
So the *middle* of a column is compared with where the middle of such a column lies on any cell in service: wide
enough for 100-700 kA lines, for cells in start-up and for Li-rich baths [B], narrow enough that a factor of ten
leaves it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import UnitError
from features.signals import Signal
from features.tables.units import convert, unit, units_of

TYPICAL: Mapping[str, tuple[float, float]] = {
    "line_current_ka": (60.0, 700.0),
    "cell_voltage_v": (3.4, 7.0),
    "set_voltage_v": (3.4, 7.0),
    "applied_set_voltage_v": (3.4, 7.0),
    "noise_mv": (4.0, 100.0),
    "bath_temperature_c": (890.0, 1020.0),
    "metal_level_mm": (90.0, 500.0),
    "bath_level_mm": (70.0, 350.0),
    "alf3_dose_kg_d": (5.0, 150.0),
    "alf3_fed_kg_d": (5.0, 150.0),
    "alumina_shots": (60.0, 6000.0),
    "run_minutes": (200.0, 1500.0),
    "beam_travel_mm": (4.0, 80.0),
    "fe_wt_pct": (0.01, 0.5),
    "si_wt_pct": (0.004, 0.2),
    "excess_alf3_wt_pct": (1.5, 20.0),
    "caf2_wt_pct": (1.0, 12.0),
    "al2o3_wt_pct": (0.8, 9.0),
    "new_mass_kg": (400.0, 2500.0),
    "butt_mass_kg": (60.0, 900.0),
    "crr_pct": (55.0, 100.0),
    "arr_pct": (35.0, 100.0),
    "air_permeability_npm": (0.2, 6.0),
    "thermal_conductivity_w_mk": (1.5, 8.0),
    "soda_wt_pct": (0.1, 1.0),
    "fines_wt_pct": (1.0, 60.0),
}

TYPICAL_PER_KA: Mapping[str, tuple[float, float]] = {
    "alumina_feed_kg_d": (6.0, 30.0),
    "alumina_fed_kg_d": (6.0, 30.0),
    "tap_mass_kg": (2.0, 32.0),
    "tap_target_kg": (2.0, 32.0),
}
"""What grows with the line current [per kA]: about 14.5 kg/d of alumina, and a tap of 0.3 to 4 days' metal."""

_FACTORS = (10.0, 0.1, 100.0, 0.01, 1000.0, 0.001)


@dataclass(frozen=True)
class Misfit:
    """A column whose level no cell has: its middle, where it should lie, and what would explain it, if anything."""

    signal: Signal
    claimed: str
    middle: float
    typical: tuple[float, float]
    fitting_unit: str | None
    fitting_factor: float | None

    def sentence(self) -> str:
        """Say what is wrong and what would fit."""
        low, high = self.typical
        start = (
            f"{self.signal.name} has a middle value of {self.middle:.6g} {self.claimed}, but such a column lies"
            f" between {low:g} and {high:g} {self.signal.unit}"
        )
        if self.fitting_unit is not None:
            return f'{start}; it fits as {self.fitting_unit}: map it with unit = "{self.fitting_unit}"'
        if self.fitting_factor is not None:
            return f"{start}; it fits when multiplied by {self.fitting_factor:g}: check the tag and its scale"
        return f"{start}; no unit of its kind fits: check that it is the right column"


def typical_level(of: Signal, line_current_ka: float) -> tuple[float, float]:
    """Return where the middle of a column of ``of`` lies on a line of ``line_current_ka`` [kA], in its unit.

    A signal without a typical level (minutes, counts, a declared sensor) has its plausible range.
    """
    if of.name in TYPICAL_PER_KA:
        low, high = TYPICAL_PER_KA[of.name]
        return low * line_current_ka, high * line_current_ka
    return TYPICAL.get(of.name, (of.low, of.high))


def misfit(values: NDArray[np.float64], claimed: str, of: Signal, line_current_ka: float) -> Misfit | None:
    """Return why ``values`` (n,), given in unit ``claimed``, cannot be the signal ``of``, or None if they can.

    Zeros are left out: a day without AlF3 or without a tap says nothing of the unit.
    """
    known = values[np.isfinite(values) & (values != 0.0)]
    if known.size == 0:
        return None
    typical = typical_level(of, line_current_ka)
    if _typical_in(known, claimed, of.unit, typical):
        return None
    kind = unit(of.unit).kind
    others = [name for name in units_of(kind) if unit(name) != unit(claimed)]
    fitting = next((name for name in others if _typical_in(known, name, of.unit, typical)), None)
    factors = (-1.0, *_FACTORS)
    factor = next((f for f in factors if _typical_in(known * f, claimed, of.unit, typical)), None)
    middle = float(np.median(known))
    return Misfit(of, claimed, middle, typical, fitting, None if fitting is not None else factor)


def _typical_in(
    known: NDArray[np.float64], claimed: str, canonical: str, typical: tuple[float, float]
) -> bool:
    middle = float(np.median(convert(known, claimed, canonical)))
    return typical[0] <= middle <= typical[1]


def refuse_wrong_units(
    columns: Iterable[tuple[NDArray[np.float64], str, Signal]], line_current_ka: float, where: str
) -> tuple[Misfit, ...]:
    """Refuse columns that are in another unit than claimed; return those that are odd but that nothing explains.

    Args:
        columns: values (n,), the unit they claim, the signal they are mapped to.
        line_current_ka: the line's nominal current [kA].
        where: the file or table, for the message.

    Raises:
        UnitError: some column's level is explained by another unit, a power of ten or the sign; all are named.
    """
    found = [misfit(values, claimed, of, line_current_ka) for values, claimed, of in columns]
    misfits = [m for m in found if m is not None]
    explained = [m for m in misfits if m.fitting_unit is not None or m.fitting_factor is not None]
    if explained:
        raise UnitError(f"{where}: wrong unit: " + "; ".join(m.sentence() for m in misfits))
    return tuple(misfits)
