"""How wrong the model has been lately, told from labels that come days later, and what follows for its intervals.

The bundle proved on held-out days that its intervals hold, say, 90 % of what follows. Each day the same is asked of
the last weeks. Rows of one cell, and rows of one week, err together, so their number is brought down to how many
independent ones they are worth; whether too many lie outside is then a binomial test. Where they do, intervals are
widened to what would have held (the conformal quantile of the recent errors); where even that is far from what was
proved, the model says nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.bundle import LOWER, UPPER, Manifest
from features.errors import SettingsError
from features.history import History
from features.labels import REACH_DAYS, LabelTable, label_table
from features.recipe import Recipe
from serving.metrics import Metrics
from serving.student import tail

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.float32]
State = Literal["sound", "widened", "withheld"]

_SOUND: Final = 1.0
_WITHHELD_GAUGE: Final = 0.0


@dataclass(frozen=True)
class WatchSettings:
    """When an error counts.

    Attributes:
        days: decision days looked back on.
        doubt: level of the test from which a line's intervals are widened; it is asked every day, so it is small.
        doubt_cell: the same for a cell, of which eight weeks say little.
        least: independent rows below which nothing is concluded about a line. least_cell: about a cell.
        withhold_factor: intervals that would have to be wider than so many times the proved ones are not given.
        withhold_ratio: nor predictions whose error is so many times the proved one.
    """

    days: int = 56
    doubt: float = 0.005
    doubt_cell: float = 0.01
    least: float = 20.0
    least_cell: float = 5.0
    withhold_factor: float = 2.5
    withhold_ratio: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingsError: a number is out of range.
        """
        ranges = {
            "days": (7, 365),
            "doubt": (1e-6, 0.2),
            "doubt_cell": (1e-6, 0.2),
            "least": (2, 1e6),
            "least_cell": (2, 1e6),
            "withhold_factor": (1, 100),
            "withhold_ratio": (1, 100),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(
                    f"watch setting {name} is {getattr(self, name)}; give a number from {low} to {high}"
                )


@dataclass(frozen=True)
class Delayed:
    """Past decisions of a line that are followed by their labels.

    Attributes:
        X: (n, d) float32 feature rows, as set on the day.
        cell_id: (n,) text. date: (n,) decision days.
        measured: outcome -> (n,), NaN = not known.
    """

    X: Rows
    cell_id: NDArray[np.str_]
    date: NDArray[np.datetime64]
    measured: Mapping[str, Floats]


@dataclass(frozen=True)
class OutcomeError:
    """How wrong one outcome has been, for a line or one of its cells.

    Attributes:
        outcome: its name.
        recent_mae, training_mae: mean absolute errors, in the outcome's unit; None = not known.
        days: decision days looked at. rows: of them cells times days. worth: independent rows they are worth.
        missed: share of labels outside their interval; ``nominal`` is what was promised.
        doubt: probability of so many or more by chance.
        factor: by which intervals are widened, at least 1.
    """

    outcome: str
    recent_mae: float | None
    training_mae: float | None
    days: int
    rows: int
    worth: float
    missed: float | None
    nominal: float
    doubt: float
    factor: float
    state: State

    @property
    def ratio(self) -> float | None:
        """The recent error over the proved one."""
        if self.recent_mae is None or not self.training_mae:
            return None
        return self.recent_mae / self.training_mae


@dataclass(frozen=True)
class LineErrors:
    """How wrong ``model`` has been on one line: ``outcomes`` by name, and ``cells`` by cell and outcome."""

    model: str
    line_id: str
    targets: tuple[str, ...]
    outcomes: Mapping[str, OutcomeError] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, OutcomeError]] = field(default_factory=dict)

    def of(self, cell_id: str, outcome: str) -> OutcomeError | None:
        """Return the worse of what is known of the line and of the cell; None where nothing is known."""
        known = [self.outcomes.get(outcome), self.cells.get(cell_id, {}).get(outcome)]
        found = [one for one in known if one is not None]
        return max(found, key=lambda one: (one.state == "withheld", one.factor), default=None)

    def values(self) -> dict[str, Any]:
        """Return plain values, for another process."""
        return {
            "model": self.model,
            "line_id": self.line_id,
            "targets": list(self.targets),
            "outcomes": {name: asdict(error) for name, error in self.outcomes.items()},
            "cells": {
                cell: {name: asdict(error) for name, error in found.items()}
                for cell, found in self.cells.items()
            },
        }

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "LineErrors":
        """Return what :meth:`values` wrote."""
        return cls(
            values["model"],
            values["line_id"],
            tuple(values["targets"]),
            {name: OutcomeError(**error) for name, error in values["outcomes"].items()},
            {
                cell: {name: OutcomeError(**error) for name, error in found.items()}
                for cell, found in values["cells"].items()
            },
        )


