"""Does the graph answer what the trained estimators answer? Row by row, or the export fails."""

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from features.bundle.graph import FEATURES
from features.bundle.parity import RELATIVE, Parity, own_rows
from features.errors import ExportError
from training.export.edges import extremes, landmarks, plant
from training.export.graph import answers
from training.fitted import FittedModel
from training.structures import Floats

Rows = NDArray[np.float32]

_BATCH = 2048
_NAMED = 5
"""Rows that an error names one by one."""


@dataclass(frozen=True)
class ParityPlan:
    """How many rows are compared before a bundle is written, and how many of them stay in it.

    checked: rows taken evenly from those given; planted: rows made on and beside thresholds; stored: rows kept.
    """

    checked: int = 4096
    planted: int = 4096
    stored: int = 256

    def __post_init__(self) -> None:
        """Refuse a plan that checks nothing."""
        if min(self.checked, self.planted) < 1 or self.stored < 3:
            raise ValueError(f"{self} compares nothing; give counts of at least 1, and store 3 or more")


@dataclass(frozen=True)
class ParityReport:
    """What was compared: the rows to store, how many rows were compared, the largest relative difference."""

    stored: Parity
    rows: int
    largest_relative: float


def check_parity(fitted: FittedModel, model: bytes, rows: Rows, plan: ParityPlan) -> ParityReport:
    """Compare the graph ``model`` with ``fitted`` on ``rows`` (n, d) and on rows planted from them.

    Raises:
        ExportError: a row differs by more than 1e-6 relative, or is answered by no number; names the rows.
    """
    given = rows[_evenly(len(rows), plan.checked)]
    edge = plant(given, landmarks(fitted.outcomes), fitted.recipe.lever_columns, plan.planted, fitted.seed)
    ends = extremes(given)
    everything = np.concatenate([given, edge, ends])
    parity = expected(fitted, everything)
    answered = run_graph(model, everything)
    _refuse_differences(fitted, parity, answered)
    third = plan.stored // 3
    keep = np.concatenate(
        [
            _evenly(len(given), own_rows(plan.stored)),
            len(given) + _evenly(len(edge), third),
            len(given) + len(edge) + _evenly(len(ends), third),
        ]
    )
    return ParityReport(parity.take(keep), len(everything), parity.largest_relative(answered))


def expected(fitted: FittedModel, rows: Rows) -> Parity:
    """Return the trained estimators' answers to ``rows`` (n, d).

    Raises:
        ExportError: an estimator answers a row with no finite number.
    """
    parts = [answers(fitted, fitted.design(part)) for part in _batches(rows)]
    try:
        return Parity(rows, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    except ValueError as error:
        raise ExportError(
            f"the trained estimators cannot be compared: {error}; look at their structures"
        ) from error


def run_graph(model: bytes, rows: Rows) -> dict[str, Floats]:
    """Return the graph's answers to ``rows`` (n, d), computed in one runtime thread as the service does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    parts = [session.run(names, {FEATURES: part}) for part in _batches(rows)]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


def _refuse_differences(fitted: FittedModel, parity: Parity, answered: dict[str, Floats]) -> None:
    broken = parity.broken(answered)
    if not broken:
        return
    told = []
    for name, rows in broken.items():
        named = ", ".join(_difference(parity, answered, name, row) for row in rows[:_NAMED])
        told.append(f"{name}: {len(rows)} of {len(parity.features)} rows ({named})")
    raise ExportError(
        f"the graph differs from the trained estimators by more than {RELATIVE:g} relative: {'; '.join(told)}."
        f" Nothing was written; {_cause(fitted, parity, broken)}"
    )


def _cause(fitted: FittedModel, parity: Parity, broken: dict[str, NDArray[np.intp]]) -> str:
    """Say whether the estimators agree with themselves: a sum that cancels depends on the company of a row."""
    for name, rows in broken.items():
        few = rows[:_NAMED]
        alone = np.concatenate(
            [answers(fitted, fitted.design(parity.features[row][None]))[name] for row in few]
        )
        batch = parity.expected[name][few]
        if (np.abs(alone - batch) > 0.01 * RELATIVE * np.abs(batch)).any():
            return (
                f"the estimator of {name} itself answers row {few[0]} otherwise alone than in a batch: its weights"
                " cancel (a column that hardly varies was scaled up), train it without that column"
            )
    return "the structure of these outcomes is not exported exactly"


def _difference(parity: Parity, answered: dict[str, Floats], name: str, row: np.intp) -> str:
    got, want = np.atleast_1d(answered[name][row]), np.atleast_1d(parity.expected[name][row])
    worst = int(np.argmax(np.where(np.isfinite(got), np.abs(got - want), np.inf)))
    return f"row {row}: {float(got[worst])!r} for {float(want[worst])!r}"


def _evenly(n: int, count: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.intp))


def _batches(rows: Rows) -> list[Rows]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
