"""What the made-up line answers beside its cells: explanations, savings, health. SIMULATED."""

import datetime
from typing import Any

import numpy as np

from serving.schemas import Recommendation
from tests.fakes.page_line import LINE, MadeLine

_ENERGY, _ANODE = "energy_kwh_per_t", "net_anode_kg_per_t"
_LATER = {
    "code": "not_yet",
    "text": "The horizon of these moves is not over; nothing is claimed before it is.",
    "text_zh": "这些调整的预测期尚未结束，结束前不作结论。",
}


def _band(mean: float, reach: float) -> dict[str, float]:
    return {"mean": round(mean, 3), "lower": round(mean - reach, 3), "upper": round(mean + reach, 3)}


def explained(line: MadeLine, advice: Recommendation) -> dict[str, Any]:
    """Shares of the levers that sum to the saving, circumstances, response curves, precedents."""
    moved = [lever for lever in advice.levers if lever.recommended != lever.current]
    weights = np.array([3.0, 1.0, 2.0, 1.0])[: len(moved)]
    saved = advice.saving.energy_kwh_per_t.mean if advice.saving else 0.0
    shares = saved * weights / max(1e-9, weights.sum())
    levers = [
        {
            "name": lever.name,
            "unit": lever.unit,
            "from": lever.current,
            "to": lever.recommended,
            "effect": _band(float(share), 9),
        }
        for lever, share in zip(moved, shares, strict=True)
    ]
    context = [
        ("noise_mv_mean_7d", 21.4, "mV", 18.0, 34.0),
        ("bath_temperature_c_last", 949.0, "degC", 951.0, -21.0),
        ("cell_age_d_last", 1810.0, "d", 1204.0, 17.0),
        ("energy_kwh_per_t_now", 12391.0, "kWh/t", 12344.0, 12.0),
        ("voltage_excess_v_mean_7d", 0.021, "V", 0.014, 9.0),
        ("line_noise_mv_last", 18.2, "mV", 18.2, -6.0),
        ("alf3_dose_kg_d_dev_28d", 3.1, "kg/d", 0.2, -4.0),
        ("superheat_c_now", 9.9, "degC", 9.2, 3.0),
    ]
    entries = [
        {"feature": name, "value": value, "unit": unit, "typical": typical, "effect": effect}
        for name, value, unit, typical, effect in context
    ]
    return {
        "outcomes": {_ENERGY: {"unit": "kWh/t", "levers": levers, "context": entries}},
        "curves": {lever.name: _curve(lever, advice) for lever in advice.levers},
        "precedents": precedents(line, advice),
    }


def _curve(lever: Any, advice: Recommendation) -> dict[str, Any]:
    values = np.linspace(lever.lower, lever.upper, 33)
    lean = {"set_voltage_v": 70.0, "tap_target_kg": -14.0, "alf3_dose_kg_d": 6.0}.get(lever.name, 2.0)
    part = (values - lever.recommended) / (lever.upper - lever.lower)
    mean = advice.expected[_ENERGY].recommended + 2 * lean * part + 40 * part**2
    reach = 30 + 60 * np.abs(part)
    limit = [{"value": float(values[5]), "constraint": "mean_noise_mv.high"}]
    return {
        "unit": lever.unit,
        "values": [round(float(v), 4) for v in values],
        _ENERGY: {
            "mean": mean.round(1).tolist(),
            "lower": (mean - reach).round(1).tolist(),
            "upper": (mean + reach).round(1).tolist(),
        },
        "limit": limit if lever.name == "set_voltage_v" else [],
    }


def precedents(line: MadeLine, advice: Recommendation) -> list[dict[str, Any]]:
    """Five days that never were."""
    rng = np.random.default_rng([line.seed, len(advice.cell_id)])
    found = []
    for k in range(5):
        at = (line.today - datetime.timedelta(days=40 + 23 * k)).isoformat()
        before = 12400 + 60 * float(rng.normal())
        found.append(
            {
                "cell_id": line.names[int(rng.integers(line.cells))],
                "date": at,
                "distance": 0.42 + 0.11 * k,
                "levers": {"set_voltage_v": {"before": 3.894, "after": 3.894 - 0.004 * (k + 2)}},
                "outcome": {
                    _ENERGY: {"before": before, "after": before - 45 + 30 * float(rng.normal())},
                    _ANODE: {"before": 407.2, "after": 407.2 - float(rng.normal())},
                },
            }
        )
    return found


def followed(advice: Recommendation, recommendation_id: str) -> dict[str, Any]:
    """An earlier move: set as advised but for the voltage, one outcome outside its interval."""
    levers = {lever.name: lever.recommended for lever in advice.levers}
    levers["set_voltage_v"] = round(levers["set_voltage_v"] + 0.004, 3)
    outcomes = {name: expected.recommended for name, expected in advice.expected.items()}
    outcomes["mean_noise_mv"] = advice.expected["mean_noise_mv"].upper + 1.5
    return {
        "recommendation": advice.model_dump(mode="json"),
        "decision": None,
        "applied": {"recommendation_id": recommendation_id, "date": "2025-01-05", "levers": levers},
        "measured": {"first": "2025-01-02", "last": "2025-01-08", "outcomes": outcomes},
        "expired": True,
        "superseded": True,
        "replayable": True,
    }


