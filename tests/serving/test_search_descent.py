"""The descent on landscapes whose optimum is known, and on random cells against their whole grid."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import SettingsError, UnknownNameError
from serving.search.descent import descend, starts
from serving.search.economy import fewest_levers
from serving.search.problem import BROKEN, Objective, Problem
from serving.search.proof import best_of_grid
from tests.fakes import forests

Points = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """A landscape from a function of grid points."""

    sizes: tuple[int, ...]
    home: Points
    function: object

    def keys(self, points: Points) -> Floats:
        return np.asarray(self.function(points), dtype=np.float64)  # type: ignore[operator]


def walk_from_home(land: Known, count: int = 4) -> Points:
    return np.asarray(descend(land, starts(land, count, np.random.default_rng(0))).best)


@given(best=st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(0, 20), st.integers(0, 10)))
@settings(max_examples=30, deadline=None)
def test_separable_quadratic(best: tuple[int, ...]) -> None:
    land = Known((41, 31, 21, 11), np.array([20, 15, 10, 5]), lambda p: np.square(p - best).sum(axis=1))
    assert walk_from_home(land).tolist() == list(best)


def test_a_narrow_diagonal_valley_is_walked_in_pairs() -> None:
    """One lever at a time stops at once; the optimum lies 15 diagonal steps away."""
    land = Known(
        (41, 41),
        np.array([5, 5]),
        lambda p: 100.0 * np.abs(p[:, 0] - p[:, 1]) + np.abs(p.sum(axis=1) - 40),
    )
    assert descend(land, land.home[None, :]).best.tolist() == [20, 20]


def test_slides_along_a_joint_limit() -> None:
    def keys(p: Points) -> Floats:
        return np.where(p.sum(axis=1) <= 30, -3.0 * p[:, 0] - 2.0 * p[:, 1], np.inf)

    assert descend(Known((31, 31), np.array([0, 30]), keys), np.array([[0, 30]])).best.tolist() == [30, 0]


def test_a_step_paid_for_far_away() -> None:
    """Each step down of lever 0 must be paid for by ten of lever 1: no line and no near pair leads on."""

    def keys(p: Points) -> Floats:
        return np.where(p[:, 1] == 10 * p[:, 0], p[:, 0], BROKEN + p[:, 0])

    land = Known((5, 41), np.array([4, 40]), keys)
    assert descend(land, land.home[None, :]).best.tolist() == [0, 0]


def test_other_starts_leave_a_local_hole() -> None:
    def keys(p: Points) -> Floats:
        hole = np.where((p <= 3).all(axis=1), -5.0, 0.0)
        return hole + np.where((p >= 8).all(axis=1), -9.0, 0.0)

    land = Known((16, 16, 16), np.array([2, 2, 2]), keys)
    assert descend(land, land.home[None, :]).best_key == -5.0
    assert descend(land, starts(land, 12, np.random.default_rng(1))).best_key == -9.0


def test_a_plateau_is_no_reason_to_move() -> None:
    land = Known((21, 21), np.array([7, 12]), lambda p: np.zeros(len(p)))
    assert descend(land, starts(land, 6, np.random.default_rng(2))).rests.tolist() == [[7, 12]]
    stepped = Known((21, 21), np.array([7, 12]), lambda p: np.where(p[:, 0] <= 4, -1.0, 0.0))
    assert walk_from_home(stepped).tolist() == [4, 12]


def test_only_free_levers_move() -> None:
    land = Known((11, 11), np.array([5, 5]), lambda p: p.sum(axis=1))
    walk = descend(land, land.home[None, :], (1,))
    assert walk.best.tolist() == [5, 0]


def test_milestones_end_where_starts_rest() -> None:
    land = Known((41, 41), np.array([20, 20]), lambda p: np.square(p - [3, 38]).sum(axis=1))
    walk = descend(land, starts(land, 5, np.random.default_rng(0)))
    milestones = land.keys(walk.milestones)
    assert milestones[0] == walk.keys[0]
    assert walk.milestones[int(np.argmin(milestones))].tolist() == [3, 38]
    assert {tuple(rest) for rest in walk.rests.tolist()} <= {
        tuple(point) for point in walk.milestones.tolist()
    }


def test_starts_skip_what_is_out_but_keep_home() -> None:
    land = Known((31, 31), np.array([1, 1]), lambda p: np.where(p.sum(axis=1) > 20, np.inf, 0.0))
    begin = starts(land, 30, np.random.default_rng(3))
    assert begin[0].tolist() == [1, 1]
    assert 5 < len(begin) < 30
    assert np.isfinite(land.keys(begin)).all()
    assert len(np.unique(begin, axis=0)) > 5
    assert starts(land, 1, np.random.default_rng(3)).tolist() == [[1, 1]]


def test_random_cells_against_their_whole_grid() -> None:
    """Random leaf values are rougher than any plant's model; still nearly every cell's optimum is found."""
    shares = []
    for seed in range(24):
        problem = forests.drawn(seed).problem
        best, whole = best_of_grid(problem)
        home = float(problem.keys(problem.home[None, :])[0])
        walk = descend(problem, starts(problem, 8, np.random.default_rng(seed)))
        assert whole
        assert walk.best_key >= best
        shares.append((home - walk.best_key) / (home - best) if home > best else 1.0)
    assert np.mean(np.array(shares) > 0.9999) >= 0.9
    assert np.mean(shares) > 0.98


@pytest.mark.parametrize("seed", range(6))
def test_what_is_found_keeps_every_limit(seed: int) -> None:
    problem = forests.drawn(seed).problem
    walk = descend(problem, starts(problem, 8, np.random.default_rng(0)))
    scores = problem.score(np.stack([walk.best, problem.home]))
    assert problem.window.feasible(forests.CURRENT, problem.surrogate.levers(walk.best[None, :])).all()
    assert (scores.excess <= 1e-9).all()
    assert problem.keeps(walk.best)
    assert scores.keys[0] == walk.best_key


def test_a_cell_outside_its_window_moves_no_further_out() -> None:
    """Among random cells some stand too hot or too noisy: no allowed setting is further out on that side."""
    outside = 0
    for seed in range(40):
        problem = forests.drawn(seed).problem
        points = forests.grid_points(problem.sizes)
        allowed = problem.keys(points) < 1e12
        today = problem.surrogate.evaluate(problem.home[None, :], ("mean_noise_mv",))["mean_noise_mv"][0]
        if today > 20.0:
            outside += 1
            noise = problem.surrogate.evaluate(points[allowed], ("mean_noise_mv",))["mean_noise_mv"]
            assert noise.max() <= today + 1e-9
            assert problem.keeps(problem.home)
    assert outside > 3


def test_fewest_levers_drops_what_earns_nothing() -> None:
    """Lever 0 earns 100, lever 1 earns 1, lever 2 earns nothing alone but is moved by the optimum."""

    def keys(p: Points) -> Floats:
        return np.asarray(-100.0 * (p[:, 0] >= 6) - 1.0 * (p[:, 1] >= 6) - 1e-4 * (p[:, 2] >= 6))

    land = Known((11, 11, 11), np.array([5, 5, 5]), keys)
    found = np.array([6, 6, 6])
    assert fewest_levers(land, found, 0.02).tolist() == [6, 5, 5]
    assert fewest_levers(land, found, 0.001).tolist() == [6, 6, 5]
    assert fewest_levers(land, found, 0.0).tolist() == [6, 6, 6]


def test_fewest_levers_searches_the_others_again() -> None:
    """Either lever alone can earn the gain, but from another setting than the optimum's."""

    def keys(p: Points) -> Floats:
        return np.asarray(-np.minimum(p.sum(axis=1) - 10.0, 8.0))

    land = Known((21, 21), np.array([5, 5]), keys)
    kept = fewest_levers(land, np.array([9, 9]), 0.01)
    assert (kept != land.home).sum() == 1
    assert land.keys(kept[None, :])[0] == -8.0


