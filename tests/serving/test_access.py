"""Keys, roles and rates: what is not allowed is refused, on every route that the application has."""

import asyncio
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from fastapi import FastAPI

from features.errors import SettingsError, UnknownNameError
from serving.access import RULES, Identity, Keeper, KeyStore, Rate, Role, Wanted, see
from serving.access.rate import Buckets
from serving.access.roles import Table
from serving.command import run
from serving.ports import OPEN_PATHS, Named
from serving.refusals import RefusedError
from serving.routes.grpc_service import RULES as GRPC_RULES
from serving.service import create_app
from serving.settings import Settings

NOW = datetime(2025, 3, 10, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> KeyStore:
    return KeyStore(tmp_path / "keys.json", clock)


def test_a_key_is_found_by_its_whole_text_only(store: KeyStore) -> None:
    key, record = store.create(Wanted("shift a", Role.OPERATOR, ("L2", "L1")))
    found = store.find(key)
    assert found == Identity(
        f"shift a/{record.id}", Role.OPERATOR, frozenset({"L1", "L2"}), f"key:{record.id}"
    )
    assert store.find(key) == KeyStore(store._path, store._now).find(key)
    other, _ = store.create(Wanted("b", Role.ADMIN))
    secret, swapped = key[16:], key[:16] + other[16:]
    flipped = key[:-5] + ("A" if key[-5] != "A" else "B") + key[-4:]
    for wrong in (
        secret,
        swapped,
        flipped,
        key + "A",
        key[:-1],
        key.upper(),
        " " + key,
        "",
        "sh_",
        other[:16] + secret,
    ):
        assert store.find(wrong) is None, wrong


def test_keys_are_long_random_and_kept_as_hashes_in_a_private_file(store: KeyStore) -> None:
    keys = [store.create(Wanted("a", Role.VIEWER))[0] for _ in range(20)]
    content = store._path.read_text()
    assert len({key[16:] for key in keys}) == 20
    for key in keys:
        assert len(key[16:]) * 6 >= 256
        assert key[16:] not in content
    assert stat.S_IMODE(store._path.stat().st_mode) == 0o600
    assert sorted(path.name for path in store._path.parent.iterdir()) == [".keys.json.lock", "keys.json"]


def test_the_hash_is_compared_in_constant_time_for_unknown_ids_too(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    key, _ = store.create(Wanted("a", Role.VIEWER))
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(a: str, b: str) -> bool:
        compared.append(len(a))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    store.find(key)
    store.find("sh_" + "0" * 12 + key[15:])
    assert compared == [64, 64]


def test_expired_and_revoked_keys_are_nobodys(store: KeyStore, clock: Clock) -> None:
    key, _ = store.create(Wanted("a", Role.VIEWER, days=2))
    clock.time += timedelta(days=2, seconds=-1)
    assert store.find(key) is not None
    clock.time += timedelta(seconds=1)
    assert store.find(key) is None

    key, record = store.create(Wanted("b", Role.VIEWER))
    running = KeyStore(store._path, clock)
    assert running.find(key) is not None
    first = store.revoke(record.id)
    assert running.find(key) is None, "a running service sees the revocation"
    clock.time += timedelta(days=1)
    assert store.revoke(record.id).revoked == first.revoked
    assert [r.state(clock.time) for r in store.records()] == ["expired", "revoked"]
    with pytest.raises(UnknownNameError, match="0123"):
        store.revoke("0123")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"protocol":2,"keys":[]}', b'{"protocol":1,"keys":[{}]}', b"[1]"]
)
def test_a_key_file_that_is_none_is_refused_not_taken_as_empty(store: KeyStore, content: bytes) -> None:
    store._path.write_bytes(content)
    store._path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"keys\.json"):
        store.find("sh_" + "0" * 12 + "_" + "A" * 43)
    with pytest.raises(RefusedError) as refused:
        Keeper(store, Rate(1, 1)).authenticate({"x-api-key": "sh_" + "0" * 12 + "_" + "A" * 43})
    assert refused.value.status == 503


