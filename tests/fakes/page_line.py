"""A made-up line for the page: cells, advice, days, savings and health in the shapes of the service. SIMULATED.

Every recommendation passes the service's own schema. The numbers are drawn from a seed and resemble those of a 500 kA
line; nothing is measured anywhere.
"""

import datetime
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.reasons import reason
from serving.schemas import Estimate, Expected, LeverAdvice, Reason, Recommendation, Saving, SupportScore

LINE = "L1"
DAYS = 60
_ENERGY, _ANODE = "energy_kwh_per_t", "net_anode_kg_per_t"
_LEVERS = {
    "set_voltage_v": ("V", 3.88, 0.040, 0.020, 0.002),
    "alf3_dose_kg_d": ("kg/d", 48.0, 20.0, 10.0, 1.0),
    "tap_target_kg": ("kg", 3760.0, 120.0, 60.0, 10.0),
    "alumina_feed_kg_d": ("kg/d", 7500.0, 200.0, 100.0, 25.0),
}
_MEASURED = {
    "cell_voltage_v": ("V", 3.90, 0.02),
    "bath_temperature_c": ("degC", 951.0, 4.0),
    "excess_alf3_wt_pct": ("wt%", 11.0, 0.6),
    "noise_mv": ("mV", 18.0, 3.0),
    "metal_level_mm": ("mm", 226.0, 9.0),
}
_PAIRS = {
    "cell_voltage_v": ("set_voltage_v", 0.012),
    "alf3_fed_kg_d": ("alf3_dose_kg_d", 4.0),
    "tap_mass_kg": ("tap_target_kg", 45.0),
    "alumina_fed_kg_d": ("alumina_feed_kg_d", 90.0),
}


def _estimate(mean: float, reach: float) -> Estimate:
    return Estimate(mean=round(mean, 3), lower=round(mean - reach, 3), upper=round(mean + reach, 3))


def _dump(estimate: Estimate) -> dict[str, float]:
    return estimate.model_dump()


