"""The energy bridge: from the direct current that a model predicts to the metric that a rule judges.

Five kWh/t of one cell differ by more than a thousand, so a number never travels without its metric: rules take a
``Consumption`` and refuse the wrong one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from features.errors import SettingsError, UnitError
from features.policy.rules import Rule, load_pack
from features.relations import Array, array, relation


class Metric(StrEnum):
    """Which energy is meant."""

    DC = "dc"
    """Direct current of the cells."""
    LIQUID_AC = "liquid_ac"
    """Alternating current of the cells, 铝液交流电耗."""
    LIQUID_COMPREHENSIVE_AC = "liquid_comprehensive_ac"
    """With purification, desulphurisation, power and losses, 铝液综合交流电耗."""
    LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION = "liquid_comprehensive_ac_ex_desulphurisation"
    """The same without desulphurisation: what the tariff judges since 2023."""
    INGOT_COMPREHENSIVE_AC = "ingot_comprehensive_ac"
    """With casting, 铝锭综合交流电耗."""
    INGOT_COAL_EQUIVALENT = "ingot_coal_equivalent"
    """All energy of an ingot as standard coal, calorific, 铝锭综合能源单耗."""


UNIT: Final = {metric: "kgce/t" if metric is Metric.INGOT_COAL_EQUIVALENT else "kWh/t" for metric in Metric}


@dataclass(frozen=True, init=False, eq=False)
class Consumption:
    """A unit consumption with its metric [kWh/t, or kgce/t for the coal equivalent]."""

    metric: Metric
    value: Array

    def __init__(self, metric: Metric, value: ArrayLike) -> None:
        """Hold metric and value."""
        object.__setattr__(self, "metric", Metric(metric))
        object.__setattr__(self, "value", array(value))

    def judged_by(self, rule: Rule) -> Array:
        """The value, if it is of the metric that the rule judges.

        Raises:
            UnitError: it is of another metric.
        """
        if self.metric.value != rule.metric:
            raise UnitError(
                f"rule {rule.id} judges {rule.metric}, the consumption is {self.metric.value};"
                " carry it over with energy_account"
            )
        return self.value


@dataclass(frozen=True)
class SiteEnergy:
    """What a site adds to the direct current of its cells; the defaults are assumptions for a site that gave none.

    Raises:
        SettingsError: a negative addition, more desulphurisation than auxiliaries, or an impossible efficiency.
    """

    rectifier_efficiency: float = 0.98
    """Direct over alternating current [B-med, 0.975-0.985]."""
    auxiliary_kwh_per_t: float = 300.0
    """Purification, desulphurisation, power and supply losses [C: grade 1 of the standard, 13,250 - 12,950]."""
    desulphurisation_kwh_per_t: float = 0.0
    """The part of it that the tariff leaves out since 2023; only the site's meters know it."""
    casting_kwh_per_t: float = 50.0
    """Casting [C: ingot less liquid metal in every grade of the standard]."""
    fuels_kgce_per_t: float = 33.0
    """Fuels beside electricity [C: 30-35 left over in the grades of the standard]."""

    def __post_init__(self) -> None:
        """Check the additions."""
        if not 0.9 <= self.rectifier_efficiency <= 1.0:
            raise SettingsError(
                f"rectifier_efficiency is {self.rectifier_efficiency}; give a fraction of 0.9 to 1"
            )
        for name in (
            "auxiliary_kwh_per_t",
            "desulphurisation_kwh_per_t",
            "casting_kwh_per_t",
            "fuels_kgce_per_t",
        ):
            if not getattr(self, name) >= 0.0:
                raise SettingsError(f"{name} is {getattr(self, name)}; give zero or more")
        if self.desulphurisation_kwh_per_t > self.auxiliary_kwh_per_t:
            raise SettingsError(
                f"desulphurisation_kwh_per_t {self.desulphurisation_kwh_per_t} is a part of auxiliary_kwh_per_t"
                f" {self.auxiliary_kwh_per_t} and cannot exceed it"
            )


@relation(
    unit="kWh/t",
    equation="E_ac = E_dc/eta",
    source="definition of the rectifier efficiency",
    tag="V1",
    valid={"rectifier_efficiency": (0.97, 0.99)},
)
def ac_energy(dc_energy: ArrayLike, rectifier_efficiency: ArrayLike) -> Array:
    """Alternating-current energy of the cells [kWh/t].

    Args:
        dc_energy: direct-current energy [kWh/t].
        rectifier_efficiency: direct over alternating current [-].

    >>> round(float(ac_energy(12_600.0, 0.98)), 1)
    12857.1
    """
    return array(dc_energy) / array(rectifier_efficiency)


@relation(
    unit="kgce/t",
    equation="e = 0.1229 E + fuels",
    source="GB/T 2589-2020, calorific value (当量值)",
    tag="V2",
)
def coal_equivalent(ingot_energy: ArrayLike, fuels: ArrayLike = 0.0) -> Array:
    """Energy as standard coal by its heat, not by what a power station burns [kgce/t].

    Args:
        ingot_energy: comprehensive alternating-current energy of an ingot [kWh/t].
        fuels: fuels beside electricity [kgce/t].

    >>> round(float(coal_equivalent(13_300.0)), 1)
    1634.6
    """
    return load_pack("energy")["energy.coal.calorific"].number("kgce_per_kwh") * array(ingot_energy) + array(
        fuels
    )


def coal_per_kwh(basis: Literal["calorific", "substitution"]) -> float:
    """Standard coal for a kilowatt-hour [kgce/kWh]: by heat (当量), or by what a power station burns (等价).

    >>> coal_per_kwh("calorific"), coal_per_kwh("substitution")
    (0.1229, 0.305)
    """
    return load_pack("energy")[f"energy.coal.{basis}"].number("kgce_per_kwh")


def energy_account(dc_energy: ArrayLike, site: SiteEnergy) -> dict[Metric, Consumption]:
    """Every metric of a direct-current consumption [kWh/t; kgce/t for the coal equivalent].

    Args:
        dc_energy: direct-current energy [kWh/t], any shape.
        site: what the site adds.

    >>> account = energy_account(12_600.0, SiteEnergy())
    >>> round(float(account[Metric.INGOT_COMPREHENSIVE_AC].value), 1)
    13207.1
    """
    liquid = ac_energy(dc_energy, site.rectifier_efficiency)
    comprehensive = liquid + site.auxiliary_kwh_per_t
    ingot = comprehensive + site.casting_kwh_per_t
    values = {
        Metric.DC: array(dc_energy),
        Metric.LIQUID_AC: liquid,
        Metric.LIQUID_COMPREHENSIVE_AC: comprehensive,
        Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION: comprehensive - site.desulphurisation_kwh_per_t,
        Metric.INGOT_COMPREHENSIVE_AC: ingot,
        Metric.INGOT_COAL_EQUIVALENT: coal_equivalent(ingot, site.fuels_kgce_per_t),
    }
    return {metric: Consumption(metric, np.asarray(value)) for metric, value in values.items()}
