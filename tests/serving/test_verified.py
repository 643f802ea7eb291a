"""Verified savings: what was planted is found, what is not there is not, and what cannot be told is null with a reason."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.electrolysis.faraday import ENERGY_KWH_PER_T_PER_V, METAL_KG_PER_KA_DAY
from features.errors import SettingsError
from features.history import History
from serving.ledger import Applied, Decision, Ledger
from serving.ports import Named
from serving.verified import SavingsSettings, Span, verified_savings
from serving.verified.answer import verify
from serving.verified.comparison import Row, compare
from serving.verified.moves import Accepted, Move, Waiting, accepted_of, blocks_of, move_of
from serving.verified.notes import NOTES
from serving.verified.panel import MATCHED_ON, Panel, Window, panel
from serving.verified.schemas import Savings
from tests.fakes import quiet_line as fake

SETTINGS = SavingsSettings()
CELLS, START = (2, 5, 11, 17), 70
ENERGY = "energy_kwh_per_t"


def moves_of(cells: tuple[int, ...], start: int, promised: float = 80.0, days: int = 1) -> tuple[Move, ...]:
    return tuple(Move(f"c{cell:02d}", fake.day(start), days, fake.saves(promised, 30.0)) for cell in cells)


def accepted(*moves: Move, waiting: tuple[Waiting, ...] = ()) -> Accepted:
    counts: dict[str, int] = {}
    for move in moves:
        counts[move.cell_id] = counts.get(move.cell_id, 0) + 1
    return Accepted(moves, waiting, {cell: n + 1 for cell, n in counts.items()}, counts)


def told(history: History, *moves: Move, span: Span | None = None) -> Savings:
    return verify(history, "L1", accepted(*moves), span or Span(), SETTINGS)


def test_a_planted_voltage_is_found_and_told_in_every_currency() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    found = told(line, *moves_of(CELLS, START)).line
    true = ENERGY_KWH_PER_T_PER_V * 0.05 / 0.93
    assert found.realised is not None
    energy = found.realised.energy_kwh_per_t
    assert energy.lower < true < energy.upper
    assert energy.lower > 0
    assert energy.upper - energy.lower < 2 * true
    assert found.cell_days == 28
    assert found.controls >= 10
    tonnes = 28 * METAL_KG_PER_KA_DAY * 500 * 0.93 / 1000
    assert found.energy_kwh is not None
    assert found.money is not None
    assert found.t_co2 is not None
    assert found.energy_kwh.mean == pytest.approx(energy.mean * tonnes, rel=0.01)
    assert found.money.mean == pytest.approx(found.energy_kwh.mean * 0.45 / 0.98)
    assert 0.4 < found.t_co2.mean * 1000 / (found.energy_kwh.mean / 0.98) < 0.7
    assert found.promised is not None
    assert found.promised.energy_kwh_per_t.mean == pytest.approx(80.0)
    assert found.promised.energy_kwh_per_t.lower == pytest.approx(72.0)
    assert found.note is not None
    assert found.note.code == "no_butts"
    assert found.anode_kg is None


def test_line_weeks_and_cells_add_up() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    found = told(line, *moves_of(CELLS, START), *moves_of((20,), START + 9))
    whole = found.line.energy_kwh
    assert whole is not None
    cells = [cell.energy_kwh for cell in found.cells]
    assert sum(one.mean for one in cells if one) == pytest.approx(whole.mean)
    assert sum(week.cell_days for week in found.weeks) == found.line.cell_days == 35
    assert [week.week for week in found.weeks] == sorted(week.week for week in found.weeks)
    assert found.weeks[0].week == "{}-W{:02d}".format(*fake.day(START + 3).isocalendar()[:2])
    half = verify(
        line, "L1", accepted(*moves_of(CELLS, START)), Span(last=fake.day(START + 5)), SETTINGS
    ).line
    assert half.cell_days == 12
    assert found.cells[0].recommendations == 2
    assert found.cells[0].accepted == 1


def test_nothing_is_told_where_nothing_is() -> None:
    covered, widths = [], []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        line = fake.quiet_line(days=115, seed=seed)
        cells = tuple(int(cell) for cell in rng.choice(24, 5, replace=False))
        found = told(line, *moves_of(cells, int(rng.integers(60, 95)))).line.realised
        assert found is not None
        energy = found.energy_kwh_per_t
        covered.append(energy.lower <= 0 <= energy.upper)
        widths.append((energy.upper - energy.lower) / 2)
    assert 0.8 <= np.mean(covered) <= 0.99
    assert np.mean(widths) < 100


def test_tapping_more_is_no_saving() -> None:
    line = fake.quiet_line()
    tap, level = (line.signals[name].copy() for name in ("tap_mass_kg", "metal_level_mm"))
    for cell in CELLS:
        tap[START:, cell] += 300.0
        level[START:, cell] -= 300.0 * np.arange(1, len(tap) - START + 1) / fake.KG_PER_MM
    drawn = told(fake.with_signals(line, tap_mass_kg=tap, metal_level_mm=level), *moves_of(CELLS, START)).line
    bare = told(line, *moves_of(CELLS, START)).line
    assert drawn.realised is not None
    assert bare.realised is not None
    # Over tapped mass this would be 8 % of 12,700 kWh/t.
    assert abs(drawn.realised.energy_kwh_per_t.mean - bare.realised.energy_kwh_per_t.mean) < 40


def test_what_befalls_the_whole_line_is_nobodys_saving() -> None:
    line = fake.quiet_line()
    volts = line.signals["cell_voltage_v"].copy()
    volts[START:] -= 0.1
    cheap = told(fake.with_signals(line, cell_voltage_v=volts), *moves_of(CELLS, START)).line.realised
    bare = told(line, *moves_of(CELLS, START)).line.realised
    assert cheap is not None
    assert bare is not None
    assert cheap.energy_kwh_per_t.mean == pytest.approx(bare.energy_kwh_per_t.mean, abs=10)


def test_young_and_restarted_cells_are_neither_counted_nor_controls() -> None:
    line = fake.quiet_line(cells=12)
    age = line.signals["cell_age_d"].copy()
    age[:, 3] -= 800.0
    age[80:, 4] = np.arange(len(age) - 80)
    window = Window(42, 70, 73, 86)
    seen = panel(fake.with_signals(line, cell_age_d=age), [window], SETTINGS)
    assert np.flatnonzero(~seen.grown[0]).tolist() == [3, 4]
    moved = np.zeros((1, 12), dtype=bool)
    moved[0, 0] = True
    found = compare(seen, [Row(0, 0, 7), Row(3, 0, 7)], moved, replace(SETTINGS, matched=100, caliper=100))
    assert [row.cell for row in found.left_out] == [3]
    assert np.flatnonzero(found.shares[0]).tolist() == [1, 2, 5, 6, 7, 8, 9, 10, 11]


def test_without_anything_to_match_on_it_is_the_plain_difference_in_differences() -> None:
    rng = np.random.default_rng(3)
    before, after = 13_000 + rng.normal(0, 80, (2, 3, 15))
    seen = Panel(
        tuple(Window(0, 28, 31 + i, 37 + i) for i in range(3)),
        before,
        after,
        np.full((3, 15), 3700.0),
        np.full((3, 15), 3700.0),
        np.full((3, 15, len(MATCHED_ON)), np.nan),
        np.ones((3, 15), dtype=bool),
    )
    moved = np.zeros((3, 15), dtype=bool)
    moved[:, :2] = True
    found = compare(seen, [Row(0, 0, 7), Row(1, 2, 7)], moved, replace(SETTINGS, matched=13))
    change = after - before
    for row, saving in zip(found.rows, found.saving, strict=True):
        plain = change[row.window, 2:].mean() - change[row.window, row.cell]
        assert saving == pytest.approx(plain)
    # Two independent rows, each with a sample of 13 controls: the textbook's variance of the mean.
    effect = found.effect([0, 1], np.ones(2))
    spread = np.mean([np.var(change[w, 2:]) for w in (0, 1, 2)])
    assert (effect.upper - effect.lower) / 2 == pytest.approx(
        1.782 * np.sqrt(spread * (1 + 1 / 13) / 2), rel=0.25
    )


@pytest.mark.parametrize(("cells", "code"), [(6, "few_controls"), (24, "few_days"), (0, "none_accepted")])
def test_what_cannot_be_told_is_null_with_a_reason(cells: int, code: str) -> None:
    line = fake.quiet_line(cells=max(cells, 8), days=100)
    span = Span(last=fake.day(START + 3)) if code == "few_days" else Span()
    moves = moves_of((1, 2), START) if cells else ()
    if cells == 6:
        line = line.take(np.arange(6))
    found = told(line, *moves, span=span).line
    assert found.realised is None
    assert found.energy_kwh is None
    assert found.money is None
    assert found.note is not None
    assert found.note.code == code
    assert found.note.text
    assert found.note.text_zh


def test_unmoved_cells_that_are_not_alike_are_no_controls() -> None:
    line = fake.quiet_line(cells=20, days=110)
    volts = line.signals["cell_voltage_v"].copy()
    volts[:, 4] += 2.0
    found = told(fake.with_signals(line, cell_voltage_v=volts), *moves_of((4,), START)).line
    assert found.realised is None
    assert found.note is not None
    assert found.note.code == "few_controls"
    assert "19" in found.note.text


def test_a_record_without_levels_says_what_is_missing() -> None:
    line = fake.quiet_line(cells=10, days=100)
    bare = fake.with_signals(line, metal_level_mm=np.full((100, 10), np.nan))
    found = told(bare, *moves_of((1,), START))
    assert found.line.note is not None
    assert found.line.note.code == "no_signal"
    assert "metal_level_mm" in found.line.note.text
    assert found.line.promised is not None


def test_what_is_not_over_waits() -> None:
    line = fake.quiet_line(cells=12, days=START + 6)
    found = told(line, *moves_of((1,), START))
    assert found.line.note is not None
    assert found.line.note.code == "waiting"
    assert found.method.waiting == 1


def test_two_models_are_told_together_and_apart() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    first, second = (
        tuple(replace(move, model=name) for move in moves_of(cells, START))
        for name, cells in (("a", CELLS[:2]), ("b", CELLS[2:]))
    )
    both = accepted(*first, *second)
    whole = verify(line, "L1", both, Span(), SETTINGS)
    apart = [verify(line, "L1", replace(both, model=name), Span(), SETTINGS) for name in ("a", "b")]
    assert [found.line.cell_days for found in (whole, *apart)] == [28, 14, 14]
    # The cells of one are no controls of the other: each is compared with the same unmoved cells as together.
    cells = {cell.cell_id: cell.realised for cell in whole.cells}
    for found in apart:
        assert {c.cell_id: c.realised for c in found.cells if c.cell_days}.items() <= cells.items()
    assert verify(line, "L1", replace(both, model="c"), Span(), SETTINGS).line.cell_days == 0


def test_what_two_models_did_to_one_cell_is_told_of_neither_alone() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    one, two = (replace(moves_of((2,), at)[0], model=name) for at, name in ((START, "a"), (START + 4, "b")))
    both = accepted(one, two)
    assert verify(line, "L1", both, Span(), SETTINGS).line.cell_days > 0
    for name in ("a", "b"):
        assert verify(line, "L1", replace(both, model=name), Span(), SETTINGS).line.cell_days == 0


def test_a_cell_without_a_baseline_is_left_out_and_told() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    late = Move("c21", fake.day(5), 1, fake.saves(80.0))
    found = told(line, *moves_of(CELLS, START), late).line
    assert found.cell_days == 35
    assert found.note is not None
    assert found.note.code == "partly"


def test_what_was_moved_before_the_record_begins_is_left_alone() -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.05)
    before = Move("c20", fake.day(0) - datetime.timedelta(days=4), 1, fake.saves(80.0))
    found = told(line, before, *moves_of(CELLS, START))
    assert found.line == told(line, *moves_of(CELLS, START)).line
    assert next(cell for cell in found.cells if cell.cell_id == "c20").cell_days == 0


def test_net_anode_waits_for_butts_that_burnt_under_the_move() -> None:
    bare = fake.quiet_line(cells=20, days=190)
    early = fake.with_anodes(fake.quiet_line(cells=20, days=START + 20), {})
    short = told(early, *moves_of(CELLS, START)).line
    assert short.realised is not None
    assert short.realised.net_anode_kg_per_t is None
    assert short.note is not None
    assert short.note.code == "anode_life"
    saved = fake.with_anodes(bare, dict.fromkeys(CELLS, (START, 0.05)))
    weekly = [move for week in range(10) for move in moves_of(CELLS, START + 7 * week, promised=10.0)]
    long = told(saved, *weekly).line
    assert long.realised is not None
    anode = long.realised.net_anode_kg_per_t
    assert anode is not None
    true = 0.05 * fake.BURN_KG_D * 8 / (METAL_KG_PER_KA_DAY * 500 * 0.93 / 1000)
    assert anode.lower < true < anode.upper
    assert anode.mean == pytest.approx(true, rel=0.35)
    assert long.anode_kg is not None


# What counts, and what was promised for it.


def blocks(
    *moves: Move, settings: SavingsSettings = SETTINGS
) -> list[tuple[int, int, int, tuple[float, ...]]]:
    found = blocks_of(moves, ["c00", "c01"], fake.FIRST, settings)
    return [(b.window.start, b.window.first, b.window.last, b.shares) for b in found]


def one(start: int, days: int = 1) -> Move:
    return Move("c00", fake.day(start), days, fake.saves(10.0))


def test_a_move_counts_from_its_settling_over_its_horizon() -> None:
    assert blocks(one(50)) == [(50, 53, 59, (1.0,))]
    assert blocks(one(50, days=3)) == [(50, 55, 61, (1.0,))]


def test_moves_without_a_baseline_of_their_own_share_one() -> None:
    found = blocks(one(50), one(55))
    assert [entry[:3] for entry in found] == [(50, 53, 64)]
    assert found[0][3] == pytest.approx((1.0, 7 / 12))
    assert [entry[:3] for entry in blocks(one(50), one(68))] == [(50, 53, 59), (68, 71, 77)]
    apart = blocks_of([one(50), one(68)], ["c00"], fake.FIRST, SETTINGS)
    assert apart[1].window.begin == 53, "the second baseline begins where the first move has settled"


def test_a_path_cut_short_promises_for_the_days_done() -> None:
    found = blocks(one(50, days=4), one(51))
    assert [entry[:3] for entry in found] == [(50, 53, 60)]
    assert found[0][3] == pytest.approx((0.25, 7 / 8))


def test_long_runs_are_cut_into_blocks() -> None:
    found = blocks(*(one(50 + 7 * week) for week in range(6)))
    lengths = [last - first + 1 for _, first, last, _ in found]
    assert sum(lengths) == 42
    assert max(lengths) <= SETTINGS.block_days
    assert {start for start, *_ in found} == {50}


@given(
    st.lists(
        st.tuples(st.integers(30, 300), st.integers(1, 5)), min_size=1, max_size=12, unique_by=lambda m: m[0]
    )
)
def test_every_counted_day_counts_once_and_no_baseline_holds_a_move(drawn: list[tuple[int, int]]) -> None:
    moves = sorted(drawn)
    found = blocks_of([one(start, days) for start, days in moves], ["c00"], fake.FIRST, SETTINGS)
    days = [day for b in found for day in range(b.window.first, b.window.last + 1)]
    assert len(days) == len(set(days))
    assert len(days) >= SETTINGS.horizon_days
    assert max(days) <= moves[-1][0] + 4 + SETTINGS.settling_days + SETTINGS.horizon_days
    for block in found:
        window = block.window
        assert window.begin <= window.start < window.first <= window.last
        assert window.last - window.first < SETTINGS.block_days
        # Between a baseline's beginning and its end nothing was moved, and what was moved before has settled.
        assert not [start for start, _ in moves if window.begin <= start < window.start]
        assert all(0.0 < share <= 1.0 for share in block.shares)
        assert block.shares


def test_another_setting_than_the_advised_was_never_promised() -> None:
    chosen = replace(one(START), promised=None)
    line = fake.quiet_line()
    assert blocks_of([chosen], ["c00"], fake.FIRST, SETTINGS)[0].promised is None
    found = told(line, chosen).line
    assert found.promised is None
    assert found.realised is not None
    assert found.note is not None
    assert found.note.code == "not_promised"


def test_more_alf3_is_paid_for() -> None:
    line = fake.quiet_line()
    bare, fed = (told(line, replace(one(START), alf3_more_kg_d=more)).line for more in (0.0, 10.0))
    assert bare.money is not None
    assert fed.money is not None
    assert bare.money.mean - fed.money.mean == pytest.approx(7 * 10.0 * 9.0)


# From the ledger.


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    morning = datetime.datetime.combine(fake.day(START), datetime.time(), datetime.UTC)
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", lambda: morning)


def write(ledger: Ledger, history: History, cell: int, *, modified: float | None = None) -> str:
    found = fake.advice(history, cell, START, 0.04, promised=60.0)
    entry = {"recommendation": found.model_dump(), "context": {}, "settings": "cd" * 32}
    ledger.append("recommendation", entry, Named("service"))
    levers = None if modified is None else {"set_voltage_v": modified}
    action = "accept" if modified is None else "modify"
    body = {"recommendation_id": found.recommendation_id, "action": action, "levers": levers}
    ledger.append("decision", body, Named("li.wei"))
    return found.recommendation_id


def test_the_ledger_is_read_as_it_was_written(ledger: Ledger) -> None:
    line = fake.lower_voltage(fake.quiet_line(), list(CELLS), START, 0.04)
    ids = {cell: write(ledger, line, cell) for cell in (*CELLS, 20, 21)}
    for cell in CELLS:
        levers = {"set_voltage_v": float(line.signals["set_voltage_v"][START + 2, cell])}
        body = {"recommendation_id": ids[cell], "date": fake.day(START), "levers": levers}
        ledger.append("applied", body, Named("follow-up"))
    stood = {"set_voltage_v": float(line.signals["set_voltage_v"][START, 20])}
    body = {"recommendation_id": ids[20], "date": fake.day(START), "levers": stood}
    ledger.append("applied", body, Named("follow-up"))
    found = accepted_of(ledger, "L1")
    assert [(move.cell_id, move.days) for move in found.moves] == [(f"c{cell:02d}", 2) for cell in CELLS]
    assert found.waiting == (Waiting("c21", fake.day(START), "potline"),)
    assert found.advised == {f"c{cell:02d}": 1 for cell in sorted((*CELLS, 20, 21))}
    assert accepted_of(ledger, "L2") == Accepted((), (), {}, {})
    assert accepted_of(ledger, "L1", "potline") == replace(found, model="potline")
    # A model that advised nothing here is told nothing; what others moved is known all the same.
    other = accepted_of(ledger, "L1", "potlin_")
    assert other == replace(found, model="potlin_", advised={}, accepted={})
    assert verified_savings(ledger, line, "L1", model="potlin_").line.cell_days == 0
    assert verified_savings(ledger, line, "L1", model="potline") == verified_savings(ledger, line, "L1")
    savings = verified_savings(ledger, line, "L1")
    assert savings == verify(line, "L1", found, Span(), SETTINGS)
    assert savings == Savings.model_validate_json(savings.model_dump_json())
    assert savings.simulated
    assert savings.line.cell_days == 28
    assert {cell.cell_id for cell in savings.cells if cell.cell_days} == {f"c{cell:02d}" for cell in CELLS}


def test_the_last_decision_holds_and_a_chosen_setting_is_no_promise(ledger: Ledger) -> None:
    line = fake.quiet_line()
    key = write(ledger, line, 2, modified=float(line.signals["set_voltage_v"][0, 2]) - 0.01)
    found = ledger.recommendation(key).recommendation
    decision = ledger.decisions(key)[-1].decision
    set_value = found.levers[0].current - 0.01
    applied = Applied(recommendation_id=key, date=fake.day(START), levers={"set_voltage_v": set_value})
    move = move_of(found, decision, applied)
    assert move is not None
    assert move.promised is None
    accept = Decision(recommendation_id=key, action="accept")
    assert move_of(found, accept, applied) is None, "a quarter of the way was gone"
    reject = {"recommendation_id": key, "action": "reject", "reason": "tapping"}
    ledger.append("decision", reject, Named("li.wei"))
    assert accepted_of(ledger, "L1").accepted == {}


def test_cells_of_other_lines_are_no_controls(ledger: Ledger) -> None:
    line = fake.quiet_line(cells=12)
    both = replace(line, line_ids=np.array(["L1"] * 5 + ["L2"] * 7))
    key = write(ledger, both, 0)
    levers = {"set_voltage_v": float(line.signals["set_voltage_v"][START, 0]) - 0.04}
    body = {"recommendation_id": key, "date": fake.day(START), "levers": levers}
    ledger.append("applied", body, Named("follow-up"))
    note = verified_savings(ledger, both, "L1").line.note
    assert note is not None
    assert note.code == "few_controls"


def test_every_note_says_the_same_in_both_languages() -> None:
    assert all(note.text != note.text_zh for note in NOTES.values())
    with pytest.raises(SettingsError, match="horizon_days is 0"):
        SavingsSettings(horizon_days=0)
