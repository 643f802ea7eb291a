"""The evidence behind the headline figures: held-out rows, the line day by day, lever response, what a model uses."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.report.content import Fit, LineDays, Residual, Response
from experiments.report.numbers import lever_words
from features.bundle.manifest import LeverInfo
from features.outcomes import TARGETS
from features.recipe import FeatureTable
from serving.predictor import Predictor
from training.fitted import FittedModel
from training.heldout import HeldOut
from training.importance import importances
from training.inputs import TrainingInputs
from training.structures import Floats

DOTS: Final = 1200
"""Dots of a scatter: more make the page heavy and say no more."""
_STEPS: Final = 21
_RESPONDING: Final = (*TARGETS, "mean_superheat_c", "mean_bath_temperature_c")
_MOST_RESPONSES: Final = 3
_AGE: Final = "cell_age_d_last"

Rows = NDArray[np.float32]


def fits(heldout: Mapping[str, HeldOut], seed: int) -> list[Fit]:
    """Return measured and predicted of every outcome on the held-out rows, a seeded sample where there are many."""
    found = []
    for name, rows in heldout.items():
        count = len(rows.y)
        picked = np.sort(np.random.default_rng(seed).permutation(count)[:DOTS])
        dots = rows.y[picked].tolist(), rows.predicted[picked].tolist()
        found.append(Fit(name, *dots, tuple(_residuals(rows))))
    return found


def _residuals(rows: HeldOut) -> Iterator[Residual]:
    off = rows.predicted - rows.y
    for group, mask in (("young", ~rows.mature), ("mature", rows.mature)):
        if mask.any():
            low, high = np.quantile(off[mask], [0.1, 0.9])
            yield Residual(group, int(mask.sum()), float(off[mask].mean()), float(low), float(high))


def line_days(heldout: Mapping[str, HeldOut]) -> list[LineDays]:
    """Return the line's daily means of every outcome on the held-out days."""
    found = []
    for name, rows in heldout.items():
        dates, at = np.unique(rows.date.astype("datetime64[D]"), return_inverse=True)
        count = np.bincount(at)

        def mean(values: Floats, at: NDArray[np.intp] = at, count: NDArray[np.intp] = count) -> Floats:
            return np.asarray(np.bincount(at, weights=values) / count)

        predicted, half = mean(rows.predicted), mean(rows.half_width)
        found.append(
            LineDays(
                name=name,
                dates=[str(date) for date in dates],
                measured=mean(rows.y).tolist(),
                predicted=predicted.tolist(),
                lower=(predicted - half).tolist(),
                upper=(predicted + half).tolist(),
            )
        )
    return found


def responses(predictor: Predictor, today: FeatureTable, mature_from_d: float) -> list[Response]:
    """Return how the predicted outcomes follow each lever alone, over the mature cells as they stand today."""
    rows = today.X[_mature(today, mature_from_d)]
    manifest = predictor.manifest
    known = {outcome.name for outcome in manifest.outcomes}
    shown = [name for name in _RESPONDING if name in known][:_MOST_RESPONSES]
    if not len(rows) or not shown:
        return []
    found = []
    for info, (column, _) in zip(manifest.levers, manifest.lever_columns, strict=True):
        moves = np.linspace(-info.window, info.window, _STEPS)
        answers = [predictor.predict(_moved(rows, column, move, info)) for move in moves]
        found += [
            _response(info, name, moves, np.stack([answer[name] for answer in answers])) for name in shown
        ]
    return found


def importance(
    fitted: FittedModel, inputs: TrainingInputs, meter: Callable[[float, float], None]
) -> dict[str, list[tuple[str, float]]]:
    """Return target -> (column, share), the largest first: what the champion leans on, on the test days.

    Shares are of the error that shuffling every column adds; a column whose shuffling helps by chance counts as none.
    """
    rows = inputs.rows()
    asked = rows.take(rows.date >= fitted.data.test_first_day)
    known = [name for name in TARGETS if name in fitted.outcomes]
    found = {}
    for done, name in enumerate(known):
        meter(done, len(known))
        with_label = asked.take(np.isfinite(asked.y[name]))
        structure = fitted.outcomes[name].structure
        losses = importances(structure, with_label.z, with_label.y[name], asked.names, fitted.seed)
        total = sum(max(0.0, item.loss) for item in losses) or 1.0
        found[name] = [(item.name, item.loss / total) for item in losses if item.loss > 0]
    return found


def _mature(today: FeatureTable, mature_from_d: float) -> NDArray[np.bool_]:
    if _AGE not in today.names:
        return np.ones(len(today), dtype=bool)
    return np.asarray(today.column(_AGE) >= mature_from_d)


def _moved(rows: Rows, column: int, move: float, info: LeverInfo) -> Rows:
    """Set the lever ``move`` away from where each row has it, inside its bounds."""
    out = rows.copy()
    out[:, column] = np.clip(rows[:, column].astype(np.float64) + move, info.low, info.high)
    return out


def _response(info: LeverInfo, outcome: str, moves: Floats, answers: Floats) -> Response:
    change = answers - answers[len(moves) // 2]
    low, high = np.quantile(change, [0.1, 0.9], axis=1)
    return Response(
        lever=info.name,
        lever_unit=info.unit,
        lever_words=lever_words(info.name),
        outcome=outcome,
        moves=moves.tolist(),
        change=change.mean(axis=1).tolist(),
        low=low.tolist(),
        high=high.tolist(),
    )
