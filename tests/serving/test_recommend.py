"""Recommendations end to end on bundles whose lever effects are planted."""

import csv
import datetime
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import t as student

from features.errors import InputError, SettingsError, UnknownNameError
from features.policy.cost import Prices
from features.setpoints import JointLimit, OperatingWindow
from serving.files import read_jsonl, write_csv, write_jsonl
from serving.guard import GuardSettings
from serving.offer import offered
from serving.recommend import AdviceSettings, Advisor, recommend
from serving.savings import estimate, quantile
from serving.schemas import LeverAdvice, Recommendation
from serving.search.study import SearchSettings
from tests.fakes.advice import (
    BALANCE,
    COLD_EDGE,
    DAY,
    DOSE,
    VOLTAGE,
    WINDOW,
    Effect,
    FakeBundle,
    bundle,
    context,
    row,
)

Floats = NDArray[np.float64]
FAST = AdviceSettings(search=SearchSettings(starts=2))


def slope(per_unit: float) -> Effect:
    return lambda moves: per_unit * moves


def valley(best: float, curvature: float) -> Effect:
    return lambda moves: curvature * np.square(moves - best)


def advise(made: FakeBundle, told: AdviceSettings = FAST, **changes: object) -> Recommendation:
    return next(recommend(made, [context(**changes)], told))  # type: ignore[arg-type]


def moves(found: Recommendation) -> dict[str, float]:
    return {
        lever.name: round(lever.recommended - lever.current, 6)
        for lever in found.levers
        if lever.recommended != lever.current
    }


def codes(found: Recommendation) -> list[str]:
    return [entry.code for entry in found.reasons]


@pytest.fixture(scope="module")
def saving() -> FakeBundle:
    """3 kWh/t for every mV down, and an AlF3 valley 4 kg above today's dose."""
    return bundle(
        {
            "energy_kwh_per_t": {
                "set_voltage_v": [slope(3000.0), slope(2900.0), slope(3100.0)],
                "alf3_dose_kg_d": [valley(4.0, 3.0)],
            },
            "net_anode_kg_per_t": {"alf3_dose_kg_d": [slope(-0.01)]},
            "mean_superheat_c": {"set_voltage_v": [slope(50.0)]},
        }
    )


def test_the_planted_optimum_is_recommended(saving: FakeBundle) -> None:
    found = advise(saving)
    # Both cool the cell, and one heat balance limits them: 25 V/V + 0.05 d/kg <= 1. In CNY a tonne, with 9 CNY for a
    # kilogram of AlF3 and 3.18 t of metal a day: 40 mV and 0 kg save 55.1, 38 and 1 save 59.1, 36 and 2 save 60.5,
    # 34 and 3 save 59.0.
    assert found.status == "move"
    assert moves(found) == {"set_voltage_v": -0.036, "alf3_dose_kg_d": 2.0}
    assert found.saving is not None
    assert found.saving.energy_kwh_per_t.mean == pytest.approx(108.0 + 36.0)
    assert found.saving.net_anode_kg_per_t is not None
    assert found.saving.net_anode_kg_per_t.mean == pytest.approx(0.02)
    assert found.saving.cost_per_t.mean == pytest.approx(60.5, abs=0.2)
    assert found.saving.currency == "CNY"
    assert "balance" in found.binding
    assert found.expected["mean_superheat_c"].current == pytest.approx(COLD_EDGE + 3.0)
    assert found.expected["mean_superheat_c"].recommended == pytest.approx(COLD_EDGE + 1.2)
    assert found.expected["energy_kwh_per_t"].unit == "kWh/t"
    assert found.support is not None
    assert found.support.threshold == 0.05
    assert found.expires_at == datetime.datetime(2025, 3, 10, 16, tzinfo=datetime.UTC)  # midnight in Shanghai
    assert found.bundle_digest == saving.manifest.digest


def test_saving_is_a_t_interval_over_the_members(saving: FakeBundle) -> None:
    """Members save 116, 120 and 124 kWh/t by 40 mV: mean 120, one-sided 90 % with two degrees of freedom."""
    only = AdviceSettings(window=OperatingWindow((VOLTAGE,)), search=SearchSettings(starts=2))
    found = advise(saving, only)
    assert found.saving is not None
    energy = found.saving.energy_kwh_per_t
    reach = student.ppf(0.9, 2) * 4.0
    assert (energy.mean, energy.lower, energy.upper) == pytest.approx((120.0, 120.0 - reach, 120.0 + reach))
    price = 0.45 / 0.98
    assert found.saving.cost_per_t.lower == pytest.approx(price * energy.lower)
    assert quantile(5, 0.9) == pytest.approx(student.ppf(0.9, 4))
    assert estimate(np.array([3.0]), 0.9) is None
    with pytest.raises(SettingsError, match="two or more"):
        quantile(1, 0.9)


