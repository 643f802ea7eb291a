"""The bath: ratio, liquidus, superheat, alumina saturation, metal solubility.

Compositions are wt% of the bath; AlF3 is the excess over cryolite. Two liquidus equations stand side by side on
purpose: they differ by 2-5 degC on industrial baths, which is the honest uncertainty of any computed superheat.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.relations import Array, array, relation


@dataclass(frozen=True, init=False, eq=False)
class Bath:
    """A bath composition [wt%], each entry of any shape that broadcasts with the others; NaN is "not known".

    Nothing is refused: a noisy analysis may be slightly negative, and a missing one must stay a missing answer.
    """

    excess_alf3: Array
    al2o3: Array
    caf2: Array
    lif: Array
    mgf2: Array
    kf: Array

    def __init__(
        self,
        excess_alf3: ArrayLike,
        al2o3: ArrayLike,
        caf2: ArrayLike = 0.0,
        lif: ArrayLike = 0.0,
        mgf2: ArrayLike = 0.0,
        kf: ArrayLike = 0.0,
    ) -> None:
        """Hold the six contents [wt%] as float64 arrays."""
        object.__setattr__(self, "excess_alf3", array(excess_alf3))
        object.__setattr__(self, "al2o3", array(al2o3))
        object.__setattr__(self, "caf2", array(caf2))
        object.__setattr__(self, "lif", array(lif))
        object.__setattr__(self, "mgf2", array(mgf2))
        object.__setattr__(self, "kf", array(kf))


_RATIO = "definition; public code CellModel, BathProperties.py"


def _cryolite_and_excess(bath: Bath) -> Array:
    return 100.0 - bath.al2o3 - bath.caf2 - bath.lif - bath.mgf2


@relation(
    unit="-",
    equation="BR = (1 - x)/(2/3 + x), x = AlF3/(100 - Al2O3 - CaF2 - LiF - MgF2)",
    source=_RATIO,
    tag="V",
)
def bath_ratio(bath: Bath) -> Array:
    """Weight ratio NaF to AlF3 of the bath [-].

    Args:
        bath: composition [wt%].

    >>> round(float(bath_ratio(Bath(10.5, al2o3=2.5, caf2=5.0))), 4)
    1.1363
    """
    share = bath.excess_alf3 / _cryolite_and_excess(bath)
    return (1.0 - share) / (2.0 / 3.0 + share)


@relation(unit="-", equation="CR = 2 BR", source=_RATIO, tag="V")
def cryolite_ratio(bath: Bath) -> Array:
    """Molar ratio NaF to AlF3 of the bath [-]: the "molecular ratio" of Chinese plants.

    Args:
        bath: composition [wt%].

    >>> round(float(cryolite_ratio(Bath(10.5, al2o3=2.5, caf2=5.0))), 2)
    2.27
    """
    return 2.0 * bath_ratio(bath)


@relation(
    unit="wt%",
    equation="AlF3 = (100 - others)(1 - CR/3)/(1 + CR/2), others = Al2O3 + CaF2 + LiF + MgF2",
    source="the bath ratio solved for the excess",
    tag="C",
)
def excess_alf3_from_ratio(molar_ratio: ArrayLike, other_contents: ArrayLike) -> Array:
    """Excess AlF3 of a bath whose laboratory reports the molar ratio [wt%].

    Args:
        molar_ratio: molar ratio NaF to AlF3 [-].
        other_contents: Al2O3 + CaF2 + LiF + MgF2 [wt%].

    >>> round(float(excess_alf3_from_ratio(2.2726, 7.5)), 2)
    10.5
    """
    ratio = array(molar_ratio)
    return (100.0 - array(other_contents)) * (1.0 - ratio / 3.0) / (1.0 + ratio / 2.0)


@relation(
    unit="degC",
    equation="T = 1011 + 0.50a - 0.13a^2.2 - 3.45c/(1+0.0173c) + 0.124ca - 0.00542(ca)^1.5"
    " - 7.93A/(1+0.0936A-0.0017A^2-0.0023aA) - 8.90L/(1+0.0047L+0.0010a^2) - 3.95M - 3.95K",
    source="Solheim, Rolseth, Skybakmoen, Stoen, Sterten, Store, Met. Trans. B 27B (1996) 739",
    tag="V",
    valid={"excess_alf3": (0, 20), "caf2": (0, 20), "lif": (0, 20), "mgf2": (0, 5), "kf": (0, 5)},
)
def liquidus_solheim_1996(bath: Bath) -> Array:
    """Liquidus temperature after Solheim and others, 1996 [degC]; Al2O3 up to saturation.

    Args:
        bath: composition [wt%]; a negative excess answers NaN.

    >>> round(float(liquidus_solheim_1996(Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3))), 1)
    963.7
    """
    a, alumina, c, lif = bath.excess_alf3, bath.al2o3, bath.caf2, bath.lif
    fluorides = 0.50 * a - 0.13 * a**2.2 - 3.45 * c / (1.0 + 0.0173 * c)
    mixed = 0.124 * c * a - 0.00542 * (c * a) ** 1.5
    oxide = 7.93 * alumina / (1.0 + 0.0936 * alumina - 0.0017 * alumina**2 - 0.0023 * a * alumina)
    lithium = 8.90 * lif / (1.0 + 0.0047 * lif + 0.0010 * a**2)
    return 1011.0 + fluorides + mixed - oxide - lithium - 3.95 * bath.mgf2 - 3.95 * bath.kf


@relation(
    unit="degC",
    equation="T = 1011 + 0.7a - 0.232a^2 - 7.65A + 0.523A^2 - 8.96L + 0.043L^2 - 3.32K - 0.12K^2"
    " - 3.28c + 0.037c^2 + 0.091aL + 0.074aK + 0.084ac - 0.27AL",
    source="liquidus of Li- and K-bearing industrial baths, J. Min. Metall. Sect. B (2014), abstract",
    tag="V",
    valid={"al2o3": (2, 4), "lif": (0, 7), "kf": (0, 7), "caf2": (0, 7), "cryolite_ratio": (2.2, 3.0)},
)
def liquidus_lithium_potassium_2014(bath: Bath) -> Array:
    """Liquidus temperature of Li- and K-bearing baths, 2014 [degC]; it knows no MgF2.

    Args:
        bath: composition [wt%].

    >>> round(float(liquidus_lithium_potassium_2014(Bath(11.0, al2o3=2.5, caf2=5.0, lif=1.5, kf=1.0))), 1)
    948.4
    """
    a, alumina, c, lif, k = bath.excess_alf3, bath.al2o3, bath.caf2, bath.lif, bath.kf
    linear = 0.7 * a - 7.65 * alumina - 8.96 * lif - 3.32 * k - 3.28 * c
    square = -0.232 * a**2 + 0.523 * alumina**2 + 0.043 * lif**2 - 0.12 * k**2 + 0.037 * c**2
    mixed = 0.091 * a * lif + 0.074 * a * k + 0.084 * a * c - 0.27 * alumina * lif
    return 1011.0 + linear + square + mixed


@relation(unit="degC", equation="SH = T - T_liq", source="definition", tag="C")
def superheat(bath_temperature: ArrayLike, liquidus: ArrayLike) -> Array:
    """Bath temperature above the liquidus [degC]: the margin that keeps the bath molten and the ledge thin.

    Args:
        bath_temperature: bath temperature [degC].
        liquidus: liquidus temperature [degC].

    >>> float(superheat(955.0, 946.0))
    9.0
    """
    return array(bath_temperature) - array(liquidus)


@relation(
    unit="wt%",
    equation="sat = alpha (T/1000)^beta; alpha = 11.9 - 0.062a - 0.0031a^2 - 0.20c - 0.50L - 0.30M"
    " + 42La/(2000 + La); beta = 4.8 - 0.048a + 2.2L^1.5/(10 + L + 0.001a^3)",
    source="Skybakmoen, Solheim, Sterten, Met. Trans. B 28B (1997) 81, 10.1007/s11663-997-0129-9",
    tag="V",
)
def alumina_saturation(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Alumina content at which the bath dissolves no more [wt%].

    Args:
        bath: composition [wt%]; its own Al2O3 plays no part.
        bath_temperature: bath temperature [degC].

    >>> round(float(alumina_saturation(Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3), 955.0)), 2)
    8.06
    """
    a, lif = bath.excess_alf3, bath.lif
    product = lif * a
    alpha = 11.9 - 0.062 * a - 0.0031 * a**2 - 0.20 * bath.caf2 - 0.50 * lif - 0.30 * bath.mgf2
    alpha = alpha + 42.0 * product / (2000.0 + product)
    beta = 4.8 - 0.048 * a + 2.2 * lif**1.5 / (10.0 + lif + 0.001 * a**3)
    return alpha * (array(bath_temperature) / 1000.0) ** beta


