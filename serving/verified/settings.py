"""How a saving is verified: windows, matching, and how sure is asked for."""

from dataclasses import dataclass
from typing import Final

from features.errors import SettingsError
from features.policy.carbon import GridKind

YOUNG_CELL_D: Final = 120.0


@dataclass(frozen=True)
class SavingsSettings:
    """The measurement and verification plan; IPMVP's words in brackets.

    Attributes:
        baseline_days: days before the first move [baseline period]. least_baseline: of them, known days needed.
        settling_days: days after the first move that count neither way.
        horizon_days: days after the settling for which a move is counted [reporting period]; the bundle's horizon.
        block_days: a longer reporting period is looked at in blocks of at most so many days.
        least_known: share of a window's days that must be known.
        young_cell_d: below this age a cell is neither counted nor a control.
        matched: controls a moved cell is compared with. least_controls: fewer on the line, and nothing is said.
        least_cell_days: fewer counted cell-days, and nothing is said.
        caliper: a control further away than this many standard deviations (root mean square over what is matched
            on) is none.
        confidence: of the interval, two-sided.
        least_exposure: share of the anodes' lives that must lie under the move before their carbon is told.
        grid: which grid factor counts the electricity's CO2. region: "" = the whole country.
    """

    baseline_days: int = 28
    least_baseline: int = 14
    settling_days: int = 3
    horizon_days: int = 7
    block_days: int = 14
    least_known: float = 0.7
    young_cell_d: float = YOUNG_CELL_D
    matched: int = 10
    least_controls: int = 6
    least_cell_days: int = 7
    caliper: float = 3.0
    confidence: float = 0.9
    least_exposure: float = 0.5
    grid: GridKind = "average"
    region: str = ""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingsError: a number is out of range.
        """
        ranges: dict[str, tuple[float, float]] = {
            "baseline_days": (7, 120),
            "least_baseline": (3, self.baseline_days),
            "settling_days": (0, 60),
            "horizon_days": (1, 60),
            "block_days": (self.horizon_days, 120),
            "least_known": (0.1, 1.0),
            "young_cell_d": (0, 2000),
            "matched": (1, 1000),
            "least_controls": (4, 1000),
            "least_cell_days": (1, 1000),
            "caliper": (0.1, 100.0),
            "confidence": (0.5, 0.999),
            "least_exposure": (0.05, 1.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"savings setting {name} is {value}; give a number from {low} to {high}")
