"""The register is complete, every relation has a second writing, and every doctest number holds."""

import doctest
import importlib
import inspect
import json
import math
import pathlib
import pkgutil
import runpy
import typing

import numpy as np
import pytest

import features.electrolysis
import features.parameters
import features.policy
from features import glossary, relations
from features.electrolysis.anode import AnodeQuality
from features.electrolysis.bath import Bath
from features.electrolysis.cell import CellVoltage, OperatingPoint
from features.electrolysis.conductivity import conductivity_hives
from features.electrolysis.efficiency import Operation
from features.parameters.designs import CellDesign, load_cell_design
from features.parameters.ledges import LedgeDesign, load_ledge_design
from features.policy.carbon import CarbonFactors, DirectEmissions, carbon_factors
from features.policy.cost import Prices
from features.policy.grades import Gap
from features.policy.rules import Rule, load_pack, pack_names

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
GENERATORS = ("voltage", "balance", "policy")
STORED = {
    name: json.loads((GOLDEN / f"{name}_values.json").read_text(encoding="utf-8")) for name in GENERATORS
}
VALUES = [case for name in GENERATORS for case in STORED[name]]
PACKAGES = (features.electrolysis, features.policy, features.parameters)
MODULES = [
    "features.relations",
    "features.glossary",
    *(m.name for p in PACKAGES for m in pkgutil.iter_modules(p.__path__, f"{p.__name__}.") if not m.ispkg),
]
# Functions that answer a record, a rule, a word or a yes: they decide or look up, and are tested by name.
DECISIONS = {
    "features.electrolysis.correlations.correlation_set",
    *(f"features.policy.rules.{name}" for name in ("pack_names", "parse_pack", "rule_in_force", "rules_of")),
    *(f"features.policy.energy.{name}" for name in ("coal_per_kwh", "energy_account")),
    *(f"features.policy.tariff.{name}" for name in ("surcharge", "step_probabilities", "overdue_factor")),
    *(
        f"features.policy.grades.{name}"
        for name in (
            "grade",
            "grade_rule",
            "level",
            "level_rule",
            "level_probabilities",
            "benchmark_share",
            "standing",
            "retirement_flagged",
        )
    ),
    *(f"features.policy.carbon.{name}" for name in ("carbon_factors", "grid_factor", "market_covers")),
    *(f"features.policy.savings.{name}" for name in ("check_claim", "check_published")),
    "features.policy.cost.outcome_prices",
}


def _function(name: str) -> typing.Callable[..., object]:
    module, _, function = f"features.{name}".rpartition(".")
    return typing.cast(typing.Callable[..., object], getattr(importlib.import_module(module), function))


def _rule(rule_id: str) -> Rule:
    return next(load_pack(pack)[rule_id] for pack in pack_names() if rule_id in load_pack(pack))


BUILDERS: dict[object, typing.Callable[[typing.Any], object]] = {
    Bath: lambda value: Bath(**value),
    AnodeQuality: lambda value: AnodeQuality(**value),
    Operation: lambda value: Operation(**value),
    OperatingPoint: lambda value: OperatingPoint(
        **{**value, "bath": Bath(**value["bath"])}, conductivity=conductivity_hives
    ),
    LedgeDesign: load_ledge_design,
    CellDesign: load_cell_design,
    Rule: _rule,
    CarbonFactors: lambda value: carbon_factors(),
    Prices: lambda value: Prices(),
}


def _number(answer: object) -> typing.Any:
    if isinstance(answer, CellVoltage | DirectEmissions):
        return answer.total
    return answer.kwh_per_t if isinstance(answer, Gap) else answer


def _arguments(function: typing.Callable[..., object], given: dict[str, object]) -> dict[str, object]:
    hints = typing.get_type_hints(function)
    return {
        name: BUILDERS[hints[name]](value) if hints[name] in BUILDERS else value
        for name, value in given.items()
    }


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case["relation"])
def test_relation_agrees_with_its_second_writing(case: dict[str, typing.Any]) -> None:
    function = _function(case["relation"])
    answer = _number(function(**_arguments(function, case["arguments"])))
    np.testing.assert_allclose(answer, case["value"], rtol=1e-7)


