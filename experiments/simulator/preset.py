"""A preset: one line's cited constants, read from ``presets/<name>.toml`` into frozen groups.

A group's fields are exactly the keys of its section; a missing or unknown key is refused by name.
"""

import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, TypeVar

from features.errors import SettingsError, UnknownNameError

Pair = tuple[float, float]
NineBox = tuple[float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True)
class LineConstants:
    """What the line is."""

    name: str
    line_id: str
    timezone: str
    start_date: str
    nominal_current_ka: float
    anodes: int
    metal_pad_area_m2: float
    spin_up_days: int
    steps_per_day: int


@dataclass(frozen=True)
class Electrics:
    """Geometry and drops of the cell's circuit, and the distance controller."""

    anode_area_cm2: float
    single_anode_area_cm2: float
    fanning: float
    cathode_area_cm2: float
    effect_al2o3_wt_pct: float
    suspension_per_pct: float
    cathode_drop_v: float
    external_drop_v: float
    cathode_ageing_v_per_kd: float
    damaged_cathode_v: float
    reference_voltage_v: float
    reference_acd_cm: float
    controller_share: float
    controller_noise_v: float


@dataclass(frozen=True)
class Heat:
    """Heat losses, ledge and heat stores."""

    reference_temperature_c: float
    reference_ledge_mm: float
    ambient_c: float
    ambient_swing_k: float
    ambient_noise_k: float
    bottom_kw_per_k: float
    perimeter_m: float
    bath_to_ledge_kw_m2k: float
    metal_to_ledge_kw_m2k: float
    ledge_w_mk: float
    ledge_density_kg_m3: float
    ledge_latent_kj_kg: float
    ledge_area_m2: float
    shell_share: float
    wall_kj_k: float
    bath_kj_kgk: float
    metal_kj_kgk: float
    carbon_kj_k: float
    new_anode_mj: float
    chill_hours: float
    haupin_v: Pair
    damaged_bottom_kw: float
    young_bottom_kw: float
    young_days: float


@dataclass(frozen=True)
class BathConstants:
    """The bath's mass, salts, fluoride losses and level."""

    reference_mass_kg: float
    cavity_area_m2: float
    free_area_m2: float
    density_kg_m3: float
    reference_wt_pct: tuple[float, float, float, float, float]
    young_salt_share: float
    young_alf3_wt_pct: float
    reference_al2o3_wt_pct: float
    salt_loss_per_day: float
    bath_growth_per_day: float
    alumina_salt_spread: float
    fume_kg_d: float
    fume_power: float
    fume_per_k: float
    soda_kg_per_kg: float
    soda_returned: float
    young_soda_kg_d: float
    damaged_soda_kg_d: float
    level_target_mm: float
    crust_alf3_wt_pct: float


@dataclass(frozen=True)
class Feeding:
    """Shots, the demand-feed controller, dissolution and anode effects."""

    shot_kg: float
    practical_kg_per_kg: float
    shot_bias: float
    shot_spread: float
    under_rate: float
    over_rate: float
    over_steps: int
    base_steps: int
    trigger_wt_pct: float
    estimate_noise_wt_pct: float
    estimate_bias_wt_pct: float
    prompt_share: float
    fines_penalty: float
    cold_penalty: float
    dissolution_per_step: float
    effect_rate_per_step: float
    effect_onset_wt_pct: float
    effect_width_wt_pct: float
    effect_volts: float
    effect_minutes: float
    effect_feed_kg: float


@dataclass(frozen=True)
class Efficiency:
    """The true current-efficiency law."""

    reference: float
    per_k: float
    per_alf3_pct: float
    alf3_bend: float
    alf3_knee_wt_pct: float
    per_noise_mv: float
    noise_knee_mv: float
    distance_bend: float
    distance_knee_mm: float
    superheat_bend: float
    superheat_knee_c: float
    per_sludge_t: float
    low_metal_bend: float
    low_metal_mm: float
    per_dust_kg: float
    young: float
    damaged: float
    low: float
    high: float


@dataclass(frozen=True)
class Noise:
    """Voltage noise and the controller's modifier."""

    base_mv: float
    critical_mm: float
    growth_mv: float
    width_mm: float
    metal_mm_per_mm: float
    per_sludge_t_mv: float
    cold_mv_per_k: float
    cold_from_c: float
    anode_change_mv: float
    bad_anode_mv: float
    bad_anode_share: float
    bad_anode_days: float
    weather_mv: float
    weather_days: float
    modifier_from_mv: float
    modifier_v_per_mv: float
    modifier_cap_v: float


@dataclass(frozen=True)
class Carbon:
    """Net anode consumption, anode lots and the anode rotation."""

    airburn_kg_t: float
    carboxy_kg_t: float
    dust_kg_t: float
    airburn_per_k: float
    carboxy_per_k: float
    airburn_per_arr: float
    airburn_per_tc: float
    carboxy_per_crr: float
    carboxy_per_ap: float
    dust_per_crr: float
    crr_pct: Pair
    arr_pct: Pair
    air_permeability_npm: Pair
    thermal_conductivity_w_mk: Pair
    dust_to_bath: float
    dust_days: float
    dust_resistivity_per_kg: float
    new_mass_kg: float
    new_mass_spread_kg: float
    life_days: Pair
    failure_per_day: float
    position_spread: float
    face_t_per_mm: float


@dataclass(frozen=True)
class Lots:
    """How long a lot is used, how lots differ, and where the supply drifts."""

    crr_drift_pct_a: float
    arr_drift_pct_a: float

    anode_days: Pair
    alumina_days: Pair
    soda_wt_pct: Pair
    fines_wt_pct: Pair


