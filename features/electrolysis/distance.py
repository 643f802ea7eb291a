"""The anode-cathode distance: how it drifts, and the unrest of a metal pad that comes too near."""

import numpy as np
from numpy.typing import ArrayLike

from features.relations import Array, array, relation


@relation(unit="mm/d", equation="v = m_Al/(rho A)", source="mass balance of the pad", tag="C")
def metal_rise_rate(metal: ArrayLike, pad_area: ArrayLike, density: ArrayLike = 2300.0) -> Array:
    """Speed at which the metal level rises between taps [mm/d].

    Args:
        metal: metal made [kg/d].
        pad_area: area of the metal pad [m2].
        density: density of liquid aluminium [kg/m3].

    >>> round(float(metal_rise_rate(3785.0, 64.0)), 1)
    25.7
    """
    return array(metal) / (array(density) * array(pad_area)) * 1000.0


@relation(unit="mm/d", equation="dACD/dt = burn - rise - lowering", source="geometry", tag="C")
def distance_rate(burn: ArrayLike, rise: ArrayLike, lowering: ArrayLike = 0.0) -> Array:
    """Speed at which the anode-cathode distance grows [mm/d].

    Args:
        burn: speed at which the anodes' faces rise by consumption [mm/d].
        rise: speed at which the metal level rises [mm/d]; strongly negative during a tap.
        lowering: speed of the beam, downwards positive [mm/d].

    >>> round(float(distance_rate(15.5, 25.7)), 1)
    -10.2
    """
    return array(burn) - array(rise) - array(lowering)


@relation(
    unit="mV",
    equation="noise = base + gain exp((critical - ACD)/length)",
    source="form and size after plant experience: base 12-18 mV, critical distance 38-40 mm",
    tag="B",
)
def noise_from_distance(
    anode_cathode_distance: ArrayLike,
    critical_distance: ArrayLike = 3.9,
    base: ArrayLike = 14.0,
    gain: ArrayLike = 6.0,
    length: ArrayLike = 0.15,
) -> Array:
    """Voltage noise of a metal pad whose margin shrinks with the distance [mV].

    Args:
        anode_cathode_distance: distance from anode to metal [cm].
        critical_distance: distance at which the pad begins to roll [cm]; more with a shallow pad or sludge.
        base: noise of a calm pad [mV].
        gain: noise added at the critical distance [mV].
        length: distance over which it grows e-fold [cm].

    >>> round(float(noise_from_distance(4.2)), 1)
    14.8
    """
    nearness = (array(critical_distance) - array(anode_cathode_distance)) / array(length)
    return array(base) + array(gain) * np.exp(nearness)
