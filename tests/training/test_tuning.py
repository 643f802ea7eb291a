"""Studies repeat themselves and never end worse than they began."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from features.errors import SettingsError
from training.settings import BoostingSettings, LinearSettings, NetworkSettings, TrainSettings
from training.tuning import SEARCHED, TrialResult, tune


def _surface(settings: TrainSettings) -> Mapping[str, float]:
    """A smooth surface whose best lies at 10 leaves and a rate of 0.03, away from the defaults."""
    boosting = settings.boosting
    rate = np.log(boosting.learning_rate / 0.03)
    return {"a": 0.8 + 0.001 * (boosting.leaves - 10) ** 2 + 0.05 * rate**2, "b": 0.9}


def test_the_first_trial_is_the_settings_as_given() -> None:
    found = tune(_surface, TrainSettings(trials=3))
    given = TrainSettings().boosting
    assert found.trials[0].params == {name: getattr(given, name) for name in SEARCHED["boosting"]}


def test_a_study_repeats_itself_and_another_seed_does_not() -> None:
    settings = TrainSettings(trials=10)
    assert tune(_surface, settings) == tune(_surface, settings)
    assert tune(_surface, settings) != tune(_surface, replace(settings, seed=8))


def test_the_best_trial_becomes_the_settings() -> None:
    found = tune(_surface, TrainSettings(trials=30))
    assert found.best.value == min(trial.value for trial in found.trials)
    assert found.best.value < found.trials[0].value
    assert found.settings.boosting.leaves == found.best.params["leaves"]
    assert found.settings.network == TrainSettings().network


def test_every_trial_is_reported_as_it_ends() -> None:
    seen: list[TrialResult] = []
    found = tune(_surface, TrainSettings(trials=4), on_trial=seen.append)
    assert tuple(seen) == found.trials
    assert [trial.number for trial in seen] == [0, 1, 2, 3]


def test_network_settings_can_be_searched_too() -> None:
    found = tune(lambda settings: {"a": settings.network.dropout}, TrainSettings(trials=6), "network")
    assert set(found.best.params) == set(SEARCHED["network"])
    assert found.settings.network.dropout == found.best.value
    assert found.settings.boosting == TrainSettings().boosting


def test_settings_outside_what_a_study_searches_can_still_be_its_start() -> None:
    settings = replace(TrainSettings(trials=2), boosting=BoostingSettings(trees=5))
    assert tune(_surface, settings).trials[0].params["trees"] == 10


def test_a_study_without_trials_is_refused() -> None:
    with pytest.raises(SettingsError, match="trials"):
        tune(_surface, TrainSettings(trials=0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrainSettings(members=1),
        lambda: TrainSettings(test_share=0.9),
        lambda: TrainSettings(cell_folds=1),
        lambda: TrainSettings(members=3),  # ten perceptrons do not divide into three
        lambda: BoostingSettings(learning_rate=0.0),
        lambda: NetworkSettings(dropout=1.0),
        lambda: LinearSettings(alphas=()),
    ],
)
def test_settings_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(SettingsError, match="training setting"):
        make()  # type: ignore[operator]


def test_quick_settings_keep_seed_and_members() -> None:
    quick = TrainSettings(seed=3).quick()
    assert (quick.seed, quick.members, quick.network.heads % quick.members) == (3, 5, 0)
