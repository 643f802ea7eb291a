"""A model that has been wrong is not believed as before: intervals wider, a move held, or nothing said; and replayed so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from serving.ledger import Ledger
from serving.ledger.advice import context_values, replay, settings_entry
from serving.models.errors import LineErrors, OutcomeError, State
from serving.ports import Named
from serving.recommend import AdviceSettings, recommend
from serving.schemas import Recommendation
from serving.student import quantile, tail
from serving.trust import KEY, Trust, Watch, trust_of, trusted
from tests.fakes import advice

EFFECTS = {
    "energy_kwh_per_t": {"set_voltage_v": [lambda v: 3000.0 * v, lambda v: 2900.0 * v, lambda v: 3100.0 * v]}
}
ENERGY = "energy_kwh_per_t"


def error(outcome: str, factor: float = 1.0, state: State = "sound") -> OutcomeError:
    return OutcomeError(outcome, 2.0, 1.0, 56, 400, 60.0, 0.4, 0.1, 0.001, factor, state)


def errors(*found: OutcomeError, cells: dict[str, OutcomeError] | None = None) -> LineErrors:
    own = {cell: {one.outcome: one} for cell, one in (cells or {}).items()}
    line = str(move().line_id)
    return LineErrors("potline", line, (ENERGY,), {one.outcome: one for one in found}, own)


def move() -> Recommendation:
    found = next(iter(recommend(advice.bundle(EFFECTS), [advice.context("c1")], AdviceSettings())))
    assert found.status == "move"
    return found


def test_a_sound_model_changes_nothing() -> None:
    given = move()
    trust = trust_of(errors(error(ENERGY)), "c1")
    assert trust.full
    assert trusted(given, trust) is given


def test_wider_intervals_keep_their_means() -> None:
    given = move()
    found = trusted(given, trust_of(errors(error(ENERGY, 1.5, "widened")), "c1"))
    assert found.status == "move"
    assert given.saving is not None
    assert found.saving is not None
    for name in ("energy_kwh_per_t", "cost_per_t"):
        before, after = getattr(given.saving, name), getattr(found.saving, name)
        assert after.mean == before.mean
        assert after.mean - after.lower == pytest.approx(1.5 * (before.mean - before.lower))
        assert after.upper - after.mean == pytest.approx(1.5 * (before.upper - before.mean))
    for name, before in given.expected.items():
        factor = 1.5 if name == ENERGY else 1.0
        after = found.expected[name]
        assert after.recommended - after.lower == pytest.approx(factor * (before.recommended - before.lower))
    assert found.reasons[-1].code == "model_error_widened"
    assert found.recommendation_id == found.content_hash() != given.recommendation_id
    assert found.levers == given.levers


def test_a_move_that_is_no_longer_surely_a_saving_is_held() -> None:
    given = move()
    assert given.saving is not None
    cost = given.saving.cost_per_t
    enough = 1.1 * cost.mean / (cost.mean - cost.lower)
    found = trusted(given, trust_of(errors(error(ENERGY, enough, "widened")), "c1"))
    assert found.status == "hold"
    assert [lever.recommended for lever in found.levers] == [lever.current for lever in given.levers]
    assert [reason.code for reason in found.reasons] == ["model_error_unsure"]
    assert found.saving is not None
    assert found.saving.cost_per_t.mean == 0.0
    assert "energy" in found.reasons[0].text
    assert "电耗" in found.reasons[0].text_zh


def test_what_is_out_of_hand_makes_the_cell_abstain_and_only_that_cell() -> None:
    found = errors(error(ENERGY), cells={"c1": error(ENERGY, 3.0, "withheld")})
    said = trusted(move(), trust_of(found, "c1"))
    assert (said.status, said.levers, said.saving) == ("abstain", (), None)
    assert [reason.code for reason in said.reasons] == ["model_error"]
    assert trust_of(found, "c2").full


def test_a_helper_that_is_wrong_widens_its_own_interval_only() -> None:
    trust = trust_of(errors(error(ENERGY), error("mean_noise_mv", 1.4, "widened")), "c1")
    assert trust == Trust({"mean_noise_mv": 1.4})
    found = trusted(move(), trust)
    assert found.saving == move().saving


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        yield found


@pytest.mark.parametrize(
    ("factor", "state", "status"),
    [(1.5, "widened", "move"), (50.0, "widened", "hold"), (3.0, "withheld", "abstain")],
)
def test_what_was_counted_in_is_replayed(ledger: Ledger, factor: float, state: State, status: str) -> None:
    bundle, context, settings = advice.bundle(EFFECTS), advice.context("c1"), AdviceSettings()
    made = next(iter(recommend(bundle, [context], settings)))
    noted = settings_entry(settings)
    advised: dict[str, Any] = {
        "recommendation": made.model_dump(mode="json"),
        "context": context_values(context),
        "settings": noted.digest,
    }
    watch = Watch()
    assert watch.counted_in(advised) is advised
    watch.note("another bundle", errors(error(ENERGY, factor, state)))
    assert watch.counted_in(advised) is advised
    watch.note(made.bundle_digest, errors(error(ENERGY, factor, state)))
    assert len(watch.known) == 1
    assert watch.states(made.line_id)[0]["state"] == state
    found = watch.counted_in(advised)
    assert found["recommendation"]["status"] == status
    assert KEY in found["context"]
    ledger.append_all([("settings", noted), ("recommendation", found)], Named("service"))
    again = replay(ledger, found["recommendation"]["recommendation_id"], bundle)
    assert again.equal, again.differences


def test_student_and_the_binomial_tail_are_those_of_a_statistics_library() -> None:
    for freedom in (5, 6, 9, 20, 100, 1000):
        for probability in (0.75, 0.9, 0.95, 0.975):
            assert quantile(freedom, probability) == pytest.approx(
                stats.t.ppf(probability, freedom), abs=2e-3
            )
    for trials in (1, 8, 60, 500):
        for hits in (0, 1, trials // 8, trials // 2, trials):
            for chance in (0.01, 0.1, 0.5):
                assert tail(hits, trials, chance) == pytest.approx(
                    stats.binom.sf(hits - 1, trials, chance), rel=1e-9, abs=1e-300
                )
