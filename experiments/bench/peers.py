"""Other servers with the same model, for comparison: MLServer in an environment of its own, and MLflow's.

Each is started as its documentation says, one process, and asked for the same rows.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.bench.load import Rows, json_request, plain_request
from experiments.bench.service import HOST
from features.bundle import MODEL
from features.errors import SuperheatError

MLSERVER = "MLServer"
MLFLOW = "mlflow models serve"
_START_S = 120.0

_RUNTIME = """
import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Onnx(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        self.names = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        answers = self.session.run(self.names, {"features": rows})
        outputs = [NumpyCodec.encode_output(n, a) for n, a in zip(self.names, answers)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""

_SAVE = """
import sys
import mlflow.onnx, onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
import numpy as np
path, where, width = sys.argv[1], sys.argv[2], int(sys.argv[3])
signature = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, width), "features")]))
options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
mlflow.onnx.save_model(onnx.load(path), where, signature=signature, onnx_session_options=options,
                       save_as_external_data=False, pip_requirements=["onnxruntime"])
"""


@dataclass(frozen=True)
class Peer:
    """Another server: its name, where it listens, and how it is asked."""

    name: str
    port: int

    def request(self, rows: Rows) -> bytes:
        """Return the HTTP bytes that ask it for ``rows``."""
        if self.name == MLSERVER:
            return json_request("/v2/models/potline/infer", rows)
        return plain_request("/invocations", {"inputs": {"features": rows.tolist()}})


@contextmanager
def mlserver(bundle: Path, python: Path) -> Iterator[Peer]:
    """Run MLServer on the bundle's model, by the interpreter of an environment that holds it and onnxruntime."""
    port, *others = _free_ports(3)
    with tempfile.TemporaryDirectory(prefix="superheat-mlserver-") as folder:
        where = Path(folder)
        (where / "runtime.py").write_text(_RUNTIME)
        uri = str((bundle / MODEL).resolve())
        model = {"name": "potline", "implementation": "runtime.Onnx", "parameters": {"uri": uri}}
        (where / "model-settings.json").write_text(json.dumps(model))
        settings = {"host": HOST, "http_port": port, "grpc_port": others[0], "metrics_port": others[1]}
        settings |= {"parallel_workers": 0, "debug": False}
        (where / "settings.json").write_text(json.dumps(settings))
        program = "from mlserver.cli import main; main()"
        command = [str(python), "-c", program, "start", folder]
        with _process(command, where, "/v2/health/ready", port):
            yield Peer(MLSERVER, port)


@contextmanager
def mlflow(bundle: Path, width: int) -> Iterator[Peer]:
    """Run ``mlflow models serve`` on the bundle's model, in this environment."""
    (port,) = _free_ports(1)
    with tempfile.TemporaryDirectory(prefix="superheat-mlflow-") as folder:
        where = Path(folder)
        saved = str(where / "model")
        save = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _SAVE,
            str((bundle / MODEL).resolve()),
            saved,
            str(width),
        ]
        subprocess.run(save, cwd=where, check=True, capture_output=True)
        command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", saved]
        command += ["--host", HOST, "--port", str(port), "--env-manager", "local", "--workers", "1"]
        with _process(command, where, "/ping", port):
            yield Peer(MLFLOW, port)


@contextmanager
def _process(command: list[str], where: Path, path: str, port: int) -> Iterator[None]:
    log = where / "log.txt"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
    with log.open("wb") as target:
        process = subprocess.Popen(
            command, cwd=where, env=environment, stdout=target, stderr=target, start_new_session=True
        )
        try:
            _wait(process, path, port, log)
            yield
        finally:
            _end_group(process)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the process that we started and those that it started: they share a group that nobody else is in."""
    os.killpg(process.pid, 15)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", path: str, port: int, log: Path) -> None:
    import http.client

    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        link = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            link.request("GET", path)
            if link.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
        finally:
            link.close()
    raise SuperheatError(f"{process.args!r:.80} did not start: {log.read_text(errors='replace')[-600:]}")


def _free_ports(count: int) -> list[int]:
    links = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [link.getsockname()[1] for link in links]
    for link in links:
        link.close()
    return ports