def delayed(
    manifest: Manifest, history: History, line_id: str, settings: WatchSettings | None = None
) -> Delayed:
    """Return the last decisions of line ``line_id`` whose labels are final, with rows that the model takes.

    Raises:
        ContractError: the record is too short, or lacks a lever's setpoint.
    """
    told = settings or WatchSettings()
    mine = history.take(np.flatnonzero(history.line_ids == line_id))
    if not len(mine.cell_ids):
        return Delayed(
            np.zeros((0, len(manifest.features)), dtype=np.float32), mine.cell_ids, mine.dates[:0], {}
        )
    final = mine.dates[-1] - np.timedelta64(manifest.horizon_days - 1 + REACH_DAYS, "D")
    since = final - np.timedelta64(told.days - 1, "D")
    table = Recipe.from_description(manifest.recipe.description).table(mine, since)
    table = table.take((table.date <= final) & _taken(manifest, table.X))
    labels: LabelTable = label_table(mine, manifest.horizon_days).aligned(table.cell, table.date)
    names = [outcome.name for outcome in manifest.outcomes if outcome.name in labels.values]
    return Delayed(
        table.X, mine.cell_ids[table.cell], table.date, {name: labels.values[name] for name in names}
    )


def _taken(manifest: Manifest, X: Rows) -> Flags:
    """Return which rows (n,) the guard would let through: known where they must be, and in range."""
    good = np.ones(len(X), dtype=bool)
    for column, feature in enumerate(manifest.features):
        values = X[:, column]
        missing = np.isnan(values)
        inside = (values >= np.float32(feature.low)) & (values <= np.float32(feature.high))
        good &= inside | (missing & feature.may_be_missing)
    return good


def watch(
    manifest: Manifest,
    line_id: str,
    past: Delayed,
    answers: Mapping[str, Floats],
    settings: WatchSettings | None = None,
) -> LineErrors:
    """Return how wrong ``answers`` (output -> (n,)) to the rows of ``past`` were."""
    told = settings or WatchSettings()
    outcomes: dict[str, OutcomeError] = {}
    cells: dict[str, dict[str, OutcomeError]] = {}
    for info in manifest.outcomes:
        judge = _Judge.of(manifest, info.name, past, answers, told)
        outcomes[info.name] = judge.judge(np.ones(len(past.date), dtype=bool), (told.least, told.doubt))
        for cell in np.unique(past.cell_id).tolist():
            cells.setdefault(cell, {})[info.name] = judge.judge(
                past.cell_id == cell, (told.least_cell, told.doubt_cell)
            )
    targets = tuple(target.name for target in manifest.targets)
    return LineErrors(manifest.name, line_id, targets, outcomes, cells)


