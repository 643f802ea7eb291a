"""The confounding report on a small simulated record: table, page, JSON, the test it proposes, and a planted dial."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from experiments import confounding_job as job_module
from experiments.confounding.content import ConfoundingReport
from experiments.confounding.dml import by_doubleml
from experiments.confounding.numbers import number
from experiments.confounding.planted import plant_dial
from experiments.confounding.switchback import Ground, propose, signs
from experiments.confounding.truth import STEP, true_slopes
from experiments.confounding_job import JSON, PAGE, ConfoundingJob
from experiments.simulator.oracle import mature
from experiments.simulator.potline import Potline
from features.errors import UnknownNameError
from features.setpoints import Lever
from features.tables.store import read_tables, write_tables
from tests.fakes.confounded_line import inputs
from tests.fakes.small_record import small_record
from training.identification.assess import clustered, residuals

DOSE = Lever("alf3_dose_kg_d", "kg/d", 0.0, 120.0, 1.0, 10.0, 20.0, "chemistry")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ConfoundingReport, Path, str]:
    """The report on a part of the sample in which the AlF3 setpoint is a dial wired to nothing."""
    place = tmp_path_factory.mktemp("confounding")
    record = small_record(place / "whole", cells=8, days=180)
    write_tables(plant_dial(read_tables(record), "alf3_dose_kg_d", 5), place / "record")
    console = Console(width=200, record=True, file=(place / "log").open("w"))
    try:
        report = job_module.run(ConfoundingJob(place / "record", place / "out"), console)
    finally:
        console.file.close()
    return report, place / "out", console.export_text()


def test_the_report_is_whole_and_says_that_the_data_are_simulated(
    made: tuple[ConfoundingReport, Path, str],
) -> None:
    report, out, said = made
    assert sorted(path.name for path in out.iterdir()) == [PAGE, JSON]
    told = json.loads((out / JSON).read_text(encoding="utf-8"))
    assert told["protocol"] == 1
    assert [lever["lever"] for lever in told["levers"]] == [page.assessment.lever for page in report.levers]
    page = (out / PAGE).read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "SIMULATED" in said
    assert "http://" not in page.replace("http://www.w3.org", "")
    for lever in told["levers"]:
        assert lever["grade"] in ("identified", "weak", "not_identified")
        assert lever["text"] in page
        assert lever["text_zh"] in page


def test_a_dial_wired_to_nothing_is_not_called_identified(made: tuple[ConfoundingReport, Path, str]) -> None:
    dial = next(page for page in made[0].levers if page.assessment.lever == "alf3_dose_kg_d")
    assert dial.assessment.finding.grade != "identified"
    assert dial.assessment.moves.own_share > 0.3
    assert dial.plan is not None or dial.plan_missing


def test_every_proposed_test_keeps_the_step_and_mirrors_its_cells(
    made: tuple[ConfoundingReport, Path, str],
) -> None:
    plans = [page.plan for page in made[0].levers if page.plan is not None]
    assert plans
    for plan in plans:
        settings = {
            cell: [slot.setting for slot in plan.slots if slot.cell_id == cell] for cell in plan.cells
        }
        for one, other in zip(plan.cells[::2], plan.cells[1::2], strict=True):
            up = np.array(settings[one]) > np.mean(settings[one])
            assert (up != (np.array(settings[other]) > np.mean(settings[other]))).all()
            assert up.sum() * 2 == len(up)
        for values in settings.values():
            assert max(values) - min(values) == pytest.approx(2 * plan.step)
        assert plan.days == 2 * plan.pairs * plan.period_d


def test_doubleml_agrees_with_our_own_slopes() -> None:
    left = residuals(inputs(3, cells=8, days=150).rows(), 7)
    columns = np.arange(2)
    for outcome in ("mean_voltage_v", "mean_noise_mv", "mean_bath_temperature_c"):
        ours, theirs = clustered(left, outcome, columns), by_doubleml(left, outcome, columns)
        assert ours is not None
        assert theirs is not None
        for one, other in zip(ours, theirs, strict=True):
            assert one.value == pytest.approx(other.value, abs=0.5 * one.error)
            assert 0.4 < other.error / one.error < 2.5


def test_the_plan_is_as_sharp_as_it_says() -> None:
    """The placebo's width against what a test on white noise of a known spread must give."""
    draw = np.random.default_rng(1)
    cells, days, spread = 12, 400, 3.0
    cell, day = np.tile(np.arange(cells), days), np.repeat(np.arange(days), cells)
    ground = Ground(
        cell,
        day,
        {"mean_noise_mv": draw.normal(0, spread, cells * days)},
        np.array([f"c{i}" for i in range(cells)]),
        np.arange(cells),
        np.full(cells, 50.0),
    )
    plan = propose(ground, DOSE, {"mean_noise_mv": 1e-9}, seed=1)
    assert plan is not None
    assert not plan.enough
    periods = len(plan.slots)
    exact = spread / plan.step / np.sqrt(periods)
    assert plan.expected["mean_noise_mv"].half_width == pytest.approx(2.1 * exact, rel=0.25)
    easy = propose(ground, DOSE, {"mean_noise_mv": 10.0}, seed=1)
    assert easy is not None
    assert easy.enough
    assert len(easy.slots) < periods
    assert propose(replace(ground, fit=np.arange(2)), DOSE, {"mean_noise_mv": 1.0}, seed=1) is None
    assert propose(ground, replace(DOSE, low=49.0), {"mean_noise_mv": 1.0}, seed=1) is None


