"""Searches as Optuna studies: what they hold, and that no sampler leaves the feasible set."""

import numpy as np
import optuna
import pytest

from features.errors import SettingsError, UnknownNameError
from serving.search import samplers
from serving.search.proof import best_of_grid
from serving.search.samplers import METHODS, DescentSampler
from serving.search.study import LEVERS, SearchSettings, search
from tests.fakes import forests

STOCK = [name for name in METHODS if name != "descent"]


def settings_of(name: str) -> SearchSettings:
    return SearchSettings(name, {"gp": 12, "nsga2": 100}.get(name, 36), seed=3)


@pytest.mark.parametrize("name", METHODS)
def test_study_holds_todays_setting_and_every_trial(name: str) -> None:
    problem = forests.drawn(2).problem
    found = search(problem, settings_of(name))
    trials = found.study.trials
    first = trials[0]
    assert first.params == dict(zip(problem.window.names, forests.CURRENT.tolist(), strict=True))
    assert first.value == pytest.approx(found.home_key)
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
    told = settings_of(name).trials
    assert name == "descent" or len(trials) == 1 + (told or 0)
    settings = np.array(
        [[trial.user_attrs[LEVERS][lever] for lever in problem.window.names] for trial in trials]
    )
    assert problem.window.feasible(forests.CURRENT, settings).all()
    keys = problem.keys(problem.surrogate.points(settings))
    assert found.key == keys.min()
    assert found.gain >= 0.0
    assert problem.keeps(found.point)


@pytest.mark.parametrize("name", METHODS)
def test_constraints_stand_on_the_trials(name: str) -> None:
    """A trial is feasible for Optuna exactly where the problem keeps every predicted limit."""
    problem = forests.drawn(2).problem
    broken = 0
    for trial in search(problem, settings_of(name)).study.trials:
        setting = [trial.user_attrs[LEVERS][lever] for lever in problem.window.names]
        point = problem.surrogate.points(np.array([setting]))[0]
        if METHODS[name].constrained:
            assert set(trial.constraints) == set(problem.sides)
            feasible = all(value <= 0.0 for value in trial.constraints.values())
            assert feasible == problem.keeps(point)
            broken += not feasible
        else:
            assert (trial.value is not None and trial.value < 1e12) == problem.keeps(point)
    assert name in ("descent", "cmaes") or broken > 0


@pytest.mark.parametrize("name", [name for name in METHODS if name != "gp"])
def test_same_seed_same_trials(name: str) -> None:
    def values() -> list[float | None]:
        return [trial.value for trial in search(forests.drawn(7).problem, settings_of(name)).study.trials]

    assert values() == values()


def test_the_default_finds_the_best_of_the_grid() -> None:
    problem = forests.drawn(11).problem
    found = search(problem, SearchSettings())
    assert found.key == pytest.approx(best_of_grid(problem)[0], abs=1e-9)
    best = found.study.best_trial
    assert best.value == pytest.approx(found.key)
    assert [best.params[name] for name in problem.window.names] == pytest.approx(
        problem.surrogate.levers(found.point[None, :])[0].tolist()
    )


def test_the_sampler_serves_a_plain_optuna_study() -> None:
    """Any objective may be optimised with it; every proposal is a setting of the grid."""
    problem = forests.drawn(4).problem
    study = optuna.create_study(sampler=DescentSampler(problem, count=3, seed=1))
    ends = dict(zip(problem.window.names, np.transpose(problem.window.bounds(forests.CURRENT)), strict=True))

    def objective(trial: optuna.Trial) -> float:
        levers = [trial.suggest_float(name, *end.tolist()) for name, end in ends.items()]
        trial.suggest_categorical("elsewhere", ["a", "b"])
        return float(problem.keys(problem.surrogate.points(np.array([levers])))[0])

    study.optimize(objective, n_trials=40)
    assert study.best_value <= search(problem, SearchSettings(starts=3, seed=1)).key + 1e-9
    points = {tuple(trial.params[name] for name in problem.window.names) for trial in study.trials}
    assert len(points) > 12


def test_more_trials_walk_on_from_new_starts() -> None:
    problem = forests.drawn(4).problem
    few = search(problem, SearchSettings(starts=2))
    many = search(problem, SearchSettings(starts=2, trials=len(few.study.trials) + 30))
    assert len(many.study.trials) > len(few.study.trials) + 20
    assert many.key <= few.key


def test_a_stored_study_is_kept() -> None:
    storage = "sqlite:///:memory:"
    found = search(forests.drawn(4).problem, SearchSettings(storage=storage), "line/c1/2025-01-01")
    assert found.study.study_name == "line/c1/2025-01-01"


def test_refuses_what_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UnknownNameError, match="unknown search method 'annealing'; the methods are descent, tpe"
    ):
        SearchSettings("annealing")
    with pytest.raises(SettingsError, match="trials 0"):
        SearchSettings(trials=0)
    with pytest.raises(SettingsError, match="starts is 0"):
        DescentSampler(forests.drawn(1).problem, count=0)
    monkeypatch.setattr(samplers, "find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(SettingsError, match="'gp' needs torch; install it"):
        SearchSettings("gp")
