"""Reading a bundle from disk: every byte checked before anything parses it.

Each file is opened once, without following links, its size bounded, read whole and hashed; what callers get are
those very bytes. A path is never opened a second time, so nothing can be swapped between check and use.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.bundle.encoding import parse, sha256
from features.bundle.manifest import PROTOCOL, Manifest, manifest_from
from features.errors import BundleCorruptError, BundleError, BundleForeignError, BundleProtocolError

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
PARITY: Final = "parity.npz"
CARD: Final = "card.md"

MIB: Final = 1 << 20
LIMITS: Final[Mapping[str, int]] = {MANIFEST: 8 * MIB, MODEL: 512 * MIB, PARITY: 64 * MIB, CARD: MIB}
"""Largest size [bytes] that is read of each file."""


@dataclass(frozen=True)
class BundleFiles:
    """A verified bundle: its manifest and the exact bytes of its other files."""

    manifest: Manifest
    model: bytes
    parity: bytes
    card: bytes


def read_bundle(directory: Path) -> BundleFiles:
    """Return the bundle in ``directory``, all of it verified against its manifest.

    Raises:
        BundleForeignError: no manifest, or not one of ours.
        BundleProtocolError: written by another version of the format.
        BundleCorruptError: a file is missing, extra, a link, too large, or not what the manifest says.
    """
    manifest = read_manifest(directory)
    found = sorted(os.listdir(directory))
    expected = sorted(LIMITS)
    if missing := [name for name in expected if name not in found]:
        raise BundleCorruptError(f"bundle {directory.name} lacks {missing}; copy it again, whole")
    if extra := [name for name in found if name not in expected]:
        raise BundleCorruptError(
            f"bundle {directory.name} holds {extra}, which its manifest does not know; remove them or copy it again"
        )
    content = {name: _read(directory, name) for name in (MODEL, PARITY, CARD)}
    for name, data in content.items():
        actual = sha256(data)
        if actual != manifest.files[name]:
            raise BundleCorruptError(
                f"{name} of bundle {directory.name} has SHA-256 {actual[:12]}..., the manifest says"
                f" {manifest.files[name][:12]}...; copy the bundle again"
            )
    return BundleFiles(manifest, content[MODEL], content[PARITY], content[CARD])


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of the bundle in ``directory``; the other files are not looked at.

    Raises:
        BundleForeignError: no manifest, or not one of ours.
        BundleProtocolError: written by another version of the format.
        BundleCorruptError: it is damaged, was edited, or contradicts itself.
    """
    try:
        present = os.listdir(directory)
    except OSError as error:
        raise BundleForeignError(
            f"{directory.name} cannot be listed ({error.strerror}); name a bundle's directory"
        ) from error
    if MANIFEST not in present:
        raise BundleForeignError(f"{directory.name} has no {MANIFEST}; name a bundle's directory")
    content = _read(directory, MANIFEST)
    _check_protocol(content, directory.name)
    try:
        values = parse(content)
        if not isinstance(values, dict):
            raise ValueError("not an object")
        manifest = manifest_from(values)
        if sorted(manifest.files) != sorted((MODEL, PARITY, CARD)):
            raise ValueError(f"it names the files {sorted(manifest.files)}")
    except ValueError as error:
        raise BundleCorruptError(
            f"{MANIFEST} of bundle {directory.name} is damaged: {error}; copy the bundle again"
        ) from error
    return manifest


def _check_protocol(content: bytes, bundle: str) -> None:
    """Refuse another protocol first: a newer manifest may well be unreadable to this code in every other way."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleCorruptError(
            f"{MANIFEST} of bundle {bundle} is no JSON ({error}); copy the bundle again"
        ) from error
    protocol = values.get("protocol") if isinstance(values, dict) else None
    if type(protocol) is not int:
        raise BundleForeignError(
            f"{MANIFEST} of {bundle} names no protocol; this is not a bundle of Superheat"
        )
    if protocol != PROTOCOL:
        remedy = "update this installation" if protocol > PROTOCOL else "train and export it again"
        raise BundleProtocolError(
            f"bundle {bundle} is written in protocol {protocol}, this code reads {PROTOCOL}; {remedy}"
        )


def _read(directory: Path, name: str) -> bytes:
    try:
        return _read_regular(directory / name, LIMITS[name])
    except OSError as error:
        raise BundleCorruptError(
            f"{name} of bundle {directory.name} cannot be read: {error.strerror}"
        ) from error
    except BundleError as error:
        raise BundleCorruptError(f"{name} of bundle {directory.name} {error}") from error


def _read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file, opened without following a link and without waiting on a pipe."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise BundleCorruptError("is no regular file; a bundle holds no links, pipes or directories")
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BundleCorruptError("is no regular file; a bundle holds no links, pipes or directories")
        if status.st_size > limit:
            raise BundleCorruptError(f"has {status.st_size} bytes, more than the {limit} that are read")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleCorruptError(f"grew beyond {limit} bytes while it was read")
    return content
