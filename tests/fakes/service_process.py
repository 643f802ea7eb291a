"""The service as its users have it: ``superheat-serve`` in a process of its own, on free ports of this machine."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A running service: where it listens, and what it has logged."""

    process: subprocess.Popen[str]
    port: int = 0
    grpc_port: int = 0
    lines: list[str] = field(default_factory=list)

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.get("/v2/health/ready")[0] == 200
        except OSError:
            return False

    def wait_ready(self, seconds: float = 60.0) -> float:
        began = time.monotonic()
        while not self.ready():
            assert self.process.poll() is None, self.lines[-20:]
            assert time.monotonic() - began < seconds, self.lines[-20:]
            time.sleep(0.02)
        return time.monotonic() - began

    def events(self, name: str) -> list[dict[str, object]]:
        parsed = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in parsed if line["event"] == name]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def serving(*flags: str, wait: bool = True, program: str = "", **environment: str) -> Iterator[Running]:
    """Run the service with ``flags``; it is killed at the end if it still runs."""
    module = [program] if program else ["-m", "serving.command"]
    command = [sys.executable, *module, "--port", "0", "--grpc-port", "0", *flags]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SUPERHEAT_")}
    folder = tempfile.mkdtemp(prefix="superheat-service-")
    own = {"SUPERHEAT_LEDGER": f"sqlite:///{folder}/ledger.db", "SUPERHEAT_KEYS_FILE": f"{folder}/keys.json"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT), **own, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    running = Running(process)
    reader = threading.Thread(target=_read, args=(running,))
    reader.start()
    try:
        until = time.monotonic() + 240
        while not running.events("live"):
            assert process.poll() is None, running.lines
            assert time.monotonic() < until, running.lines
            time.sleep(0.01)
        live = running.events("live")[0]
        running.port, running.grpc_port = int(str(live["port"])), int(str(live.get("grpc_port", 0)))
        if wait:
            running.wait_ready()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
        shutil.rmtree(folder)


def _read(running: Running) -> None:
    assert running.process.stderr is not None
    for line in running.process.stderr:
        running.lines.append(line)
