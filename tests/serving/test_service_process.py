"""The process from start to end: live before it is ready, ready before it is current, and gone without a loss."""

import asyncio
import http.client
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from fastapi import FastAPI

from features.errors import SettingsError
from serving.command import run, settings_of
from serving.front import Front
from serving.logs import HIDDEN, JsonLines
from serving.models.repository import Pointer, Repository
from serving.ports import OPEN_PATHS
from serving.refusals import LONGEST, outside_words, refusal_of
from serving.service import Plugged, create_app
from serving.settings import LATEST, Settings
from tests.fakes.access import FakeAccess
from tests.fakes.plant_bundle import WIDTH, bundle, manifest, rows
from tests.fakes.service_process import ROOT, Running, serving

INFER = "/v2/models/potline/infer"
BODY = orjson.dumps(
    {
        "inputs": [
            {
                "name": "features",
                "shape": [1, WIDTH],
                "datatype": "FP32",
                "data": [None if np.isnan(v) else v for v in rows(1, 1).ravel().tolist()],
            }
        ]
    }
)


def test_sigterm_turns_readiness_first_and_drops_nothing(tmp_path: Path) -> None:
    flags = ("--bundle", str(bundle()), "--models-dir", str(tmp_path), "--insecure-local", "--drain-s", "0.6")
    with serving(*flags, "--leave-s", "5") as running:
        broken: list[str] = []
        answered: list[float] = []
        turned: list[float] = []
        callers = [threading.Thread(target=_call, args=(running, answered, broken, turned)) for _ in range(4)]
        watcher = threading.Thread(target=_watch, args=(running, turned))
        for thread in (*callers, watcher):
            thread.start()
        time.sleep(0.5)
        told = time.monotonic()
        running.terminate()
        for thread in (*callers, watcher):
            thread.join()
        assert running.process.wait(timeout=60) == 0
        assert not broken
        assert turned
        assert turned[0] - told < 0.5
        assert max(answered) > turned[0], "requests were served after readiness had turned"
        assert running.events("ended")[0]["left_inside"] == 0


def _call(running: Running, answered: list[float], broken: list[str], turned: list[float]) -> None:
    """Ask on one connection, as a client behind a balancer: a new connection only while the service is ready."""
    link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    while True:
        if turned and time.monotonic() > turned[0] + 0.3:
            break
        try:
            link.request("POST", INFER, BODY)
            answer = link.getresponse()
            answer.read()
        except OSError as error:
            broken.append(repr(error))
            break
        if answer.status != 200:
            broken.append(str(answer.status))
        answered.append(time.monotonic())
    link.close()


def _watch(running: Running, turned: list[float]) -> None:
    while not turned:
        if not running.ready():
            turned.append(time.monotonic())
        time.sleep(0.01)


def test_live_at_once_ready_only_when_proved(tmp_path: Path) -> None:
    flags = ("--bundle", str(bundle()), "--models-dir", str(tmp_path), "--insecure-local", "--drain-s", "0")
    with serving(*flags, wait=False) as running:
        assert running.get("/v2/health/live")[0] == 200
        first = running.get("/v2/health/ready")[0]
        assert first in (200, 503)
        running.wait_ready()
        until = time.monotonic() + 10
        while not running.events("ready") and time.monotonic() < until:
            time.sleep(0.02)  # the log is read by another thread
        assert [line["models"] for line in running.events("ready")] == [["potline"]]
        running.terminate()
        assert running.process.wait(timeout=60) == 0


def test_a_damaged_bundle_is_live_and_never_ready(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(bundle()), str(damaged)], check=True)
    model = damaged / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"energy", b"enorgy", 1))
    flags = ("--bundle", str(damaged), "--models-dir", str(tmp_path / "models"), "--insecure-local")
    with serving(*flags, wait=False) as running:
        until = time.monotonic() + 20
        while not running.events("no model is served") and time.monotonic() < until:
            time.sleep(0.02)
        assert "SHA-256" in str(running.events("no model is served")[0]["reason"])
        assert running.get("/v2/health/live")[0] == 200
        assert running.get("/v2/health/ready")[0] == 503