@dataclass
class MadeLine:
    """The line's cells with what is known of them; decisions and modes are kept here."""

    cells: int = 30
    seed: int = 7
    today: datetime.date = field(default_factory=datetime.date.today)
    modes: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    advice: dict[str, Recommendation] = field(default_factory=dict)
    asked: int = 0

    @property
    def names(self) -> list[str]:
        return [f"{LINE}-{i + 1:03d}" for i in range(self.cells)]

    def _random(self, cell: str, salt: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.names.index(cell), salt])

    def setting(self, cell: str) -> dict[str, float]:
        """Today's setpoints."""
        rng = self._random(cell)
        return {
            name: round(level + grid * int(rng.integers(-6, 7)), 9)
            for name, (_, level, _, _, grid) in _LEVERS.items()
        }

    def advise(self, cell: str) -> Recommendation:
        """Make the cell's advice and keep it."""
        at = self.names.index(cell)
        self.asked += 1
        if at % 15 == 11:
            why = (reason("young", {"age_d": 48.0, "limit_d": 120.0}),)
            found = self._sealed(cell, "abstain", reasons=why)
        elif at % 15 == 6:
            numbers = {"cost": 6.1, "cost_lower": -3.2, "confidence": 0.9, "currency": "CNY"}
            found = self._held(cell, reason("uncertain", numbers))
        else:
            found = self._moved(cell)
        self.advice[cell] = found
        return found

    def _sealed(self, cell: str, status: str, **fields: Any) -> Recommendation:
        midnight = datetime.datetime.combine(self.today + datetime.timedelta(days=1), datetime.time(16))
        content: dict[str, Any] = {
            "levers": (),
            "expected": {},
            "saving": None,
            "support": None,
            "binding": (),
            "reasons": (),
        }
        return Recommendation.sealed(
            line_id=LINE,
            cell_id=cell,
            date=self.today,
            expires_at=midnight.replace(tzinfo=datetime.UTC, microsecond=self.asked % 1000),
            model_name="potline",
            model_version="0.1.0",
            bundle_digest="5d" * 32,
            status=status,
            **(content | fields),
        )

    def _lever(self, cell: str, name: str, steps: int, days: int) -> LeverAdvice:
        unit, _, window, step, grid = _LEVERS[name]
        current = self.setting(cell)[name]
        target = round(current + steps * grid, 9)
        wait = 0 if name == "set_voltage_v" else 2
        path = [
            round(current + np.sign(steps) * min(abs(target - current), max(0, day + 1 - wait) * step), 9)
            for day in range(days)
        ]
        return LeverAdvice(
            name=name,
            unit=unit,
            current=current,
            recommended=target,
            lower=round(current - window, 9),
            upper=round(current + window, 9),
            step=step,
            path=tuple(float(value) for value in path),
        )

    def _expected(self, cell: str, saved: float, moved: bool) -> dict[str, Expected]:
        rng = self._random(cell, 1)
        base = {
            _ENERGY: ("kWh/t", 12350 + 120 * rng.normal(), -saved, 85.0),
            _ANODE: ("kg/t", 407 + 3 * rng.normal(), -0.4, 4.7),
            "mean_voltage_v": ("V", 3.9 + 0.02 * rng.normal(), -saved / 3200, 0.011),
            "current_efficiency": ("fraction", 0.942 + 0.003 * rng.normal(), 0.0004, 0.006),
            "mean_bath_temperature_c": ("degC", 951 + 2 * rng.normal(), -1.1, 3.2),
            "mean_superheat_c": ("degC", 9.6 + rng.normal(), -0.6, 3.1),
            "mean_noise_mv": ("mV", 18 + 2 * rng.normal(), 2.4, 5.0),
        }
        return {
            name: Expected(
                unit=unit,
                current=float(now),
                recommended=float(now + (change if moved else 0)),
                lower=float(now + (change if moved else 0) - reach),
                upper=float(now + (change if moved else 0) + reach),
            )
            for name, (unit, now, change, reach) in base.items()
        }

    def _held(self, cell: str, why: Reason) -> Recommendation:
        levers = tuple(self._lever(cell, name, 0, 0) for name in _LEVERS)
        nothing = Estimate(mean=0.0, lower=0.0, upper=0.0)
        saving = Saving(
            energy_kwh_per_t=nothing, net_anode_kg_per_t=nothing, cost_per_t=nothing, currency="CNY"
        )
        return self._sealed(
            cell,
            "hold",
            levers=levers,
            expected=self._expected(cell, 0.0, False),
            saving=saving,
            support=SupportScore(score=0.061, threshold=0.02),
            reasons=(why,),
        )

    def _moved(self, cell: str) -> Recommendation:
        rng = self._random(cell, 2)
        millivolts, tap = int(rng.integers(6, 19)), int(rng.integers(0, 3)) * 5
        dose = int(rng.integers(-1, 2)) * 8
        steps = {"set_voltage_v": -millivolts, "alf3_dose_kg_d": dose, "tap_target_kg": tap}
        levers = tuple(self._lever(cell, name, steps.get(name, 0), 4) for name in _LEVERS)
        saved = 3.2 * 2 * millivolts + 0.8 * tap
        expected = self._expected(cell, saved, True)
        cost, reach = saved * 0.46 + 1.5, 4.0 + 0.12 * saved
        saving = Saving(
            energy_kwh_per_t=_estimate(saved, 2.1 * reach),
            net_anode_kg_per_t=_estimate(0.4, 0.5),
            cost_per_t=_estimate(cost, reach),
            currency="CNY",
        )
        superheat = expected["mean_superheat_c"]
        noise = expected["mean_noise_mv"]
        reasons = (
            reason(
                "saving",
                {
                    "cost": cost,
                    "cost_lower": cost - reach,
                    "currency": "CNY",
                    "energy": -saved,
                    "anode_text": ", -0.40 kg/t net anode",
                    "confidence": 0.9,
                },
                anode_text="，阳极净耗 -0.40 kg/t",
            ),
            _inside("mean superheat", "平均过热度", superheat, "6 to 12", "6 至 12"),
            _inside("mean voltage noise", "平均电压噪声", noise, "at most 25", "不高于 25"),
            reason("staged", {"days": 4.0}),
            reason("binding", {"constraint": "mean_noise_mv.high"}),
        )
        return self._sealed(
            cell,
            "move",
            levers=levers,
            expected=expected,
            saving=saving,
            support=SupportScore(score=0.021, threshold=0.02),
            binding=("mean_noise_mv.high", "support.low"),
            reasons=reasons,
        )

    def moved_before(self, recommendation_id: str) -> Recommendation | None:
        """Return a move that stands for an earlier one, named by a number; None where it is no number of ours."""
        number = int(recommendation_id, 16)
        return self._moved(self.names[number]) if number < min(3, self.cells) else None

    def cell(self, name: str) -> dict[str, Any]:
        """One cell as ``GET /v1/cells`` has it."""
        rng = self._random(name, 3)
        found = self.advice.get(name)
        day = (self.today - datetime.timedelta(days=1)).isoformat()
        return {
            "line_id": LINE,
            "cell_id": name,
            "age_d": int(rng.integers(300, 2400)) if self.names.index(name) % 15 != 11 else 48,
            "last_reported": day,
            "mode": self.modes.get(name, "advise"),
            "mode_levers": [],
            "advice": found.model_dump(mode="json") if found else None,
            "expired": False,
            "decision": self.decisions.get(found.recommendation_id) if found else None,
            "measured": {
                signal: {"value": round(float(level + spread * rng.normal()), 3), "unit": unit, "date": day}
                for signal, (unit, level, spread) in _MEASURED.items()
            },
        }

    def trends(self, name: str, days: int) -> dict[str, Any]:
        """The cell's last days: setpoints as stairs, measurements with gaps."""
        rng = self._random(name, 4)
        dates = [(self.today - datetime.timedelta(days=days - i)).isoformat() for i in range(days)]
        signals: dict[str, Any] = {}
        for measured, (lever, spread) in _PAIRS.items():
            unit, _, _, _, grid = _LEVERS[lever]
            moves = rng.integers(-4, 5, days) * (rng.random(days) < 0.12) * grid
            stairs = self.setting(name)[lever] + np.cumsum(moves) - np.sum(moves)
            signals[measured] = {
                "unit": unit,
                "set": [round(float(v), 4) for v in stairs],
                "measured": _gapped(rng, stairs + spread * rng.normal(size=days)),
            }
        for signal, (unit, level, spread) in _MEASURED.items():
            if signal != "cell_voltage_v":
                walk = level + np.convolve(spread * rng.normal(size=days + 4), np.ones(5) / 5, "valid")
                signals[signal] = {"unit": unit, "set": None, "measured": _gapped(rng, walk)}
        energy = 12350 + np.cumsum(12 * rng.normal(size=days))
        signals[_ENERGY] = {"unit": "kWh/t", "set": None, "measured": _gapped(rng, energy)}
        return {"dates": dates, "signals": signals}


def _gapped(rng: np.random.Generator, values: Any) -> list[float | None]:
    """Return ``values`` with a day here and there, and one week's end, not reported."""
    gone = rng.random(len(values)) < 0.04
    at = int(rng.integers(0, max(1, len(values) - 5)))
    gone[at : at + 3] = True
    return [None if lost else round(float(v), 4) for v, lost in zip(values, gone, strict=True)]


def _inside(name: str, name_zh: str, outcome: Expected, window: str, window_zh: str) -> Reason:
    evidence: dict[str, float | str | None] = {
        "outcome": name,
        "current": outcome.current,
        "recommended": outcome.recommended,
        "unit": outcome.unit,
        "window": window,
    }
    return reason("stays_inside", evidence, outcome=name_zh, window=window_zh)
