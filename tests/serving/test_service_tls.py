"""TLS by configuration, on both ports, with the clients that people use: what is not trusted is not spoken to."""

import datetime
import http.client
import ipaddress
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.command import run
from tests.fakes.plant_bundle import bundle, rows
from tests.fakes.service_process import Running, serving

MODEL = "potline"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    found = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    plain, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, plain, no_password))
    return pem, private


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def trusted(folder: Path) -> tuple[Path, Path]:
    return certificate(folder, "service")


@pytest.fixture(scope="module")
def service(folder: Path, trusted: tuple[Path, Path]) -> Iterator[Running]:
    where = ("--bundle", str(bundle()), "--models-dir", str(folder / "models"), "--insecure-local")
    tls = ("--tls-certificate", str(trusted[0]), "--tls-key", str(trusted[1]))
    with serving(*where, *tls, "--drain-s", "0", wait=False) as running:
        until = time.monotonic() + 60
        while not running.events("ready"):
            assert time.monotonic() < until, running.lines[-20:]
            time.sleep(0.02)
        yield running


def context(pem: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pem))


def test_tritonclient_speaks_to_both_ports(service: Running, trusted: tuple[Path, Path]) -> None:
    X = rows(7, 1)
    http = http_client.InferenceServerClient(
        f"127.0.0.1:{service.port}", ssl=True, ssl_context_factory=lambda: context(trusted[0])
    )
    given = http_client.InferInput("features", list(X.shape), "FP32")
    given.set_data_from_numpy(X)
    over_http = http.infer(MODEL, [given]).as_numpy("support")
    http.close()
    grpc = grpc_client.InferenceServerClient(
        f"127.0.0.1:{service.grpc_port}", ssl=True, root_certificates=str(trusted[0])
    )
    told = grpc_client.InferInput("features", list(X.shape), "FP32")
    told.set_data_from_numpy(X)
    over_grpc = grpc.infer(MODEL, [told]).as_numpy("support")
    grpc.close()
    assert over_http.tobytes() == over_grpc.tobytes()


def test_answers_ask_to_be_asked_by_tls_again(service: Running, trusted: tuple[Path, Path]) -> None:
    with httpx.Client(verify=context(trusted[0])) as client:
        answer = client.get(f"https://127.0.0.1:{service.port}/v2/health/live")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["strict-transport-security"]


def test_another_certificate_is_not_believed(service: Running, folder: Path) -> None:
    stranger = certificate(folder, "stranger")[0]
    with httpx.Client(verify=context(stranger)) as client, pytest.raises(httpx.ConnectError):
        client.get(f"https://127.0.0.1:{service.port}/v2/health/live")
    grpc = grpc_client.InferenceServerClient(
        f"127.0.0.1:{service.grpc_port}", ssl=True, root_certificates=str(stranger)
    )
    with pytest.raises(grpc_client.InferenceServerException):
        grpc.is_server_live(client_timeout=5)
    grpc.close()


def test_without_tls_nothing_is_answered(service: Running) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    plain.request("GET", "/v2/health/live")
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()
    plain.close()
    grpc = grpc_client.InferenceServerClient(f"127.0.0.1:{service.grpc_port}")
    with pytest.raises(grpc_client.InferenceServerException):
        grpc.is_server_live(client_timeout=5)
    grpc.close()


def test_the_oldest_version_spoken_is_1_2(service: Running, trusted: tuple[Path, Path]) -> None:
    told = context(trusted[0])
    told.minimum_version = ssl.TLSVersion.TLSv1_2
    told.maximum_version = ssl.TLSVersion.TLSv1_2
    link = http.client.HTTPSConnection("127.0.0.1", service.port, timeout=10, context=told)
    link.request("GET", "/v2/health/live")
    assert link.getresponse().status == 200
    link.close()


@pytest.mark.parametrize("damage", ["missing", "swapped", "not a key"])
def test_files_that_are_no_certificate_and_key_are_named(
    damage: str, trusted: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem, key = trusted
    if damage == "missing":
        key = tmp_path / "nowhere.key"
    elif damage == "swapped":
        pem, key = key, pem
    else:
        key = tmp_path / "bad.key"
        key.write_text("no key")
    books = ("--ledger", f"sqlite:///{tmp_path / 'ledger.db'}", "--models-dir", str(tmp_path / "models"))
    tls = ("--tls-certificate", str(pem), "--tls-key", str(key), "--port", "0", "--grpc-port", "0")
    assert run(["--bundle", str(bundle()), *books, "--insecure-local", *tls]) == 2
    assert "TLS" in capsys.readouterr().err
