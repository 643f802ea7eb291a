"""The line and its twin: what is called truly saved is the moved cells' own, and verification tells of it."""

import numpy as np
import pytest

from experiments.bench.savings_twin import LOWER_V, Twins, judge, twins
from experiments.simulator.potline import Potline


@pytest.fixture(scope="module")
def pair() -> Twins:
    line = Potline("line-500", 14, 5)
    records = [line.step() for _ in range(60)]
    before = line.setpoints["set_voltage_v"].copy()
    found = twins(line, records, "random cells", np.random.default_rng(2))
    np.testing.assert_array_equal(line.setpoints["set_voltage_v"], before)
    return found


def test_only_the_moved_cells_are_moved(pair: Twins) -> None:
    moved = sorted(int(move.cell_id.rpartition("-")[2]) - 1 for move in pair.moves)
    others = [cell for cell in range(14) if cell not in moved]
    assert len(moved) == 6
    for own, still in zip(pair.lived, pair.otherwise, strict=True):
        settings = [day.cell_days["set_voltage_v"][others] for day in (own, still)]
        np.testing.assert_array_equal(*settings)
    # Neighbours exchange heat: the others feel the moved ones, a little at first.
    pairs = [days[0].truth["energy_kwh_per_t"][others] for days in (pair.lived, pair.otherwise)]
    assert np.abs(np.subtract(*pairs)).max() < 10.0
    first = (
        pair.lived[0].cell_days["set_voltage_v"][moved] - pair.otherwise[0].cell_days["set_voltage_v"][moved]
    )
    assert np.median(first) == pytest.approx(-LOWER_V, abs=0.011)


def test_what_was_truly_saved_is_told(pair: Twins) -> None:
    found = judge(pair)
    assert 15 < found.planted < 110, "25 mV are 80 kWh/t at a current efficiency that stays"
    assert found.told is not None
    assert found.told.lower < found.planted < found.told.upper
    assert found.cells_told >= 4
