"""Signed tokens: one algorithm a key, every claim in its place, and nothing that a token says of its own key."""

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from features.errors import SettingsError
from serving.access import Identity, Keeper, KeyStore, Rate, Role
from serving.access.tokens import Issuer, Tokens, read_keys
from serving.refusals import RefusedError

NOW = 1_750_000_000.0
ISSUER = Issuer("https://id.example", "superheat")
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "superheat",
    "sub": "li.wei@plant",
    "iat": int(NOW) - 60,
    "exp": int(NOW) + 600,
    "superheat_role": "operator",
    "superheat_lines": ["L1"],
}


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public() -> list[dict[str, Any]]:
    return [
        {**json.loads(RSAAlgorithm.to_jwk(rsa_key().public_key())), "kid": "r1", "use": "sig"},
        {**json.loads(ECAlgorithm.to_jwk(ec_key().public_key())), "kid": "e1", "alg": "ES256"},
    ]


def written(entries: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": entries}))
    return path


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(ISSUER, read_keys(written(public(), tmp_path)), lambda: NOW)


def signed(header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, rsa_key(), algorithm="RS256", headers={"kid": "r1", **(header or {})})


def test_both_algorithms_are_taken(tokens: Tokens) -> None:
    wanted = Identity("li.wei@plant", Role.OPERATOR, frozenset({"L1"}), "sub:li.wei@plant")
    assert tokens.find(signed()) == wanted
    assert tokens.find(signed(aud=["other", "superheat"])) == wanted
    assert tokens.find(jwt.encode(GOOD, ec_key(), algorithm="ES256", headers={"kid": "e1"})) == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.example/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "two words"},
        {"exp": None},
        {"iat": None},
        {"exp": int(NOW) - 31},
        {"exp": "never"},
        {"exp": True},
        {"iat": int(NOW) + 31},
        {"nbf": int(NOW) + 31},
        {"exp": int(NOW) + 90_000},
        {"superheat_role": None},
        {"superheat_role": "root"},
        {"superheat_role": "OPERATOR"},
        {"superheat_role": 4},
        {"superheat_lines": "L1"},
        {"superheat_lines": [1]},
        {"superheat_lines": [""]},
    ],
)
def test_claims_that_are_not_as_they_must_be(tokens: Tokens, changes: dict[str, Any]) -> None:
    assert tokens.find(signed(**changes)) is None


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "e1"},
        {"kid": "r2"},
        {"kid": None},
        {"jku": "https://evil.example/jwks.json"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5u": "https://evil.example"},
        {"crit": ["exp"]},
    ],
)
def test_headers_that_point_elsewhere(tokens: Tokens, header: dict[str, Any]) -> None:
    token = signed()
    assert tokens.find(token) is not None
    # Signed anew, rightly, over the other header: only the header is wrong.
    head = {"alg": "RS256", "typ": "JWT", "kid": "r1", **header}
    body = ".".join([_text(head), token.split(".")[1]])
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(body.encode(), rsa_key())
    assert tokens.find(f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}") is None


def _text(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_no_signature_and_a_public_key_as_a_secret_are_refused(tokens: Tokens) -> None:
    pem = (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for algorithm in ("none", "None", "HS256", "RS512", "PS256"):
        body = ".".join([_text({"alg": algorithm, "kid": "r1", "typ": "JWT"}), _text(GOOD)])
        mac = base64.urlsafe_b64encode(hmac.new(pem, body.encode(), hashlib.sha256).digest()).rstrip(b"=")
        for signature in ("", mac.decode(), signed().split(".")[2]):
            assert tokens.find(f"{body}.{signature}") is None, algorithm


def test_damaged_and_endless_tokens_are_refused(tokens: Tokens) -> None:
    token = signed()
    head, body, signature = token.split(".")
    other = ".".join([head, _text({**GOOD, "superheat_role": "admin"}), signature])
    for wrong in (
        "",
        "a.b.c",
        token[:-8],
        f"{head}.{body}",
        other,
        token + "." + body,
        "é" + token,
        "x" * 100_000,
    ):
        assert tokens.find(wrong) is None


def test_the_highest_of_ones_roles_counts_and_no_lines_is_none(tokens: Tokens) -> None:
    found = tokens.find(signed(superheat_role=["staff", "viewer", "engineer"], superheat_lines=None))
    assert found is not None
    assert (found.role, found.lines, found.may_see("L1")) == (Role.ENGINEER, frozenset(), False)
    everywhere = tokens.find(signed(superheat_lines="*"))
    assert everywhere is not None
    assert everywhere.lines is None


def test_the_keeper_takes_tokens_and_not_in_place_of_keys(tokens: Tokens, tmp_path: Path) -> None:
    keeper = Keeper(KeyStore(tmp_path / "keys.json"), Rate(1, 2), tokens)
    identity = keeper.authenticate({"authorization": f"Bearer {signed()}"})
    keeper.authorise(identity, "POST", "/v1/recommendations")
    with pytest.raises(RefusedError) as refused:
        keeper.authorise(identity, "POST", "/v2/repository/models/x/promote")
    assert refused.value.status == 403
    with pytest.raises(RefusedError) as refused:
        keeper.authenticate({"authorization": f"Bearer {signed(exp=int(NOW) - 100)}"})
    assert refused.value.status == 401


def test_keys_that_are_not_to_be_pinned(tmp_path: Path) -> None:
    good = public()
    private = {**json.loads(RSAAlgorithm.to_jwk(rsa_key())), "kid": "p"}
    short = {**json.loads(RSAAlgorithm.to_jwk(rsa_key(1024).public_key())), "kid": "s"}
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    wide = {**json.loads(ECAlgorithm.to_jwk(curve)), "kid": "w"}
    for entries in (
        [],
        [private],
        [short],
        [wide],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "o"}],
        [{**good[0], "kid": ""}],
        [{**good[0], "alg": "RS512"}],
        [{**good[0], "use": "enc"}],
        [good[0], {**good[1], "kid": "r1"}],
        [{**good[0], "n": "!"}],
    ):
        with pytest.raises(SettingsError, match=r"jwks\.json"):
            read_keys(written(entries, tmp_path))
    with pytest.raises(SettingsError):
        read_keys(tmp_path / "nowhere.json")
    with pytest.raises(SettingsError, match="audience"):
        Issuer("https://id.example", " ")
