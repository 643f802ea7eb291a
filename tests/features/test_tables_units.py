import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import UnitError
from features.signals import SIGNALS
from features.tables.plausible import TYPICAL, TYPICAL_PER_KA, misfit, refuse_wrong_units, typical_level
from features.tables.units import UNITS, convert, unit, units_of

PAIRS = [(a, b) for a in UNITS for b in UNITS if UNITS[a].kind == UNITS[b].kind and a != b]


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (3863.0, "mV", "V", 3.863),
        (500_000.0, "A", "kA", 500.0),
        (1742.0, "degF", "degC", 950.0),
        (1223.15, "K", "degC", 950.0),
        (94.0, "%", "fraction", 0.94),
        (0.64, "g/kg", "%", 0.064),
        (640.0, "g/t", "wt%", 0.064),
        (12.6, "kWh/kg", "kWh/t", 12600.0),
        (22.0, "cm", "mm", 220.0),
        (192.0, "0.1 mm/d", "mm/d", 19.2),
        (24.0, "h", "min", 1440.0),
        (1.0, "d", "min", 1440.0),
        (3.6, "GJ", "kWh", 1000.0),
        (46.0, "万kWh", "kWh", 460_000.0),
        (450.0, "元/MWh", "1/kWh", 0.45),
        (1.1, "weight ratio", "molar ratio", 2.2),
    ],
)
def test_units_of_the_field_convert_exactly(value, source, target, expected):
    assert float(convert(value, source, target)) == pytest.approx(expected, rel=1e-15)


@given(st.sampled_from(PAIRS), st.floats(-1e6, 1e6))
def test_there_and_back_is_where_it_was(pair, value):
    source, target = pair
    back = float(convert(convert(value, source, target), target, source))
    assert back == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(st.decimals(0, 9999, places=3))
def test_decimal_data_stay_decimal(value):
    assert float(convert(float(value * 1000), "mV", "V")) == float(value)


def test_not_known_stays_not_known():
    assert np.isnan(convert([np.nan], "cm", "mm")).all()


@pytest.mark.parametrize("name", ["volts", "MV", "°K", ""])
def test_an_unknown_unit_is_refused(name):
    with pytest.raises(UnitError, match="unknown unit"):
        unit(name)


def test_another_kind_is_refused_and_the_right_ones_are_named():
    with pytest.raises(UnitError, match=r"voltage.*temperature.*degF"):
        convert(1.0, "V", "degC")


def test_every_unit_of_the_dictionary_is_known():
    assert all(units_of(unit(signal.unit).kind) for signal in SIGNALS.values())


@pytest.mark.parametrize("name", [*TYPICAL, *TYPICAL_PER_KA])
def test_a_typical_level_lies_in_the_plausible_range_and_a_factor_of_twenty_leaves_it(name):
    of = SIGNALS[name]
    low, high = typical_level(of, 500.0)
    assert of.low <= low < high <= of.high
    middle = np.full(20, np.sqrt(low * high))
    assert misfit(middle, of.unit, of, 500.0) is None
    assert misfit(middle * 20, of.unit, of, 500.0) or misfit(middle / 20, of.unit, of, 500.0)


@pytest.mark.parametrize(
    ("name", "middle", "claimed", "fits"),
    [
        ("cell_voltage_v", 3900.0, "V", "mV"),
        ("noise_mv", 0.019, "mV", "V"),
        ("bath_temperature_c", 1742.0, "degC", "degF"),
        ("bath_temperature_c", 1224.0, "degC", "K"),
        ("line_current_ka", 500_000.0, "kA", "A"),
        ("metal_level_mm", 22.0, "mm", "cm"),
        ("tap_mass_kg", 3.8, "kg", "t"),
        ("renewable_share", 35.0, "fraction", "%"),
        ("fe_wt_pct", 0.0006, "wt%", "fraction"),
        ("beam_travel_mm", 192.0, "mm/d", "0.1 mm/d"),
    ],
)
def test_the_unit_that_would_fit_is_named(name, middle, claimed, fits):
    values = middle * np.linspace(0.98, 1.02, 30)
    with pytest.raises(UnitError, match=f'unit = "{fits}"'):
        refuse_wrong_units([(values, claimed, SIGNALS[name])], 500.0, "file")


def test_a_level_that_nothing_explains_is_returned_not_refused():
    odd = refuse_wrong_units([(np.full(30, 60.0), "mm", SIGNALS["metal_level_mm"])], 500.0, "file")
    assert [m.signal.name for m in odd] == ["metal_level_mm"]


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_days_without_a_tap_or_a_dose_do_not_look_like_another_unit(share):
    values = np.where(np.arange(100) < 100 * share, 0.0, 40.0)
    assert misfit(values, "kg/d", SIGNALS["alf3_dose_kg_d"], 500.0) is None
    assert misfit(np.zeros(50), "kg", SIGNALS["tap_mass_kg"], 500.0) is None
