"""The planted confounding, from record to recommendation: nobody is told to turn a dial that is wired to nothing."""

from pathlib import Path

import numpy as np
from rich.console import Console

from experiments.confounding.planted import plant_dial
from experiments.model_jobs import TrainJob, train_bundle
from experiments.prepare import prepare, read_record
from features.tables.store import read_tables, write_tables
from serving.context import contexts_today
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, recommend
from serving.search.study import SearchSettings
from tests.fakes.small_record import small_record

DIAL = "alumina_feed_kg_d"


def test_a_dial_wired_to_nothing_is_found_out_and_never_turned(tmp_path: Path) -> None:
    record = tmp_path / "record"
    write_tables(plant_dial(read_tables(small_record(tmp_path / "whole", 8, 200)), DIAL, 5), record)
    prepared = prepare(read_record(record, None), 7)
    rows = prepared.inputs.rows()
    place = next(place for place in rows.levers if place.name == DIAL)
    known = np.isfinite(rows.y["mean_noise_mv"])
    side_by_side = np.corrcoef(rows.z[known, place.value], rows.y["mean_noise_mv"][known])[0, 1]
    assert side_by_side > 0.2, "the dial must stand where the trouble is"
    with (tmp_path / "log").open("w") as log:
        train_bundle(
            TrainJob(record, tmp_path / "bundle", None, 3, f"sqlite:///{tmp_path / 'runs.db'}", True, None),
            Console(file=log),
        )
    predictor = Predictor.open(tmp_path / "bundle")
    info = next(lever for lever in predictor.manifest.levers if lever.name == DIAL)
    assert info.identification.grade == "not_identified"
    assert info.identification.moves > 150
    found = list(
        recommend(
            predictor,
            contexts_today(prepared.history, predictor.recipe),
            AdviceSettings(search=SearchSettings(starts=2)),
        )
    )
    told = [advice for advice in found if advice.status != "abstain"]
    assert told
    for advice in told:
        dial = next(lever for lever in advice.levers if lever.name == DIAL)
        assert dial.recommended == dial.current
        why = [entry for entry in advice.reasons if entry.code == "not_identified"]
        assert any("alumina feed target" in entry.text for entry in why)
