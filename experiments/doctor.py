"""What is installed, what is missing, and whether the last result can be trusted; nothing heavy is imported.

Versions come from the installed metadata and presence from the import system's finders, so a broken or huge library
is reported without being loaded. Only the bundle's own verification opens onnxruntime.
"""

import hashlib
import importlib.util
import re
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.bundle.files import read_bundle
from features.errors import SuperheatError

Verdict = Literal["ok", "note", "wrong"]
SUMS: Final = "SHA256SUMS"
_TIMEOUT_S: Final = 3.0
_STYLE: Final = {"ok": "green", "note": "yellow", "wrong": "bold red"}
_REQUIREMENT: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?[^;]*(?:;.*extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"])?"
)


@dataclass(frozen=True)
class Check:
    """One thing looked at: what, how it stands, and in words what was found."""

    name: str
    verdict: Verdict
    found: str


def examine(run: Path, sample: Path, tracking_uri: str | None) -> list[Check]:
    """Look at everything: installation, extras, the bundle of ``run``, the tracking store, the sample's hashes."""
    return [
        python(),
        *extras(),
        bundle(run / "bundle"),
        tracking(tracking_uri, run.parent),
        sample_hashes(sample),
    ]


def python() -> Check:
    """Check the interpreter and our own version."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    try:
        ours = metadata.version("superheat")
    except metadata.PackageNotFoundError:
        return Check("superheat", "note", f"not installed, run from a checkout; Python {version}")
    fine = sys.version_info >= (3, 11)
    return Check("superheat", "ok" if fine else "wrong", f"{ours} on Python {version}")


def requirements(extra: str) -> list[str]:
    """Return the distributions that ``extra`` of superheat names, without what those need themselves."""
    try:
        texts = metadata.requires("superheat") or []
    except metadata.PackageNotFoundError:
        return []
    found = (_REQUIREMENT.match(text) for text in texts)
    names = {match["name"] for match in found if match is not None and match["extra"] == extra}
    return sorted(names - {"superheat"}, key=str.lower)


def known_extras() -> list[str]:
    """Return the extras that the installed distribution offers, the one that is all of them left out."""
    try:
        offered = metadata.metadata("superheat").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []
    return [extra for extra in offered if extra != "all"]


def extras() -> list[Check]:
    """Check every extra: complete with its versions, or what is missing and how to get it."""
    checks = []
    for extra in known_extras():
        there, absent = [], []
        for name in requirements(extra):
            try:
                there.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                absent.append(name)
        if absent:
            remedy = f"pip install 'superheat[{extra}]'"
            checks.append(
                Check(f"extra {extra}", "note", f"missing {', '.join(absent)}; {remedy} brings them")
            )
        else:
            checks.append(Check(f"extra {extra}", "ok", ", ".join(there) or "nothing beyond the base"))
    return checks


def bundle(directory: Path) -> Check:
    """Check that the bundle in ``directory`` is whole, is ours and answers as it did when it was written."""
    if not directory.is_dir():
        return Check("last bundle", "note", f"none at {directory}; `superheat run` makes one")
    try:
        if importlib.util.find_spec("onnxruntime") is None:
            manifest = read_bundle(directory).manifest
            words = "hashes match; its rows were not replayed (onnxruntime is absent)"
            return Check("last bundle", "note", f"{manifest.name} {manifest.version}: {words}")
        from serving.predictor import Predictor

        manifest = Predictor.open(directory).manifest
    except (SuperheatError, OSError) as error:
        return Check("last bundle", "wrong", f"{directory}: {error}")
    words = f"{manifest.name} {manifest.version}, digest {manifest.digest[:12]}, verified and replayed"
    return Check("last bundle", "ok", words)


def tracking(uri: str | None, runs: Path) -> Check:
    """Check that the tracking store answers: a server by its health page, SQLite by opening it read-only."""
    parts = urlsplit(uri or "")
    if parts.scheme in ("http", "https"):
        return _server(uri or "", f"{parts.scheme}://{parts.hostname}")
    path = Path(parts.path.removeprefix("/") if parts.scheme == "sqlite" else runs / "mlflow.db")
    if uri and parts.scheme != "sqlite":
        return Check(
            "tracking store", "note", f"{parts.scheme or uri}: not looked at (only SQLite and servers are)"
        )
    if not path.is_file():
        return Check("tracking store", "note", f"none at {path} yet; the first run makes it")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_TIMEOUT_S)) as store:
            (count,) = store.execute("select count(*) from runs").fetchone()
    except sqlite3.Error as error:
        return Check("tracking store", "wrong", f"{path}: {error}")
    return Check("tracking store", "ok", f"SQLite at {path}, {count} runs")


def sample_hashes(directory: Path) -> Check:
    """Check every file of the sample against its recorded SHA-256."""
    sums = directory / SUMS
    if not sums.is_file():
        return Check("data_samples", "note", f"no {SUMS} in {directory}")
    wrong, count = [], 0
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        file = directory / name
        count += 1
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            wrong.append(name)
    if wrong:
        return Check("data_samples", "wrong", f"{', '.join(wrong)} not as recorded in {SUMS}")
    return Check("data_samples", "ok", f"{count} files as recorded in {SUMS}")


def show(checks: Sequence[Check], console: Console) -> None:
    """Print the checks, one row each."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(Text(check.verdict, style=_STYLE[check.verdict]), Text(check.name), Text(check.found))
    console.print(table)


def all_well(checks: Iterable[Check]) -> bool:
    """Say whether nothing is wrong; a missing extra or a bundle not yet made is none."""
    return all(check.verdict != "wrong" for check in checks)


def _server(uri: str, shown: str) -> Check:
    """Ask the server's health page; ``shown`` is its address without what may be secret in it."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S) as answer:
            answer.read(64)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Check("tracking store", "wrong", f"{shown} does not answer: {reason}")
    return Check("tracking store", "ok", f"{shown} answers")
