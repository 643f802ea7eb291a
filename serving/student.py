"""Student's t and the binomial tail: all that an interval needs, without a statistics library in the service."""

import math
from statistics import NormalDist


def quantile(freedom: int, probability: float) -> float:
    """Return Student's t quantile: the normal's, expanded in inverse degrees of freedom.

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.5; off by less than 0.001 from five degrees
    of freedom and a probability below 0.975 on.

    >>> round(quantile(10, 0.95), 3)
    1.812
    """
    z = NormalDist().inv_cdf(probability)
    n = float(freedom)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / n ** (power + 1) for power, term in enumerate(terms))


def tail(hits: int, trials: int, chance: float) -> float:
    """Return the probability of ``hits`` or more among ``trials`` that each hit with ``chance``.

    >>> round(tail(4, 8, 0.1), 5)
    0.00502
    """
    if hits <= 0:
        return 1.0
    whole = math.lgamma(trials + 1)
    logs = (
        whole
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(chance)
        + (trials - k) * math.log1p(-chance)
        for k in range(hits, trials + 1)
    )
    return min(1.0, math.fsum(math.exp(value) for value in logs))