def test_a_target_beyond_a_day_comes_as_a_path(saving: FakeBundle) -> None:
    found = advise(saving)
    voltage = found.levers[0]
    assert voltage.path[:2] == (3.93, 3.914)
    assert voltage.path[-1] == voltage.recommended
    assert "staged" in codes(found)
    assert len({len(lever.path) for lever in found.levers}) == 1
    held = replace(FAST, hold_days=3)
    assert len(advise(saving, held).levers[0].path) in (len(voltage.path), len(voltage.path) + 3)


def test_superheat_stops_the_move(saving: FakeBundle) -> None:
    """3 degC above the edge at 50 degC/V: the margin of 0.25 leaves 54 mV, from 1.5 degC above it only 24."""
    tight = bundle(
        {
            "energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]},
            "mean_superheat_c": {"set_voltage_v": [slope(50.0)]},
        },
        levels={"mean_superheat_c": COLD_EDGE + 1.5},
    )
    found = advise(tight)
    assert moves(found) == {"set_voltage_v": -0.024}
    assert found.binding == ("mean_superheat_c.low",)
    assert "binding" in codes(found)


def test_a_wide_interval_stops_the_move_at_the_hard_edge() -> None:
    wide = bundle(
        {
            "energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]},
            "mean_superheat_c": {"set_voltage_v": [slope(50.0)]},
        },
        half_widths={"mean_superheat_c": 4.0},
    )
    found = advise(wide)
    assert moves(found) == {"set_voltage_v": -0.02}  # 3 - 4 - 50 x 0.02 = -2, the hard edge
    assert found.binding == ("mean_superheat_c.hard_low",)


def test_a_cell_already_outside_moves_only_toward_its_window() -> None:
    """Superheat 8 is below its window: saving energy by lower voltage is not offered, however much it saves."""
    cold = bundle(
        {
            "energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)], "alf3_dose_kg_d": [valley(-3.0, 2.0)]},
            "mean_superheat_c": {"set_voltage_v": [slope(50.0)], "alf3_dose_kg_d": [slope(-0.1)]},
        },
        levels={"mean_superheat_c": 8.0},
    )
    found = advise(cold)
    assert found.status == "move"
    assert found.expected["mean_superheat_c"].recommended >= 8.0
    assert moves(found)["alf3_dose_kg_d"] < 0
    assert "toward_window" in codes(found)


def test_no_gain_is_hold() -> None:
    flat = advise(bundle({"energy_kwh_per_t": {"set_voltage_v": [valley(0.0, 4e4)]}}))
    assert (flat.status, codes(flat), moves(flat)) == ("hold", ["no_gain"], {})
    assert flat.saving is not None
    assert flat.saving.cost_per_t.mean == 0.0
    assert flat.expected["energy_kwh_per_t"].current == flat.expected["energy_kwh_per_t"].recommended


def test_a_held_cell_outside_its_window_is_given_back() -> None:
    """Superheat 8 is below its window and only a costly move would raise it: whoever asks must know that the cell is cold."""
    cold = advise(
        bundle(
            {
                "energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]},
                "mean_superheat_c": {"set_voltage_v": [slope(50.0)]},
            },
            levels={"mean_superheat_c": 8.0},
        )
    )
    assert (cold.status, codes(cold)) == ("hold", ["no_gain", "outside_window"])
    assert cold.reasons[1].text.startswith(
        f"mean superheat is predicted at 8.0 degC, outside its window of {COLD_EDGE:g} to {COLD_EDGE + 6.0:g}"
    )


def test_members_that_disagree_are_hold() -> None:
    """The mean saves 30 kWh/t, but one member of three sees a loss."""
    unsure = advise(
        bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0), slope(1000.0), slope(-1750.0)]}})
    )
    assert (unsure.status, codes(unsure)) == ("hold", ["uncertain"])
    lower, mean = (unsure.reasons[0].evidence[name] for name in ("cost_lower", "cost"))
    assert isinstance(lower, float)
    assert isinstance(mean, float)
    assert lower <= 0 < mean


