"""How far a prediction can be trusted, as plain numbers: its conformal interval and its data support."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.structures import Floats, Ints, Structure, Value, predict, require


@dataclass(frozen=True, eq=False)
class Interval(Value):
    """Conformal interval: prediction -+ q[regime] * max(predict(scale, Z), floor).

    A row is ``mature`` where ``Z[:, age_column] >= mature_from_d``, otherwise (NaN too) ``young``. ``q`` has both.
    """

    scale: Structure
    floor: float
    q: Mapping[str, float]
    age_column: int
    mature_from_d: float
    coverage: float

    def __post_init__(self) -> None:
        """Refuse widths that are not positive."""
        require(
            set(self.q) == {"young", "mature"}, f"regimes are {sorted(self.q)}, expected young and mature"
        )
        require(
            all(np.isfinite(v) and v >= 0 for v in self.q.values()), f"widths {dict(self.q)} are not finite"
        )
        require(self.floor > 0, f"floor is {self.floor}; a scale must stay positive")
        require(0 < self.coverage < 1, f"coverage is {self.coverage}, expected a share")

    def half_width(self, z: Floats) -> Floats:
        """Return the half-width (n,) on ``z`` (n, z), in the outcome's unit."""
        q = np.where(z[:, self.age_column] >= self.mature_from_d, self.q["mature"], self.q["young"])
        return np.asarray(q * np.maximum(predict(self.scale, z), self.floor))


@dataclass(frozen=True, eq=False)
class SupportView(Value):
    """One look at how near the data are: some columns of Z against K prototypes.

    columns (v,) of Z; fill, mean, scale (v,): NaN becomes fill, then (x - mean) / scale; prototypes (K, v);
    the Euclidean distance to the nearest prototype is read off the table knots (p,) -> scores (p,), linearly
    between knots and flat outside.
    """

    columns: Ints
    fill: Floats
    mean: Floats
    scale: Floats
    prototypes: Floats
    knots: Floats
    scores: Floats

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together and tables that are not monotone."""
        v = len(self.columns)
        require(
            self.fill.shape == self.mean.shape == self.scale.shape == (v,), "view columns differ in length"
        )
        require(
            self.prototypes.shape[1:] == (v,), f"prototypes are {self.prototypes.shape}, expected (K, {v})"
        )
        require(bool((self.scale > 0).all()), "a view scale is not positive")
        require(len(self.knots) == len(self.scores) >= 2, "a score table needs two points or more")
        require(bool((np.diff(self.knots) > 0).all()), "score knots must increase")
        require(bool((np.diff(self.scores) <= 0).all()), "scores must not increase with distance")

    def distance(self, z: Floats) -> Floats:
        """Return the distance (n,) of ``z`` (n, z) to the nearest prototype."""
        x = z[:, self.columns]
        u = (np.where(np.isnan(x), self.fill, x) - self.mean) / self.scale
        square = np.stack([((u - prototype) ** 2).sum(axis=1) for prototype in self.prototypes], axis=1)
        return np.asarray(np.sqrt(square.min(axis=1)))

    def score(self, z: Floats) -> Floats:
        """Return the share (n,) in [0, 1] of calibration rows at least as far out as each row of ``z``."""
        return np.asarray(np.interp(self.distance(z), self.knots, self.scores))


@dataclass(frozen=True, eq=False)
class Support(Value):
    """Support score in [0, 1]: the lowest score among the views; below ``threshold`` a row is unsupported."""

    views: tuple[SupportView, ...]
    threshold: float

    def __post_init__(self) -> None:
        """Refuse an empty support or a threshold outside [0, 1]."""
        require(len(self.views) > 0, "a support needs at least one view")
        require(0 <= self.threshold <= 1, f"support threshold is {self.threshold}, expected 0..1")

    def score(self, z: Floats) -> Floats:
        """Return the support (n,) of ``z`` (n, z)."""
        return np.asarray(np.min([view.score(z) for view in self.views], axis=0))
