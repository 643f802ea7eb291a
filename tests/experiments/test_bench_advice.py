"""The measurement of advice, on a small scale: every step is there, and every cell was advised."""

from pathlib import Path

from experiments.bench.advice import COLUMNS, run
from tests.fakes.advising import advising_bundle

SAMPLES = Path(__file__).parents[2] / "data_samples"


def test_a_line_larger_than_the_data_is_posted_and_advised() -> None:
    table = run(advising_bundle(), SAMPLES, cells=31, days=30, workers=2)
    assert [column.name for column in table.columns] == [name for name, _ in COLUMNS]
    count = dict(zip(table.column("step"), table.column("count"), strict=True))
    assert count["whole line, streamed"] == count["whole line again"] == count["cells of the line"] == 31
    assert int(str(count["rows posted"])) > 31 * 30
    seconds = dict(zip(table.column("step"), table.column("seconds"), strict=True))
    assert all(float(str(value)) > 0 for value in seconds.values())
    assert table.meta.simulated
    assert table.notes[0] == "30 cells of the data stand for 31 under other names"
    moved = int(table.notes[1].split()[0])
    assert moved > 20, table.notes
