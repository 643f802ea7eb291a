"""The design matrix: recipe features in double, and each lever's move beside them.

Estimators see nothing else. The move is the difference of two float32 numbers taken in double, which is exact, so
the exported graph forms the very same number with Cast, Gather, Sub and Concat.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError

LeverColumns = Sequence[tuple[int, int]]
"""(lever column, reference column) of each lever, as indices into the recipe's features."""


def design(X: NDArray[np.float32], levers: LeverColumns) -> NDArray[np.float64]:
    """Return Z (n, d + k) from X (n, d) float32: [double(X), double(lever) - double(reference)].

    Raises:
        InputError: X is not a float32 matrix, or a column index lies outside it.
    """
    if X.ndim != 2 or X.dtype != np.float32:
        raise InputError(
            f"design: X must be (n, d) float32, not {X.shape} {X.dtype}; cast it once with astype"
        )
    columns = np.asarray(levers, dtype=np.intp).reshape(-1, 2)
    if columns.size and not (columns.min() >= 0 and columns.max() < X.shape[1]):
        raise InputError(f"design: lever columns {columns.tolist()} lie outside the {X.shape[1]} features")
    wide = X.astype(np.float64)
    return np.concatenate([wide, wide[:, columns[:, 0]] - wide[:, columns[:, 1]]], axis=1)


def design_names(names: Sequence[str], levers: LeverColumns) -> tuple[str, ...]:
    """Return the names of the design columns: the features', then ``<lever>_move`` of each lever."""
    return (*names, *(f"{names[lever]}_move" for lever, _ in levers))
