"""A fitted model with every kind of structure in it, small and seeded, on a real recipe."""

from functools import cache

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.design import design
from features.levers import default_levers, default_limits
from features.plant import Plant
from features.recipe import Recipe
from features.setpoints import OperatingWindow
from training.confidence import Interval, Support, SupportView
from training.export.lightgbm import read_boosters
from training.fitted import DataSpan, FittedModel, FittedOutcome
from training.heldout import HeldOut
from training.identification.assess import LeverAssessment
from training.identification.slope import OwnMoves
from training.identification.verdict import Finding, Grade
from training.scores import Coverage, Score
from training.settings import NetworkSettings, TrainSettings
from training.structures import (
    Blend,
    CarbonIdentity,
    Constant,
    EnergyIdentity,
    Floats,
    Inputs,
    Layer,
    Linear,
    Network,
    Structure,
    Sum,
    TreeEnsemble,
)

MEMBERS = 3
PERCEPTRONS = 6
_SIGNALS = ("cell_voltage_v", "bath_temperature_c", "noise_mv", "cell_age_d", "metal_level_mm", "tap_mass_kg")
_LEVERS = ("set_voltage_v", "alf3_dose_kg_d")


def recipe() -> Recipe:
    """A real recipe of two levers."""
    return Recipe.for_signals((*_SIGNALS, *_LEVERS), _LEVERS)


def rows(n: int, seed: int) -> NDArray[np.float32]:
    """(n, d) rows in the recipe's ranges; one value in twelve missing where the recipe allows it."""
    draw = np.random.default_rng(seed)
    features = recipe().features
    low = np.array([max(feature.low, -1e4) for feature in features])
    high = np.array([min(feature.high, 1e4) for feature in features])
    X = low + draw.beta(2, 6, size=(n, len(features))) * (high - low)
    names = recipe().names
    for lever, spread in zip(_LEVERS, (0.03, 6.0), strict=True):
        X[:, names.index(lever)] = X[:, names.index(f"{lever}_last")] + draw.normal(0, spread, n)
    may_miss = np.array([feature.may_be_missing for feature in features])
    X[(draw.random(X.shape) < 1 / 12) & may_miss] = np.nan
    return X.astype(np.float32)


@cache
def fitted(seed: int = 3, leaves: int = 12, trees: int = 15) -> FittedModel:
    """The model; the same seed gives the same model."""
    draw = np.random.default_rng(seed)
    X = rows(600, seed)
    shell = recipe()
    z = _z(X, shell)
    inputs = _inputs(z)
    ensemble = [_trees(z, draw, scale, leaves, trees) for scale in (0.02, 90.0, 6.0)]
    line = [
        _linear(inputs, draw, *scale)
        for scale in ((4.1, 0.02), (0.93, 0.004), (13000, 40), (12, 3), (958, 2))
    ]
    trunk = _trunk(inputs, draw)
    voltage = Sum((line[0], ensemble[0]))
    efficiency = Sum((line[1], trunk(0.003)))
    direct = Sum((line[2], ensemble[1]))
    structures: dict[str, tuple[str, Structure]] = {
        "energy_kwh_per_t": ("kWh/t", Blend((0.625, 0.375), (EnergyIdentity(voltage, efficiency), direct))),
        "net_anode_kg_per_t": ("kg/t", CarbonIdentity(efficiency, Sum((line[3], ensemble[2])))),
        "mean_voltage_v": ("V", voltage),
        "current_efficiency": ("fraction", efficiency),
        "mean_bath_temperature_c": ("degC", Sum((line[4], trunk(1.5)))),
        "mean_noise_mv": ("mV", Constant(np.linspace(14.0, 15.0, MEMBERS))),
    }
    age = shell.names.index("cell_age_d_last")
    plant = Plant("testline", "Asia/Shanghai", 420.0, 40, 60.0, simulated=True)
    levers = tuple(lever for lever in default_levers(plant) if lever.name in _LEVERS)
    scale = Sum((Constant(np.full(MEMBERS, 1.0)), ensemble[0]))
    return FittedModel(
        outcomes={
            name: _outcome(name, unit, structure, scale if i % 2 else Constant(np.ones(MEMBERS)), age)
            for i, (name, (unit, structure)) in enumerate(structures.items())
        },
        unavailable={"mean_superheat_c": "no bath sample was reported"},
        support=_support(z, draw),
        recipe=shell,
        window=OperatingWindow(levers, default_limits(levers)),
        plant=plant,
        data=DataSpan(
            "ab" * 32, *_days("2024-01-01", "2024-09-30"), 600, True, *_days("2024-10-01", "2024-12-31")
        ),
        identification={name: judged(name) for name in _LEVERS},
        settings=TrainSettings(seed=seed, members=MEMBERS, network=NetworkSettings(heads=PERCEPTRONS)),
    )


def judged(lever: str, grade: Grade = "identified") -> LeverAssessment:
    """What a record says of ``lever``, as if it had been judged so."""
    moves = OwnMoves(600, 200, 0.5, 120.0, 0.004, 0.8, 0.4)
    finding = Finding(grade, "planted", "The grade is planted.", "等级为预设。")
    return LeverAssessment(lever, "-", 1.0, moves, (), finding)