def test_the_surest_move_is_taken_where_the_largest_is_unsure() -> None:
    """Voltage promises more but members disagree; the dose saves less and all agree."""
    both = bundle(
        {
            "energy_kwh_per_t": {
                "set_voltage_v": [slope(4000.0), slope(2000.0), slope(-2500.0)],
                "alf3_dose_kg_d": [valley(-6.0, 0.6)],
            }
        }
    )
    found = advise(both)
    assert found.status == "move"
    assert "cautious" in codes(found)
    assert found.saving is not None
    assert found.saving.cost_per_t.lower > 0
    assert moves(found).get("alf3_dose_kg_d", 0.0) < 0
    assert advise(both, replace(FAST, cautious=False)).status == "hold"


def test_one_member_cannot_be_sure() -> None:
    alone = advise(bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, members=1))
    assert (alone.status, codes(alone)) == ("hold", ["single_member"])


def test_a_move_must_be_worth_it(saving: FakeBundle) -> None:
    dear = advise(saving, replace(FAST, least_saving=1000.0))
    assert (dear.status, codes(dear)) == ("hold", ["too_small"])


def test_unsupported_moves_are_not_found() -> None:
    """Data reach 21 steps of 1 mV at a support of 0.05 (0.95 x 22): no further does the move go."""
    near = bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, reach=22.0)
    found = advise(near)
    assert moves(found) == {"set_voltage_v": -0.02}
    assert found.binding == ("support.low",)
    assert found.support is not None
    assert 0.05 <= found.support.score < 0.15


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"last_reported": DAY - datetime.timedelta(days=5)}, "stale"),
        ({"row_": row(cell_age_d_last=30.0)}, "young"),
        ({"row_": row(noise_mv_last=900.0)}, "out_of_range"),
    ],
)
def test_abstains_with_the_reason(saving: FakeBundle, changes: dict[str, object], code: str) -> None:
    found = advise(saving, FAST, **changes)
    assert (found.status, codes(found)) == ("abstain", [code])
    assert found.levers == ()
    assert found.saving is None
    assert found.reasons[0].text_zh


def test_unsupported_today_is_abstain_with_the_score() -> None:
    far = bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, support=0.5, reach=1.0)
    values = row()
    # Today's own move is zero, so the fake support is 1: raise what is asked for instead.
    found = advise(far, replace(FAST, guard=GuardSettings(support=1.0, required=())), row_=values)
    assert found.status == "hold"
    broken = advise(bundle({}, levels={"energy_kwh_per_t": 11000.0}))
    assert (broken.status, codes(broken)) == ("abstain", ["implausible"])
    assert broken.support is not None


def test_a_bundle_without_the_anode_target_saves_energy_alone() -> None:
    half = bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, without=("net_anode_kg_per_t",))
    found = advise(half)
    assert found.status == "move"
    assert found.saving is not None
    assert found.saving.net_anode_kg_per_t is None
    assert found.saving.cost_per_t.mean == pytest.approx(0.45 / 0.98 * found.saving.energy_kwh_per_t.mean)
    why = next(entry for entry in found.reasons if entry.code == "no_anode_target")
    assert "no butt was weighed" in why.text


def test_a_bundle_without_superheat_says_that_it_was_not_checked() -> None:
    half = bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, without=("mean_superheat_c",))
    assert "unchecked" in codes(advise(half))


def test_alf3_not_fed_is_drawn_from_the_bath_and_saves_nothing() -> None:
    flat = bundle({"energy_kwh_per_t": {"alf3_dose_kg_d": [slope(0.1)]}})
    assert moves(advise(flat))["alf3_dose_kg_d"] == -20.0
    dear = bundle({"energy_kwh_per_t": {"alf3_dose_kg_d": [slope(-0.1)]}})
    assert advise(dear).status == "hold"  # 1 kg/d costs 9/3.2 a tonne and saves 0.05
    counted = replace(FAST, alf3_saving_share=1.0)
    whole = advise(dear, counted)
    assert moves(whole) == {"alf3_dose_kg_d": -20.0}
    assert whole.saving is not None
    metal_t_per_d = 8.05375e-3 * 420.0 * 0.94
    assert whole.saving.cost_per_t.mean == pytest.approx(20 * 9 / metal_t_per_d - 0.45 / 0.98 * 2.0, rel=1e-4)


def test_prices_are_the_settings_before_the_plants(saving: FakeBundle) -> None:
    euros = replace(FAST, prices=Prices(currency="EUR", electricity_per_kwh=0.049, rectifier_efficiency=0.98))
    found = advise(saving, euros)
    assert found.saving is not None
    assert found.saving.currency == "EUR"
    assert found.saving.cost_per_t.mean < 8.0


