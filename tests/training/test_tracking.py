"""MLflow: runs end as they ended, a model is registered whole or not at all, the champion is earned."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import InputError, UnknownNameError
from training.settings import TrainSettings
from training.tracking import PREDICTIONS, Run, Standing, Tracker, _process
from training.tuning import TrialResult, TuningResult

STANDING = Standing(validation=0.6, data_sha256="a" * 64, last_day="2026-01-31")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    Tracker(root=root)
    return root


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"protocol": 1}')
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 40)
    return folder


def test_a_run_keeps_what_was_logged(store: Path, tmp_path: Path) -> None:
    tracker = Tracker(root=store)
    (tmp_path / "figure.png").write_bytes(b"png")
    with tracker.start("kept", {"superheat.kind": "run"}) as run:
        run.log(
            params=TrainSettings().flat(), metrics={"mae": 1.5, "r2": float("nan"), "worst": float("inf")}
        )
        run.log(metrics={f"m{i}": float(i) for i in range(250)})
        run.files([tmp_path / "figure.png"], "figures")
    found = tracker.find("kept")
    assert found.status == "FINISHED"
    assert found.params["seed"] == "7"
    assert found.params["boosting.trees"] == str(TrainSettings().boosting.trees)
    assert found.metrics["mae"] == 1.5
    assert found.metrics["m249"] == 249.0
    assert not {"r2", "worst"} & set(found.metrics)
    assert tracker.fetch(found.run_id, "figures/figure.png", tmp_path / "got").read_bytes() == b"png"
    assert tracker.find(found.run_id[:8]).name == "kept"
    assert [run.name for run in tracker.runs("run")] == ["kept"]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (None, "FINISHED")]
)
def test_a_run_ends_as_its_work_ended(store: Path, error: BaseException | None, status: str) -> None:
    tracker = Tracker(root=store)
    name = f"ends {status}"
    if error is None:
        with tracker.start(name):
            pass
    else:
        with pytest.raises(type(error)), tracker.start(name):
            raise error
    assert tracker.find(name).status == status


def test_a_run_of_a_killed_process_is_marked_killed_and_a_living_one_is_not(store: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from training.tracking import Tracker\n"
        "tracker = Tracker(root=Path(sys.argv[1])); tracker.start('orphan'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store)], check=False)
    assert done.returncode == 9
    mine = Tracker(root=store).start("alive")
    again = Tracker(root=store)
    assert again.find("orphan").status == "KILLED"
    assert again.find("alive").status == "RUNNING"
    with mine:
        pass


def test_a_pid_that_is_used_again_is_not_taken_for_the_old_process(store: Path) -> None:
    tracker = Tracker(root=store)
    assert _process().startswith(f"{os.getpid()}/")
    tracker.start("older owner", {"superheat.process": f"{os.getpid()}/1"})
    assert Tracker(root=store).find("older owner").status == "KILLED"


def test_trials_are_children_of_their_study(store: Path) -> None:
    trials = tuple(TrialResult(i, {"leaves": 4 + i}, 0.9 - 0.1 * i, {"energy": 0.8}) for i in range(3))
    tracker = Tracker(root=store)
    with tracker.start("study") as parent:
        tracker.log_trials(parent, TuningResult("boosting", trials, TrainSettings()))
    children = [run for run in tracker.runs("trial") if run.tags["mlflow.parentRunId"] == parent.run_id]
    assert {child.params["leaves"] for child in children} == {"4", "5", "6"}
    assert {child.status for child in children} == {"FINISHED"}
    assert {child.metrics["relative_mae.energy"] for child in children} == {0.8}


def _register(store: Path, bundle: Path, name: str, standing: Standing = STANDING) -> tuple[int, bool]:
    tracker = Tracker(root=store)
    with tracker.start(f"run of {name}") as run:
        found = tracker.register(run, bundle, name, standing)
    return found.version, found.champion


def test_a_registered_bundle_comes_back_byte_for_byte(store: Path, bundle: Path, tmp_path: Path) -> None:
    assert _register(store, bundle, "byte-for-byte") == (1, True)
    for uri in ("models:/byte-for-byte@champion", "models:/byte-for-byte/1"):
        got = Tracker(root=store).resolve(uri, tmp_path / uri[-8:].replace("/", "_"))
        assert {f.name: f.read_bytes() for f in got.iterdir()} == {
            f.name: f.read_bytes() for f in bundle.iterdir()
        }


def test_the_champion_is_the_better_on_the_same_data_and_the_newer_on_newer(
    store: Path, bundle: Path
) -> None:
    def again(validation: float, sha: str = "a" * 64, day: str = "2026-01-31") -> bool:
        return _register(store, bundle, "rule", Standing(validation, sha, day))[1]

    assert not again(1.2)  # worse than persistence: registered, but no champion
    assert again(0.6)
    assert not again(0.7)
    assert again(0.6)
    assert not again(0.1, sha="b" * 64)  # other data of the same days do not compare
    assert again(0.9, sha="c" * 64, day="2026-02-28")
    assert not again(0.1, day="2026-01-31")


@pytest.mark.parametrize("step", ["log_artifacts", "create_model_version", "set_registered_model_alias"])
def test_a_kill_at_any_step_leaves_no_half_registered_model(
    store: Path, bundle: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"killed-at-{step.replace('_', '-')}"
    tracker = Tracker(root=store)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run = tracker.start(name)
    with monkeypatch.context() as patch:
        patch.setattr(tracker._client, step, die)
        with pytest.raises(KeyboardInterrupt):
            tracker.register(run, bundle, name, STANDING)
    with pytest.raises(UnknownNameError):
        tracker.resolve(f"models:/{name}@champion", tmp_path / "champion")
    if step == "set_registered_model_alias":  # the version is there, and whole
        got = tracker.resolve(f"models:/{name}/1", tmp_path / "version")
        assert (got / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    else:
        with pytest.raises(UnknownNameError):
            tracker.resolve(f"models:/{name}/1", tmp_path / "version")


def test_a_file_that_did_not_arrive_whole_stops_the_registration(
    store: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker(root=store)
    whole = Run.directory

    def cut_short(run: Run, path: Path, folder: str | None = None) -> None:
        part = tmp_path / "part"
        part.mkdir()
        (part / "manifest.json").write_bytes((path / "manifest.json").read_bytes())
        (part / "model.onnx").write_bytes((path / "model.onnx").read_bytes()[:-1])
        whole(run, part, folder)

    monkeypatch.setattr(Run, "directory", cut_short)
    with tracker.start("cut short") as run, pytest.raises(InputError, match=r"model\.onnx arrived"):
        tracker.register(run, bundle, "cut-short", STANDING)
    with pytest.raises(UnknownNameError):
        tracker.resolve("models:/cut-short/1", tmp_path / "none")


@pytest.mark.parametrize("name", ["../up", "Name", "a b", "", "a" * 65, "a/b"])
def test_a_name_that_could_be_a_path_is_refused(store: Path, bundle: Path, name: str) -> None:
    tracker = Tracker(root=store)
    with tracker.start("named") as run, pytest.raises(InputError, match="name"):
        tracker.register(run, bundle, name, STANDING)


@pytest.mark.parametrize(
    "uri", ["models:/x", "runs:/1/bundle", "models:/../x@champion", "models:/x@a@b", "/etc"]
)
def test_what_is_no_model_uri_is_refused(store: Path, tmp_path: Path, uri: str) -> None:
    with pytest.raises(InputError, match="model URI"):
        Tracker(root=store).resolve(uri, tmp_path)


def test_unknown_runs_and_artifacts_are_named(store: Path, tmp_path: Path) -> None:
    tracker = Tracker(root=store)
    with pytest.raises(UnknownNameError, match="newest are"):
        tracker.find("nobody")
    with tracker.start("empty") as run:
        pass
    with pytest.raises(UnknownNameError, match="no artifact"):
        tracker.fetch(run.run_id, PREDICTIONS, tmp_path)


def test_a_store_that_cannot_be_opened_is_the_callers_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for uri in ("nonsense://x", f"sqlite:///{tmp_path}/file/mlflow.db", f"file://{tmp_path}/mlruns"):
        with pytest.raises(InputError, match=r"no MLflow store.*--tracking-uri"):
            Tracker(uri)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        Tracker("postgresql+nothing://me:secret@db.example/x")
    assert "secret" not in str(caught.value)
    assert "db.example" in str(caught.value)


def test_importing_and_opening_is_quiet(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from training.tracking import Tracker\n"
        "with Tracker(root=Path(sys.argv[1])).start('quiet') as run: run.log(metrics={'a': 1.0})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
