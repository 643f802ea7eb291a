"""A potline as a store of electricity: how much a band of power over some hours amounts to."""

from numpy.typing import ArrayLike

from features.relations import Array, array, relation


@relation(
    unit="MWh", equation="W = P b t", source="TRIMET Essen: 93 MW, 25 %, 48 h give its 1,120 MWh", tag="C"
)
def storage_capacity(power: ArrayLike, band: ArrayLike, hours: ArrayLike) -> Array:
    """Electricity that a line can take or leave around its normal power [MWh].

    Args:
        power: normal power of the line [MW].
        band: share of it by which the line may move [-].
        hours: time that it may stay moved [h].

    >>> float(storage_capacity(93.0, 0.25, 48.0))
    1116.0
    """
    return array(power) * array(band) * array(hours)


@relation(unit="CNY/t", equation="d(share) E p/1000", source="one certificate is 1 MWh", tag="C")
def certificate_cost(energy: ArrayLike, share_points: ArrayLike, price: ArrayLike) -> Array:
    """Cost of raising the renewable share by certificates [CNY/t].

    Args:
        energy: alternating-current energy [kWh/t].
        share_points: points of the renewable share to buy [percentage points].
        price: price of a certificate [CNY/MWh].

    >>> round(float(certificate_cost(13_500.0, 1.0, 5.57)), 2)
    0.75
    """
    return array(energy) * array(share_points) / 100.0 * array(price) / 1000.0
