"""What the advice routes take and answer, as models: checked on the way in, described in OpenAPI.

Unknown fields are refused, every number is finite, what is not known is null.
"""

import datetime
import re
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    model_validator,
)

from features.layout import TABLES
from serving.schemas import Estimate, Recommendation
from serving.schemas import Reason as ReasonTold

MOST_CELLS = 2000
Id = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
AdviceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Reason = Annotated[str, Field(max_length=2000)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite JSON number: neither true nor "0.1" stands for one."""


def _written_day(value: object) -> object:
    """Return ``value`` where it is a day as one writes it; pydantic alone would take seconds since 1970 for one."""
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    return value


Day = Annotated[
    datetime.date,
    BeforeValidator(_written_day),
    Field(ge=datetime.date(1950, 1, 1), le=datetime.date(2200, 12, 31)),
]
CellMode = Literal["off", "advise", "approved"]
Price = Annotated[Number, Field(ge=0.0, le=1e6)]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Stuck(_In):
    """An instrument that repeats itself: the signal, its value, and for how many days in a row."""

    signal: Literal["cell_voltage_v", "noise_mv", "bath_temperature_c"]
    value: Number
    days: Annotated[int, Field(strict=True, ge=1, le=10_000)]


class GivenContext(_In):
    """One cell on one decision day, its features made by the sender: by name, or as the bundle's whole row."""

    line_id: Id
    cell_id: Id
    date: Day
    features: dict[Id, Number | None] | None = None
    row: Annotated[list[Number | None], Field(max_length=10_000)] | None = None
    last_reported: Day
    hours_since_anode_change: Annotated[Number, Field(ge=0.0, le=1e6)] | None = None
    stuck: Annotated[list[Stuck], Field(max_length=10)] = []

    @model_validator(mode="after")
    def _one_of(self) -> "GivenContext":
        if (self.features is None) == (self.row is None):
            raise ValueError("give features by name, or row, and not both")
        if self.last_reported >= self.date:
            raise ValueError(
                "last_reported must lie before date: a decision rests on what was known before it"
            )
        return self


class LeverWindow(_In):
    """A lever on offer; what is given may only narrow the bundle's own."""

    name: Id
    low: Number | None = None
    high: Number | None = None
    max_daily_step: Number | None = None
    window: Number | None = None


class PriceList(_In):
    """Prices per unit, in the plant's currency; what is not given is the plant's."""

    electricity_per_kwh: Price | None = None
    anode_per_kg: Price | None = None
    alf3_per_kg: Price | None = None
    co2_per_t: Price | None = None


class AdviceRequest(_In):
    """Which cells are to be advised: of a line's record, or given with their contexts."""

    line_id: Id | None = None
    cells: Annotated[list[Id], Field(min_length=1, max_length=MOST_CELLS)] | None = None
    date: Day | None = None
    contexts: Annotated[list[GivenContext], Field(min_length=1, max_length=MOST_CELLS)] | None = None
    window: Annotated[list[LeverWindow], Field(min_length=1, max_length=20)] | None = None
    prices: PriceList | None = None
    model: ModelName | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "AdviceRequest":
        if (self.line_id is None) == (self.contexts is None):
            raise ValueError("give line_id (advice from the record) or contexts, and not both")
        if self.contexts is not None and (self.cells is not None or self.date is not None):
            raise ValueError("cells and date belong to line_id; contexts name their own")
        asked: list[object] = [(c.line_id, c.cell_id, c.date) for c in self.contexts or ()]
        asked += self.cells or []
        if len(set(asked)) != len(asked):
            raise ValueError("a cell is named twice")
        return self


class Refused(_Out):
    """A cell for which there is no answer, and why; the others have theirs."""

    line_id: str
    cell_id: str
    error: str
    error_zh: str
    code: str


class Advice(_Out):
    """The recommendations, in the order asked for, and the cells that could not be answered."""

    recommendations: list[Recommendation]
    refused: list[Refused] = []


class Summary(_Out):
    """What a round came to; the saving is the mean over the cells that are moved."""

    moved: int
    held: int
    abstained: int
    refused: int
    off: int
    energy_kwh_per_t: Estimate | None


class Progress(_Out):
    """One line of a stream: a recommendation or a refusal as it comes, and at the end the summary."""

    done: int
    total: int
    recommendation: Recommendation | None = None
    refused: Refused | None = None
    summary: Summary | None = None


class DecisionRequest(_In):
    """What a person makes of a recommendation; levers that modify does not name keep the recommended value."""

    action: Literal["accept", "modify", "reject"]
    levers: Annotated[dict[Id, Number], Field(min_length=1, max_length=20)] | None = None
    reason: Reason = ""

    @model_validator(mode="after")
    def _complete(self) -> "DecisionRequest":
        if (self.action == "modify") != bool(self.levers):
            raise ValueError("levers belong to modify, and modify needs them")
        if self.action == "reject" and not self.reason.strip():
            raise ValueError("reject needs a reason")
        return self


class DecisionTaken(_Out):
    """A decision with who took it and when; after modify, ``levers`` holds the value of every lever."""

    recommendation_id: str
    action: str
    levers: dict[str, FiniteFloat] | None
    reason: str
    subject: str
    decided_at: AwareDatetime


class Followed(_Out):
    """A recommendation with what became of it."""

    recommendation: Recommendation
    decision: DecisionTaken | None
    applied: dict[str, JsonValue] | None
    measured: dict[str, JsonValue] | None
    expired: bool
    superseded: bool
    replayable: bool


class Measured(_Out):
    """A signal's last known value and its day."""

    value: FiniteFloat
    unit: str
    date: datetime.date


class Cell(_Out):
    """One cell: where it stands, its mode, and the recommendation that stands for it."""

    line_id: str
    cell_id: str
    age_d: FiniteFloat | None
    last_reported: datetime.date | None
    mode: CellMode
    mode_levers: list[str]
    advice: Recommendation | None
    expired: bool
    decision: DecisionTaken | None
    measured: dict[str, Measured]


class Trend(_Out):
    """One signal over the days: as set (null where it has no setpoint) and as measured."""

    unit: str
    set: list[FiniteFloat | None] | None
    measured: list[FiniteFloat | None]


class Trends(_Out):
    """The last days of a cell."""

    dates: list[datetime.date]
    signals: dict[str, Trend]


class BeforeAfter(_Out):
    """A value before a move, and after it."""

    before: FiniteFloat | None
    after: FiniteFloat | None


class Precedent(_Out):
    """A day of the line that was alike, on which the same levers went the same way, and what followed."""

    cell_id: str
    date: datetime.date
    distance: FiniteFloat
    levers: dict[str, BeforeAfter]
    outcome: dict[str, BeforeAfter]


class Given(_Out):
    """A recommendation of the past, in short."""

    recommendation_id: str
    date: datetime.date
    status: Literal["move", "hold", "abstain"]
    decision: DecisionTaken | None


class CellCard(Cell):
    """A cell's card."""

    trends: Trends
    recommendations: list[Given]
    precedents: list[Precedent]


class LineInfo(_Out):
    """A line that the asker may see; ``date``: the day that would be decided on, ``now``: by the line's own clock."""

    line_id: str
    date: datetime.date | None
    now: AwareDatetime
    simulated: bool
    currency: str


class ModelInfo(_Out):
    """The model that advises."""

    name: str
    version: str
    bundle_digest: str
    ready: bool


class Cells(_Out):
    """The cells of a line, or of every line that the asker may see."""

    simulated: bool
    currency: str
    date: datetime.date | None
    model: ModelInfo | None
    state: Literal["off", "advise", "approved", "fault"]
    lines: list[LineInfo]
    cells: list[Cell]


class ModeRequest(_In):
    """A cell's mode (NAMUR NE 194); ``levers`` belong to approved."""

    line_id: Id
    mode: CellMode
    levers: Annotated[list[Id], Field(max_length=20)] = []
    reason: Annotated[str, Field(min_length=1, max_length=2000)]

    @model_validator(mode="after")
    def _complete(self) -> "ModeRequest":
        if (self.mode == "approved") != bool(self.levers):
            raise ValueError("levers belong to approved, and approved needs them")
        return self


class ModeSet(_Out):
    """A cell's mode with who set it and when."""

    line_id: str
    cell_id: str
    mode: CellMode
    levers: list[str]
    reason: str
    subject: str
    changed_at: AwareDatetime


class ExplainRequest(_In):
    """The recommendation that is to be explained."""

    recommendation_id: AdviceId


class Effect(_Out):
    """What a lever lowers an outcome by; bounds where the model answers its members."""

    mean: FiniteFloat
    lower: FiniteFloat | None
    upper: FiniteFloat | None


class LeverShare(_Out):
    """A moved lever's share of the change: Shapley over the levers that move, adding up to the whole."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str
    unit: str
    from_: Annotated[FiniteFloat, Field(alias="from")]
    to: FiniteFloat
    effect: Effect


class Apart(_Out):
    """A feature that sets the cell apart: its value, the line's median, and by how much it raises the outcome."""

    feature: str
    unit: str
    value: FiniteFloat
    typical: FiniteFloat
    effect: FiniteFloat


class OutcomeWhy(_Out):
    """One outcome: the levers' shares and the features that set the cell apart, the strongest first."""

    unit: str
    levers: list[LeverShare]
    context: list[Apart]


class Stop(_Out):
    """A setting that breaks a limit, and which."""

    value: FiniteFloat
    constraint: str


class EnergyCurve(_Out):
    """Energy over a lever's settings."""

    mean: list[FiniteFloat]
    lower: list[FiniteFloat]
    upper: list[FiniteFloat]


class Curve(_Out):
    """A lever's settings with the others as recommended: the energy at each, and where a limit stands."""

    unit: str
    values: list[FiniteFloat]
    energy_kwh_per_t: EnergyCurve | dict[str, list[FiniteFloat]]
    limit: list[Stop]


class Explanation(_Out):
    """Why a recommendation says what it says; empty for one that abstains."""

    outcomes: dict[str, OutcomeWhy]
    curves: dict[str, Curve]
    precedents: list[Precedent]


class AllocationRequest(_In):
    """What a shift can do on a line; what is not given does not limit.

    ``moves_a_day``: setpoint changes on any one day. ``alf3_kg_d``: rise of the line's AlF3 a day, all cells together.
    ``line_voltage_v``: change of the line's voltage either way. ``caution``: how many standard deviations of the error
    that all cells share are taken off the joint gain.
    """

    line_id: Id
    moves_a_day: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] | None = None
    alf3_kg_d: Annotated[Number, Field(ge=0.0, le=1e6)] | None = None
    line_voltage_v: Annotated[Number, Field(ge=0.0, le=1e6)] | None = None
    caution: Annotated[Number, Field(ge=0.0, le=10.0)] = 1.0