@dataclass(frozen=True)
class _Judge:
    """One outcome's errors, row by row: absolute, and in half-widths of the interval (above 1 = outside)."""

    outcome: str
    nominal: float
    training_mae: float | None
    horizon: int
    error: Floats
    score: Floats
    cell_id: NDArray[np.str_]
    date: NDArray[np.datetime64]
    settings: WatchSettings

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        outcome: str,
        past: Delayed,
        answers: Mapping[str, Floats],
        settings: WatchSettings,
    ) -> "_Judge":
        info = manifest.outcome(outcome)
        measured = past.measured.get(outcome, np.full(len(past.date), np.nan))
        mean, low, high = (answers[outcome + end] for end in ("", LOWER, UPPER))
        # An interval need not be even: each side is measured by its own half.
        half = np.where(measured >= mean, high - mean, mean - low)
        return cls(
            outcome,
            1.0 - info.interval.coverage,
            info.metrics.get(info.family, {}).get("mae"),
            manifest.horizon_days,
            np.abs(measured - mean),
            np.abs(measured - mean) / np.maximum(half, np.finfo(np.float64).tiny),
            past.cell_id,
            past.date,
            settings,
        )

    def judge(self, chosen: Flags, rule: tuple[float, float]) -> OutcomeError:
        """Return the verdict on the rows that ``chosen`` (n,) marks by ``rule``: least independent rows, and level."""
        least, level = rule
        known = chosen & np.isfinite(self.score)
        rows = int(known.sum())
        days = len(np.unique(self.date[known]))
        if not rows:
            return self._verdict((None, 0, 0, 0.0), None, 1.0, _SOUND, "sound")
        missed = self.score[known] > 1.0
        worth = self._worth(missed, known)
        share = float(missed.mean())
        recent = float(self.error[known].mean())
        doubt = _tail(share, worth, self.nominal)
        seen = (recent, days, rows, worth)
        if worth < least or doubt >= level:
            return self._verdict(seen, share, doubt, _SOUND, "sound")
        factor = max(_SOUND, _quantile(self.score[known], worth, 1.0 - self.nominal))
        far = bool(self.training_mae) and recent > self.settings.withhold_ratio * float(
            self.training_mae or 0.0
        )
        state: State = "withheld" if far or factor > self.settings.withhold_factor else "widened"
        return self._verdict(seen, share, doubt, factor, state)

    def _verdict(
        self,
        seen: tuple[float | None, int, int, float],
        missed: float | None,
        doubt: float,
        factor: float,
        state: State,
    ) -> OutcomeError:
        recent, days, rows, worth = seen
        return OutcomeError(
            self.outcome,
            recent,
            self.training_mae,
            days,
            rows,
            worth,
            missed,
            self.nominal,
            doubt,
            factor,
            state,
        )

    def _worth(self, missed: Flags, known: Flags) -> float:
        """Return how many independent rows the rows are worth.

        At most one a cell and horizon, for labels of neighbouring days share days. Less, by the design effect of
        cells or of weeks, where misses come in clusters.
        """
        day = (self.date[known] - self.date[known].min()).astype(np.int64)
        cells, cell = np.unique(self.cell_id[known], return_inverse=True)
        blocks = len(np.unique(cell * (int(day.max()) + 1) + day // self.horizon))
        effect = max(_design_effect(missed, group) for group in (cell, day // self.horizon))
        return min(float(blocks), len(missed) / effect) if len(cells) > 1 else float(blocks)


def _design_effect(missed: Flags, group: NDArray[np.intp]) -> float:
    """Return by how much clustering by ``group`` (n,) raises the variance of the share of ``missed`` (n,)."""
    share = float(missed.mean())
    alone = share * (1.0 - share) * len(missed)
    if alone == 0.0:
        return 1.0
    sums = np.bincount(group, weights=missed - share)
    return max(1.0, float((sums**2).sum()) / alone)


def _tail(share: float, worth: float, nominal: float) -> float:
    """Return the probability of ``share`` or more misses among ``worth`` rows that miss with ``nominal``."""
    rows = max(int(worth), 1)
    return tail(math.floor(share * rows + 1e-9), rows, nominal)


def _quantile(score: Floats, worth: float, coverage: float) -> float:
    """Return the conformal quantile of ``score``: with few rows a little beyond the coverage."""
    level = min(math.ceil((worth + 1.0) * coverage) / max(worth, 1.0), 1.0)
    return float(np.quantile(score, level, method="higher"))


def tell(metrics: Metrics, found: LineErrors) -> None:
    """Set the gauges of a model's errors on a line."""
    for outcome, error in found.outcomes.items():
        labels = (found.model, found.line_id, outcome)
        if error.ratio is not None:
            metrics.model_error.labels(*labels).set(error.ratio)
        metrics.widening.labels(*labels).set(_WITHHELD_GAUGE if error.state == "withheld" else error.factor)


def states(found: LineErrors) -> Iterator[dict[str, object]]:
    """Yield what ``POST /v1/quality`` tells of each outcome."""
    for error in found.outcomes.values():
        yield {
            "outcome": error.outcome,
            "recent_mae": error.recent_mae,
            "training_mae": error.training_mae,
            "ratio": error.ratio,
            "days": error.days,
            "state": error.state,
        }
