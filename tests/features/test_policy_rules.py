"""Rule packs: complete, dated, cited, and refusing the wrong metric."""

import datetime
import itertools

import numpy as np
import pytest

from features.errors import SettingsError, UnitError, UnknownNameError
from features.policy import rules
from features.policy.energy import UNIT, Consumption, Metric, SiteEnergy, coal_per_kwh, energy_account
from features.policy.rules import load_pack, pack_names, parse_pack, rule_in_force, rules_of

ENERGY_FAMILIES = ("tariff", "grades")
RULE = """
[[rule]]
id = "test.one"
family = "test"
metric = "dc"
unit = "kWh/t"
valid_from = 2025-01-01
tag = "V1"
[rule.source]
document = "a document"
read_as = "text"
[rule.numbers]
limit = 1
"""


def _day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


@pytest.mark.parametrize("pack", pack_names())
def test_every_rule_is_cited_and_its_family_never_overlaps(pack: str) -> None:
    loaded = load_pack(pack)
    assert loaded
    for rule in loaded.values():
        assert rule.source.document
        assert rule.source.read_as
        assert rule.id.startswith(rule.family)
    for family in {rule.family for rule in loaded.values()}:
        ordered = rules_of(pack, family)
        for earlier, later in itertools.pairwise(ordered):
            assert earlier.valid_to is not None
            assert earlier.valid_to < later.valid_from


@pytest.mark.parametrize("pack", ENERGY_FAMILIES)
def test_a_rule_in_kwh_or_kgce_names_a_metric_of_that_unit(pack: str) -> None:
    for rule in load_pack(pack).values():
        if rule.unit in {"kWh/t", "kgce/t"}:
            assert UNIT[Metric(rule.metric)] == rule.unit


def test_the_rule_of_the_day_is_found_on_its_first_and_last_day() -> None:
    expected = {
        "2014-01-01": "2014",
        "2021-12-31": "2014",
        "2022-01-01": "2022",
        "2022-12-31": "2022",
        "2023-01-01": "2023",
        "2024-12-31": "2023",
        "2025-01-01": "2025",
        "2031-01-01": "2025",
    }
    for day, year in expected.items():
        assert rule_in_force("tariff", "tariff.cn.al", _day(day)).id == f"tariff.cn.al.{year}"


def test_no_rule_before_the_first() -> None:
    with pytest.raises(UnknownNameError, match="holds on 2013-12-31; the first holds from 2014-01-01"):
        rule_in_force("tariff", "tariff.cn.al", _day("2013-12-31"))


def test_unknown_packs_families_and_numbers_are_named() -> None:
    with pytest.raises(UnknownNameError, match="no rule pack 'water'"):
        load_pack("water")
    with pytest.raises(UnknownNameError, match=r"no family 'tariff\.fr'"):
        rules_of("tariff", "tariff.fr")
    with pytest.raises(UnknownNameError, match="no number 'height'"):
        load_pack("tariff")["tariff.cn.al.2025"].number("height")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RULE + RULE, "two rules test.one"),
        (RULE.replace('unit = "kWh/t"\n', ""), "test.one lacks 'unit'"),
        (RULE.replace('"V1"', '"sure"'), "has the tag 'sure'"),
        (RULE.replace("limit = 1\n", ""), "has no numbers"),
        (
            RULE.replace("valid_from = 2025-01-01", "valid_from = 2025-01-01\nvalid_to = 2024-01-01"),
            "before it starts",
        ),
    ],
)
def test_a_faulty_pack_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        parse_pack("test", text)


def test_two_rules_on_one_day_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    double = parse_pack("test", RULE + RULE.replace("test.one", "test.two"))
    monkeypatch.setattr(rules, "load_pack", lambda name: double)
    with pytest.raises(SettingsError, match=r"test\.one and test\.two both hold"):
        rule_in_force("test", "test", _day("2025-02-01"))


def test_the_wrong_metric_is_refused_and_the_right_one_passes() -> None:
    rule = load_pack("tariff")["tariff.cn.al.2025"]
    account = energy_account(12_740.0, SiteEnergy(desulphurisation_kwh_per_t=40.0))
    for metric, consumption in account.items():
        if metric.value == rule.metric:
            assert consumption.judged_by(rule) == pytest.approx(13_260.0)
        else:
            with pytest.raises(UnitError, match=f"the consumption is {metric.value}"):
                consumption.judged_by(rule)


def test_the_bridge_adds_up() -> None:
    site = SiteEnergy(0.98, 350.0, 60.0, 50.0, 33.0)
    account = {metric: float(entry.value) for metric, entry in energy_account(12_740.0, site).items()}
    assert account[Metric.DC] == 12_740.0
    assert account[Metric.LIQUID_AC] == pytest.approx(13_000.0)
    assert account[Metric.LIQUID_COMPREHENSIVE_AC] == pytest.approx(13_350.0)
    assert account[Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION] == pytest.approx(13_290.0)
    assert account[Metric.INGOT_COMPREHENSIVE_AC] == pytest.approx(13_400.0)
    assert account[Metric.INGOT_COAL_EQUIVALENT] == pytest.approx(1680.0, abs=0.2)


@pytest.mark.parametrize(("efficiency", "expected"), [(0.975, 12923.1), (0.98, 12857.1), (0.985, 12791.9)])
def test_rectifier_vectors(efficiency: float, expected: float) -> None:
    account = energy_account(np.array([12_600.0]), SiteEnergy(rectifier_efficiency=efficiency))
    assert account[Metric.LIQUID_AC].value == pytest.approx([expected], abs=0.051)


def test_a_point_of_rectifier_efficiency() -> None:
    worse, better = (energy_account(12_600.0, SiteEnergy(rectifier_efficiency=eta)) for eta in (0.975, 0.985))
    saved = worse[Metric.LIQUID_AC].value - better[Metric.LIQUID_AC].value
    assert saved == pytest.approx(131, abs=0.5)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"rectifier_efficiency": 98.0}, r"rectifier_efficiency is 98\.0"),
        ({"auxiliary_kwh_per_t": -1.0}, r"auxiliary_kwh_per_t is -1\.0"),
        ({"desulphurisation_kwh_per_t": 400.0}, "cannot exceed"),
    ],
)
def test_an_impossible_site_is_refused(values: dict[str, float], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        SiteEnergy(**values)


def test_calorific_and_substitution_coal_are_two_factors() -> None:
    # By heat a kilowatt-hour is 0.1229 kgce; by what a power station burns, two and a half times as much.
    assert coal_per_kwh("calorific") == 0.1229
    assert coal_per_kwh("substitution") == 0.305


def test_a_metric_may_be_named_by_its_text() -> None:
    assert Consumption(Metric("liquid_ac"), 13_000.0).metric is Metric.LIQUID_AC


def test_both_figures_of_one_storage_site_are_kept_with_their_sources() -> None:
    pack = load_pack("flexibility")
    figures = {
        rule.id: rule.number("capacity_mwh")
        for rule in pack.values()
        if rule.family.startswith("storage.trimet")
    }
    assert figures == {"storage.trimet.2017": 1120.0, "storage.trimet.2019": 2000.0}
    assert len({pack[name].source.document for name in figures}) == 2
