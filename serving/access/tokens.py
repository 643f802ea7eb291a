"""Signed tokens of people (OIDC): RS256 and ES256 only, every key pinned by its id in a file, every claim required.

The public keys come from a file (JWKS) that the plant's keeper puts there: the service opens no connection to fetch
them, and a token cannot say where its key is.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from features.errors import SettingsError
from serving.access.roles import Identity, Role

LONGEST: Final = 8192
"""Characters of a token."""
LEAST_RSA_BITS: Final = 2048
_REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp")
_HEADER: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
"""What a token's header may hold: nothing that brings a key, an address or an extension. Thumbprints are not read."""
_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Issuer:
    """Whom we believe, and how their tokens say role and lines.

    Attributes:
        issuer, audience: ``iss`` and ``aud`` to the letter.
        role_claim: the claim with one role, or several of which the highest counts; others' roles are passed over.
        lines_claim: the claim with the lines. A token without it sees no line, unless its value is ``"*"``.
        longest_s: seconds from issue to expiry, at most. leeway_s: how far two clocks may differ.
    """

    issuer: str
    audience: str
    role_claim: str = "superheat_role"
    lines_claim: str = "superheat_lines"
    longest_s: float = 43_200.0
    leeway_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse empty names.

        Raises:
            SettingsError: as said.
        """
        for name in ("issuer", "audience", "role_claim", "lines_claim"):
            if not getattr(self, name).strip():
                raise SettingsError(f"tokens: {name} is empty; give it, or leave tokens out")


@dataclass(frozen=True)
class Pinned:
    """A public key and the one algorithm that it may be used with."""

    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey


class Tokens:
    """The tokens of one issuer."""

    def __init__(
        self, issuer: Issuer, keys: Mapping[str, Pinned], now: Callable[[], float] = time.time
    ) -> None:
        """Believe ``issuer`` where one of ``keys`` (id -> key) signed."""
        self._issuer = issuer
        self._keys = dict(keys)
        self._now = now

    def find(self, token: str) -> Identity | None:
        """Return who ``token`` is about; None where anything about it is not as it must be."""
        if len(token) > LONGEST:
            return None
        try:
            header = jwt.get_unverified_header(token)
            pinned = self._keys.get(str(header.get("kid")))
            if pinned is None or header.get("alg") != pinned.algorithm or set(header) - _HEADER:
                return None
            claims = jwt.decode(
                token,
                pinned.key,
                algorithms=[pinned.algorithm],
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
                # Times are judged below, by a clock that tests can set.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError:
            return None
        return self._identity(claims) if self._timely(claims) else None

    def _timely(self, claims: Mapping[str, Any]) -> bool:
        issued, expires, begins = claims["iat"], claims["exp"], claims.get("nbf", claims["iat"])
        if not all(type(value) in (int, float) for value in (issued, expires, begins)):
            return False
        now, leeway = self._now(), self._issuer.leeway_s
        return bool(
            max(issued, begins) - leeway <= now < expires + leeway
            and expires - issued <= self._issuer.longest_s
        )

    def _identity(self, claims: Mapping[str, Any]) -> Identity | None:
        subject = claims["sub"]
        told = claims.get(self._issuer.role_claim)
        roles = [told] if isinstance(told, str) else told
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or not isinstance(roles, list):
            return None
        ours = [role for role in Role if role.name.lower() in roles]
        if not ours:
            return None
        lines = claims.get(self._issuer.lines_claim, [])
        if lines == "*":
            seen = None
        elif isinstance(lines, list) and all(
            isinstance(line, str) and 0 < len(line) <= 128 for line in lines
        ):
            seen = frozenset(lines)
        else:
            return None
        return Identity(subject, max(ours), seen, f"sub:{subject}")


def read_keys(path: Path) -> dict[str, Pinned]:
    """Return the public keys of the JWKS file ``path`` by their ids.

    Raises:
        SettingsError: no such file or no JWKS; a key without id, or of a kind, curve or length that is not taken.
    """
    try:
        entries = json.loads(path.read_bytes())["keys"]
        found = [_pinned(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
        raise SettingsError(f"{path.name} cannot be read as a JWKS file of public keys: {error}") from error
    keys = dict(found)
    if not keys or len(keys) != len(found):
        raise SettingsError(f"{path.name} holds no key, or two with one kid")
    return keys


def _pinned(entry: dict[str, Any]) -> tuple[str, Pinned]:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError("a key has no kid")
    if "d" in entry or "k" in entry:
        raise ValueError(f"key {kid[:64]} holds a secret; only public keys belong here")
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(entry.get("kty", ""))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        raise ValueError(f"key {kid[:64]} is not for RS256 or ES256")
    if entry.get("use", "sig") != "sig":
        raise ValueError(f"key {kid[:64]} is not for signatures")
    key = jwt.PyJWK(entry, algorithm).key
    long_enough = isinstance(key, RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
    right_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    if not (long_enough or right_curve):
        raise ValueError(f"key {kid[:64]} is no RSA key of {LEAST_RSA_BITS} bits and no key on P-256")
    return kid, Pinned(algorithm, key)
