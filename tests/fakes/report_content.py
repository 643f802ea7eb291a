"""A made-up report: plausible figures from a seed, for tests of the page alone."""

from typing import Any

import numpy as np

from experiments.report.content import (
    FindingView,
    Fit,
    LineDays,
    PolicyLine,
    ReportContent,
    Residual,
    Response,
    TableView,
)
from experiments.report.numbers import lever_words
from experiments.report.words import Words
from experiments.summary import (
    Advice,
    BundleSummary,
    Coverage,
    DataSummary,
    Estimate,
    FamilyScore,
    OutcomeSummary,
    Parity,
    RunSummary,
    Saving,
    Unavailable,
)

_UNITS = {"energy_kwh_per_t": "kWh/t", "net_anode_kg_per_t": "kg/t", "mean_bath_temperature_c": "degC"}
_SIZE = {"energy_kwh_per_t": 150.0, "net_anode_kg_per_t": 3.1, "mean_bath_temperature_c": 2.3}
_MIDDLE = {"energy_kwh_per_t": 12_480.0, "net_anode_kg_per_t": 411.0, "mean_bath_temperature_c": 952.0}
_FAMILIES = ("boosting", "network", "composed", "blend", "persistence", "cell_mean", "ridge_plain")


def around(mean: float, width: float) -> Estimate:
    return Estimate(mean, mean - width, mean + width)


def outcome(name: str, rng: np.random.Generator) -> OutcomeSummary:
    size = _SIZE[name]
    scores = tuple(
        FamilyScore(
            family,
            family in ("persistence", "cell_mean", "ridge_plain"),
            around(size * (1 + 0.12 * index), size * 0.06),
            around(0.82 - 0.07 * index, 0.04),
        )
        for index, family in enumerate(_FAMILIES)
    )

    def share(group: str, rows: int) -> Coverage:
        value = float(0.9 + rng.normal() * 0.02)
        return Coverage(group, rows, value, value - 0.03, value + 0.03, size * 2)

    return OutcomeSummary(
        name,
        _UNITS[name],
        not name.startswith("mean_"),
        "boosting",
        2_143,
        scores,
        scores,
        scores[:1],
        {score.name: score.mae.mean for score in scores},
        0.9,
        share("overall", 2_143),
        (share("young", 210), share("mature", 1_933)),
        tuple(share(f"2025-{month:02d}", 700) for month in (4, 5, 6)),
    )


def recommendation(index: int, status: str, rng: np.random.Generator, anode: bool) -> dict[str, Any]:
    gain = float(40 + 60 * rng.random())
    levers = [
        {
            "name": "set_voltage_v",
            "unit": "V",
            "current": 3.92,
            "recommended": 3.896 if status == "move" else 3.92,
            "lower": 3.75,
            "upper": 4.25,
            "step": 0.02,
            "path": [3.9, 3.896],
        },
        {
            "name": "alf3_dose_kg_d",
            "unit": "kg/d",
            "current": 52.0,
            "recommended": 61.0 if status == "move" and index % 2 else 52.0,
            "lower": 0.0,
            "upper": 120.0,
            "step": 10.0,
            "path": [52.0, 52.0, 61.0],
        },
    ]
    saving: dict[str, Any] = {
        "energy_kwh_per_t": {"mean": gain, "lower": gain - 25, "upper": gain + 25},
        "cost_per_t": {"mean": gain * 0.46, "lower": gain * 0.46 - 14, "upper": gain * 0.46 + 14},
        "currency": "CNY",
    }
    if anode:
        saving["net_anode_kg_per_t"] = {"mean": 0.8, "lower": -0.2, "upper": 1.8}
    texts = {
        "move": (
            "warm_and_high",
            "superheat 12.1 °C above its window: room below",
            "过热度 12.1 °C，高于窗口，可下调",
        ),
        "hold": ("gain_not_sure", "the sure part of the saving is not above zero", "节约下限不大于零"),
        "abstain": ("young_cell", "<young> cell, 41 days since start-up", "<新>槽，启动 41 天"),
    }
    code, text, text_zh = texts[status]
    return {
        "recommendation_id": f"r{index}",
        "line_id": "L1",
        "cell_id": f"C{index:03d}",
        "date": "2025-06-30",
        "status": status,
        "levers": levers,
        "expected": {},
        "saving": saving,
        "support": {"score": float(rng.random()), "threshold": 0.02},
        "binding": [],
        "reasons": [{"code": code, "text": text, "text_zh": text_zh, "evidence": {}}],
    }


