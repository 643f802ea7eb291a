"""The bath against published tables, and properties that hold for every bath."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.electrolysis.bath import (
    Bath,
    alumina_saturation,
    bath_ratio,
    content_after_freezing,
    cryolite_ratio,
    excess_alf3_from_ratio,
    liquidus_lithium_potassium_2014,
    liquidus_solheim_1996,
    metal_solubility,
    superheat,
)
from features.electrolysis.conductivity import (
    conductivity_chrenkova,
    conductivity_hives,
    conductivity_ntnu,
    conductivity_wang,
)

# Al2O3, AlF3, CaF2, LiF, MgF2, KF -> liquidus of 1996 and, where published, of 2014
LIQUIDUS = [
    ((2.5, 10.5, 5, 0, 0.3, 0), 963.7, 965.9),
    ((3, 11, 5, 0, 0.3, 0), 958.6, 961.5),
    ((2.5, 13, 5, 0, 0.3, 0), 951.7, None),
    ((2.5, 11, 5, 1.5, 0.5, 1), 945.0, 948.4),
    ((2.5, 11, 5, 2, 0.5, 1.5), 939.1, 942.8),
    ((2.5, 9, 5, 3.5, 1, 2), 930.1, 934.8),
]
SODIUM = Bath(10.5, al2o3=2.5, caf2=5.0, mgf2=0.3)
contents = st.fixed_dictionaries(
    {
        "excess_alf3": st.floats(2.0, 15.0),
        "al2o3": st.floats(1.5, 5.0),
        "caf2": st.floats(3.0, 7.0),
        "lif": st.floats(0.0, 5.0),
        "mgf2": st.floats(0.0, 2.0),
        "kf": st.floats(0.0, 4.0),
    }
)


def _bath(row: tuple[float, ...]) -> Bath:
    alumina, excess, calcium, lithium, magnesium, potassium = row
    return Bath(excess, al2o3=alumina, caf2=calcium, lif=lithium, mgf2=magnesium, kf=potassium)


@pytest.mark.parametrize(("row", "solheim", "industrial"), LIQUIDUS)
def test_liquidus_table(row: tuple[float, ...], solheim: float, industrial: float | None) -> None:
    assert liquidus_solheim_1996(_bath(row)) == pytest.approx(solheim, abs=0.06)
    if industrial is not None:
        assert liquidus_lithium_potassium_2014(_bath(row)) == pytest.approx(industrial, abs=0.06)


def test_two_liquidus_equations_differ_by_two_to_five_degrees() -> None:
    rows = [row for row, _, industrial in LIQUIDUS if industrial is not None]
    apart = [
        float(liquidus_lithium_potassium_2014(_bath(row)) - liquidus_solheim_1996(_bath(row))) for row in rows
    ]
    assert min(apart) >= 2.0
    assert max(apart) <= 5.0


@pytest.mark.parametrize(
    ("species", "slope"),
    [("al2o3", -6.0), ("excess_alf3", -4.1), ("caf2", -2.2), ("lif", -7.8), ("mgf2", -4.0), ("kf", -4.0)],
)
def test_liquidus_slopes(species: str, slope: float) -> None:
    base = {"excess_alf3": 11.0, "al2o3": 2.5, "caf2": 5.0, "lif": 1.5, "mgf2": 0.5, "kf": 1.0}
    step = 1e-4
    upper = liquidus_solheim_1996(Bath(**{**base, species: base[species] + step}))
    lower = liquidus_solheim_1996(Bath(**{**base, species: base[species] - step}))
    assert (upper - lower) / (2 * step) == pytest.approx(slope, abs=0.06)


def test_lithium_lowers_the_liquidus_as_the_thesis_on_industrial_baths_found() -> None:
    ratios, lithium = np.meshgrid(np.linspace(2.2, 2.7, 6), np.linspace(0.0, 3.0, 7))
    for liquidus in (liquidus_solheim_1996, liquidus_lithium_potassium_2014):
        excess = excess_alf3_from_ratio(ratios, 2.5 + 5.0 + lithium)
        drop = liquidus(Bath(excess, 2.5, 5.0, lif=lithium)) - liquidus(
            Bath(excess, 2.5, 5.0, lif=lithium + 1.0)
        )
        assert drop.min() > 5.1
        assert drop.max() < 10.7


@given(contents)
def test_every_species_but_the_excess_lowers_solheims_liquidus(content: dict[str, float]) -> None:
    base = liquidus_solheim_1996(Bath(**content))
    for species in ("al2o3", "lif", "mgf2", "kf"):
        assert liquidus_solheim_1996(Bath(**{**content, species: content[species] + 0.1})) < base


@given(st.floats(1.6, 3.0), st.floats(3.0, 20.0))
def test_ratio_and_excess_are_inverse(molar_ratio: float, others: float) -> None:
    excess = excess_alf3_from_ratio(molar_ratio, others)
    assert cryolite_ratio(Bath(excess, al2o3=others)) == pytest.approx(molar_ratio, rel=1e-12)


def test_pure_cryolite_has_a_ratio_of_three_and_melts_at_1011() -> None:
    assert cryolite_ratio(Bath(0.0, al2o3=0.0)) == pytest.approx(3.0)
    assert liquidus_solheim_1996(Bath(0.0, al2o3=0.0)) == pytest.approx(1011.0)
    assert liquidus_lithium_potassium_2014(Bath(0.0, al2o3=0.0)) == pytest.approx(1011.0)


def test_published_ratio() -> None:
    assert cryolite_ratio(Bath(10.5, al2o3=2.5, caf2=5.0)) == pytest.approx(2.27, abs=0.005)
    assert bath_ratio(Bath(10.5, al2o3=2.5, caf2=5.0)) == pytest.approx(2.27 / 2, abs=0.003)


def test_saturation_values() -> None:
    assert alumina_saturation(SODIUM, 955.0) == pytest.approx(8.06, abs=0.005)
    lithium = Bath(11.0, al2o3=2.5, caf2=5.0, lif=2.0, mgf2=0.5, kf=1.5)
    assert alumina_saturation(lithium, 948.0) == pytest.approx(7.1, abs=0.05)


@given(contents, st.floats(930.0, 970.0))
def test_saturation_rises_with_the_temperature(content: dict[str, float], temperature: float) -> None:
    bath = Bath(**content)
    assert alumina_saturation(bath, temperature + 1.0) > alumina_saturation(bath, temperature)


def test_conductivity_values_and_their_spread() -> None:
    hives, wang, chrenkova = (
        float(function(SODIUM, 955.0))
        for function in (conductivity_hives, conductivity_wang, conductivity_chrenkova)
    )
    assert hives == pytest.approx(2.172, abs=5e-4)
    assert wang == pytest.approx(2.213, abs=5e-4)
    assert chrenkova == pytest.approx(2.271, abs=5e-4)
    assert chrenkova / hives - 1.0 == pytest.approx(0.045, abs=0.001)
    assert hives > float(conductivity_ntnu(SODIUM, 955.0)) > 2.0


@pytest.mark.parametrize(
    "conductivity", [conductivity_hives, conductivity_wang, conductivity_chrenkova, conductivity_ntnu]
)
def test_conductivity_rises_with_heat_and_falls_with_alumina(conductivity) -> None:  # type: ignore[no-untyped-def]
    temperature = np.linspace(930.0, 980.0, 11)
    assert (np.diff(conductivity(SODIUM, temperature)) > 0).all()
    assert (np.diff(conductivity(Bath(10.5, np.linspace(1.5, 5.0, 8), 5.0), 955.0)) < 0).all()


def test_metal_solubility() -> None:
    assert metal_solubility(SODIUM, 955.0) == pytest.approx(0.045, abs=0.001)


def test_freezing_cryolite_concentrates_the_excess_and_lowers_the_liquidus() -> None:
    frozen = np.linspace(0.0, 600.0, 7)
    kept = {
        name: content_after_freezing(value, 8000.0, frozen)
        for name, value in (("a", 10.5), ("A", 2.5), ("c", 5.0))
    }
    liquidus = liquidus_solheim_1996(Bath(kept["a"], al2o3=kept["A"], caf2=kept["c"]))
    assert (np.diff(liquidus) < 0).all()
    assert superheat(955.0, liquidus[-1]) > superheat(955.0, liquidus[0])
    np.testing.assert_allclose(kept["a"] * (8000.0 - frozen), 10.5 * 8000.0)


def test_a_negative_excess_is_answered_with_nan_and_no_warning() -> None:
    assert np.isnan(liquidus_solheim_1996(Bath(-0.5, al2o3=2.5)))
