"""What a recommendation is, to the letter: the one schema of files, service and command line.

Every number is finite; what is not known is null. Unknown fields are refused, so that a reader and a writer of
different versions notice each other.
"""

import hashlib
import json
from datetime import date, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Status = Literal["move", "hold", "abstain"]
STATUS_ZH: Final[dict[str, str]] = {"move": "调整", "hold": "保持", "abstain": "不建议"}
Evidence = dict[str, FiniteFloat | str | None]
_ID_LENGTH = 32


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(_Frozen):
    """Why: a stable code, a sentence in both languages, and the numbers behind it."""

    code: str
    text: str
    text_zh: str
    evidence: Evidence = Field(default_factory=dict)


class LeverAdvice(_Frozen):
    """One lever: where it stands, where it should go, and how.

    ``lower`` and ``upper`` are the ends of what this recommendation could have chosen, ``step`` is the largest move
    in one day, ``path`` the setting on each day from the decision's own (empty where nothing moves).
    """

    name: str
    unit: str
    current: FiniteFloat
    recommended: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    step: FiniteFloat
    path: tuple[FiniteFloat, ...] = ()

    @model_validator(mode="after")
    def _inside(self) -> Self:
        slack = 1e-9 * max(1.0, abs(self.recommended))
        if not self.lower - slack <= self.recommended <= self.upper + slack:
            raise ValueError(
                f"lever {self.name}: recommended {self.recommended} lies outside {self.lower}..{self.upper}"
            )
        return self


class Expected(_Frozen):
    """One outcome over the horizon: with today's setting, and with the recommended one, which has the interval."""

    unit: str
    current: FiniteFloat
    recommended: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat


class Estimate(_Frozen):
    """A saving with its confidence bounds; positive saves."""

    mean: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat


class Saving(_Frozen):
    """What the move saves a tonne. ``net_anode_kg_per_t`` is null where the data carry no anode target.

    The bounds of the first three are those of the expected saving. ``cost_in_one_horizon`` is what this cell alone will
    show over one horizon: around the same mean, with the outcomes' own intervals, the week's chance among them.
    """

    energy_kwh_per_t: Estimate
    net_anode_kg_per_t: Estimate | None
    cost_per_t: Estimate
    currency: str
    cost_in_one_horizon: Estimate | None = None


class SupportScore(_Frozen):
    """How well data support the advice: the lowest score of what was looked at, and the threshold."""

    score: Annotated[float, Field(ge=0.0, le=1.0)]
    threshold: Annotated[float, Field(ge=0.0, le=1.0)]


class Recommendation(_Frozen):
    """One cell, one day. Build it with :meth:`sealed`, which names it by its content."""

    recommendation_id: str
    line_id: str
    cell_id: str
    date: date
    expires_at: AwareDatetime
    model_name: str
    model_version: str
    bundle_digest: str
    status: Status
    levers: tuple[LeverAdvice, ...]
    expected: dict[str, Expected]
    saving: Saving | None
    support: SupportScore | None
    binding: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        moved = [lever.name for lever in self.levers if lever.recommended != lever.current]
        if bool(moved) != (self.status == "move"):
            raise ValueError(f"cell {self.cell_id}: status {self.status} with levers {moved} moved")
        if self.status != "move" and not self.reasons:
            raise ValueError(f"cell {self.cell_id}: {self.status} without a reason; say why")
        return self

    @classmethod
    def sealed(cls, **fields: object) -> "Recommendation":
        """Return the recommendation with ``fields``, its id the hash of all of them."""
        draft = cls.model_validate({"recommendation_id": "", **fields})
        return draft.model_copy(update={"recommendation_id": draft.content_hash()})

    def content_hash(self) -> str:
        """Return the hash of everything but the id: equal content has one id, whoever computed it."""
        content = self.model_dump(mode="json", exclude={"recommendation_id"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]

    def expired(self, now: datetime) -> bool:
        """Say whether ``now`` (with a zone) is past its expiry."""
        return now >= self.expires_at
