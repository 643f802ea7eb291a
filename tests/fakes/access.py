"""Access control for tests: the token is the name, and everything that was asked is remembered."""

from collections.abc import Mapping

from serving.ports import Identity, Named
from serving.refusals import of_status


class FakeAccess:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        name = headers.get("authorization", "").removeprefix("Bearer ")
        if not name:
            raise of_status(401, "who are you?")
        return Named(name)

    def authorise(self, identity: Identity, method: str, path: str) -> None:
        self.asked.append((method, path))
