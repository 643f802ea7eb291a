"""The canonical directory: six Parquet tables and ``plant.toml``, read and written with one set of dtypes.

Text columns are pandas strings, days are naive ``datetime64[us]`` at midnight, times are ``datetime64[us, UTC]``,
signals are float64. ``Tables`` brings its frames to these on construction, so whoever builds one gets the same
frame that a reader of the directory gets.
"""

import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from features.errors import ContractError, InputError
from features.layout import REQUIRED_TABLES, TABLES, Layout
from features.plant import Plant
from features.policy.cost import Prices
from features.signals import SIGNALS, Signal

PLANT_FILE = "plant.toml"
_TIME: Literal["datetime64[us, UTC]"] = "datetime64[us, UTC]"
_DAY: Literal["datetime64[us]"] = "datetime64[us]"


@dataclass(frozen=True)
class Tables:
    """The plant's record: one frame a canonical table (None = not collected), the plant, the declared sensors.

    Frames are brought to the canonical dtypes and sorted by key when a Tables is made; the frames given are not
    changed. ``sensors`` are the plant's extra signals, beyond the dictionary, that some frame carries.

    Raises:
        ContractError: a key column is missing, a table is empty, a key is repeated, or a column is unknown.
    """

    plant: Plant
    cell_days: pd.DataFrame
    taps: pd.DataFrame
    bath_samples: pd.DataFrame | None = None
    anode_changes: pd.DataFrame | None = None
    lots: pd.DataFrame | None = None
    meters: pd.DataFrame | None = None
    sensors: tuple[Signal, ...] = ()

    def __post_init__(self) -> None:
        """Bring every frame to its canonical form."""
        for name, layout in TABLES.items():
            frame = getattr(self, name)
            if frame is not None:
                object.__setattr__(self, name, canonical_frame(frame, layout, self.sensors))

    def present(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield ``(table, frame)`` of the tables that the plant collects, in canonical order."""
        for name in TABLES:
            frame = getattr(self, name)
            if frame is not None:
                yield name, frame


def canonical_frame(frame: pd.DataFrame, layout: Layout, sensors: tuple[Signal, ...] = ()) -> pd.DataFrame:
    """Return ``frame`` with canonical dtypes and column order, sorted by its key.

    Raises:
        ContractError: as ``typed_frame``, or the frame is empty, or a key is repeated or empty.
    """
    missing = [column for column in layout.key if column not in frame.columns]
    if missing:
        raise ContractError(
            f"table {layout.name}: key columns {missing} are missing; it has {list(frame.columns)}"
        )
    if frame.empty:
        raise ContractError(
            f"table {layout.name} is empty; leave the table out if the plant does not collect it"
        )
    typed = typed_frame(frame, layout, sensors)
    typed = typed.sort_values(list(layout.key), kind="stable", ignore_index=True)
    _refuse_bad_keys(typed, layout)
    return typed


def typed_frame(
    frame: pd.DataFrame, layout: Layout, sensors: tuple[Signal, ...] = (), carried: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return ``frame`` with canonical dtypes and column order; columns named in ``carried`` pass as they are.

    Raises:
        ContractError: a time lacks its zone, a column is not of its kind, or a column is neither canonical nor a
            declared sensor.
    """
    extra = [sensor.name for sensor in sensors]
    known = (*layout.columns, *extra)
    unknown = [column for column in frame.columns if column not in (*known, *carried)]
    if unknown:
        raise ContractError(
            f"table {layout.name}: columns {unknown} are not in the dictionary; declare them as sensors or drop them"
        )
    order = [column for column in known if column in frame.columns]
    typed = {column: _typed(frame[column], column, layout) for column in order}
    return pd.DataFrame({**typed, **{column: frame[column] for column in carried if column in frame.columns}})


def _typed(values: "pd.Series[Any]", column: str, layout: Layout) -> "pd.Series[Any]":
    kind = layout.kind(column)
    try:
        if kind == "text":
            return values.astype("str")
        if kind == "day":
            return pd.to_datetime(values).dt.tz_localize(None).dt.normalize().astype(_DAY)
        if kind == "time":
            if getattr(values.dtype, "tz", None) is None and values.notna().any():
                raise ContractError(
                    f"table {layout.name}: {column} has no time zone; give UTC, for example with tz_localize"
                )
            return pd.to_datetime(values, utc=True).astype(_TIME)
        return values.astype("float64")
    except (ValueError, TypeError) as error:
        raise ContractError(
            f"table {layout.name}: column {column} is not a {kind} column: {error}"
        ) from error


def _refuse_bad_keys(frame: pd.DataFrame, layout: Layout) -> None:
    keys = list(layout.key)
    if frame[keys].isna().to_numpy().any():
        raise ContractError(
            f"table {layout.name}: a row has an empty key ({', '.join(keys)}); drop such rows"
        )
    repeated = frame.duplicated(keys, keep=False)
    if repeated.any():
        first = {key: str(frame.loc[repeated, key].iloc[0]) for key in keys}
        raise ContractError(
            f"table {layout.name}: {int(repeated.sum())} rows repeat a key, the first is {first}; keep one row a key"
        )


def read_tables(directory: str | Path) -> Tables:
    """Read a canonical directory: ``<table>.parquet`` of each table collected and ``plant.toml``.

    Raises:
        InputError: the directory or one of its required files is missing or unreadable.
        ContractError: a table breaks its layout as a whole.
    """
    plant, sensors, frames = read_frames(directory)
    return Tables(plant=plant, sensors=sensors, **frames)


def read_frames(directory: str | Path) -> tuple[Plant, tuple[Signal, ...], dict[str, pd.DataFrame]]:
    """Read a canonical directory as it is stored, unchecked: the plant, its sensors, a frame a table collected.

    Raises:
        InputError: the directory or one of its required files is missing or unreadable.
    """
    folder = Path(directory)
    needed = [PLANT_FILE, *(f"{name}.parquet" for name in REQUIRED_TABLES)]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a canonical directory: {', '.join(missing)} missing; use superheat ingest"
        )
    plant, sensors = read_plant(folder / PLANT_FILE)
    files = {name: folder / f"{name}.parquet" for name in TABLES}
    return plant, sensors, {name: _read_parquet(file) for name, file in files.items() if file.is_file()}


