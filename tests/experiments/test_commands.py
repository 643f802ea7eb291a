"""The command line from outside: exit codes, one clear line, nothing overwritten."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from experiments.cli import main
from features.tables.ingest import load
from features.tables.store import read_tables
from tests.fakes.small_record import SAMPLE, small_record

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "ingest", "simulate", "train", "tune", "compare", "export", "recommend", "doctor", "bench")


def superheat(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patched.setattr("sys.argv", ["superheat", *arguments])
        try:
            main()
        except SystemExit as done:
            return int(done.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("main returned without an exit code")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return small_record(tmp_path / "record", cells=3, days=60)


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Path]:
    """An earlier result that no refused run may touch."""
    out = tmp_path / "runs" / "latest"
    out.mkdir(parents=True)
    (out / "summary.json").write_text("{}")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in out.parent.rglob("*"))
    yield out
    after = sorted((path.name, path.stat().st_mtime_ns) for path in out.rglob("*"))
    assert after == [entry for entry in before if entry[0] == "summary.json"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_reads_writes_and_costs(command: str) -> None:
    code, out, _ = superheat(command, "--help")
    assert code == 0
    said = " ".join(out.split())
    if command != "bench":
        assert "osts" in said
        assert any(word in said for word in ("Reads", "change nothing"))


@pytest.mark.parametrize(
    "name",
    ["export", "search", "confounding", "response", "kill", "advice", "savings", "serve", "serve-proof"],
)
def test_every_bench_writes_json(name: str) -> None:
    code, out, _ = superheat("bench", name, "--help")
    assert code == 0
    assert "--json" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-command"], "no-such-command"),
        (["run", "--no-such-option"], "--no-such-option"),
        (["run", "--seed", "many"], "--seed"),
        (["run", "--data", "no/such/place"], "no/such/place"),
        (["run", "--data", "README.md"], "README.md"),
        (["recommend", "--bundle", "no/bundle", "--data", "no/such/place"], "bundle"),
        (["simulate"], "--out"),
        (["simulate", "--cells", "0", "--out", "x"], "--cells"),
        (["simulate", "--preset", "line-9", "--credibility"], "line-9"),
        (["compare", "only-one", "--root", "ROOT"], "only-one"),
        (["export", "latest", "--out", "ROOT/bundle", "--root", "ROOT"], "latest"),
        (["run", "--tracking-uri", "nonsense://store", "--out", "ROOT/latest"], "nonsense"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], words: str, tmp_path: Path) -> None:
    code, _, err = superheat(*(argument.replace("ROOT", str(tmp_path)) for argument in arguments))
    assert code == (1 if "recommend" in arguments else 2)
    assert words in err
    assert "Traceback" not in err


def spoil(record: Path, table: str, change: object) -> None:
    frame = pd.read_parquet(record / f"{table}.parquet")
    frame = change(frame)  # type: ignore[operator]
    frame.to_parquet(record / f"{table}.parquet", index=False)


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("cell_days", lambda frame: frame.drop(columns="cell_voltage_v"), "cell_voltage_v"),
        (
            "cell_days",
            lambda frame: frame.assign(cell_voltage_v=frame["cell_voltage_v"] * 1000),
            "cell_voltage_v",
        ),
        ("cell_days", lambda frame: frame.head(0), "empty"),
        ("taps", lambda frame: frame.drop(columns="cell_id"), "cell_id"),
        (
            "cell_days",
            lambda frame: frame.assign(line_current_ka=frame["line_current_ka"] * 1000),
            "line_current",
        ),
    ],
    ids=["missing column", "wrong unit", "empty table", "missing key", "amperes for kiloamperes"],
)
def test_a_record_that_breaks_as_a_whole_is_refused(
    record: Path, earlier: Path, table: str, change: object, words: str
) -> None:
    spoil(record, table, change)
    code, _, err = superheat("run", "--quick", "--data", str(record), "--out", str(earlier))
    assert code == 2, err
    assert err.startswith("superheat: bad input (")
    assert err.count("\n") == 1
    assert words in err


def test_an_unknown_lever_is_named_with_those_that_are(record: Path, earlier: Path) -> None:
    code, _, err = superheat(
        "run", "--quick", "--data", str(record), "--out", str(earlier), "--lever", "heat"
    )
    assert code == 2
    assert "heat" in err
    assert "set_voltage_v" in err


def test_rows_that_break_the_contract_are_set_aside_and_the_rest_is_kept(
    record: Path, tmp_path: Path
) -> None:
    def plant(frame: pd.DataFrame) -> pd.DataFrame:
        frame = pd.concat([frame, frame.iloc[[5]]], ignore_index=True)
        frame["noise_mv"] = frame["noise_mv"].astype(str)
        frame.loc[7, "noise_mv"] = "Bad Input value"
        frame.loc[9, "cell_voltage_v"] = float("nan")
        return frame

    spoil(record, "cell_days", plant)
    code, out, err = superheat("ingest", str(record), "--out", str(tmp_path / "taken"))
    assert code == 0, err
    assert "cell_days" in out
    kept = read_tables(tmp_path / "taken").cell_days
    assert len(kept) == len(load(small_record(tmp_path / "sound", 3, 60)).cell_days) - 2
    aside = pd.read_csv(tmp_path / "taken" / "quarantine.csv")
    assert {"text in number", "missing"} <= set(aside["rule"])


def test_ingest_needs_a_mapping_for_a_plants_own_file(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text("pot;volts\n1;4,05\n")
    code, _, err = superheat("ingest", str(file), "--out", str(tmp_path / "taken"))
    assert code == 2
    assert "mapping" in err
    assert not (tmp_path / "taken").exists()


def test_simulate_writes_a_record_and_the_truth_apart(tmp_path: Path) -> None:
    code, out, err = superheat(
        "simulate", "--out", str(tmp_path / "line"), "--cells", "2", "--days", "3", "--credibility"
    )
    assert code == 0, err
    assert read_tables(tmp_path / "line").plant.simulated
    assert (tmp_path / "line-truth" / "truth.parquet").is_file()
    assert not list((tmp_path / "line").glob("*truth*"))
    assert "SIMULATED" in out
    assert "inside" in out


def test_doctor_looks_and_changes_nothing(tmp_path: Path) -> None:
    code, out, _ = superheat("doctor", "--run", str(tmp_path / "latest"), "--sample", str(SAMPLE))
    assert code == 0
    assert "extra training" in out
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "latest" / "bundle").mkdir(parents=True)
    code, out, _ = superheat("doctor", "--run", str(tmp_path / "latest"), "--sample", str(SAMPLE))
    assert code == 1
    assert "wrong" in out


def test_a_target_that_holds_other_files_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").write_text("mine")
    code, _, err = superheat("run", "--out", str(tmp_path / "home"))
    assert code == 2
    assert "letters.txt" in err
    assert (tmp_path / "home" / "letters.txt").read_text() == "mine"
