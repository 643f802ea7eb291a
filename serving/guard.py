"""What stands between a prediction and advice: whether to speak at all, and whether a move may be given.

``screen`` looks at the context before any search, ``standing`` at the predictions for today's setting, ``verify`` at
the found move. ``verify`` works from the full graph's outputs and the window alone: it knows nothing of the search.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.bundle import SUPPORT, LeverInfo, Manifest
from features.electrolysis.anode import electrolytic_carbon
from features.errors import SettingsError
from features.outcomes import OUTCOMES
from features.setpoints import OperatingWindow
from features.signals import SIGNALS
from features.stages import Stage
from serving.context import Context, Erring
from serving.limits import DEFAULT_LIMITS, FLOORS, Limit, check_limits
from serving.reasons import reason
from serving.schemas import Reason

Floats = NDArray[np.float64]
Outputs = Mapping[str, Floats]

CARBON_SIDE = "net_anode_kg_per_t.above_electrolysis"
_SLACK = 1e-7


@dataclass(frozen=True)
class GuardSettings:
    """What must hold before a cell is moved.

    Attributes:
        limits: windows of predicted outcomes. required: outcomes without whose prediction nothing is moved.
        support: least support score; None = the bundle's own threshold.
        max_report_age_d: days between the last report and the decision, at most.
        young_cell_d: cells below this age are left to start-up practice (domain: 90 to 120 d).
        settle_anode_effect_d: days after an anode effect without advice.
        settle_anode_change_h: hours after an anode change without advice. A line of 48 anodes changes one or two a
            day and cell, and the model sees daily means and a week's horizon, so the default is off; 24 is the rule
            for judging spot measurements.
        stuck_d: days of one same value from which an instrument counts as stuck.
        identified_only: levers whose effect the record does not tell from its operators' reasons stay where they are.
        carbon_above_electrolysis_kg_per_t: net carbon cannot come closer to Faraday's than this.
    """

    limits: tuple[Limit, ...] = DEFAULT_LIMITS
    required: tuple[str, ...] = ("mean_bath_temperature_c",)
    support: float | None = None
    max_report_age_d: int = 2
    young_cell_d: float = 120.0
    settle_anode_effect_d: float = 1.0
    settle_anode_change_h: float = 0.0
    stuck_d: int = 5
    carbon_above_electrolysis_kg_per_t: float = 20.0
    identified_only: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingsError: a number is out of range, or a limit is given twice.
        """
        check_limits(self.limits)
        if self.support is not None and not 0.0 <= self.support <= 1.0:
            raise SettingsError(f"guard setting support is {self.support}; give a share from 0 to 1")
        least = {"max_report_age_d": 1, "stuck_d": 2}
        for name in (
            "max_report_age_d",
            "young_cell_d",
            "settle_anode_effect_d",
            "settle_anode_change_h",
            "stuck_d",
            "carbon_above_electrolysis_kg_per_t",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least.get(name, 0)):
                raise SettingsError(
                    f"guard setting {name} is {value}; give a number of at least {least.get(name, 0)}"
                )

    @property
    def every_limit(self) -> tuple[Limit, ...]:
        """The plant's windows and the physical floors."""
        return (*self.limits, *FLOORS)


@dataclass(frozen=True)
class Break:
    """A limit that a move breaks, and by how much, in the limit's unit."""

    constraint: str
    excess: float


def screen(context: Context, manifest: Manifest, settings: GuardSettings) -> list[Reason]:
    """Return why nothing can be said of this cell today, the weightiest first; empty where something can."""
    found = [*_stale(context, settings)]
    if context.row is None:
        return found or [reason("no_data")]
    found += _features(context.row, manifest)
    found += _unsettled(context, manifest, settings)
    stuck = [item for item in context.stuck if item.days >= settings.stuck_d]
    found += [
        reason(
            "frozen",
            {"signal": SIGNALS[item.signal].meaning, "value": item.value, "days": item.days},
            signal=SIGNALS[item.signal].meaning_zh,
        )
        for item in stuck
    ]
    return [*found, *_erring(context)]


