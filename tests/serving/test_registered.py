"""``--model models:/NAME@champion``: fetched from a real MLflow store by another process, hashed, served; or refused."""

import sys
from pathlib import Path

import pytest

from features.bundle import read_manifest
from features.errors import BundleError, SettingsError
from serving import registered
from serving.command import run, settings_of
from serving.registered import RegistryError, fetch
from tests.fakes.plant_bundle import bundle, manifest
from tests.fakes.service_process import ROOT, serving
from training.tracking import Standing, Tracker

STANDING = Standing(validation=0.6, data_sha256="a" * 64, last_day="2026-01-31")
AUDITED = ROOT / "tests" / "fakes" / "audited_service.py"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a registry that holds the small bundle as model ``potline``."""
    if not Path(sys.executable).with_name("superheat").is_file():
        pytest.skip("the superheat command is not installed beside this interpreter")
    tracker = Tracker(root=tmp_path_factory.mktemp("runs"))
    with tracker.start("potline") as found:
        tracker.register(found, bundle(), "potline", STANDING)
    return tracker.uri


def test_the_champion_is_fetched_hashed_and_served(store: str, tmp_path: Path) -> None:
    flags = ("--model", "models:/potline@champion", "--tracking-uri", store, "--models-dir", str(tmp_path))
    with serving(*flags, "--insecure-local", "--drain-s", "0", program=str(AUDITED)) as running:
        status, _, content = running.get("/v2/models/potline")
        assert status == 200
        assert manifest().digest[:12].encode() in content
        running.terminate()
        assert running.process.wait(timeout=60) == 0
    assert running.events("audit began")
    assert not running.events("audit"), "the service opens no connection and imports nothing heavy"


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``superheat`` command that runs ``exporter.sh`` with the model, the place and the registry's address."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "superheat").write_text('#!/bin/sh\n. "$(dirname "$0")/exporter.sh"\n')
    (place / "superheat").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    return place / "exporter.sh"


def test_a_copy_is_replaced_by_what_the_alias_is_now(exporter: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    for seed in (3, 4):
        exporter.write_text(
            f'echo "$SUPERHEAT_TRACKING_URI $@" > {told}; rm -rf "$4"; cp -r {bundle(seed)} "$4"'
        )
        given = ["--model", "models:/potline@champion", "--tracking-uri", "sqlite:///secret"]
        settings = settings_of([*given, "--models-dir", str(tmp_path / "models")])
        assert settings.model is None
        assert settings.bundle is not None
        assert read_manifest(settings.bundle).digest == manifest(seed).digest
        address, verb, model, flag, place = told.read_text().split()
        assert (address, verb, model, flag) == (
            "sqlite:///secret",
            "export",
            "models:/potline@champion",
            "--out",
        )
        assert place == str(settings.bundle)


def test_a_damaged_copy_is_not_served(exporter: Path, tmp_path: Path) -> None:
    exporter.write_text(f'cp -r {bundle()} "$4"; printf x >> "$4/model.onnx"')
    with pytest.raises(BundleError, match="SHA-256"):
        fetch("models:/potline@champion", None, tmp_path / "models")


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ('echo "superheat: bad input (unknown name): no model nobody" >&2; exit 2', 2, "no model nobody"),
        ('echo "superheat: failed (bundle): damaged" >&2; exit 1', 1, "damaged"),
        ("kill -9 $$", 1, "ended with"),
    ],
)
def test_what_the_registry_says_is_told(
    exporter: Path, script: str, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporter.write_text(script)
    assert run(["--model", "models:/potline@champion", "--models-dir", str(tmp_path / "models")]) == code
    assert words in capsys.readouterr().err


def test_a_registry_that_does_not_answer_is_given_up(
    exporter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter.write_text("exec sleep 30")
    monkeypatch.setattr(registered, "PATIENCE_S", 0.3)
    with pytest.raises(RegistryError, match="was not there after"):
        fetch("models:/potline@champion", None, tmp_path)


@pytest.mark.parametrize(
    "model", ["models:/potline", "models:/../x@champion", "http://elsewhere/x", "models:/a@b c"]
)
def test_what_is_no_model_is_bad_input(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--model", model, "--models-dir", str(tmp_path)]) == 2
    assert "give models:/NAME@champion" in capsys.readouterr().err


def test_without_the_training_extra_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registered, "find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"superheat export models:/potline@champion --out DIR.*--bundle DIR"
    ):
        fetch("models:/potline@champion", None, tmp_path)


def test_two_ways_to_say_what_is_served_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give one"):
        settings_of(["--model", "models:/potline@champion", "--bundle", str(bundle())])
