from pathlib import Path

import numpy as np
import pytest

from experiments.bench.export import drawn_task, run, sample_task

SAMPLES = Path(__file__).parents[2] / "data_samples"


def test_ours_is_exact_and_the_usual_converter_is_not(tmp_path: Path) -> None:
    table = run(rows=1500, seed=3, data=tmp_path / "absent", trees=40)
    by_name = {
        str(row[0]): dict(zip([c.name for c in table.columns], row, strict=True)) for row in table.rows
    }
    own, ours, single, double = by_name.values()
    assert [row["rows"] for row in by_name.values()] == [1500] * 4
    assert own["largest_error"] == 0.0
    assert own["one_row_over_lightgbm"] == own["row_of_1024_over_lightgbm"] == 1.0
    assert ours["rows_beyond_1e-6"] == 0
    assert ours["largest_error"] == 0.0
    for usual in (single, double):
        assert float(usual["of_thresholds"] or 0) > 10
        assert float(usual["largest_error"] or 0) > 1.0
    assert table.meta.simulated


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample data are not in this checkout")
def test_the_samples_carry_the_task() -> None:
    task = sample_task(SAMPLES)
    assert task.simulated
    assert task.X.dtype == np.float32
    assert len(task.X) == len(task.y) > 1000
    assert 11_000 < float(np.median(task.y)) < 16_000


def test_a_drawn_task_repeats_and_has_holes() -> None:
    first, second, other = drawn_task(1, 300, 20), drawn_task(1, 300, 20), drawn_task(2, 300, 20)
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.y, second.y)
    assert not np.array_equal(first.y, other.y)
    assert 0.0 < np.isnan(first.X).mean() < 0.1
