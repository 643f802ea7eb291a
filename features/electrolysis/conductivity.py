"""Electrical conductivity of the bath: four correlations that differ by some 5 %, about 55 mV of bath drop.

Choose one and let the fitted anode-cathode distance take up the difference.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from features.electrolysis.bath import Bath
from features.relations import Array, array, relation

KELVIN: Final = 273.15
"""Zero degrees Celsius [K]."""


@relation(
    unit="S/cm",
    equation="ln k = 1.977 - 0.0200A - 0.0131a - 0.0060c - 0.0106M - 0.0019K + 0.0121L - 1204.3/T",
    source="Hives and others, Met. Mat. Trans. B (1996), 10.1007/BF02915051; public code",
    tag="V",
)
def conductivity_hives(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Conductivity after Hives and others [S/cm].

    Args:
        bath: composition [wt%].
        bath_temperature: bath temperature [degC].

    >>> round(float(conductivity_hives(Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3), 955.0)), 3)
    2.172
    """
    kelvin = array(bath_temperature) + KELVIN
    oxides = 1.977 - 0.0200 * bath.al2o3 - 0.0131 * bath.excess_alf3 - 0.0060 * bath.caf2
    salts = -0.0106 * bath.mgf2 - 0.0019 * bath.kf + 0.0121 * bath.lif
    return np.exp(oxides + salts - 1204.3 / kelvin)


@relation(
    unit="S/cm",
    equation="ln k = 1.9362 + 0.3092BWR - 0.004132c - 0.01755A + 0.008123L - 0.00398M - 1751.1/T;"
    " BWR = (NaF/41.99 + L/25.94 - M/62.31)/(2(a + 2NaF/3)/83.98), NaF = 0.6(100 - a - A - c - L - M)",
    source="Wang/Tabereaux form (attribution B); public code CellModel",
    tag="V",
)
def conductivity_wang(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Conductivity in the Wang/Tabereaux form [S/cm].

    Args:
        bath: composition [wt%].
        bath_temperature: bath temperature [degC].

    >>> round(float(conductivity_wang(Bath(10.3, al2o3=4.2, caf2=7.0, mgf2=0.3), 963.0)), 4)
    2.1451
    """
    kelvin = array(bath_temperature) + KELVIN
    a, c, lif, m = bath.excess_alf3, bath.caf2, bath.lif, bath.mgf2
    sodium_fluoride = 0.6 * (100.0 - a - bath.al2o3 - c - lif - m)
    aluminium_fluoride = 2.0 * (a + 2.0 * sodium_fluoride / 3.0) / 83.98
    ratio = (sodium_fluoride / 41.99 + lif / 25.94 - m / 62.31) / aluminium_fluoride
    contents = -0.004132 * c - 0.01755 * bath.al2o3 + 0.008123 * lif - 0.00398 * m
    return np.exp(1.9362 + 0.3092 * ratio + contents - 1751.1 / kelvin)


@relation(
    unit="S/cm",
    equation="k = -7.332 + 1.742e-2T - 7.313e-6T^2 - 1.866e-4a^2 - 2.824e-5aT + 4.613e-2L + 2.046e-4L^2"
    " - 4.695e-5AT + 2.462e-4aL + 2.003e-3aA - 5.546e-5aLA (T in degC)",
    source="Chrenkova, Danek, Silny, Utigard, Light Metals 1996, 227; public code",
    tag="V",
)
def conductivity_chrenkova(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Conductivity after Chrenkova and others [S/cm]; it knows no CaF2, MgF2 or KF.

    Args:
        bath: composition [wt%].
        bath_temperature: bath temperature [degC].

    >>> round(float(conductivity_chrenkova(Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3), 955.0)), 3)
    2.271
    """
    t = array(bath_temperature)
    a, alumina, lif = bath.excess_alf3, bath.al2o3, bath.lif
    pure = -7.332 + 1.742e-2 * t - 7.313e-6 * t**2 - 1.866e-4 * a**2 - 2.824e-5 * a * t
    salts = 4.613e-2 * lif + 2.046e-4 * lif**2 - 4.695e-5 * alumina * t
    return pure + salts + 2.462e-4 * a * lif + 2.003e-3 * a * alumina - 5.546e-5 * a * lif * alumina


@relation(
    unit="S/cm",
    equation="k = exp(2.496 - 2068.4/(273 + T) - 2.07 x), x mass fraction of Al2O3",
    source="public code of NTNU (Costa-aluminum); Choudhary type, attribution B",
    tag="V",
)
def conductivity_ntnu(bath: Bath, bath_temperature: ArrayLike) -> Array:
    """Conductivity in the short NTNU form [S/cm]: temperature and alumina alone.

    Args:
        bath: composition [wt%]; only its Al2O3 plays a part.
        bath_temperature: bath temperature [degC].

    >>> round(float(conductivity_ntnu(Bath(10.5, al2o3=2.5), 955.0)), 3)
    2.138
    """
    return np.exp(2.496 - 2068.4 / (273.0 + array(bath_temperature)) - 2.07 * bath.al2o3 / 100.0)
