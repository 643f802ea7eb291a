"""The service as a process of its own, for measurements: started on free ports of this machine, ended at the end."""

import http.client
import json
import os
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

from features.errors import SuperheatError

HOST = "127.0.0.1"
_START_S = 90.0


@dataclass
class Service:
    """A running service: its process, where it listens, and the lines that it has logged."""

    process: subprocess.Popen[str]
    models: Path
    port: int = 0
    grpc_port: int = 0
    lines: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body of one request on a connection of its own."""
        link = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            link.request(method, path, body)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self.ask("GET", "/v2/health/ready")[0] == 200
        except OSError:
            return False

    def terminate(self) -> None:
        """Tell it to end in order."""
        self.process.send_signal(signal.SIGTERM)

    def event(self, name: str) -> dict[str, object] | None:
        """Return the first line logged for the event ``name``."""
        for line in list(self.lines):
            if line.startswith("{"):
                parsed: dict[str, object] = json.loads(line)
                if parsed["event"] == name:
                    return parsed
        return None


@contextmanager
def running(bundle: Path, *flags: str) -> Iterator[Service]:
    """Run ``superheat-serve`` on ``bundle`` with more ``flags``, without keys, until the block ends.

    ``service.models`` is its repository, there for other versions to be admitted into.

    Raises:
        SuperheatError: it does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="superheat-service-") as folder:
        models = f"{folder}/models"
        command = [sys.executable, "-m", "serving.command", "--bundle", str(bundle), "--models-dir", models]
        command += ["--ledger", f"sqlite:///{folder}/ledger.db", "--keys-file", f"{folder}/keys.json"]
        command += ["--port", "0", "--grpc-port", "0", "--insecure-local", *flags]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUPERHEAT_")}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        service = Service(process, Path(models))
        reader = threading.Thread(target=_read, args=(service,))
        reader.start()
        try:
            _wait(service)
            yield service
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reader.join()
            if process.stderr is not None:
                process.stderr.close()


def _wait(service: Service) -> None:
    until = time.monotonic() + _START_S
    while True:
        live = service.event("live")
        if live is not None:
            service.port, service.grpc_port = int(str(live["port"])), int(str(live["grpc_port"]))
            if service.is_ready():
                return
        if service.process.poll() is not None or time.monotonic() > until:
            raise SuperheatError(
                f"superheat-serve did not become ready: {' '.join(service.lines[-5:])[-600:]}"
            )
        time.sleep(0.02)


def _read(service: Service) -> None:
    if service.process.stderr is not None:
        for line in service.process.stderr:
            service.lines += [line]
