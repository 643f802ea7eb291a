"""Golden values of the relations of policy, from a second writing of every formula in plain ``math``.

It shares nothing with the packages: constants and formulas are typed again from the sources, so that a slip of the
pen in either shows. Run ``python tests/golden/make_policy_values.py`` to write ``policy_values.json`` anew.
"""

import inspect
import json
import pathlib
from collections.abc import Callable
from math import erf, sqrt

Q = 26.9815385 * 3600 * 1000 / (3 * 96485.332) / 1000  # kg/(kA h)
AR5 = (6630.0, 11100.0)
STANDARD_ANODE = (1 - 0.02 - 0.004) * 44 / 12


def ceil_steps(e: float, t: float) -> float:
    steps = 0
    while e > t + 20 * steps:
        steps += 1
    return float(steps)


def normal(x: float, m: float, s: float) -> float:
    return 0.5 * (1 + erf((x - m) / (s * sqrt(2))))


Row = tuple[str, Callable[..., object], *tuple[tuple[object, ...], ...]]
TABLE: tuple[Row, ...] = (
    (
        "policy.cost.cost_per_t",
        lambda energy_kwh_per_t, net_anode_kg_per_t, alf3_kg_per_t, prices: (
            0.45 / 0.98 * energy_kwh_per_t
            + (5 + 0.0693 * STANDARD_ANODE) * net_anode_kg_per_t
            + 9 * alf3_kg_per_t
        ),
        (12300.0, 408.0, 14.0, "default"),
    ),
    (
        "policy.energy.ac_energy",
        lambda dc_energy, rectifier_efficiency: dc_energy / rectifier_efficiency,
        (12600.0, 0.975),
    ),
    (
        "policy.energy.coal_equivalent",
        lambda ingot_energy, fuels: 0.1229 * ingot_energy + fuels,
        (13400.0, 33.0),
    ),
    (
        "policy.tariff.tariff_steps",
        lambda energy, threshold, step: ceil_steps(energy, threshold),
        *((e, 13300.0, 20.0) for e in (13300.0, 13301.0, 13419.0, 13460.0)),
    ),
    (
        "policy.tariff.renewable_relief",
        lambda nonhydro_pct, incentive_weight_pct, above_pct, per_point: (
            1 - (nonhydro_pct - above_pct) / 100
            if nonhydro_pct > above_pct and nonhydro_pct >= incentive_weight_pct
            else 1.0
        ),
        *((s, 18.0, 15.0, 0.01) for s in (10.0, 16.0, 25.0)),
    ),
    (
        "policy.tariff.band_rate",
        lambda energy, rule: 0.08 if energy > 13800 else 0.02 if energy > 13700 else 0.0,
        *((e, "tariff.cn.al.2014") for e in (13700.0, 13750.0, 13800.0, 13801.0)),
    ),
    (
        "policy.tariff.distance_to_cheaper_step",
        lambda energy, threshold, step: (
            0.0 if energy <= threshold else energy - threshold - 20 * (ceil_steps(energy, threshold) - 1)
        ),
        *((e, 13300.0, 20.0) for e in (13290.0, 13305.0, 13347.0)),
    ),
    (
        "policy.likelihood.band_probabilities",
        lambda mean, standard_deviation, edges: [
            normal(edges[0], mean, standard_deviation),
            normal(edges[1], mean, standard_deviation) - normal(edges[0], mean, standard_deviation),
            1 - normal(edges[1], mean, standard_deviation),
        ],
        (13100.0, 150.0, [13000.0, 13350.0]),
    ),
    (
        "policy.grades.gap_to",
        lambda limit_ac, cell_voltage, current_efficiency, rectifier_efficiency: (
            1000 * cell_voltage / (Q * current_efficiency) - limit_ac * rectifier_efficiency
        ),
        (13000.0, 4.0, 0.93, 0.98),
    ),
    (
        "policy.grades.dc_equivalent",
        lambda limit_ac, rectifier_efficiency: limit_ac * rectifier_efficiency,
        (13000.0, 0.98),
    ),
    (
        "policy.carbon.direct_emissions",
        lambda net_anode, effect_minutes, factors: (
            net_anode * STANDARD_ANODE / 1000 + 0.143 * effect_minutes * (AR5[0] + 0.1 * AR5[1]) / 1000
        ),
        (405.0, 0.2, "default"),
    ),
    (
        "policy.carbon.electricity_co2",
        lambda energy, grid: energy * 0.5306 / 1000,
        (13500.0, "grid.cn.average.2023"),
    ),
    (
        "policy.carbon.electricity_co2_market",
        lambda energy, evidenced_share, residual: energy * (1 - evidenced_share) * 0.6096 / 1000,
        (13500.0, 0.3, "grid.cn.residual.2023"),
    ),
    (
        "policy.carbon.renewable_share",
        lambda total, renewable, certificates, certificates_of_renewable: (
            (renewable + certificates - certificates_of_renewable) / total
        ),
        (1000.0, 200.0, 150.0, 100.0),
    ),
    ("policy.carbon.limestone_co2", lambda limestone: 0.405 * limestone, (120.0,)),
    (
        "policy.carbon.anode_saving_value",
        lambda net_anode_saving, co2_price, factors: net_anode_saving * STANDARD_ANODE * co2_price / 1000,
        (10.0, 69.3, "default"),
    ),
    (
        "policy.savings.saving_from_changes",
        lambda cell_voltage, current_efficiency, voltage_change, efficiency_change: (
            1000
            / Q
            * (
                cell_voltage / current_efficiency
                - (cell_voltage + voltage_change) / (current_efficiency + efficiency_change)
            )
        ),
        (4.0, 0.92, -0.069, 0.0129),
    ),
    (
        "policy.savings.saving_as_coal",
        lambda energy, kgce_per_kwh: energy * kgce_per_kwh / 1000,
        (3200000.0, 0.305),
    ),
    (
        "policy.flexibility.storage_capacity",
        lambda power, band, hours: power * band * hours,
        (93.0, 0.25, 48.0),
    ),
    (
        "policy.flexibility.certificate_cost",
        lambda energy, share_points, price: energy / 1000 * share_points / 100 * price,
        (13500.0, 2.0, 5.57),
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
    target = pathlib.Path(__file__).with_name("policy_values.json")
    target.write_text(json.dumps(values(), indent=1) + "\n", encoding="utf-8")
