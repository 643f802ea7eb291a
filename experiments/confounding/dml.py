"""The slopes by DoubleML: partially linear instrumental regression with errors clustered two ways.

The nuisance models are ours (other cells, other times, a gap as long as a label reaches), so the library is handed
residuals; what it adds is the orthogonal score, its solution and the variance of Chiang, Kato, Ma and Sasaki,
"Multiway cluster robust double/debiased machine learning", JBES 40 (2022), 1046-1056. It solves one lever at a time:
the instruments are turned so that each moves one lever alone, and the other levers' effects are taken off the outcome.
"""

import warnings
from typing import Final

import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor

from training.identification.assess import Residuals
from training.identification.slope import Slope, System
from training.structures import Floats, Ints

FOLDS: Final = 2
"""Parts that the library sums clusters within, each way."""
_SEED: Final = 7


def by_doubleml(residual: Residuals, outcome: str, columns: Ints) -> list[Slope] | None:
    """Return the slopes of the levers at ``columns`` (j,) on ``outcome``; None where clusters are too few."""
    known = residual.known(outcome)
    moves = residual.moves
    keys = pd.DataFrame({"cell": moves.cell[known], "fortnight": moves.fortnight[known]})
    groups = int(keys.nunique().min())
    if groups < 2 * FOLDS:
        return None
    held, left = residual.held[known][:, columns], residual.left[outcome][known]
    system = System.solve(residual.own[known][:, columns], held, left)
    found = []
    for j in range(len(columns)):
        alone = left - held @ system.value + held[:, j] * system.value[j]
        frame = keys.assign(y=alone, d=held[:, j], z=_scaled(system.turned[:, j]), x=0.0)
        value, error = _fit(frame)
        found.append(Slope(value, error, groups - 1, len(frame)))
    return found


def _fit(frame: pd.DataFrame) -> tuple[float, float]:
    """Return (slope, standard error) of residuals y on d by z, clustered by cell and fortnight."""
    import doubleml  # here: it brings plotting libraries, and only the report needs it

    data = doubleml.DoubleMLData(
        frame, y_col="y", d_cols="d", z_cols="z", x_cols="x", cluster_cols=["cell", "fortnight"]
    )
    state = np.random.get_state()
    np.random.seed(_SEED)  # the library splits clusters by NumPy's global generator
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = DummyRegressor(strategy="constant", constant=0.0)
            model = doubleml.DoubleMLPLIV(data, learner, learner, learner, n_folds=FOLDS)
            nothing = np.zeros((len(frame), 1))
            model.fit(external_predictions={"d": dict.fromkeys(("ml_l", "ml_m", "ml_r"), nothing)})
    finally:
        np.random.set_state(state)
    return float(model.coef[0]), float(model.se[0])


def _scaled(values: Floats) -> Floats:
    """Return ``values`` (n,) in units of their spread: an instrument has no unit of its own."""
    return np.asarray(values / max(float(values.std()), 1e-300))
