"""The figures that a run logs: what was predicted, how far off, how sure, from what, and what a lever would do."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from features.outcomes import OUTCOMES, TARGETS
from features.setpoints import Lever
from features.signals import SIGNALS
from training.fitted import FittedModel, FittedOutcome
from training.importance import importances, response
from training.inputs import TrainingInputs
from training.lever_effects import lever_effect
from training.rows import Rows
from training.testing import BASELINES

matplotlib.use("agg")

_INK, _SOFT, _MODEL, _BASE, _WARN = "#1f2933", "#9aa5b1", "#0b6e8a", "#c77700", "#b42318"
_WIDE, _SQUARE = (9.0, 4.6), (9.6, 4.9)
_ASKED_ROWS = 100
_SHOWN_COLUMNS = 15
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "figure.dpi": 120,
}

Draw: TypeAlias = Callable[[FittedOutcome, Rows, FittedModel], Figure]


def draw(fitted: FittedModel, inputs: TrainingInputs, folder: Path) -> list[Path]:
    """Draw the figures of every outcome (of the targets more) below ``folder`` and return the files (PNG)."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = inputs.rows()
    asked = rows.take(rows.date >= fitted.data.test_first_day)
    helpers: Mapping[str, Draw] = {
        "predicted": predicted_against_measured,
        "coverage": interval_coverage,
        "levers": lever_response,
    }
    targets = {**helpers, "residuals": residuals, "families": families, "importance": importance}
    files: list[Path] = []
    with matplotlib.rc_context(_STYLE):
        for name, outcome in fitted.outcomes.items():
            for kind, make in (targets if name in TARGETS else helpers).items():
                figure = make(outcome, asked, fitted)
                _sign(figure, fitted)
                files.append(folder / f"{name}.{kind}.png")
                figure.savefig(files[-1], metadata={"Software": None})
    return files


