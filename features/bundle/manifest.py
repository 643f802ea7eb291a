"""The manifest: what a bundle says about itself, frozen and checked when it is made.

Its ``digest`` names the bundle: it covers everything but ``created``, so the same seed and the same data give the
same digest. Its ``seal`` covers everything, so that no byte of the file changes unnoticed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from features.bundle.encoding import build, canonical, plain, sha256
from features.design import LeverColumns
from features.errors import InputError
from features.plant import Plant
from features.setpoints import Group, JointLimit, Lever, OperatingWindow

PROTOCOL: Final = 2
"""Version of the stored format: any change that an older reader would misread raises it.

2: every lever says whether the record identifies its effect. A reader of 1 would move levers that are not.
"""

Figures: TypeAlias = Mapping[str, float | None]
"""Name of a figure -> its value, null where it is not defined."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True)
class DataInfo:
    """What the bundle was trained on.

    sha256: of the canonical tables; span: first and last decision day (ISO) trained on; test_span: reported on;
    rows: trained on; simulated: whether a virtual line wrote them.
    """

    sha256: str
    span: tuple[str, str]
    test_span: tuple[str, str]
    rows: int
    simulated: bool

    def __post_init__(self) -> None:
        """Check hash, days and rows."""
        _require(_HASH.fullmatch(self.sha256) is not None, f"data hash {self.sha256!r} is no SHA-256")
        for span in (self.span, self.test_span):
            first, last = (date.fromisoformat(day) for day in span)
            _require(first <= last, f"data span {first}..{last} is empty")
        _require(self.rows > 0, f"trained on {self.rows} rows")


@dataclass(frozen=True)
class TargetInfo:
    """What the bundle is for."""

    name: str
    unit: str


@dataclass(frozen=True)
class UnavailableInfo:
    """A target that the data could not carry, and what was missing."""

    name: str
    reason: str


@dataclass(frozen=True)
class IntervalInfo:
    """How ``lower`` and ``upper`` came about: nominal coverage, and figures by group of test rows.

    ``measured``: ``overall``, ``young``, ``mature`` or ``YYYY-MM`` -> share, low, high, half_width, rows.
    """

    method: str
    coverage: float
    measured: Mapping[str, Figures]

    def __post_init__(self) -> None:
        """Check that coverages are shares."""
        shares = [self.coverage, *(figures.get("share") for figures in self.measured.values())]
        fine = all(share is None or 0.0 <= share <= 1.0 for share in shares)
        _require(fine, f"interval coverages {shares} are no shares")


@dataclass(frozen=True)
class OutcomeInfo:
    """One outcome of the graph.

    Attributes:
        name, unit: as in ``features.outcomes``.
        family: what predicts it; ``structure`` says of what it is built.
        members: ensemble members m behind the prediction; ``has_members`` says whether the graph answers them too.
        metrics: family or baseline -> metric -> value on the test days (null where it is not defined).
        metrics_mature: as ``metrics``, on the test days of cells that are no longer young.
        validation: family -> mean absolute error on the rolling blocks that chose the family.
        unseen_cells: as ``metrics``, on cells that were left out of the fit.
    """

    name: str
    unit: str
    family: str
    members: int
    has_members: bool
    interval: IntervalInfo
    metrics: Mapping[str, Figures]
    metrics_mature: Mapping[str, Figures]
    validation: Figures
    unseen_cells: Mapping[str, Figures]
    structure: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check the name and the members."""
        _require(_NAME.fullmatch(self.name) is not None, f"outcome name {self.name!r} is not allowed")
        _require(self.members >= 1, f"outcome {self.name} has {self.members} members")


@dataclass(frozen=True)
class FeatureInfo:
    """One column of the graph's input: name, unit, plausible range, days it looks back, whether it may be NaN."""

    name: str
    unit: str
    low: float
    high: float
    window_days: int
    may_be_missing: bool

    def __post_init__(self) -> None:
        """Check the range."""
        _require(bool(self.name), "a feature has no name")
        _require(
            math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high,
            f"feature {self.name}: range {self.low}..{self.high} is empty or not finite",
        )


