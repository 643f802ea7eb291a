"""Predictions on the test days, row by row: what figures are drawn from and comparisons are paired on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from training.structures import Bools, Floats

PROTOCOL = 1


@dataclass(frozen=True)
class HeldOut:
    """One outcome on the test days: n rows.

    Attributes:
        outcome, unit, family: what, in what, predicted by which champion.
        cell_id: (n,) text; date: (n,) decision dates; mature: (n,).
        y: (n,) labels; half_width: (n,) of the interval.
        predictions: family -> (n,), the champion and the baselines among them.
    """

    outcome: str
    unit: str
    family: str
    cell_id: NDArray[np.str_]
    date: NDArray[np.datetime64]
    mature: Bools
    y: Floats
    half_width: Floats
    predictions: Mapping[str, Floats]

    def __post_init__(self) -> None:
        """Refuse arrays that do not agree and a champion without predictions."""
        arrays = (self.cell_id, self.date, self.mature, self.half_width, *self.predictions.values())
        if any(len(array) != len(self.y) for array in arrays) or self.family not in self.predictions:
            raise InputError(
                f"{self.outcome}: held-out arrays do not agree, or {self.family!r} is not among them"
            )

    @property
    def predicted(self) -> Floats:
        """The champion's predictions (n,)."""
        return self.predictions[self.family]


def save(heldout: Mapping[str, HeldOut], path: Path) -> None:
    """Write ``heldout`` to ``path`` (npz, no pickle)."""
    arrays: dict[str, NDArray[np.generic]] = {"protocol": np.array(PROTOCOL)}
    for name, rows in heldout.items():
        arrays[f"{name}|about"] = np.array([rows.unit, rows.family])
        arrays[f"{name}|cell_id"] = rows.cell_id.astype(np.str_)
        arrays[f"{name}|day"] = rows.date.astype("datetime64[D]").astype(np.int64)
        arrays[f"{name}|mature"] = rows.mature
        arrays[f"{name}|y"] = rows.y
        arrays[f"{name}|half_width"] = rows.half_width
        arrays |= {f"{name}|by|{family}": values for family, values in rows.predictions.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> dict[str, HeldOut]:
    """Read what :func:`save` wrote.

    Raises:
        InputError: no such file, not ours, or of another protocol.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a file of held-out predictions: {error}") from error
    if int(arrays.get("protocol", np.array(0))) != PROTOCOL:
        raise InputError(
            f"{path}: held-out predictions of protocol {arrays.get('protocol')}, expected {PROTOCOL}"
        )
    names = [key.removesuffix("|about") for key in arrays if key.endswith("|about")]
    return {name: _read(name, arrays) for name in names}


def _read(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> HeldOut:
    unit, family = (str(text) for text in arrays[f"{name}|about"])
    prefix = f"{name}|by|"
    return HeldOut(
        outcome=name,
        unit=unit,
        family=family,
        cell_id=arrays[f"{name}|cell_id"].astype(np.str_),
        date=arrays[f"{name}|day"].astype("datetime64[D]"),
        mature=arrays[f"{name}|mature"].astype(np.bool_),
        y=arrays[f"{name}|y"].astype(np.float64),
        half_width=arrays[f"{name}|half_width"].astype(np.float64),
        predictions={
            key.removeprefix(prefix): values.astype(np.float64)
            for key, values in arrays.items()
            if key.startswith(prefix)
        },
    )