class Gain(_Out):
    """What moves gain: its mean, and the standard deviation of the error that all cells share."""

    mean: FiniteFloat
    deviation: FiniteFloat


class LeverChange(_Out):
    """By how much a lever is moved, all its days together."""

    name: str
    unit: str
    change: FiniteFloat


class _Open(_Out):
    recommendation_id: str
    cell_id: str
    gain: Gain
    moves: list[LeverChange]
    changes: list[int]


class Chosen(_Open):
    """A move to carry out first; ``changes``: setpoints that change on each day of its path."""

    lost_without: FiniteFloat


class LeftOut(_Open):
    """A move that waits, why, and the budgets that it would break."""

    budgets: list[str]
    reasons: list[ReasonTold]


class BudgetUse(_Out):
    """A budget, what the chosen moves use of it, and whether it keeps any move out."""

    name: Literal["moves_a_day", "alf3_kg_d", "line_voltage_v"]
    unit: str
    limit: FiniteFloat
    used: FiniteFloat
    binding: bool


class Allocation(_Out):
    """Which of a line's open moves come first, in the order in which to do them; gains in ``unit``, currency a day.

    No choice within the budgets gains more, less its risk, than ``gap`` (a share) beyond this one; 0 = proved best.
    """

    line_id: str
    unit: str
    gain: Gain
    gap: FiniteFloat
    budgets: list[BudgetUse]
    chosen: list[Chosen]
    left_out: list[LeftOut]


