"""A tap target that stands for weeks leaves the planned metal level near the cell's own."""

import numpy as np
import pytest

from features.levers import default_levers
from features.metal_balance import BalanceSettings
from features.metal_pad import TAP, Pad, with_level_kept
from features.setpoints import OperatingWindow
from tests.fakes.columns import plant

DAYS, BAND_MM = 28.0, 15.0


@pytest.fixture
def window() -> OperatingWindow:
    return OperatingWindow(default_levers(plant()))


@pytest.mark.parametrize("above", [-12.0, 0.0, 9.0])
def test_every_target_on_offer_keeps_the_planned_level(window: OperatingWindow, above: float) -> None:
    pad = Pad(220.0 + above, 220.0, 3780.0)
    current = np.array([3.9, 40.0, 3780.0, 7300.0])
    targets = with_level_kept(window, pad, plant()).grid(current)[window.index(TAP)]
    planned = above + (pad.production_kg_d - targets) * DAYS / BalanceSettings.for_plant(plant()).kg_per_mm
    assert len(targets) > 3
    assert np.abs(planned).max() <= BAND_MM + 1e-9


def test_a_target_that_drains_the_pad_may_only_be_made_better(window: OperatingWindow) -> None:
    kept = with_level_kept(window, Pad(200.0, 220.0, 3600.0), plant())
    current = np.array([3.9, 40.0, 3800.0, 7300.0])
    assert kept.grid(current)[window.index(TAP)].max() == 3800.0


def test_the_other_levers_and_limits_stay_as_they_are(window: OperatingWindow) -> None:
    kept = with_level_kept(window, Pad(220.0, 220.0, 3780.0), plant())
    assert [one for one in kept.levers if one.name != TAP] == [
        one for one in window.levers if one.name != TAP
    ]
    without = OperatingWindow(tuple(lever for lever in window.levers if lever.name != TAP))
    assert with_level_kept(without, Pad(220.0, 220.0, 3780.0), plant()) is without
