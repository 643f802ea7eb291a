"""How exact is an export, and what does it cost? Ours beside the usual converter, against LightGBM's own answers.

One LightGBM model of the size that a plant's energy model may have (500 trees, 63 leaves) is exported three ways and
answers the same float32 rows: mixed from data, planted on the trees' thresholds and beside them, and the latter with
holes where training had none.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from experiments.bench.table import BenchMeta, BenchTable
from experiments.prepare import prepare, read_record
from features.bundle.graph import FEATURES
from features.bundle.parity import RELATIVE
from training.export.edges import landmarks, plant
from training.export.leaves import write_mean
from training.export.lightgbm import read_boosters
from training.export.structures import write_design, write_members
from training.export.writer import GraphWriter
from training.structures import Floats

Rows = NDArray[np.float32]

TREES: Final = 500
LEAVES: Final = 63
SAMPLES: Final = Path("data_samples")
_BATCH: Final = 1024
_CONVERTER_OPSET: Final = 15
_SINGLES: Final = 400
_ROUNDS: Final = 15
_SEEN: Final = ("lightgbm", "onnx", "onnxruntime", "onnxmltools")
_COLUMNS: Final = (
    ("export", ""),
    ("rows", ""),
    ("rows_beyond_1e-6", ""),
    ("of_data", "%"),
    ("of_thresholds", "%"),
    ("of_missing", "%"),
    ("largest_error", "kWh/t"),
    ("one_row", "us"),
    ("one_row_over_lightgbm", ""),
    ("row_of_1024", "us"),
    ("row_of_1024_over_lightgbm", ""),
    ("size", "MB"),
)


@dataclass(frozen=True)
class Task:
    """What the model learns: X (n, d) float32, y (n,) kWh/t, where they came from, and whether that is a plant."""

    X: Rows
    y: Floats
    source: str
    simulated: bool


@dataclass(frozen=True)
class Answerer:
    """Something that answers rows: its name, the function, and its size on disk [bytes]."""

    name: str
    answer: Callable[[Rows], Floats]
    size: int


def run(rows: int = 100_000, seed: int = 7, data: Path = SAMPLES, trees: int = TREES) -> BenchTable:
    """Return the comparison on ``rows`` rows, of a model trained on ``data`` or, where that is absent, drawn numbers.

    Raises:
        InputError: ``data`` is there and is no record.
    """
    task = sample_task(data) if data.is_dir() else drawn_task(seed)
    booster = _train(task, seed, trees)
    kinds = _kinds(booster, task.X, rows, seed)
    own = Answerer("LightGBM itself", _lightgbm(booster), len(booster.model_to_string()))
    want = [own.answer(X) for X in kinds]
    answerers = (own, *_exports(booster, task.X.shape[1]))
    times = _times(answerers, kinds[0])
    shown = [
        _row(each, kinds, want, own_times, times[0]) for each, own_times in zip(answerers, times, strict=True)
    ]
    return BenchTable.of(
        f"Export of a LightGBM energy model ({trees} trees, {LEAVES} leaves, {task.X.shape[1]} features)",
        _COLUMNS,
        shown,
        BenchMeta.here(_SEEN, seed=seed, simulated=task.simulated),
        (
            f"Trained on {task.source}. A third of the rows each: mixed from its columns; every value on a threshold"
            " or one float32 beside it; the same with one value in ten missing, in any column.",
            f"Beyond: more than {RELATIVE:g} relative from LightGBM's own prediction of the same float32 row.",
            "One thread everywhere; medians; a single row is another row each time.",
        ),
    )


def sample_task(data: Path) -> Task:
    """Return the energy task of a canonical directory: recipe rows and labels."""
    inputs = prepare(read_record(data, None), horizon_d=7).inputs
    table = inputs.features
    y = inputs.labels.aligned(table.cell, table.date).values["energy_kwh_per_t"]
    known = np.isfinite(y)
    said = "SIMULATED" if inputs.plant.simulated else "a plant's record"
    return Task(
        table.X[known], y[known], f"the energy labels of {data.name} ({said})", inputs.plant.simulated
    )


def drawn_task(seed: int, n: int = 12_000, d: int = 60) -> Task:
    """Return a drawn task: columns of many scales, some with holes, some on a coarse grid, as plants write them."""
    draw = np.random.default_rng(seed)
    z = draw.normal(size=(n, d))
    grid = np.arange(d) % 3 == 0
    z[:, grid] = np.round(z[:, grid], 1)
    y = 13_200 + 60 * z[:, :12] @ draw.normal(size=12) + 40 * z[:, 0] * z[:, 1] + draw.normal(0, 60, n)
    X = (z * 10.0 ** draw.integers(-2, 4, d)).astype(np.float32)
    X[:, d // 2 :][draw.random((n, d - d // 2)) < 0.05] = np.nan
    return Task(X, y, f"{n:,} drawn rows (SIMULATED)", simulated=True)


def _train(task: Task, seed: int, trees: int) -> lightgbm.Booster:
    parameters = {
        "objective": "regression",
        "num_leaves": LEAVES,
        "learning_rate": 0.05,
        "min_data_in_leaf": 10,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(task.X.astype(np.float64), task.y), trees)


def _mixed(X: Rows, n: int, seed: int) -> Rows:
    """Return n rows, each a data row with a third of its values from other rows."""
    draw = np.random.default_rng(seed)
    rows = X[draw.integers(0, len(X), n)]
    for column in range(X.shape[1]):
        other = np.flatnonzero(draw.random(n) < 1 / 3)
        rows[other, column] = X[draw.integers(0, len(X), len(other)), column]
    return rows


def _kinds(booster: lightgbm.Booster, X: Rows, rows: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return mixed, on thresholds, and on thresholds with holes: ``rows`` in all, at least one of each."""
    draw = np.random.default_rng(seed + 1)
    marks = landmarks(read_boosters([booster]))
    third = max(1, rows // 3)
    whole = np.nan_to_num(X[draw.integers(0, len(X), third)])
    on_thresholds = plant(whole, marks, (), third, seed, missing_share=0.0)
    with_holes = plant(whole, marks, (), third, seed + 1)
    return _mixed(X, max(1, rows - 2 * third), seed), on_thresholds, with_holes


def _lightgbm(booster: lightgbm.Booster) -> Callable[[Rows], Floats]:
    def answer(X: Rows) -> Floats:
        return np.asarray(booster.predict(X, num_threads=1), dtype=np.float64)

    return answer


def _exports(booster: lightgbm.Booster, width: int) -> Sequence[Answerer]:
    converter = f"usual converter, opset {_CONVERTER_OPSET}"
    return (
        _opened("ours, ai.onnx.ml 5 in double", ours(booster, width), np.float32),
        _opened(f"{converter}, float input", usual(booster, width, double=False), np.float32),
        _opened(f"{converter}, double input", usual(booster, width, double=True), np.float64),
    )


def ours(booster: lightgbm.Booster, width: int) -> bytes:
    """Return our graph of ``booster`` on ``width`` features: the same nodes that a bundle holds."""
    writer = GraphWriter()
    write_design(writer, width, ())
    write_mean(writer, write_members(writer, read_boosters([booster]), width), 1, "prediction")
    return writer.to_bytes("bench", {FEATURES: ["n", width]}, {"prediction": ["n"]})


def usual(booster: lightgbm.Booster, width: int, *, double: bool) -> bytes:
    """Return the usual converter's graph of ``booster`` on ``width`` features."""
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if double else FloatTensorType
    model: Any = convert_lightgbm(
        booster, initial_types=[(FEATURES, kind([None, width]))], target_opset=_CONVERTER_OPSET, zipmap=False
    )
    content: bytes = model.SerializeToString()
    return content


def _opened(name: str, model: bytes, dtype: type[np.floating[Any]]) -> Answerer:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def answer(X: Rows) -> Floats:
        parts = [
            session.run(None, {FEATURES: X[start : start + _BATCH].astype(dtype, copy=False)})[0]
            for start in range(0, len(X), _BATCH)
        ]
        return np.concatenate(parts).astype(np.float64).reshape(-1)

    return Answerer(name, answer, len(model))


def _row(
    exported: Answerer,
    kinds: Sequence[Rows],
    want: Sequence[Floats],
    times: tuple[float, float],
    base: tuple[float, float],
) -> tuple[str | int | float, ...]:
    errors = [np.abs(exported.answer(X) - answer) for X, answer in zip(kinds, want, strict=True)]
    beyond = [~(error <= RELATIVE * np.abs(answer)) for error, answer in zip(errors, want, strict=True)]
    one, batch = times
    return (
        exported.name,
        sum(map(len, kinds)),
        int(sum(part.sum() for part in beyond)),
        *(100.0 * float(part.mean()) for part in beyond),
        float(max(error.max() for error in errors)),
        one,
        one / base[0],
        batch,
        batch / base[1],
        exported.size / 1e6,
    )


def _times(answerers: Sequence[Answerer], X: Rows) -> list[tuple[float, float]]:
    """Return for each the median time [us] of a row alone, and of a row in a batch of 1,024.

    They take turns, so that a busy moment of the machine falls on all of them.
    """
    batch = X[np.arange(_BATCH) % len(X)]
    collecting = gc.isenabled()
    gc.disable()
    try:
        single = _medians(answerers, [X[i % len(X)][None] for i in range(_SINGLES)])
        whole = _medians(answerers, [batch] * _ROUNDS)
    finally:
        if collecting:
            gc.enable()
    return [(one, many / _BATCH) for one, many in zip(single, whole, strict=True)]


def _medians(answerers: Sequence[Answerer], inputs: Sequence[Rows]) -> list[float]:
    times = np.empty((len(inputs), len(answerers)))
    for i, X in enumerate(inputs):
        for j, each in enumerate(answerers):
            start = time.perf_counter()
            each.answer(X)
            times[i, j] = time.perf_counter() - start
    return [1e6 * float(median) for median in np.median(times, axis=0)]
