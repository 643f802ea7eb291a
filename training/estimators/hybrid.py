"""Physics first: outcomes composed from their identities, with only the remainder learnt."""

import numpy as np

from training.estimators.boosting import fit_trees
from training.estimators.linear import fit_linear
from training.estimators.task import Task
from training.settings import BoostingSettings, LinearSettings
from training.structures import (
    CARBON_KG_PER_T,
    EFFICIENCY_FLOOR,
    CarbonIdentity,
    EnergyIdentity,
    Structure,
    Sum,
    parts,
    predict,
)


def compose_energy(voltage: Structure, current_efficiency: Structure) -> EnergyIdentity:
    """Return energy [kWh/t] = 2979.98 V / CE, member by member, of two fitted structures."""
    return EnergyIdentity(voltage=voltage, current_efficiency=current_efficiency)


def fit_carbon(
    task: Task, current_efficiency: Structure, linear: LinearSettings, boosting: BoostingSettings
) -> CarbonIdentity:
    """Return net anode [kg/t] = 333.87 / CE + remainder, the remainder learnt by line and trees.

    The remainder is taken against the *predicted* efficiency: against the measured one it would learn to undo that
    measurement's noise.
    """
    efficiency = np.maximum(predict(current_efficiency, task.z), EFFICIENCY_FLOOR)
    rest = task.relabelled(task.outcome, task.y - CARBON_KG_PER_T / efficiency)
    line = fit_linear(rest, linear)
    trees = fit_trees(rest, line.members(task.z), boosting)
    return CarbonIdentity(current_efficiency=current_efficiency, remainder=Sum(parts=(*parts(line), trees)))