def test_fewest_levers_of_no_gain_is_home() -> None:
    land = Known((5, 5), np.array([2, 2]), lambda p: np.zeros(len(p)))
    assert fewest_levers(land, np.array([4, 4]), 0.1).tolist() == [2, 2]


def test_caution_minimises_the_upper_bound() -> None:
    """With caution the key is the mean cost plus so many standard deviations of the members' saving."""
    drawn = forests.drawn(5, members=4, limited=False).problem
    careful = Objective(drawn.goal.objective.prices, drawn.goal.objective.lever_prices, caution=1.6)
    problem = Problem(
        drawn.surrogate,
        drawn.window,
        drawn.current,
        type(drawn.goal)(careful, (), 0.0),
        frozenset(
            {
                *drawn.goal.objective.prices,
                "support",
                "energy_kwh_per_t.members",
                "net_anode_kg_per_t.members",
            }
        ),
    )
    points = forests.grid_points(problem.sizes)[::17]
    names = ("energy_kwh_per_t.members", "net_anode_kg_per_t.members")
    there = problem.surrogate.evaluate(points, names)
    here = problem.surrogate.evaluate(problem.home[None, :], names)
    saved = sum(p * (here[n] - there[n]) for p, n in zip((0.45, 5.0), names, strict=True))
    expected = drawn.score(points).cost + 1.6 * np.std(saved, axis=1, ddof=1)
    np.testing.assert_allclose(problem.score(points).cost, expected, rtol=1e-12)
    assert problem.keys(problem.home[None, :])[0] == pytest.approx(drawn.keys(drawn.home[None, :])[0])


def test_the_price_of_a_move_is_one_sided() -> None:
    problem = forests.drawn(1).problem
    home = problem.home
    points = np.stack([home, home + np.array([0, 3, 0]), home - np.array([0, 3, 0])])
    assert problem.lever_cost(points).tolist() == pytest.approx([0.0, 6.0, -1.5])


def test_refuses_prices_of_what_is_not_there() -> None:
    problem = forests.drawn(1).problem
    goal, outputs = type(problem.goal), frozenset({"energy_kwh_per_t", "support"})
    for objective, message in (
        (Objective({"net_anode_kg_per_t": 1.0}), "does not predict"),
        (
            Objective(
                {"energy_kwh_per_t": 1.0},
                {"line_current_ka": problem.goal.objective.lever_prices["alf3_dose_kg_d"]},
            ),
            "unknown lever 'line_current_ka'",
        ),
    ):
        with pytest.raises(UnknownNameError, match=message):
            Problem(problem.surrogate, problem.window, problem.current, goal(objective), outputs)
    with pytest.raises(SettingsError, match="needs the members"):
        Problem(
            problem.surrogate,
            problem.window,
            problem.current,
            goal(Objective({"energy_kwh_per_t": 1.0}, caution=1.0)),
            outputs,
        )
    with pytest.raises(SettingsError, match="price at least one outcome"):
        Objective({})
