"""The dictionary: every named, unit-bearing quantity of the plant's record.

Columns cross CSV, JSON and pages, where docstrings do not follow, so the name carries the unit. ``low`` and
``high`` bound what an instrument or a plant can plausibly report, not what is good for the cell: a value outside
is quarantined, and process events (anode effects, start-ups, amperage changes) lie inside on purpose.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from features.errors import UnknownNameError

Role = Literal["lever", "context", "measured", "fed", "quality"]


@dataclass(frozen=True)
class Signal:
    """One quantity: canonical name, unit, meaning in both languages, plausible range, role and source."""

    name: str
    unit: str
    meaning: str
    meaning_zh: str
    low: float
    high: float
    role: Role
    source: str

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.low < self.high:
            raise ValueError(f"signal {self.name}: low {self.low} is not below high {self.high}; swap them")


_REPORT = "daily controller report"
_LAB = "laboratory"
_SHOP = "anode shop"

_ALL = (
    Signal("line_current_ka", "kA", "line current", "系列电流", 50, 700, "context", "rectifier"),
    Signal(
        "cell_voltage_v", "V", "mean working voltage of the day", "工作电压", 2.5, 45, "measured", _REPORT
    ),
    Signal("set_voltage_v", "V", "voltage setpoint", "设定电压", 3.3, 8, "lever", _REPORT),
    Signal(
        "applied_set_voltage_v",
        "V",
        "setpoint with the controller's modifiers",
        "实际设定电压",
        3.3,
        8,
        "measured",
        _REPORT,
    ),
    Signal("noise_mv", "mV", "voltage noise", "电压噪声", 0, 500, "measured", _REPORT),
    Signal("swing_minutes", "min", "time in voltage swing", "电压摆时间", 0, 1440, "measured", _REPORT),
    Signal("bath_temperature_c", "degC", "bath temperature", "电解温度", 880, 1040, "measured", _REPORT),
    Signal("metal_level_mm", "mm", "metal level", "铝水平", 50, 600, "measured", _REPORT),
    Signal("bath_level_mm", "mm", "bath level", "电解质水平", 50, 400, "measured", _REPORT),
    Signal(
        "alf3_dose_kg_d", "kg/d", "aluminium fluoride setpoint", "氟化铝设定加料量", 0, 300, "lever", _REPORT
    ),
    Signal("alf3_fed_kg_d", "kg/d", "aluminium fluoride fed", "氟化铝实际加料量", 0, 400, "fed", _REPORT),
    Signal(
        "alumina_feed_kg_d", "kg/d", "alumina feed target", "氧化铝设定加料量", 500, 15000, "lever", _REPORT
    ),
    Signal("alumina_fed_kg_d", "kg/d", "alumina fed", "氧化铝实际加料量", 0, 20000, "fed", _REPORT),
    Signal("alumina_shots", "1/d", "alumina shots", "加料次数", 0, 10000, "fed", _REPORT),
    Signal("anode_effects", "1/d", "anode effects", "阳极效应次数", 0, 50, "measured", _REPORT),
    Signal(
        "anode_effect_minutes", "min", "minutes in anode effect", "阳极效应时间", 0, 600, "measured", _REPORT
    ),
    Signal("cell_age_d", "d", "cell age since start-up", "槽龄", 0, 6000, "context", _REPORT),
    Signal("run_minutes", "min", "minutes in operation", "运行时间", 0, 1500, "context", _REPORT),
    Signal("beam_travel_mm", "mm/d", "anode beam travel", "阳极行程", 0, 1000, "measured", _REPORT),
    Signal("tap_mass_kg", "kg", "metal tapped", "实际出铝量", 0, 20000, "fed", "tapping scale"),
    Signal("tap_target_kg", "kg", "tapping target", "出铝指示量", 0, 20000, "lever", _REPORT),
    Signal("fe_wt_pct", "wt%", "iron in metal", "铁含量", 0, 5, "quality", _LAB),
    Signal("si_wt_pct", "wt%", "silicon in metal", "硅含量", 0, 5, "quality", _LAB),
    Signal(
        "excess_alf3_wt_pct",
        "wt%",
        "excess aluminium fluoride in bath",
        "过剩氟化铝",
        -5,
        25,
        "quality",
        _LAB,
    ),
    Signal("caf2_wt_pct", "wt%", "calcium fluoride in bath", "氟化钙", 0, 15, "quality", _LAB),
    Signal("lif_wt_pct", "wt%", "lithium fluoride in bath", "氟化锂", 0, 12, "quality", _LAB),
    Signal("kf_wt_pct", "wt%", "potassium fluoride in bath", "氟化钾", 0, 10, "quality", _LAB),
    Signal("mgf2_wt_pct", "wt%", "magnesium fluoride in bath", "氟化镁", 0, 8, "quality", _LAB),
    Signal("al2o3_wt_pct", "wt%", "dissolved alumina in bath", "氧化铝浓度", 0, 12, "quality", _LAB),
    Signal("new_mass_kg", "kg", "carbon mass of a new anode", "新极质量", 100, 3000, "quality", _SHOP),
    Signal("butt_mass_kg", "kg", "carbon mass of a butt", "残极质量", 10, 2000, "quality", _SHOP),
    Signal("crr_pct", "%", "anode CO2 reactivity residue", "CO2反应残余率", 50, 100, "quality", _SHOP),
    Signal("arr_pct", "%", "anode air reactivity residue", "空气反应残余率", 30, 100, "quality", _SHOP),
    Signal("air_permeability_npm", "nPm", "anode air permeability", "空气渗透率", 0, 20, "quality", _SHOP),
    Signal(
        "thermal_conductivity_w_mk",
        "W/(m K)",
        "anode thermal conductivity",
        "热导率",
        1,
        12,
        "quality",
        _SHOP,
    ),
    Signal("soda_wt_pct", "wt%", "soda in alumina", "氧化铝含钠量", 0, 2, "quality", _LAB),
    Signal("fines_wt_pct", "wt%", "fines in alumina", "氧化铝细粉率", 0, 80, "quality", _LAB),
    Signal("dc_energy_kwh", "kWh", "direct-current energy", "直流电量", 0, 1e8, "measured", "meter"),
    Signal("ac_energy_kwh", "kWh", "alternating-current energy", "交流电量", 0, 1e8, "measured", "meter"),
    Signal("auxiliary_energy_kwh", "kWh", "auxiliary energy", "辅助电量", 0, 1e7, "measured", "meter"),
    Signal(
        "tariff_per_kwh",
        "1/kWh",
        "electricity price in the plant's currency",
        "电价",
        0,
        5,
        "context",
        "contract",
    ),
    Signal(
        "renewable_share",
        "fraction",
        "renewable share of the power mix",
        "可再生能源占比",
        0,
        1,
        "context",
        "contract",
    ),
)

SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}

_FOLD = "folded from the tables"
_PHYSICS = "computed from the record"

_DERIVED = (
    Signal(
        "anode_net_kg_removed",
        "kg",
        "net carbon of anodes weighed out that day",
        "当日换出阳极净耗",
        0,
        50000,
        "measured",
        _FOLD,
    ),
    Signal(
        "anode_days_removed",
        "d",
        "anode lives that ended that day, summed",
        "当日换出阳极使用天数",
        0,
        5000,
        "measured",
        _FOLD,
    ),
    Signal(
        "anodes_removed", "1/d", "anodes weighed out that day", "当日换出阳极数", 0, 100, "measured", _FOLD
    ),
    Signal(
        "line_bath_temperature_c",
        "degC",
        "line median of the bath temperature",
        "系列电解温度中位数",
        880,
        1040,
        "context",
        _FOLD,
    ),
    Signal(
        "line_noise_mv", "mV", "line median of the voltage noise", "系列噪声中位数", 0, 500, "context", _FOLD
    ),
    Signal(
        "line_cell_voltage_v",
        "V",
        "line median of the working voltage",
        "系列工作电压中位数",
        2.5,
        45,
        "context",
        _FOLD,
    ),
    Signal(
        "voltage_excess_v",
        "V",
        "working voltage over its setpoint",
        "工作电压与设定电压之差",
        -6,
        45,
        "measured",
        _PHYSICS,
    ),
    Signal(
        "voltage_modifier_v",
        "V",
        "what the controller adds to the setpoint",
        "附加设定电压",
        -5,
        5,
        "measured",
        _PHYSICS,
    ),
    Signal(
        "alf3_fed_excess_kg_d",
        "kg/d",
        "AlF3 fed over its setpoint",
        "氟化铝实际与设定之差",
        -300,
        400,
        "fed",
        _PHYSICS,
    ),
    Signal(
        "tap_excess_kg",
        "kg",
        "metal tapped over its target",
        "实际与指示出铝量之差",
        -20000,
        20000,
        "fed",
        _PHYSICS,
    ),
    Signal(
        "bath_temperature_over_line_c",
        "degC",
        "bath temperature over the line's median",
        "电解温度与系列中位数之差",
        -160,
        160,
        "measured",
        _PHYSICS,
    ),
    Signal(
        "noise_over_line_mv",
        "mV",
        "noise over the line's median",
        "噪声与系列中位数之差",
        -500,
        500,
        "measured",
        _PHYSICS,
    ),
    Signal(
        "alumina_feed_ratio",
        "-",
        "alumina fed over the stoichiometric demand at full efficiency",
        "下料量与理论需求之比",
        0,
        4,
        "fed",
        _PHYSICS,
    ),
    Signal(
        "production_kg_d",
        "kg/d",
        "metal production from the metal balance",
        "铝产量估计",
        200,
        8000,
        "measured",
        _PHYSICS,
    ),
)

DERIVED: Mapping[str, Signal] = {signal.name: signal for signal in _DERIVED}
"""Daily quantities that the house computes itself; no table carries them."""


def signal(name: str, known: Iterable[str] = ()) -> Signal:
    """Return the signal called ``name``; ``known`` names extra signals to show in the error.

    Raises:
        UnknownNameError: no such signal; the message lists the nearest names.
    """
    if name in SIGNALS:
        return SIGNALS[name]
    import difflib

    near = difflib.get_close_matches(name, [*SIGNALS, *known], n=3) or sorted(SIGNALS)[:5]
    raise UnknownNameError(f"unknown signal {name!r}; nearest names: {', '.join(near)}")
