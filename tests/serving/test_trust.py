"""What is known of the models' recent errors, and what it asks of a cell's context; replayed from the ledger."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from serving.context import RecentErrors
from serving.ledger import Ledger
from serving.ledger.advice import context_values, read_context, replay, settings_entry
from serving.models.errors import LineErrors, OutcomeError, State
from serving.ports import Named
from serving.recommend import AdviceSettings, recommend
from serving.student import quantile, tail
from serving.trust import KEY, Watch, recent
from tests.fakes import advice

EFFECTS = {
    "energy_kwh_per_t": {"set_voltage_v": [lambda v: 3000.0 * v, lambda v: 2900.0 * v, lambda v: 3100.0 * v]}
}
ENERGY = "energy_kwh_per_t"


def error(outcome: str, factor: float = 1.0, state: State = "sound") -> OutcomeError:
    return OutcomeError(outcome, 2.0, 1.0, 56, 400, 60.0, 0.4, 0.1, 0.001, factor, state)


def errors(*found: OutcomeError, cells: dict[str, OutcomeError] | None = None) -> LineErrors:
    own = {cell: {one.outcome: one} for cell, one in (cells or {}).items()}
    line = advice.context("c1").line_id
    return LineErrors("potline", line, (ENERGY,), {one.outcome: one for one in found}, own)


def test_a_sound_model_asks_for_nothing() -> None:
    assert recent(errors(error(ENERGY)), "c1") is None
    assert recent(LineErrors("potline", "L1", ()), "c1") is None


def test_the_worse_of_line_and_cell_counts() -> None:
    found = errors(error(ENERGY, 1.5, "widened"), cells={"c1": error(ENERGY, 3.0, "withheld")})
    mine, other = recent(found, "c1"), recent(found, "c2")
    assert isinstance(mine, RecentErrors)
    assert isinstance(other, RecentErrors)
    assert [entry.factor for entry in mine.widened] == [3.0]
    assert [entry.outcome for entry in mine.withheld] == [ENERGY]
    assert ([entry.factor for entry in other.widened], other.withheld) == ([1.5], ())


def test_an_interval_of_no_width_is_out_of_hand_and_still_can_be_written() -> None:
    found = recent(errors(error(ENERGY, float("inf"), "withheld")), "c1")
    assert found is not None
    assert found.withheld[0].factor == 1e6


def test_bundles_are_told_apart() -> None:
    watch, context = Watch(), context_values(advice.context("c1"))
    watch.note("one", errors(error(ENERGY, 1.5, "widened")))
    watch.note("two", errors(error(ENERGY)))
    assert watch.counted_in("two", context) is context
    assert watch.counted_in("three", context) is context
    assert watch.counted_in("one", context)[KEY]["widened"][0]["factor"] == 1.5
    assert [watch.states(digest, context["line_id"])[0]["state"] for digest in ("one", "two")] == [
        "widened",
        "sound",
    ]
    assert watch.states("three", context["line_id"]) == []
    assert len(watch.known) == 2


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        yield found


@pytest.mark.parametrize(
    ("factor", "state", "status"),
    [(1.5, "widened", "move"), (50.0, "widened", "hold"), (3.0, "withheld", "abstain")],
)
def test_what_was_counted_in_is_replayed(ledger: Ledger, factor: float, state: State, status: str) -> None:
    bundle, settings = advice.bundle(EFFECTS), AdviceSettings()
    watch = Watch()
    watch.note(bundle.manifest.digest, errors(error(ENERGY, factor, state)))
    context = watch.counted_in(bundle.manifest.digest, context_values(advice.context("c1")))
    made = next(iter(recommend(bundle, [read_context(dict(context))], settings)))
    assert made.status == status
    noted = settings_entry(settings)
    advised: dict[str, Any] = {
        "recommendation": made.model_dump(mode="json"),
        "context": context,
        "settings": noted.digest,
    }
    ledger.append_all([("settings", noted), ("recommendation", advised)], Named("service"))
    again = replay(ledger, made.recommendation_id, bundle)
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
