"""What physics says about a lever's effect on an outcome, before any data are seen.

History is confounded: operators raise the voltage *because* a cell is sick. A sign that physics fixes is therefore
not left to the data (trees are monotone in it, the line is bounded by it, the network is penalised against it), and
a size that physics knows is where the line starts from. Effects are per unit of the lever's move, on the mean over
about a week while every other lever stays. Where two mechanisms disagree there is no entry, and data decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LeverEffect:
    """The expected effect of one lever on one outcome.

    sign: -1, 0 (unknown) or +1; mean, sd: prior of the slope, outcome unit per lever unit; source: why.
    """

    sign: int
    mean: float
    sd: float
    source: str

    def __post_init__(self) -> None:
        """Refuse a prior that contradicts its own sign."""
        if self.sign not in (-1, 0, 1) or self.sd <= 0 or self.mean * self.sign < 0:
            raise ValueError(
                f"lever effect {self}: the prior mean must have the sign, and sd must be positive"
            )


EFFECTS: Mapping[tuple[str, str], LeverEffect] = {
    ("mean_voltage_v", "set_voltage_v"): LeverEffect(
        1, 1.0, 0.1, "the controller moves the anodes until the measured voltage meets the setpoint"
    ),
    ("energy_kwh_per_t", "set_voltage_v"): LeverEffect(
        0, 3170.0, 1500.0, "kWh/t = 2979.98 V/CE at CE 0.94; CE itself may rise with distance, so no sign"
    ),
    ("mean_bath_temperature_c", "set_voltage_v"): LeverEffect(
        1, 50.0, 50.0, "power in: +10 mV at 500 kA is +5 kW of heat in the bath"
    ),
    ("mean_superheat_c", "set_voltage_v"): LeverEffect(
        1, 40.0, 40.0, "more heat melts ledge, which raises the bath above its liquidus"
    ),
    ("mean_noise_mv", "set_voltage_v"): LeverEffect(
        -1, -50.0, 50.0, "a larger anode-cathode distance damps the metal waves"
    ),
    ("mean_bath_temperature_c", "alf3_dose_kg_d"): LeverEffect(
        -1, -0.1, 0.1, "liquidus falls about 4 degC per % AlF3 and the bath follows it"
    ),
    ("current_efficiency", "alf3_dose_kg_d"): LeverEffect(
        1,
        0.00015,
        0.00015,
        "+0.59 percentage points CE per % AlF3 (regression in a patent on setpoint choice)",
    ),
    ("energy_kwh_per_t", "alf3_dose_kg_d"): LeverEffect(
        -1, -2.0, 2.0, "CE rises with AlF3 while the controller holds the voltage"
    ),
    ("net_anode_kg_per_t", "alf3_dose_kg_d"): LeverEffect(
        -1, -0.15, 0.15, "a colder bath burns less carbon and CE rises: both lower the consumption"
    ),
    ("mean_noise_mv", "tap_target_kg"): LeverEffect(1, 0.003, 0.006, "a shallower metal pad is less stable"),
    ("mean_bath_temperature_c", "tap_target_kg"): LeverEffect(
        1, 0.003, 0.006, "less metal conducts less heat to the side"
    ),
}


def lever_effect(outcome: str, lever: str) -> LeverEffect | None:
    """Return what physics says about ``lever`` on ``outcome``, or None where it says nothing."""
    return EFFECTS.get((outcome, lever))
