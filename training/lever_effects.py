"""What physics says about a lever's effect on an outcome, before any data are seen.

History is confounded: operators raise the voltage *because* a cell is sick. A sign that physics fixes is therefore
not left to the data, and a size that physics knows is where the line starts from. Effects are per unit of the
lever's move, on the mean over about a week while every other lever stays. Where physics says nothing, the line starts
from no effect and needs evidence to leave it.

Lowering the voltage brings the anodes nearer to the metal: each step costs more stability than the last, and a cell
that stands low already loses more than one that stands high. That is :data:`CROWDING`: an effect proportional to the
change of ``exp(-voltage / 0.1 V)``, beside the straight one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist


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

    def per(self, size: float) -> "LeverEffect":
        """Return the effect per ``size`` units."""
        return replace(self, mean=self.mean * size, sd=self.sd * size)

    def draw(self, member: int, members: int, order: int) -> float:
        """Return a member's expectation, never of the forbidden sign; ``order``: the effect's number, see ``turned``."""
        return self.allowed(self.mean + self.sd * turned(member, members, order))

    def allowed(self, value: float) -> float:
        """Return ``value``, or no effect where physics forbids its sign."""
        return max(value, 0.0) if self.sign > 0 else min(value, 0.0) if self.sign < 0 else value


def turned(member: int, members: int, order: int) -> float:
    """Return a member's standard normal: one of ``members`` quantiles, the others have the rest.

    ``order`` turns them, so a member that is high in one thing is not high in all.
    """
    place = (member + order) % members
    return quantiles(members)[place if order % 2 else members - 1 - place]


def quantiles(members: int) -> list[float]:
    """Return equally likely values of a standard normal, scaled to its variance; a single one is its mean."""
    raw = [NormalDist().inv_cdf((place + 0.5) / members) for place in range(members)]
    size = math.sqrt(sum(value**2 for value in raw) / members)
    return [value / size if size else 0.0 for value in raw]


VOLTAGE, DOSE, TAP, FEED = "set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d"

CROWDING_SCALE_V = 0.1
"""Noise and back reaction grow e-fold when the anodes come nearer by about 3 mm, 34 mV each (background knowledge)."""
CROWDING_SCALE_SD = 0.5
"""By how much that scale is uncertain, as the sd of its logarithm."""

EFFECTS: Mapping[tuple[str, str], LeverEffect] = {
    ("mean_voltage_v", VOLTAGE): LeverEffect(
        1, 1.0, 0.03, "the controller moves the anodes until the measured voltage meets the setpoint"
    ),
    ("energy_kwh_per_t", VOLTAGE): LeverEffect(
        0, 4100.0, 1500.0, "2979.98/CE = 3170 kWh/t per V at CE 0.94, and 924 through the warmer bath's CE"
    ),
    ("current_efficiency", VOLTAGE): LeverEffect(
        0, -0.07, 0.1, "a warmer bath dissolves more metal: -1.39 points per 10 degC, 5 degC per 0.1 V"
    ),
    ("net_anode_kg_per_t", VOLTAGE): LeverEffect(
        0, 86.0, 86.0, "1.2 kg/t per degC of burn (Fischer), and 334/CE with the warmer bath's CE"
    ),
    ("mean_bath_temperature_c", VOLTAGE): LeverEffect(
        1, 50.0, 50.0, "power in: +10 mV at 500 kA is +5 kW of heat in the bath"
    ),
    ("mean_superheat_c", VOLTAGE): LeverEffect(
        1, 20.0, 20.0, "more heat melts ledge, which raises the bath above its liquidus"
    ),
    ("mean_noise_mv", VOLTAGE): LeverEffect(
        -1, -20.0, 40.0, "a larger anode-cathode distance damps the metal waves, beyond what crowding says"
    ),
    ("mean_voltage_v", DOSE): LeverEffect(0, 0.0, 2e-5, "the controller holds the voltage"),
    ("mean_bath_temperature_c", DOSE): LeverEffect(
        -1,
        -0.1,
        0.05,
        "liquidus falls about 4 degC per % AlF3 and the bath follows it; 10 kg/d in a week: 0.3 %",
    ),
    ("mean_superheat_c", DOSE): LeverEffect(
        0, 0.0, 0.005, "bath and liquidus fall together while ledge freezes and melts"
    ),
    ("current_efficiency", DOSE): LeverEffect(
        1, 0.00015, 0.00015, "+0.59 points CE per % AlF3 (regression in a patent on setpoint choice)"
    ),
    ("energy_kwh_per_t", DOSE): LeverEffect(
        -1, -2.0, 2.0, "CE rises with AlF3 while the controller holds the voltage"
    ),
    ("net_anode_kg_per_t", DOSE): LeverEffect(
        -1, -0.15, 0.15, "a colder bath burns less carbon and CE rises: both lower the consumption"
    ),
    ("mean_noise_mv", DOSE): LeverEffect(
        1,
        0.05,
        0.05,
        "AlF3 lowers the bath's conductivity: at a held voltage the anodes come nearer to the metal",
    ),
    # Tapping draws the pad down by millimetres a week. It makes no metal: an effect on a tonne's energy or carbon
    # would be an echo of how tapping follows production.
    ("mean_voltage_v", TAP): LeverEffect(0, 0.0, 2e-6, "the controller holds the voltage"),
    ("current_efficiency", TAP): LeverEffect(0, 0.0, 1e-6, "120 kg a day for a week is 3 mm of metal"),
    ("energy_kwh_per_t", TAP): LeverEffect(0, 0.0, 0.02, "120 kg a day for a week is 3 mm of metal"),
    ("net_anode_kg_per_t", TAP): LeverEffect(0, 0.0, 0.001, "120 kg a day for a week is 3 mm of metal"),
    ("mean_noise_mv", TAP): LeverEffect(1, 0.001, 0.003, "a shallower metal pad is less stable"),
    ("mean_bath_temperature_c", TAP): LeverEffect(
        1, 0.001, 0.002, "less metal conducts less heat to the side"
    ),
    ("mean_superheat_c", TAP): LeverEffect(1, 0.0005, 0.001, "less metal conducts less heat to the side"),
}
"""(outcome, lever) -> effect per unit of the move."""

CROWDING: Mapping[str, LeverEffect] = {
    "mean_voltage_v": LeverEffect(
        1, 0.005, 0.005, "a noisy cell is given 10 to 40 mV more by its controller (background knowledge)"
    ),
    "mean_noise_mv": LeverEffect(
        1, 10.0, 20.0, "noise grows exponentially as the distance falls (background knowledge)"
    ),
    "current_efficiency": LeverEffect(
        -1,
        -0.008,
        0.012,
        "-0.04 points CE per mV of noise, and as much again for metal that the bath meets nearer to the anodes"
        " (background knowledge: -0.04 points per mm2 below 40 mm)",
    ),
    "energy_kwh_per_t": LeverEffect(1, 122.0, 160.0, "the same two, through 2979.98 V/CE"),
    "net_anode_kg_per_t": LeverEffect(1, 3.0, 4.0, "the same, through 333.87/CE"),
}
"""Outcome -> effect of one e-fold more crowding at the mean voltage and the usual scale: the shape is known, the size hardly."""

_DOUBT = 0.1
"""Without an entry: a move three times the usual size changes the outcome by a tenth of its unexplained spread."""


def lever_effect(outcome: str, lever: str) -> LeverEffect | None:
    """Return what physics says about ``lever`` on ``outcome``, or None where it says nothing."""
    return EFFECTS.get((outcome, lever))


def expected_slope(outcome: str, lever: str) -> LeverEffect | None:
    """Return what physics expects of a small move from the mean setting, crowding included; None where it is silent."""
    straight = lever_effect(outcome, lever)
    if straight is None or lever != VOLTAGE or outcome not in CROWDING:
        return straight
    # d/dV of exp(-(V - mean) / scale) at the mean.
    bend = CROWDING[outcome]
    mean = straight.mean - bend.mean / CROWDING_SCALE_V
    sign = straight.sign if mean * straight.sign >= 0 else 0
    return LeverEffect(sign, mean, math.hypot(straight.sd, bend.sd / CROWDING_SCALE_V), straight.source)


def doubtful(spread: float, usual_move: float) -> LeverEffect:
    """Return the effect of a lever that physics is silent about, for an outcome whose unexplained sd is ``spread``."""
    return LeverEffect(0, 0.0, _DOUBT * spread / (3 * usual_move), "nothing is known: evidence first")
