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

ENERGY = "energy_kwh_per_t"
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
    found = widened(outputs, {"e": 1.7})
    assert found["e"] is outputs["e"]
    assert found["support"] is outputs["support"]
    for end in (".lower", ".upper"):
        np.testing.assert_allclose(found["e" + end] - outputs["e"], 1.7 * (outputs["e" + end] - outputs["e"]))
    np.testing.assert_allclose(found["e.members"].mean(axis=1), outputs["e.members"].mean(axis=1))
    np.testing.assert_allclose(found["e.members"].std(axis=1), 1.7 * outputs["e.members"].std(axis=1))
    same = widened(outputs, {"f": 1.7})
    assert all(same[name] is value for name, value in outputs.items())


def erring(factor: float, outcome: str = ENERGY) -> Erring:
    return Erring(outcome, 56, 0.8, 0.1, factor)


def test_a_saving_that_is_no_longer_sure_is_held() -> None:
    bundle = advice.bundle(SAVES)
    plain = advice.context("c1")
    doubts = [RecentErrors((erring(1.5),)), RecentErrors((erring(12.0),))]
    contexts = [plain, *(replace(plain, errors=errors) for errors in doubts)]
    sure, less, held = recommend(bundle, contexts, AdviceSettings())
    assert (sure.status, less.status, held.status) == ("move", "move", "hold")
    assert sure.saving is not None
    assert less.saving is not None
    one, other = sure.saving.cost_per_t, less.saving.cost_per_t
    assert other.mean == pytest.approx(one.mean, rel=1e-9)
    assert other.mean - other.lower == pytest.approx(1.5 * (one.mean - one.lower), rel=1e-6)
    assert less.reasons[-1].code == "model_error_widened"
    assert [reason.code for reason in held.reasons] == ["uncertain", "model_error_widened"]
    assert "12.0 times" in held.reasons[1].text
    wide, narrow = (found.expected[ENERGY] for found in (less, sure))
    assert wide.upper - wide.recommended == pytest.approx(1.5 * (narrow.upper - narrow.recommended), rel=1e-3)


def test_a_helper_that_is_wrong_widens_its_own_interval_only() -> None:
    plain = advice.context("c1")
    noisy = replace(plain, errors=RecentErrors((erring(3.0, "mean_noise_mv"),)))
    one, other = recommend(advice.bundle(SAVES), [plain, noisy], AdviceSettings())
    assert (other.saving, other.levers) == (one.saving, one.levers)
    assert {name for name in one.expected if one.expected[name] != other.expected[name]} == {"mean_noise_mv"}


def test_a_hard_limit_is_kept_by_the_interval_as_it_is_now() -> None:
    """Less voltage cools: as far as the interval's end allows, and a wider interval allows less."""
    cools = {"mean_superheat_c": {"set_voltage_v": [lambda v: 50.0 * v]}}
    bundle = advice.bundle({**SAVES, **cools}, half_widths={"mean_superheat_c": 1.5})
    plain = advice.context("c1")
    far, near = recommend(
        bundle,
        [plain, replace(plain, errors=RecentErrors((erring(2.5, "mean_superheat_c"),)))],
        AdviceSettings(),
    )
    assert far.status == near.status == "move"
    drop = [found.levers[0].current - found.levers[0].recommended for found in (far, near)]
    assert drop[0] > drop[1] > 0
    assert near.expected["mean_superheat_c"].lower >= 4.0
    assert "mean_superheat_c.hard_low" in near.binding


def test_what_is_withheld_is_said_and_nothing_else() -> None:
    errors = RecentErrors((), (erring(9.0),))
    (found,) = recommend(
        advice.bundle(SAVES), [replace(advice.context("c1"), errors=errors)], AdviceSettings()
    )
    assert (found.status, found.levers, found.saving, found.expected) == ("abstain", (), None, {})
    assert found.reasons[0].code == "model_error"
    assert "80% of direct-current energy" in found.reasons[0].text
    assert "80%" in found.reasons[0].text_zh


def test_errors_come_back_with_their_context() -> None:
    errors = RecentErrors((erring(1 / 3 + 1),), (Erring("mean_noise_mv", 56, 0.1 + 0.2, 1 / 7, 3.0),))
    context = replace(advice.context("c1"), errors=errors)
    assert read_context(context_values(context)).errors == errors
    # As contexts were written before errors were watched.
    assert "errors" not in context_values(advice.context("c1"))
    assert read_context(context_values(advice.context("c1"))).errors is None


@pytest.mark.parametrize("factor", [0.9, 0.0, float("nan"), float("inf")])
def test_nothing_is_narrowed(factor: float) -> None:
    with pytest.raises(InputError, match="factor"):
        erring(factor)
    with pytest.raises(SettingsError, match="widening"):
        Goal(Objective({"energy_kwh_per_t": 0.45}), widening={ENERGY: factor})
