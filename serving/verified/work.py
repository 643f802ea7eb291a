"""The comparison of every finished block of a line, found once and told many times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import anode_labels
from features.history import History
from serving.verified.anodes import Carbon
from serving.verified.comparison import Comparison, Row, compare
from serving.verified.moves import Accepted, Block
from serving.verified.panel import NEEDED, Panel, panel
from serving.verified.settings import SavingsSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Work:
    """The comparison of every finished block, found once and told many times.

    Attributes:
        blocks: the finished blocks.
        missing: signals without which nothing can be told.
        panel, energy: None where nothing could be compared. anode: None where ``no_anode`` says why.
        window_of: (b,) each block's window in the panel.
        row_of, anode_row_of: block -> row of the comparison.
        exposure: block -> the anodes' exposure.
        unmoved: cells of the line that were never moved. lonely: blocks without enough of them near.
    """

    blocks: tuple[Block, ...]
    missing: tuple[str, ...]
    panel: Panel | None
    energy: Comparison | None
    anode: Comparison | None
    no_anode: str
    window_of: tuple[int, ...]
    row_of: dict[int, int]
    anode_row_of: dict[int, int]
    exposure: dict[int, float]
    unmoved: int
    lonely: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls,
        history: History,
        accepted: Accepted,
        blocks: Sequence[Block],
        done: Sequence[Block],
        settings: SavingsSettings,
    ) -> "Work":
        """Compare the blocks ``done`` of ``blocks``."""
        moved_days = _moved_days(history, accepted, blocks)
        unmoved = int((~moved_days.any(axis=0)).sum())
        missing = tuple(name for name in NEEDED if name not in history.available())
        sound = {
            i
            for i, block in enumerate(done)
            if block.window.start - block.window.begin >= settings.least_baseline
        }
        nothing = cls(tuple(done), missing, None, None, None, "", (), {}, {}, {}, unmoved)
        if missing or not sound:
            return nothing
        windows = sorted({done[i].window for i in sound})
        at = {window: w for w, window in enumerate(windows)}
        told = panel(history, windows, settings)
        moved = np.stack([moved_days[w.begin : w.last + 1].any(axis=0) for w in windows])
        rows = {i: Row(done[i].cell, at[done[i].window], done[i].days) for i in sorted(sound)}
        energy = compare(told, list(rows.values()), moved, settings)
        carbon, why = _carbon(history)
        anode, exposure = None, dict[int, float]()
        if carbon is not None:
            change = _carbon_change(carbon, told)
            anode = compare(told, list(rows.values()), moved, settings, change)
            exposure = {i: carbon.exposure(done[i].cell, done[i].window) for i in rows}
        return cls(
            tuple(done),
            missing,
            told,
            energy,
            anode,
            why,
            tuple(at.get(block.window, -1) for block in done),
            _places(rows, energy),
            _places(rows, anode) if anode is not None else {},
            exposure,
            unmoved,
            frozenset(_blocks(rows, energy.lonely)),
        )


def _blocks(rows: dict[int, Row], chosen: Sequence[Row]) -> list[int]:
    at = {(row.cell, row.window) for row in chosen}
    return [block for block, row in rows.items() if (row.cell, row.window) in at]


def _places(rows: dict[int, Row], comparison: Comparison) -> dict[int, int]:
    at = {(row.cell, row.window): i for i, row in enumerate(comparison.rows)}
    return {block: at[row.cell, row.window] for block, row in rows.items() if (row.cell, row.window) in at}


def _moved_days(history: History, accepted: Accepted, blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Return (t, c) the days on which a cell stands under a move or comes to rest after it: it is no control then."""
    moved = np.zeros((len(history.dates), len(history.cell_ids)), dtype=bool)
    for block in blocks:
        moved[block.window.start : block.window.last + 1, block.cell] = True
    place = {str(cell): i for i, cell in enumerate(history.cell_ids)}
    for cell, date, _ in accepted.waiting:
        if cell in place:
            moved[history.dates >= np.datetime64(date, "D"), place[cell]] = True
    return moved


def _carbon(history: History) -> tuple[Carbon | None, str]:
    why = anode_labels.unavailable(history)
    return (Carbon.of(history), "") if why is None else (None, why)


def _carbon_change(carbon: Carbon, told: Panel) -> Floats:
    """Return (w, c) net anode after less before [kg/t]."""
    change = np.full(told.before.shape, np.nan)
    for i, window in enumerate(told.windows):
        after = 1000.0 * carbon.rate(window.first, window.last) / told.metal_kg_d[i]
        change[i] = after - 1000.0 * carbon.rate(window.begin, window.start - 1) / told.metal_before_kg_d[i]
    return change
