"""What a training run may be told: frozen values, checked once, logged as they are."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from features.errors import SettingsError


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise SettingsError(f"training setting {name} is {value!r}; expected {expected}")


@dataclass(frozen=True)
class LinearSettings:
    """The linear part that every family shares.

    ``alphas``: ridge strengths to choose from, relative to the mean information of a column. ``overlap_d``: a label
    averages this many days, so neighbouring rows repeat each other and count as that many times fewer when they
    are weighed against what physics expects of a lever.
    """

    alphas: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    overlap_d: float = 7.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(min(self.alphas, default=0) > 0, "linear.alphas", self.alphas, "positive numbers")
        _check(self.overlap_d >= 1, "linear.overlap_d", self.overlap_d, "at least one day")


@dataclass(frozen=True)
class BoostingSettings:
    """LightGBM on what the linear part leaves: see LightGBM's parameters of the same meaning."""

    trees: int = 60
    leaves: int = 15
    learning_rate: float = 0.06
    min_rows: int = 100
    column_share: float = 0.7
    row_share: float = 0.7
    l2: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(1 <= self.trees <= 5000, "boosting.trees", self.trees, "1 to 5000")
        _check(2 <= self.leaves <= 1024, "boosting.leaves", self.leaves, "2 to 1024")
        _check(
            0 < self.learning_rate <= 1, "boosting.learning_rate", self.learning_rate, "above 0, at most 1"
        )
        _check(self.min_rows >= 1, "boosting.min_rows", self.min_rows, "at least 1")
        _check(0 < self.column_share <= 1, "boosting.column_share", self.column_share, "above 0, at most 1")
        _check(0 < self.row_share <= 1, "boosting.row_share", self.row_share, "above 0, at most 1")
        _check(self.l2 >= 0, "boosting.l2", self.l2, "at least 0")


@dataclass(frozen=True)
class NetworkSettings:
    """The PyTorch ensemble: ``heads`` perceptrons on one shared trunk, trained on all outcomes at once.

    ``heads`` must be a multiple of the members.
    """

    heads: int = 10
    width: int = 64
    depth: int = 2
    epochs: int = 30
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(1 <= self.heads <= 64, "network.heads", self.heads, "1 to 64")
        _check(4 <= self.width <= 1024, "network.width", self.width, "4 to 1024")
        _check(1 <= self.depth <= 6, "network.depth", self.depth, "1 to 6")
        _check(1 <= self.epochs <= 1000, "network.epochs", self.epochs, "1 to 1000")
        _check(8 <= self.batch <= 65536, "network.batch", self.batch, "8 to 65536")
        _check(0 < self.learning_rate < 1, "network.learning_rate", self.learning_rate, "between 0 and 1")
        _check(self.weight_decay >= 0, "network.weight_decay", self.weight_decay, "at least 0")
        _check(0 <= self.dropout < 1, "network.dropout", self.dropout, "0 to below 1")


@dataclass(frozen=True)
class TrainSettings:
    """One training run.

    Attributes:
        seed: of every random draw.
        horizon_d: days over which an outcome is averaged.
        members: ensemble members m.
        folds: rolling-origin blocks inside the development period; champion, blend weights and intervals come
            from them.
        test_share: last share of the decision days, seen by nothing but the report.
        validated_share: share of the development days, the latest, that the blocks cut among them.
        coverage: of the intervals.
        mature_from_d: cell age from which a cell is no longer young.
        bootstrap_block_d: days per cell that are drawn together.
        trials: tuning trials before the fit; 0 = the settings below as they are.
        cell_folds: groups of cells for the check on unseen cells; 0 = no check.
        workers: threads that fit side by side; the numbers do not depend on it.
    """

    seed: int = 7
    horizon_d: int = 7
    members: int = 5
    folds: int = 4
    test_share: float = 0.2
    validated_share: float = 0.4
    coverage: float = 0.9
    mature_from_d: float = 120.0
    bootstrap_block_d: int = 14
    support_threshold: float = 0.01
    trials: int = 12
    cell_folds: int = 3
    workers: int = 2
    linear: LinearSettings = field(default_factory=LinearSettings)
    boosting: BoostingSettings = field(default_factory=BoostingSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)

    def __post_init__(self) -> None:
        """Check the ranges and that perceptrons divide into members."""
        _check(1 <= self.horizon_d <= 60, "horizon_d", self.horizon_d, "1 to 60 days")
        _check(2 <= self.members <= 20, "members", self.members, "2 to 20")
        _check(2 <= self.folds <= 10, "folds", self.folds, "2 to 10")
        _check(0.05 <= self.test_share <= 0.5, "test_share", self.test_share, "0.05 to 0.5")
        _check(0.1 <= self.validated_share <= 0.8, "validated_share", self.validated_share, "0.1 to 0.8")
        _check(0.5 <= self.coverage < 1, "coverage", self.coverage, "0.5 to below 1")
        _check(self.mature_from_d >= 0, "mature_from_d", self.mature_from_d, "at least 0")
        _check(self.bootstrap_block_d >= 1, "bootstrap_block_d", self.bootstrap_block_d, "at least 1")
        _check(0 <= self.support_threshold <= 1, "support_threshold", self.support_threshold, "0 to 1")
        _check(0 <= self.trials <= 10000, "trials", self.trials, "0 to 10000")
        _check(
            self.cell_folds == 0 or self.cell_folds >= 2, "cell_folds", self.cell_folds, "0, or 2 and more"
        )
        _check(1 <= self.workers <= 64, "workers", self.workers, "1 to 64")
        heads = self.network.heads
        _check(heads % self.members == 0, "network.heads", heads, f"a multiple of members ({self.members})")

    def quick(self) -> "TrainSettings":
        """Return the same run made small: seconds instead of minutes, for checks of the machinery only."""
        return replace(
            self,
            folds=2,
            trials=min(self.trials, 2),
            cell_folds=min(self.cell_folds, 2),
            boosting=replace(self.boosting, trees=20, leaves=6),
            network=replace(self.network, heads=self.members, width=16, epochs=3),
        )

    def flat(self) -> dict[str, Any]:
        """Return every setting under a dotted name, as a run logs it."""
        out: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, LinearSettings | BoostingSettings | NetworkSettings):
                out.update({f"{item.name}.{name}": inner for name, inner in asdict(value).items()})
            else:
                out[item.name] = value
        return out
