"""Which open moves come first, what binds, and why the others wait."""

import pytest

from features.electrolysis.faraday import metal_rate
from features.errors import InputError
from serving.advising.shift import first_moves
from serving.schemas import Estimate, Recommendation, Saving
from serving.search.allocation import Budget
from tests.fakes.advised import recommendation


def worth(cell: str, mean: float, lower: float, currency: str = "CNY") -> Recommendation:
    nothing = Estimate(mean=0.0, lower=0.0, upper=0.0)
    cost = Estimate(mean=mean, lower=lower, upper=2 * mean - lower)
    saving = Saving(energy_kwh_per_t=nothing, net_anode_kg_per_t=None, cost_per_t=cost, currency=currency)
    return recommendation(cell, saving=saving.model_dump())


OPEN = [worth("a", 10, 8), worth("b", 30, 27), worth("c", 40, -80), worth("d", 20, 18)]


def test_the_moves_that_pay_most_come_first_and_the_rest_is_told_why() -> None:
    told = first_moves(OPEN, Budget(moves_a_day=2), 420.0)
    assert [move["cell_id"] for move in told["chosen"]] == ["b", "d"]
    tonnes = metal_rate(420.0, 0.94) / 1000
    assert told["unit"] == "CNY/d"
    assert told["chosen"][0]["gain"]["mean"] == pytest.approx(30 * tonnes)
    assert told["gain"]["mean"] == pytest.approx(50 * tonnes)
    assert told["chosen"][0]["moves"] == [
        {"name": "set_voltage_v", "unit": "V", "change": pytest.approx(-0.01)}
    ]
    assert told["budgets"] == [
        {"name": "moves_a_day", "unit": "1/d", "limit": 2, "used": 2.0, "binding": True}
    ]
    why = {move["cell_id"]: move for move in told["left_out"]}
    assert set(why) == {"a", "c"}
    assert why["a"]["budgets"] == ["moves_a_day"]
    assert why["a"]["reasons"][0]["code"] == "left_out_budget"
    assert "3" in why["a"]["reasons"][0]["text"]
    assert "setpoint" not in why["a"]["reasons"][0]["text_zh"]
    assert told["gap"] == 0.0


def test_what_is_not_sure_enough_waits_though_it_fits() -> None:
    told = first_moves(OPEN, Budget(), 420.0)
    assert {move["cell_id"] for move in told["chosen"]} == {"a", "b", "d"}
    (left,) = told["left_out"]
    assert (left["cell_id"], left["budgets"]) == ("c", [])
    assert left["reasons"][0]["code"] == "left_out_risk"
    assert left["reasons"][0]["evidence"]["change"] < 0
    assert told["budgets"] == []
    bold = first_moves(OPEN, Budget(caution=0.0), 420.0)
    assert [move["cell_id"] for move in bold["chosen"]] == ["c", "b", "d", "a"]


def test_the_lines_voltage_binds_either_way() -> None:
    told = first_moves(OPEN, Budget(line_voltage_v=0.01, caution=0.0), 420.0)
    assert [move["cell_id"] for move in told["chosen"]] == ["c"]
    assert {name for move in told["left_out"] for name in move["budgets"]} == {"line_voltage_v"}
    assert told["budgets"][0]["used"] == pytest.approx(0.01)


def test_nothing_open_is_an_answer_and_two_currencies_are_none() -> None:
    told = first_moves([], Budget(moves_a_day=3), 420.0)
    assert (told["chosen"], told["left_out"], told["gain"]) == ([], [], {"mean": 0.0, "deviation": 0.0})
    assert told["budgets"][0]["used"] == 0.0
    with pytest.raises(InputError, match="CNY, EUR"):
        first_moves([*OPEN, worth("e", 5, 4, "EUR")], Budget(), 420.0)
