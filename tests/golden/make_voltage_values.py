"""Golden values of the relations of bath and voltage, from a second writing of every formula in plain ``math``.

It shares nothing with the packages: constants and formulas are typed again from the sources, so that a slip of the
pen in either shows. Run ``python tests/golden/make_voltage_values.py`` to write ``voltage_values.json`` anew.
"""

import inspect
import json
import pathlib
from collections.abc import Callable, Mapping
from math import exp, log, pow, sqrt

INDUSTRIAL = {"excess_alf3": 11.0, "al2o3": 2.5, "caf2": 5.0, "lif": 1.5, "mgf2": 0.5, "kf": 1.0}
SODIUM = {"excess_alf3": 10.5, "al2o3": 2.5, "caf2": 5.0, "lif": 0.0, "mgf2": 0.3, "kf": 0.0}
HEAVY = {"excess_alf3": 9.0, "al2o3": 3.4, "caf2": 4.2, "lif": 3.5, "mgf2": 1.0, "kf": 2.0}
BATHS = (INDUSTRIAL, SODIUM, HEAVY)


def br(b: Mapping[str, float]) -> float:
    rest = 100 - b["al2o3"] - b["caf2"] - b["lif"] - b["mgf2"]
    x = b["excess_alf3"] / rest
    return (1 - x) / (2 / 3 + x)


def solheim(b: Mapping[str, float]) -> float:
    a, A, c, L = b["excess_alf3"], b["al2o3"], b["caf2"], b["lif"]
    t = (
        1011
        + 0.5 * a
        - 0.13 * pow(a, 2.2)
        - 3.45 * c / (1 + 0.0173 * c)
        + 0.124 * c * a
        - 0.00542 * pow(c * a, 1.5)
    )
    t -= 7.93 * A / (1 + 0.0936 * A - 0.0017 * A * A - 0.0023 * a * A)
    t -= 8.9 * L / (1 + 0.0047 * L + 0.001 * a * a)
    return t - 3.95 * (b["mgf2"] + b["kf"])


def industrial(b: Mapping[str, float]) -> float:
    a, A, c, L, K = b["excess_alf3"], b["al2o3"], b["caf2"], b["lif"], b["kf"]
    one = (
        1011
        + 0.7 * a
        - 0.232 * a * a
        - 7.65 * A
        + 0.523 * A * A
        - 8.96 * L
        + 0.043 * L * L
        - 3.32 * K
        - 0.12 * K * K
    )
    return one - 3.28 * c + 0.037 * c * c + 0.091 * a * L + 0.074 * a * K + 0.084 * a * c - 0.27 * A * L


def saturation(b: Mapping[str, float], t: float) -> float:
    a, L = b["excess_alf3"], b["lif"]
    alpha = (
        11.9
        - 0.062 * a
        - 0.0031 * a * a
        - 0.2 * b["caf2"]
        - 0.5 * L
        - 0.3 * b["mgf2"]
        + 42 * L * a / (2000 + L * a)
    )
    beta = 4.8 - 0.048 * a + 2.2 * pow(L, 1.5) / (10 + L + 0.001 * a**3)
    return alpha * pow(t / 1000, beta)


def solubility(b: Mapping[str, float], t: float) -> float:
    return (
        -0.2877
        + 0.02685 * 2 * br(b)
        + 2.992e-4 * t
        - 0.00192 * b["al2o3"]
        - 0.00174 * b["caf2"]
        - 0.00288 * b["lif"]
    )


def hives(b: Mapping[str, float], t: float) -> float:
    k = 1.977 - 0.02 * b["al2o3"] - 0.0131 * b["excess_alf3"] - 0.006 * b["caf2"] - 0.0106 * b["mgf2"]
    return exp(k - 0.0019 * b["kf"] + 0.0121 * b["lif"] - 1204.3 / (t + 273.15))


def wang(b: Mapping[str, float], t: float) -> float:
    naf = 0.6 * (100 - b["excess_alf3"] - b["al2o3"] - b["caf2"] - b["lif"] - b["mgf2"])
    bwr = (naf / 41.99 + b["lif"] / 25.94 - b["mgf2"] / 62.31) / (
        2 * (b["excess_alf3"] + 2 * naf / 3) / 83.98
    )
    k = (
        1.9362
        + 0.3092 * bwr
        - 0.004132 * b["caf2"]
        - 0.01755 * b["al2o3"]
        + 0.008123 * b["lif"]
        - 0.00398 * b["mgf2"]
    )
    return exp(k - 1751.1 / (t + 273.15))


