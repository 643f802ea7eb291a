"""Parity rows: feature rows with the trained estimators' own answers, stored in the bundle and replayed before use.

Stored as a zip of ``.npy`` members in a fixed order with fixed times and no compression, so that the same arrays
are the same bytes; read with pickle off.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

RELATIVE: Final = 1e-6
"""Largest relative difference between the graph and the trained estimator."""
ABSOLUTE: Final = 1e-9
"""Differences below this, in the outcome's unit, are none: a score of zero has no relative error."""

_TIME: Final = (1980, 1, 1, 0, 0, 0)
_INPUT: Final = "features"


def own_rows(stored: int) -> int:
    """Return how many of ``stored`` parity rows are the record's own: the first ones.

    A third is planted beside the model's thresholds, a third at the ends of its inputs: where an export
    goes wrong first, and nothing that a plant has shown.
    """
    return stored - 2 * (stored // 3)


@dataclass(frozen=True)
class Parity:
    """features (r, d) float32 and, by output name, the expected answers (r,) or (r, m) float64.

    Raises:
        ValueError: no row, another type or shape, or an expectation that is not finite.
    """

    features: NDArray[np.float32]
    expected: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        """Check types and shapes."""
        if self.features.ndim != 2 or self.features.dtype != np.float32 or not len(self.features):
            raise ValueError(
                f"parity rows are {self.features.shape} {self.features.dtype}, not (r, d) float32"
            )
        for name, values in self.expected.items():
            if values.dtype != np.float64 or values.ndim not in (1, 2) or len(values) != len(self.features):
                raise ValueError(f"parity answers {name} are {values.shape} {values.dtype}")
            if not np.isfinite(values).all():
                raise ValueError(f"parity answers {name} are not finite")
        if _INPUT in self.expected:
            raise ValueError(f"an output may not be called {_INPUT}")

    def take(self, rows: NDArray[np.intp]) -> "Parity":
        """Return the rows with these indices."""
        return Parity(self.features[rows], {name: values[rows] for name, values in self.expected.items()})

    def broken(self, answers: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.intp]]:
        """Return output -> indices of rows where ``answers`` (same shapes) lie outside the tolerance or are NaN.

        Raises:
            ValueError: an output is missing, extra, or of another shape.
        """
        if set(answers) != set(self.expected):
            raise ValueError(f"answers are {sorted(answers)}, expected {sorted(self.expected)}")
        found: dict[str, NDArray[np.intp]] = {}
        for name, want in self.expected.items():
            got = answers[name]
            if got.shape != want.shape:
                raise ValueError(f"{name} has shape {got.shape}, expected {want.shape}")
            outside = ~(np.abs(got - want) <= np.maximum(RELATIVE * np.abs(want), ABSOLUTE))
            rows = np.flatnonzero(outside.reshape(len(want), -1).any(axis=1))
            if rows.size:
                found[name] = rows
        return found

    def largest_relative(self, answers: Mapping[str, NDArray[np.float64]]) -> float:
        """Return the largest difference over ``max(|expected|, ABSOLUTE / RELATIVE)`` of all outputs and rows."""
        floor = ABSOLUTE / RELATIVE
        return max(
            float((np.abs(answers[name] - want) / np.maximum(np.abs(want), floor)).max(initial=0.0))
            for name, want in self.expected.items()
        )

    def to_bytes(self) -> bytes:
        """Return ``parity.npz``: the same arrays always give the same bytes."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, values in sorted({_INPUT: self.features, **self.expected}.items()):
                member = io.BytesIO()
                npy.write_array(member, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False)
                info = zipfile.ZipInfo(f"{name}.npy", _TIME)
                info.create_system = 3  # the same on every system
                info.external_attr = 0o644 << 16
                archive.writestr(info, member.getvalue())
        return target.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Parity":
        """Return the parity rows stored in ``content``.

        Raises:
            ValueError: no such archive, compressed members, or arrays that are no parity rows.
        """
        arrays: dict[str, NDArray[np.float64]] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                    raise ValueError("parity members are compressed; they are stored plain")
                for info in archive.infolist():
                    member = io.BytesIO(archive.read(info))
                    arrays[info.filename.removesuffix(".npy")] = npy.read_array(member, allow_pickle=False)
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise ValueError(f"parity rows cannot be read: {error}") from error
        if _INPUT not in arrays:
            raise ValueError("parity rows hold no features")
        features: NDArray[np.float32] = arrays.pop(_INPUT)  # type: ignore[assignment]
        return cls(features, arrays)
