"""Writing a bundle: proved first, whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.bundle.encoding import sha256
from features.bundle.files import CARD, MANIFEST, MODEL, PARITY, read_bundle
from features.bundle.manifest import Manifest
from features.errors import ExportError, InputError
from training.export.card import write_card
from training.export.contents import Label, manifest_of
from training.export.graph import write_graph
from training.export.parity import ParityPlan, ParityReport, check_parity
from training.fitted import FittedModel


@dataclass(frozen=True)
class BundleInfo:
    """A bundle that was written: where, its manifest, and how well the graph reproduced the estimators."""

    path: Path
    manifest: Manifest
    rows_compared: int
    largest_relative: float
    model_bytes: int

    @property
    def digest(self) -> str:
        """The bundle's identity."""
        return self.manifest.digest


def write_bundle(
    fitted: FittedModel,
    out_dir: Path,
    parity_rows: NDArray[np.float32],
    label: Label | None = None,
    plan: ParityPlan | None = None,
) -> BundleInfo:
    """Write ``fitted`` as the bundle ``out_dir``; a bundle that stands there is replaced in one step.

    Args:
        fitted: the model.
        out_dir: the bundle's directory; its parent is made if needed.
        parity_rows: (n, d) float32 recipe rows, from data, that the graph is compared on.
        label: name, version, code revision and time.
        plan: how many rows are compared and stored.

    Raises:
        ExportError: the graph does not reproduce the estimators, or the model cannot be written down.
        InputError: the rows do not fit the recipe, or ``out_dir`` is something else than a bundle.
    """
    _require_rows(parity_rows, len(fitted.recipe.features))
    _require_replaceable(out_dir)
    label = label or Label()
    try:
        model = write_graph(fitted, parity_rows.shape[1])
        report = check_parity(fitted, model, parity_rows, plan or ParityPlan())
        manifest, content = _contents(fitted, label, model, report)
    except (ValueError, TypeError) as error:
        raise ExportError(f"model {label.name} cannot be written down: {error}") from error
    with _whole_or_not_at_all(out_dir) as beside:
        for name, data in content.items():
            _write(beside / name, data)
        read_bundle(beside)
    return BundleInfo(out_dir, manifest, report.rows, report.largest_relative, len(model))


def _contents(
    fitted: FittedModel, label: Label, model: bytes, report: ParityReport
) -> tuple[Manifest, dict[str, bytes]]:
    content = {MODEL: model, PARITY: report.stored.to_bytes()}
    hashes = {name: sha256(data) for name, data in content.items()}
    draft = manifest_of(fitted, label, hashes)
    content[CARD] = write_card(draft).encode()
    manifest = manifest_of(fitted, label, {**hashes, CARD: sha256(content[CARD])})
    return manifest, {**content, MANIFEST: manifest.to_bytes()}


def _require_rows(rows: NDArray[np.float32], width: int) -> None:
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise InputError(f"parity rows are {rows.shape} {rows.dtype}; give (n, {width}) float32 recipe rows")


def _require_replaceable(out_dir: Path) -> None:
    if out_dir.is_symlink() or (out_dir.exists() and not out_dir.is_dir()):
        raise InputError(f"{out_dir} is no directory; name a bundle's directory or a new one")
    if out_dir.is_dir() and any(out_dir.iterdir()) and not (out_dir / MANIFEST).is_file():
        raise InputError(f"{out_dir} holds files and is no bundle; name a bundle's directory or a new one")


@contextmanager
def _whole_or_not_at_all(out_dir: Path) -> Iterator[Path]:
    """Give a directory beside ``out_dir`` that takes its place at the end, or vanishes on an error."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", suffix=".part", dir=out_dir.parent))
    try:
        beside.chmod(0o755)  # mkdtemp makes it private; a bundle is there to be read
        yield beside
        if out_dir.exists():
            # A directory cannot replace one that is not empty: the old one steps aside for a moment.
            aside = beside.with_suffix(".old")
            os.replace(out_dir, aside)
            try:
                os.replace(beside, out_dir)
            except OSError:
                os.replace(aside, out_dir)
                raise
            shutil.rmtree(aside)
        else:
            os.replace(beside, out_dir)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
