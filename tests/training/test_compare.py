"""Runs are compared on the same decisions, and told apart only where they differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import InputError
from training.compare import compare
from training.heldout import HeldOut, load, save

START = np.datetime64("2026-01-01", "D")


def _held(
    seed: int, *, error: float = 50.0, days: int = 60, cells: int = 12, family: str = "blend"
) -> HeldOut:
    truth = np.random.default_rng(0)
    n = days * cells
    y = truth.normal(12_400, 200, n)
    shared = np.repeat(truth.normal(0, 100, (days + 6) // 7 * cells).reshape(-1, cells), 7, axis=0)[
        :days
    ].ravel()
    own = np.random.default_rng(seed).normal(0, error, n)
    return HeldOut(
        outcome="energy_kwh_per_t",
        unit="kWh/t",
        family=family,
        cell_id=np.tile([f"c{i}" for i in range(cells)], days),
        date=np.repeat(START + np.arange(days), cells),
        mature=np.ones(n, dtype=bool),
        y=y,
        half_width=np.full(n, 200.0),
        predictions={family: y + shared + own, "persistence": np.full(n, 12_400.0)},
    )


def test_a_better_run_is_found_better_and_a_worse_one_worse() -> None:
    found = compare({"a": {"energy_kwh_per_t": _held(1)}, "b": {"energy_kwh_per_t": _held(2, error=150)}})
    reference, other = found.rows
    assert (reference.verdict, other.verdict) == ("reference", "worse")
    assert reference.difference == 0.0
    assert other.difference == pytest.approx(other.mae - reference.mae)
    back = compare({"b": {"energy_kwh_per_t": _held(2, error=150)}, "a": {"energy_kwh_per_t": _held(1)}})
    assert back.rows[1].verdict == "better"


def test_runs_that_differ_by_chance_are_not_told_apart() -> None:
    verdicts = [
        compare({"a": {"e": _held(1)}, "b": {"e": _held(seed)}}).rows[1].verdict for seed in range(2, 22)
    ]
    assert verdicts.count("no difference") >= 16


def test_pairing_sees_what_separate_intervals_cannot() -> None:
    found = compare({"a": {"e": _held(1)}, "b": {"e": _held(1, error=60)}})
    assert found.rows[1].verdict == "worse"
    assert found.rows[1].high - found.rows[1].low < 0.1 * found.rows[0].mae


def test_only_shared_decisions_count() -> None:
    long, short = _held(1), _held(2, days=40)
    short = replace(
        short, y=long.y[: len(short.y)], predictions={"blend": long.predictions["blend"][: len(short.y)]}
    )
    found = compare({"a": {"e": long}, "b": {"e": short}})
    assert [row.rows for row in found.rows] == [480, 480]
    assert found.rows[1].difference == 0.0


def test_runs_that_share_nothing_or_measured_otherwise_are_refused() -> None:
    held = _held(1)
    with pytest.raises(InputError, match="share no outcome"):
        compare({"a": {"e": held}, "b": {"other": held}})
    with pytest.raises(InputError, match="share no outcome"):
        compare({"a": {"e": held}, "b": {"e": replace(held, date=held.date + 400)}})
    with pytest.raises(InputError, match="other labels"):
        compare({"a": {"e": held}, "b": {"e": replace(held, y=held.y + 50)}})
    with pytest.raises(InputError, match="two"):
        compare({"a": {"e": held}})


def test_the_table_follows_its_columns() -> None:
    found = compare({"a": {"e": _held(1)}, "b": {"e": _held(2)}})
    assert all(len(row) == len(found.columns) for row in found.table())
    assert found.table()[0][found.columns.index("verdict")] == "reference"


def test_held_out_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    kept = {"energy_kwh_per_t": _held(1), "net_anode_kg_per_t": replace(_held(2), unit="kg/t")}
    save(kept, tmp_path / "test.npz")
    back = load(tmp_path / "test.npz")
    assert set(back) == set(kept)
    for name, held in kept.items():
        for field in ("cell_id", "date", "mature", "y", "half_width"):
            assert np.array_equal(getattr(back[name], field), getattr(held, field))
        assert (back[name].unit, back[name].family) == (held.unit, held.family)
        assert np.array_equal(back[name].predicted, held.predicted)


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="not a file"):
        load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", protocol=np.array(9))
    with pytest.raises(InputError, match="protocol 9"):
        load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", protocol=np.array({"a": 1}, dtype=object))
    with pytest.raises(InputError, match="not a file"):
        load(tmp_path / "pickled.npz")
