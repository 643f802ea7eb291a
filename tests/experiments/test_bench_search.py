"""The search bench on small surfaces: its proof, its shares, and what it refuses."""

import pytest

from experiments.bench.search import SearchPlan, run
from experiments.bench.surrogates import Size, plant_like
from experiments.bench.table import Value
from features.errors import SettingsError
from serving.search.proof import best_of_grid, prove

QUICK = SearchPlan.quick()


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, str], dict[str, Value]]:
    found = run(cells=4, seed=11, plan=QUICK)
    names = [column.name for column in found.columns]
    rows = [dict(zip(names, row, strict=True)) for row in found.rows]
    assert found.meta.simulated
    return {(str(row["surface"]), str(row["method"])): row for row in rows}


def test_every_method_is_measured_on_both_surfaces(table: dict[tuple[str, str], dict[str, Value]]) -> None:
    assert {surface for surface, _ in table} == {"cell, 4 levers", "box, 8 levers"}
    methods = {method for _, method in table}
    assert methods == {
        "proof (HiGHS)",
        "descent (default)",
        "Optuna tpe, 60 trials",
        "Optuna nsga2, 60 trials",
    }
    for surface in ("cell, 4 levers", "box, 8 levers"):
        assert table[surface, "descent (default)"]["cells"] == 4
        assert table[surface, "Optuna tpe, 60 trials"]["cells"] == 2


def test_no_share_beats_the_proof_and_the_default_meets_it(
    table: dict[tuple[str, str], dict[str, Value]],
) -> None:
    for (_, method), row in table.items():
        assert row["reference"] == "proven"
        share = row["share_median"]
        if method != "proof (HiGHS)":
            assert isinstance(share, float)
            assert share <= 100.0 + 1e-3
    for surface in ("cell, 4 levers", "box, 8 levers"):
        share = table[surface, "descent (default)"]["share_worst"]
        assert isinstance(share, float)
        assert share >= 99.0


def test_the_drawn_cells_are_provable_and_have_something_to_gain() -> None:
    """The proof of a drawn cell, with its limits, is the best of its whole grid."""
    small = Size(rows=600, features=20, trees=8, leaves=6, members=2)
    surface = plant_like(2, 5, small)
    problem = surface.problem(1)
    proof = prove(problem)
    best, whole = best_of_grid(problem)
    assert whole
    assert proof is not None
    assert proof.bound == pytest.approx(best, abs=1e-5)
    assert float(problem.keys(problem.home[None, :])[0]) > best


def test_refuses_nothing_to_compare() -> None:
    with pytest.raises(SettingsError, match="cells is 0"):
        run(cells=0, plan=QUICK)
    with pytest.raises(SettingsError, match="stock_cells is 0"):
        SearchPlan(stock_cells=0)
    with pytest.raises(SettingsError, match=r"unknown methods \['annealing'\]"):
        SearchPlan(methods=("annealing",))
    with pytest.raises(SettingsError, match="at least 20 features"):
        Size(rows=100, features=8, trees=5, leaves=5, members=1)
