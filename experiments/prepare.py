"""From a checked record to what training starts from: history, levers, recipe, feature rows, labels, data hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.progress import Meter
from features.history import History
from features.labels import label_table
from features.levers import LEVER_NAMES, choose_levers, operating_window
from features.recipe import Recipe
from features.tables.history import column_arrays, history
from features.tables.ingest import IngestResult, examine
from features.tables.store import Tables, plant_toml
from training.inputs import TrainingInputs


@dataclass(frozen=True)
class Prepared:
    """One plant's record, ready to train on and to decide on.

    Attributes:
        record: the checked tables with their quality report.
        history: the same as days by cells.
        inputs: features and labels.
        refused_levers: lever -> why it is not offered.
    """

    record: IngestResult
    history: History
    inputs: TrainingInputs
    refused_levers: Mapping[str, str]


def read_record(data: Path, mapping: Path | None) -> IngestResult:
    """Read and check ``data``: a canonical directory, or a plant's files with their mapping.

    Raises:
        InputError: nothing there, or not what the mapping or the contract says.
    """
    return examine(data, mapping)


def prepare(
    record: IngestResult, horizon_d: int, levers: tuple[str, ...] | None = None, meter: Meter | None = None
) -> Prepared:
    """Make features and labels of ``record``; ``levers`` narrows what may be moved.

    Raises:
        UnknownNameError: a name that is no lever.
        TargetUnavailableError: the record supports no lever at all.
        ContractError: the record is too short to decide anything.
    """

    def say(done: int, note: str) -> None:
        if meter is not None:
            meter(done, 4, note)

    names = levers or LEVER_NAMES
    say(0, "days by cells")
    line = history(record.tables)
    window = operating_window(line, names)
    recipe = Recipe.for_signals(line.available(), window.names, line.sensors)
    say(1, f"{len(recipe.features)} features")
    table = recipe.table(line)
    say(3, "labels")
    labels = label_table(line, horizon_d)
    inputs = TrainingInputs(
        features=table,
        labels=labels,
        recipe=recipe,
        window=window,
        plant=line.plant,
        data_sha256=content_hash(record.tables),
    )
    return Prepared(record, line, inputs, choose_levers(line, names).refused)


def content_hash(tables: Tables) -> str:
    """Return the SHA-256 of what the tables hold, whatever file format and compression they came in."""
    digest = hashlib.sha256(plant_toml(tables.plant, tables.sensors).encode())
    for name, columns in column_arrays(tables).items():
        for column, values in columns.items():
            digest.update(f"\n{name}.{column} {values.dtype.kind} {len(values)}\n".encode())
            if values.dtype.kind == "U":
                digest.update("\0".join(values.tolist()).encode())
            elif values.dtype.kind == "M":
                digest.update(values.astype("datetime64[s]").astype(np.int64).tobytes())
            else:
                digest.update((values.astype(np.float64) + 0.0).tobytes())  # one zero, not two
    return digest.hexdigest()
