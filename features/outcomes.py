"""The outcomes by name: what follows from holding the levers over the horizon.

``low`` and ``high`` are plausibility limits for a *label*: outside them the number says more about the record than
about the cell (domain limits: below 11,500 kWh/t no cell has been shown to run; net carbon cannot fall below the
electrolytic 334 kg/t).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from features.errors import UnknownNameError

OutcomeRole = Literal["target", "helper"]


@dataclass(frozen=True)
class Outcome:
    """One outcome: canonical name, unit, meaning in both languages, plausible range of a label, role."""

    name: str
    unit: str
    meaning: str
    meaning_zh: str
    low: float
    high: float
    role: OutcomeRole

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.low < self.high:
            raise ValueError(f"outcome {self.name}: low {self.low} is not below high {self.high}; swap them")


_ALL = (
    Outcome("energy_kwh_per_t", "kWh/t", "direct-current energy", "直流电耗", 10500, 22000, "target"),
    Outcome("net_anode_kg_per_t", "kg/t", "net anode consumption", "阳极净耗", 340, 650, "target"),
    Outcome("mean_voltage_v", "V", "mean working voltage", "平均工作电压", 3.0, 8.0, "helper"),
    Outcome("current_efficiency", "fraction", "current efficiency", "电流效率", 0.6, 1.02, "helper"),
    Outcome("mean_bath_temperature_c", "degC", "mean bath temperature", "平均电解温度", 880, 1040, "helper"),
    Outcome("mean_superheat_c", "degC", "mean superheat", "平均过热度", -20, 80, "helper"),
    Outcome("mean_noise_mv", "mV", "mean voltage noise", "平均电压噪声", 0, 500, "helper"),
)

OUTCOMES: Mapping[str, Outcome] = {outcome.name: outcome for outcome in _ALL}
TARGETS: tuple[str, ...] = tuple(outcome.name for outcome in _ALL if outcome.role == "target")
HELPERS: tuple[str, ...] = tuple(outcome.name for outcome in _ALL if outcome.role == "helper")

REPORTED_ONLY = "energy_tapped_kwh_per_t"
"""Energy over raw tapped mass: reported beside the target as a check, never trained on."""


def outcome(name: str) -> Outcome:
    """Return the outcome called ``name``.

    Raises:
        UnknownNameError: no such outcome; the message lists all of them.
    """
    if name not in OUTCOMES:
        raise UnknownNameError(f"unknown outcome {name!r}; the outcomes are {', '.join(OUTCOMES)}")
    return OUTCOMES[name]
