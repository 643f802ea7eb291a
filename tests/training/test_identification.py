"""What a record says of a lever, on data whose effects are planted: found, not found, and confounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.setpoints import Lever, OperatingWindow
from training.identification.assess import assess, clustered, residuals
from training.identification.crossfit import Folds, out_of_fold, ridge
from training.identification.moves import moves_of
from training.identification.slope import Slope, System, own_moves, slopes, two_way
from training.identification.verdict import LEAST_MOVES, lever_finding, outcome_finding
from training.lever_effects import EFFECTS, expected_slope
from training.rows import Rows, lever_places

VOLTAGE = Lever("set_voltage_v", "V", 3.7, 4.3, 0.002, 0.020, 0.040, "voltage")
DOSE = Lever("alf3_dose_kg_d", "kg/d", 0.0, 120.0, 1.0, 10.0, 20.0, "chemistry")
WINDOW = OperatingWindow((VOLTAGE, DOSE))
CELLS, DAYS = 20, 160


def planted(
    seed: int, volt: float = -120.0, dose: float = -0.1, own: float = 1.0, answered: float = 0.0
) -> Rows:
    """Rows of a line whose operators raise the voltage of noisy cells.

    volt: true effect on noise [mV/V]. dose: true effect on temperature [degC per kg/d], through a stock that fills. own: the hand's scatter as a
    share of the rule's. answered: how strongly a voltage move is answered by a dose move [kg/d per V].
    """
    draw = np.random.default_rng(seed)
    sick, hot, stock = np.zeros(CELLS), np.zeros(CELLS), np.zeros(CELLS)
    voltage, amount = np.full(CELLS, 3.9), np.full(CELLS, 50.0)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("V", "V0", "A", "A0", "n", "t", "n0", "t0")}
    noise, temperature = np.full(CELLS, 18.0), np.full(CELLS, 950.0)
    for _ in range(DAYS):
        kept["n0"].append(noise), kept["t0"].append(temperature)
        kept["V0"].append(voltage), kept["A0"].append(amount)
        # The morning's temperature is read before anything is set.
        hot = 0.8 * hot + draw.normal(0, 1.5, CELLS)
        temperature = 950 + hot + dose * stock + draw.normal(0, 0.5, CELLS)
        wish = 0.0012 * (noise - 18) - 0.2 * (voltage - 3.9)
        step = np.where(draw.random(CELLS) < 0.4, wish + own * draw.normal(0, 0.006, CELLS), 0.0)
        voltage = voltage + step
        rule = 0.5 * (temperature - 950) - 0.2 * (amount - 50)
        amount = (
            amount
            + answered * step
            + np.where(draw.random(CELLS) < 0.5, rule + own * draw.normal(0, 4, CELLS), 0.0)
        )
        sick = 0.9 * sick + draw.normal(0, 2.0, CELLS)
        noise = 18 + sick + volt * (voltage - 3.9) + draw.normal(0, 0.5, CELLS)
        stock = 0.9 * stock + (amount - 50) / 4
        for name, values in (("V", voltage), ("A", amount), ("n", noise), ("t", temperature)):
            kept[name].append(values)
    grid = {name: np.stack(values) for name, values in kept.items()}
    return _rows(grid)


def _rows(grid: dict[str, np.ndarray]) -> Rows:
    names = ("noise_mv_last", "bath_temperature_c_last", "alf3_dose_kg_d_last", "alf3_dose_kg_d")
    names = ("set_voltage_v_last", "set_voltage_v", *names, "set_voltage_v_move", "alf3_dose_kg_d_move")
    columns = [grid[name] for name in ("V0", "V", "n0", "t0", "A0", "A")]
    columns += [grid["V"] - grid["V0"], grid["A"] - grid["A0"]]
    z = np.stack([column.ravel() for column in columns], axis=1)
    day = np.repeat(np.datetime64("2025-01-01", "D") + np.arange(DAYS), CELLS)
    y = {"mean_noise_mv": _ahead(grid["n"]), "mean_bath_temperature_c": _ahead(grid["t"])}
    return Rows(
        z=z,
        cell=np.tile(np.arange(CELLS, dtype=np.int64), DAYS),
        date=day,
        names=names,
        levers=lever_places(names, ((1, 0), (5, 4))),
        y=y,
        known_on=dict.fromkeys(y, day),
    )


def _ahead(values: np.ndarray, horizon: int = 7) -> np.ndarray:
    out = np.full(values.shape, np.nan)
    for day in range(len(values) - horizon + 1):
        out[day] = values[day : day + horizon].mean(axis=0)
    return out.ravel()


def _slope(rows: Rows, lever: str, outcome: str) -> Slope:
    found = assess(rows, WINDOW, 7)[lever]
    slope = next(entry.slope for entry in found.outcomes if entry.outcome == outcome)
    assert slope is not None
    return slope


def test_a_planted_effect_is_found_where_the_record_shows_its_opposite() -> None:
    rows = planted(1)
    known = np.isfinite(rows.y["mean_noise_mv"])
    side_by_side = np.polyfit(rows.z[known, 1], rows.y["mean_noise_mv"][known], 1)[0]
    assert side_by_side > 0, "the history must be confounded"
    slope = _slope(rows, "set_voltage_v", "mean_noise_mv")
    low, high = slope.interval()
    assert low < -120.0 < high < 0
    assert assess(rows, WINDOW, 7)["set_voltage_v"].finding.grade == "identified"


def test_an_answer_by_another_lever_is_not_taken_for_the_effect() -> None:
    """Dose follows every voltage move and cools the bath; the voltage itself does nothing to the temperature."""
    left = residuals(planted(2, dose=-0.3, answered=1000.0), 7)
    alone = clustered(left, "mean_bath_temperature_c", np.array([0]))
    together = clustered(left, "mean_bath_temperature_c", np.array([0, 1]))
    assert alone is not None
    assert together is not None
    assert alone[0].interval()[1] < 0, "asked alone, the voltage must look as if it cooled"
    assert together[0].interval()[0] < 0 < together[0].interval()[1]


def test_a_lever_that_does_nothing_but_follows_sickness_is_not_identified() -> None:
    told = assess(planted(3, volt=0.0), WINDOW, 7)["set_voltage_v"].finding
    assert (told.grade, told.code) == ("not_identified", "nothing_follows")


def test_moves_by_the_rule_alone_tell_nothing() -> None:
    rows = planted(4, own=0.0)
    # Every move by the rule, none left out by chance.
    z = rows.z.copy()
    z[:, 6] = 0.0012 * (z[:, 2] - 18) - 0.2 * (z[:, 0] - 3.9)
    z[:, 1] = z[:, 0] + z[:, 6]
    told = assess(Rows(z, rows.cell, rows.date, rows.names, rows.levers, rows.y, rows.known_on), WINDOW, 7)
    assert told["set_voltage_v"].finding.code == "moves_by_rule"
    assert told["set_voltage_v"].moves.own_share < 0.05


def test_a_lever_that_never_moved_says_so_and_does_not_disturb_the_other() -> None:
    rows = planted(5)
    z = rows.z.copy()
    z[:, 1], z[:, 6] = z[:, 0], 0.0
    told = assess(Rows(z, rows.cell, rows.date, rows.names, rows.levers, rows.y, rows.known_on), WINDOW, 7)
    assert told["set_voltage_v"].finding.code == "never_moved"
    assert told["alf3_dose_kg_d"].finding.grade == "identified", told["alf3_dose_kg_d"]


def test_an_effect_against_physics_is_an_echo_and_no_licence() -> None:
    told = assess(planted(6, volt=150.0), WINDOW, 7)["set_voltage_v"].finding
    assert (told.grade, told.code) == ("not_identified", "contradicts_physics")


def test_the_same_rows_give_the_same_numbers() -> None:
    assert assess(planted(7), WINDOW, 7) == assess(planted(7), WINDOW, 7)


def test_too_few_rows_identify_nothing() -> None:
    rows = planted(8)
    told = assess(rows.take(np.arange(len(rows)) < 100), WINDOW, 7)
    assert {entry.finding.grade for entry in told.values()} == {"not_identified"}


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(100, 116):
        slope = _slope(planted(seed), "set_voltage_v", "mean_noise_mv")
        low, high = slope.interval()
        held.append(low <= -120.0 <= high)
    assert sum(held) >= 14  # of 16; at 95 % fewer has a chance below 1 %


def test_seen_holds_no_lever_of_the_day_and_held_weighs_a_stock_by_the_days_left() -> None:
    rows = planted(9)
    moves = moves_of(rows, 7)
    assert not {"set_voltage_v", "alf3_dose_kg_d", "set_voltage_v_move"} & set(moves.names)
    assert "noise_mv_same_day" not in moves.names
    assert moves.seen_of("alf3_dose_kg_d").shape[1] == moves.seen_of("set_voltage_v").shape[1] + 1
    at = np.flatnonzero((rows.cell == 3) & (rows.date == np.datetime64("2025-02-01")))[0]
    week = (rows.cell == 3) & (rows.date >= rows.date[at]) & (rows.date < rows.date[at] + 7)
    volts, dose = rows.z[week, 1], rows.z[week, 5]
    assert moves.held[at, 0] == pytest.approx(volts.mean() - rows.z[at, 0])
    assert moves.held[at, 1] == pytest.approx(np.arange(7, 0, -1) @ dose / 28 - rows.z[at, 4])


def test_no_fold_learns_from_its_own_cells_or_days() -> None:
    rows = planted(10)
    folds = Folds(3, 3, gap_d=10).parted(rows.cell, rows.date)
    assert sum(test.astype(int) for _, test in folds).tolist() == [1] * len(rows)  # type: ignore[union-attr]
    for train, test in folds:
        assert not set(rows.cell[train]) & set(rows.cell[test])
        first, last = rows.date[test].min(), rows.date[test].max()
        assert not ((rows.date[train] >= first - 10) & (rows.date[train] <= last + 10)).any()


def test_out_of_fold_leaves_out_what_it_cannot_learn() -> None:
    x, y = np.random.default_rng(0).normal(size=(300, 4)), np.full(300, np.nan)
    train, test = np.arange(300) < 200, np.arange(300) >= 200
    assert np.isnan(out_of_fold(x, y, [(train, test)], ridge)).all()
    y = x @ np.array([1.0, -2.0, 0.0, 3.0])
    found = out_of_fold(x, y, [(train, test)], ridge)
    assert np.isnan(found[:200]).all()
    assert found[200:] == pytest.approx(y[200:], abs=0.1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_system_solves_its_own_equations(seed: int) -> None:
    draw = np.random.default_rng(seed)
    own = draw.normal(size=(400, 3))
    held = own @ draw.normal(size=(3, 3)) + draw.normal(size=(400, 3))
    left = held @ np.array([2.0, -1.0, 0.5])
    system = System.solve(own, held, left)
    assert system.value == pytest.approx([2.0, -1.0, 0.5])
    assert system.turned.T @ held == pytest.approx(np.eye(3), abs=1e-8)


def test_clusters_of_one_row_each_give_the_plain_variance_twice() -> None:
    score = np.random.default_rng(1).normal(size=500)
    each = np.arange(500)
    assert two_way(score, each, each) == pytest.approx(2 * 500 / 499 * np.square(score).sum())
    assert two_way(np.ones(10), np.zeros(10, dtype=int), np.arange(10)) > 100


def test_few_clusters_give_no_slope() -> None:
    ones = np.random.default_rng(2).normal(size=(50, 1))
    assert slopes(ones, ones, ones[:, 0], np.zeros(50, dtype=int), np.arange(50)) is None


def test_what_is_detectable_is_wider_than_the_interval_and_a_stronger_effect_needs_a_stronger_cause() -> None:
    weak, strong = Slope(1.0, 1.0, 20, 1000), Slope(5.0, 1.0, 20, 1000)
    assert weak.detectable > (weak.interval()[1] - weak.interval()[0]) / 2
    assert strong.robustness > weak.robustness
    assert strong.p_value < 0.001 < weak.p_value


def test_own_moves_count_what_the_rule_leaves() -> None:
    move = np.zeros(1000)
    move[:100] = 1.0
    own = move - 0.1
    told = own_moves(move, own, 0.5 * own)
    assert told.moves == 100
    assert told.kept == pytest.approx(0.5)
    assert told.first_stage_r2 == pytest.approx(1.0)
    few = own_moves(move[:LEAST_MOVES], own[:LEAST_MOVES] * 0, own[:LEAST_MOVES])
    assert (few.effective, few.own_share) == (0.0, 0.0)


@pytest.mark.parametrize(("outcome", "lever"), sorted(EFFECTS))
def test_every_verdict_speaks_both_languages(outcome: str, lever: str) -> None:
    moves = own_moves(*(np.random.default_rng(3).normal(size=(3, 400))))
    expected = expected_slope(outcome, lever)
    assert expected is not None
    for value in (expected.mean, -expected.mean, 0.0, 10 * abs(expected.sd)):
        for error in (1e-6 * expected.sd, expected.sd, 100 * expected.sd):
            entry = outcome_finding(outcome, lever, 0.04, moves, Slope(value, error, 20, 400))
            told = lever_finding(moves, [entry])
            for finding in (entry.finding, told):
                assert finding.text.endswith(".")
                assert finding.text_zh.endswith("。")
                assert finding.grade in ("identified", "weak", "not_identified")


@pytest.mark.parametrize(
    ("outcome", "low", "code", "grade"),
    [
        ("mean_bath_temperature_c", -100.0, "varies", "weak"),
        ("mean_bath_temperature_c", 300.0, "follows", "identified"),
        ("energy_kwh_per_t", -100.0, "varies", "not_identified"),
        ("energy_kwh_per_t", 300.0, "follows", "identified"),
    ],
)
def test_an_effect_whose_sign_depends_on_the_cell_is_not_counted_on(
    outcome: str, low: float, code: str, grade: str
) -> None:
    """A voltage raised adds where cells stand high; every fourth cell stands low, and there it is ``low``.

    Where that is so of what a move is priced by, the lever stays where it is.
    """
    rows = planted(12)
    stands_low = np.arange(CELLS)[rows.cell] % 4 == 0
    z = rows.z.copy()
    z[:, :2] += np.where(stands_low, -0.1, 0.0)[:, None]
    held = _ahead(rows.z[:, 1].reshape(DAYS, CELLS)) - rows.z[:, 0]
    noise = np.random.default_rng(12).normal(0, 0.3, len(rows))
    y = {outcome: 950 + np.where(stands_low, low, 300.0) * held + noise}
    known = dict.fromkeys(y, rows.date)
    told = assess(Rows(z, rows.cell, rows.date, rows.names, rows.levers, y, known), WINDOW, 7)[
        "set_voltage_v"
    ]
    assert told.outcomes[0].finding.code == code
    assert told.finding.grade == grade
