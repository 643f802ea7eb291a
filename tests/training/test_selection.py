"""Origins know nothing of later, blends are convex, champions are chosen without their own block."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InputError
from training.estimators.baselines import cell_mean, persistence
from training.estimators.blend import blend, blend_weights
from training.rolling import origins
from training.rows import LeverPlace, Rows, moved, usable
from training.selection import BLEND, Validation, choose
from training.settings import TrainSettings
from training.structures import Blend, Constant

START = np.datetime64("2025-01-01", "D")
ENERGY = "energy_kwh_per_t"
DELAY_D = 20


def _rows(days: int = 120, cells: int = 5, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    date = np.repeat(START + np.arange(days), cells)
    cell = np.tile(np.arange(cells), days)
    last = 3.9 + np.zeros(len(date))
    move = np.where(rng.random(len(date)) < 0.1, 0.008, 0.0)
    z = np.stack([rng.normal(size=len(date)), last + move, last, move], axis=1)
    return Rows(
        z=z,
        cell=cell,
        date=date,
        names=("x", "set_voltage_v", "set_voltage_v_last", "set_voltage_v_move"),
        levers=(LeverPlace("set_voltage_v", 1, 2, 3),),
        y={ENERGY: 12_400 + 10.0 * cell + rng.normal(size=len(date))},
        known_on={ENERGY: date + DELAY_D},
    )


@given(st.integers(60, 200), st.integers(2, 6), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_nothing_is_trained_or_judged_on_what_was_not_known(days: int, folds: int, delay: int) -> None:
    rows = _rows(days)
    rows = replace(rows, known_on={ENERGY: rows.date + delay})
    cuts = origins(rows, TrainSettings(folds=folds))
    seen = np.zeros(len(rows), dtype=int)
    for cut in (*cuts.blocks, cuts.test):
        train, block = cut.train(rows, ENERGY), cut.block(rows, ENERGY)
        assert (rows.known_on[ENERGY][train] < cut.at).all()
        assert (rows.date[block] >= cut.at).all()
        assert not (train & block).any()
        seen += block
    for cut in cuts.blocks:
        assert (rows.known_on[ENERGY][cut.block(rows, ENERGY)] < cuts.test.at).all()
    assert seen.max() == 1
    assert cuts.test.block(rows, ENERGY).sum() == (rows.date >= cuts.test.at).sum()


def test_blocks_lie_where_labels_are() -> None:
    rows = _rows(150)
    cuts = origins(rows, TrainSettings())
    sizes = [int(cut.block(rows, ENERGY).sum()) for cut in cuts.blocks]
    assert min(sizes) == max(sizes) > 0


def test_too_short_a_record_is_refused() -> None:
    with pytest.raises(InputError, match="30 decision days"):
        origins(_rows(30), TrainSettings())
    late = replace(_rows(60), known_on={ENERGY: _rows(60).date + 90})
    with pytest.raises(InputError, match="no target has a label"):
        origins(late, TrainSettings())


def test_persistence_is_the_latest_label_known_the_day_before() -> None:
    rows = _rows()
    asked = rows.take(rows.date >= START + 60)
    found = persistence(asked, rows, ENERGY)
    for row in range(0, len(asked), 13):
        mine = (rows.cell == asked.cell[row]) & (rows.known_on[ENERGY] < asked.date[row])
        latest = np.flatnonzero(mine)[np.argmax(rows.date[mine])]
        assert found[row] == rows.y[ENERGY][latest]
        assert rows.date[latest] + DELAY_D < asked.date[row]


def test_persistence_of_a_new_cell_is_what_the_others_showed() -> None:
    rows = _rows()
    new = (rows.cell == 0) & (rows.date < START + 80)
    rows = replace(rows, y={ENERGY: np.where(new, np.nan, rows.y[ENERGY])})
    asked = rows.take((rows.date == START + 90) & (rows.cell == 0))
    known = np.isfinite(rows.y[ENERGY]) & (rows.known_on[ENERGY] < START + 90)
    assert persistence(asked, rows, ENERGY)[0] == pytest.approx(rows.y[ENERGY][known].mean())


def test_a_cell_without_history_gets_the_mean_of_the_others() -> None:
    rows = _rows()
    train = rows.take((rows.date < START + 60) & (rows.cell != 2))
    found = cell_mean(rows, train, ENERGY)
    assert found[rows.cell == 2][0] == pytest.approx(train.y[ENERGY].mean())
    assert found[rows.cell == 3][0] == pytest.approx(train.y[ENERGY][train.cell == 3].mean())


def test_a_lever_that_never_moved_leaves_the_model() -> None:
    rows = _rows()
    assert [lever.name for lever in moved(rows)] == ["set_voltage_v"]
    z = rows.z.copy()
    z[:, 1], z[:, 3] = z[:, 2] + np.arange(len(z)) * 1e-6, 0.0
    z[:, 2] += np.arange(len(z)) * 1e-6
    still = replace(rows, z=z)
    assert moved(still) == ()
    assert usable(still).tolist() == [True, False, True, False]


def test_a_column_that_says_nothing_is_not_used() -> None:
    rows = _rows()
    z = rows.z.copy()
    z[:, 0] = np.nan
    assert usable(replace(rows, z=z)).tolist() == [False, True, False, True]


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_blend_weights_are_a_convex_combination(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(12_400, 100, 300)
    predictions = {name: y + rng.normal(rng.normal(0, 30), rng.uniform(1, 200), 300) for name in "abcd"}
    weights = blend_weights(predictions, y)
    assert min(weights.values()) >= 0.0
    assert sum(weights.values()) == pytest.approx(1.0)
    mix = sum(weight * predictions[name] for name, weight in weights.items())
    worst = max(np.abs(values - y).mean() for values in predictions.values())
    assert np.abs(mix - y).mean() <= worst


def test_independent_errors_share_the_weight_and_a_hopeless_family_is_dropped() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(0, 1, 4000)
    predictions = {
        "good": y + rng.normal(0, 0.3, 4000),
        "as good": y + rng.normal(0, 0.3, 4000),
        "hopeless": rng.normal(0, 5, 4000),
    }
    weights = blend_weights(predictions, y)
    assert set(weights) == {"good", "as good"}
    assert weights["good"] == pytest.approx(0.5, abs=0.05)


def test_a_few_wild_days_do_not_decide() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(0, 1, 2000)
    good = y + rng.normal(0, 0.2, 2000)
    good[:5] += 60.0  # a start-up that the other family happens to hit
    poor = y + rng.normal(0, 1.0, 2000)
    assert blend_weights({"good": good, "poor": poor}, y)["good"] > 0.75


def test_a_single_family_stays_what_it_is() -> None:
    part = Constant(np.array([1.0]))
    assert blend({"only": 1.0}, {"only": part, "other": part}) is part
    assert isinstance(blend({"a": 0.5, "b": 0.5}, {"a": part, "b": part}), Blend)


def test_the_champion_is_the_best_on_the_blocks_and_its_errors_are_kept() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 1, 900)
    predictions = {"a": y + rng.normal(0, 0.2, 900), "b": np.full(900, 9.0)}
    found = choose(
        Validation(
            "x",
            np.arange(900),
            np.arange(900) // 300,
            np.arange(900) % 9,
            np.ones(900, dtype=bool),
            y,
            predictions,
        )
    )
    assert found.validation["a"] < found.validation["b"]
    assert found.family in ("a", BLEND)
    np.testing.assert_allclose(found.error, y - predictions["a"])


def test_a_family_that_one_cell_favours_does_not_beat_the_blend() -> None:
    rng = np.random.default_rng(5)
    cell, block = np.arange(2000) % 20, np.arange(2000) // 1000
    y = rng.normal(0, 1, 2000)
    noise = {name: rng.normal(0, 1.0, 2000) for name in "ab"}
    noise["a"][cell == 0] *= 0.05
    predictions = {name: y + wrong for name, wrong in noise.items()}
    assert (
        choose(
            Validation("x", np.arange(2000), block, cell, np.ones(2000, dtype=bool), y, predictions)
        ).family
        == BLEND
    )


def test_a_family_that_beats_the_blend_on_every_cell_is_the_champion() -> None:
    rng = np.random.default_rng(6)
    cell, block = np.arange(600) % 6, np.repeat([0, 1], 300)
    y = rng.normal(0, 1, 600)
    steady = y + rng.normal(0, 0.5, 600)
    # What one block teaches of these two is wrong in the other, so weights learnt elsewhere mislead the blend.
    early, late = np.where(block == 0, y, y + 5), np.where(block == 1, y, y + 5)
    predictions = {"steady": steady, "early": early, "late": late}
    assert (
        choose(Validation("x", np.arange(600), block, cell, np.ones(600, dtype=bool), y, predictions)).family
        == "steady"
    )


def test_young_cells_do_not_choose() -> None:
    rng = np.random.default_rng(7)
    cell, block = np.arange(2000) % 20, np.arange(2000) // 500
    y = rng.normal(0, 1, 2000)
    decides = cell >= 4
    good_on_young = y + np.where(decides, 1.0, 0.01) * rng.normal(0, 1, 2000)
    good_on_mature = y + np.where(decides, 0.1, 30.0) * rng.normal(0, 1, 2000)
    predictions = {"young": good_on_young, "mature": good_on_mature}
    found = choose(Validation("x", np.arange(2000), block, cell, decides, y, predictions))
    assert found.weights["mature"] > 0.7
    assert found.validation["mature"] < found.validation["young"]


def test_the_blend_is_judged_without_its_own_block() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(0, 1, 600)
    block = np.repeat([0, 1], 300)
    # Each family is perfect in one block and hopeless in the other: in-sample weights would look good.
    a, b = np.where(block == 0, y, y + 5), np.where(block == 1, y, y + 5)
    found = choose(
        Validation(
            "x", np.arange(600), block, np.arange(600) % 6, np.ones(600, dtype=bool), y, {"a": a, "b": b}
        )
    )
    assert found.validation[BLEND] > 4.0
