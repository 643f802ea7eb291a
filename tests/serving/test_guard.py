"""The guard: when it is silent, what it refuses, and that it needs no search to know."""

import datetime
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from features.electrolysis.bath import Bath, liquidus_lithium_potassium_2014, liquidus_solheim_1996
from features.errors import SettingsError, UnknownNameError
from features.stages import Stage
from serving.constraints import constraint_words
from serving.context import Stuck
from serving.guard import CARBON_SIDE, GuardSettings, screen, standing, verify
from serving.limits import DEFAULT_LIMITS, FLOORS, Limit
from serving.reasons import WORDINGS, Wording, reason
from serving.search.problem import SUPPORT_SIDE
from tests.fakes.advice import DAY, WINDOW, FakeBundle, bundle, context, row

SETTINGS = GuardSettings()
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def plain() -> FakeBundle:
    return bundle({})


def codes(plain: FakeBundle, settings: GuardSettings = SETTINGS, **changes: object) -> list[str]:
    return [found.code for found in screen(context(**changes), plain.manifest, settings)]  # type: ignore[arg-type]


def test_a_healthy_cell_is_spoken_about(plain: FakeBundle) -> None:
    assert codes(plain) == []
    assert standing(plain.predict(row()[None, :]), plain.manifest, SETTINGS) == []


@pytest.mark.parametrize(("age", "expected"), [(1, []), (2, []), (3, ["stale"]), (40, ["stale"])])
def test_stale(plain: FakeBundle, age: int, expected: list[str]) -> None:
    assert codes(plain, last_reported=DAY - datetime.timedelta(days=age)) == expected


def test_no_row(plain: FakeBundle) -> None:
    silent = replace(context(), row=None)
    assert [found.code for found in screen(silent, plain.manifest, SETTINGS)] == ["no_data"]
    gone = replace(silent, last_reported=DAY - datetime.timedelta(days=9))
    assert [found.code for found in screen(gone, plain.manifest, SETTINGS)] == ["stale"]


def test_missing_is_told_only_where_the_model_needs_it(plain: FakeBundle) -> None:
    assert codes(plain, row_=row(noise_mv_last=np.nan)) == []
    broken = row()
    broken[plain.manifest.feature_names.index("set_voltage_v_last")] = np.nan
    assert codes(plain, row_=broken) == ["missing"]


@pytest.mark.parametrize("value", [2000.0, -1.0, np.inf])
def test_out_of_range(plain: FakeBundle, value: float) -> None:
    found = screen(context(row_=row(noise_mv_last=value)), plain.manifest, SETTINGS)
    assert [entry.code for entry in found] == ["out_of_range"]
    assert found[0].evidence["feature"] == "noise_mv_last"


def test_todays_lever_columns_are_ours_to_choose(plain: FakeBundle) -> None:
    wild = row()
    wild[plain.manifest.feature_names.index("set_voltage_v")] = 99.0
    assert codes(plain, row_=wild) == []


@pytest.mark.parametrize(("age", "expected"), [(119.0, ["young"]), (120.0, []), (np.nan, [])])
def test_young(plain: FakeBundle, age: float, expected: list[str]) -> None:
    assert codes(plain, row_=row(cell_age_d_last=age)) == expected


def test_frozen_from_as_many_days_as_said(plain: FakeBundle) -> None:
    assert codes(plain, stuck=(Stuck("noise_mv", 17.0, 4),)) == []
    assert codes(plain, stuck=(Stuck("noise_mv", 17.0, 5),)) == ["frozen"]
    assert codes(plain, replace(SETTINGS, stuck_d=9), stuck=(Stuck("noise_mv", 17.0, 5),)) == []


def test_anode_change_settles_where_asked(plain: FakeBundle) -> None:
    assert codes(plain, hours_since_anode_change=1.0) == []
    assert codes(plain, replace(SETTINGS, settle_anode_change_h=24.0), hours_since_anode_change=23.0) == [
        "anode_change"
    ]
    assert codes(plain, replace(SETTINGS, settle_anode_change_h=24.0), hours_since_anode_change=24.0) == []


def test_an_anode_effect_settles(plain: FakeBundle) -> None:
    """The fake recipe has no anode effects: rename a feature to stand for them."""
    at = plain.manifest.feature_names.index("noise_mv_std_7d")
    features = list(plain.manifest.features)
    features[at] = replace(features[at], name="anode_effect_days_since")
    renamed = replace(plain.manifest, features=tuple(features))
    for since, expected in ((1.0, ["anode_effect"]), (2.0, [])):
        values = row()
        values[at] = since
        assert [found.code for found in screen(context(row_=values), renamed, SETTINGS)] == expected