class QualityRequest(_In):
    """The line whose record is to be judged."""

    line_id: Id


class SignalQuality(_Out):
    """One signal over the last four weeks."""

    name: str
    unit: str
    cells_reporting: int
    missing_share: FiniteFloat
    stale_cells: int
    stuck_cells: int
    out_of_range: int


class Finding(_Out):
    """One thing to know about a cell's record, in both languages."""

    code: str
    text: str
    text_zh: str


class CellQuality(_Out):
    """A cell's record."""

    cell_id: str
    last_reported: datetime.date | None
    findings: list[Finding]


class FeatureDrift(_Out):
    """A feature's population stability index over the last four weeks, and the most that is usual; null = cannot be said.

    It is held against the line's own days of the time that the model learnt from; usual is the most that any four weeks
    of those show against the others, and 0.25 at least.
    """

    feature: str
    psi: FiniteFloat | None
    usual: FiniteFloat | None
    drifted: bool


class ModelError(_Out):
    """How wrong the model has been on an outcome lately."""

    outcome: str
    recent_mae: FiniteFloat | None
    training_mae: FiniteFloat | None
    ratio: FiniteFloat | None
    days: int
    state: Literal["sound", "widened", "withheld"]


class Quality(_Out):
    """What a line's record is worth today."""

    signals: list[SignalQuality]
    cells: list[CellQuality]
    drift: list[FeatureDrift]
    model_error: list[ModelError]