def test_signs_are_balanced_in_every_pair_of_periods_and_on_every_day() -> None:
    order = signs(6, 4, np.random.default_rng(0))
    assert set(np.unique(order)) == {-1, 1}
    assert (order.reshape(6, 4, 2).sum(axis=2) == 0).all()
    assert (order.sum(axis=0) == 0).all()


def test_the_truth_is_a_slope_of_the_oracles_own_trial() -> None:
    plant = Potline("line-500", 6, 21)
    before = plant.copy()
    told = true_slopes(plant, [plant.day], 7, levers=("set_voltage_v",))
    cells = mature(before, ahead_d=7)
    up, down = before.copy(), before.copy()
    for arm, sign in ((up, 1.0), (down, -1.0)):
        held = arm.setpoints
        held["set_voltage_v"] = held["set_voltage_v"] + sign * STEP["set_voltage_v"]
        volts = [arm.step(held).truth["mean_voltage_v"] for _ in range(7)]
        arm.mean_volts = np.mean(volts, axis=0)  # type: ignore[attr-defined]
    slope = (up.mean_volts - down.mean_volts) / (2 * STEP["set_voltage_v"])  # type: ignore[attr-defined]
    assert told.slopes["set_voltage_v"]["mean_voltage_v"][0][cells] == pytest.approx(slope[cells])


def test_a_dial_changes_nothing_but_its_own_columns(tmp_path: Path) -> None:
    tables = read_tables(small_record(tmp_path / "r", cells=3, days=40))
    dialled = plant_dial(tables, "alf3_dose_kg_d", 1)
    changed = {
        name for name in tables.cell_days if not tables.cell_days[name].equals(dialled.cell_days[name])
    }
    assert changed == {"alf3_dose_kg_d", "alf3_fed_kg_d"}
    gap = tables.cell_days["alf3_fed_kg_d"] - tables.cell_days["alf3_dose_kg_d"]
    assert np.allclose(
        gap, dialled.cell_days["alf3_fed_kg_d"] - dialled.cell_days["alf3_dose_kg_d"], equal_nan=True
    )
    with pytest.raises(UnknownNameError, match="no dial stands in"):
        plant_dial(tables, "set_voltage_v", 1)


@pytest.mark.parametrize(
    ("value", "text"), [(12.34, "+12"), (-0.0123, "−0.012"), (0.0, "0"), (float("nan"), "–"), (123.4, "+123")]
)
def test_effects_are_written_with_two_digits(value: float, text: str) -> None:
    assert number(value) == text