@pytest.mark.parametrize(
    ("level", "value"),
    [
        ("energy_kwh_per_t", 11400.0),
        ("energy_kwh_per_t", 30000.0),
        ("mean_voltage_v", 3.6),
        ("net_anode_kg_per_t", 370.0),
        ("net_anode_kg_per_t", 700.0),
    ],
)
def test_implausible_predictions_for_today_are_not_trusted(level: str, value: float) -> None:
    made = bundle({}, levels={level: value})
    assert [found.code for found in standing(made.predict(row()[None, :]), made.manifest, SETTINGS)] == [
        "implausible"
    ]


def test_unsupported_and_not_a_number(plain: FakeBundle) -> None:
    outputs = plain.predict(row()[None, :])
    assert [
        found.code for found in standing({**outputs, "support": np.array([0.04])}, plain.manifest, SETTINGS)
    ] == ["unsupported"]
    assert [
        found.code for found in standing({**outputs, "support": np.array([np.nan])}, plain.manifest, SETTINGS)
    ] == ["not_a_number"]
    lost = {**outputs, "mean_noise_mv": np.array([np.nan])}
    assert [found.code for found in standing(lost, plain.manifest, SETTINGS)] == ["not_a_number"]
    strict = replace(SETTINGS, support=0.9999)
    assert (
        standing({**outputs, "support": np.array([0.5])}, plain.manifest, strict)[0].evidence["threshold"]
        == 0.9999
    )


def test_a_required_helper_must_be_predicted() -> None:
    made = bundle({}, without=("mean_bath_temperature_c",))
    outputs = made.predict(row()[None, :])
    assert [found.code for found in standing(outputs, made.manifest, SETTINGS)] == ["no_helper"]
    assert standing(outputs, made.manifest, replace(SETTINGS, required=())) == []


CURRENT = np.array([3.95, 50.0])


def outputs_of(plain: FakeBundle, settings: list[list[float]]) -> dict[str, Floats]:
    rows = np.stack([row(), *(row() for _ in settings)])
    names = plain.manifest.feature_names
    for i, setting in enumerate(settings):
        rows[i + 1, [names.index("set_voltage_v"), names.index("alf3_dose_kg_d")]] = setting
    return plain.predict(rows)


def breaks(plain: FakeBundle, *settings: list[float], **changed: list[float]) -> list[str]:
    stages = tuple(Stage(i, tuple(setting), "voltage") for i, setting in enumerate(settings))
    outputs = outputs_of(plain, list(settings)) | {
        name.replace("__", "."): np.array(value) for name, value in changed.items()
    }
    return [found.constraint for found in verify(WINDOW, stages, outputs, SETTINGS, 0.05, CURRENT)]


def test_a_sound_move_breaks_nothing(plain: FakeBundle) -> None:
    assert breaks(plain, [3.93, 50.0], [3.91, 50.0]) == []
    assert breaks(plain) == []


@pytest.mark.parametrize(
    ("stages", "broken"),
    [
        ([[3.92, 50.0]], "set_voltage_v.max_daily_step"),
        ([[3.93, 60.0]], "one_group_a_day"),
        ([[3.93, 50.0], [3.91, 50.0], [3.89, 50.0]], "window"),
        ([[3.9495, 50.0]], "window"),
        ([[3.95, 60.0], [3.95, 70.0], [3.93, 70.0]], "balance"),
    ],
)
def test_known_limits_are_checked_again(plain: FakeBundle, stages: list[list[float]], broken: str) -> None:
    assert broken in breaks(plain, *stages)


