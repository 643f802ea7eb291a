"""The keeper of the door: keys and tokens in, an identity out, and the table of roles. Everything else is refused."""

import logging
from collections.abc import Mapping
from typing import Final

from features.errors import SettingsError
from serving import ports
from serving.access.keys import MARK, KeyStore
from serving.access.rate import Buckets, Rate
from serving.access.roles import RULES, Identity, Role, Table, require
from serving.access.tokens import Issuer, Tokens, read_keys
from serving.ports import Access, LoopbackAccess
from serving.refusals import refused
from serving.settings import Settings

_LOG = logging.getLogger("superheat.access")
_BEARER: Final = "bearer "


class Keeper:
    """Access by API key or signed token; implements the port of :mod:`serving.ports`."""

    def __init__(
        self,
        keys: KeyStore,
        rate: Rate,
        tokens: Tokens | None = None,
        rules: Mapping[tuple[str, str], Role] = RULES,
    ) -> None:
        """Believe ``keys`` and ``tokens``, each at most ``rate``, by ``rules``."""
        self._keys = keys
        self._tokens = tokens
        self._buckets = Buckets(rate)
        self._table = Table(rules)

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return who sent ``headers`` (lower-case names), by ``authorization: Bearer`` or ``x-api-key``.

        Raises:
            RefusedError: 401 nobody known; 429 too often; 503 the keys cannot be read.
        """
        secret = _secret(headers)
        try:
            identity = self._find(secret)
            nobody = identity is None and self._tokens is None and self._keys.empty
        except SettingsError as error:
            _LOG.error("keys cannot be read", extra={"fields": {"reason": str(error)}})
            raise refused(503, "overloaded.keys", 30) from error
        if nobody:
            raise refused(401, "unauthenticated.no_keys")
        if identity is None:
            raise refused(401, "unauthenticated.unknown" if secret else "unauthenticated.none_sent")
        self._buckets.take(identity.bucket)
        return identity

    def authorise(self, identity: ports.Identity, method: str, path: str) -> None:
        """Allow ``method`` on ``path`` (concrete or a template) to ``identity``, or refuse.

        Raises:
            RefusedError: 403 role too low; 404 or 405 where no rule names it.
        """
        if not isinstance(identity, Identity):
            raise refused(403, "forbidden.no_role")
        require(identity, self._table.role(method, path))

    def _find(self, secret: str) -> Identity | None:
        if secret.startswith(MARK):
            return self._keys.find(secret)
        return self._tokens.find(secret) if self._tokens and secret else None


def _secret(headers: Mapping[str, str]) -> str:
    """Return the key or token of ``headers``; empty where there is none.

    Raises:
        RefusedError: 401 where two are sent: which one counts must not be a guess.
    """
    given = headers.get("authorization", "").strip()
    key = headers.get("x-api-key", "").strip()
    if given and key:
        raise refused(401, "two_secrets")
    if not given:
        return key
    return given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else ""


def see(identity: ports.Identity, line_id: str) -> None:
    """Refuse ``identity`` anything of line ``line_id`` that is not theirs.

    Raises:
        RefusedError: 404, as for a line that does not exist: others' lines are not told apart from none.
    """
    if not identity.may_see(line_id):
        raise refused(404, "unknown_name.line", line=line_id[:64])


def access_of(settings: Settings) -> Access:
    """Return the access that ``settings`` ask for.

    Raises:
        SettingsError: the keys or the issuer's keys cannot be used.
    """
    if settings.insecure_local:
        return LoopbackAccess()
    keys = KeyStore(settings.keys_file)
    if keys.empty and settings.oidc_keys is None:
        _LOG.warning(
            "no key is known", extra={"fields": {"remedy": "superheat-serve keys create --role operator"}}
        )
    tokens = None
    if settings.oidc_keys is not None:
        issuer = Issuer(
            settings.oidc_issuer, settings.oidc_audience, settings.oidc_role_claim, settings.oidc_lines_claim
        )
        tokens = Tokens(issuer, read_keys(settings.oidc_keys))
    return Keeper(keys, Rate(settings.rate_per_s, settings.rate_burst), tokens)
