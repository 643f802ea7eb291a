"""Golden values of the relations of metal, heat, efficiency and carbon, from a second writing of every formula in plain ``math``.

It shares nothing with the packages: constants and formulas are typed again from the sources, so that a slip of the
pen in either shows. Run ``python tests/golden/make_balance_values.py`` to write ``balance_values.json`` anew.
"""

import inspect
import json
import pathlib
from collections.abc import Callable, Mapping
from math import exp, pi, pow, sin

Q = 26.9815385 * 3600 * 1000 / (3 * 96485.332) / 1000  # kg/(kA h)
INDUSTRIAL = {"excess_alf3": 11.0, "al2o3": 2.5, "caf2": 5.0, "lif": 1.5, "mgf2": 0.5, "kf": 1.0}
SODIUM = {"excess_alf3": 10.5, "al2o3": 2.5, "caf2": 5.0, "lif": 0.0, "mgf2": 0.3, "kf": 0.0}
HEAVY = {"excess_alf3": 9.0, "al2o3": 3.4, "caf2": 4.2, "lif": 3.5, "mgf2": 1.0, "kf": 2.0}
BATHS = (INDUSTRIAL, SODIUM, HEAVY)
WALLS = {
    "ledge_180ka": (600.0, 0.01 + 1 / 22, 1.3, 3000.0, 450e3),
    "ledge_500ka": (600.0, 0.0607 + 1 / 21, 1.5, 3000.0, 310e3),
}


def br(b: Mapping[str, float]) -> float:
    rest = 100 - b["al2o3"] - b["caf2"] - b["lif"] - b["mgf2"]
    x = b["excess_alf3"] / rest
    return (1 - x) / (2 / 3 + x)


def solubility(b: Mapping[str, float], t: float) -> float:
    return (
        -0.2877
        + 0.02685 * 2 * br(b)
        + 2.992e-4 * t
        - 0.00192 * b["al2o3"]
        - 0.00174 * b["caf2"]
        - 0.00288 * b["lif"]
    )


def enthalpy(ce: float) -> float:
    t = 1.22315
    co2 = (
        -393.5
        + 58.16639 * t
        + 2.720074 * t**2 / 2
        - 0.492289 * t**3 / 3
        + 0.038844 * t**4 / 4
        + 6.447293 / t
        - 425.9186
        + 393.5224
    )
    co = (
        -110.5
        + 25.56759 * t
        + 6.096130 * t**2 / 2
        + 4.054656 * t**3 / 3
        - 2.671301 * t**4 / 4
        - 0.131021 / t
        - 118.0089
        + 110.5271
    )
    total = 1675.7 + 2 * 36.2 + (3 - 1.5 / ce) * co2 + (3 / ce - 3) * co
    return total / (2 * 26.9815385 * 3.6)


def operating(o: Mapping[str, float], penalty: float, level: float) -> float:
    ce = level - 0.00139 * (o["bath_temperature"] - 950) + 0.0059 * (o["excess_alf3"] - 11) - penalty
    ce -= 0.0004 * max(0, o["noise"] - 15) + 0.0004 * max(0, 40 - 10 * o["anode_cathode_distance"]) ** 2
    return min(max(ce - 0.00015 * (o["superheat"] - 9) ** 2, 0.86), 0.965)


def mechanistic(b: Mapping[str, float], t: float, i: float, d: float, s: float) -> float:
    return 1 - 0.058 * solubility(b, t) / 0.0456 * 0.8 / i * pow(d / 4.2, -0.17) * s


