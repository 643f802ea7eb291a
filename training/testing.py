"""What the test days say of a champion: errors beside the baselines, coverage by regime and month, unseen cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.outcomes import OUTCOMES
from training.anchors import RUNNING
from training.confidence import Interval
from training.estimators.baselines import cell_mean, persistence
from training.families import Workshop, plain_ridge
from training.heldout import HeldOut
from training.rolling import Origin
from training.rows import Rows
from training.scores import Coverage, Score, block_draws, coverage, score
from training.structures import Bools, Floats, Structure, predict

BASELINES = ("persistence", "running_estimate", "cell_mean", "ridge_plain")
_LEAST_MONTH = 30


@dataclass(frozen=True)
class Tested:
    """One outcome on the test days: row by row, and in figures (``scores`` by family, of mature cells apart)."""

    heldout: HeldOut
    scores: Mapping[str, Score]
    scores_mature: Mapping[str, Score]
    coverage: Mapping[str, Coverage]


def baselines(shop: Workshop, outcome: str, cut: Origin, here: Bools) -> dict[str, Floats]:
    """Return baseline -> prediction of the rows ``here`` (n,), from what was known at ``cut`` or on the day."""
    rows, asked = shop.rows, shop.rows.take(here)
    train = cut.train(rows, outcome)
    known = rows.take(train)
    fallback = float(np.mean(known.y[outcome]))
    last = persistence(asked, rows, outcome)
    out = {"persistence": np.where(np.isfinite(last), last, fallback)}
    column = RUNNING.get(outcome)
    if column in rows.names:
        estimate = asked.z[:, rows.column(column)]
        out["running_estimate"] = np.where(np.isfinite(estimate), estimate, fallback)
    out["cell_mean"] = cell_mean(asked, known, outcome)
    out["ridge_plain"] = predict(plain_ridge(shop, outcome, train), asked.z)
    return out


def test(
    shop: Workshop,
    outcome: str,
    cut: Origin,
    champion: tuple[str, Interval],
    families: Mapping[str, Structure],
    cell_ids: Sequence[str],
) -> Tested:
    """Return how ``families`` (the champion among them) did on the test days that follow ``cut``."""
    here = cut.block(shop.rows, outcome)
    rows = shop.rows.take(here)
    predictions = baselines(shop, outcome, cut, here)
    predictions |= {name: predict(structure, rows.z) for name, structure in families.items()}
    family, interval = champion
    heldout = HeldOut(
        outcome=outcome,
        unit=OUTCOMES[outcome].unit,
        family=family,
        cell_id=np.asarray(cell_ids, dtype=np.str_)[rows.cell],
        date=rows.date,
        mature=mature(rows, interval),
        y=rows.y[outcome],
        half_width=interval.half_width(rows.z),
        predictions=predictions,
    )
    everyone = np.ones(len(rows), dtype=bool)
    return Tested(
        heldout=heldout,
        scores=_scores(rows, heldout, everyone, shop.settings.seed),
        scores_mature=_scores(rows, heldout, heldout.mature, shop.settings.seed),
        coverage=_coverages(rows, heldout, shop.settings.seed),
    )


def mature(rows: Rows, interval: Interval) -> Bools:
    """Return (n,): which rows ``interval`` reads as mature."""
    return np.asarray(rows.z[:, interval.age_column] >= interval.mature_from_d)


def _scores(rows: Rows, heldout: HeldOut, mask: Bools, seed: int) -> dict[str, Score]:
    if mask.sum() < _LEAST_MONTH:
        return {}
    draws = block_draws(rows.cell[mask], rows.date[mask], seed)
    return {name: score(heldout.y[mask], values[mask], draws) for name, values in heldout.predictions.items()}


def _coverages(rows: Rows, heldout: HeldOut, seed: int) -> dict[str, Coverage]:
    month = heldout.date.astype("datetime64[M]")
    groups = {"overall": np.ones(len(rows), dtype=bool), "mature": heldout.mature, "young": ~heldout.mature}
    groups |= {str(value): month == value for value in np.unique(month)}
    return {
        name: coverage(
            heldout.y[mask],
            heldout.predicted[mask],
            heldout.half_width[mask],
            block_draws(rows.cell[mask], rows.date[mask], seed),
        )
        for name, mask in groups.items()
        if mask.sum() >= _LEAST_MONTH
    }
