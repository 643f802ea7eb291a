"""What a request asks of a model once it is decoded, and what the model answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.bundle import FEATURES, MEMBERS, Manifest, output_names

Rows = NDArray[np.float32]
Answers = Mapping[str, NDArray[np.float64]]

PLATFORM: Final = "onnx_onnxv1"
INPUT_TYPE: Final = "FP32"
OUTPUT_TYPE: Final = "FP64"
VERSION_LENGTH: Final = 12
"""Characters of the bundle's digest that name a version on the wire."""


@dataclass(frozen=True)
class Wanted:
    """One output asked for, and whether as binary."""

    name: str
    binary: bool


@dataclass(frozen=True)
class Call:
    """A decoded request: the id to echo, rows (n, d) float32 validated, and the outputs in the order asked for."""

    id: str
    rows: Rows
    outputs: tuple[Wanted, ...]


@dataclass(frozen=True)
class Signature:
    """What a bundle takes and gives, as the protocol describes it."""

    name: str
    version: str
    width: int
    outputs: tuple[str, ...]
    members: Mapping[str, int]

    @cached_property
    def every(self) -> Mapping[bool, tuple[Wanted, ...]]:
        """Whether as binary -> all outputs, in the bundle's order."""
        return {binary: tuple(Wanted(name, binary) for name in self.outputs) for binary in (False, True)}

    @classmethod
    def of(cls, manifest: Manifest) -> "Signature":
        """Return the signature of the bundle that ``manifest`` describes."""
        outputs = output_names(manifest)
        members = {
            name: manifest.outcome(name.removesuffix(MEMBERS)).members
            for name in outputs
            if name.endswith(MEMBERS)
        }
        return cls(manifest.name, version_of(manifest.digest), len(manifest.features), outputs, members)

    def input(self) -> dict[str, Any]:
        """Return the one input as metadata."""
        return {"name": FEATURES, "datatype": INPUT_TYPE, "shape": [-1, self.width]}

    def output(self, name: str) -> dict[str, Any]:
        """Return one output as metadata."""
        return {"name": name, "datatype": OUTPUT_TYPE, "shape": self.shape(name, -1)}

    def shape(self, name: str, n: int) -> list[int]:
        """Return the shape of output ``name`` for ``n`` rows."""
        return [n, self.members[name]] if name in self.members else [n]


def version_of(digest: str) -> str:
    """Return the version that a bundle's digest has on the wire."""
    return digest[:VERSION_LENGTH]
