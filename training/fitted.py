"""What a training run hands on: outcomes as structures, with their intervals, support and figures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.design import design
from features.errors import UnknownNameError
from features.plant import Plant
from features.recipe import Recipe
from features.setpoints import OperatingWindow
from training.confidence import Interval, Support
from training.heldout import HeldOut
from training.identification.assess import LeverAssessment
from training.scores import Coverage, Score
from training.settings import TrainSettings
from training.structures import Floats, Structure, predict
from training.tuning import TuningResult


@dataclass(frozen=True)
class DataSpan:
    """The data behind a model.

    sha256: of the canonical tables; first_day, last_day: decision days trained and calibrated on, ``rows`` of them
    by cell; simulated: whether a virtual line wrote them; test_first_day, test_last_day: reported on.
    """

    sha256: str
    first_day: np.datetime64
    last_day: np.datetime64
    rows: int
    simulated: bool
    test_first_day: np.datetime64
    test_last_day: np.datetime64


@dataclass(frozen=True)
class FittedOutcome:
    """One outcome, ready to be written down.

    Attributes:
        name, unit: of the outcome.
        family: the champion: boosting, network, composed, blend, or ridge.
        structure: Z (n, z) -> members (n, m).
        interval: half-widths.
        scores: family -> errors on the test days; baselines ``persistence``, ``running_estimate`` (where the recipe
            has one), ``cell_mean`` and ``ridge_plain`` beside the families; scores_mature: mature cells only.
        validation: family -> mean absolute error on the rolling blocks, from which the champion was chosen.
        unseen_cells: errors of the champion on cells that were left out of the fit, and of the baselines there.
        coverage: of the intervals on the test days: ``overall``, ``young``, ``mature`` and ``YYYY-MM``.
        heldout: the test days row by row.
    """

    name: str
    unit: str
    family: str
    structure: Structure
    interval: Interval
    scores: Mapping[str, Score]
    scores_mature: Mapping[str, Score]
    validation: Mapping[str, float]
    unseen_cells: Mapping[str, Score]
    coverage: Mapping[str, Coverage]
    heldout: HeldOut

    def members(self, z: Floats) -> Floats:
        """Return the members' predictions (n, m) on ``z`` (n, z)."""
        return self.structure.members(z)

    def predict(self, z: Floats) -> Floats:
        """Return the prediction (n,) on ``z`` (n, z)."""
        return predict(self.structure, z)


@dataclass(frozen=True)
class FittedModel:
    """A trained model: everything that an export or a report needs.

    Attributes:
        outcomes: name -> fitted outcome.
        unavailable: outcome -> why the record cannot carry it.
        support: where the model has data.
        recipe: how its features are made; ``recipe.lever_columns`` places the levers.
        window: the levers and joint limits that the record supports.
        plant: the line's constants.
        data: what it was trained on.
        settings: what it was trained with, the seed included.
        identification: lever -> whether the record tells its effect, for every lever of the window.
        study: the tuning study before the fit, if there was one.
    """

    outcomes: Mapping[str, FittedOutcome]
    unavailable: Mapping[str, str]
    support: Support
    recipe: Recipe
    window: OperatingWindow
    plant: Plant
    data: DataSpan
    settings: TrainSettings
    identification: Mapping[str, LeverAssessment]
    study: TuningResult | None = None

    def __post_init__(self) -> None:
        """Refuse a model without outcomes, and a lever that nobody judged."""
        if not self.outcomes:
            raise UnknownNameError(f"a model needs an outcome; unavailable: {dict(self.unavailable)}")
        if lacking := sorted(set(self.window.names) - set(self.identification)):
            raise UnknownNameError(
                f"a model must say of every lever whether its effect is known, not {lacking}"
            )

    @property
    def seed(self) -> int:
        """The seed of every random draw behind this model."""
        return self.settings.seed

    def design(self, X: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> Floats:
        """Return Z (n, z) of recipe rows ``X`` (n, d) float32."""
        return design(X, self.recipe.lever_columns)
