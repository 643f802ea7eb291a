"""What a tonne costs to make, as far as the setpoints move it: electricity, anode, AlF3 and carbon.

Linear on purpose, so that a search may read the price of each outcome off it. The tiered surcharge is a step of
the *yearly* average and lives in ``features.policy.tariff``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from numpy.typing import ArrayLike

from features.errors import SettingsError
from features.relations import Array, array, relation

CO2_PER_C: Final = 44.0 / 12.0
"""Carbon dioxide per carbon as the national guide rounds it [kg/kg]."""


@dataclass(frozen=True)
class Prices:
    """A plant's prices; the defaults are assumptions for a plant that gave none.

    Raises:
        SettingsError: no currency, a negative or unknown price, an efficiency or share outside its range.
    """

    currency: str = "CNY"
    electricity_per_kwh: float = 0.45
    """Price of a kilowatt-hour at the meter, alternating current [B]."""
    anode_per_kg: float = 5.0
    """Price of baked carbon [V1, an industry abstract of 2025]."""
    alf3_per_kg: float = 9.0
    """Price of aluminium fluoride [B]."""
    co2_per_t: float = 69.3
    """Price of an emission allowance [V2, end of August 2025]."""
    rectifier_efficiency: float = 0.98
    """Direct over alternating current [B-med, 0.975-0.985]."""
    anode_sulphur: float = 0.02
    """Sulphur in the anode, a mass fraction that does not become CO2 [V2]."""
    anode_ash: float = 0.004
    """Ash in the anode, a mass fraction [V2]."""

    def __post_init__(self) -> None:
        """Check every price."""
        if not self.currency.strip():
            raise SettingsError("prices have no currency; name one, for example CNY")
        for name in (entry.name for entry in fields(self) if entry.name != "currency"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise SettingsError(f"price {name} is {value}; give a finite number, zero or above")
        if not 0.9 <= self.rectifier_efficiency <= 1.0:
            raise SettingsError(
                f"rectifier_efficiency is {self.rectifier_efficiency}; give a fraction between 0.9 and 1"
            )
        if self.anode_sulphur + self.anode_ash >= 1.0:
            raise SettingsError(
                f"anode_sulphur {self.anode_sulphur} and anode_ash {self.anode_ash} leave no carbon;"
                " give mass fractions, not per cent"
            )

    @property
    def dc_energy_per_kwh(self) -> float:
        """Price of a kilowatt-hour of direct current."""
        return self.electricity_per_kwh / self.rectifier_efficiency

    @property
    def net_anode_per_kg(self) -> float:
        """Price of a kilogram of net anode, its CO2 included."""
        carbon = 1.0 - self.anode_sulphur - self.anode_ash
        return self.anode_per_kg + self.co2_per_t / 1000.0 * CO2_PER_C * carbon


def outcome_prices(prices: Prices) -> Mapping[str, float]:
    """Money per unit of each outcome, by outcome name: the weights of a search's objective.

    >>> {name: round(price, 4) for name, price in outcome_prices(Prices()).items()}
    {'energy_kwh_per_t': 0.4592, 'net_anode_kg_per_t': 5.248}
    """
    return {"energy_kwh_per_t": prices.dc_energy_per_kwh, "net_anode_kg_per_t": prices.net_anode_per_kg}


@relation(
    unit="currency/t",
    equation="cost = p_el E/eta + (p_an + p_CO2 (1 - S - A) 44/12) NC + p_AlF3 AlF3",
    source="prices of the plant",
    tag="C",
)
def cost_per_t(
    energy_kwh_per_t: ArrayLike, net_anode_kg_per_t: ArrayLike, alf3_kg_per_t: ArrayLike, prices: Prices
) -> Array:
    """Cost of a tonne, as far as the setpoints move it [currency/t].

    Args:
        energy_kwh_per_t: direct-current energy [kWh/t].
        net_anode_kg_per_t: net anode consumption [kg/t].
        alf3_kg_per_t: aluminium fluoride fed [kg/t].
        prices: the plant's prices.

    >>> round(float(cost_per_t(12_400.0, 405.0, 13.3, Prices())), 2)
    7939.02
    """
    energy = prices.dc_energy_per_kwh * array(energy_kwh_per_t)
    anode = prices.net_anode_per_kg * array(net_anode_kg_per_t)
    return energy + anode + prices.alf3_per_kg * array(alf3_kg_per_t)