@dataclass(frozen=True)
class RecipeInfo:
    """The recipe that makes the features: its digest, and the description that rebuilds it."""

    digest: str
    description: Mapping[str, Any]


@dataclass(frozen=True)
class IdentificationInfo:
    """Whether the record tells a lever's effect from its operators' reasons for moving it.

    grade: ``identified`` (moved on its own, it moved something), ``weak`` (it moved, physics expects an effect, the
    record is too noisy to show it), ``not_identified`` (it must not be moved on this record's word). code, text,
    text_zh: why. moves: how often it moved; own_share: share of the moves' variance that the operators' rule does not
    explain; effective_moves: moves of equal size that would say as much. outcomes: outcome -> the code of what is
    known of the lever's effect on it (``follows``: its effect shows).
    """

    grade: Literal["identified", "weak", "not_identified"]
    code: str
    text: str
    text_zh: str
    moves: int
    own_share: float
    effective_moves: float
    outcomes: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check the reason and the numbers."""
        _require(
            bool(self.code and self.text and self.text_zh), f"identification {self.grade} gives no reason"
        )
        _require(
            0.0 <= self.own_share <= 1.0 and self.moves >= 0 and self.effective_moves >= 0.0,
            f"identification: own_share {self.own_share} is no share, or its moves are negative",
        )


@dataclass(frozen=True)
class LeverInfo:
    """One lever: its feature columns (set value, value in force the day before), bounds, steps, group, and how well
    its effect is known.
    """

    name: str
    unit: str
    column: str
    reference_column: str
    low: float
    high: float
    resolution: float
    max_daily_step: float
    window: float
    group: Group
    source: str
    identification: IdentificationInfo

    def __post_init__(self) -> None:
        """Check the bounds as a lever does."""
        _ = self.lever

    @classmethod
    def of(
        cls, lever: Lever, column: str, reference_column: str, identification: IdentificationInfo
    ) -> "LeverInfo":
        """Return what the manifest keeps of ``lever``, its two feature columns and how well its effect is known."""
        own = plain(lever)
        return cls(column=column, reference_column=reference_column, identification=identification, **own)

    @property
    def lever(self) -> Lever:
        """The lever itself."""
        numbers = (self.low, self.high, self.resolution, self.max_daily_step, self.window)
        return Lever(self.name, self.unit, *numbers, self.group, self.source)


@dataclass(frozen=True)
class SupportInfo:
    """Below ``threshold`` of the support score in [0, 1] a row is not supported by data."""

    threshold: float

    def __post_init__(self) -> None:
        """Check that the threshold is a share."""
        _require(0.0 <= self.threshold <= 1.0, f"support threshold {self.threshold} is no share")


@dataclass(frozen=True)
class Manifest:
    """Everything that serving needs to know about ``model.onnx``.

    Attributes:
        protocol: of the stored format.
        name, version, created, code_revision: what it is called and where it came from.
        data, seed: what it was trained on, and the seed of every random draw.
        horizon_days: days over which an outcome is averaged while the levers are held.
        targets, unavailable, outcomes: what it is for, what the data could not carry, what the graph answers.
        features, recipe: the graph's input (d,) in order, and how it is made.
        levers, limits: what may be moved, in the order of the design matrix's moves, and joint limits over it.
        plant: the line's constants.
        support: from which score on a row is supported.
        opset: operator set versions by domain.
        files: file name -> SHA-256.

    Raises:
        ValueError: values that contradict each other; the message names them.
    """

    protocol: int
    name: str
    version: str
    created: str
    code_revision: str
    data: DataInfo
    seed: int
    horizon_days: int
    targets: tuple[TargetInfo, ...]
    unavailable: tuple[UnavailableInfo, ...]
    outcomes: tuple[OutcomeInfo, ...]
    features: tuple[FeatureInfo, ...]
    recipe: RecipeInfo
    levers: tuple[LeverInfo, ...]
    limits: tuple[JointLimit, ...]
    plant: Plant
    support: SupportInfo
    opset: Mapping[str, int]
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check names, references and hashes."""
        _require(self.protocol == PROTOCOL, f"protocol {self.protocol} is not {PROTOCOL}")
        for label, text in (("name", self.name), ("version", self.version)):
            _require(_NAME.fullmatch(text) is not None, f"{label} {text!r} must match {_NAME.pattern}")
        _require(
            datetime.fromisoformat(self.created).tzinfo is not None, f"created {self.created} has no zone"
        )
        _require(self.horizon_days >= 1, f"horizon is {self.horizon_days} days")
        self._check_names()
        for name, digest in self.files.items():
            _require(_HASH.fullmatch(digest) is not None, f"hash of {name} is {digest!r}, no SHA-256")
        if self.levers:
            _ = self.operating_window

    def _check_names(self) -> None:
        for label, names in (
            ("outcomes", [outcome.name for outcome in self.outcomes]),
            ("features", self.feature_names),
            ("levers", [lever.name for lever in self.levers]),
        ):
            _require(len(set(names)) == len(names), f"{label} {list(names)} hold a name twice")
        _require(bool(self.outcomes and self.features and self.targets), "no outcome, target or feature")
        outcomes = {outcome.name: outcome.unit for outcome in self.outcomes}
        for target in self.targets:
            _require(outcomes.get(target.name) == target.unit, f"target {target} is no outcome of this unit")
        columns = set(self.feature_names)
        for lever in self.levers:
            wanted = {lever.column, lever.reference_column}
            _require(wanted <= columns, f"lever {lever.name}: {sorted(wanted - columns)} are no features")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns (d,) of the graph's input, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def lever_columns(self) -> LeverColumns:
        """(column, reference column) of each lever as feature indices: what ``features.design`` takes."""
        at = {name: index for index, name in enumerate(self.feature_names)}
        return tuple((at[lever.column], at[lever.reference_column]) for lever in self.levers)

    @property
    def design_width(self) -> int:
        """Columns z of the design matrix: d features and k moves."""
        return len(self.features) + len(self.levers)

    @property
    def operating_window(self) -> OperatingWindow:
        """The levers with their bounds, steps and joint limits.

        Raises:
            SettingsError: the bundle has no lever.
        """
        return OperatingWindow(tuple(lever.lever for lever in self.levers), self.limits)

    def outcome(self, name: str) -> OutcomeInfo:
        """Return the outcome called ``name``; raises ``KeyError`` if the bundle has none."""
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise KeyError(f"bundle {self.name} has no outcome {name!r}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything but ``created``: the bundle's identity."""
        values = _plain(self)
        del values["created"]
        return sha256(canonical(values))

    def to_bytes(self) -> bytes:
        """Return ``manifest.json``: the canonical text with digest and seal."""
        values = {**_plain(self), "digest": self.digest}
        return canonical({**values, "seal": _seal(values)})


def manifest_from(values: Mapping[str, object]) -> Manifest:
    """Return the manifest that ``values`` (parsed ``manifest.json``) hold, its digest and seal compared.

    Raises:
        ValueError: seal or digest does not fit, or a field is missing, unknown or wrong.
    """
    rest = dict(values)
    seal, digest = rest.pop("seal", None), rest.get("digest")
    if seal != _seal(rest):
        raise ValueError("the seal does not fit the content")
    del rest["digest"]
    try:
        manifest = build(Manifest, rest)
    except InputError as error:
        raise ValueError(str(error)) from error
    if manifest.digest != digest:
        raise ValueError("the digest does not fit the content")
    return manifest


def _seal(values: Mapping[str, object]) -> str:
    return sha256(canonical(values))


def _plain(manifest: Manifest) -> dict[str, Any]:
    # Through ``build``, so that a float given as an integer is written as the float it is read back as.
    values: dict[str, Any] = plain(build(Manifest, plain(manifest)))
    return values