def content(seed: int = 3, *, anode: bool = True, moves: int = 14, simulated: bool = True) -> ReportContent:
    rng = np.random.default_rng(seed)
    names = [name for name in _UNITS if anode or name != "net_anode_kg_per_t"]
    statuses = ["move"] * moves + ["hold"] * 11 + ["abstain"] * 5
    rows = [recommendation(index, status, rng, anode) for index, status in enumerate(statuses)]
    return ReportContent(
        summary=summary(names, rng, moves, anode=anode, simulated=simulated),
        recommendations=rows,
        fits=[fit(name, rng) for name in names],
        line_days=[line_days(name, rng) for name in names],
        responses=[response(lever, name) for lever in ("set_voltage_v", "alf3_dose_kg_d") for name in names],
        tables=[TableView("cell_days", 12_000, 12, "2024-05-27", "2025-06-30")],
        findings=[
            FindingView(
                "taps",
                "warning",
                Words("12 cells hold text where a number belongs", "12 个数字单元格中出现文字"),
            ),
        ],
        policy=[
            PolicyLine(
                Words("Tiered tariff 2025", "阶梯电价 2025"),
                Words("no surcharge", "不加价"),
                Words("no surcharge", "不加价"),
                Words("NDRC 2021/1239", "发改价格〔2021〕1239号"),
                "V1",
            )
        ],
        policy_caveat=Words("Indicative only.", "仅供参考。"),
        importance={names[0]: [("energy_estimate_kwh_per_t", 0.4), ("noise_mv_mean_7d", 0.2)]},
    )


def summary(
    names: list[str], rng: np.random.Generator, moves: int, *, anode: bool, simulated: bool
) -> RunSummary:
    return RunSummary(
        simulated=simulated,
        quick=False,
        seed=7,
        horizon_d=7,
        created="2025-07-01T00:00:00Z",
        code_revision="abcdef0",
        data=DataSummary(
            "Virtual line <1>",
            "ab" * 32,
            "2024-05-27",
            "2025-06-30",
            30,
            400,
            {"cell_days": 12_000},
            8_000,
            "2025-04-10",
            "2025-04-20",
            "2025-06-30",
            1,
            12,
        ),
        outcomes=tuple(outcome(name, rng) for name in names),
        unavailable=() if anode else (Unavailable("net_anode_kg_per_t", "no butt was ever weighed"),),
        refused_levers={"alumina_feed_kg_d": "alumina_feed_kg_d is not in the record; map its setpoint"},
        parity=Parity(100_000, 0, 1e-6, 3.1e-15),
        bundle=BundleSummary("superheat", "1", "cd" * 32, 88, ("set_voltage_v", "alf3_dose_kg_d"), 9_000_000),
        advice=Advice("2025-06-30", moves + 16, moves, 11, 5),
        saving=Saving(
            confidence=0.8,
            currency="CNY",
            metal_t_per_d=113.2,
            energy_kwh_per_t=around(38, 12),
            energy_kwh_per_d=around(4300, 1300),
            net_anode_kg_per_t=around(0.4, 0.6) if anode else None,
            net_anode_kg_per_d=around(45, 68) if anode else None,
            cost_per_t=around(17.5, 6.0),
            cost_per_d=around(1980, 680),
            energy_kwh_per_t_moved=around(75, 24),
            net_anode_kg_per_t_moved=around(0.8, 1.2) if anode else None,
            cost_per_t_moved=around(34.5, 12),
        ),
        tracking={"tracking store": "sqlite"},
        seconds={"Reading tables": 3.2, "Training": 210.0},
        versions={"python": "3.11"},
        machine={"cores": 2},
    )


def fit(name: str, rng: np.random.Generator) -> Fit:
    measured = _MIDDLE[name] + rng.normal(size=900) * _SIZE[name] * 2
    predicted = measured + rng.normal(size=900) * _SIZE[name]
    return Fit(
        name,
        measured.tolist(),
        predicted.tolist(),
        tuple(Residual(group, 450, 0.1, -_SIZE[name], _SIZE[name]) for group in ("young", "mature")),
    )


def line_days(name: str, rng: np.random.Generator) -> LineDays:
    days = 70
    measured = _MIDDLE[name] + np.cumsum(rng.normal(size=days)) * _SIZE[name] * 0.1
    predicted = measured + rng.normal(size=days) * _SIZE[name] * 0.1
    half = _SIZE[name] * 0.6
    dates = [str(np.datetime64("2025-04-20") + day) for day in range(days)]
    return LineDays(
        name,
        dates,
        measured.tolist(),
        predicted.tolist(),
        (predicted - half).tolist(),
        (predicted + half).tolist(),
    )


def response(lever: str, name: str) -> Response:
    moves = np.linspace(-0.04, 0.04, 21) if lever == "set_voltage_v" else np.linspace(-20, 20, 21)
    change = moves / moves.max() * _SIZE[name] * 0.6
    spread = np.abs(change) * 0.4
    unit = "V" if lever == "set_voltage_v" else "kg/d"
    return Response(
        lever,
        unit,
        lever_words(lever),
        name,
        moves.tolist(),
        change.tolist(),
        (change - spread).tolist(),
        (change + spread).tolist(),
    )
