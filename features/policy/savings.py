"""Savings: what a change of voltage and efficiency must save, and whether a claim agrees with it.

Energy is an identity, so a claim that names its voltage and its current efficiency can be checked. Savings do not
add up: recompute the state after all measures, never sum their kilowatt-hours.
"""

from dataclasses import dataclass
from typing import Final

from numpy.typing import ArrayLike

from features.electrolysis.faraday import dc_energy
from features.errors import SettingsError
from features.policy.rules import Rule
from features.relations import Array, array, relation

TOLERANCE: Final = 1.15
"""Claims above this multiple of the computed saving are flagged; our own choice [B]."""


@relation(
    unit="kWh/t",
    equation="S = 2979.98 [V0/CE0 - (V0 + dV)/(CE0 + dCE)]",
    source="Faraday's law",
    tag="C",
)
def saving_from_changes(
    cell_voltage: ArrayLike,
    current_efficiency: ArrayLike,
    voltage_change: ArrayLike,
    efficiency_change: ArrayLike = 0.0,
) -> Array:
    """Direct-current energy that a change of voltage and current efficiency saves [kWh/t].

    Args:
        cell_voltage: mean cell voltage before [V].
        current_efficiency: current efficiency before [-], a fraction.
        voltage_change: change of the voltage, negative for less [V].
        efficiency_change: change of the current efficiency [-], a fraction.

    >>> round(float(saving_from_changes(4.0, 0.92, -0.069, 0.0129)), 1)
    399.6
    """
    voltage = array(cell_voltage) + array(voltage_change)
    efficiency = array(current_efficiency) + array(efficiency_change)
    return dc_energy(cell_voltage, current_efficiency) - dc_energy(voltage, efficiency)


@dataclass(frozen=True)
class ClaimCheck:
    """A claimed saving beside the one that its own figures give."""

    claimed_kwh_per_t: float
    computed_kwh_per_t: float

    @property
    def ratio(self) -> float:
        """Claimed over computed [-]."""
        return self.claimed_kwh_per_t / self.computed_kwh_per_t

    @property
    def consistent(self) -> bool:
        """Whether the claim stays within the tolerance; claiming less than computed is consistent."""
        return self.ratio <= TOLERANCE


def check_claim(
    claimed_kwh_per_t: float,
    cell_voltage: float,
    current_efficiency: float,
    voltage_change: float,
    efficiency_change: float = 0.0,
) -> ClaimCheck:
    """Check a claimed saving against its own voltage and current efficiency.

    Raises:
        SettingsError: the figures give no saving at all, so there is nothing to hold the claim against.

    >>> round(check_claim(278.0, 4.0, 0.92, -0.083).ratio, 2)
    1.03
    """
    computed = float(saving_from_changes(cell_voltage, current_efficiency, voltage_change, efficiency_change))
    if not computed > 0.0:
        raise SettingsError(
            f"a change of {voltage_change} V and {efficiency_change} in current efficiency saves"
            f" {computed:.1f} kWh/t; give the changes as fractions and volts, less voltage negative"
        )
    return ClaimCheck(claimed_kwh_per_t, computed)


def check_published(rule: Rule) -> ClaimCheck:
    """Check a published retrofit of the ``retrofits`` pack that names its voltage.

    >>> from features.policy.rules import load_pack
    >>> check_published(load_pack("retrofits")["retrofit.phosphorus_iron.200ka"]).consistent
    True
    """
    return check_claim(
        rule.number("claimed_kwh_per_t"),
        rule.number("start_voltage_v"),
        rule.number("start_current_efficiency"),
        rule.number("voltage_change_v"),
        rule.numbers.get("efficiency_change", 0.0),
    )


@relation(
    unit="tce",
    equation="kWh kgce/1000",
    source="GB/T 2589-2020 (calorific) or the power stations' year",
    tag="V2",
)
def saving_as_coal(energy: ArrayLike, kgce_per_kwh: ArrayLike) -> Array:
    """A saving of electricity as standard coal [tce]; say which of the two factors was taken.

    Args:
        energy: electricity saved [kWh].
        kgce_per_kwh: ``coal_per_kwh("calorific")`` or ``coal_per_kwh("substitution")`` [kgce/kWh].

    >>> round(float(saving_as_coal(3.2e6, 0.305)))
    976
    """
    return array(energy) * array(kgce_per_kwh) / 1000.0