def chrenkova(b: Mapping[str, float], t: float) -> float:
    a, A, L = b["excess_alf3"], b["al2o3"], b["lif"]
    k = (
        -7.332
        + 0.01742 * t
        - 7.313e-6 * t * t
        - 1.866e-4 * a * a
        - 2.824e-5 * a * t
        + 0.04613 * L
        + 2.046e-4 * L * L
    )
    return k - 4.695e-5 * A * t + 2.462e-4 * a * L + 2.003e-3 * a * A - 5.546e-5 * a * L * A


def coverage(i: float, r: float, A: float, effect: float) -> float:
    d = A - effect
    gas = 0.509 + 0.1823 * i - 0.1723 * i**2 + 0.05504 * i**3
    return 0.9 * (gas + (0.4322 - 0.3781 * r) / (1 + 1.637 * r) + (0.431 - 0.1437 * d) / (1 + 7.353 * d))


def critical(t: float, A: float, area: float) -> float:
    return 1e-4 * (550000 + 1800 * (t + 273.15 - 1323)) * (sqrt(A / 100) - 0.04) / pow(area, 0.1)


def activity(r: float) -> float:
    return -0.03791 * r + 2.364 * r**2 - 2.194 * r**3 + 0.8686 * r**4


def reversible(t: float, a: float) -> float:
    k = t + 273.15
    return 1.896 - 0.000572 * k + 8.314462618 * k / (12 * 96485.332) * log(1 / a**2)


def haupin(c: Mapping[str, float], b: Mapping[str, float]) -> float:
    """The 500 kA cell: 622,000 cm2 in 48 anodes, fanning 1.08, cathode 640,000 cm2, effect at 1.2 %, 1.24 microohm."""
    t, k = c["bath_temperature"], c["bath_temperature"] + 273.15
    i = c["line_current"] * 1000 / (1.08 * 622000)
    ic = critical(t, b["al2o3"], 622000 / 48)
    v = reversible(t, activity(b["al2o3"] / saturation(b, t)))
    v += k / 12533 * log(i / (0.0029 * b["al2o3"] ** 0.56)) + k / 23209 * log(ic / (ic - i))
    v += 5.744815e-5 * k * (1.375 - 0.25 * br(b)) * log(3.89105 * c["line_current"] * 1000 / 640000)
    d, f = (0.5517 + i) / (1 + 2.167 * i), coverage(i, br(b), b["al2o3"], 1.2)
    v += i * (c["anode_cathode_distance"] - d) / hives(b, t) + i * d * f / (hives(b, t) * (1 - f))
    return v + c["line_current"] * 1.24e-3


