"""Carbon as the rules count it: factor sets with their editions, warming potentials with their vintage, the grid.

Direct emissions are anodes and anode effects; electricity is reported beside them and never added in, because
neither the national market nor the border mechanism counts it for aluminium. The slope method does not see
low-voltage emissions, so PFC is a lower bound.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.carbon import anode_co2, c2f6_from_cf4, cf4_by_slope, pfc_co2_equivalent
from features.errors import SettingsError, UnknownNameError
from features.policy.rules import Rule, load_pack, rules_of
from features.relations import Array, array, relation

Vintage = Literal["sar", "ar4", "ar5", "ar6"]
GridKind = Literal["average", "residual", "fossil", "ex_traded_nonfossil"]
CURRENT_GUIDE: Final = "carbon.cn.2024"


@dataclass(frozen=True)
class CarbonFactors:
    """One guide's factors with one vintage of warming potentials."""

    guide: Rule
    potentials: Rule


def carbon_factors(guide: str = CURRENT_GUIDE, vintage: Vintage = "ar5") -> CarbonFactors:
    """The factors of a guide, by rule id, and the warming potentials of an assessment report.

    Raises:
        UnknownNameError: there is no such guide or vintage.

    >>> carbon_factors().potentials.number("cf4")
    6630.0
    """
    return CarbonFactors(_rule(guide), _rule(f"gwp.{vintage}"))


def _rule(rule_id: str) -> Rule:
    pack = load_pack("carbon")
    if rule_id not in pack:
        raise UnknownNameError(f"the carbon pack has no rule {rule_id!r}; it has {', '.join(pack)}")
    return pack[rule_id]


@dataclass(frozen=True, eq=False)
class DirectEmissions:
    """Direct emissions of electrolysis, all [t CO2e/t]."""

    anode: Array
    pfc: Array

    @property
    def total(self) -> Array:
        """Anodes and anode effects together [t CO2e/t]."""
        return self.anode + self.pfc


@relation(
    unit="t/t",
    equation="E = NC (1 - S - A) 44/12 + (CF4 GWP4 + C2F6 GWP6)/1000",
    source="企业温室气体排放核算与报告指南 铝冶炼行业 CETS-AG-04.01-V01-2024, as implemented in public code",
    tag="V2",
)
def direct_emissions(
    net_anode: ArrayLike | None, effect_minutes: ArrayLike | None, factors: CarbonFactors
) -> DirectEmissions:
    """Direct emissions of a tonne of metal; the guide's defaults stand in where the plant has no figure.

    Args:
        net_anode: net anode consumption, ash and sulphur included [kg/t], or None for the guide's default.
        effect_minutes: minutes in anode effect a cell and day [min/d], or None for the guide's default.
        factors: guide and warming potentials.

    >>> emissions = direct_emissions(400.0, 0.1, carbon_factors())
    >>> round(float(emissions.anode), 5), round(float(emissions.pfc), 5)
    (1.43147, 0.11068)
    """
    guide, potentials = factors.guide, factors.potentials
    consumed = guide.number("net_anode_kg_per_t") if net_anode is None else net_anode
    if effect_minutes is None:
        cf4, c2f6 = array(guide.number("cf4_kg_per_t")), array(guide.number("c2f6_kg_per_t"))
    else:
        cf4 = cf4_by_slope(effect_minutes, guide.number("slope"))
        c2f6 = c2f6_from_cf4(cf4, guide.number("c2f6_ratio"))
    anode = anode_co2(consumed, guide.number("sulphur"), guide.number("ash")) / 1000.0
    return DirectEmissions(
        anode, pfc_co2_equivalent(cf4, c2f6, potentials.number("cf4"), potentials.number("c2f6")) / 1000.0
    )


def grid_factor(kind: GridKind, year: int, region: str = "") -> Rule:
    """The grid factor published for a year, or the latest before it; the rule names its own year.

    Args:
        kind: national average, residual mix, fossil power or the average without market-traded non-fossil power.
        year: year of the consumption.
        region: one of the grid regions (average only), or the whole country.

    Raises:
        UnknownNameError: nothing was published for that year or before, or there is no such region.

    >>> grid_factor("average", 2022).number("kg_co2_per_kwh")
    0.5366
    """
    family = f"grid.cn.{kind}.{region}" if region else f"grid.cn.{kind}"
    rules = [rule for rule in rules_of("grid", family) if rule.valid_from.year <= year]
    if not rules:
        raise UnknownNameError(
            f"no {family} is known for {year} or before; use a later year or another factor"
        )
    return rules[-1]


