"""What a training run starts from: features, labels, and what they were made with."""

from dataclasses import dataclass

import numpy as np

from features.design import design, design_names
from features.labels import LabelTable
from features.plant import Plant
from features.recipe import FeatureTable, Recipe
from features.setpoints import OperatingWindow
from training.rows import Rows, lever_places


@dataclass(frozen=True)
class TrainingInputs:
    """One plant's history, ready to train on.

    Attributes:
        features: one row a cell and decision date.
        labels: what followed.
        recipe: how the features are made.
        window: levers and joint limits that the record supports.
        plant: the line's constants.
        data_sha256: hash of the canonical tables.
    """

    features: FeatureTable
    labels: LabelTable
    recipe: Recipe
    window: OperatingWindow
    plant: Plant
    data_sha256: str

    def rows(self) -> Rows:
        """Return the design matrix with the labels beside it, in order of date and cell."""
        table = self.features.take(np.lexsort((self.features.cell, self.features.date)))
        labels = self.labels.aligned(table.cell, table.date)
        columns = self.recipe.lever_columns
        names = design_names(table.names, columns)
        return Rows(
            z=design(table.X, columns),
            cell=table.cell.astype(np.int64),
            date=table.date.astype("datetime64[D]"),
            names=names,
            levers=lever_places(names, columns),
            y=dict(labels.values),
            known_on=dict(labels.known_on),
        )