def test_deny_by_default(tmp_path: Path) -> None:
    flags = ("--bundle", str(bundle()), "--models-dir", str(tmp_path))
    with serving(*flags) as running:
        for path, method in (
            (INFER, "POST"),
            ("/v2", "GET"),
            ("/metrics", "GET"),
            ("/openapi.json", "GET"),
            ("/x", "GET"),
        ):
            status, headers, content = running.get(path, method, BODY if method == "POST" else None)
            assert status == 401, path
            assert headers["www-authenticate"] == "Bearer"
            assert orjson.loads(content)["code"] == "unauthenticated"
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert running.get(path)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bundle", "nowhere"], "no bundle"),
        (["--workers", "0"], "workers is 0"),
        (["--deadline-s", "0"], "deadline_s"),
        (["--insecure-local", "--host", "0.0.0.0"], "loopback"),
        (["--tls-key", "key.pem"], "together"),
        (["--access-log", "none"], "access_log"),
    ],
)
def test_bad_settings_end_with_2_and_say_which(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    base = [] if "--bundle" in arguments else ["--bundle", str(bundle())]
    assert run([*base, "--models-dir", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_environment_gives_settings_and_flags_stand_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERHEAT_DEADLINE_S", "2.5")
    monkeypatch.setenv("SUPERHEAT_WORKERS", "3")
    monkeypatch.setenv("SUPERHEAT_INSECURE_LOCAL", "true")
    settings = settings_of(["--bundle", str(bundle()), "--workers", "2"])
    assert (settings.deadline_s, settings.workers, settings.insecure_local) == (2.5, 2, True)
    for name, value in (("WORKERS", "two"), ("INSECURE_LOCAL", "maybe"), ("MAX_ROWS", "1e3")):
        with pytest.raises(SettingsError, match=name):
            Settings.read({f"SUPERHEAT_{name}": value})


def test_without_arguments_the_last_run_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BUNDLE", "MODELS_DIR"):
        monkeypatch.delenv(f"SUPERHEAT_{name}", raising=False)
    with pytest.raises(SettingsError, match="run 'superheat run' first"):
        settings_of([])
    latest = tmp_path / "runs" / "latest" / "bundle"
    shutil.copytree(bundle(), latest)
    assert settings_of([]).bundle == LATEST
    repository = Repository(settings_of([]).models_dir)
    repository.admit(LATEST)
    digest = manifest().digest
    repository.point("potline", Pointer(digest))
    # It has been served: what engineers made current since, a roll-back too, stands.
    assert settings_of([]).bundle is None
    shutil.rmtree(latest)
    assert settings_of([]).bundle is None
    shutil.copytree(bundle(4), latest)
    assert settings_of([]).bundle == LATEST
    (latest / "manifest.json").write_bytes(b"{}")
    assert settings_of([]).bundle is None


def test_models_are_admitted_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["models", "--models-dir", str(tmp_path)]
    assert run([*where, "add", str(bundle())]) == 0
    assert run([*where, "list"]) == 0
    added, listed = capsys.readouterr().out.splitlines()
    assert added == listed == f"potline {manifest().digest}"
    assert run([*where, "add", str(tmp_path)]) == 1
    assert "manifest.json" in capsys.readouterr().err


def test_every_setting_says_what_it_is() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "serving.command", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in Settings.__dataclass_fields__:
        assert "--" + name.replace("_", "-") in shown
        assert Settings.__dataclass_fields__[name].metadata["doc"]


def ask(
    app: FastAPI, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Ask ``app`` without a server and without its lifespan: no model is served."""
    sent: list[dict[str, object]] = []
    raw = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": raw}
    scope |= {"query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1", "state": {}}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])


def test_access_is_asked_for_every_route_but_the_open_ones(tmp_path: Path) -> None:
    access = FakeAccess()
    app = create_app(Settings(models_dir=tmp_path), Plugged(access=access))
    for route in app.routes:
        path = getattr(route, "path", "").replace("{model}", "potline").replace("{version}", "0" * 12)
        for method in sorted(getattr(route, "methods", None) or ()):
            status, content = ask(app, path, method)
            if path in OPEN_PATHS:
                assert status in (200, 405, 503), path
            else:
                assert status == 401, (path, content)
            status, content = ask(app, path, method, {"authorization": "Bearer viewer"})
            assert status != 401, path
    assert ("POST", INFER) in access.asked


def test_a_defect_is_told_as_500_without_its_insides(tmp_path: Path) -> None:
    app = create_app(Settings(models_dir=tmp_path, insecure_local=True))

    @app.get("/v1/defect")
    async def defect() -> None:
        raise KeyError("/etc/secret")

    status, content = ask(app, "/v1/defect")
    assert status == 500
    assert orjson.loads(content)["code"] == "internal"
    assert b"secret" not in content


def test_a_full_house_refuses_before_anything_is_read(tmp_path: Path) -> None:
    app = create_app(Settings(models_dir=tmp_path, insecure_local=True, max_in_flight=1))
    app.state.service.gate.inside = 1
    status, content = ask(app, "/v2")
    assert (status, orjson.loads(content)["code"]) == (503, "overloaded")


def test_the_front_is_the_outermost_layer(tmp_path: Path) -> None:
    app = create_app(Settings(models_dir=tmp_path))
    assert app.user_middleware[0].cls is Front


def test_messages_that_show_our_insides_are_replaced() -> None:
    from features.errors import BundleCorruptError, SuperheatError, UnknownNameError

    for text in (
        "cannot open /srv/models/a/b",
        'File "x.py", line 3',
        "object at 0x7f00aabbccdd",
        "in serving/guard.py",
    ):
        assert outside_words(text) != text
    assert len(outside_words("word " * 500)) <= LONGEST
    assert refusal_of(UnknownNameError("no cell 12")).status == 404
    assert (
        refusal_of(BundleCorruptError("model.onnx in /x/y")).message
        == "the bundle is damaged and was not loaded"
    )
    assert refusal_of(SuperheatError("internal detail")).status == 500
    assert "detail" not in refusal_of(SuperheatError("internal detail")).message


def test_logs_hide_what_looks_like_a_secret() -> None:
    import logging

    record = logging.LogRecord("superheat", logging.INFO, "x", 1, "sent %s", ("Bearer abc.def",), None)
    record.fields = {"token": "eyJhbGciOiJIUzI1NiJ9.x.y", "n": 3}
    line = orjson.loads(JsonLines().format(record))
    assert "abc" not in line["event"]
    assert line["token"] == HIDDEN
    assert line["n"] == 3
