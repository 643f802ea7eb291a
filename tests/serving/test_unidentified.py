"""A lever whose effect the record does not tell stays where it is, and the recommendation says so."""

from dataclasses import replace

import numpy as np
import pytest

from features.bundle import IdentificationInfo
from features.stages import Stage
from serving.guard import GuardSettings, pinned, still
from serving.recommend import AdviceSettings, recommend
from serving.schemas import Recommendation
from serving.search.study import SearchSettings
from tests.fakes.advice import WINDOW, FakeBundle, bundle, context

FAST = AdviceSettings(search=SearchSettings(starts=2))


@pytest.fixture(scope="module")
def saving() -> FakeBundle:
    """A valley 10 mV below today's voltage, and 20 kWh/t for every kg of AlF3 more: both levers pay."""
    return bundle(
        {
            "energy_kwh_per_t": {
                "set_voltage_v": [lambda move: 3e6 * np.square(move + 0.010)],
                "alf3_dose_kg_d": [lambda move: -20.0 * move],
            }
        }
    )


def graded(made: FakeBundle, **grades: str) -> FakeBundle:
    """The same bundle, with another grade of some levers."""
    told = {
        name: IdentificationInfo(grade, "nothing_follows", "Nothing followed.", "无响应。", 99, 0.5, 60.0, {})  # type: ignore[arg-type]
        for name, grade in grades.items()
    }
    levers = tuple(
        replace(lever, identification=told.get(lever.name, lever.identification))
        for lever in made.manifest.levers
    )
    return replace(made, manifest=replace(made.manifest, levers=levers))


def advise(made: FakeBundle, told: AdviceSettings = FAST) -> Recommendation:
    return next(recommend(made, [context()], told))


def moved(found: Recommendation) -> set[str]:
    return {lever.name for lever in found.levers if lever.recommended != lever.current}


def test_an_unidentified_lever_stays_and_the_recommendation_says_why(saving: FakeBundle) -> None:
    assert moved(advise(saving)) == {"set_voltage_v", "alf3_dose_kg_d"}
    found = advise(graded(saving, alf3_dose_kg_d="not_identified"))
    assert moved(found) == {"set_voltage_v"}
    dose = next(lever for lever in found.levers if lever.name == "alf3_dose_kg_d")
    assert (dose.lower, dose.upper) == (dose.current, dose.current)
    assert set(dose.path) == {dose.current}
    why = next(entry for entry in found.reasons if entry.code == "not_identified")
    assert "aluminium fluoride setpoint stays where it is" in why.text
    assert "Nothing followed." in why.text
    assert "氟化铝" in why.text_zh
    assert "无响应" in why.text_zh


def test_a_weak_lever_moves_with_a_word_of_caution(saving: FakeBundle) -> None:
    found = advise(graded(saving, alf3_dose_kg_d="weak"))
    assert moved(found) == {"set_voltage_v", "alf3_dose_kg_d"}
    assert [entry.code for entry in found.reasons].count("weakly_identified") == 1


def test_with_no_identified_lever_the_cell_is_held_for_that_reason(saving: FakeBundle) -> None:
    found = advise(graded(saving, alf3_dose_kg_d="not_identified", set_voltage_v="not_identified"))
    assert found.status == "hold"
    assert [entry.code for entry in found.reasons] == ["not_identified", "not_identified"]


def test_only_a_guard_that_is_told_so_moves_it(saving: FakeBundle) -> None:
    blind = graded(saving, alf3_dose_kg_d="not_identified")
    free = replace(FAST, guard=GuardSettings(identified_only=False))
    assert moved(advise(blind, free)) == {"set_voltage_v", "alf3_dose_kg_d"}


def test_the_guard_itself_refuses_a_pinned_lever_that_moves_after_all(saving: FakeBundle) -> None:
    manifest = graded(saving, alf3_dose_kg_d="not_identified").manifest
    pins = pinned(manifest, GuardSettings())
    assert [lever.name for lever in pins] == ["alf3_dose_kg_d"]
    here = np.array([3.95, 50.0])
    assert still(pins, WINDOW, (Stage(0, (3.94, 50.0), "voltage"),), here) == []
    broken = still(pins, WINDOW, (Stage(0, (3.95, 51.0), "chemistry"),), here)
    assert [(entry.constraint, entry.excess) for entry in broken] == [("alf3_dose_kg_d.not_identified", 1.0)]


def test_the_grade_is_part_of_the_bundles_identity(saving: FakeBundle) -> None:
    blind = graded(saving, alf3_dose_kg_d="not_identified")
    assert blind.manifest.digest != saving.manifest.digest
    with pytest.raises(ValueError, match="gives no reason"):
        IdentificationInfo("weak", "", "text", "文", 1, 0.5, 1.0, {})
