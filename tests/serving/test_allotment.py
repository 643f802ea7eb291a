"""From recommendations to a shift's order of work: whole moves, and their parts as the bundle sees them."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import InputError
from serving.allotment import key, parts, whole
from serving.recommend import AdviceSettings, Advisor
from serving.search.allocation import Budget, allocate, objective
from serving.search.study import SearchSettings
from tests.fakes.advice import FakeBundle, bundle, context, row

FAST = AdviceSettings(search=SearchSettings(starts=2))


@pytest.fixture(scope="module")
def saving() -> FakeBundle:
    """Both levers pay, and the members differ about each."""
    return bundle(
        {
            "energy_kwh_per_t": {
                "set_voltage_v": [lambda m, k=k: k * 3e6 * np.square(m + 0.010) for k in (0.9, 1.0, 1.1)],
                "alf3_dose_kg_d": [lambda m, k=k: k * -20.0 * m for k in (0.8, 1.0, 1.2)],
            }
        }
    )


def test_a_whole_move_carries_its_interval_as_shared_error(saving: FakeBundle) -> None:
    advisor = Advisor(saving, FAST)
    moved = advisor.advise(context())
    held = advisor.advise(context("c2", row(cell_age_d_last=10.0)))
    options = whole([moved, held])
    assert [option.cell for option in options] == [key(moved)]
    assert moved.saving is not None
    cost = moved.saving.cost_per_t
    assert np.mean(options[0].gains) == pytest.approx(cost.mean)
    _, mean, deviation = objective(np.array([option.gains for option in options]), [0], 1.0)
    assert mean - 1.5332 * deviation == pytest.approx(cost.lower, rel=1e-3)  # t of 4 degrees, one-sided 90 %
    assert set(options[0].moves) == {"set_voltage_v", "alf3_dose_kg_d"}
    assert sum(options[0].changes) >= 2


def test_parts_are_every_safe_subset_and_the_whole_gains_most(saving: FakeBundle) -> None:
    advisor = Advisor(saving, FAST)
    advice = advisor.advise(context())
    options = parts(advisor, {key(advice): context()}, [advice])
    subsets = [frozenset(option.moves) for option in options]
    both = frozenset({"set_voltage_v", "alf3_dose_kg_d"})
    assert len(subsets) == 3
    assert set(subsets) == {frozenset({"set_voltage_v"}), frozenset({"alf3_dose_kg_d"}), both}
    gain = {one: float(np.mean(option.gains)) for one, option in zip(subsets, options, strict=True)}
    assert gain[both] == max(gain.values())
    apart = sum(value for one, value in gain.items() if one != both)
    assert apart == pytest.approx(gain[both], rel=1e-9)  # the planted effects add up
    one = allocate(options, Budget(moves_a_day=1, alf3_kg_d=0.0))
    assert [set(options[at].moves) for at in one.chosen] == [{"set_voltage_v"}]


def test_a_part_that_the_guard_refuses_is_no_option(saving: FakeBundle) -> None:
    advisor = Advisor(saving, FAST)
    advice = advisor.advise(context())
    every = parts(advisor, {key(advice): context()}, [advice])
    least = min(float(np.mean(option.gains)) for option in every)
    tonnes = 420.0 * 8.05375 * 0.94 / 1000.0
    wary = Advisor(saving, replace(FAST, least_saving=1.01 * least / tonnes))
    options = parts(wary, {key(advice): context()}, [advice])
    assert len(options) == len(every) - 1
    assert min(float(np.mean(option.gains)) for option in options) > least


def test_recommendations_of_another_bundle_or_record_are_refused(saving: FakeBundle) -> None:
    advisor = Advisor(saving, FAST)
    advice = advisor.advise(context())
    foreign = advice.model_copy(update={"bundle_digest": "0" * 64})
    with pytest.raises(InputError, match="was not made by this bundle"):
        parts(advisor, {key(advice): context()}, [foreign])
    with pytest.raises(InputError, match="was not made by this bundle"):
        parts(advisor, {}, [advice])
    with pytest.raises(InputError, match="project it first"):
        advisor.judge_part(context(), np.array([3.95, 500.0]))
