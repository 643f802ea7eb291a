"""A line's verified savings: the ledger's accepted recommendations held against the line's own record."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import UnknownNameError
from features.history import History
from features.policy.carbon import grid_factor
from features.policy.rules import Rule
from serving.ledger import Ledger
from serving.verified.moves import Accepted, Block, accepted_of, blocks_of
from serving.verified.panel import MATCHED_ON
from serving.verified.schemas import (
    CellSaving,
    Method,
    Savings,
    WeekSaving,
)
from serving.verified.settings import SavingsSettings
from serving.verified.telling import Part, Teller
from serving.verified.work import Work

Floats = NDArray[np.float64]

_TEXT = (
    "Difference in differences, in IPMVP's words with a baseline and a reporting period, adjusted by what was not"
    " touched: the energy per tonne of a moved cell in the {horizon} days after {settling} days of"
    " settling, against its own {baseline} days before the first move, less the same difference of unmoved cells of"
    " its line that were like it before (level and trend of energy and voltage, noise, temperature, metal level, age)."
    " Production comes from the balances of metal and alumina, never from tapped metal. The interval holds with"
    " {confidence:.0%} and treats cells as independent, weeks of one cell not. Money counts energy, net anode where"
    " butts tell it, and AlF3 fed more; CO2 counts electricity by its grid and anode carbon."
)
_TEXT_ZH = (
    "双重差分法（按 IPMVP：基准期、报告期，以未调整槽作调整）：调整槽在稳定 {settling} 天后的 {horizon} 天吨铝电耗，与其首次调整前 {baseline} 天相比，再减去同系列中"
    "此前状况相近（电耗与电压的水平和趋势、噪声、温度、铝水平、槽龄）的未调整槽的同期差值。产量由铝液与氧化铝平衡计算，"
    "不采用出铝量。置信区间水平为 {confidence:.0%}，视各槽相互独立、同一槽各周相关。金额计入电耗、残极可知时的阳极净耗"
    "以及多投的氟化铝；CO2 计入电网排放与阳极碳。"
)


@dataclass(frozen=True)
class Span:
    """Days that are asked about, both included; None = as far as the record goes."""

    first: datetime.date | None = None
    last: datetime.date | None = None


def verified_savings(
    ledger: Ledger,
    history: History,
    line_id: str,
    span: Span | None = None,
    settings: SavingsSettings | None = None,
    model: str | None = None,
) -> Savings:
    """Return what was really saved on line ``line_id``, beside what was promised for the same cell-days.

    Args:
        ledger: recommendations, decisions and what was set.
        history: the line's record, up to now.
        line_id: of the line; cells of other lines in ``history`` are left out.
        span: days that are told about.
        settings: the plan of measurement and verification.
        model: name of the model whose recommendations are told about; None = of all of them.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    mine = history.take(np.flatnonzero(history.line_ids == line_id))
    return verify(
        mine, line_id, accepted_of(ledger, line_id, model), span or Span(), settings or SavingsSettings()
    )


def verify(
    history: History, line_id: str, accepted: Accepted, span: Span, settings: SavingsSettings
) -> Savings:
    """Return what the moves of ``accepted`` saved on the line that ``history`` holds; see :func:`verified_savings`."""
    cells = [str(cell) for cell in history.cell_ids]
    origin = history.dates[0] if len(history.dates) else np.datetime64("1970-01-01", "D")
    # What was moved before the record begins cannot be told, nor counted.
    moves = [move for move in accepted.moves if np.datetime64(move.date, "D") >= origin]
    blocks = blocks_of(moves, cells, origin, settings)
    done = [block for block in blocks if block.window.last < len(history.dates)]
    waiting = (
        sum(accepted.tells((entry.model,)) for entry in accepted.waiting)
        + len({(b.cell, b.window.start) for b in blocks if accepted.tells(b.models)})
        - len({(b.cell, b.window.start) for b in done if accepted.tells(b.models)})
    )
    work = Work.of(history, accepted, blocks, done, settings)
    days = [part for part in _asked(history, done, span) if accepted.tells(done[part.block].models)]
    grid = _grid(history, settings)
    teller = Teller(history, work, settings, grid, waiting)
    return Savings(
        line_id=line_id,
        simulated=history.plant.simulated,
        currency=history.plant.currency,
        method=_method(settings, grid, waiting),
        line=teller.tell(days),
        weeks=tuple(
            WeekSaving(week=week, **dict(teller.tell(chosen)))
            for week, chosen in sorted(_weeks(history, days).items())
        ),
        cells=tuple(
            CellSaving(
                cell_id=cell,
                recommendations=accepted.advised.get(cell, 0),
                accepted=accepted.accepted.get(cell, 0),
                **dict(teller.tell([part for part in days if done[part.block].cell == i])),
            )
            for i, cell in enumerate(cells)
            if cell in accepted.advised or cell in accepted.accepted
        ),
    )


def _asked(history: History, blocks: Sequence[Block], span: Span) -> list[Part]:
    first = history.dates[0] if span.first is None else np.datetime64(span.first, "D")
    last = history.dates[-1] if span.last is None else np.datetime64(span.last, "D")
    found = []
    for number, block in enumerate(blocks):
        days = np.arange(block.window.first, block.window.last + 1)
        inside = days[(history.dates[days] >= first) & (history.dates[days] <= last)]
        if len(inside):
            found.append(Part(number, tuple(inside.tolist())))
    return found


def _weeks(history: History, parts: Iterable[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        by_week: dict[str, list[int]] = {}
        for day in part.days:
            year, week, _ = history.dates[day].astype(datetime.date).isocalendar()
            by_week.setdefault(f"{year}-W{week:02d}", []).append(day)
        for name, days in by_week.items():
            found.setdefault(name, []).append(Part(part.block, tuple(days)))
    return found


def _grid(history: History, settings: SavingsSettings) -> Rule | None:
    try:
        year = int(history.dates[-1].astype(datetime.date).year)
        return grid_factor(settings.grid, year, settings.region)
    except UnknownNameError:
        return None


def _method(settings: SavingsSettings, grid: Rule | None, waiting: int) -> Method:
    words = {
        "horizon": settings.horizon_days,
        "settling": settings.settling_days,
        "baseline": settings.baseline_days,
        "confidence": settings.confidence,
    }
    return Method(
        name="difference in differences with matched controls",
        text=_TEXT.format(**words),
        text_zh=_TEXT_ZH.format(**words),
        confidence=settings.confidence,
        baseline_days=settings.baseline_days,
        settling_days=settings.settling_days,
        horizon_days=settings.horizon_days,
        matched_on=MATCHED_ON,
        grid_factor=None if grid is None else grid.id,
        waiting=waiting,
    )
