"""``summary.json``: every headline figure of a run, typed, written once, read by the report and the comparisons."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

PROTOCOL: Final = 1


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, in one unit."""

    mean: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse an interval that does not hold its own mean; NaN (not known) passes."""
        if self.lower > self.mean or self.mean > self.upper:
            raise ValueError(f"estimate {self.mean} lies outside its interval {self.lower} to {self.upper}")

    def scaled(self, factor: float) -> "Estimate":
        """Return the same estimate in another unit; a negative factor turns the interval round."""
        ends = sorted((self.lower * factor, self.upper * factor))
        return Estimate(self.mean * factor, ends[0], ends[1])


@dataclass(frozen=True)
class FamilyScore:
    """One model family or baseline on held-out time."""

    name: str
    baseline: bool
    mae: Estimate
    r2: Estimate


@dataclass(frozen=True)
class Coverage:
    """How often the measured value lay inside the interval: ``share`` of ``rows``, with the share's own interval.

    ``half_width`` is the interval's mean half-width, in the outcome's unit.
    """

    group: str
    rows: int
    share: float
    lower: float
    upper: float
    half_width: float


@dataclass(frozen=True)
class OutcomeSummary:
    """How well one outcome is predicted on held-out time, and by whom.

    ``families`` are all models and baselines, ``families_mature`` the same on mature cells, ``unseen_cells`` the
    champion and the baselines on cells that were left out of the fit; ``validation_mae`` chose the champion.
    """

    name: str
    unit: str
    target: bool
    champion: str
    test_rows: int
    families: tuple[FamilyScore, ...]
    families_mature: tuple[FamilyScore, ...]
    unseen_cells: tuple[FamilyScore, ...]
    validation_mae: Mapping[str, float]
    nominal_coverage: float
    coverage: Coverage
    coverage_by_regime: tuple[Coverage, ...]
    coverage_by_month: tuple[Coverage, ...]

    def score(self, family: str) -> FamilyScore:
        """Return the score of ``family``; raises ``KeyError`` if it did not take part."""
        for entry in self.families:
            if entry.name == family:
                return entry
        raise KeyError(f"{family!r} took no part in {self.name}; there are {[f.name for f in self.families]}")


@dataclass(frozen=True)
class Unavailable:
    """A target that the data cannot carry, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Parity:
    """The exported graph against the trained estimators, row by row."""

    rows: int
    beyond: int
    tolerance: float
    worst_relative_difference: float


@dataclass(frozen=True)
class Advice:
    """What was recommended for the last day."""

    date: str
    cells: int
    moved: int
    held: int
    abstained: int
    hold_reasons: Mapping[str, int] = field(default_factory=dict)
    abstain_reasons: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse counts that do not add up."""
        if self.moved + self.held + self.abstained != self.cells:
            raise ValueError(
                f"{self.moved} moved, {self.held} held and {self.abstained} abstained are not {self.cells} cells"
            )


@dataclass(frozen=True)
class Saving:
    """What the recommendations are expected to save, for the line (held and abstaining cells count as nothing saved).

    Cells share one model, so its errors are taken as fully shared: the bounds of the cells add up. ``*_moved`` is the
    mean over the moved cells alone. ``confidence`` is that of the interval, both sides together.
    """

    confidence: float
    currency: str
    metal_t_per_d: float
    energy_kwh_per_t: Estimate
    energy_kwh_per_d: Estimate
    net_anode_kg_per_t: Estimate | None
    net_anode_kg_per_d: Estimate | None
    cost_per_t: Estimate
    cost_per_d: Estimate
    energy_kwh_per_t_moved: Estimate | None
    net_anode_kg_per_t_moved: Estimate | None
    cost_per_t_moved: Estimate | None


@dataclass(frozen=True)
class DataSummary:
    """What went in."""

    plant: str
    sha256: str
    first_day: str
    last_day: str
    cells: int
    days: int
    table_rows: Mapping[str, int]
    training_rows: int
    training_last_day: str
    test_first_day: str
    test_last_day: str
    findings: int
    quarantined_rows: int


@dataclass(frozen=True)
class BundleSummary:
    """What came out for the service."""

    name: str
    version: str
    digest: str
    features: int
    levers: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class RunSummary:
    """Everything that ``summary.json`` holds."""

    simulated: bool
    quick: bool
    seed: int
    horizon_d: int
    created: str
    code_revision: str
    data: DataSummary
    outcomes: tuple[OutcomeSummary, ...]
    unavailable: tuple[Unavailable, ...]
    refused_levers: Mapping[str, str]
    parity: Parity
    bundle: BundleSummary
    advice: Advice
    saving: Saving
    tracking: Mapping[str, str]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    machine: Mapping[str, str | int]

    def outcome(self, name: str) -> OutcomeSummary:
        """Return the quality of outcome ``name``; raises ``KeyError`` if it was not modelled."""
        for entry in self.outcomes:
            if entry.name == name:
                return entry
        raise KeyError(f"no outcome {name!r} in this run; there are {[o.name for o in self.outcomes]}")

    @property
    def targets(self) -> tuple[OutcomeSummary, ...]:
        """The outcomes that the run is about, without the guard's helpers."""
        return tuple(entry for entry in self.outcomes if entry.target)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: outcomes by name, NaN as null."""
        plain = asdict(self)
        plain["protocol"] = PROTOCOL
        plain["outcomes"] = {entry["name"]: _by_family(entry) for entry in plain["outcomes"]}
        plain["seconds"] = {**plain["seconds"], "total": sum(self.seconds.values())}
        cleaned: dict[str, Any] = _cleaned(plain)
        return cleaned

    def write(self, path: Path) -> None:
        """Write :meth:`to_json` to ``path``."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


def _by_family(entry: dict[str, Any]) -> dict[str, Any]:
    groups = ("families", "families_mature", "unseen_cells")
    return {**entry, **{group: {score["name"]: score for score in entry[group]} for group in groups}}


def _cleaned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_cleaned(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
