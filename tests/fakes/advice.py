"""A small bundle with known lever effects, exported by the real exporter, and contexts for it.

Members' outcomes are staircases of the lever moves on top of a level, so that every optimum and every member's
opinion is planted.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from features.bundle import Manifest, output_names
from features.plant import Plant
from features.setpoints import JointLimit, Lever, OperatingWindow
from serving.context import Context
from serving.limits import DEFAULT_LIMITS
from tests.fakes.fitted import fitted, recipe
from training.confidence import Interval, Support, SupportView
from training.export import Label
from training.export.contents import manifest_of
from training.export.graph import write_graph
from training.fitted import FittedModel
from training.structures import Constant, Structure, Sum, Tree, TreeEnsemble

VOLTAGE = Lever("set_voltage_v", "V", 3.7, 4.3, 0.002, 0.020, 0.040, "voltage")
DOSE = Lever("alf3_dose_kg_d", "kg/d", 0.0, 120.0, 1.0, 10.0, 20.0, "chemistry")
BALANCE = JointLimit("balance", 1.0, moves={"set_voltage_v": -25.0, "alf3_dose_kg_d": 0.05})
WINDOW = OperatingWindow((VOLTAGE, DOSE), (BALANCE,))
COLD_EDGE = next(limit.low for limit in DEFAULT_LIMITS if limit.outcome == "mean_superheat_c")
"""Where the superheat window begins, without its margin of 0.25 degC."""
LEVELS: Mapping[str, float] = {
    "energy_kwh_per_t": 12600.0,
    "net_anode_kg_per_t": 410.0,
    "mean_voltage_v": 3.95,
    "current_efficiency": 0.94,
    "mean_bath_temperature_c": 952.0,
    "mean_superheat_c": COLD_EDGE + 3.0,
    "mean_noise_mv": 15.0,
}
UNITS = ("kWh/t", "kg/t", "V", "fraction", "degC", "degC", "mV")

Effect = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""An outcome's change (g,) over one lever's moves (g,)."""


@dataclass(frozen=True)
class FakeBundle:
    """What advice needs of a predictor, without files."""

    manifest: Manifest
    model: bytes
    session: onnxruntime.InferenceSession

    def predict(self, X: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        names = list(output_names(self.manifest))
        return dict(zip(names, self.session.run(names, {"features": X}), strict=True))


def staircase(column: int, lever: Lever, effect: Effect) -> Tree:
    """One tree on a move column whose leaves hold ``effect`` at every grid move of ``lever``: flat in between."""
    steps = np.arange(-lever.steps_in_window, lever.steps_in_window + 1).astype(np.float64) * lever.resolution
    values = effect(steps)
    edges = 0.5 * (steps[1:] + steps[:-1])
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []

    def place(low: int, high: int) -> int:
        if high - low == 1:
            return -1 - low
        at, middle = len(threshold), (low + high) // 2
        threshold.append(float(edges[middle - 1]))
        left.append(0)
        right.append(0)
        left[at], right[at] = place(low, middle), place(middle, high)
        return at

    place(0, len(values))
    inner = len(threshold)
    return Tree(
        np.full(inner, column, dtype=np.int64),
        np.array(threshold),
        np.ones(inner, dtype=np.bool_),
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        values,
    )


def planted(level: float, effects: Mapping[str, Sequence[Effect]], members: int) -> Structure:
    """``level`` plus, per lever, one effect a member (one for all if only one is given)."""
    d = len(recipe().names)
    columns = {lever.name: d + i for i, lever in enumerate(WINDOW.levers)}
    trees = tuple(
        tuple(
            staircase(columns[name], WINDOW.lever(name), each[j % len(each)])
            for name, each in effects.items()
        )
        for j in range(members)
    )
    constant = Constant(np.full(members, level))
    return Sum((constant, TreeEnsemble(trees, np.zeros(members)))) if effects else constant


def fitted_model(
    effects: Mapping[str, Mapping[str, Sequence[Effect]]],
    *,
    levels: Mapping[str, float] | None = None,
    half_widths: Mapping[str, float] | None = None,
    members: int = 3,
    without: Sequence[str] = (),
    support: float = 0.05,
    reach: float = 1e6,
) -> FittedModel:
    """Return a model whose outcomes are ``levels`` plus ``effects`` [outcome][lever].

    ``half_widths``: of the intervals. ``without``: outcomes that it does not predict. ``reach``: moves (in steps of
    1 kg/d or 0.001 V) within which data support it.
    """
    base, told = fitted(), {**LEVELS, **(levels or {})}
    age = recipe().names.index("cell_age_d_last")
    outcomes = {}
    for (name, level), unit in zip(told.items(), UNITS, strict=True):
        if name not in without:
            half = (half_widths or {}).get(name, 1e-6)
            interval = Interval(
                Constant(np.ones(members)), 1e-9, {"young": half, "mature": half}, age, 120.0, 0.9
            )
            shell = replace(base.outcomes["energy_kwh_per_t"], name=name, unit=unit, interval=interval)
            outcomes[name] = replace(shell, structure=planted(level, effects.get(name, {}), members))
    d = len(recipe().names)
    scale, nothing = np.array([0.001, 1.0]), np.zeros(2)
    view = SupportView(
        np.array([d, d + 1]),
        nothing,
        nothing,
        scale,
        np.zeros((1, 2)),
        np.array([0.0, reach]),
        np.array([1.0, 0.0]),
    )
    return replace(
        base,
        outcomes=outcomes,
        unavailable=dict.fromkeys(without, "no butt was weighed"),
        support=Support((view,), support),
        window=WINDOW,
        plant=Plant("testline", "Asia/Shanghai", 420.0, 40, 60.0, simulated=True),
    )


def bundle(effects: Mapping[str, Mapping[str, Sequence[Effect]]], **planted: Any) -> FakeBundle:
    """Return a bundle of :func:`fitted_model`, without files."""
    model = fitted_model(effects, **planted)
    graph = write_graph(model, len(recipe().names))
    manifest = manifest_of(
        model, Label(created="2025-01-01T00:00:00+00:00"), dict.fromkeys(("a", "b"), "ab" * 32)
    )
    return FakeBundle(manifest, graph, onnxruntime.InferenceSession(graph))


DAY = datetime.date(2025, 3, 10)


def row(voltage: float = 3.95, dose: float = 50.0, **values: float) -> NDArray[np.float32]:
    """Return a recipe row in the middle of every range, the levers held at ``voltage`` and ``dose``."""
    features = recipe().features
    out = np.array([0.5 * (feature.low + feature.high) for feature in features], dtype=np.float32)
    told = {"set_voltage_v": voltage, "alf3_dose_kg_d": dose, "cell_age_d_last": 900.0, **values}
    for name, value in told.items():
        out[recipe().names.index(name)] = value
    for name, value in (("set_voltage_v_last", voltage), ("alf3_dose_kg_d_last", dose)):
        out[recipe().names.index(name)] = value
    return out


def context(cell: str = "c1", row_: NDArray[np.float32] | None = None, **changes: object) -> Context:
    """Return a healthy context for :data:`DAY`."""
    plain = Context("line", cell, DAY, row() if row_ is None else row_, DAY - datetime.timedelta(days=1))
    return replace(plain, **changes)  # type: ignore[arg-type]