def test_hard_bounds_are_checked_and_a_cell_outside_may_come_back(plain: FakeBundle) -> None:
    high = np.array([3.95, 130.0])
    outputs = outputs_of(plain, [[3.95, 125.0]])
    assert verify(WINDOW, (Stage(0, (3.95, 125.0), "chemistry"),), outputs, SETTINGS, 0.05, high) == []
    away = verify(WINDOW, (Stage(0, (3.95, 135.0), "chemistry"),), outputs, SETTINGS, 0.05, high)
    assert "alf3_dose_kg_d.bounds" in [found.constraint for found in away]


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"mean_superheat_c": [13.0, 13.0, 9.0]}, "mean_superheat_c.low"),
        ({"mean_superheat_c": [13.0, 17.0, 13.0]}, "mean_superheat_c.high"),
        ({"mean_superheat_c__lower": [9.5, 9.5, 7.0]}, "mean_superheat_c.hard_low"),
        ({"mean_bath_temperature_c__upper": [960.0, 960.0, 976.0]}, "mean_bath_temperature_c.hard_high"),
        ({"mean_noise_mv": [15.0, 15.0, np.nan]}, "mean_noise_mv.high"),
        ({"mean_noise_mv": [30.0, 30.0, 30.2]}, "mean_noise_mv.high"),
        ({"energy_kwh_per_t": [12000.0, 11800.0, 11400.0]}, "floor.energy_kwh_per_t.low"),
        ({"net_anode_kg_per_t": [400.0, 390.0, 370.0]}, "net_anode_kg_per_t.above_electrolysis"),
        ({"support": [0.5, 0.5, 0.04]}, "support.low"),
    ],
)
def test_predicted_limits_hold_on_every_day(
    plain: FakeBundle, changed: dict[str, list[float]], broken: str
) -> None:
    assert breaks(plain, [3.93, 50.0], [3.91, 50.0], **changed) == [broken]


def test_a_cell_outside_may_move_toward_its_window(plain: FakeBundle) -> None:
    assert breaks(plain, [3.93, 50.0], mean_noise_mv=[30.0, 29.0]) == []
    assert breaks(plain, [3.93, 50.0], mean_superheat_c=[16.5, 9.0]) == ["mean_superheat_c.low"]


def test_the_superheat_window_is_the_fields_moved_by_what_two_equations_differ() -> None:
    """Typical 6 to 12, hard 4 to 15; Solheim's liquidus lies 2 to 5 degC below the one for baths with Li and K."""
    limit = next(limit for limit in DEFAULT_LIMITS if limit.outcome == "mean_superheat_c")
    bath = Bath(excess_alf3=11.0, al2o3=2.5, caf2=5.0, lif=2.0, mgf2=0.5, kf=1.5)
    apart = float(liquidus_lithium_potassium_2014(bath) - liquidus_solheim_1996(bath))
    assert 2.0 < apart < 5.0
    assert limit.low - 6.0 == limit.high - 12.0 == limit.hard_low - 4.0 == limit.hard_high - 15.0 == 3.5


def test_limits_and_settings_refuse_nonsense() -> None:
    with pytest.raises(SettingsError, match="leave no room"):
        Limit("mean_noise_mv", low=10.0, high=12.0, margin=1.5)
    with pytest.raises(SettingsError, match="at least one finite edge"):
        Limit("mean_noise_mv")
    with pytest.raises(SettingsError, match="margin -1"):
        Limit("mean_noise_mv", high=12.0, margin=-1)
    with pytest.raises(UnknownNameError, match="unknown outcome"):
        Limit("noise", high=12.0)
    with pytest.raises(SettingsError, match="hold a name twice"):
        GuardSettings(limits=(Limit("mean_noise_mv", high=12.0), Limit("mean_noise_mv", high=13.0)))
    with pytest.raises(SettingsError, match="max_report_age_d is 0"):
        GuardSettings(max_report_age_d=0)
    with pytest.raises(SettingsError, match="support is 2"):
        GuardSettings(support=2.0)


def test_every_reason_says_the_same_in_both_languages() -> None:
    for wording in WORDINGS.values():
        assert wording.text
        assert any("一" <= letter <= "鿿" for letter in wording.text_zh)
    with pytest.raises(ValueError, match="different evidence"):
        Wording("x", "{a} is high", "高")
    unknown = reason("unsupported", {"score": float("inf"), "threshold": 0.1}).evidence
    assert unknown == {"score": None, "threshold": 0.1}
    with pytest.raises(UnknownNameError, match="unknown reason 'tired'"):
        reason("tired")


def test_constraints_are_told_in_words_and_kept_by_code() -> None:
    sides = [side.name for limit in (*DEFAULT_LIMITS, *FLOORS) for side in limit.sides]
    sides += [SUPPORT_SIDE, CARBON_SIDE, "window", "one_group_a_day"]
    sides += [f"set_voltage_v.{side}" for side in ("bounds", "max_daily_step", "not_identified")]
    for name in sides:
        for words in constraint_words(name):
            assert not re.search(r"_|\.\w", words), name
        assert re.search("[\u4e00-\u9fff]", constraint_words(name)[1]), name
        told = reason("binding", {"constraint": name})
        assert told.evidence == {"constraint": name}
        assert name == "window" or name not in told.text + told.text_zh
        assert constraint_words(name)[0] in told.text
        assert constraint_words(name)[1] in told.text_zh