def test_a_lever_that_earns_nothing_stays() -> None:
    lazy = bundle({"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)], "alf3_dose_kg_d": [slope(0.004)]}})
    assert list(moves(advise(lazy))) == ["set_voltage_v"]
    eager = advise(lazy, replace(FAST, lever_tolerance=0.0))
    assert list(moves(eager)) == ["set_voltage_v", "alf3_dose_kg_d"]


def test_practice_is_flagged() -> None:
    low = bundle(
        {"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, levels={"energy_kwh_per_t": 11950.0}
    )
    assert "beyond_practice" in codes(advise(low))


def test_the_floor_is_never_crossed() -> None:
    low = bundle(
        {"energy_kwh_per_t": {"set_voltage_v": [slope(3000.0)]}}, levels={"energy_kwh_per_t": 11550.0}
    )
    found = advise(low)
    assert found.expected["energy_kwh_per_t"].recommended >= 11500.0
    assert "floor.energy_kwh_per_t.low" in found.binding


def random_effects(draw: np.random.Generator) -> dict[str, dict[str, Sequence[Effect]]]:
    scales = {
        "energy_kwh_per_t": 60.0,
        "net_anode_kg_per_t": 2.0,
        "mean_superheat_c": 3.0,
        "mean_bath_temperature_c": 6.0,
        "mean_noise_mv": 6.0,
    }
    out: dict[str, dict[str, Sequence[Effect]]] = {}
    for name, scale in scales.items():
        out[name] = {}
        for lever in (VOLTAGE, DOSE):
            a, b = draw.normal(size=2)
            unit = scale / lever.window
            members = [
                (lambda moves, a=a, b=b, w=lever.window, u=unit, f=f: u * f * (a * moves + b * moves**2 / w))
                for f in 1.0 + 0.4 * draw.normal(size=3)
            ]
            out[name][lever.name] = members
    return out


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_every_recommendation_is_safe(seed: int) -> None:
    """Whatever the model says: bounds, windows, steps, joint limits, groups, predicted windows, lower bound."""
    draw = np.random.default_rng(seed)
    levels = {
        "mean_superheat_c": draw.uniform(8, 18),
        "mean_noise_mv": draw.uniform(10, 32),
        "mean_bath_temperature_c": draw.uniform(938, 968),
    }
    made = bundle(random_effects(draw), levels=levels, half_widths={"mean_superheat_c": 2.0}, reach=60.0)
    start = (float(np.round(draw.uniform(3.72, 4.28), 3)), float(np.round(draw.uniform(0, 120))))
    found = advise(made, row_=row(*start))
    assert found.recommendation_id == found.content_hash()
    if found.status != "move":
        assert codes(found)
        assert moves(found) == {}
        return
    assert found.saving is not None
    assert found.saving.cost_per_t.lower > 0
    current = np.array(start)
    before = current
    assert WINDOW.feasible(current, np.array([lever.recommended for lever in found.levers])).all()
    for day in zip(*(lever.path for lever in found.levers), strict=True):
        now = np.array(day)
        step = np.abs(now - before)
        assert (step <= [lever.max_daily_step + 1e-9 for lever in WINDOW.levers]).all()
        assert (step > 1e-9).sum() == 1
        assert WINDOW.within_limits(current, now).all()
        before = now
    assert before.tolist() == [lever.recommended for lever in found.levers]
    windows = {
        "mean_superheat_c": (COLD_EDGE + 0.25, COLD_EDGE + 5.75),
        "mean_noise_mv": (-np.inf, 24.5),
        "mean_bath_temperature_c": (941, 964),
    }
    for name, (low, high) in windows.items():
        now_, then = found.expected[name].current, found.expected[name].recommended
        assert min(low, now_) - 1e-6 <= then <= max(high, now_) + 1e-6
    assert found.support is not None
    assert found.support.score >= 0.05


def test_recommendations_stream_in_order(saving: FakeBundle) -> None:
    asked: list[str] = []

    def contexts() -> object:
        for name in ("a", "b", "c"):
            asked.append(name)
            yield context(name)

    stream = recommend(saving, contexts(), FAST)  # type: ignore[arg-type]
    assert next(stream).cell_id == "a"
    assert asked == ["a"]
    assert [found.cell_id for found in stream] == ["b", "c"]


def test_the_same_content_has_the_same_id(saving: FakeBundle) -> None:
    first, again, other = advise(saving), advise(saving), advise(saving, cell="c2")
    assert first == again
    assert first.recommendation_id != other.recommendation_id
    assert len(first.recommendation_id) == 32


def test_studies_can_be_kept(saving: FakeBundle, tmp_path: Path) -> None:
    kept = replace(FAST, search=SearchSettings(starts=2, storage=f"sqlite:///{tmp_path / 'studies.db'}"))
    advise(saving, kept)
    assert (tmp_path / "studies.db").stat().st_size > 0


def test_a_part_of_the_levers_may_be_offered(saving: FakeBundle) -> None:
    only = AdviceSettings(window=OperatingWindow((DOSE,)), search=SearchSettings(starts=2))
    found = advise(saving, only)
    assert [lever.name for lever in found.levers] == ["alf3_dose_kg_d"]
    with pytest.raises(UnknownNameError, match="unknown lever 'tap_target_kg'"):
        Advisor(saving, AdviceSettings(window=OperatingWindow((replace(DOSE, name="tap_target_kg"),))))


def test_an_offer_keeps_the_bundles_joint_limits_and_bounds() -> None:
    own = OperatingWindow(
        (VOLTAGE, DOSE),
        (BALANCE, JointLimit("sum", 60.0, values={"alf3_dose_kg_d": 1.0, "set_voltage_v": 1.0})),
    )
    both = offered(own, OperatingWindow((DOSE, VOLTAGE)))
    assert [limit.name for limit in both.limits] == ["balance", "sum"]
    plain = OperatingWindow((VOLTAGE, DOSE), (BALANCE,))
    alone = offered(plain, OperatingWindow((VOLTAGE,)))
    assert alone.limits[0].moves == {"set_voltage_v": -25.0}
    own_limit = replace(BALANCE, bound=0.5)
    assert offered(plain, OperatingWindow((VOLTAGE, DOSE), (own_limit,))).limits == (own_limit,)
    assert offered(plain, None) is plain
    with pytest.raises(SettingsError, match="holds the values of alf3_dose_kg_d, set_voltage_v"):
        offered(own, OperatingWindow((VOLTAGE,)))
    with pytest.raises(
        SettingsError, match=r"offered from 3\.5 to 4\.3, the bundle's record supports 3\.7 to 4\.3"
    ):
        offered(plain, OperatingWindow((replace(VOLTAGE, low=3.5),)))


def test_refuses_rows_of_another_recipe(saving: FakeBundle) -> None:
    with pytest.raises(InputError, match="features, the bundle takes"):
        advise(saving, row_=row()[:-1])
    with pytest.raises(InputError, match="float32 vector"):
        context(row_=row().astype(np.float64))
    with pytest.raises(SettingsError, match=r"confidence is 0\.2"):
        AdviceSettings(confidence=0.2)


def test_files_round_trip(saving: FakeBundle, tmp_path: Path) -> None:
    contexts = [context("c1"), context("c2", row(cell_age_d_last=20.0)), context("c3", row(3.9))]
    found = list(recommend(saving, contexts, FAST))
    path = tmp_path / "recommendations.jsonl"
    assert write_jsonl(found, path) == 3
    assert list(read_jsonl(path)) == found
    table = tmp_path / "recommendations.csv"
    assert write_csv(found, table) == 5  # two levers of two cells, and one row of the young cell
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [line["cell_id"] for line in rows] == ["c1", "c1", "c2", "c3", "c3"]
    assert rows[0]["lever"] == "set_voltage_v"
    assert float(rows[0]["move"]) == pytest.approx(-0.036)
    assert rows[2]["lever"] == ""
    assert "start-up" in rows[2]["reason"]
    assert "启动期" in rows[2]["reason_zh"]


def test_an_edited_file_is_refused(saving: FakeBundle, tmp_path: Path) -> None:
    path = tmp_path / "recommendations.jsonl"
    write_jsonl([advise(saving)], path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["levers"][0]["recommended"] = content["levers"][0]["upper"]
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1: .* it was edited"):
        list(read_jsonl(path))
    path.write_text('{"status": "move"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1 is no recommendation"):
        list(read_jsonl(path))


def test_the_schema_refuses_contradictions(saving: FakeBundle) -> None:
    found = advise(saving)
    fields = found.model_dump(exclude={"recommendation_id"})
    with pytest.raises(ValidationError, match="status hold with levers"):
        Recommendation.sealed(**{**fields, "status": "hold"})
    with pytest.raises(ValidationError, match="without a reason"):
        Recommendation.sealed(**{**fields, "status": "abstain", "levers": (), "reasons": ()})
    with pytest.raises(ValidationError, match="lies outside"):
        LeverAdvice(name="x", unit="V", current=1.0, recommended=3.0, lower=0.0, upper=2.0, step=1.0)
    with pytest.raises(ValidationError, match="finite"):
        LeverAdvice(name="x", unit="V", current=float("nan"), recommended=3.0, lower=0.0, upper=9.0, step=1.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Recommendation.sealed(**fields, approved=True)
    assert found.expired(found.expires_at)
    assert not found.expired(found.expires_at - datetime.timedelta(seconds=1))
