"""A small proved bundle and rows that fit it, made once a test run."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from features.bundle import Manifest, read_manifest
from serving.predictor import Predictor
from tests.fakes import fitted
from training.export.contents import Label
from training.export.write import write_bundle

WIDTH = len(fitted.recipe().names)


@cache
def bundle(seed: int = 3) -> Path:
    """The directory of the bundle made by ``seed``: another seed is another version of the same model."""
    where = Path(mkdtemp(prefix="superheat-bundle-")) / "bundle"
    model = fitted.fitted(seed, 6, 5)
    write_bundle(model, where, rows(120, seed=1), Label(name="potline"))
    return where


@cache
def manifest(seed: int = 3) -> Manifest:
    return read_manifest(bundle(seed))


@cache
def predictor(seed: int = 3) -> Predictor:
    return Predictor.open(bundle(seed))


def rows(n: int, seed: int, *, missing: bool = True) -> NDArray[np.float32]:
    """(n, d) rows inside the recipe's ranges, some values missing where they may be."""
    X = fitted.rows(n, seed)
    features = fitted.recipe().features
    low = np.array([feature.low for feature in features], dtype=np.float32)
    high = np.array([feature.high for feature in features], dtype=np.float32)
    X = np.clip(X, low, high)
    return X if missing else np.where(np.isnan(X), (low + high) / 2, X).astype(np.float32)
