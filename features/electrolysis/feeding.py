"""Alumina and fluoride in and out of the bath."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.faraday import alumina_demand
from features.relations import Array, array, relation

ALF3_KG_PER_KG_SODA: Final = 2.0 * 83.9767 / (3.0 * 61.9789)
"""AlF3 that a kilogram of Na2O turns into cryolite's NaF: 3Na2O + 2AlF3 -> 6NaF + Al2O3 [kg/kg]."""


@relation(
    unit="-",
    equation="s(t) = r + (1 - r)(1 - exp(-k t)), r = 0.6, k = 0.002 /s",
    source="public code CellModel, Global.py; the paper takes k = 0.005 /s",
    tag="V",
)
def dissolved_share(seconds: ArrayLike, fast_share: ArrayLike = 0.6, rate: ArrayLike = 0.002) -> Array:
    """Share of a shot of alumina that has dissolved [-].

    Args:
        seconds: time since the shot [s].
        fast_share: what dissolves at once [-].
        rate: rate constant of the rest [1/s].

    >>> round(float(dissolved_share(600.0)), 3)
    0.88
    """
    fast = array(fast_share)
    return fast - (1.0 - fast) * np.expm1(-array(rate) * array(seconds))


@relation(
    unit="wt%/h",
    equation="dA/dt = 100 (feed - 1.8895 * 8.05375 I CE/24)/m_bath",
    source="mass balance of dissolved alumina",
    tag="C",
)
def alumina_content_rate(
    dissolving: ArrayLike, line_current: ArrayLike, current_efficiency: ArrayLike, bath_mass: ArrayLike
) -> Array:
    """Speed at which the alumina content changes [wt%/h].

    Args:
        dissolving: alumina that dissolves [kg/h].
        line_current: line current [kA].
        current_efficiency: current efficiency [-], a fraction.
        bath_mass: liquid bath [kg].

    >>> round(float(alumina_content_rate(0.0, 500.0, 0.94, 12_000.0)), 2)
    -2.48
    """
    consumed = alumina_demand(line_current, current_efficiency) / 24.0
    return 100.0 * (array(dissolving) - consumed) / array(bath_mass)


@relation(
    unit="h",
    equation="t = 24 m_net/((f - 1) demand)",
    source="overfeed 1.5 times the demand, 25 kg net (public code CellModel, 126 kA)",
    tag="V",
)
def overfeed_duration(net_mass: ArrayLike, feed_factor: ArrayLike, demand: ArrayLike) -> Array:
    """Time that a feed above (or below) the demand takes to add (or draw) a mass of alumina [h].

    Args:
        net_mass: alumina to add, negative to draw down [kg].
        feed_factor: feed over demand [-].
        demand: alumina that the metal takes [kg/d].

    >>> round(float(overfeed_duration(25.0, 1.5, alumina_demand(126.0, 0.94))), 2)
    0.67
    """
    return 24.0 * array(net_mass) / ((array(feed_factor) - 1.0) * array(demand))


@relation(
    unit="kg/d", equation="AlF3 = 0.903 Na2O; 3Na2O + 2AlF3 -> 6NaF + Al2O3", source="stoichiometry", tag="C"
)
def alf3_for_soda(alumina_fed: ArrayLike, soda: ArrayLike) -> Array:
    """Aluminium fluoride that the soda in the alumina uses up [kg/d]; emission and lining come on top.

    Args:
        alumina_fed: alumina fed [kg/d].
        soda: Na2O in the alumina [wt%].

    >>> round(float(alf3_for_soda(7460.0, 0.4)), 1)
    27.0
    """
    return ALF3_KG_PER_KG_SODA * array(alumina_fed) * array(soda) / 100.0
