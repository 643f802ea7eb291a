"""Proofs against the whole grid, counted point by point."""

import numpy as np
import pytest

from features.errors import SearchError
from serving.search.descent import descend, starts
from serving.search.forms import cost_form, read_forms
from serving.search.graph import CutGraph
from serving.search.problem import Goal, Objective, Problem
from serving.search.proof import TreePart, best_of_grid, prove
from serving.search.specialise import Specialised
from tests.fakes import forests
from tests.fakes.graphs import FakeOutcome, write_graph
from training.structures import EnergyIdentity

OUTPUTS = ("energy_kwh_per_t", "net_anode_kg_per_t", "mean_noise_mv", "mean_bath_temperature_c.upper")


@pytest.mark.parametrize("seed", range(8))
def test_proof_is_the_best_of_the_whole_grid(seed: int) -> None:
    """With joint limits, predicted limits, a two-sided price and trees over several levers."""
    problem = forests.drawn(seed).problem
    best, whole = best_of_grid(problem)
    proof = prove(problem)
    assert whole
    assert proof is not None
    assert proof.proven
    assert proof.bound == pytest.approx(best, abs=1e-5)
    assert proof.key == pytest.approx(best, abs=1e-9)
    assert proof.unproved == ("support.low",)


def test_limits_bind_in_the_proof() -> None:
    """The limited optimum is worse than the free one somewhere, so the limits are in the programme."""
    worse = 0
    for seed in range(8):
        limited, free = forests.drawn(seed).problem, forests.drawn(seed, limited=False).problem
        bounds = [proof.bound for proof in (prove(limited), prove(free)) if proof is not None]
        assert bounds[0] >= bounds[1] - 1e-5
        worse += bounds[0] > bounds[1] + 1e-3
    assert worse > 2


def test_no_point_beats_the_bound_and_descent_meets_it() -> None:
    problem = forests.drawn(21, trees=40, leaves=16).problem
    proof = prove(problem)
    assert proof is not None
    keys = problem.keys(forests.grid_points(problem.sizes))
    assert (keys >= proof.bound - 1e-6).all()
    walk = descend(problem, starts(problem, 8, np.random.default_rng(0)))
    assert walk.best_key == pytest.approx(proof.bound, abs=1e-5)


def composed(seed: int) -> Problem:
    """A cell whose energy is an identity of two ensembles: no linear form."""
    draw = np.random.default_rng(seed)
    identity = EnergyIdentity(
        forests.ensemble(draw, 3.95, 10, 8, 2, 0.02), forests.ensemble(draw, 0.94, 10, 8, 2, 0.004)
    )
    graph = CutGraph(write_graph(forests.D, forests.LEVERS, {"energy_kwh_per_t": FakeOutcome(identity)}))
    row = forests.rows(draw, 1)[0]
    row[:3] = row[3:6]
    surrogate = Specialised(graph, row, [0, 1, 2], forests.WINDOW.grid(forests.CURRENT))
    goal = Goal(Objective({"energy_kwh_per_t": 0.45}))
    return Problem(surrogate, forests.WINDOW, forests.CURRENT, goal, frozenset(graph.outputs))


def test_an_identity_has_no_proof_but_its_trees_do() -> None:
    problem = composed(3)
    assert prove(problem) is None
    part = TreePart(problem)
    proof = part.prove()
    best, whole = best_of_grid(part)
    assert whole
    assert proof.proven
    assert proof.bound == pytest.approx(best, abs=1e-6)
    assert descend(part, starts(part, 8, np.random.default_rng(0))).best_key == pytest.approx(best, abs=1e-6)


def test_a_cautious_objective_is_not_proved() -> None:
    drawn = forests.drawn(3).problem
    names = frozenset({*OUTPUTS, "support", "energy_kwh_per_t.members"})
    careful = Objective({"energy_kwh_per_t": 1.0}, caution=1.0)
    problem = Problem(drawn.surrogate, drawn.window, drawn.current, Goal(careful), names)
    assert prove(problem) is None
    with pytest.raises(SearchError, match="caution 0"):
        TreePart(problem)


def test_a_form_is_its_output_everywhere() -> None:
    problem = forests.drawn(9).problem
    forms = read_forms(problem.surrogate, problem.home, OUTPUTS)
    points = forests.grid_points(problem.sizes)[::7]
    sums, actual = problem.surrogate.sums(points), problem.surrogate.evaluate(points, OUTPUTS)
    assert set(forms) == set(OUTPUTS)
    for name, form in forms.items():
        np.testing.assert_allclose(form.value(points, sums), actual[name], rtol=1e-9)
    cost = cost_form(problem, forms)
    assert cost is not None
    np.testing.assert_allclose(cost.value(points, sums), problem.score(points).cost, rtol=1e-9)


def test_an_identity_has_no_form() -> None:
    problem = composed(3)
    assert read_forms(problem.surrogate, problem.home, ("energy_kwh_per_t", "support")).keys() == {"support"}


def test_a_grid_too_large_is_sampled() -> None:
    problem = forests.drawn(2).problem
    sampled, whole = best_of_grid(problem, limit=500)
    assert not whole
    assert sampled >= best_of_grid(problem)[0]


def test_no_time_is_no_proof() -> None:
    with pytest.raises(SearchError, match="no proof within"):
        prove(forests.drawn(30, trees=120, leaves=24).problem, seconds=0.0)