@dataclass(frozen=True)
class Current:
    """Drift, outages and a planned raise of the line current."""

    raise_ka: float
    raise_from_day: float
    raise_days: float

    drift_ka: float
    drift_days: float
    daily_ka: float
    outage_per_day: float
    outage_hours: Pair
    outage_load: Pair


@dataclass(frozen=True)
class CellSpread:
    """Standard deviations between cells, and the slow disturbances within one."""

    top_loss: float
    cathode_v: float
    conductivity: float
    critical_mm: float
    efficiency: float
    noise_mv: float
    soda_kg_d: float
    alf3_feeder: float
    thermocouple_c: float
    level_mm: float
    cover: float
    cover_days: float
    sick_days: float
    sick_efficiency: float
    sick_drift_mv: float
    sick_noise_mv: float
    sick_top_loss: float


@dataclass(frozen=True)
class LifeConstants:
    """Ages, damage, stops and restarts."""

    damaged_share: float
    young_share: float
    damage_per_year: float
    relining_per_year: float
    restart_share: float
    downtime_days: Pair
    age_days: Pair


@dataclass(frozen=True)
class Operation:
    """What the operators aim at and how they move.

    The boxes are the policy's nine boxes, row by row: temperature low, in band, high; columns AlF3 low, in band, high.
    """

    dose_box: NineBox
    volt_box: NineBox
    voltage_act: float
    voltage_whim: float
    dose_act: float
    dose_follow: float

    set_voltage_v: float
    damaged_voltage_v: float
    start_voltage_v: float
    start_voltage_days: float
    preference_v: float
    temperature_c: float
    temperature_band_c: float
    young_temperature_c: float
    alf3_wt_pct: float
    alf3_band_wt_pct: float
    alf3_dose_kg_d: float
    young_dose_kg_d: float
    damaged_dose_kg_d: float
    dose_per_k: float
    dose_per_noise_mv: float
    dose_per_alf3_pct: float
    metal_level_mm: float
    damaged_metal_mm: float
    young_metal_mm: float
    tap_base_kg: float
    tap_step_kg: float
    tap_steps_per_k: float
    tap_mm_per_step: float
    feed_step_kg: float
    young_days: float
    young_ramp_days: float
    noise_high_mv: float
    event_volts: Pair
    event_steps: tuple[int, int]


@dataclass(frozen=True)
class Instruments:
    """Measurement noise and what is never recorded."""

    temperature_c: float
    level_mm: float
    bath_level_mm: float
    tap_kg: float
    tap_habit_kg: float
    tap_habit_days: float
    tap_scatter_kg: float
    alf3_wt_pct: float
    salt_wt_pct: float
    al2o3_wt_pct: float
    noise_mv: float
    voltage_v: float
    butt_kg: float
    unweighed_share: float
    alf3_scatter: float
    alf3_overfeed: float


@dataclass(frozen=True)
class Hidden:
    """Effects that no feature models, beside the carbon dust."""

    end_cell_share: float
    """Share of the line at either end that feels the return conductor."""
    end_cell_mm: float
    """By how much the critical distance of the outermost cell is larger, at the nominal current."""
    damp_fume: float
    """By how much the summer's damp alumina raises the loss of AlF3, as a share."""


@dataclass(frozen=True)
class Faults:
    """Instruments that lie: the share of cells, and from when on (days, uniform)."""

    drift_share: float
    drift_c_per_d: float
    drift_most_c: float
    jump_share: float
    jump_mm: float
    from_day: Pair
    lost_readings: float
    """Share of the days on which a temperature never reaches the record."""


@dataclass(frozen=True)
class Preset:
    """All constants of a virtual line."""

    line: LineConstants
    electrics: Electrics
    heat: Heat
    bath: BathConstants
    feeding: Feeding
    efficiency: Efficiency
    noise: Noise
    carbon: Carbon
    lots: Lots
    current: Current
    cells: CellSpread
    life: LifeConstants
    operation: Operation
    instruments: Instruments
    hidden: Hidden
    faults: Faults

    @property
    def step_s(self) -> float:
        """Length of an inner step [s]."""
        return 86400.0 / self.line.steps_per_day


_G = TypeVar("_G")


def _group(kind: type[_G], values: dict[str, Any], where: str) -> _G:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if names != set(values):
        missing, unknown = sorted(names - set(values)), sorted(set(values) - names)
        raise SettingsError(
            f"preset section [{where}]: missing {missing}, unknown {unknown}; correct the file"
        )
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def preset_from(document: dict[str, Any]) -> Preset:
    """Build a preset from a parsed TOML document.

    Raises:
        SettingsError: a section or a key is missing or unknown.
    """
    kinds = {f.name: f.type for f in fields(Preset)}
    if set(kinds) != set(document):
        odd = sorted(set(kinds) ^ set(document))
        raise SettingsError(
            f"preset: sections {odd} are missing or unknown; the sections are {sorted(kinds)}"
        )
    groups: dict[str, Any] = {
        name: _group(kind, document[name], name) for name, kind in kinds.items() if isinstance(kind, type)
    }
    return Preset(**groups)


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with the package."""
    folder = resources.files("experiments.simulator") / "presets"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load_preset(name: str) -> Preset:
    """Read the preset called ``name``.

    Raises:
        UnknownNameError: no such preset.
        SettingsError: the file does not fit.
    """
    if name not in preset_names():
        raise UnknownNameError(f"unknown preset {name!r}; the presets are {', '.join(preset_names())}")
    text = (resources.files("experiments.simulator") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return preset_from(tomllib.loads(text))
