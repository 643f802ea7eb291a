"""What is served is what was scored: the bundle, opened as a service opens it, against the trained estimators.

The export compared its graph before anything was written. This looks at the written bundle through the predictor,
over the very rows that the test figures were computed from.
"""

from dataclasses import dataclass

import numpy as np

from experiments.summary import Parity
from features.bundle.parity import ABSOLUTE, RELATIVE
from features.errors import ExportError
from serving.predictor import Predictor
from training.export import BundleInfo
from training.fitted import FittedModel
from training.inputs import TrainingInputs


@dataclass(frozen=True)
class ServedParity:
    """The comparison, and how many held-out predictions were found again to the last figure."""

    summary: Parity
    heldout_rows: int


def served_parity(
    predictor: Predictor, fitted: FittedModel, inputs: TrainingInputs, info: BundleInfo
) -> ServedParity:
    """Compare the served predictions with the held-out ones, row by row.

    Raises:
        ExportError: a held-out row is answered otherwise, beyond 1e-6 relative, or is not among the features.
    """
    table = inputs.features
    place = {
        (str(table.cell_ids[cell]), day): row
        for row, (cell, day) in enumerate(
            zip(table.cell.tolist(), table.date.astype("datetime64[D]").tolist(), strict=True)
        )
    }
    worst, rows_seen = 0.0, 0
    for name, outcome in fitted.outcomes.items():
        held = outcome.heldout
        keys = zip(held.cell_id.tolist(), held.date.astype("datetime64[D]").tolist(), strict=True)
        rows = np.array([place.get(key, -1) for key in keys], dtype=np.intp)
        if (rows < 0).any():
            raise ExportError(f"{name}: {int((rows < 0).sum())} held-out rows are not among the features")
        answers = predictor.predict(table.X[rows])[name]
        off = np.abs(answers - held.predicted) / np.maximum(np.abs(held.predicted), ABSOLUTE / RELATIVE)
        worst, rows_seen = max(worst, float(off.max(initial=0.0))), rows_seen + len(rows)
        if not worst <= RELATIVE:
            at = int(np.argmax(off))
            raise ExportError(
                f"{name}: the bundle serves {answers[at]!r} for cell {held.cell_id[at]} on {held.date[at]}, the"
                f" figures were computed from {held.predicted[at]!r}; do not serve it"
            )
    return ServedParity(
        Parity(
            rows=info.rows_compared + rows_seen,
            beyond=0,
            tolerance=RELATIVE,
            worst_relative_difference=max(worst, info.largest_relative),
        ),
        rows_seen,
    )