Row = tuple[str, Callable[..., object], *tuple[tuple[object, ...], ...]]
TABLE: tuple[Row, ...] = (
    (
        "electrolysis.faraday.metal_rate",
        lambda line_current, current_efficiency: 24 * Q * line_current * current_efficiency,
        (500.0, 0.94),
        (126.0, 0.88),
    ),
    (
        "electrolysis.faraday.current_efficiency_from_metal",
        lambda metal, line_current: metal / (24 * Q * line_current),
        (3778.0, 500.0),
    ),
    (
        "electrolysis.faraday.dc_energy",
        lambda cell_voltage, current_efficiency: cell_voltage * 1000 / (Q * current_efficiency),
        (3.92, 0.94),
    ),
    (
        "electrolysis.faraday.voltage_for_energy",
        lambda energy, current_efficiency: energy * Q * current_efficiency / 1000,
        (12740.0, 0.93),
    ),
    (
        "electrolysis.faraday.current_efficiency_for_energy",
        lambda energy, cell_voltage: cell_voltage * 1000 / (Q * energy),
        (12522.3, 3.95),
    ),
    (
        "electrolysis.faraday.energy_per_volt",
        lambda current_efficiency: 1000 / (Q * current_efficiency),
        (0.93,),
    ),
    (
        "electrolysis.faraday.alumina_demand",
        lambda line_current, current_efficiency: (
            (2 * 26.9815385 + 3 * 15.9994) / (2 * 26.9815385) * 24 * Q * line_current * current_efficiency
        ),
        (500.0, 0.94),
    ),
    (
        "electrolysis.heat.enthalpy_requirement",
        lambda current_efficiency: enthalpy(current_efficiency),
        *((c,) for c in (1.0, 0.94, 0.9)),
    ),
    (
        "electrolysis.heat.enthalpy_voltage",
        lambda current_efficiency: enthalpy(current_efficiency) * Q * current_efficiency,
        *((c,) for c in (1.0, 0.94, 0.9)),
    ),
    (
        "electrolysis.heat.enthalpy_voltage_haupin",
        lambda current_efficiency: 0.48 + 1.65 * current_efficiency,
        (0.94,),
    ),
    (
        "electrolysis.heat.heat_loss",
        lambda line_current, cell_voltage, voltage_outside, reaction: (
            line_current * (cell_voltage - voltage_outside - reaction)
        ),
        (500.0, 3.91, 0.17, 2.02),
    ),
    (
        "electrolysis.heat.energy_utilisation",
        lambda energy, current_efficiency: enthalpy(current_efficiency) / (energy / 1000),
        (12400.0, 0.94),
    ),
    (
        "electrolysis.heat.heat_flux_to_ledge",
        lambda superheat, ledge: WALLS[ledge][0] * superheat,
        *((9.0, w) for w in WALLS),
    ),
    (
        "electrolysis.heat.heat_flux_through_ledge",
        lambda liquidus, ambient, thickness, ledge: (
            (liquidus - ambient) / (thickness / WALLS[ledge][2] + WALLS[ledge][1])
        ),
        *((945.0, 35.0, 0.08, w) for w in WALLS),
    ),
    (
        "electrolysis.heat.ledge_growth_rate",
        lambda flux_out, flux_in, ledge: (flux_out - flux_in) / WALLS[ledge][3] / WALLS[ledge][4],
        *((6900.0, 5400.0, w) for w in WALLS),
    ),
    (
        "electrolysis.heat.ledge_equilibrium_thickness",
        lambda liquidus, ambient, superheat, ledge: (
            WALLS[ledge][2] * ((liquidus - ambient) / (600 * superheat) - WALLS[ledge][1])
        ),
        *((945.0, 35.0, 10.0, w) for w in WALLS),
    ),
    (
        "electrolysis.efficiency.current_efficiency_regression",
        lambda bath_temperature, excess_alf3, metal_level, cell_age: (
            (
                163.7
                - 0.1388 * bath_temperature
                + 0.59 * excess_alf3
                + 58.9 * sin(3 * metal_level * pi / 180)
                - 0.032 * cell_age
            )
            / 100
        ),
        (950.0, 11.0, 22.0, 24.0),
    ),
    (
        "electrolysis.efficiency.current_efficiency_mechanistic",
        lambda bath, bath_temperature, density, anode_cathode_distance, stirring: mechanistic(
            bath, bath_temperature, density, anode_cathode_distance, stirring
        ),
        *((b, 955.0, 0.75, 4.0, 1.1) for b in BATHS),
    ),
    (
        "electrolysis.efficiency.current_efficiency_operating",
        lambda operation, penalty, level: operating(operation, penalty, level),
        (
            {
                "bath_temperature": 956.0,
                "excess_alf3": 10.0,
                "noise": 22.0,
                "anode_cathode_distance": 3.8,
                "superheat": 6.0,
            },
            0.002,
            0.942,
        ),
    ),
    (
        "electrolysis.anode.electrolytic_carbon",
        lambda current_efficiency: 750 * 12.011 / 26.9815385 / current_efficiency,
        (0.94,),
    ),
    (
        "electrolysis.anode.net_carbon_fischer",
        lambda current_efficiency, bath_temperature, quality, cell_factor: (
            cell_factor
            + 334 / current_efficiency
            + 1.2 * (bath_temperature - 960)
            - 1.7 * quality["crr"]
            + 9.3 * quality["air_permeability"]
            + 8 * quality["thermal_conductivity"]
            - 1.5 * quality["arr"]
        ),
        (
            0.94,
            955.0,
            {"crr": 88.0, "arr": 78.0, "air_permeability": 1.3, "thermal_conductivity": 3.8},
            290.0,
        ),
    ),
    (
        "electrolysis.anode.net_carbon_operating",
        lambda current_efficiency, bath_temperature, airburn, carboxy, dust: (
            750 * 12.011 / 26.9815385 / current_efficiency
            + airburn
            + carboxy
            + dust
            + 1.2 * (bath_temperature - 955)
        ),
        (0.94, 958.0, 30.0, 12.0, 6.0),
    ),
    (
        "electrolysis.anode.gross_carbon",
        lambda net_carbon, butt_share: net_carbon / (1 - butt_share),
        (405.0, 0.22),
    ),
    (
        "electrolysis.anode.anode_burn_rate",
        lambda net_carbon, metal, anode_area, density: net_carbon * metal / (density * anode_area * 0.0001),
        (405.0, 3785.0, 622000.0, 1570.0),
    ),
    (
        "electrolysis.carbon.anode_effect_minutes",
        lambda frequency, duration: frequency * duration,
        (0.05, 2.0),
    ),
    (
        "electrolysis.carbon.anode_effect_mean_voltage",
        lambda minutes, extra_voltage: minutes * extra_voltage / 24 / 60,
        (2.0, 25.0),
    ),
    ("electrolysis.carbon.cf4_by_slope", lambda minutes, slope: minutes * slope, (0.3, 0.122)),
    (
        "electrolysis.carbon.cf4_by_overvoltage",
        lambda overvoltage, current_efficiency_percent, coefficient: (
            coefficient * overvoltage / current_efficiency_percent
        ),
        (2.0, 94.0, 1.16),
    ),
    ("electrolysis.carbon.c2f6_from_cf4", lambda cf4, ratio: cf4 * ratio, (0.02, 0.1)),
    (
        "electrolysis.carbon.pfc_co2_equivalent",
        lambda cf4, c2f6, gwp_cf4, gwp_c2f6: cf4 * gwp_cf4 + c2f6 * gwp_c2f6,
        (0.0143, 0.00143, 6630.0, 11100.0),
    ),
    ("electrolysis.carbon.pfc_co2_equivalent_welch", lambda minutes: 1075.6 * minutes, (0.4,)),
    (
        "electrolysis.carbon.anode_co2",
        lambda net_anode, sulphur, ash: net_anode * (1 - sulphur - ash) * 44 / 12,
        (411.0, 0.015, 0.003),
    ),
    (
        "electrolysis.feeding.dissolved_share",
        lambda seconds, fast_share, rate: 1 - (1 - fast_share) * exp(-rate * seconds),
        (300.0, 0.6, 0.005),
    ),
    (
        "electrolysis.feeding.alumina_content_rate",
        lambda dissolving, line_current, current_efficiency, bath_mass: (
            100
            / bath_mass
            * (dissolving - 101.961277 / 2 / 26.9815385 * Q * line_current * current_efficiency)
        ),
        (250.0, 500.0, 0.94, 12000.0),
    ),
    (
        "electrolysis.feeding.overfeed_duration",
        lambda net_mass, feed_factor, demand: net_mass / (demand / 24 * (feed_factor - 1)),
        (25.0, 1.5, 1800.0),
    ),
    (
        "electrolysis.feeding.alf3_for_soda",
        lambda alumina_fed, soda: 2 * 83.9767 / (3 * 61.9789) * alumina_fed * soda / 100,
        (7460.0, 0.35),
    ),
    (
        "electrolysis.distance.metal_rise_rate",
        lambda metal, pad_area, density: 1000 * metal / density / pad_area,
        (3785.0, 64.0, 2300.0),
    ),
    (
        "electrolysis.distance.distance_rate",
        lambda burn, rise, lowering: burn - rise - lowering,
        (15.5, 25.7, -10.0),
    ),
    (
        "electrolysis.distance.noise_from_distance",
        lambda anode_cathode_distance, critical_distance, base, gain, length: (
            base + gain * exp((critical_distance - anode_cathode_distance) / length)
        ),
        (3.8, 3.9, 13.0, 5.0, 0.2),
    ),
    (
        "electrolysis.power.linear_cell_voltage",
        lambda line_current, electromotive_force, resistance: (
            electromotive_force + resistance * 1e-06 * line_current * 1000.0
        ),
        (375.0, 2.16, 3.58),
    ),
    (
        "electrolysis.power.cell_power",
        lambda line_current, electromotive_force, resistance: (
            (electromotive_force + resistance * 0.001 * line_current) * line_current
        ),
        (625.0, 2.16, 3.58),
    ),
    (
        "electrolysis.power.marginal_energy",
        lambda line_current, current_efficiency, electromotive_force, resistance: (
            1000 / (Q * current_efficiency) * (electromotive_force + 2 * resistance * 0.001 * line_current)
        ),
        (500.0, 0.94, 2.16, 3.58),
    ),
)


def values() -> list[dict[str, object]]:
    """Every golden value with its relation and arguments; the formula's own parameters name the arguments."""
    return [
        {
            "relation": name,
            "arguments": dict(zip(inspect.signature(formula).parameters, case, strict=True)),
            "value": formula(*case),
        }
        for name, formula, *cases in TABLE
        for case in cases
    ]


if __name__ == "__main__":
    target = pathlib.Path(__file__).with_name("balance_values.json")
    target.write_text(json.dumps(values(), indent=1) + "\n", encoding="utf-8")
