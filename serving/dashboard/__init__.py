"""The page: its files, read once into memory, and the words of the dictionary as one more of them.

Nothing in them is of a plant: the page asks the routes under ``/v1`` for all that it shows, with the reader's own key.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import orjson

from features.levers import resolutions
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
SHELL: Final = "/"
"""Where the page itself is; every other file is under ``/page/``."""


@dataclass(frozen=True)
class PageFile:
    """One file as it is sent."""

    content: bytes
    kind: str
    etag: str


def _file(content: bytes, ending: str) -> PageFile:
    return PageFile(content, _KINDS[ending], f'"{hashlib.sha256(content).hexdigest()[:20]}"')


def _dictionary() -> bytes:
    """Return what signals and outcomes are called, and how finely levers are set, as a module of the page."""
    parts = {
        "SIGNALS": {s.name: {"unit": s.unit, "en": s.meaning, "zh": s.meaning_zh} for s in SIGNALS.values()},
        "OUTCOMES": {
            o.name: {"unit": o.unit, "en": o.meaning, "zh": o.meaning_zh} for o in OUTCOMES.values()
        },
        "RESOLUTIONS": dict(resolutions()),
    }
    lines = [f"export const {name} = {orjson.dumps(value).decode()};" for name, value in parts.items()]
    return "\n".join(lines).encode()


def _read() -> dict[str, PageFile]:
    found = {"/page/dictionary.js": _file(_dictionary(), "js")}
    for entry in files("serving.dashboard").iterdir():
        _, _, ending = entry.name.rpartition(".")
        if ending in _KINDS:
            path = SHELL if entry.name == "index.html" else f"/page/{entry.name}"
            found[path] = _file(entry.read_bytes(), ending)
    return dict(sorted(found.items()))


FILES: Final[Mapping[str, PageFile]] = _read()
"""Path -> file, for every path of the page."""