def standing(outputs: Outputs, manifest: Manifest, settings: GuardSettings) -> list[Reason]:
    """Return why the predictions for today's setting (row 0 of ``outputs``) cannot carry advice."""
    known = {outcome.name for outcome in manifest.outcomes}
    found = [_about("no_helper", name) for name in settings.required if name not in known]
    for outcome in manifest.outcomes:
        value = float(outputs[outcome.name][0])
        if not math.isfinite(value):
            found.append(_about("not_a_number", outcome.name))
        elif edge := _beyond(outcome.name, value):
            unit = OUTCOMES[outcome.name].unit
            found.append(_about("implausible", outcome.name, predicted=value, unit=unit, edge=edge))
    if (near := _carbon_excess(outputs, settings)) is not None and near[0] > 0:
        carbon = float(outputs["net_anode_kg_per_t"][0])
        found.append(
            _about(
                "implausible",
                "net_anode_kg_per_t",
                predicted=carbon,
                unit="kg/t",
                edge=carbon + float(near[0]),
            )
        )
    score, threshold = float(outputs[SUPPORT][0]), support_threshold(manifest, settings)
    if math.isnan(score):
        found.append(reason("not_a_number", {"outcome": "data support"}, outcome="数据支持度"))
    elif score < threshold:
        found.append(reason("unsupported", {"score": score, "threshold": threshold}))
    return found