@relation(
    unit="wt%",
    equation="c = -0.2877 + 0.02685CR + 2.992e-4 t - 0.00192A - 0.00174c - 0.00288L",
    source="Odegard, Sterten, Thonstad, Met. Trans. B 19B (1988) 449; coefficients recalled",
    tag="B",
)
def metal_solubility(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Aluminium dissolved in the bath at saturation [wt%]: what the current efficiency loses from.

    Args:
        bath: composition [wt%].
        bath_temperature: bath temperature [degC].

    >>> round(float(metal_solubility(Bath(10.5, al2o3=2.5, caf2=5.0), 955.0)), 3)
    0.046
    """
    dissolved = -0.2877 + 0.02685 * cryolite_ratio(bath) + 2.992e-4 * array(bath_temperature)
    return dissolved - 0.00192 * bath.al2o3 - 0.00174 * bath.caf2 - 0.00288 * bath.lif


@relation(
    unit="wt%", equation="c x (m_0 / m)", source="conservation of a species that never freezes", tag="C"
)
def content_after_freezing(content: ArrayLike, liquid_mass: ArrayLike, frozen_mass: ArrayLike) -> Array:
    """Content of a species after cryolite has frozen out of the bath [wt%].

    The ledge takes cryolite only, so AlF3 concentrates as the bath cools: the self-regulation of every cell.

    Args:
        content: content before [wt%].
        liquid_mass: liquid bath before [kg].
        frozen_mass: cryolite frozen [kg]; negative where the ledge melts.

    >>> round(float(content_after_freezing(10.5, 8000.0, 400.0)), 3)
    11.053
    """
    mass = array(liquid_mass)
    return array(content) * mass / np.subtract(mass, array(frozen_mass))
