"""Runs side by side, on the very same decisions: paired differences with intervals.

Two runs differ by less than either of them varies from cell to cell and week to week, so errors are subtracted row
by row and whole cell-weeks are drawn anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.errors import InputError
from training.heldout import HeldOut
from training.scores import block_draws, interval, mae, r2

PAIR_DAYS = 7


@dataclass(frozen=True)
class ComparisonRow:
    """One run and outcome against the first run: errors on the shared rows, difference with its 95 % interval.

    ``verdict``: ``reference``, ``better``, ``worse`` or ``no difference`` (the interval holds zero).
    """

    outcome: str
    unit: str
    run: str
    family: str
    rows: int
    mae: float
    r2: float
    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Rows by outcome and run, the first run being the reference."""

    reference: str
    rows: tuple[ComparisonRow, ...]

    columns = (
        "outcome",
        "unit",
        "run",
        "family",
        "rows",
        "mae",
        "r2",
        "difference",
        "low",
        "high",
        "verdict",
    )

    def table(self) -> list[list[str | float | int]]:
        """Return the rows as lists in the order of ``columns``."""
        return [[getattr(row, column) for column in self.columns] for row in self.rows]


def compare(runs: Mapping[str, Mapping[str, HeldOut]], seed: int = 0) -> Comparison:
    """Compare ``runs`` (run -> outcome -> test predictions) on the decisions that all of them predicted.

    Raises:
        InputError: fewer than two runs, or no outcome that all of them have on shared rows.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} runs to compare; name two and more")
    names = list(runs)
    shared = [outcome for outcome in runs[names[0]] if all(outcome in run for run in runs.values())]
    rows: list[ComparisonRow] = []
    for outcome in shared:
        rows.extend(_compare_outcome({name: run[outcome] for name, run in runs.items()}, seed))
    if not rows:
        raise InputError(
            f"runs {', '.join(names)} share no outcome on the same cells and days; use the same data"
        )
    return Comparison(reference=names[0], rows=tuple(rows))


def _compare_outcome(runs: Mapping[str, HeldOut], seed: int) -> list[ComparisonRow]:
    keys = {name: _keys(run) for name, run in runs.items()}
    common = sorted(set.intersection(*(set(known) for known in keys.values())))
    if not common:
        return []
    at = {name: np.array([known[key] for key in common]) for name, known in keys.items()}
    first = next(iter(runs))
    y = runs[first].y[at[first]]
    differing = [name for name in runs if not np.allclose(runs[name].y[at[name]], y, rtol=1e-6)]
    if differing:
        raise InputError(
            f"{runs[first].outcome}: {differing} measured other labels than {first}; data differ"
        )
    cells = np.unique([cell for cell, _ in common], return_inverse=True)[1].astype(np.int64)
    days = np.array([day for _, day in common], dtype="datetime64[D]")
    draws = block_draws(cells, days, seed, days=PAIR_DAYS)
    size = draws.totals(np.ones(len(y)))
    base = np.abs(y - runs[first].predicted[at[first]])
    out: list[ComparisonRow] = []
    for name, run in runs.items():
        predicted = run.predicted[at[name]]
        delta = np.abs(y - predicted) - base
        low, high = interval(draws.totals(delta) / size)
        verdict = "reference" if name == first else _verdict(low, high)
        out.append(
            ComparisonRow(
                run.outcome,
                run.unit,
                name,
                run.family,
                len(y),
                mae(y, predicted),
                r2(y, predicted),
                float(delta.mean()),
                low,
                high,
                verdict,
            )
        )
    return out


def _keys(run: HeldOut) -> dict[tuple[str, int], int]:
    days = run.date.astype("datetime64[D]").astype(np.int64)
    return {(str(cell), int(day)): i for i, (cell, day) in enumerate(zip(run.cell_id, days, strict=True))}


def _verdict(low: float, high: float) -> str:
    if high < 0:
        return "better"
    return "worse" if low > 0 else "no difference"
