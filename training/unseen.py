"""Cells that no fit has seen: the champions fitted without some cells, asked about those cells' test days."""

from collections.abc import Callable, Mapping

import numpy as np

from training.estimators.baselines import cell_mean
from training.estimators.blend import blend
from training.estimators.effects import EFFICIENCY, MEAN_VOLTAGE
from training.families import (
    ENERGY,
    Fitted,
    Workshop,
    add_composed,
    fit_origins,
    plain_ridge,
    workshop,
)
from training.rolling import Origin
from training.scores import Score, block_draws, score
from training.selection import BLEND, Choice
from training.splits import cell_folds
from training.structures import Bools, Floats, Structure, predict

_MEMBERS = 2
"""Members of these fits: their mean is what is judged, not their spread."""


def champion(choice: Choice, families: Mapping[str, Structure]) -> Structure:
    """Return the structure that ``choice`` made champion."""
    return blend(choice.weights, families) if choice.family == BLEND else families[choice.family]


def unseen_cells(
    shop: Workshop,
    cut: Origin,
    choices: Mapping[str, Choice],
    targets: tuple[str, ...],
    tick: Callable[[], None],
) -> dict[str, dict[str, Score]]:
    """Return target -> {champion, cell_mean, ridge_plain} -> errors on the test days of cells left out of the fit.

    Every cell is left out once, in ``settings.cell_folds`` groups. A cell without history of its own is what a plant
    faces after a relining; ``cell_mean`` is then the mean of the other cells.
    """
    rows = shop.rows
    groups = cell_folds(rows.cell, shop.settings.cell_folds, shop.settings.seed)
    needed = [name for name in choices if name in {*targets, ENERGY, MEAN_VOLTAGE, EFFICIENCY}]
    found: dict[str, dict[str, Floats]] = {
        name: {key: np.full(len(rows), np.nan) for key in ("champion", "cell_mean", "ridge_plain")}
        for name in targets
    }
    weights = {name: choice.weights for name, choice in choices.items()}
    for group in np.unique(groups):
        out = groups == group
        part = workshop(rows.take(~out), shop.settings, _MEMBERS)
        fitted: list[Fitted] = fit_origins(part, [cut], needed, tick)
        add_composed(part, [cut], fitted, weights)
        for name in targets:
            train = cut.train(part.rows, name)
            asked = rows.take(out)
            found[name]["champion"][out] = predict(champion(choices[name], fitted[0][name]), asked.z)
            found[name]["cell_mean"][out] = cell_mean(asked, part.rows.take(train), name)
            found[name]["ridge_plain"][out] = predict(plain_ridge(part, name, train), asked.z)
    return {name: _scores(shop, cut.block(rows, name), name, found[name]) for name in targets}


def _scores(shop: Workshop, here: Bools, name: str, found: Mapping[str, Floats]) -> dict[str, Score]:
    if not here.any():
        return {}
    draws = block_draws(shop.rows.cell[here], shop.rows.date[here], shop.settings.seed)
    y = shop.rows.y[name][here]
    return {key: score(y, values[here], draws) for key, values in found.items()}