def _saving(rng: np.random.Generator, days: int, promised: float, known: bool) -> dict[str, Any]:
    real = promised * 0.82 + 9 * float(rng.normal())
    reach = 90 / np.sqrt(max(1, days / 7))
    per_tonne = {
        _ENERGY: _band(promised, 14),
        _ANODE: _band(0.42, 0.5),
        "cost_per_t": _band(promised * 0.47, 8),
    }
    realised = {
        _ENERGY: _band(real, float(reach)),
        _ANODE: _band(0.3, 1.4),
        "cost_per_t": _band(real * 0.46, float(reach) * 0.46),
    }
    tonnes = 3.78 * days
    return {
        "cell_days": days,
        "promised": per_tonne,
        "realised": realised if known else None,
        "energy_kwh": _band(real * tonnes, float(reach) * tonnes) if known else None,
        "anode_kg": _band(0.3 * tonnes, 1.4 * tonnes) if known else None,
        "money": _band(real * 0.46 * tonnes, float(reach) * 0.46 * tonnes) if known else None,
        "t_co2": _band(real * tonnes * 5.8e-4, float(reach) * tonnes * 5.8e-4) if known else None,
        "controls": 11,
        "note": None if known else _LATER,
    }


def savings(line: MadeLine) -> dict[str, Any]:
    """Ten weeks of promises, the last one not yet known."""
    rng = np.random.default_rng([line.seed, 99])
    weeks = []
    for k in range(10):
        year, week, _ = (line.today - datetime.timedelta(weeks=10 - k)).isocalendar()
        weeks.append(
            {"week": f"{year}-W{week:02d}", **_saving(rng, 30 + 12 * k, 70 + 3 * float(rng.normal()), k < 9)}
        )
    cells = [
        {
            "cell_id": name,
            "recommendations": 40,
            "accepted": 12 + at % 9,
            **_saving(rng, 60, 70 + 12 * float(rng.normal()), at % 7 != 3),
        }
        for at, name in enumerate(line.names)
    ]
    return {
        "simulated": True,
        "currency": "CNY",
        "line_id": LINE,
        "method": {
            "name": "difference in differences",
            "confidence": 0.9,
            "baseline_days": 28,
            "settling_days": 3,
            "horizon_days": 7,
            "matched_on": ["energy", "voltage"],
            "grid_factor": None,
            "waiting": 14,
            "text": "Difference in differences against matched cells that were not moved in the same week.",
            "text_zh": "与同周内未调整的匹配槽作双重差分。",
        },
        "line": _saving(rng, 860, 71.0, True),
        "weeks": weeks,
        "cells": cells,
    }


def quality(line: MadeLine) -> dict[str, Any]:
    """A stuck thermometer, a stale cell, a drifted input and one outcome whose error has grown."""
    stuck = {
        "code": "frozen",
        "text": "bath_temperature_c has shown the same value, 953, for 6 days: the instrument may be stuck.",
        "text_zh": "bath_temperature_c 连续 6 天为同一数值 953，仪表可能卡滞。",
    }
    stale = {
        "code": "stale",
        "text": "The last report is 4 days old, more than 2.",
        "text_zh": "最近一次上报已过 4 天，超过 2 天。",
    }
    signals = [
        ("cell_voltage_v", "V", 0.002, 0, 0, 0),
        ("bath_temperature_c", "degC", 0.031, 1, 1, 0),
        ("noise_mv", "mV", 0.002, 1, 0, 0),
        ("excess_alf3_wt_pct", "wt%", 0.29, 0, 0, 1),
        ("metal_level_mm", "mm", 0.012, 0, 0, 0),
    ]
    day = (line.today - datetime.timedelta(days=1)).isoformat()
    found = {line.names[4]: [stuck], line.names[min(21, line.cells - 1)]: [stale]}
    drift = [("crr_pct_last", 0.31), ("noise_mv_mean_28d", 0.14), ("line_current_ka_last", 0.09)]
    drift += [(f"bath_temperature_c_{part}", 0.02) for part in ("last", "mean_7d", "mean_28d", "dev_28d")]
    errors = [
        (_ENERGY, 41.0, 38.0, "sound"),
        (_ANODE, 2.9, 2.3, "sound"),
        ("mean_bath_temperature_c", 2.9, 1.9, "widened"),
        ("current_efficiency", 0.0031, 0.0029, "sound"),
    ]
    return {
        "line_id": LINE,
        "signals": [
            {
                "name": name,
                "unit": unit,
                "cells_reporting": line.cells - 1,
                "missing_share": missing,
                "stale_cells": stale_cells,
                "stuck_cells": stuck_cells,
                "out_of_range": out,
            }
            for name, unit, missing, stale_cells, stuck_cells, out in signals
        ],
        "cells": [
            {"cell_id": name, "last_reported": day, "findings": found.get(name, [])} for name in line.names
        ],
        "drift": [{"feature": name, "psi": psi, "usual": 0.25, "drifted": psi > 0.25} for name, psi in drift],
        "model_error": [
            {
                "outcome": name,
                "recent_mae": recent,
                "training_mae": training,
                "ratio": recent / training,
                "days": 21,
                "state": state,
            }
            for name, recent, training, state in errors
        ],
    }
