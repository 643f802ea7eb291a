import hashlib
import http.server
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from experiments import doctor

ROOT = Path(__file__).parents[2]


def test_the_installation_names_its_extras() -> None:
    assert doctor.python().verdict in ("ok", "note")
    if not doctor.requirements("serving"):
        pytest.skip("superheat is not installed here")
    assert "onnxruntime" in doctor.requirements("serving")
    assert "lightgbm" in doctor.requirements("training")
    shown = {check.name: check for check in doctor.extras()}
    assert shown["extra serving"].verdict == "ok"
    assert "onnxruntime 1." in shown["extra serving"].found
    assert {"extra search", "extra training", "extra experiments", "extra dev"} <= set(shown)
    assert "extra all" not in shown


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "known_extras", lambda: ["serving"])
    monkeypatch.setattr(doctor, "requirements", lambda extra: ["numpy", "no-such-library"])
    check = doctor.extras()[0]
    assert check.verdict == "note"
    assert "missing no-such-library" in check.found
    assert "superheat[serving]" in check.found


def test_a_broken_bundle_is_wrong_and_an_absent_one_is_not(tmp_path: Path) -> None:
    assert doctor.bundle(tmp_path / "bundle").verdict == "note"
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    check = doctor.bundle(tmp_path / "bundle")
    assert check.verdict == "wrong"
    assert not doctor.all_well([check])


def test_the_sample_is_compared_with_its_hashes(tmp_path: Path) -> None:
    assert doctor.sample_hashes(tmp_path).verdict == "note"
    (tmp_path / "a.parquet").write_bytes(b"rows")
    digest = hashlib.sha256(b"rows").hexdigest()
    (tmp_path / doctor.SUMS).write_text(f"{digest}  a.parquet\n")
    assert doctor.sample_hashes(tmp_path).verdict == "ok"
    (tmp_path / "a.parquet").write_bytes(b"other rows")
    check = doctor.sample_hashes(tmp_path)
    assert check.verdict == "wrong"
    assert "a.parquet" in check.found


def test_the_committed_sample_is_as_recorded() -> None:
    assert doctor.sample_hashes(ROOT / "data_samples").verdict == "ok"


def test_the_sqlite_store_is_opened_read_only(tmp_path: Path) -> None:
    assert doctor.tracking(None, tmp_path).verdict == "note"
    assert list(tmp_path.iterdir()) == []
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("create table runs (run_uuid text)")
    store.close()
    check = doctor.tracking(None, tmp_path)
    assert check.verdict == "ok"
    assert "0 runs" in check.found
    assert doctor.tracking(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path).verdict == "ok"
    (tmp_path / "mlflow.db").write_text("not a database at all, not at all")
    assert doctor.tracking(None, tmp_path).verdict == "wrong"


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_a_server_is_asked_and_its_password_not_shown(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert doctor.tracking(f"http://127.0.0.1:{server.server_port}", tmp_path).verdict == "ok"
        finally:
            server.shutdown()
            thread.join()
        port = server.server_port
    check = doctor.tracking(f"http://someone:secret@127.0.0.1:{port}", tmp_path)
    assert check.verdict == "wrong"
    assert "secret" not in check.found


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from pathlib import Path; from experiments import doctor;"
        "from rich.console import Console;"
        "doctor.show(doctor.examine(Path('no-run/latest'), Path('data_samples'), None), Console());"
        "heavy = {'torch', 'lightgbm', 'mlflow', 'sklearn', 'pandas', 'optuna'} & set(sys.modules);"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stdout


def test_checks_are_shown_one_a_row() -> None:
    console = Console(width=100)
    with console.capture() as captured:
        doctor.show(
            [doctor.Check("a [bracket]", "ok", "found [x]"), doctor.Check("b", "wrong", "broken")], console
        )
    assert "a [bracket]" in captured.get()
    assert captured.get().count("\n") == 2