class PricesIn(_In):
    """A plant's prices; what is not given is assumed."""

    currency: Annotated[str, Field(min_length=1, max_length=8)] = "CNY"
    electricity_per_kwh: Price | None = None
    anode_per_kg: Price | None = None
    alf3_per_kg: Price | None = None
    co2_per_t: Price | None = None
    rectifier_efficiency: FiniteFloat | None = None
    anode_sulphur: FiniteFloat | None = None
    anode_ash: FiniteFloat | None = None


class PlantIn(_In):
    """The plant of a line, the fields of ``plant.toml``."""

    name: Id
    timezone: Id
    line_current_ka: FiniteFloat
    anodes_per_cell: int
    metal_pad_area_m2: FiniteFloat
    simulated: bool
    currency: str = "CNY"
    prices: PricesIn | None = None


_Rows = Annotated[
    list[dict[str, str | FiniteFloat | None]],
    Field(description="rows of canonical columns, units as in the names"),
]


class HistoryPost(_In):
    """Canonical rows of one or more lines; a row with a key that is there replaces it."""

    plant: PlantIn | None = None
    line_id: Id | None = None
    cell_days: _Rows | None = None
    taps: _Rows | None = None
    bath_samples: _Rows | None = None
    anode_changes: _Rows | None = None
    lots: _Rows | None = None
    meters: _Rows | None = None


class SetAside(_Out):
    """Why a row did not enter: its table and place in the posted array (from 0), the column and its value."""

    table: str
    row: int
    column: str
    value: str
    code: str
    reason: str
    reason_zh: str


class HistoryTaken(_Out):
    """What became of a post."""

    lines: list[str]
    accepted: dict[str, int]
    replaced: dict[str, int]
    set_aside: dict[str, int]
    quarantined: list[SetAside]
    cells: int
    first: datetime.date | None
    last: datetime.date | None


if set(HistoryPost.model_fields) - {"plant", "line_id"} != set(TABLES):
    raise TypeError("HistoryPost names other tables than the layout")