@pytest.mark.parametrize("name", GENERATORS)
def test_golden_values_are_those_of_their_generator(name: str) -> None:
    generated = runpy.run_path(str(GOLDEN / f"make_{name}_values.py"))["values"]()
    assert [case["relation"] for case in generated] == [case["relation"] for case in STORED[name]]
    for fresh, stored in zip(generated, STORED[name], strict=True):
        assert fresh["arguments"] == stored["arguments"]
        np.testing.assert_allclose(fresh["value"], stored["value"], rtol=1e-12)


def test_every_relation_has_a_golden_value() -> None:
    assert {relation.name for relation in glossary.relations()} == {case["relation"] for case in VALUES}


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_every_public_function_is_a_relation_or_a_named_decision() -> None:
    glossary.relations()
    known = {f"features.{relation.name}" for relation in relations.registered()} | DECISIONS
    public = {
        f"{module.__name__}.{name}"
        for module in map(importlib.import_module, MODULES)
        if module.__name__.startswith(("features.electrolysis.", "features.policy."))
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public == known


@pytest.mark.parametrize("relation", glossary.relations(), ids=lambda relation: relation.name)
def test_relation_is_documented(relation: relations.Relation) -> None:
    function = _function(relation.name)
    text = inspect.getdoc(function) or ""
    assert ">>>" in text
    assert "Args:" in text
    assert relation.summary
    assert relation.source
    assert relation.equation
    documented = text.partition("Args:")[2]
    for argument in inspect.signature(function).parameters:
        assert f"{argument}:" in documented, f"{relation.name} does not say what {argument} is"


@pytest.mark.parametrize("relation", glossary.relations(), ids=lambda relation: relation.name)
def test_ranges_name_what_the_relation_takes(relation: relations.Relation) -> None:
    function = _function(relation.name)
    taken = set(inspect.signature(function).parameters)
    for record in (Bath, AnodeQuality, Operation):
        if record in typing.get_type_hints(function).values():
            taken |= set(inspect.signature(record).parameters) | {"cryolite_ratio"}
    assert set(relation.valid) <= taken
    assert all(low < high for low, high in relation.valid.values())


WITH_NUMBERS = [
    case for case in VALUES if any(isinstance(value, float) for value in case["arguments"].values())
]


@pytest.mark.parametrize("case", WITH_NUMBERS, ids=lambda case: case["relation"])
def test_arrays_broadcast_and_one_missing_value_stays_one(case: dict[str, typing.Any]) -> None:
    function = _function(case["relation"])
    given = _arguments(function, case["arguments"])
    numeric = [name for name, value in given.items() if isinstance(value, float)]
    for name in numeric:
        column = np.array([given[name], np.nan, given[name]])
        answer = np.asarray(_number(function(**{**given, name: column})))
        assert answer.dtype == np.float64
        assert answer.shape[0] == 3
        expected = np.asarray(_number(function(**given)))
        # numpy takes powers of arrays and of single numbers by different code, one unit in the last place apart.
        np.testing.assert_allclose(answer[0], expected, rtol=1e-14)
        np.testing.assert_array_equal(answer[0], answer[2])
        assert np.isnan(answer[1]).all(), f"{case['relation']} invents an answer where {name} is missing"


def test_outside_measures_the_excess_over_the_trusted_range() -> None:
    relation = next(r for r in glossary.relations() if r.name == "electrolysis.bath.liquidus_solheim_1996")
    excess = relation.outside(
        {"excess_alf3": [10.0, 22.0, math.nan], "kf": [0.0, 0.0, 10.0], "other": [9.0, 9.0, 9.0]}
    )
    np.testing.assert_allclose(excess, [0.0, 0.1, 1.0])


def test_a_name_is_registered_once() -> None:
    def twin() -> float:
        return 1.0

    mark = relations.relation(unit="-", equation="1", source="test", tag="C")
    twin.__module__ = "tests.twin"
    mark(twin)
    try:
        with pytest.raises(ValueError, match="registered twice"):
            mark(twin)
    finally:
        relations._REGISTER.pop("tests.twin.twin")
