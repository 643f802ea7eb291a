"""The bundle: the one directory that training writes and serving reads.

    manifest.json   what it is, canonical JSON, sealed (manifest, encoding)
    model.onnx      one self-describing graph (graph: which operators it may hold)
    parity.npz      rows and the trained estimators' answers to them (parity)
    card.md         the same for people

``read_bundle`` (files) returns the bytes of all four after checking every one of them against the manifest, so that
no parser sees a byte that was not vouched for. There is no pickle anywhere.
"""

from features.bundle.files import (
    CARD,
    MANIFEST,
    MODEL,
    PARITY,
    BundleFiles,
    read_bundle,
    read_manifest,
)
from features.bundle.graph import DESIGN, FEATURES, LOWER, MEMBERS, OPSETS, SUPPORT, UPPER, output_names
from features.bundle.manifest import (
    PROTOCOL,
    DataInfo,
    FeatureInfo,
    IdentificationInfo,
    IntervalInfo,
    LeverInfo,
    Manifest,
    OutcomeInfo,
    RecipeInfo,
    SupportInfo,
    TargetInfo,
    UnavailableInfo,
)
from features.bundle.parity import Parity

__all__ = [
    "CARD",
    "DESIGN",
    "FEATURES",
    "LOWER",
    "MANIFEST",
    "MEMBERS",
    "MODEL",
    "OPSETS",
    "PARITY",
    "PROTOCOL",
    "SUPPORT",
    "UPPER",
    "BundleFiles",
    "DataInfo",
    "FeatureInfo",
    "IdentificationInfo",
    "IntervalInfo",
    "LeverInfo",
    "Manifest",
    "OutcomeInfo",
    "Parity",
    "RecipeInfo",
    "SupportInfo",
    "TargetInfo",
    "UnavailableInfo",
    "output_names",
    "read_bundle",
    "read_manifest",
]
