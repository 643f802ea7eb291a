"""A recommendation of the ledger, made again from what the ledger holds, is the same bit for bit."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleForeignError, InputError
from serving.context import Context, Stuck
from serving.guard import GuardSettings
from serving.ledger import Ledger
from serving.ledger.advice import (
    context_values,
    read_context,
    read_settings,
    replay,
    settings_entry,
    write_advice,
)
from serving.ledger.chain import Record
from serving.ports import Named
from serving.recommend import AdviceSettings, recommend
from serving.search.study import SearchSettings
from tests.fakes import advice
from tests.fakes.ledgers import Tamper

WHO = Named("operator")
EFFECTS = {
    "energy_kwh_per_t": {"set_voltage_v": [lambda v: 3000.0 * v, lambda v: 2900.0 * v, lambda v: 3100.0 * v]}
}
SETTINGS = AdviceSettings(search=SearchSettings(seed=7, storage="sqlite:///secret.db"), window=advice.WINDOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        yield found


def test_moves_holds_and_abstentions_are_made_again(ledger: Ledger, tmp_path: Path) -> None:
    bundle = advice.bundle(EFFECTS)
    contexts = [
        advice.context("c1"),
        advice.context("c2", advice.row(voltage=3.7)),
        advice.context("c3", last_reported=date(2025, 1, 1)),
        advice.context("c4", stuck=(Stuck("cell_voltage_v", 0.1 + 0.2, 9),)),
    ]
    settings = replace(SETTINGS, search=SearchSettings(seed=7))
    made = list(recommend(bundle, contexts, settings))
    assert {entry.status for entry in made} == {"move", "hold", "abstain"}
    records = write_advice(ledger, zip(made, contexts, strict=True), settings, WHO)
    assert [record.content.about for record in records] == [entry.recommendation_id for entry in made]
    for entry in made:
        again = replay(ledger, entry.recommendation_id, bundle)
        assert again.equal
        assert again.differences == []
        assert again.again.content_hash() == entry.recommendation_id


def test_what_was_not_advised_so_is_shown(ledger: Ledger, tmp_path: Path) -> None:
    bundle = advice.bundle(EFFECTS)
    context = advice.context("c1")
    made = next(iter(recommend(bundle, [context], AdviceSettings())))
    assert made.saving is not None
    better = made.saving.model_copy(
        update={
            "cost_per_t": made.saving.cost_per_t.model_copy(
                update={"mean": np.nextafter(made.saving.cost_per_t.mean, 1e9).item()}
            )
        }
    )
    forged = made.model_copy(update={"saving": better})
    forged = forged.model_copy(update={"recommendation_id": forged.content_hash()})
    write_advice(ledger, [(forged, context)], AdviceSettings(), WHO)
    again = replay(ledger, forged.recommendation_id, bundle)
    assert not again.equal
    assert again.differences == ["recommendation_id", "saving"]


def record_settings(ledger: Ledger) -> str:
    return ledger.records("settings")[0].content.body


def test_another_bundle_and_changed_records_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    bundle = advice.bundle(EFFECTS)
    context = advice.context("c1")
    made = next(iter(recommend(bundle, [context], AdviceSettings())))
    record: Record = write_advice(ledger, [(made, context)], AdviceSettings(), WHO)[0]
    with pytest.raises(BundleForeignError, match="was made by bundle"):
        replay(ledger, made.recommendation_id, advice.bundle({}))
    tamper = Tamper(f"sqlite:///{tmp_path / 'ledger.db'}")
    changed = record_settings(ledger).replace('"seed":0', '"seed":1')
    assert changed != record_settings(ledger)
    tamper.run("UPDATE records SET body = :body WHERE kind = 'settings'", body=changed)
    with pytest.raises(InputError, match="settings"):
        replay(ledger, made.recommendation_id, bundle)
    tamper.run(f"UPDATE records SET subject = 'x' WHERE sequence = {record.sequence}")
    tamper.close()
    with pytest.raises(InputError, match="was changed"):
        replay(ledger, made.recommendation_id, bundle)


def test_settings_come_back_as_they_were_without_addresses() -> None:
    entry = settings_entry(SETTINGS)
    assert "secret" not in entry.model_dump_json()
    assert read_settings(entry) == replace(SETTINGS, search=SearchSettings(seed=7))
    other = settings_entry(
        replace(SETTINGS, guard=GuardSettings(young_cell_d=np.nextafter(120.0, 200.0).item()))
    )
    assert other.digest != entry.digest
    for values in ({}, {**entry.settings, "confidence": 0.91}):
        with pytest.raises(InputError, match="digest"):
            read_settings(entry.model_copy(update={"settings": values}))


def test_contexts_come_back_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    row = rng.integers(0, 2**32, 200, dtype=np.uint32).view(np.float32)  # NaN payloads, infinities, denormals
    context = Context("L1", "c1", date(2025, 3, 10), row, None, 1 / 3, (Stuck("noise_mv", 12.1, 6),))
    again = read_context(context_values(context))
    assert again.row is not None
    assert again.row.tobytes() == row.tobytes()
    assert replace(again, row=None) == replace(context, row=None)
    assert read_context(context_values(replace(context, row=None))).row is None
    for broken in ({}, {**context_values(context), "row": "!"}, {**context_values(context), "date": "x"}):
        with pytest.raises(InputError, match="context"):
            read_context(broken)