def predicted_against_measured(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return the test days, measured against predicted: the champion beside persistence."""
    figure = Figure(figsize=_SQUARE, layout="constrained")
    held = outcome.heldout
    pairs = ((outcome.family, _MODEL), ("persistence", _BASE))
    edge = np.quantile(
        np.concatenate([held.y, *(held.predictions[name] for name, _ in pairs)]), [0.001, 0.999]
    )
    pad = 0.05 * (edge[1] - edge[0])
    for axes, (name, colour) in zip(figure.subplots(1, 2, sharex=True, sharey=True), pairs, strict=True):
        score = outcome.scores[name]
        axes.plot(edge, edge, color=_SOFT, linewidth=1, zorder=1, label="predicted = measured")
        for young, marker, size in ((False, "o", 7), (True, "^", 16)):
            mask = held.mature != young
            if mask.any():
                label = "young cell" if young else "mature cell"
                axes.scatter(
                    held.predictions[name][mask],
                    held.y[mask],
                    s=size,
                    marker=marker,
                    color=_WARN if young else colour,
                    alpha=0.35,
                    linewidths=0,
                    label=label,
                )
        axes.set(xlim=(edge[0] - pad, edge[1] + pad), ylim=(edge[0] - pad, edge[1] + pad))
        axes.set_title(f"{_family(name)}: MAE {score.mae:.3g} {_unit(held.unit)}, R² {score.r2:.2f}")
        axes.set_xlabel(f"predicted [{_unit(held.unit)}]")
    figure.axes[0].set_ylabel(f"measured {_meaning(outcome)} [{_unit(held.unit)}]")
    figure.axes[0].legend(loc="upper left", markerscale=1.6)
    figure.suptitle(f"{_title(outcome)}, test days {held.date.min()} to {held.date.max()}")
    return figure


def residuals(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return measured minus predicted by regime and by month: the champion beside persistence."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes: Axes = figure.subplots()
    held = outcome.heldout
    month = held.date.astype("datetime64[M]").astype(str)
    groups = {"mature": held.mature, "young": ~held.mature} | {
        name: month == name for name in np.unique(month)
    }
    groups = {name: mask for name, mask in groups.items() if mask.sum() >= 10}
    for shift, name, colour in ((-0.18, outcome.family, _MODEL), (0.18, "persistence", _BASE)):
        axes.boxplot(
            [held.y[mask] - held.predictions[name][mask] for mask in groups.values()],
            positions=np.arange(len(groups)) + shift,
            widths=0.3,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": colour, "alpha": 0.5, "edgecolor": colour},
            medianprops={"color": _INK},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            label=_family(name),
        )
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.set_xticks(
        np.arange(len(groups)), [f"{name}\n({int(mask.sum())} rows)" for name, mask in groups.items()]
    )
    axes.set_ylabel(f"measured - predicted [{_unit(held.unit)}]")
    axes.set_title(f"{_title(outcome)}: errors on the test days (box 25-75 %, whiskers 5-95 %)")
    axes.legend(loc="best")
    return figure


def families(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return every family's and baseline's error on the test days, with its 95 % interval."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes: Axes = figure.subplots()
    order = sorted(outcome.scores, key=lambda name: -outcome.scores[name].mae)
    for place, name in enumerate(order):
        score = outcome.scores[name]
        colour = _BASE if name in BASELINES else _MODEL
        chosen = name == outcome.family
        axes.barh(place, score.mae, color=colour, alpha=1.0 if chosen else 0.45, height=0.7)
        axes.plot([score.mae_low, score.mae_high], [place, place], color=_INK, linewidth=1.2)
        axes.text(score.mae_high, place, f"  {score.mae:.3g}   R² {score.r2:.2f}", va="center", color=_INK)
    labels = [f"{_family(name)}{' (champion)' if name == outcome.family else ''}" for name in order]
    axes.set_yticks(np.arange(len(order)), labels)
    axes.set_xlim(0, 1.25 * max(score.mae_high for score in outcome.scores.values()))
    axes.set_xlabel(f"mean absolute error on the test days [{_unit(outcome.unit)}], line: 95 % interval")
    axes.set_title(f"{_title(outcome)}: families (blue) against baselines (orange)")
    return figure


def interval_coverage(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return the share of test rows inside the interval: overall, by regime, by month."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes: Axes = figure.subplots()
    nominal = outcome.interval.coverage
    axes.axhline(nominal, color=_INK, linewidth=1, linestyle="--", label=f"promised: {nominal:.0%}")
    for place, found in enumerate(outcome.coverage.values()):
        axes.plot([place, place], [found.low, found.high], color=_MODEL, linewidth=2)
        axes.plot(place, found.share, "o", color=_MODEL, markersize=7)
        axes.annotate(
            f"{found.share:.0%}",
            (place, found.share),
            textcoords="offset points",
            xytext=(9, 0),
            va="center",
        )
    labels = [
        f"{name}\n({found.rows} rows)\n±{found.half_width:.3g} {_unit(outcome.unit)}"
        for name, found in outcome.coverage.items()
    ]
    axes.set_xticks(np.arange(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.3)
    axes.set_ylim(min(0.5, *(found.low for found in outcome.coverage.values())) - 0.03, 1.02)
    axes.set_ylabel("share of rows inside the interval")
    axes.set_title(f"{_title(outcome)}: coverage on the test days, with 95 % intervals and mean half-width")
    axes.legend(loc="lower right")
    return figure


def importance(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return the signals whose shuffling hurts most on the test days."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes: Axes = figure.subplots()
    known = rows.take(np.isfinite(rows.y[outcome.name]))
    found = importances(outcome.structure, known.z, known.y[outcome.name], rows.names, fitted.seed)
    shown = found[:_SHOWN_COLUMNS][::-1]
    moves = {f"{lever.name}_move" for lever in rows.levers}
    colours = [_WARN if item.name in moves else _MODEL for item in shown]
    axes.barh(np.arange(len(shown)), [item.loss for item in shown], color=colours, alpha=0.8, height=0.7)
    axes.set_yticks(np.arange(len(shown)), [item.name for item in shown])
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlabel(f"mean absolute error gained by shuffling the signal [{_unit(outcome.unit)}]")
    axes.set_title(f"{_title(outcome)}: what the champion listens to (red: a lever's move)")
    return figure


def lever_response(outcome: FittedOutcome, rows: Rows, fitted: FittedModel) -> Figure:
    """Return the expected effect of moving each lever alone, with the members' spread and what physics expects."""
    levers = [lever for lever in fitted.window.levers if lever.name in {place.name for place in rows.levers}]
    figure = Figure(figsize=(3.1 * max(len(levers), 2), 3.9), layout="constrained")
    asked = np.linspace(0, len(rows) - 1, min(len(rows), _ASKED_ROWS)).astype(int)
    z = rows.z[asked]
    grid = figure.subplots(1, len(levers), sharey=True, squeeze=False)[0]
    for axes, lever in zip(grid, levers, strict=True):
        _one_lever(axes, outcome, lever, rows, z)
    grid[0].set_ylabel(f"change of {_meaning(outcome)} [{_unit(outcome.unit)}]")
    grid[0].legend(loc="best", fontsize=8)
    figure.suptitle(f"{_title(outcome)}: effect of a move, mean of {len(z)} recent decisions, all else held")
    return figure


def _one_lever(
    axes: Axes,
    outcome: FittedOutcome,
    lever: Lever,
    rows: Rows,
    z: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
) -> None:
    place = next(place for place in rows.levers if place.name == lever.name)
    moves = np.linspace(-lever.window, lever.window, 9)
    found = response(outcome.structure, z, place, moves)
    axes.fill_between(
        moves, found.effect.min(axis=1), found.effect.max(axis=1), color=_MODEL, alpha=0.2, label="members"
    )
    axes.plot(moves, found.mean, color=_MODEL, linewidth=2, label="model")
    prior = lever_effect(outcome.name, lever.name)
    if prior is not None:
        axes.plot(
            moves, prior.mean * moves, color=_BASE, linestyle="--", linewidth=1.2, label="physics expects"
        )
    axes.axhline(0, color=_SOFT, linewidth=0.8)
    axes.axvline(0, color=_SOFT, linewidth=0.8)
    axes.set_xlabel(f"{SIGNALS[lever.name].meaning}\nmove [{lever.unit}]")


def _unit(unit: str) -> str:
    return {"degC": "°C", "fraction": "-"}.get(unit, unit)


def _meaning(outcome: FittedOutcome) -> str:
    return OUTCOMES[outcome.name].meaning


def _title(outcome: FittedOutcome) -> str:
    meaning = _meaning(outcome)
    return meaning[0].upper() + meaning[1:]


def _family(name: str) -> str:
    return {
        "cell_mean": "cell mean",
        "running_estimate": "running estimate",
        "ridge_plain": "plain ridge",
    }.get(name, name)


def _sign(figure: Figure, fitted: FittedModel) -> None:
    """Say under the axes what the data are."""
    source = "SIMULATED line" if fitted.data.simulated else fitted.plant.name
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(rect=(0, 0.035, 1, 0.965))
    figure.text(
        0.99,
        0.012,
        f"{source}, data {fitted.data.sha256[:8]}, seed {fitted.seed}",
        ha="right",
        va="bottom",
        fontsize=7,
        color=_SOFT,
    )
