"""The closed loop: what is known is what the service would know, arms share the dice, and promises are judged in truth."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from experiments.closed_loop.advised import Advised
from experiments.closed_loop.arms import Hold, Operators, Oracle, OracleSettings
from experiments.closed_loop.compare import figures_of
from experiments.closed_loop.loop import ArmResult, LineSettings, run_arm
from experiments.closed_loop.plan import Plan, Promise, in_force, staged
from experiments.closed_loop.tally import Tally, per_tonne
from experiments.closed_loop.watch import Watch
from experiments.simulator.operators import LEVERS
from experiments.simulator.potline import Potline
from experiments.simulator.preset import load_preset
from experiments.simulator.simulate import collect
from features.errors import InputError
from features.levers import default_levers
from features.policy.cost import Prices
from features.recipe import Recipe
from features.setpoints import OperatingWindow
from features.tables.history import history
from serving.context import Context, contexts_today
from serving.reasons import reason
from serving.recommend import Advisor
from serving.schemas import Reason, Recommendation

PRESET, PRICES = load_preset("line-500"), Prices()
LINE = LineSettings(cells=6, days=16, record_d=31)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    plant = Potline(PRESET, 4, 3, spin_up=False)
    known = history(collect(plant, [plant.step() for _ in range(12)]).tables)
    return Recipe.for_signals(known.available(), LEVERS)


@pytest.fixture(scope="module")
def operators(recipe: Recipe) -> ArmResult:
    return run_arm(LINE, PRESET, Operators(), recipe, 31)


def test_streamed_rows_are_those_of_the_whole_record(recipe: Recipe) -> None:
    """Folded in uneven parts, with cells that stop and start, every context is the one made of the full history."""
    plant = Potline(PRESET, 8, 1)
    watch, records, stood = Watch(plant, recipe), [], False
    for part in (3, 20, 1, 18, 4):
        for _ in range(part):
            records.append(plant.step())
            watch.see(records[-1])
        stood = stood or not records[-1].running.all()
        whole = history(collect(plant, records).tables)
        for mine, other in zip(watch.contexts(), contexts_today(whole, recipe), strict=True):
            assert (mine.cell_id, mine.date, mine.last_reported) == (
                other.cell_id,
                other.date,
                other.last_reported,
            )
            if other.row is None:
                assert mine.row is None
            else:
                np.testing.assert_array_equal(mine.row, other.row)
            assert [s.signal for s in mine.stuck] == [s.signal for s in other.stuck]
    assert stood, "the seed should hold a cell that stands still, or the hard case is not looked at"


def test_operators_arm_is_the_plant_as_it_runs(operators: ArmResult) -> None:
    plant = Potline(PRESET, LINE.cells, 31)
    for _ in range(LINE.record_d):
        plant.step()
    made = np.stack([plant.step().truth["produced_kg"] for _ in range(LINE.days)])
    np.testing.assert_array_equal(operators.sums["metal_kg"], made)
    assert (operators.moved == 0).all()
    assert np.isnan(operators.unmoved["kwh"]).all()


class Lowers:
    """Takes 20 mV off every cell on the first day and says nothing more."""

    def plan(self, plant: Potline, watch: Watch, due: np.ndarray, in_hand: np.ndarray, days: int) -> Plan:
        settings = np.repeat(in_hand[None], days, axis=0)
        first = ~np.isfinite(in_hand[:, 0])
        target = plant.setpoints["set_voltage_v"] - 0.020
        settings[:, first, 0] = target[first]
        promise = Promise.nothing(plant.cells)
        return Plan(settings, in_hand, promise, np.zeros(plant.cells, dtype=bool))


def test_a_move_is_judged_against_the_same_days_without_it(recipe: Recipe, operators: ArmResult) -> None:
    """The first move's counterfactual is the operators' own week, under the very same noise."""
    lowered = run_arm(LINE, PRESET, Lowers(), recipe, 31)
    np.testing.assert_allclose(lowered.moved[0, :, 0], -0.020)
    week = {name: value[:7].sum(axis=0) for name, value in operators.sums.items()}
    np.testing.assert_allclose(lowered.unmoved["kwh"][0], week["kwh"], rtol=1e-12)
    mine = {name: value[:7].sum(axis=0) for name, value in lowered.sums.items()}
    expected = per_tonne(week, PRICES)["cost_per_t"] - per_tonne(mine, PRICES)["cost_per_t"]
    realised = lowered.realised(PRICES)["cost_per_t"]
    np.testing.assert_allclose(realised[0], expected, rtol=1e-9)
    assert np.isnan(realised[1:]).all()
    # What was taken in hand stands: nobody lifts the voltage again.
    np.testing.assert_allclose(lowered.settings[-1, :, 0], lowered.settings[0, :, 0])


def test_frozen_cells_stay_frozen_and_young_ones_are_nobodys(recipe: Recipe) -> None:
    held = run_arm(LINE, PRESET, Hold(), recipe, 31)
    grown = held.age_d[0] >= 120.0
    assert grown.any()
    np.testing.assert_array_equal(held.settings[-1][grown], held.settings[0][grown])


def test_oracle_stays_inside_bounds_windows_and_steps_and_does_not_lose(
    recipe: Recipe, operators: ArmResult
) -> None:
    plant = Potline(PRESET, 2, 1, spin_up=False).plant
    window = OperatingWindow(tuple(lever for lever in default_levers(plant) if lever.name == "set_voltage_v"))
    told = OracleSettings(rounds=2, candidates=6, horizon_d=10, futures=1)
    found = run_arm(LINE, PRESET, Oracle(window, PRICES, told), recipe, 31)
    assert (found.moved[:, :, 1:] == 0).all()
    assert np.abs(found.moved[:, :, 0]).max() <= window.levers[0].window + 1e-9
    volts = found.settings[:, :, 0]
    in_hand = np.abs(np.diff(volts, axis=0))
    assert np.isfinite(in_hand).all()
    total = [
        float(per_tonne({k: np.asarray(v.sum()) for k, v in arm.sums.items()}, PRICES)["cost_per_t"])
        for arm in (found, operators)
    ]
    assert total[0] < total[1], "an oracle that loses to the operators on its own truth searches wrongly"


def test_starving_the_bath_is_no_saving(recipe: Recipe) -> None:
    """AlF3 that is not fed but taken from the bath is used up all the same."""
    plant = Potline(PRESET, 3, 8)
    fed, starved = plant.copy(), plant.copy()
    tallies = [Tally(arm, arm.bath_alf3_kg) for arm in (fed, starved)]
    dose = plant.setpoints["alf3_dose_kg_d"]
    for _ in range(7):
        tallies[0].add(fed.step({"alf3_dose_kg_d": dose}))
        tallies[1].add(starved.step({"alf3_dose_kg_d": dose - 20.0}))
    used = [tally.close()["alf3_kg"] for tally in tallies]
    # A leaner bath fumes less, which is a true saving; most of what was not fed came out of the bath.
    assert (np.abs(used[0] - used[1]) < 0.5 * 7 * 20.0).all()


def test_staged_settings_go_by_steps_and_leave_what_is_free() -> None:
    way = staged(np.array([[3.9, 50.0]]), np.array([[3.85, np.nan]]), np.array([0.02, 10.0]), 4)
    np.testing.assert_allclose(way[:, 0, 0], [3.88, 3.86, 3.85, 3.85])
    assert np.isnan(way[:, 0, 1]).all()


def test_a_cell_that_an_arm_has_drained_counts_as_standing(operators: ArmResult) -> None:
    whole = figures_of(operators, PRICES)
    drained = {name: value.copy() for name, value in operators.sums.items()}
    stood = {name: value.copy() for name, value in operators.sums.items()}
    for name in drained:
        drained[name][-1, 0] = drained[name][-1, 0] if name in ("days", "anode_effects") else np.nan
        stood[name][-1, 0] = 0.0
    found = figures_of(replace(operators, sums=drained), PRICES)
    assert found == figures_of(replace(operators, sums=stood), PRICES)
    assert found["energy_kwh_per_t"] != whole["energy_kwh_per_t"]


def test_a_result_comes_back_from_its_arrays(operators: ArmResult, tmp_path: Path) -> None:
    np.savez(tmp_path / "arm.npz", **operators.as_arrays())
    with np.load(tmp_path / "arm.npz", allow_pickle=False) as named:
        back = ArmResult.from_arrays(dict(named))
    for name, value in operators.as_arrays().items():
        np.testing.assert_array_equal(back.as_arrays()[name], value)


def test_lines_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(InputError, match="30 days of record"):
        LineSettings(record_d=3)
    with pytest.raises(InputError, match="a plan is"):
        Plan(np.zeros((7, 3, 2)), np.zeros((3, 4)), Promise.nothing(3), np.zeros(3, dtype=bool))


def test_setpoints_come_in_the_order_of_the_levers() -> None:
    plant = Potline(PRESET, 2, 1, spin_up=False)
    np.testing.assert_array_equal(in_force(plant.setpoints)[:, 0], plant.setpoints["set_voltage_v"])


@dataclass
class CarefulAdvisor:
    """Holds every cell for its own ``why``, and finds the first one outside a window whenever it is asked."""

    why: list[tuple[Reason, ...]]

    def advise(self, context: Context) -> Recommendation:
        return _held(context, self.why[int(context.cell_id[-1]) - 1])

    def outside(self, context: Context) -> bool:
        return context.cell_id.endswith("1")


def test_a_cell_that_stands_outside_a_window_is_its_operators_again(recipe: Recipe) -> None:
    """What stands stays on a cell that is held; one that is cold, and that no saving brings back, is given back."""
    cold = reason(
        "outside_window", {"outcome": "superheat", "predicted": 8.0, "unit": "degC", "window": "9 to 15"}
    )
    why = [(reason("no_gain"),), (cold,), (reason("no_gain"), cold)]
    plant = Potline(PRESET, 3, 31)
    watch = Watch(plant, recipe)
    for _ in range(31):
        watch.see(plant.step())
    in_hand = np.full((3, len(LEVERS)), np.nan)
    in_hand[:, LEVERS.index("set_voltage_v")] = 3.85
    arm = Advised(cast(Advisor, CarefulAdvisor(why)))
    plan = arm.plan(plant, watch, np.ones(3, dtype=bool), in_hand, 7)
    stands = np.isfinite(plan.settings[:, :, LEVERS.index("set_voltage_v")])
    np.testing.assert_array_equal(stands, np.repeat([[True, False, False]], 7, axis=0))
    # Between its rounds a cell is looked at every day, where a move of ours stands.
    in_hand[2] = np.nan
    between = arm.plan(plant, watch, np.array([False, False, True]), in_hand, 7)
    assert between.given_back is not None
    assert between.given_back.tolist() == [True, False, False]


def _held(context: Context, reasons: tuple[Reason, ...]) -> Recommendation:
    return Recommendation.sealed(
        line_id=context.line_id,
        cell_id=context.cell_id,
        date=context.date,
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        model_name="m",
        model_version="1",
        bundle_digest="0" * 64,
        status="hold",
        levers=(),
        expected={},
        saving=None,
        support=None,
        binding=(),
        reasons=reasons,
    )