def test_a_key_file_that_others_can_read_is_refused(store: KeyStore) -> None:
    key, _ = store.create(Wanted("a", Role.VIEWER))
    store._path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        KeyStore(store._path).find(key)


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    made: list[str] = []

    def make() -> None:
        own = KeyStore(tmp_path / "keys.json")
        made.extend(own.create(Wanted("a", Role.VIEWER))[0] for _ in range(5))

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = KeyStore(tmp_path / "keys.json")
    assert len(made) == 30
    assert all(store.find(key) for key in made)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"name": "", "role": Role.VIEWER}, "key name"),
        ({"name": "a\nb", "role": Role.VIEWER}, "key name"),
        ({"name": "a", "role": Role.VIEWER, "days": 0}, "0 days"),
        ({"name": "a", "role": Role.VIEWER, "days": 4000}, "4000 days"),
        ({"name": "a", "role": Role.VIEWER, "lines": (" ",)}, "line"),
    ],
)
def test_keys_that_make_no_sense_are_refused(store: KeyStore, wanted: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        store.create(Wanted(**wanted))  # type: ignore[arg-type]
    assert store.empty


def test_lines_that_are_not_ones_own_look_like_none(store: KeyStore) -> None:
    identity = store.find(store.create(Wanted("a", Role.ADMIN, ("L1",)))[0])
    assert identity is not None
    see(identity, "L1")
    see(Named("local"), "L9")
    for line in ("L2", "l1", "", "L1 "):
        with pytest.raises(RefusedError) as refused:
            see(identity, line)
        assert refused.value.status == 404


def test_a_bucket_refills_and_says_how_long_to_wait() -> None:
    now = [0.0]
    buckets = Buckets(Rate(0.5, 3), lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(RefusedError) as refused:
        buckets.take("a")
    assert (refused.value.status, refused.value.retry_after) == (429, 2)
    buckets.take("b")
    now[0] = 1.9
    with pytest.raises(RefusedError):
        buckets.take("a")
    now[0] = 2.0
    buckets.take("a")
    now[0] = 1000.0
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(RefusedError):
        buckets.take("a")
    for bad in ((0.0, 1), (1.0, 0), (float("nan"), 1)):
        with pytest.raises(SettingsError):
            Rate(*bad)


def test_the_keeper_knows_both_headers_and_counts_each_key(store: KeyStore) -> None:
    keeper = Keeper(store, Rate(0.001, 2))
    with pytest.raises(RefusedError, match="create one"):
        keeper.authenticate({})
    key, _ = store.create(Wanted("a", Role.VIEWER))
    assert keeper.authenticate({"x-api-key": key}) == keeper.authenticate({"authorization": f"bearer {key}"})
    with pytest.raises(RefusedError) as refused:
        keeper.authenticate({"x-api-key": key})
    assert refused.value.status == 429
    other, _ = store.create(Wanted("b", Role.VIEWER))
    keeper.authenticate({"x-api-key": other})
    for headers in (
        {},
        {"authorization": other},
        {"authorization": f"Basic {other}"},
        {"authorization": "Bearer x"},
        {"authorization": f"Bearer {other}", "x-api-key": other},
    ):
        with pytest.raises(RefusedError) as refused:
            keeper.authenticate(headers)
        assert refused.value.status == 401
        assert other not in refused.value.message


# Every route by every role, from the application itself.


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(Settings(models_dir=tmp_path / "models", keys_file=tmp_path / "keys.json"))


def served(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every (method, path template) that ``app`` answers."""
    for route in app.routes:
        methods = getattr(route, "methods", None)
        assert methods, f"{route} is no route of methods: it would pass the rules by"
        for method in sorted(methods):
            yield method, route.path  # type: ignore[attr-defined]


def without_rule(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, path)
        for method, path in served(app)
        if path not in OPEN_PATHS and ("GET" if method == "HEAD" else method, path) not in RULES
    ]


def concrete(template: str) -> str:
    return "/".join("x1" if part.startswith("{") else part for part in template.split("/"))


def ask(app: FastAPI, method: str, path: str, key: str = "") -> tuple[int, bytes]:
    sent: list[dict[str, object]] = []
    raw = [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": raw}
    scope |= {"query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1", "state": {}}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])  # type: ignore[return-value, misc]


def test_every_route_has_a_rule(app: FastAPI) -> None:
    assert not without_rule(app)


def test_every_rule_has_a_route(app: FastAPI) -> None:
    assert not set(RULES) - set(served(app))


def test_a_route_without_a_rule_is_found_and_refused(app: FastAPI, tmp_path: Path) -> None:
    @app.get("/v1/forgotten/{name}")
    async def forgotten(name: str) -> str:
        return name

    assert without_rule(app) == [("GET", "/v1/forgotten/{name}")]
    key, _ = KeyStore(tmp_path / "keys.json").create(Wanted("a", Role.ADMIN))
    assert ask(app, "GET", "/v1/forgotten/x", key)[0] == 404


def test_every_route_by_every_role(app: FastAPI, tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    keys = {role: store.create(Wanted(role.name, role))[0] for role in Role}
    judged = 0
    for method, template in served(app):
        if template in OPEN_PATHS:
            assert ask(app, method, template)[0] in (200, 503)
            continue
        needed = RULES["GET" if method == "HEAD" else method, template]
        path = concrete(template)
        assert ask(app, method, path)[0] == 401, (method, path)
        for role, key in keys.items():
            status, content = ask(app, method, path, key)
            judged += 1
            if role >= needed:
                assert status not in (401, 403, 429), (method, path, role, content)
            else:
                assert status == 403, (method, path, role)
                assert orjson.loads(content)["code"] == "role_too_low"
    assert judged > 80


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models//infer", 404),
        ("GET", "/v2/models/x/infer", 405),
        ("DELETE", "/v2/models/x", 405),
        ("POST", "/v2/models/x/infer/", 404),
        ("POST", "//v2/models/x/infer", 404),
        ("POST", "/v2/repository/models/x/load/../drift", 404),
        ("OPTIONS", "/v1/cells", 405),
        ("GET", "/V2", 404),
        ("get", "/v2", 405),
        ("GET", "", 404),
    ],
)
def test_what_the_table_does_not_name_is_refused(method: str, path: str, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        Table(RULES).role(method, path)
    assert refused.value.status == status


def test_a_literal_path_goes_before_one_in_braces() -> None:
    table = Table(
        {("GET", "/a/{x}"): Role.VIEWER, ("GET", "/a/b"): Role.ADMIN, ("POST", "/a/{x}"): Role.VIEWER}
    )
    assert (table.role("GET", "/a/b"), table.role("GET", "/a/c")) == (Role.ADMIN, Role.VIEWER)
    with pytest.raises(RefusedError):
        table.role("POST", "/a/b")


def test_grpc_is_judged_by_the_rules_of_its_rest_counterparts() -> None:
    table = Table(RULES)
    for method, path in GRPC_RULES.values():
        assert path in OPEN_PATHS or table.role(method, path)


def test_an_identity_without_a_role_may_nothing(store: KeyStore) -> None:
    with pytest.raises(RefusedError) as refused:
        Keeper(store, Rate(1, 1)).authorise(Named("local"), "GET", "/v2")
    assert refused.value.status == 403


def test_the_command_makes_lists_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [
        "--keys-file",
        str(tmp_path / "deep" / "keys.json"),
        "--ledger",
        f"sqlite:///{tmp_path}/ledger.db",
    ]
    assert run(["keys", "list", *where]) == 0
    assert "keys create" in capsys.readouterr().out
    assert run(["keys", "create", "--role", "operator", "--line", "L1", "--days", "30", *where]) == 0
    key = capsys.readouterr().out.strip()
    identity = KeyStore(tmp_path / "deep" / "keys.json").find(key)
    assert identity is not None
    assert (identity.role, identity.lines) == (Role.OPERATOR, frozenset({"L1"}))
    assert run(["keys", "list", *where]) == 0
    shown = capsys.readouterr().out
    assert "operator" in shown
    assert "valid" in shown
    assert key[16:] not in shown
    assert run(["keys", "revoke", key[3:15], *where]) == 0
    assert KeyStore(tmp_path / "deep" / "keys.json").find(key) is None
    assert run(["keys", "revoke", "nobody", *where]) == 2
    assert run(["keys", "create", "--role", "viewer", "--days", "0", *where]) == 2
    assert "0 days" in capsys.readouterr().err
