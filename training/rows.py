"""The rows that training sees: design matrix, keys and labels side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from training.structures import Bools, Floats, Ints

AGE = "cell_age_d_last"
LINE_SHARE = 0.9
"""A column is line-wide where this share of its variance is from day to day, the same for all cells."""
MOVE_SHARE = 0.01
"""A lever that moved on a smaller share of the rows teaches nothing about its moves."""


@dataclass(frozen=True)
class LeverPlace:
    """Where a lever stands in the design matrix: columns of its value, of the value before, and of the move."""

    name: str
    value: int
    reference: int
    move: int


@dataclass(frozen=True)
class Rows:
    """n decisions: ``z (n, z)`` float64, ``cell (n,)``, ``date (n,)``, labels and when each became known.

    Attributes:
        names: (z,) column names.
        levers: where the levers stand.
        y: outcome -> (n,), NaN = no label.
        known_on: outcome -> (n,) the last day whose data the label used.
    """

    z: Floats
    cell: Ints
    date: NDArray[np.datetime64]
    names: tuple[str, ...]
    levers: tuple[LeverPlace, ...]
    y: Mapping[str, Floats]
    known_on: Mapping[str, NDArray[np.datetime64]]

    def __post_init__(self) -> None:
        """Refuse lengths that differ."""
        n = len(self.z)
        lengths = {"cell": len(self.cell), "date": len(self.date)}
        lengths |= {name: len(values) for name, values in self.y.items()}
        lengths |= {f"known_on {name}": len(values) for name, values in self.known_on.items()}
        wrong = {name: length for name, length in lengths.items() if length != n}
        if wrong or self.z.shape[1] != len(self.names):
            raise InputError(f"training rows: z is {self.z.shape} with {len(self.names)} names, but {wrong}")

    def __len__(self) -> int:
        return len(self.z)

    def take(self, mask: Bools) -> "Rows":
        """Return the rows where ``mask`` (n,) holds."""
        return replace(
            self,
            z=self.z[mask],
            cell=self.cell[mask],
            date=self.date[mask],
            y={name: values[mask] for name, values in self.y.items()},
            known_on={name: values[mask] for name, values in self.known_on.items()},
        )

    def column(self, name: str) -> int:
        """Return the index of the column called ``name``.

        Raises:
            InputError: no such column.
        """
        if name not in self.names:
            raise InputError(f"the design matrix has no column {name!r}; it has {len(self.names)} others")
        return self.names.index(name)


def mature(rows: Rows, from_d: float) -> Bools:
    """Return (n,): cells of a known age of at least ``from_d`` days; every row where the record carries no age."""
    if AGE not in rows.names:
        return np.ones(len(rows), dtype=bool)
    return np.asarray(rows.z[:, rows.column(AGE)] >= from_d)


def lever_places(names: Sequence[str], columns: Sequence[tuple[int, int]]) -> tuple[LeverPlace, ...]:
    """Return the places of levers given as (value, reference) columns; the moves follow the features in order."""
    d = len(names) - len(columns)
    return tuple(
        LeverPlace(names[value], value, reference, d + i) for i, (value, reference) in enumerate(columns)
    )


def moved(rows: Rows) -> tuple[LeverPlace, ...]:
    """Return the levers whose history moved often enough to learn an effect from."""
    shares = {lever: np.mean(np.nan_to_num(rows.z[:, lever.move]) != 0) for lever in rows.levers}
    return tuple(lever for lever, share in shares.items() if share >= MOVE_SHARE)


def usable(rows: Rows) -> Bools:
    """Return (z,): the columns an estimator may use.

    Left out are columns without two different values, and value and move of a lever that never moved: with its
    reference column the model still knows the level, but no effect of moving it can be made up.
    """
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(rows.z)
        low = np.where(known, rows.z, np.inf).min(axis=0)
        high = np.where(known, rows.z, -np.inf).max(axis=0)
    out = np.asarray(high > low)
    for lever in set(rows.levers) - set(moved(rows)):
        out[[lever.value, lever.move]] = False
    return out


def line_wide(rows: Rows) -> Bools:
    """Return (z,): columns in which all cells share one value a day (lots in use, line current, line medians).

    Thirty cells under one anode lot are one observation of that lot, not thirty.
    """
    _, day = np.unique(rows.date, return_inverse=True)
    day = day.reshape(-1)
    out = np.zeros(rows.z.shape[1], dtype=bool)
    for column in range(rows.z.shape[1]):
        x = rows.z[:, column]
        known = np.isfinite(x)
        if known.sum() < 2 or np.ptp(x[known]) == 0:
            continue
        x, at = x[known] - x[known].mean(), day[known]
        daily = np.bincount(at, weights=x) / np.maximum(np.bincount(at), 1)
        within = float(np.mean(np.square(x - daily[at])))
        out[column] = within < (1 - LINE_SHARE) * float(np.mean(np.square(x)))
    return out
