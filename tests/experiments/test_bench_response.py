"""The bundle's answer to a lever against the truth, on a small line."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.bench.confounding import ConfoundingPlan
from experiments.bench.response import SHARES, ResponsePlan, per_step, run, write_figure
from features.errors import InputError
from tests.experiments.conftest import Finished


def _quiet(done: float, total: float, note: str = "") -> None:
    assert done <= total


def test_truth_and_model_are_asked_alike(finished: Finished, tmp_path: Path) -> None:
    table, answers = run(finished.out / "bundle", ResponsePlan(cells=6, days=1, seed=31), _quiet)
    assert table.meta.simulated
    assert "energy_kwh_per_t" in table.column("outcome")
    volts = answers.truth["set_voltage_v"]["mean_voltage_v"]
    asked = np.isfinite(volts[..., 0])
    assert asked.any()
    assert (volts[asked][:, SHARES.index(0.0)] == 0).all()
    # A voltage set higher is a voltage measured higher, in truth and in the model.
    info = answers.levers["set_voltage_v"]
    assert (per_step(volts, info)[asked] > 0).all()
    assert (per_step(answers.model["set_voltage_v"]["mean_voltage_v"], info)[asked] > 0).all()
    rows = [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]
    energy = next(
        row for row in rows if (row["lever"], row["outcome"]) == ("set_voltage_v", "energy_kwh_per_t")
    )
    assert energy["cells"] == asked.any(axis=0).sum()
    write_figure(answers, tmp_path / "figure.html")
    assert "SIMULATED" in (tmp_path / "figure.html").read_text(encoding="utf-8")
    table.write_json(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["meta"]["simulated"] is True


def test_plans_that_ask_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="ask on one day"):
        ResponsePlan(days=0)
    with pytest.raises(InputError, match="60 days at least"):
        ConfoundingPlan(days=30)
