"""Writing a judgement down as a recommendation: numbers, intervals, reasons."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, SUPPORT, UPPER, LeverInfo, Manifest
from features.outcomes import OUTCOMES
from features.setpoints import OperatingWindow
from features.signals import SIGNALS
from features.stages import Stage
from serving.context import Context
from serving.guard import PRACTICE, error_reason, outside, pin_reasons
from serving.limits import Limit
from serving.reasons import reason
from serving.savings import Pricing, cost_saving, in_one_horizon, saving
from serving.schemas import (
    Estimate,
    Expected,
    LeverAdvice,
    Reason,
    Recommendation,
    Saving,
    Status,
    SupportScore,
)

Floats = NDArray[np.float64]
Outputs = Mapping[str, Floats]

_ENERGY, _ANODE = "energy_kwh_per_t", "net_anode_kg_per_t"
_NOTHING = Estimate(mean=0.0, lower=0.0, upper=0.0)
_DIGITS = 9
"""Significant digits of a written number: the last bits differ between machines, the advice does not."""


@dataclass(frozen=True)
class Judged:
    """What became of a search: the setting (k,), its days, and why it is held (None = it may be given).

    Row 0 of ``outputs`` is today's setting, row i the setting of stage i - 1, the last one the target.
    """

    target: Floats
    stages: tuple[Stage, ...]
    outputs: Outputs
    pricing: Pricing | None
    binding: tuple[str, ...]
    held: Reason | None
    cautious: bool = False


@dataclass(frozen=True)
class Author:
    """Who writes recommendations: the bundle, the window, and the rules that are the same for every cell."""

    manifest: Manifest
    digest: str
    window: OperatingWindow
    limits: tuple[Limit, ...]
    threshold: float
    currency: str
    confidence: float
    valid_days: int
    pins: tuple[LeverInfo, ...] = ()
    """Levers that stay where they are, because what they do is not known."""

    def abstain(
        self, context: Context, reasons: Sequence[Reason], outputs: Outputs | None = None
    ) -> Recommendation:
        """Say nothing about the setpoints, and why."""
        support = None if outputs is None else self._support(outputs)
        return self._seal(context, "abstain", support=support, reasons=tuple(reasons))

    def hold(self, context: Context, current: Floats, today: Outputs, *why: Reason) -> Recommendation:
        """Leave every lever where it is, and say why: ``why``, what stands outside its window, and every pinned lever."""
        return self._seal(
            context,
            "hold",
            levers=self._levers(current, current, ()),
            expected=self._expected(today),
            saving=self._no_saving(),
            support=self._support(today),
            reasons=(*why, *self._outside(today), *_widened(context), *pin_reasons(self.pins)),
        )

    def move(self, context: Context, current: Floats, judged: Judged) -> Recommendation:
        """Give the move with what it does, what it saves and what stops it."""
        saved = self._saving(judged)
        levers = self._levers(current, judged.target, judged.stages)
        return self._seal(
            context,
            "move",
            levers=levers,
            expected=self._expected(judged.outputs),
            saving=saved,
            support=self._support(judged.outputs),
            binding=judged.binding,
            reasons=(*self._reasons(judged, saved, levers), *_widened(context)),
        )

    def _seal(self, context: Context, status: Status, **fields: object) -> Recommendation:
        end = context.date + timedelta(days=self.valid_days)
        expires = datetime.combine(end, time(), ZoneInfo(self.manifest.plant.timezone)).astimezone(UTC)
        content: dict[str, object] = {
            "levers": (),
            "expected": {},
            "saving": None,
            "support": None,
            "binding": (),
            "reasons": (),
        }
        return Recommendation.sealed(
            line_id=context.line_id,
            cell_id=context.cell_id,
            date=context.date,
            expires_at=expires,
            model_name=self.manifest.name,
            model_version=self.manifest.version,
            bundle_digest=self.digest,
            status=status,
            **(content | fields),
        )

    def _levers(self, current: Floats, target: Floats, stages: Sequence[Stage]) -> tuple[LeverAdvice, ...]:
        low, high = self.window.bounds(current)
        for pin in self.pins:
            at = self.window.index(pin.name)
            low[at] = high[at] = current[at]
        return tuple(
            LeverAdvice(
                name=lever.name,
                unit=lever.unit,
                current=float(current[i]),
                recommended=float(target[i]),
                lower=float(low[i]),
                upper=float(high[i]),
                step=lever.max_daily_step,
                path=tuple(stage.levers[i] for stage in stages),
            )
            for i, lever in enumerate(self.window.levers)
        )

    def _expected(self, outputs: Outputs) -> dict[str, Expected]:
        return {
            outcome.name: Expected(
                unit=outcome.unit,
                current=_rounded(outputs[outcome.name][0]),
                recommended=_rounded(outputs[outcome.name][-1]),
                lower=_rounded(outputs[outcome.name + LOWER][-1]),
                upper=_rounded(outputs[outcome.name + UPPER][-1]),
            )
            for outcome in self.manifest.outcomes
        }

    def _support(self, outputs: Outputs) -> SupportScore | None:
        lowest = float(np.min(outputs[SUPPORT]))
        if not math.isfinite(lowest):
            return None
        return SupportScore(score=min(max(_rounded(lowest), 0.0), 1.0), threshold=self.threshold)

    def _no_saving(self) -> Saving:
        anode = _NOTHING if self._predicts(_ANODE) else None
        return Saving(
            energy_kwh_per_t=_NOTHING, net_anode_kg_per_t=anode, cost_per_t=_NOTHING, currency=self.currency
        )

    def _saving(self, judged: Judged) -> Saving:
        pricing = judged.pricing or Pricing({})
        energy = saving(judged.outputs, _ENERGY, self.confidence) if self._predicts(_ENERGY) else None
        anode = saving(judged.outputs, _ANODE, self.confidence) if self._predicts(_ANODE) else None
        cost = cost_saving(judged.outputs, pricing, self.confidence)
        return Saving(
            energy_kwh_per_t=_written(energy) or _NOTHING,
            net_anode_kg_per_t=_written(anode),
            cost_per_t=_written(cost) or _NOTHING,
            currency=self.currency,
            cost_in_one_horizon=None
            if cost is None
            else _written(in_one_horizon(cost, judged.outputs, pricing)),
        )

    def _predicts(self, name: str) -> bool:
        return any(outcome.name == name for outcome in self.manifest.outcomes)

    def _weak(self, levers: Sequence[LeverAdvice]) -> Iterator[Reason]:
        """Say of every moved lever whose effect the record hardly shows that it is so."""
        told = {lever.name: lever.identification for lever in self.manifest.levers}
        for lever in levers:
            known = told[lever.name]
            if lever.recommended != lever.current and known.grade == "weak":
                meant = SIGNALS[lever.name]
                evidence = {"lever": meant.meaning, "why": known.text, "code": known.code}
                yield reason("weakly_identified", evidence, lever=meant.meaning_zh, why=known.text_zh)

    def _reasons(self, judged: Judged, saved: Saving, levers: Sequence[LeverAdvice]) -> Iterator[Reason]:
        anode = saved.net_anode_kg_per_t
        yield reason(
            "saving",
            {
                "cost": saved.cost_per_t.mean,
                "cost_lower": saved.cost_per_t.lower,
                "currency": self.currency,
                "energy": 0.0 - saved.energy_kwh_per_t.mean,
                "anode_text": "" if anode is None else f", {0.0 - anode.mean:+.2f} kg/t net anode",
                "confidence": self.confidence,
            },
            anode_text="" if anode is None else f"，阳极净耗 {0.0 - anode.mean:+.2f} kg/t",
        )
        if judged.cautious:
            yield reason("cautious")
        for limit in self.limits:
            yield self._about(limit, judged.outputs)
        if len(judged.stages) > 1:
            yield reason("staged", {"days": len(judged.stages)})
        yield from pin_reasons(self.pins)
        yield from self._weak(levers)
        for constraint in judged.binding:
            yield reason("binding", {"constraint": constraint})
        for name, edge in PRACTICE.items():
            if self._predicts(name) and judged.outputs[name][-1] < edge:
                meant = OUTCOMES[name]
                yield reason(
                    "beyond_practice",
                    {
                        "outcome": meant.meaning,
                        "predicted": _rounded(judged.outputs[name][-1]),
                        "unit": meant.unit,
                        "edge": edge,
                    },
                    outcome=meant.meaning_zh,
                )
        for missing in self.manifest.unavailable:
            if missing.name == _ANODE:
                yield reason("no_anode_target", {"why": missing.reason})

    def _outside(self, today: Outputs) -> Iterator[Reason]:
        """Say of each limited outcome that already stands outside its window that it does."""
        for limit in outside(today, self.limits):
            meant = OUTCOMES[limit.outcome]
            words, words_zh = _window_words(limit)
            evidence: dict[str, float | str | None] = {"outcome": meant.meaning, "unit": meant.unit}
            evidence |= {"predicted": _rounded(today[limit.outcome][0]), "window": words}
            yield reason("outside_window", evidence, outcome=meant.meaning_zh, window=words_zh)

    def _about(self, limit: Limit, outputs: Outputs) -> Reason:
        """Say where a limited outcome stands and goes."""
        meant = OUTCOMES[limit.outcome]
        if limit.outcome not in outputs:
            return reason("unchecked", {"outcome": meant.meaning}, outcome=meant.meaning_zh)
        now, then = (float(outputs[limit.outcome][row]) for row in (0, -1))
        words, words_zh = _window_words(limit)
        return reason(
            "toward_window" if limit.low > now or limit.high < now else "stays_inside",
            {
                "outcome": meant.meaning,
                "current": _rounded(now),
                "recommended": _rounded(then),
                "unit": meant.unit,
                "window": words,
            },
            outcome=meant.meaning_zh,
            window=words_zh,
        )


def _widened(context: Context) -> Iterator[Reason]:
    for entry in context.errors.widened if context.errors is not None else ():
        yield error_reason("model_error_widened", entry)


def _window_words(limit: Limit) -> tuple[str, str]:
    low = limit.low if math.isfinite(limit.low) else limit.hard_low
    high = limit.high if math.isfinite(limit.high) else limit.hard_high
    if math.isfinite(low) and math.isfinite(high):
        return f"{low:g} to {high:g}", f"{low:g} 至 {high:g}"
    return (
        (f"at least {low:g}", f"不低于 {low:g}")
        if math.isfinite(low)
        else (f"at most {high:g}", f"不高于 {high:g}")
    )


def _written(found: Estimate | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(mean=_rounded(found.mean), lower=_rounded(found.lower), upper=_rounded(found.upper))


def _rounded(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
