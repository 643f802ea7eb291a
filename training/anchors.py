"""Features that already estimate an outcome, in the outcome's own unit."""

from collections.abc import Mapping, Sequence

RUNNING: Mapping[str, str] = {
    "energy_kwh_per_t": "energy_kwh_per_t_now",
    "net_anode_kg_per_t": "net_anode_kg_per_t_28d",
    "mean_voltage_v": "cell_voltage_v_mean_7d",
    "current_efficiency": "current_efficiency_now",
    "mean_bath_temperature_c": "bath_temperature_c_mean_7d",
    "mean_superheat_c": "superheat_c_recent",
    "mean_noise_mv": "noise_mv_mean_7d",
}
"""Outcome -> its running estimate: as a prediction, it says that nothing will change."""

LONG_RUN: Mapping[str, Sequence[str]] = {
    "energy_kwh_per_t": ("energy_kwh_per_t_mean_120d",),
    "net_anode_kg_per_t": ("net_anode_kg_per_t_120d", "net_anode_kg_per_t_mean_120d"),
    "mean_voltage_v": ("cell_voltage_v_mean_120d", "cell_voltage_v_mean_28d"),
    "current_efficiency": ("current_efficiency_mean_120d",),
    "mean_bath_temperature_c": ("bath_temperature_c_mean_120d", "bath_temperature_c_mean_28d"),
    "mean_noise_mv": ("noise_mv_mean_120d", "noise_mv_mean_28d"),
}
"""Outcome -> its long-run mean in the cell, the longest that the recipe may have first."""


def anchors(outcome: str, names: Sequence[str]) -> tuple[int, ...]:
    """Return the columns among ``names`` that estimate ``outcome``: its running estimate, its long-run mean."""
    running = [RUNNING[outcome]] if outcome in RUNNING else []
    long_run = [name for name in LONG_RUN.get(outcome, ()) if name in names][:1]
    return tuple(names.index(name) for name in (*running, *long_run) if name in names)
