"""What one cell will show over one horizon is wider than what is expected of it, by what its outcomes leave open."""

import numpy as np
import pytest

from features.bundle import LOWER, UPPER
from serving.savings import Pricing, in_one_horizon
from serving.schemas import Estimate


def test_the_outcomes_own_intervals_are_added_at_their_prices() -> None:
    outputs = {
        "energy_kwh_per_t" + LOWER: np.array([0.0, 12000.0]),
        "energy_kwh_per_t" + UPPER: np.array([9.9, 12160.0]),
        "net_anode_kg_per_t" + LOWER: np.array([0.0, 408.0]),
        "net_anode_kg_per_t" + UPPER: np.array([0.0, 416.0]),
    }
    pricing = Pricing({"energy_kwh_per_t": 0.5, "net_anode_kg_per_t": 5.0}, lever_cost=3.0)
    found = in_one_horizon(Estimate(mean=30.0, lower=20.0, upper=40.0), outputs, pricing)
    assert found.mean == 30.0
    assert found.lower == pytest.approx(20.0 - 80.0 * 0.5 - 4.0 * 5.0)
    assert found.upper == pytest.approx(40.0 + 80.0 * 0.5 + 4.0 * 5.0)
