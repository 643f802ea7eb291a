"""Labels: what followed each decision, and the day on which that was known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import ContractError, TargetUnavailableError, UnknownNameError

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class LabelTable:
    """What followed each decision.

    Attributes:
        cell: (n,) index into the history's cells.
        date: (n,) decision dates; outcomes are means over ``date .. date + horizon - 1``.
        values: outcome -> (n,), NaN = not available for that row.
        known_on: outcome -> (n,) datetime64[D], the last day whose data the label used; NaT where the value is NaN.
        unavailable: outcome -> why the record cannot carry it at all.
        horizon: days over which an outcome is averaged.
    """

    cell: NDArray[np.intp]
    date: Days
    values: Mapping[str, Floats]
    known_on: Mapping[str, Days]
    unavailable: Mapping[str, str]
    horizon: int

    def __post_init__(self) -> None:
        """Refuse arrays that do not agree.

        Raises:
            ContractError: a shape is wrong or an outcome has no known_on.
        """
        rows = len(self.cell)
        lengths = {name: len(values) for name, values in (*self.values.items(), *self.known_on.items())}
        if set(self.values) != set(self.known_on) or any(n != rows for n in (len(self.date), *lengths.values())):
            raise ContractError(f"label table: {rows} rows, but its arrays have {lengths} and {len(self.date)} dates")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.cell)

    def outcome(self, name: str) -> Floats:
        """Return the (n,) labels of outcome ``name``.

        Raises:
            TargetUnavailableError: the record cannot carry it; the message says why.
            UnknownNameError: no such outcome.
        """
        if name in self.unavailable:
            raise TargetUnavailableError(f"{name} is not available: {self.unavailable[name]}")
        if name not in self.values:
            raise UnknownNameError(f"unknown outcome {name!r}; the labels are {', '.join(self.values)}")
        return self.values[name]

    def take(self, rows: NDArray[np.generic] | Sequence[int]) -> "LabelTable":
        """Return the rows that ``rows`` (indices or mask) selects."""
        chosen = np.asarray(rows)
        return replace(
            self,
            cell=self.cell[chosen],
            date=self.date[chosen],
            values={name: values[chosen] for name, values in self.values.items()},
            known_on={name: days[chosen] for name, days in self.known_on.items()},
        )

    def aligned(self, cell: NDArray[np.intp], date: Days) -> "LabelTable":
        """Return the labels of the rows ``(cell, date)``, NaN and NaT where there is none."""
        place = {key: i for i, key in enumerate(zip(self.cell.tolist(), self.date.tolist(), strict=True))}
        days = np.asarray(date, dtype="datetime64[D]")
        rows = np.array(
            [place.get(key, -1) for key in zip(cell.tolist(), days.tolist(), strict=True)], dtype=np.intp
        )
        missing = rows < 0
        return replace(
            self,
            cell=np.asarray(cell, dtype=np.intp),
            date=days,
            values={name: np.where(missing, np.nan, _pick(values, rows)) for name, values in self.values.items()},
            known_on={
                name: np.where(missing, np.datetime64("NaT", "D"), _pick(days_of, rows))
                for name, days_of in self.known_on.items()
            },
        )


def _pick(values: NDArray[np.generic], rows: NDArray[np.intp]) -> NDArray[np.generic]:
    return values[rows] if len(values) else np.zeros(len(rows), dtype=values.dtype)
