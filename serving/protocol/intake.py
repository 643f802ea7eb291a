"""The one validator for every way in: what may enter a model, by its manifest.

A value is refused, never mended: what is not a number, not finite, not known where it must be, or outside the
feature's range is named with its row, its feature and the range. A missing value is NaN in binary and null in JSON.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from features.bundle import FEATURES, FeatureInfo, Manifest
from serving.protocol.call import Rows
from serving.refusals import RefusedError

TYPES: Final[Mapping[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""Datatypes that the input is taken in."""

PARAMETERS: Final = frozenset({"binary_data_size", "feature_names", "feature_units", "recipe_digest"})
"""What a sender may say of the input: its bytes, and what it believes the columns to be."""

_NUMBERS = frozenset({float, int, type(None)})
_WORDS = {bool: "a boolean", str: "text", list: "an array", dict: "an object"}


class Intake:
    """The validator of one bundle's input; hold one for as long as the bundle is served."""

    def __init__(self, manifest: Manifest, max_rows: int) -> None:
        """Prepare the ranges; ``max_rows`` bounds n."""
        self.features = manifest.features
        self.width = len(manifest.features)
        self.max_rows = max_rows
        self._names = ",".join(feature.name for feature in manifest.features)
        self._units = ",".join(feature.unit for feature in manifest.features)
        self._recipe = manifest.recipe.digest
        # A bound that float32 cannot hold admits the nearest float32: a value at its limit is inside it.
        self._low = np.array([feature.low for feature in manifest.features]).astype(np.float32)
        self._high = np.array([feature.high for feature in manifest.features]).astype(np.float32)
        self._must = np.array([not feature.may_be_missing for feature in manifest.features])

    def shape(self, shape: object) -> int:
        """Return n of the declared ``shape`` [n, d].

        Raises:
            RefusedError: another shape, no row, or more rows than allowed.
        """
        if not isinstance(shape, list) or any(type(size) is not int for size in shape):
            refuse("bad_shape", f"shape of {FEATURES} is {_shown(shape)}; give [n, {self.width}]", 400)
        if len(shape) != 2 or shape[1] != self.width or shape[0] < 0:
            refuse(
                "bad_shape",
                f"shape of {FEATURES} is {_shown(shape)}, the model takes [n, {self.width}]; the model's metadata"
                " names the features in order",
            )
        n = int(shape[0])
        if n == 0:
            refuse("no_rows", f"{FEATURES} holds no row; send at least one")
        if n > self.max_rows:
            refuse(
                "too_many_rows",
                f"{n} rows in one request, at most {self.max_rows} are taken; split them",
                413,
            )
        return n

    def datatype(self, datatype: object) -> np.dtype[Any]:
        """Return the little-endian dtype of ``datatype``; only FP32 and FP64 are taken."""
        found = TYPES.get(datatype) if isinstance(datatype, str) else None
        if found is None:
            refuse(
                "bad_datatype",
                f"datatype of {FEATURES} is {_shown(datatype)}; send FP32 (or FP64 where exact)",
            )
        return found

    def claims(self, parameters: Mapping[str, Any]) -> None:
        """Refuse a sender whose idea of the columns is not this bundle's.

        Raises:
            RefusedError: an unknown parameter, or names, units or a recipe that differ.
        """
        if not parameters:
            return
        if unknown := sorted(set(parameters) - PARAMETERS):
            refuse("unknown_parameter", f"parameter {_shown(unknown[0])} of {FEATURES} is not known", 400)
        self._same_list(parameters.get("feature_names"), self._names, "name")
        self._same_list(parameters.get("feature_units"), self._units, "unit")
        recipe = parameters.get("recipe_digest")
        if recipe is not None and recipe != self._recipe:
            refuse(
                "wrong_recipe",
                f"{FEATURES} were made by recipe {_shown(recipe)[:14]}, this model reads {self._recipe[:12]}...;"
                " send the history instead, or use the model's recipe",
            )

    def _same_list(self, given: object, expected: str, what: str) -> None:
        if given is None or given == expected:
            return
        if not isinstance(given, str):
            refuse("bad_parameter", f"feature_{what}s is {_shown(given)}; give one comma-separated text", 400)
        theirs, ours = given.split(","), expected.split(",")
        if len(theirs) != len(ours):
            refuse(
                f"wrong_{what}s", f"feature_{what}s lists {len(theirs)} features, the model takes {len(ours)}"
            )
        at = next(i for i, (their, our) in enumerate(zip(theirs, ours, strict=True)) if their != our)
        refuse(
            f"wrong_{what}s",
            f"column {at} ({self.features[at].name}): you say {what} {_shown(theirs[at])}, the model expects"
            f" {_shown(ours[at])}",
        )

    def from_bytes(self, raw: bytes | memoryview, n: int, dtype: np.dtype[Any]) -> Rows:
        """Return the validated rows (n, d) of raw little-endian, row-major bytes."""
        wanted = n * self.width * dtype.itemsize
        if len(raw) != wanted:
            refuse("bad_size", f"{FEATURES} holds {len(raw)} bytes, [{n}, {self.width}] takes {wanted}", 400)
        values = np.frombuffer(raw, dtype=dtype).reshape(n, self.width)
        return self.check(values, exact=dtype.itemsize == 8)

    def from_data(self, data: object, n: int, dtype: np.dtype[Any]) -> Rows:
        """Return the validated rows (n, d) of JSON ``data``, flat or nested; null is a missing value."""
        if not isinstance(data, list):
            refuse("bad_data", f"data of {FEATURES} is {_shown(data)}; give an array of numbers", 400)
        flat = self._flat(data, n)
        if len(flat) != n * self.width:
            refuse(
                "bad_size",
                f"{FEATURES} holds {len(flat)} values, [{n}, {self.width}] takes {n * self.width}",
                400,
            )
        if not _NUMBERS.issuperset(map(type, flat)):
            self._name_no_number(flat)
        return self.check(np.array(flat, dtype=np.float64).reshape(n, self.width), exact=dtype.itemsize == 8)

    def _flat(self, data: list[Any], n: int) -> list[Any]:
        if not data or type(data[0]) is not list:
            return data  # an array further on is no number, and refused as such
        if len(data) != n:
            refuse("bad_size", f"{FEATURES} holds {len(data)} rows, its shape says {n}", 400)
        for i, row in enumerate(data):
            if not isinstance(row, list):
                refuse("ragged", f"row {i} of {FEATURES} is {_shown(row)}, other rows are arrays", 400)
            if len(row) != self.width:
                known = self.features[len(row)].name if len(row) < self.width else self.features[-1].name
                word = "the first without a value is" if len(row) < self.width else "the last one known is"
                refuse(
                    "ragged",
                    f"row {i} of {FEATURES} holds {len(row)} values, expected {self.width}; {word} {known}",
                )
        return list(chain.from_iterable(data))

    def _name_no_number(self, flat: Sequence[Any]) -> NoReturn:
        at = next(i for i, value in enumerate(flat) if type(value) not in _NUMBERS)
        value = flat[at]
        words = _WORDS.get(type(value), type(value).__name__)
        refuse("not_a_number", f"{self._place(at)} is {_shown(value)}, {words}; send a number")

    def check(self, values: NDArray[Any], *, exact: bool = False) -> Rows:
        """Return ``values`` (n, d), float32 or float64, as rows that the model may read.

        Args:
            values: NaN = missing.
            exact: refuse what float32 cannot hold exactly: a sender who says FP64 means all of its digits.

        Raises:
            RefusedError: the first value that is refused, with its feature.
        """
        if values.dtype == np.float32:
            rows = values
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                rows = values.astype(np.float32)
        fine = (rows >= self._low) & (rows <= self._high)
        if not fine.all():
            self._name_refused(values, rows, fine)
        if exact and not np.array_equal(rows.astype(np.float64), values, equal_nan=True):
            self._name_inexact(values, rows)
        return np.ascontiguousarray(rows, dtype=np.float32)

    def admits(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which of ``rows`` (n, d) :meth:`check` would let through: (n,)."""
        inside = (rows >= self._low) & (rows <= self._high)
        return np.asarray((inside | (np.isnan(rows) & ~self._must)).all(axis=1))

    def _name_refused(self, values: NDArray[Any], rows: Rows, fine: NDArray[np.bool_]) -> None:
        missing = np.isnan(values)
        bad = np.where(missing, self._must, ~fine)
        at = int(bad.argmax())
        if not bad.flat[at]:
            return
        feature = self.features[at % self.width]
        count = int(bad.sum())
        more = f" ({count} values are refused in all)" if count > 1 else ""
        value = float(values.flat[at])
        if np.isnan(value):
            refuse("missing_value", f"{self._place(at)} is missing (null or NaN) and may not be{more}")
        if not np.isfinite(rows.flat[at]):
            refuse("not_finite", f"{self._place(at)} is {value!r}, no finite FP32 number{more}")
        refuse(
            "out_of_range", f"{self._place(at)} is {value!r}, outside {_range(feature)}; check its unit{more}"
        )

    def _name_inexact(self, values: NDArray[Any], rows: Rows) -> NoReturn:
        differs = (rows.astype(np.float64) != values) & ~np.isnan(values)
        at = int(differs.argmax())
        refuse(
            "not_exact",
            f"{self._place(at)} is {float(values.flat[at])!r}, which FP32 does not hold exactly; send FP32",
        )

    def _place(self, at: int) -> str:
        row, column = divmod(at, self.width)
        return f"feature {self.features[column].name}, row {row},"


def refuse(code: str, message: str, status: int = 422) -> NoReturn:
    """Raise the refusal."""
    raise RefusedError(status, code, message)


def _range(feature: FeatureInfo) -> str:
    return f"{feature.low:g}..{feature.high:g} {feature.unit}"


def _shown(value: object) -> str:
    """Return ``value`` as a caller wrote it, short; never all of a large one."""
    if value is None or isinstance(value, bool):
        return _JSON_WORDS[value]
    if isinstance(value, dict) or (isinstance(value, list) and not _is_short(value)):
        return _WORDS[type(value)]
    text = repr(value)
    return text if len(text) <= 48 else text[:45] + "..."


def _is_short(values: list[object]) -> bool:
    return len(values) <= 8 and all(type(value) in (int, float) for value in values)


_JSON_WORDS: Final[Mapping[bool | None, str]] = {True: "true", False: "false", None: "null"}