@relation(unit="t/t", equation="E = kWh f/1000", source="location-based method", tag="C")
def electricity_co2(energy: ArrayLike, grid: Rule) -> Array:
    """Carbon dioxide of the electricity by its location [t CO2/t].

    Args:
        energy: alternating-current energy [kWh/t].
        grid: the grid factor.

    >>> round(float(electricity_co2(13_500.0, grid_factor("average", 2023))), 3)
    7.163
    """
    return array(energy) * grid.number("kg_co2_per_kwh") / 1000.0


@relation(unit="t/t", equation="E = kWh (1 - evidenced) f_res/1000", source="market-based method", tag="C")
def electricity_co2_market(energy: ArrayLike, evidenced_share: ArrayLike, residual: Rule) -> Array:
    """Carbon dioxide of the electricity by its contracts [t CO2/t]; what has no evidence counts as residual mix.

    Args:
        energy: alternating-current energy [kWh/t].
        evidenced_share: share of it under certificates or contracts of non-fossil power [-].
        residual: the residual-mix factor.

    Raises:
        SettingsError: the factor is not that of a residual mix.

    >>> round(float(electricity_co2_market(13_500.0, 0.0, grid_factor("residual", 2023))), 2)
    8.23
    """
    if not residual.family.startswith("grid.cn.residual"):
        raise SettingsError(
            f"{residual.id} is no residual mix; the market-based method needs grid.cn.residual"
        )
    return (1.0 - array(evidenced_share)) * electricity_co2(energy, residual)


@relation(unit="-", equation="(own + certificates - both)/total", source="one certificate is 1 MWh", tag="V2")
def renewable_share(
    total: ArrayLike, renewable: ArrayLike, certificates: ArrayLike, certificates_of_renewable: ArrayLike
) -> Array:
    """Renewable share of the electricity, certificates that belong to counted power not counted twice [-].

    Args:
        total: electricity consumed [MWh].
        renewable: renewable electricity by own plants and contracts [MWh].
        certificates: certificates held [MWh].
        certificates_of_renewable: those of them that belong to ``renewable`` [MWh].

    >>> float(renewable_share(1000.0, 200.0, 150.0, 100.0))
    0.25
    """
    counted = array(renewable) + array(certificates) - array(certificates_of_renewable)
    return np.minimum(counted / array(total), 1.0)


@relation(
    unit="t", equation="0.405 t CO2 per t limestone", source="national guide of 2013, public code", tag="V2"
)
def limestone_co2(limestone: ArrayLike) -> Array:
    """Carbon dioxide of the limestone that desulphurisation uses [t].

    Args:
        limestone: limestone [t].

    >>> float(limestone_co2(100.0))
    40.5
    """
    return _rule("carbon.limestone").number("t_co2_per_t") * array(limestone)


@relation(unit="CNY/t", equation="dNC (1 - S - A) 44/12 p/1000", source="price of an allowance", tag="C")
def anode_saving_value(net_anode_saving: ArrayLike, co2_price: ArrayLike, factors: CarbonFactors) -> Array:
    """What a saving of net anode is worth in allowances [CNY/t]: small beside the anode itself.

    Args:
        net_anode_saving: net anode saved [kg/t].
        co2_price: price of an allowance [CNY/t CO2].
        factors: guide with sulphur and ash.

    >>> round(float(anode_saving_value(10.0, 69.3, carbon_factors())), 2)
    2.48
    """
    saved = anode_co2(net_anode_saving, factors.guide.number("sulphur"), factors.guide.number("ash"))
    return saved * array(co2_price) / 1000.0


def market_covers(annual_t_co2: float) -> bool:
    """Whether a company's yearly emissions put it under the national market.

    >>> market_covers(26_000.0), market_covers(25_999.0)
    (True, False)
    """
    return annual_t_co2 >= _rule("ets.cn.al").number("threshold_t_co2_per_a")