Row = tuple[str, Callable[..., object], *tuple[tuple[object, ...], ...]]
TABLE: tuple[Row, ...] = (
    ("electrolysis.bath.bath_ratio", lambda bath: br(bath), *((b,) for b in BATHS)),
    ("electrolysis.bath.cryolite_ratio", lambda bath: 2 * br(bath), *((b,) for b in BATHS)),
    (
        "electrolysis.bath.excess_alf3_from_ratio",
        lambda molar_ratio, other_contents: (
            (100 - other_contents) * (6 - 2 * molar_ratio) / (6 + 3 * molar_ratio)
        ),
        (2.3, 9.0),
        (3.0, 9.0),
    ),
    ("electrolysis.bath.liquidus_solheim_1996", lambda bath: solheim(bath), *((b,) for b in BATHS)),
    (
        "electrolysis.bath.liquidus_lithium_potassium_2014",
        lambda bath: industrial(bath),
        *((b,) for b in BATHS),
    ),
    (
        "electrolysis.bath.superheat",
        lambda bath_temperature, liquidus: bath_temperature - liquidus,
        (955.0, 946.5),
    ),
    (
        "electrolysis.bath.alumina_saturation",
        lambda bath, bath_temperature: saturation(bath, bath_temperature),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.bath.metal_solubility",
        lambda bath, bath_temperature: solubility(bath, bath_temperature),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.bath.content_after_freezing",
        lambda content, liquid_mass, frozen_mass: content / (1 - frozen_mass / liquid_mass),
        (10.5, 8000.0, 400.0),
    ),
    (
        "electrolysis.conductivity.conductivity_hives",
        lambda bath, bath_temperature: hives(bath, bath_temperature),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.conductivity.conductivity_wang",
        lambda bath, bath_temperature: wang(bath, bath_temperature),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.conductivity.conductivity_chrenkova",
        lambda bath, bath_temperature: chrenkova(bath, bath_temperature),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.conductivity.conductivity_ntnu",
        lambda bath, bath_temperature: exp(
            2.496 - 2068.4 / (273 + bath_temperature) - 0.0207 * bath["al2o3"]
        ),
        *((b, 955.0) for b in BATHS),
    ),
    (
        "electrolysis.voltage.current_density",
        lambda line_current, area, fanning: line_current * 1000 / area / fanning,
        (126.0, 209304.0, 1.1382),
    ),
    (
        "electrolysis.voltage.alumina_activity",
        lambda relative_saturation: activity(relative_saturation),
        *((r,) for r in (0.1, 0.3, 0.7)),
    ),
    (
        "electrolysis.voltage.reversible_potential",
        lambda bath_temperature, activity: reversible(bath_temperature, activity),
        (955.0, 0.2),
    ),
    (
        "electrolysis.voltage.anode_surface_overvoltage",
        lambda bath_temperature, density, al2o3: (
            (bath_temperature + 273.15) / 12533 * (log(density) - log(0.0029) - 0.56 * log(al2o3))
        ),
        (955.0, 0.8, 2.5),
    ),
    (
        "electrolysis.voltage.critical_current_density",
        lambda bath_temperature, al2o3, single_anode_area: critical(
            bath_temperature, al2o3, single_anode_area
        ),
        (955.0, 2.5, 13000.0),
    ),
    (
        "electrolysis.voltage.anode_reaction_current_density",
        lambda al2o3, lif, molar_ratio: (al2o3 + lif / 4) ** 0.56 * exp(0.276 * (molar_ratio - 1.5) - 5.849),
        (2.5, 2.0, 2.3),
    ),
    (
        "electrolysis.voltage.anode_concentration_overvoltage",
        lambda bath_temperature, density, critical_density: (
            (bath_temperature + 273.15) / 23209 * log(critical_density / (critical_density - density))
        ),
        (955.0, 0.8, 1.5),
    ),
    (
        "electrolysis.voltage.cathode_concentration_overvoltage",
        lambda bath_temperature, ratio, cathode_density: (
            5.744815e-05 * (bath_temperature + 273.15) * (1.375 - ratio / 4) * log(3.89105 * cathode_density)
        ),
        (955.0, 1.12, 0.78),
    ),
    (
        "electrolysis.voltage.bubble_layer_thickness",
        lambda density: (0.5517 + density) / (1 + 2.167 * density),
        (0.74,),
    ),
    (
        "electrolysis.voltage.bubble_coverage",
        lambda density, ratio, al2o3, al2o3_at_effect: coverage(density, ratio, al2o3, al2o3_at_effect),
        (0.74, 1.12, 2.5, 1.2),
    ),
    (
        "electrolysis.voltage.bath_voltage",
        lambda density, anode_cathode_distance, layer, conductivity: (
            density / conductivity * (anode_cathode_distance - layer)
        ),
        (0.74, 4.2, 0.5, 2.2),
    ),
    (
        "electrolysis.voltage.bubble_voltage",
        lambda density, layer, coverage, conductivity: (
            density / conductivity * layer * coverage / (1 - coverage)
        ),
        (0.74, 0.5, 0.5, 2.2),
    ),
    (
        "electrolysis.voltage.ohmic_drop",
        lambda line_current, resistance: line_current * 1000.0 * resistance * 1e-06,
        (500.0, 1.24),
    ),
    (
        "electrolysis.cell.cell_voltage",
        lambda point, design: haupin(point, point["bath"]),
        *(
            (
                {"line_current": 500.0, "anode_cathode_distance": 4.2, "bath_temperature": 948.0, "bath": b},
                "prebaked_500ka",
            )
            for b in BATHS
        ),
    ),
    (
        "electrolysis.cell.distance_for_voltage",
        lambda wanted, point, design: (
            point["anode_cathode_distance"]
            + (wanted - haupin(point, point["bath"]))
            * hives(point["bath"], point["bath_temperature"])
            * 1.08
            * 622000
            / (point["line_current"] * 1000)
        ),
        *(
            (
                3.95,
                {"line_current": 500.0, "anode_cathode_distance": 4.2, "bath_temperature": 948.0, "bath": b},
                "prebaked_500ka",
            )
            for b in BATHS
        ),
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
    target = pathlib.Path(__file__).with_name("voltage_values.json")
    target.write_text(json.dumps(values(), indent=1) + "\n", encoding="utf-8")
