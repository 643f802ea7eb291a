import json
import math
import re
from pathlib import Path

import pytest
from rich.console import Console

from experiments.bench.table import BenchMeta, BenchTable

META = BenchMeta({"python": "3.11"}, {"cores": 2}, seed=7, simulated=True)


def table(rows: list[list[object]] | None = None) -> BenchTable:
    rows = rows if rows is not None else [["ours", 0.17, 12], ["theirs", math.nan, 1_200]]
    return BenchTable.of("Search", [("method", ""), ("time", "s"), ("cells", "")], rows, META)  # type: ignore[arg-type]


def test_json_round_trip_names_units_and_provenance(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.json"
    table().write_json(path)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read == table().to_json()
    assert read["columns"][1] == {"name": "time", "unit": "s"}
    assert read["rows"][1] == ["theirs", None, 1200]
    assert read["meta"]["seed"] == 7
    assert read["meta"]["simulated"] is True
    assert [item.name for item in path.parent.iterdir()] == ["table.json"]


def test_print_shows_units_rows_and_says_simulated() -> None:
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        table().print(console)
    text = captured.get()
    assert "SIMULATED" in text
    assert "time [s]" in text
    assert re.search(r"theirs\W+nan\W+1,200", text)
    assert "seed 7" in text


@pytest.mark.parametrize("columns", [[], [("a", ""), ("a", "s")]])
def test_bad_columns_are_refused(columns: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="columns"):
        BenchTable.of("t", columns, [], META)


def test_ragged_row_is_refused_by_number() -> None:
    with pytest.raises(ValueError, match="row 1 holds 2"):
        table([["a", 1.0, 1], ["b", 2.0]])


def test_column_by_name() -> None:
    assert table().column("method") == ("ours", "theirs")
    with pytest.raises(KeyError, match="no column 'share'"):
        table().column("share")


def test_here_reports_versions_and_no_host_name() -> None:
    import platform

    meta = BenchMeta.here(["rich", "no-such-distribution"], seed=None, simulated=False)
    assert meta.versions["rich"][0].isdigit()
    assert meta.versions["no-such-distribution"] == "absent"
    assert int(meta.machine["cores"]) >= 1
    assert platform.node() not in json.dumps(dict(meta.machine))
