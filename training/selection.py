"""Choosing on validation blocks: blend weights, champions, and honest out-of-block errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.estimators.blend import blend_weights
from training.families import Fitted
from training.rolling import Origin
from training.rows import Rows
from training.scores import mae
from training.structures import Bools, Floats, Ints, predict

BLEND = "blend"
_LEAST_ROWS = 50
_CLEAR = 2.0
"""Standard errors by which a single family must beat the blend: with few cells the winner of a validation is often
luck, and a combination is rarely far from the best of its parts."""


@dataclass(frozen=True)
class Validation:
    """One outcome on the validation blocks: v rows that no model had seen.

    outcome: its name; row (v,) ascending index into the training rows; block (v,) which block; cell (v,);
    decides (v,): rows whose error chooses, those of mature cells, because young ones get no advice and a start-up's
    large errors would outvote a line; y (v,); predictions: family -> (v,).
    """

    outcome: str
    row: Ints
    block: Ints
    cell: Ints
    decides: Bools
    y: Floats
    predictions: Mapping[str, Floats]


def validate(
    rows: Rows, cuts: Sequence[Origin], fitted: Sequence[Fitted], outcome: str, mature: Bools
) -> Validation:
    """Return what every family of ``outcome``, fitted at each cut, predicted of the block after it.

    mature: (n,) rows of mature cells. Where too few lie in the blocks, all rows decide.
    """
    masks = [cut.block(rows, outcome) for cut in cuts]
    index = [np.flatnonzero(mask) for mask in masks]
    predictions = {
        family: np.concatenate(
            [
                predict(models[outcome][family], rows.z[mask])
                for models, mask in zip(fitted, masks, strict=True)
            ]
        )
        for family in fitted[0][outcome]
    }
    row = np.concatenate(index)
    block = np.concatenate([np.full(len(part), i) for i, part in enumerate(index)])
    decides = mature[row] if mature[row].sum() >= _LEAST_ROWS else np.ones(len(row), dtype=bool)
    return Validation(outcome, row, block, rows.cell[row], decides, rows.y[outcome][row], predictions)


@dataclass(frozen=True)
class Choice:
    """What the blocks decided for one outcome.

    family: the champion; weights: of the blend; validation: family -> mean absolute error; error (v,) the
    champion's out-of-block errors, label minus prediction, none of whose weights saw its own block.
    """

    family: str
    weights: Mapping[str, float]
    validation: Mapping[str, float]
    error: Floats


def choose(validation: Validation) -> Choice:
    """Return the champion: the blend of all, or the one family that clearly beats it on the blocks.

    The blend is judged with weights from the other blocks, so it is not favoured for having been fitted here.
    """
    single, on = dict(validation.predictions), validation.decides
    weights = _weights(validation, on)
    every = {**single, BLEND: _out_of_block(validation)}
    figures = {family: mae(validation.y[on], predicted[on]) for family, predicted in every.items()}
    best = min(single, key=lambda name: figures[name])
    family = best if _clearly_better(validation, every[best], every[BLEND]) else BLEND
    return Choice(family, weights, figures, validation.y - every[family])


def _clearly_better(validation: Validation, one: Floats, other: Floats) -> bool:
    """Say whether ``one`` (v,) errs less than ``other`` by more than chance: paired, with whole cells as the sample."""
    on = validation.decides
    gain = (np.abs(validation.y - other) - np.abs(validation.y - one))[on]
    cells = np.unique(validation.cell[on], return_inverse=True)[1]
    total, count = np.bincount(cells, gain), np.bincount(cells)
    if len(total) < 2:
        return False
    mean = float(gain.mean())
    error = float(np.sqrt(np.square(total - mean * count).sum() * len(total) / (len(total) - 1)) / len(gain))
    return mean > _CLEAR * error


def _weights(validation: Validation, chosen: Bools) -> dict[str, float]:
    return blend_weights(
        {name: values[chosen] for name, values in validation.predictions.items()}, validation.y[chosen]
    )


def _out_of_block(validation: Validation) -> Floats:
    out = np.empty(len(validation.y))
    for block in np.unique(validation.block):
        here: Bools = validation.block == block
        rest = ~here & validation.decides
        weights = _weights(validation, rest if rest.sum() >= _LEAST_ROWS else validation.decides)
        terms = [weight * validation.predictions[name][here] for name, weight in weights.items()]
        out[here] = np.sum(terms, axis=0)
    return out