def outside(outputs: Outputs, limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """Return the windows that the predictions for today's setting (row 0 of ``outputs``) lie outside of."""
    return tuple(
        limit
        for limit in limits
        if limit.outcome in outputs and not limit.low <= float(outputs[limit.outcome][0]) <= limit.high
    )


def support_threshold(manifest: Manifest, settings: GuardSettings) -> float:
    """Return the least support score that advice needs."""
    return manifest.support.threshold if settings.support is None else settings.support


def pinned(manifest: Manifest, settings: GuardSettings) -> tuple[LeverInfo, ...]:
    """Return the levers that must stay where they are, because the record does not tell what they do."""
    if not settings.identified_only:
        return ()
    return tuple(lever for lever in manifest.levers if lever.identification.grade == "not_identified")


def pin_reasons(levers: Iterable[LeverInfo]) -> Iterator[Reason]:
    """Yield why each of ``levers`` stays where it is."""
    for lever in levers:
        meant = SIGNALS[lever.name]
        evidence = {
            "lever": meant.meaning,
            "why": lever.identification.text,
            "code": lever.identification.code,
        }
        yield reason("not_identified", evidence, lever=meant.meaning_zh, why=lever.identification.text_zh)


def still(
    pins: Iterable[LeverInfo], window: OperatingWindow, stages: Sequence[Stage], current: Floats
) -> list[Break]:
    """Return the pinned levers that ``stages`` move after all."""
    found = []
    for lever in pins:
        if lever.name in window.names:
            at = window.index(lever.name)
            moved = max((abs(stage.levers[at] - float(current[at])) for stage in stages), default=0.0)
            if moved > 1e-6 * lever.resolution:
                found.append(Break(f"{lever.name}.not_identified", moved))
    return found


def verify(
    window: OperatingWindow,
    stages: Sequence[Stage],
    outputs: Outputs,
    settings: GuardSettings,
    threshold: float,
    current: Floats,
) -> list[Break]:
    """Return what the way from ``current`` (k,) over ``stages`` breaks, from the full graph's ``outputs``.

    Row 0 of ``outputs`` is today's setting, row i the setting of stage i - 1; the last one is the target. Every day
    is judged, not only the last.
    """
    return [*_known_breaks(window, stages, current), *_predicted_breaks(outputs, settings, threshold)]


def _known_breaks(window: OperatingWindow, stages: Sequence[Stage], current: Floats) -> Iterator[Break]:
    before = np.asarray(current, dtype=np.float64)
    if stages and not window.feasible(before, np.array(stages[-1].levers))[0]:
        yield Break("window", 1.0)
    A, b = window.matrix(current)
    for stage in stages:
        now = np.array(stage.levers)
        groups = set()
        for i, lever in enumerate(window.levers):
            move = abs(now[i] - before[i])
            slack = 1e-6 * lever.resolution
            if move > lever.max_daily_step + slack:
                yield Break(f"{lever.name}.max_daily_step", move - lever.max_daily_step)
            outside = max(lever.low - now[i], now[i] - lever.high)
            if outside > slack and outside > max(lever.low - current[i], current[i] - lever.high) + slack:
                yield Break(f"{lever.name}.bounds", outside)
            if move > slack:
                groups.add(lever.group)
        if len(groups) > 1:
            yield Break("one_group_a_day", len(groups) - 1.0)
        over = A @ now - b
        for limit, excess in zip(window.limits, over.tolist(), strict=True):
            if excess > 1e-6 * max(1.0, abs(limit.bound)):
                yield Break(limit.name, excess)
        before = now


def _predicted_breaks(outputs: Outputs, settings: GuardSettings, threshold: float) -> Iterator[Break]:
    for limit in settings.every_limit:
        if limit.outcome in outputs:
            excess = limit.excess(outputs)
            worst = (excess[1:] - excess[:1]).max(axis=0, initial=0.0)
            for side, value in zip(limit.sides, worst.tolist(), strict=True):
                # Row 0 may be outside already; what counts is that no day is further out.
                if not value <= _SLACK:
                    yield Break(side.name, value)
    lacking = threshold - outputs[SUPPORT]
    if not lacking.max() <= _SLACK:
        yield Break(f"{SUPPORT}.low", float(lacking.max()))
    near = _carbon_excess(outputs, settings)
    if near is not None and not near.max() <= _SLACK:
        yield Break(CARBON_SIDE, float(near.max()))


def _carbon_excess(outputs: Outputs, settings: GuardSettings) -> Floats | None:
    """Return how far (n,) predicted net carbon falls short of Faraday's plus the margin; None without both."""
    if not {"net_anode_kg_per_t", "current_efficiency"} <= set(outputs):
        return None
    efficiency = np.clip(outputs["current_efficiency"], 0.5, 1.0)
    least = electrolytic_carbon(efficiency) + settings.carbon_above_electrolysis_kg_per_t
    return np.asarray(least - outputs["net_anode_kg_per_t"])


def _beyond(name: str, value: float) -> float | None:
    """Return the edge that a prediction for today's setting lies beyond: a label's range, or a physical floor."""
    floors = [limit.low for limit in FLOORS if limit.outcome == name]
    low, high = max([OUTCOMES[name].low, *floors]), OUTCOMES[name].high
    if low <= value <= high:
        return None
    return low if value < low else high


PRACTICE: Mapping[str, float] = {"energy_kwh_per_t": 11900.0, "net_anode_kg_per_t": 385.0}
"""Predictions below are flagged: beyond what whole lines have shown."""


def _stale(context: Context, settings: GuardSettings) -> Iterator[Reason]:
    if context.last_reported is None:
        return
    age = (context.date - context.last_reported).days
    if age > settings.max_report_age_d:
        yield reason("stale", {"age_d": age, "limit_d": settings.max_report_age_d})


def _erring(context: Context) -> Iterator[Reason]:
    for entry in context.errors.withheld if context.errors is not None else ():
        yield error_reason("model_error", entry)


def error_reason(code: str, entry: Erring) -> Reason:
    """Return the reason ``code`` about an outcome on which the model has lately been wrong."""
    told = {"days": entry.days, "missed": entry.missed, "nominal": entry.nominal, "factor": entry.factor}
    return _about(code, entry.outcome, **told)


def _features(row: NDArray[np.float32], manifest: Manifest) -> Iterator[Reason]:
    set_today = {lever.column for lever in manifest.levers}
    for feature, value in zip(manifest.features, row.tolist(), strict=True):
        if feature.name in set_today:
            continue  # ours to choose, inside the window
        if math.isnan(value):
            if not feature.may_be_missing:
                yield reason("missing", {"feature": feature.name})
        elif not feature.low <= value <= feature.high:
            told = value if math.isfinite(value) else math.copysign(1e308, value)
            edges: dict[str, float | str | None] = {"low": feature.low, "high": feature.high}
            edges |= {"feature": feature.name, "value": told, "unit": feature.unit}
            yield reason("out_of_range", edges)


def _unsettled(context: Context, manifest: Manifest, settings: GuardSettings) -> Iterator[Reason]:
    age = feature_value(context, manifest, "cell_age_d_last")
    if age is not None and age < settings.young_cell_d:
        yield reason("young", {"age_d": age, "limit_d": settings.young_cell_d})
    since = feature_value(context, manifest, "anode_effect_days_since")
    if since is not None and since <= settings.settle_anode_effect_d:
        yield reason("anode_effect", {"since_d": since, "limit_d": settings.settle_anode_effect_d})
    hours = context.hours_since_anode_change
    if hours is not None and hours < settings.settle_anode_change_h:
        yield reason("anode_change", {"since_h": hours, "limit_h": settings.settle_anode_change_h})


def feature_value(context: Context, manifest: Manifest, name: str) -> float | None:
    """Return the context's value of feature ``name``; None where it is missing or the bundle has none."""
    if context.row is None or name not in manifest.feature_names:
        return None
    value = float(context.row[manifest.feature_names.index(name)])
    return value if math.isfinite(value) else None


def _about(code: str, name: str, **evidence: float | str) -> Reason:
    meant = OUTCOMES[name]
    return reason(code, {"outcome": meant.meaning, **evidence}, outcome=meant.meaning_zh)
