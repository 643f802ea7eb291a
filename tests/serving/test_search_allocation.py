"""The chosen moves against every subset there is, and what a budget does."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SettingsError
from serving.search.allocation import NORMAL, Budget, Option, allocate, feasible, objective


def drawn(seed: int, cells: int, members: int = 5) -> list[Option]:
    """Cells with a voltage move, a dose move and both, gains shared by the members in part."""
    draw = np.random.default_rng(seed)
    options = []
    for cell in range(cells):
        volts, dose = draw.choice([-0.02, -0.01, 0.01]), draw.choice([-5.0, 4.0, 10.0])
        shared = draw.normal(0, 20, members) * (cell % 3 - 1)
        one = draw.normal(40, 30) + shared + draw.normal(0, 5, members)
        other = draw.normal(20, 30) + draw.normal(0, 15, members)
        name = f"L1/{cell}"
        options += [
            Option(name, {"set_voltage_v": volts}, tuple(one), (1,)),
            Option(name, {"alf3_dose_kg_d": dose}, tuple(other), (1, 1)),
            Option(
                name, {"set_voltage_v": volts, "alf3_dose_kg_d": dose}, tuple(one + 0.8 * other), (1, 1, 1)
            ),
        ]
    return options


def best_of_all(options: list[Option], budget: Budget) -> float:
    gains = np.array([option.gains for option in options])
    every = chain.from_iterable(combinations(range(len(options)), size) for size in range(len(options) + 1))
    return max(
        objective(gains, picked, budget.caution)[0] for picked in every if feasible(options, picked, budget)
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    moves=st.none() | st.integers(0, 4),
    alf3=st.none() | st.floats(0, 15),
    volts=st.none() | st.floats(0, 0.03),
    caution=st.floats(0, 2),
)
def test_no_subset_is_better(
    seed: int, moves: int | None, alf3: float | None, volts: float | None, caution: float
) -> None:
    options, budget = drawn(seed, 4), Budget(moves, alf3, volts, caution)
    found = allocate(options, budget)
    assert feasible(options, found.chosen, budget)
    assert found.objective == pytest.approx(best_of_all(options, budget), abs=1e-5)
    assert found.gap == 0.0


def test_shared_errors_do_not_average_out() -> None:
    """Ten cells whose gains fail together against one that is sure: caution takes the sure one alone."""
    shared = [Option(f"L1/{i}", {"set_voltage_v": -0.01}, (-20.0, 50.0), (1,)) for i in range(10)]
    sure = Option("L1/sure", {"set_voltage_v": -0.01}, (10.0, 10.0), (1,))
    bold = allocate([*shared, sure], Budget(caution=0.0))
    wary = allocate([*shared, sure], Budget(caution=1.0))
    assert len(bold.chosen) == 11
    assert bold.deviation == pytest.approx(NORMAL * 350.0)
    assert wary.chosen == (10,)


def test_opposite_errors_hedge() -> None:
    """Two moves that fail in opposite worlds are safe together, and neither is alone."""
    pair = [
        Option("L1/a", {"set_voltage_v": -0.01}, (-15.0, 25.0), (1,)),
        Option("L1/b", {"set_voltage_v": -0.01}, (25.0, -15.0), (1,)),
    ]
    budget = Budget(caution=1.0)
    assert set(allocate(pair, budget).chosen) == {0, 1}
    assert allocate(pair[:1], budget).chosen == ()


def test_a_staged_move_uses_the_budget_of_every_day_it_takes() -> None:
    long = Option("L1/long", {"set_voltage_v": -0.04}, (50.0, 50.0), (1, 1))
    short = Option("L1/short", {"set_voltage_v": -0.01}, (30.0, 30.0), (1,))
    late = Option("L1/late", {"alf3_dose_kg_d": 5.0}, (28.0, 28.0), (1, 1))
    found = allocate([long, short, late], Budget(moves_a_day=2, caution=0.0))
    assert set(found.chosen) == {0, 1}
    assert found.binding == ("moves_a_day",)
    assert allocate([long, short, late], Budget(moves_a_day=3)).binding == ()


def test_the_order_is_by_what_would_be_lost() -> None:
    options = [
        Option(f"L1/{i}", {"set_voltage_v": -0.01}, (float(gain),) * 3, (1,))
        for i, gain in enumerate((5, 9, 7))
    ]
    found = allocate(options, Budget(moves_a_day=3))
    assert found.chosen == (1, 2, 0)
    assert [found.worth[at] for at in found.chosen] == pytest.approx([9.0, 7.0, 5.0])


def test_voltage_lowered_here_pays_for_voltage_raised_there() -> None:
    up = Option("L1/up", {"set_voltage_v": 0.02}, (30.0, 30.0), (1,))
    down = Option("L1/down", {"set_voltage_v": -0.02}, (1.0, 1.0), (1,))
    assert allocate([up], Budget(line_voltage_v=0.005)).chosen == ()
    assert set(allocate([up, down], Budget(line_voltage_v=0.005)).chosen) == {0, 1}


def test_a_line_of_three_hundred_cells_is_solved_to_the_proof() -> None:
    found = allocate(drawn(3, 300), Budget(moves_a_day=60, alf3_kg_d=100.0, line_voltage_v=0.2), seconds=600)
    assert found.gap <= 1e-4
    assert found.objective <= found.bound


def test_nothing_to_choose_from_and_nonsense() -> None:
    assert allocate([], Budget()).chosen == ()
    with pytest.raises(SettingsError, match="moves_a_day is -1"):
        Budget(moves_a_day=-1)
    with pytest.raises(SettingsError, match="finite gains"):
        Option("L1/a", {}, (1.0,), (1,))
    with pytest.raises(SettingsError, match="members"):
        allocate(
            [
                Option("L1/a", {"set_voltage_v": 0.1}, (1.0,), (1,)),
                Option("L1/b", {"set_voltage_v": 0.1}, (1.0, 2.0), (1,)),
            ],
            Budget(),
        )
