"""The evidence behind the headline figures: held-out rows, the line day by day, lever response, what a model uses."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.report.content import Fit, LineDays, Residual, Response
from experiments.report.numbers import lever_words
from features.bundle.manifest import LeverInfo
from features.outcomes import TARGETS
from features.recipe import FeatureTable
from serving.predictor import Predictor
from training.heldout import HeldOut
from training.structures import Floats

DOTS: Final = 1200
"""Dots of a scatter: more make the page heavy and say no more."""
_STEPS: Final = 21
_IMPORTANCE_ROWS: Final = 400
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
    predictor: Predictor,
    table: FeatureTable,
    labels: Mapping[str, Floats],
    seed: int,
    meter: Callable[[float, float], None],
) -> dict[str, list[tuple[str, float]]]:
    """Return target -> (feature, share), the largest first: how much worse a prediction gets with a column shuffled.

    Measured through the bundle itself, so it says what the served model leans on, whatever family it is; ``labels``
    are (n,) beside ``table``. Shares are of all columns' loss, negative ones (noise) counted as none.
    """
    known = [name for name in TARGETS if name in {o.name for o in predictor.manifest.outcomes}]
    rng = np.random.default_rng(seed)
    with_label = np.flatnonzero(np.isfinite(np.stack([labels[name] for name in known])).all(axis=0))
    picked = np.sort(rng.permutation(with_label)[:_IMPORTANCE_ROWS])
    rows = table.X[picked]
    base = _errors(predictor, rows, {name: labels[name][picked] for name in known})
    worse: dict[str, list[tuple[str, float]]] = {name: [] for name in known}
    for index, feature in enumerate(table.names):
        meter(index, len(table.names))
        shuffled = rows.copy()
        shuffled[:, index] = rows[rng.permutation(len(rows)), index]
        errors = _errors(predictor, shuffled, {name: labels[name][picked] for name in known})
        for name in known:
            worse[name].append((feature, max(0.0, errors[name] - base[name])))
    return {name: _shares(losses) for name, losses in worse.items()}


def _shares(losses: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    total = sum(loss for _, loss in losses) or 1.0
    return sorted(((name, loss / total) for name, loss in losses if loss > 0), key=lambda item: -item[1])


def _errors(predictor: Predictor, rows: Rows, y: Mapping[str, Floats]) -> dict[str, float]:
    answers = predictor.predict(rows)
    return {name: float(np.abs(answers[name] - values).mean()) for name, values in y.items()}


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
