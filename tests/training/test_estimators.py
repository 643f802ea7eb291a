"""Families on rows with a known truth: they find it, keep physics' signs, and repeat themselves."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from features.errors import InputError
from training.bootstrap import member_weights
from training.estimators.boosting import fit_boosting
from training.estimators.crowding import crowding
from training.estimators.effects import learn_effects
from training.estimators.linear import fit_linear, fit_plain
from training.estimators.network import Trunk, fit_network, to_structures
from training.estimators.network import _Scaling as Scaling
from training.estimators.task import Task, input_ranges
from training.identification.crossfit import ridge
from training.identification.instruments import Learners, instruments
from training.importance import response
from training.lever_effects import EFFECTS
from training.rows import LeverPlace, Rows
from training.settings import BoostingSettings, LinearSettings, NetworkSettings
from training.structures import ENERGY_KWH_V_PER_T, Structure, predict

NAMES = ("level", "state", "set_voltage_v", "set_voltage_v_last", "rubbish", "running", "set_voltage_v_move")
VOLTAGE = LeverPlace("set_voltage_v", 2, 3, 6)
DOSE = LeverPlace("alf3_dose_kg_d", 2, 3, 6)
BOOSTING = BoostingSettings(trees=40, leaves=8, min_rows=20)
NETWORK = NetworkSettings(heads=4, width=16, epochs=12, batch=128)


@cache
def task(
    outcome: str = "mean_noise_mv", *, seed: int = 3, slope: float = -60.0, lever: LeverPlace = VOLTAGE
) -> Task:
    """Rows whose outcome is known: 20 + 2 state + 2 cos(2 state) + slope * move + the running estimate's share."""
    rng = np.random.default_rng(seed)
    n, cells = 1500, 10
    cell = np.tile(np.arange(cells), n // cells)
    date = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(n // cells), cells)
    state = rng.normal(size=n)
    last = np.round(3.9 + rng.normal(0, 0.03, n), 3)
    move = np.where(rng.random(n) < 0.4, np.round(rng.normal(0, 0.012, n), 3), 0.0)
    running = rng.normal(0, 2, n)
    z = np.stack([cell * 0.1, state, last + move, last, rng.normal(size=n), running, move], axis=1)
    z[rng.random(n) < 0.05, 1] = np.nan
    bend = 2 * np.cos(2 * state)  # what no line can follow
    y = 20 + 2 * state + bend + slope * move + running + rng.normal(0, 0.5, n)
    weights = member_weights(cell, date, 14, 2, seed)
    own = instruments(Rows(z, cell, date, NAMES, (lever,), {}, {}), 1, learners=Learners(rule=ridge))
    return Task(outcome, z, y, date, weights, np.ones(7, dtype=bool), (lever,), seed, own)


def effect(structure: Structure, move: float = 0.02) -> float:
    return float(response(structure, task().z[:300], VOLTAGE, np.array([move])).mean[0]) / move


def fitted(family: str, given: Task) -> Structure:
    line = fit_linear(given, LinearSettings())
    if family == "ridge":
        return line
    if family == "boosting":
        return fit_boosting(given, line, BOOSTING)
    return fit_network(given, {given.outcome: given.y}, {given.outcome: line}, NETWORK)[given.outcome]


@pytest.mark.parametrize("family", ["ridge", "boosting", "network"])
def test_every_family_learns_and_its_members_differ(family: str) -> None:
    given = task()
    structure = fitted(family, given)
    errors = np.abs(predict(structure, given.z) - given.y).mean()
    assert errors < 0.7 * np.abs(given.y - given.y.mean()).mean()
    members = structure.members(given.z)
    assert members.shape == (len(given.y), 2)
    assert np.abs(members[:, 0] - members[:, 1]).mean() > 1e-3


def test_trees_and_network_see_what_a_line_cannot() -> None:
    given = task()
    errors = {
        family: np.abs(predict(fitted(family, given), given.z) - given.y).mean()
        for family in ("ridge", "boosting", "network")
    }
    assert errors["boosting"] < 0.9 * errors["ridge"]
    assert errors["network"] < 0.9 * errors["ridge"]


def test_the_line_finds_the_effect_of_a_move() -> None:
    assert effect(fitted("ridge", task())) == pytest.approx(-60.0, abs=20.0)


def test_a_sign_that_physics_forbids_is_not_learnt() -> None:
    confounded = task(slope=90.0)  # operators raised the voltage of noisy cells
    structure = fitted("ridge", confounded)
    moves = np.linspace(-0.04, 0.04, 17)
    found = response(structure, confounded.z[:200], VOLTAGE, moves).effect
    assert (np.diff(found, axis=0) <= 1e-12).all()


def test_without_a_sign_in_physics_the_data_decide() -> None:
    free = replace(task(slope=90.0), outcome="some other outcome")
    assert effect(fit_linear(free, LinearSettings())) > 20.0


def test_confounded_data_leave_the_effect_where_physics_expects_it() -> None:
    confounded = task("mean_bath_temperature_c", slope=90.0, lever=DOSE)
    assert effect(fit_linear(confounded, LinearSettings())) == pytest.approx(-0.1, abs=0.03)


@pytest.mark.parametrize("family", ["boosting", "network"])
def test_trees_and_network_leave_the_levers_to_the_line(family: str) -> None:
    given = task()
    assert effect(fitted(family, given)) == pytest.approx(effect(fitted("ridge", given)), rel=1e-9)


def test_an_effect_whose_size_physics_knows_stays_there() -> None:
    assert effect(fitted("ridge", task("mean_voltage_v", slope=1.0))) == pytest.approx(1.0, abs=0.2)


def test_members_differ_by_what_is_not_known_about_an_effect() -> None:
    silent = replace(task("mean_bath_temperature_c", slope=0.0, lever=DOSE), own=None)
    members = fit_linear(silent, LinearSettings()).coef[:, VOLTAGE.move]
    assert members == pytest.approx(
        [EFFECTS["mean_bath_temperature_c", "alf3_dose_kg_d"].draw(j, 2, 0) for j in (0, 1)]
    )


def test_a_lever_that_physics_is_silent_about_needs_evidence() -> None:
    unknown = replace(VOLTAGE, name="some other lever")
    told = effect(fit_linear(task(slope=-60.0, lever=unknown), LinearSettings()))
    assert -60.0 < told < -15.0
    silent = effect(fit_linear(task(slope=0.0, lever=unknown), LinearSettings()))
    assert abs(silent) < 0.3 * abs(told)


def test_what_made_operators_move_a_lever_is_not_taken_for_its_effect() -> None:
    """The voltage is raised on mornings with a hot bath, which stays hot: only what was moved beyond that tells."""
    rng = np.random.default_rng(11)
    days, cells = 240, 12
    n = days * cells
    cell = np.tile(np.arange(cells), days)
    date = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(days), cells)
    heat = np.zeros((days + 1, cells))
    for day in range(days):
        heat[day + 1] = 0.6 * heat[day] + rng.normal(0, 4.0, cells)
    morning = heat[1:].reshape(-1)
    move = 0.002 * morning + rng.normal(0, 0.006, n)
    last = 3.9 + rng.normal(0, 0.02, n)
    y = 950 + 0.6 * morning + 60.0 * move + rng.normal(0, 1.0, n)
    names = ("bath_temperature_c_last", "set_voltage_v", "set_voltage_v_last", "set_voltage_v_move")
    lever = LeverPlace("set_voltage_v", 1, 2, 3)
    z = np.stack([heat[:-1].reshape(-1), last + move, last, move], axis=1)
    own = instruments(Rows(z, cell, date, names, (lever,), {}, {}), 1, learners=Learners(rule=ridge))
    given = Task(
        "mean_bath_temperature_c", z, y, date, np.ones((n, 1)), np.ones(4, dtype=bool), (lever,), 0, own
    )
    naive = fit_plain(given, LinearSettings()).coef[0, [lever.move, lever.value]].sum()
    assert naive > 150.0
    assert fit_linear(given, LinearSettings()).coef[0, lever.move] == pytest.approx(60.0, abs=15.0)


def test_a_lever_does_to_energy_what_it_does_to_voltage_and_efficiency() -> None:
    given = task()
    volts, efficiency = 3.9 + 1e-3 * task("mean_voltage_v", slope=1000.0).y, 0.94 + 1e-5 * given.y
    energy = replace(
        given,
        outcome="energy_kwh_per_t",
        y=ENERGY_KWH_V_PER_T * volts / efficiency,
        parts={"mean_voltage_v": volts, "current_efficiency": efficiency},
    )
    ranges = input_ranges(given)
    parts = [
        learn_effects(energy.relabelled(name, energy.parts[name]), ranges, 7.0)
        for name in ("mean_voltage_v", "current_efficiency")
    ]
    whole = learn_effects(energy, ranges, 7.0)
    step = 1e-4

    def told(kind: str) -> np.ndarray:
        v, ce = (getattr(part, kind) * step for part in parts)
        return ENERGY_KWH_V_PER_T * (
            (volts.mean() + v) / (efficiency.mean() + ce) - volts.mean() / efficiency.mean()
        )

    np.testing.assert_allclose(whole.straight * step, told("straight"), rtol=1e-3)
    np.testing.assert_allclose(whole.crowding * step, told("crowding"), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("reference", [3.86, 3.9, 3.94])
@pytest.mark.parametrize("move", [-0.03, 0.0, 0.02])
def test_crowding_is_the_change_of_an_exponential(reference: float, move: float) -> None:
    given = task()
    response = crowding(given, VOLTAGE, input_ranges(given), np.array([1.0, -2.0]), np.array([0.1, 0.06]))
    z = given.z[:1].copy()
    z[0, [VOLTAGE.value, VOLTAGE.reference, VOLTAGE.move]] = reference + move, reference, move
    middle = given.z[:, VOLTAGE.reference].mean()
    now, then = reference + move - middle, reference - middle
    expected = [np.exp(-now / s) - np.exp(-then / s) for s in (0.1, 0.06)]
    assert response.members(z)[0] == pytest.approx([expected[0], -2 * expected[1]], rel=0.03, abs=1e-12)


def test_each_step_down_costs_more_than_the_last() -> None:
    line = fit_linear(task(), LinearSettings())
    moves = np.linspace(-0.03, 0.03, 9)
    noise = response_of(line, moves)
    assert (np.diff(noise) < 0).all()
    assert (np.diff(noise, 2) > -1e-9).all()


def response_of(structure: Structure, moves: np.ndarray) -> np.ndarray:
    return response(structure, task().z[:200], VOLTAGE, moves).mean


def test_a_lever_that_never_moved_gets_no_effect() -> None:
    given = task()
    z = given.z.copy()
    z[:, VOLTAGE.value], z[:, VOLTAGE.move] = z[:, VOLTAGE.reference], 0.0
    usable = given.usable.copy()
    usable[[VOLTAGE.value, VOLTAGE.move]] = False
    still = replace(given, z=z, usable=usable, levers=())
    for family in ("ridge", "boosting", "network"):
        assert effect(fitted(family, still)) == 0.0


def test_with_few_rows_the_line_leans_on_the_running_estimate() -> None:
    given = task()
    rng = np.random.default_rng(0)
    rubbish = rng.normal(size=(len(given.y), 80))
    wide = np.concatenate([rubbish, given.z], axis=1)
    lever = LeverPlace("set_voltage_v", 82, 83, 86)
    few = slice(0, 100)

    def error(anchors: tuple[int, ...]) -> float:
        small = Task(
            given.outcome, wide[few], given.y[few], given.date[few], given.weights[few],
            np.ones(87, dtype=bool), (lever,), 0, anchors=anchors,
        )  # fmt: skip
        model = fit_linear(small, LinearSettings(alphas=(0.1, 1.0, 10.0)))
        return float(np.abs(predict(model, wide[100:]) - given.y[100:]).mean())

    assert error((85,)) < 0.9 * error(())


def test_plain_ridge_is_ridge_as_written_in_a_book() -> None:
    given = replace(task(), z=np.nan_to_num(task().z), weights=np.ones((1500, 1)))
    settings = LinearSettings(alphas=(0.3,))
    model = fit_plain(given, settings)
    x = input_ranges(given).read(given.z)
    u = (x - x.mean(axis=0)) / x.std(axis=0)
    slopes = np.linalg.solve(u.T @ u + 0.3 * len(u) * np.eye(7), u.T @ (given.y - given.y.mean()))
    np.testing.assert_allclose(predict(model, given.z), u @ slopes + given.y.mean(), rtol=1e-9)


def _digest() -> str:
    digest = hashlib.sha256()
    for family in ("ridge", "boosting", "network"):
        digest.update(fitted(family, task()).members(task().z).tobytes())
    return digest.hexdigest()


def test_a_row_alone_and_in_company_gets_the_same_network_answer() -> None:
    """A constant column whose spread is rounding error must not reach the first layer as a huge weight."""
    given = task()
    z = given.z.copy()
    z[:, NAMES.index("rubbish")] = 7500.1
    network = fitted("network", replace(given, z=z))
    together = predict(network, z[:64])
    alone = np.concatenate([predict(network, z[row : row + 1]) for row in range(64)])
    np.testing.assert_allclose(alone, together, rtol=1e-12)


def test_the_same_seed_gives_the_same_numbers_in_another_process() -> None:
    code = "from tests.training.test_estimators import _digest; print(_digest())"
    other = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == _digest()


def test_numpy_repeats_torch() -> None:
    settings = NetworkSettings(heads=4, width=12, depth=3)
    trunk = Trunk(9, 2, settings, torch.Generator().manual_seed(1)).double()
    inputs = input_ranges(task())
    rng = np.random.default_rng(2)
    scaling = Scaling(
        inputs, np.array([1, 4]), rng.normal(size=7), rng.uniform(0.5, 2, 7), np.array([3.0, 0.1])
    )
    z = task().z[:200]
    expected = trunk(torch.from_numpy(scaling.standard(z))).detach().numpy() * scaling.spread
    for o, network in enumerate(to_structures(trunk, scaling, 2)):
        by_member = expected[:, :, o].reshape(2, 2, -1).mean(axis=1).T
        np.testing.assert_allclose(network.members(z), by_member, rtol=1e-11, atol=1e-12)


def test_outcomes_of_one_network_share_their_trunk() -> None:
    given = task()
    line = fit_linear(given, LinearSettings())
    both = fit_network(
        given, {"a": given.y, "b": -given.y}, {"a": line, "b": line}, replace(NETWORK, epochs=1)
    )
    first, second = (both[name].parts[1] for name in ("a", "b"))
    assert all(one is other for one, other in zip(first.layers[:-1], second.layers[:-1], strict=True))


def test_labels_that_are_not_known_are_refused() -> None:
    broken = task().y.copy()
    broken[3] = np.nan
    with pytest.raises(InputError, match="known labels"):
        replace(task(), y=broken)
