"""What a move saves, and how sure that is: members compared one by one, because their errors are shared.

Each member is one draw of what is believed of the levers' effects, so the spread of the members' savings estimates the
standard error of the saving itself; it is not divided by the root of their number, which would only say how well five
draws know their own mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from features.bundle import LOWER, MEMBERS, UPPER
from features.errors import SettingsError
from serving.schemas import Estimate

Floats = NDArray[np.float64]
Outputs = Mapping[str, Floats]


@dataclass(frozen=True)
class Pricing:
    """Money per unit of each outcome, and what the levers' own change costs a tonne (positive costs more)."""

    prices: Mapping[str, float]
    lever_cost: float = 0.0


def saving(outputs: Outputs, outcome: str, confidence: float) -> Estimate | None:
    """Return what row -1 of ``outputs`` saves of ``outcome`` against row 0; None where members are not answered."""
    if outcome + MEMBERS not in outputs:
        return None
    members = outputs[outcome + MEMBERS]
    return estimate(members[0] - members[-1], confidence)


def cost_saving(outputs: Outputs, pricing: Pricing, confidence: float) -> Estimate | None:
    """Return what row -1 saves of the cost of a tonne against row 0; None where members are not answered."""
    members = cost_members(outputs, pricing)
    return None if members is None else estimate(members, confidence)


def in_one_horizon(expected: Estimate, outputs: Outputs, pricing: Pricing) -> Estimate:
    """Return what one cell will show of the ``expected`` saving of cost over one horizon.

    The bounds add what the outcomes' intervals say of a cell and week at the setting of row -1. Energy and carbon both
    hang on current efficiency, so their errors are taken as one, and so are those of the expectation.
    """
    chance = sum(
        price * float(outputs[name + UPPER][-1] - outputs[name + LOWER][-1]) / 2
        for name, price in pricing.prices.items()
    )
    return Estimate(mean=expected.mean, lower=expected.lower - chance, upper=expected.upper + chance)


def cost_members(outputs: Outputs, pricing: Pricing) -> Floats | None:
    """Return what row -1 saves of the cost of a tonne against row 0, by each member (m,); None without members."""
    if any(name + MEMBERS not in outputs for name in pricing.prices):
        return None
    saved = [
        price * (outputs[name + MEMBERS][0] - outputs[name + MEMBERS][-1])
        for name, price in pricing.prices.items()
    ]
    return np.asarray(np.sum(saved, axis=0) - pricing.lever_cost)


def estimate(members: Floats, confidence: float) -> Estimate | None:
    """Return mean and one-sided bounds of ``members`` (m,) at ``confidence``; None for a single member."""
    if len(members) < 2:
        return None
    mean, reach = float(members.mean()), quantile(len(members), confidence) * float(members.std(ddof=1))
    return Estimate(mean=mean, lower=mean - reach, upper=mean + reach)


def quantile(members: int, confidence: float) -> float:
    """Return Student's t quantile with ``members - 1`` degrees of freedom, one-sided.

    Raises:
        SettingsError: fewer than two members, or a confidence outside 0.5..1.
    """
    if members < 2 or not 0.5 <= confidence < 1.0:
        raise SettingsError(
            f"a confidence of {confidence} with {members} members; give 0.5 to below 1 and two or more"
        )
    return float(stdtrit(members - 1, confidence))
