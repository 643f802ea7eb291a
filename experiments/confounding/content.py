"""What the confounding report holds, and how it is written down: ``confounding.json``, its own small protocol."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from experiments.confounding.model_slopes import ModelSlope
from experiments.confounding.switchback import TestPlan
from training.identification.assess import LeverAssessment
from training.identification.verdict import OutcomeFinding

PROTOCOL: Final = 1


@dataclass(frozen=True)
class Source:
    """What was looked at, and with what.

    plant, data_sha256, first_day, last_day, cells, decisions, simulated: the record (decisions of mature cells);
    horizon_d: days over which an outcome is averaged; seed; bundle: digest, None = none was given; versions.
    """

    plant: str
    data_sha256: str
    first_day: str
    last_day: str
    cells: int
    decisions: int
    simulated: bool
    horizon_d: int
    currency: str
    seed: int
    bundle: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class LeverPage:
    """One lever: what the record says, what the model says (None without a bundle), and the test that would settle it."""

    assessment: LeverAssessment
    model: Mapping[str, ModelSlope] | None
    plan: TestPlan | None
    plan_missing: str | None


@dataclass(frozen=True)
class ConfoundingReport:
    """The whole report: ``refused`` are levers that the record cannot offer, with why; ``unavailable`` outcomes."""

    source: Source
    levers: Sequence[LeverPage]
    refused: Mapping[str, str]
    unavailable: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; what is no number becomes null."""
        plain = {
            "protocol": PROTOCOL,
            "source": asdict(self.source),
            "levers": [_lever(page) for page in self.levers],
            "refused": dict(self.refused),
            "unavailable": dict(self.unavailable),
        }
        return dict(_finite(plain))

    def write(self, path: Path) -> None:
        """Write :meth:`to_json`."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


def agreement(entry: OutcomeFinding) -> str:
    """Return how the record's slope stands to physics: agrees, contradicts, silent (physics) or unsure (record)."""
    if entry.slope is None:
        return "unsure"
    if entry.expected is None or entry.expected.mean == 0:
        return "silent"
    low, high = entry.slope.interval()
    if low <= 0 <= high:
        return "unsure"
    return "agrees" if entry.slope.value * entry.expected.mean > 0 else "contradicts"


def _lever(page: LeverPage) -> dict[str, Any]:
    told = page.assessment
    return {
        "lever": told.lever,
        "unit": told.unit,
        "grade": told.finding.grade,
        "code": told.finding.code,
        "text": told.finding.text,
        "text_zh": told.finding.text_zh,
        "own_moves": asdict(told.moves),
        "outcomes": [_outcome(entry, page) for entry in told.outcomes],
        "plan": None if page.plan is None else {**asdict(page.plan), "days": page.plan.days},
        "plan_missing": page.plan_missing,
    }


def _outcome(entry: OutcomeFinding, page: LeverPage) -> dict[str, Any]:
    slope, model = entry.slope, None if page.model is None else page.model.get(entry.outcome)
    low, high = slope.interval() if slope else (None, None)
    return {
        "outcome": entry.outcome,
        "grade": entry.finding.grade,
        "code": entry.finding.code,
        "text": entry.finding.text,
        "text_zh": entry.finding.text_zh,
        "slope": None if slope is None else slope.value,
        "low": low,
        "high": high,
        "p_value": None if slope is None else slope.p_value,
        "detectable": None if slope is None else slope.detectable,
        "robustness": None if slope is None else slope.robustness,
        "rows": 0 if slope is None else slope.rows,
        "expected": None if entry.expected is None else asdict(entry.expected),
        "physics": agreement(entry),
        "model": None if model is None else asdict(model),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
