"""Model versions on disk: each in a directory named after its digest, never changed, and one pointer a model.

    <root>/<name>/<digest>/     the bundle's files, copied from verified bytes
    <root>/<name>/pointer.json  which one is current, and which were before it

A name or version from outside is looked up in what is there; it is never made into a path.
"""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.bundle import CARD, MANIFEST, MODEL, PARITY, Manifest, read_bundle, read_manifest
from features.bundle.encoding import canonical
from features.errors import BundleCorruptError, UnknownNameError

POINTER: Final = "pointer.json"
PROTOCOL: Final = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9a-f]{12,64}")
_KEPT: Final = 100


@dataclass(frozen=True)
class Pointer:
    """The current version of a model, and those that were current before it, the latest last."""

    current: str
    before: tuple[str, ...] = ()

    def moved(self, digest: str) -> "Pointer":
        """Return the pointer after ``digest`` was promoted."""
        if digest == self.current:
            return self
        return Pointer(digest, (*self.before, self.current)[-_KEPT:])

    def rolled_back(self) -> "Pointer":
        """Return the pointer after the last promotion was taken back.

        Raises:
            UnknownNameError: there is none to take back.
        """
        if not self.before:
            raise UnknownNameError("no version was current before this one; there is nothing to roll back to")
        return Pointer(self.before[-1], self.before[:-1])


class Repository:
    """The versions under ``root``."""

    def __init__(self, root: Path) -> None:
        """Use ``root``; it is made when something is admitted."""
        self._root = root

    def admit(self, directory: Path) -> Manifest:
        """Copy the bundle in ``directory`` into the repository, verified; one that is there already stays as it is.

        Raises:
            BundleError: the bundle is refused.
        """
        files = read_bundle(directory)
        manifest = files.manifest
        target = self._root / manifest.name / manifest.digest
        if target.is_dir():
            read_bundle(target)
            return manifest
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=target.parent))
        content = {
            MANIFEST: manifest.to_bytes(),
            MODEL: files.model,
            PARITY: files.parity,
            CARD: files.card,
        }
        try:
            for name, data in content.items():
                (beside / name).write_bytes(data)
            read_bundle(beside)
            os.replace(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return manifest

    def names(self) -> tuple[str, ...]:
        """Return the names of the models that are there."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._root.iterdir() if _NAME.fullmatch(path.name)))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the digests of the versions of ``name``, the latest made last.

        Raises:
            UnknownNameError: there is no such model.
        """
        found = [(self.manifest(name, digest).created, digest) for digest in self._digests(name)]
        return tuple(digest for _, digest in sorted(found))

    def _digests(self, name: str) -> list[str]:
        if name not in self.names():
            raise UnknownNameError(
                f"model {name[:64]!r} is not in the repository; its index names those that are"
            )
        return sorted(path.name for path in (self._root / name).iterdir() if _DIGEST.fullmatch(path.name))

    def find(self, name: str, version: str) -> str:
        """Return the digest of the one version of ``name`` that ``version`` (12 characters or more) begins.

        Raises:
            UnknownNameError: no such model or version, or more than one.
        """
        if not _VERSION.fullmatch(version):
            raise UnknownNameError(
                f"version {version[:64]!r} is no version; give 12 to 64 hexadecimal digits"
            )
        found = [digest for digest in self._digests(name) if digest.startswith(version)]
        if len(found) != 1:
            raise UnknownNameError(
                f"model {name} has {len(found)} versions {version}...; its index names them"
            )
        return found[0]

    def path(self, name: str, digest: str) -> Path:
        """Return the directory of a version that :meth:`versions` named."""
        return self._root / name / digest

    def manifest(self, name: str, digest: str) -> Manifest:
        """Return the manifest of a version, its digest compared with its directory's name.

        Raises:
            BundleError: it is damaged or another one.
        """
        manifest = read_manifest(self.path(name, digest))
        if manifest.digest != digest or manifest.name != name:
            raise BundleCorruptError(f"version {digest[:12]} of {name} holds another bundle; remove it")
        return manifest

    def pointer(self, name: str) -> Pointer | None:
        """Return which version of ``name`` is current; None where none ever was.

        Raises:
            BundleCorruptError: the pointer is damaged.
        """
        path = self._root / name / POINTER
        if name not in self.names() or not path.is_file():
            return None
        try:
            values = json.loads(path.read_bytes())
            digests = [values["current"], *values["before"]]
            if values["protocol"] != PROTOCOL or not all(_DIGEST.fullmatch(digest) for digest in digests):
                raise ValueError("unknown protocol or no digest")
        except (ValueError, KeyError, TypeError) as error:
            raise BundleCorruptError(f"the pointer of model {name} is damaged; promote a version") from error
        return Pointer(digests[0], tuple(digests[1:]))

    def point(self, name: str, pointer: Pointer) -> None:
        """Write the pointer of ``name`` in one step."""
        path = self._root / name / POINTER
        beside = path.with_name(f".{POINTER}.{os.getpid()}.part")
        values = {"protocol": PROTOCOL, "current": pointer.current, "before": list(pointer.before)}
        with beside.open("wb") as file:
            file.write(canonical(values))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)

    def latest(self, name: str) -> str:
        """Return the digest of the version of ``name`` that was made last.

        Raises:
            UnknownNameError: there is none.
        """
        versions = self.versions(name)
        if not versions:
            raise UnknownNameError(f"model {name} has no version in the repository")
        return versions[-1]
