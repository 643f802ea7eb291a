"""``superheat allocate`` from a file of recommendations."""

from pathlib import Path

import pytest
from rich.console import Console

from experiments.allocate_job import AllocateJob, run
from features.errors import InputError
from serving.files import write_jsonl
from serving.schemas import Estimate, Recommendation, Saving
from serving.search.allocation import Budget
from tests.fakes.advised import recommendation


def worth(cell: str, mean: float, lower: float) -> Recommendation:
    nothing = Estimate(mean=0.0, lower=0.0, upper=0.0)
    cost = Estimate(mean=mean, lower=lower, upper=2 * mean - lower)
    saving = Saving(energy_kwh_per_t=nothing, net_anode_kg_per_t=None, cost_per_t=cost, currency="CNY")
    return recommendation(cell, saving=saving.model_dump())


def test_the_crew_gets_the_moves_that_pay_most_in_order(tmp_path: Path) -> None:
    file = tmp_path / "recommendations.jsonl"
    write_jsonl([worth("a", 10, 8), worth("b", 30, 27), worth("c", 40, -20), worth("d", 20, 18)], file)
    console = Console(width=140, record=True, file=(tmp_path / "log").open("w"))
    try:
        found = run(AllocateJob(file, Budget(moves_a_day=2, caution=1.0), out=tmp_path / "work.csv"), console)
    finally:
        console.file.close()
    # c promises most and is hardly sure of any of it.
    rows = (tmp_path / "work.csv").read_text(encoding="utf-8-sig").splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["L1/b", "L1/d"]
    assert found.binding == ("moves_a_day",)
    said = console.export_text()
    assert "2 of 4 cells move" in said
    assert "proved within 0.00%" in said


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        run(AllocateJob(tmp_path / "none.jsonl", Budget()), Console(quiet=True))
    file = tmp_path / "recommendations.jsonl"
    write_jsonl([worth("a", 10, 8)], file)
    with pytest.raises(InputError, match="--data"):
        run(AllocateJob(file, Budget(), bundle=tmp_path), Console(quiet=True))