def is_canonical(directory: str | Path) -> bool:
    """Say whether ``directory`` is meant as one that ``write_tables`` wrote: it says which plant it is of."""
    return (Path(directory) / PLANT_FILE).is_file()


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as Parquet: {error}; write it again") from error


def write_tables(tables: Tables, directory: str | Path) -> Path:
    """Write ``tables`` as a canonical directory and return its path.

    Every file is staged beside the directory first, so a failure leaves what was there untouched. Files in the
    directory that are no canonical tables stay; a table that is not collected any more is removed.
    """
    folder = Path(directory)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as staging:
        for name, frame in tables.present():
            frame.to_parquet(Path(staging) / f"{name}.parquet", engine="pyarrow", index=False)
        (Path(staging) / PLANT_FILE).write_text(plant_toml(tables.plant, tables.sensors), encoding="utf-8")
        publish(Path(staging), folder, stale=[f"{name}.parquet" for name in TABLES])
    return folder


def publish(staging: Path, folder: Path, stale: list[str]) -> None:
    """Move every file of ``staging`` into ``folder`` and remove those of ``stale`` that are not among them."""
    written = sorted(path.name for path in staging.iterdir())
    folder.mkdir(parents=True, exist_ok=True)
    for name in written:
        os.replace(staging / name, folder / name)
    for name in stale:
        if name not in written:
            (folder / name).unlink(missing_ok=True)


def plant_toml(plant: Plant, sensors: tuple[Signal, ...] = ()) -> str:
    """Return the text of ``plant.toml``: the plant's constants, its prices and its declared sensors."""
    lines = [
        f"{field.name} = {_toml(getattr(plant, field.name))}"
        for field in fields(plant)
        if field.name != "prices" and getattr(plant, field.name) is not None
    ]
    lines += ["", "[prices]"]
    lines += [
        f"{field.name} = {_toml(getattr(plant.prices, field.name))}"
        for field in fields(plant.prices)
        if getattr(plant.prices, field.name) is not None
    ]
    for sensor in sensors:
        lines += ["", "[[sensors]]"]
        lines += [f"{field.name} = {_toml(getattr(sensor, field.name))}" for field in fields(sensor)]
    return "\n".join(lines) + "\n"


def read_plant(path: str | Path) -> tuple[Plant, tuple[Signal, ...]]:
    """Read ``plant.toml``: the plant and the sensors it declares.

    Raises:
        InputError: the file is not TOML, or a field is unknown, missing or out of range.
    """
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file.name} cannot be read: {error}; write it as TOML in UTF-8") from error
    sensors = tuple(sensor_from(entry, file.name) for entry in document.pop("sensors", []))
    return plant_from(document, file.name), sensors


def plant_from(document: Mapping[str, Any], where: str) -> Plant:
    """Return the Plant that ``document`` describes; ``where`` names the file in errors.

    Raises:
        InputError: a field is unknown, missing, of the wrong type or out of range.
    """
    values = dict(document)
    prices = values.pop("prices", {})
    for known, given, noun in ((fields(Plant), values, "plant"), (fields(Prices), prices, "prices")):
        names = {field.name for field in known}
        unknown = sorted(set(given) - names)
        if unknown:
            raise InputError(f"{where}: unknown {noun} fields {unknown}; known are {sorted(names)}")
    if "currency" in values:
        prices = {"currency": values["currency"], **prices}
    try:
        return Plant(**values, prices=Prices(**prices))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: the plant is refused: {error}") from error


def sensor_from(entry: Mapping[str, Any], where: str) -> Signal:
    """Return the extra signal that ``entry`` declares: name, unit, meaning, low, high, perhaps more.

    Raises:
        InputError: a field is missing or unknown, or the name is one of the dictionary's.
    """
    required = {"name", "unit", "meaning", "low", "high"}
    known = {field.name for field in fields(Signal)}
    missing, unknown = sorted(required - set(entry)), sorted(set(entry) - known)
    if missing or unknown:
        raise InputError(f"{where}: sensor {entry.get('name')!r} lacks {missing} and has unknown {unknown}")
    if entry["name"] in SIGNALS:
        raise InputError(
            f"{where}: sensor {entry['name']!r} is in the dictionary; map a column to it instead"
        )
    values: dict[str, Any] = {"meaning_zh": entry["meaning"], "role": "measured", "source": "plant", **entry}
    try:
        return Signal(**{**values, "low": float(values["low"]), "high": float(values["high"])})
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: sensor {entry['name']!r} is refused: {error}") from error


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
