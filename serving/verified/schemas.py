"""What ``GET /v1/savings`` answers. Every number is finite; what is not known is null, and a note says why."""

from pydantic import BaseModel, ConfigDict

from serving.schemas import Estimate


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Note(_Frozen):
    """Why something is null: a stable code and a sentence in both languages."""

    code: str
    text: str
    text_zh: str


class PerTonne(_Frozen):
    """A saving a tonne; positive saves."""

    energy_kwh_per_t: Estimate
    net_anode_kg_per_t: Estimate | None
    cost_per_t: Estimate


class VerifiedSaving(_Frozen):
    """What was promised and what was really saved over some cell-days.

    Attributes:
        cell_days: counted days of moved cells.
        promised: what the recommendations named, weighed by metal; null where a person chose another setting.
        realised: by difference in differences, with its interval; null where it cannot be told, the note says why.
        energy_kwh, anode_kg, money, t_co2: the realised saving over all compared cell-days.
        controls: unmoved cells that the moved ones were compared with.
        note: the weightiest thing to know.
    """

    cell_days: int
    promised: PerTonne | None
    realised: PerTonne | None
    energy_kwh: Estimate | None
    anode_kg: Estimate | None
    money: Estimate | None
    t_co2: Estimate | None
    controls: int
    note: Note | None


class WeekSaving(VerifiedSaving):
    """One ISO week of the line, by the plant's calendar."""

    week: str


class CellSaving(VerifiedSaving):
    """One cell: what it was given, what was accepted, and what came of it."""

    cell_id: str
    recommendations: int
    accepted: int


class Method(_Frozen):
    """How it was measured, in words and numbers."""

    name: str
    text: str
    text_zh: str
    confidence: float
    baseline_days: int
    settling_days: int
    horizon_days: int
    matched_on: tuple[str, ...]
    grid_factor: str | None
    waiting: int
    """Accepted recommendations whose outcome is not in the record yet."""


class Savings(_Frozen):
    """Verified savings of one line."""

    line_id: str
    simulated: bool
    currency: str
    method: Method
    line: VerifiedSaving
    weeks: tuple[WeekSaving, ...]
    cells: tuple[CellSaving, ...]
