"""Intervals and doubts widened by a factor: exactly so, nowhere else, and from the context alone."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import InputError, SettingsError
from serving.context import Erring, RecentErrors
from serving.ledger.contexts import context_values, read_context
from serving.recommend import AdviceSettings, recommend
from serving.search.problem import Goal, Objective
from serving.widening import widened
from tests.fakes import advice

SAVES = {
    "energy_kwh_per_t": {"set_voltage_v": [lambda v: 2700.0 * v, lambda v: 3000.0 * v, lambda v: 3300.0 * v]}
}


def test_bounds_and_members_are_widened_around_their_middle() -> None:
    rng = np.random.default_rng(1)
    outputs = {
        "e": rng.normal(size=4),
        "e.lower": rng.normal(size=4) - 3,
        "e.upper": rng.normal(size=4) + 2,
        "e.members": rng.normal(size=(4, 5)),
        "support": rng.random(4),
    }
    found = widened(outputs, 1.7)
    assert found["e"] is outputs["e"]
    assert found["support"] is outputs["support"]
    for end in (".lower", ".upper"):
        np.testing.assert_allclose(found["e" + end] - outputs["e"], 1.7 * (outputs["e" + end] - outputs["e"]))
    np.testing.assert_allclose(found["e.members"].mean(axis=1), outputs["e.members"].mean(axis=1))
    np.testing.assert_allclose(found["e.members"].std(axis=1), 1.7 * outputs["e.members"].std(axis=1))
    same = widened(outputs, 1.0)
    assert all(same[name] is value for name, value in outputs.items())


def test_a_saving_that_is_no_longer_sure_is_held() -> None:
    bundle = advice.bundle(SAVES)
    plain = advice.context("c1")
    contexts = [plain, *(replace(plain, errors=RecentErrors(factor)) for factor in (1.5, 12.0))]
    sure, less, held = recommend(bundle, contexts, AdviceSettings())
    assert (sure.status, less.status, held.status) == ("move", "move", "hold")
    assert sure.saving is not None
    assert less.saving is not None
    one, other = sure.saving.cost_per_t, less.saving.cost_per_t
    assert other.mean == pytest.approx(one.mean, rel=1e-9)
    assert other.mean - other.lower == pytest.approx(1.5 * (one.mean - one.lower), rel=1e-6)
    assert [reason.code for reason in held.reasons] == ["uncertain", "widened"]
    wide, narrow = (found.expected["energy_kwh_per_t"] for found in (less, sure))
    assert wide.upper - wide.recommended == pytest.approx(1.5 * (narrow.upper - narrow.recommended), rel=1e-3)


def test_what_is_withheld_is_said_and_nothing_else() -> None:
    errors = RecentErrors(9.0, (Erring("energy_kwh_per_t", 480.0, 0.8, 0.1),))
    (found,) = recommend(advice.bundle(SAVES), [replace(advice.context("c1"), errors=errors)])
    assert (found.status, found.levers, found.saving, found.expected) == ("abstain", (), None, {})
    assert found.reasons[0].code == "model_error"
    assert "480 kWh/t" in found.reasons[0].text
    assert "80%" in found.reasons[0].text_zh


def test_errors_come_back_with_their_context() -> None:
    errors = RecentErrors(1 / 3 + 1, (Erring("mean_noise_mv", 0.1 + 0.2, 1 / 7, 0.1),))
    context = replace(advice.context("c1"), errors=errors)
    assert read_context(context_values(context)).errors == errors
    # As contexts were written before errors were watched.
    assert "errors" not in context_values(advice.context("c1"))
    assert read_context(context_values(advice.context("c1"))).errors is None


@pytest.mark.parametrize("factor", [0.9, 0.0, float("nan"), float("inf")])
def test_nothing_is_narrowed(factor: float) -> None:
    with pytest.raises(InputError, match="factor"):
        RecentErrors(factor)
    with pytest.raises(SettingsError, match="widening"):
        Goal(Objective({"energy_kwh_per_t": 0.45}), widening=factor)
