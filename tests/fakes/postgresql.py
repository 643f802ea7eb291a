"""A PostgreSQL server for the tests, where its programs are installed: started once, on a socket of its own, thrown away."""

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_FOUND = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin")]
_USER = "postgres"


def programs() -> Path | None:
    """Where initdb and pg_ctl are; None where they are not, or may not be run: they refuse to run as root."""
    asked = shutil.which("pg_ctl")
    places = [*([Path(asked).resolve().parent] if asked else []), *_FOUND]
    found = next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _has_user()):
        return None
    return found


def _has_user() -> bool:
    try:
        return bool(pwd.getpwnam(_USER))
    except KeyError:
        return False


@cache
def server_url() -> str:
    """The URL of the server, started now: only its own socket is listened on, and anybody who reaches it is trusted."""
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="superheat-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    data, options = str(folder / "data"), f"-c listen_addresses='' -k {folder} -c fsync=off"
    _run(str(found / "initdb"), "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale", "C")
    _run(str(found / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    atexit.register(_end, str(found / "pg_ctl"), data, folder)
    return f"postgresql+psycopg://{_USER}@/postgres?host={folder}"


def _run(*command: str) -> None:
    asked = ("runuser", "-u", _USER, "--", *command) if os.geteuid() == 0 else command
    # Nothing is piped: the server would hold the pipe open for as long as it runs.
    subprocess.run(
        asked, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", timeout=60
    )


def _end(program: str, data: str, folder: Path) -> None:
    _run(program, "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)
