"""The running service with keys: who may not is refused on both ways in, and who may is written into the ledger."""

from pathlib import Path

import orjson
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from serving.access import KeyStore, Role, Wanted
from serving.command import run
from serving.ledger import Ledger
from tests.fakes.plant_bundle import bundle, manifest
from tests.fakes.service_process import serving

LOAD = "/v2/repository/models/potline/load"


def test_a_change_takes_the_role_and_is_written_down(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    viewer, _ = store.create(Wanted("twin", Role.VIEWER))
    engineer, record = store.create(Wanted("li.wei", Role.ENGINEER))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    flags = ("--bundle", str(bundle()), "--models-dir", str(tmp_path / "models"), "--drain-s", "0")
    with serving(*flags, "--keys-file", str(tmp_path / "keys.json"), "--ledger", url) as running:
        for key, status in (
            ("", 401),
            ("sh_" + "0" * 12 + "_" + "A" * 43, 401),
            (viewer, 403),
            (engineer, 200),
        ):
            answer = running.get(LOAD, "POST", b"{}", {"authorization": f"Bearer {key}"} if key else {})
            assert answer[0] == status, answer
        with grpc.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as client:
            with pytest.raises(InferenceServerException, match="takes the role engineer") as refused:
                client.load_model("potline", headers={"authorization": f"Bearer {viewer}"})
            assert "PERMISSION_DENIED" in str(refused.value.status())
            with pytest.raises(InferenceServerException, match="send a key"):
                client.get_server_metadata()
            client.load_model("potline", headers={"x-api-key": engineer})
        store.revoke(record.id)
        status, _, content = running.get(LOAD, "POST", b"{}", {"authorization": f"Bearer {engineer}"})
        assert (status, orjson.loads(content)["code"]) == (401, "unauthenticated")
        running.terminate()
        assert running.process.wait(timeout=20) == 0
        assert engineer[16:] not in "".join(running.lines)
    with Ledger(url, create=False) as ledger:
        written = ledger.records("audit")
        assert ledger.verify().intact
    version = manifest().digest[:12]
    for entry in written:
        assert entry.content.subject == f"li.wei/{record.id}"
        assert (entry.body["action"], entry.body["target"]) == (
            "load",
            {"model": "potline", "version": version},
        )
    assert len(written) == 2


def test_keys_made_and_revoked_are_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("SUPERHEAT_LEDGER", url)
    monkeypatch.setenv("SUPERHEAT_KEYS_FILE", str(tmp_path / "keys.json"))
    assert run(["keys", "create", "--role", "operator", "--name", "shift a", "--line", "L1"]) == 0
    id_ = KeyStore(tmp_path / "keys.json").records()[0].id
    assert run(["keys", "revoke", id_]) == 0
    assert run(["keys", "revoke", "nobody"]) == 2
    assert run(["keys", "create", "--role", "viewer", "--days", "0"]) == 2
    with Ledger(url, create=False) as ledger:
        written = ledger.records()
    assert [(r.body["category"], r.body["action"], r.body["target"]["key"]) for r in written] == [
        ("access control", "create key", id_),
        ("access control", "revoke key", id_),
    ]
    assert written[0].body["target"] == {
        "key": id_,
        "name": "shift a",
        "role": "operator",
        "lines": ["L1"],
        "expires": KeyStore(tmp_path / "keys.json").records()[0].expires,
    }
    assert written[0].content.subject.startswith("command line/")
