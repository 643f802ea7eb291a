"""The feature table: one row a cell and decision date."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import ContractError, UnknownNameError


@dataclass(frozen=True)
class FeatureTable:
    """What was known at each decision.

    Attributes:
        X: (n, d) float32, NaN = not known.
        cell: (n,) index into ``cell_ids``.
        date: (n,) decision dates; a row's features use reports of earlier days only.
        names: (d,) feature names.
        cell_ids, line_ids: (c,) text.
    """

    X: NDArray[np.float32]
    cell: NDArray[np.intp]
    date: NDArray[np.datetime64]
    names: tuple[str, ...]
    cell_ids: NDArray[np.str_]
    line_ids: NDArray[np.str_]

    def __post_init__(self) -> None:
        """Refuse arrays that do not agree.

        Raises:
            ContractError: a shape or dtype is wrong.
        """
        rows = len(self.cell)
        if self.X.dtype != np.float32 or self.X.shape != (rows, len(self.names)) or len(self.date) != rows:
            raise ContractError(
                f"feature table: X is {self.X.shape} {self.X.dtype} for {rows} rows and {len(self.names)} names"
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.cell)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return the (n,) values of feature ``name``.

        Raises:
            UnknownNameError: no such feature.
        """
        if name not in self.names:
            raise UnknownNameError(f"unknown feature {name!r}; the table has {', '.join(self.names)}")
        return self.X[:, self.names.index(name)]

    def take(self, rows: NDArray[np.generic] | Sequence[int]) -> "FeatureTable":
        """Return the rows that ``rows`` (indices or mask) selects."""
        chosen = np.asarray(rows)
        return replace(self, X=self.X[chosen], cell=self.cell[chosen], date=self.date[chosen])
