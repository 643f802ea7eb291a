"""Who may do what: four roles, and one table of every route. What the table does not name is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from features.errors import SettingsError
from serving.ports import Named
from serving.refusals import refused


class Role(IntEnum):
    """What somebody may do; each role may do what those before it may."""

    VIEWER = 1
    """Read: predictions, models, cells, recommendations, savings."""
    OPERATOR = 2
    """Ask for recommendations, post a line's rows, accept, modify and reject."""
    ENGINEER = 3
    """Change what is served: load, promote, roll back, shadow; set modes and limits."""
    ADMIN = 4
    """Everything."""

    @classmethod
    def named(cls, name: str) -> "Role":
        """Return the role called ``name`` in lower case.

        Raises:
            SettingsError: there is no such role.
        """
        found = {role.name.lower(): role for role in cls}.get(name)
        if found is None:
            raise SettingsError(
                f"role {name[:64]!r} does not exist; give viewer, operator, engineer or admin"
            )
        return found


ROLES_ZH: Final[Mapping[Role, str]] = {
    Role.VIEWER: "查看者",
    Role.OPERATOR: "操作员",
    Role.ENGINEER: "工程师",
    Role.ADMIN: "管理员",
}


@dataclass(frozen=True)
class Identity:
    """Who is asking.

    Attributes:
        subject: a name for logs and the audit, never a secret.
        role: what they may do.
        lines: the lines that they may see; None = every line.
        bucket: what their rate is counted under.
    """

    subject: str
    role: Role
    lines: frozenset[str] | None
    bucket: str

    def may_see(self, line_id: str) -> bool:
        """Say whether anything of line ``line_id`` may be read or changed."""
        return self.lines is None or line_id in self.lines


_MODEL: Final = "/v2/models/{model}"
_VERSION: Final = "/v2/models/{model}/versions/{version}"
_KEPT: Final = "/v2/repository/models/{model}"

RULES: Final[Mapping[tuple[str, str], Role]] = {
    ("GET", "/v2"): Role.VIEWER,
    ("GET", "/v2/"): Role.VIEWER,
    ("GET", _MODEL): Role.VIEWER,
    ("GET", _VERSION): Role.VIEWER,
    ("GET", f"{_MODEL}/ready"): Role.VIEWER,
    ("GET", f"{_VERSION}/ready"): Role.VIEWER,
    ("POST", f"{_MODEL}/infer"): Role.VIEWER,
    ("POST", f"{_VERSION}/infer"): Role.VIEWER,
    ("POST", "/v2/repository/index"): Role.VIEWER,
    ("GET", _KEPT): Role.VIEWER,
    ("GET", f"{_KEPT}/drift"): Role.VIEWER,
    ("POST", f"{_KEPT}/load"): Role.ENGINEER,
    ("POST", f"{_KEPT}/unload"): Role.ENGINEER,
    ("POST", f"{_KEPT}/promote"): Role.ENGINEER,
    ("POST", f"{_KEPT}/rollback"): Role.ENGINEER,
    ("POST", f"{_KEPT}/shadow"): Role.ENGINEER,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", "/openapi.json"): Role.VIEWER,
    ("GET", "/v1/session"): Role.VIEWER,
    ("GET", "/v1/cells"): Role.VIEWER,
    ("GET", "/v1/cells/{cell_id}"): Role.VIEWER,
    ("PUT", "/v1/cells/{cell_id}/mode"): Role.ENGINEER,
    ("GET", "/v1/savings"): Role.VIEWER,
    ("POST", "/v1/explain"): Role.VIEWER,
    ("POST", "/v1/quality"): Role.VIEWER,
    ("POST", "/v1/allocations"): Role.OPERATOR,
    ("POST", "/v1/history"): Role.OPERATOR,
    ("POST", "/v1/recommendations"): Role.OPERATOR,
    ("GET", "/v1/recommendations/{recommendation_id}"): Role.VIEWER,
    ("POST", "/v1/recommendations/{recommendation_id}/decision"): Role.OPERATOR,
}
"""(method, path template) -> the least role. HEAD is judged as GET."""

_Parts = tuple[str | None, ...]


def _split(path: str) -> _Parts:
    return tuple(None if part.startswith("{") and part.endswith("}") else part for part in path.split("/"))


def _fits(parts: _Parts, path: list[str]) -> bool:
    return all(
        bool(given) if part is None else part == given for part, given in zip(parts, path, strict=True)
    )


class Table:
    """The rules, found by a request's path. A literal part is preferred to one in braces."""

    def __init__(self, rules: Mapping[tuple[str, str], Role]) -> None:
        """Hold ``rules``."""
        self._by_length: dict[int, list[tuple[_Parts, str, Role]]] = {}
        for (method, template), role in rules.items():
            parts = _split(template)
            self._by_length.setdefault(len(parts), []).append((parts, method, role))
        for entries in self._by_length.values():
            entries.sort(key=lambda entry: [part is None for part in entry[0]])
        # The paths come from outside: the memory is bounded.
        self._found = lru_cache(maxsize=1024)(self._look)

    def role(self, method: str, path: str) -> Role:
        """Return the least role for ``method`` on ``path``, a concrete path or a template.

        Raises:
            RefusedError: 404 where no rule names the path, 405 where none names the method on it.
        """
        found = self._found("GET" if method == "HEAD" else method, path)
        if isinstance(found, Role):
            return found
        if found:
            raise refused(405, "method_not_allowed.address", methods=", ".join(found))
        raise refused(404, "not_found.address")

    def _look(self, method: str, path: str) -> Role | tuple[str, ...]:
        """Return the role, or the methods that the path takes (none: there is no such path)."""
        given = path.split("/")
        fitting = [entry for entry in self._by_length.get(len(given), ()) if _fits(entry[0], given)]
        # The most literal template is the route that answers; rules of a looser one must not speak for it.
        nearest = [entry for entry in fitting if entry[0] == fitting[0][0]]
        by_method = {named: role for _, named, role in nearest}
        return by_method.get(method) or tuple(sorted(by_method))


def require(identity: Identity, needed: Role) -> None:
    """Refuse ``identity`` below the role ``needed``.

    Raises:
        RefusedError: 403.
    """
    if identity.role < needed:
        raise refused(
            403,
            "role_too_low",
            zh={"needed": ROLES_ZH[needed], "role": ROLES_ZH[identity.role]},
            needed=needed.name.lower(),
            role=identity.role.name.lower(),
        )


def lines_seen(identity: object) -> list[str] | None:
    """Return the lines that an identity may see, for a process that knows no identity; None = every line."""
    if isinstance(identity, Identity):
        return None if identity.lines is None else sorted(identity.lines)
    if isinstance(identity, Named):
        return None
    raise refused(403, "forbidden.no_lines")


def line_set(lines: Iterable[str]) -> frozenset[str] | None:
    """Return the lines of a key or token; none named = every line.

    Raises:
        SettingsError: an empty name, or one that no line has.
    """
    found = frozenset(lines)
    for line in found:
        if not line.strip() or len(line) > 128:
            raise SettingsError(f"line {line[:64]!r} is no line's name; give 1 to 128 characters")
    return found or None