def _z(X: NDArray[np.float32], shell: Recipe) -> Floats:
    return design(X, shell.lever_columns)


def _inputs(z: Floats) -> Inputs:
    low, high = np.nanquantile(z, [0.001, 0.999], axis=0)
    return Inputs(np.clip(np.nanmean(z, axis=0), low, high), low, high)


def _linear(inputs: Inputs, draw: np.random.Generator, level: float, spread: float) -> Linear:
    width = np.where(inputs.high > inputs.low, inputs.high - inputs.low, 1.0)
    coef = draw.normal(0, spread, size=(MEMBERS, len(width))) / width
    return Linear(inputs, coef, level - coef @ inputs.fill)


def _trees(z: Floats, draw: np.random.Generator, scale: float, leaves: int, trees: int) -> TreeEnsemble:
    boosters = []
    for j in range(MEMBERS):
        weight = draw.normal(size=z.shape[1]) / np.nanstd(z, axis=0).clip(1e-9)
        y = scale * np.nan_to_num((z - np.nanmean(z, axis=0)) * weight).sum(axis=1) / len(weight) ** 0.5
        parameters = {
            "num_leaves": leaves,
            "min_data_in_leaf": 5,
            "num_threads": 1,
            "verbosity": -1,
            "seed": j,
        }
        boosters.append(lightgbm.train(parameters, lightgbm.Dataset(z, y), trees))
    read = read_boosters(boosters)
    return TreeEnsemble(read.member_trees, draw.normal(0, scale, MEMBERS))


class _Trunk:
    """Networks for several outcomes that share all layers but the last."""

    def __init__(self, inputs: Inputs, indicator: NDArray[np.int64], hidden: tuple[Layer, ...]) -> None:
        self.inputs, self.indicator, self.hidden = inputs, indicator, hidden

    def __call__(self, spread: float) -> Network:
        draw = np.random.default_rng(int(spread * 1e4))
        head = Layer(draw.normal(0, spread, (PERCEPTRONS, 8, 1)), draw.normal(0, spread, (PERCEPTRONS, 1)))
        return Network(self.inputs, self.indicator, (*self.hidden, head), MEMBERS)


def _trunk(inputs: Inputs, draw: np.random.Generator) -> _Trunk:
    indicator = np.array([0, 4, 9], dtype=np.int64)
    width = len(inputs.fill)
    span = np.where(inputs.high > inputs.low, inputs.high - inputs.low, 1.0)
    first = draw.normal(0, 0.3, (PERCEPTRONS, width + 3, 8))
    first[:, :width] /= span[:, None]
    bias = -np.einsum("z,kzh->kh", inputs.fill, first[:, :width])
    second = Layer(draw.normal(0, 0.4, (PERCEPTRONS, 8, 8)), draw.normal(0, 0.1, (PERCEPTRONS, 8)))
    return _Trunk(inputs, indicator, (Layer(first, bias), second))


def _support(z: Floats, draw: np.random.Generator) -> Support:
    views = tuple(
        _view(z, columns, draw) for columns in (np.arange(20), np.array([38, 40, 45, z.shape[1] - 1]))
    )
    return Support(views, 0.05)


def _view(z: Floats, columns: NDArray[np.int64], draw: np.random.Generator) -> SupportView:
    x = z[:, columns]
    fill, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0).clip(1e-6)
    u = (np.where(np.isnan(x), fill, x) - fill) / scale
    prototypes = u[draw.choice(len(u), 16, replace=False)]
    distance = np.sqrt(((u[:, None] - prototypes) ** 2).sum(axis=2).min(axis=1))
    scores = np.linspace(1.0, 0.0, 21)
    knots = np.quantile(distance[distance > 0], 1.0 - scores)
    return SupportView(columns, fill, fill, scale, prototypes, knots, scores)


def _outcome(name: str, unit: str, structure: Structure, scale: Structure, age: int) -> FittedOutcome:
    score = Score(1.0, 0.9, 1.1, 0.5, 0.4, float("nan"), 120)
    none = np.zeros(0)
    empty = HeldOut(
        name,
        unit,
        "blend",
        np.zeros(0, "U1"),
        np.zeros(0, "M8[D]"),
        np.zeros(0, bool),
        none,
        none,
        {"blend": none},
    )
    return FittedOutcome(
        name=name,
        unit=unit,
        family="blend",
        structure=structure,
        interval=Interval(scale, 1e-3, {"young": 3.0, "mature": 1.5}, age, 120.0, 0.9),
        scores={"blend": score, "persistence": Score(2.0, 1.9, 2.1, 0.1, 0.0, 0.2, 120)},
        scores_mature={"blend": score},
        validation={"blend": 1.0},
        unseen_cells={"blend": score},
        coverage={"overall": Coverage(0.9, 0.88, 0.92, 2.0, 120)},
        heldout=empty,
    )


def _days(first: str, last: str) -> tuple[np.datetime64, np.datetime64]:
    return np.datetime64(first, "D"), np.datetime64(last, "D")
