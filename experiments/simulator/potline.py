"""The virtual potline: step it day by day, with or without its operators; copy it to look ahead.

plant = Potline("line-500", cells=30, seed=7)
record = plant.step()                     # the operators act
record = plant.step({"set_voltage_v": v}) # v (c,) is set, NaN leaves a cell to its operators
ahead = plant.copy()                      # or plant.fork(8): every cell eight times, under the same noise
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.simulator import anodes as rotation
from experiments.simulator import instruments, operators
from experiments.simulator.calibration import calibrate
from experiments.simulator.cells import LifeDay, draw_effects, draw_lives
from experiments.simulator.draws import DayDraws, day_draws, stream, take
from experiments.simulator.inner import noise_mv, run_day
from experiments.simulator.instruments import Watched
from experiments.simulator.line import LineDay, LotSeries, draw_line, line_day
from experiments.simulator.plan import Settled, day_plan, resting_noise_mv
from experiments.simulator.preset import Preset, load_preset
from experiments.simulator.record import DayRecord, Morning
from experiments.simulator.state import ALF3, CellState, metal_level_mm, reference_state, start_state
from features.electrolysis.faraday import METAL_KG_PER_KA_DAY
from features.errors import InputError, UnknownNameError
from features.plant import Plant
from features.relations import Array

_DISTURBANCES: Final = ("cover", "sick", "weather", "iron", "habit")


class Potline:
    """A line of cells with its hidden state; the only stateful class of the simulator.

    Args:
        preset: a preset or its name.
        cells: number of cells.
        seed: everything random follows from it.
        spin_up: run the days before day 0 first, operators acting.

    Raises:
        InputError: no cells or a negative seed.
        UnknownNameError: no such preset.
    """

    def __init__(self, preset: Preset | str, cells: int, seed: int, spin_up: bool = True) -> None:
        """Draw the line and run it in."""
        if cells < 1 or seed < 0:
            raise InputError(
                f"a line needs at least one cell and a seed of 0 or more, not {cells} and {seed}"
            )
        self.preset = load_preset(preset) if isinstance(preset, str) else preset
        self.seed = seed
        self._drawn = cells
        self._rows: NDArray[np.int64] = np.arange(cells)
        self._calibration = calibrate(self.preset)
        self._effects = draw_effects(self.preset, seed, cells)
        self._lives = draw_lives(self.preset, seed, cells)
        self._line = draw_line(self.preset, seed)
        self.day = -self.preset.line.spin_up_days
        self._drift_ka = 0.0
        life = self._lives.on(self.day)
        self._state = reference_state(self.preset, cells)
        self._begin(life)
        self._anodes = rotation.first_anodes(self.preset, seed, self._effects, self._line, self.day)
        self._board = operators.first_board(self.preset, self._aims(life))
        while spin_up and self.day < 0:
            self.step()

    def _begin(self, life: LifeDay) -> None:
        """Give damaged cells their deep metal and the youngest their start-up bath on the first day."""
        young = life.age_d < self.preset.operation.young_days
        self._state.put(young, start_state(self.preset, self._state, life.damage))
        deep = self.preset.operation.damaged_metal_mm / self.preset.operation.metal_level_mm
        self._state.metal_kg *= np.where((life.damage > 0.5) & ~young, deep, 1.0)

    @property
    def cells(self) -> int:
        """Number of cells, copies included."""
        return int(self._rows.shape[0])

    @property
    def cell_ids(self) -> tuple[str, ...]:
        """The cells' keys; copies of a cell carry its key."""
        return tuple(f"{self.preset.line.line_id}-{row + 1:03d}" for row in self._rows)

    @property
    def date(self) -> np.datetime64:
        """The calendar day that the next step will live through."""
        return np.datetime64(self.preset.line.start_date) + np.timedelta64(self.day, "D")

    @property
    def running(self) -> NDArray[np.bool_]:
        """(c,) cells that run on the coming day."""
        return self._lives.on(self.day).running

    def life(self, ahead_d: int = 0) -> LifeDay:
        """Where each cell will stand ``ahead_d`` days from the coming day; part of the truth."""
        return self._lives.on(self.day + ahead_d)

    @property
    def setpoints(self) -> dict[str, Array]:
        """The setpoints in force, lever to (c,)."""
        return {name: getattr(self._board, name).copy() for name in operators.LEVERS}

    @property
    def bath_alf3_kg(self) -> Array:
        """(c,) AlF3 in each bath; part of the truth."""
        return np.array(self._state.salts_kg[ALF3])

    @property
    def plant(self) -> Plant:
        """The line's constants as every table directory carries them."""
        line = self.preset.line
        return Plant(
            name=line.name,
            timezone=line.timezone,
            line_current_ka=line.nominal_current_ka,
            anodes_per_cell=line.anodes,
            metal_pad_area_m2=line.metal_pad_area_m2,
            simulated=True,
        )

    def operators_choice(self) -> dict[str, Array]:
        """What the operators would set for the coming day, lever to (c,); nothing changes."""
        life, draws = self._lives.on(self.day), self._draws()
        return self._choice(self._round(self._disturbed(draws), draws), life, draws)

    @property
    def lot_series(self) -> dict[str, LotSeries]:
        """The lots by material, those to come included."""
        return {"anode": self._line.anode_lots, "alumina": self._line.alumina_lots}

    def lot_ids(self, material: str) -> tuple[str, ...]:
        """The keys of all lots of ``material``, in order of use."""
        return tuple(
            f"{material[:2].upper()}{k + 1:03d}" for k in range(self.lot_series[material].used_from.shape[0])
        )

    def anodes_in(self) -> rotation.Changes:
        """The anodes in the running cells, as changes whose removal and butt are still to come (NaN)."""
        anodes = self._anodes
        cell, position = np.nonzero(np.repeat(self.running[:, None], anodes.set_day.shape[1], axis=1))
        return rotation.taken_out(anodes, (cell, position), np.nan)

    def copy(self) -> "Potline":
        """Return an independent plant in the same state, under the same noise to come."""
        return self.fork(1)

    def fork(self, copies: int, cells: NDArray[np.int64] | None = None) -> "Potline":
        """Return a plant that holds each cell ``copies`` times, cell by cell, under the same noise to come.

        Args:
            copies: how many of each; the copies of a cell lie side by side.
            cells: (n,) positions of the cells to take; all where None.
        """
        chosen = np.arange(self.cells) if cells is None else cells
        index = np.repeat(chosen, copies)
        other = object.__new__(Potline)
        other.__dict__.update(self.__dict__)
        other._rows = self._rows[index]
        other._effects = self._effects.rows(index)
        other._lives = self._lives.rows(index)
        other._state = self._state.rows(index)
        other._anodes = self._anodes.rows(index)
        other._board = self._board.rows(index)
        return other

    def step(self, setpoints: Mapping[str, ArrayLike] | None = None) -> DayRecord:
        """Live through one day.

        Args:
            setpoints: lever to (c,); the levers named are set as given (within the plant's hard limits), the
                others stay where they are, and a NaN leaves that cell and lever to its operators. None leaves
                everything to them.

        Raises:
            UnknownNameError: a lever that does not exist.
            InputError: a wrong number of values.
        """
        life, draws = self._lives.on(self.day), self._draws()
        line = line_day(self.preset, self.seed, self.day, self._drift_ka)
        self._restart(life)
        self._state = self._disturbed(draws)
        morning = self._round(self._state, draws)
        self._set(setpoints, self._choice(morning, life, draws), life)
        lot = self._line.anode_lots.on(float(self.day))
        crew = rotation.change_anodes(
            self.preset,
            self._anodes,
            self._effects,
            self.day,
            lot,
            rotation.Chance(life.running, draws.uniform[11:14], draws.failure, draws.anode),
        )
        seen = self._live(morning, life, draws, line, crew)
        record = self._record(seen, crew, line)
        self._write_board(record, morning)
        self._drift_ka = line.drift_ka
        self.day += 1
        return record

    def _draws(self) -> DayDraws:
        line = self.preset.line
        drawn = day_draws(self.seed, self.day, self._drawn, line.steps_per_day, line.anodes)
        return take(drawn, self._rows)

    def _aims(self, life: LifeDay) -> operators.Aims:
        return operators.aims(self.preset, self._effects, life, self._calibration.reference_metal_kg_d)

    def _restart(self, life: LifeDay) -> None:
        """Start the cells whose day has come, with a start-up bath, a start-up set of anodes and their own aims."""
        if not life.starts.any():
            return
        self._state.put(life.starts, start_state(self.preset, self._state, life.damage))
        lot = self._line.anode_lots.on(float(self.day))
        rotation.fresh_anodes(self.preset, self._anodes, life.starts, self.day, lot)
        self._board.put(life.starts, operators.first_board(self.preset, self._aims(life)))

    def _set(self, asked: Mapping[str, ArrayLike] | None, chosen: Mapping[str, Array], life: LifeDay) -> None:
        for name in asked or ():
            if name not in operators.LEVERS:
                raise UnknownNameError(
                    f"unknown lever {name!r}; the levers are {', '.join(operators.LEVERS)}"
                )
        limits = operators.hard_limits(self.preset)
        for name in operators.LEVERS:
            if asked is None:
                value = chosen[name]
            elif name in asked:
                given = np.asarray(asked[name], dtype=np.float64)
                if given.shape != (self.cells,):
                    raise InputError(f"{name}: give {self.cells} values, one a cell, not shape {given.shape}")
                held = np.clip(given, *limits[name])
                value = np.where(np.isnan(given) | ~life.running, chosen[name], held)
            else:
                value = np.where(life.running, getattr(self._board, name), chosen[name])
            setattr(self._board, name, value)

    def _disturbed(self, draws: DayDraws) -> CellState:
        """Return the state with the slow disturbances a day on; nothing that anybody does changes them."""
        spread, z, moved = self.preset.cells, draws.normal, {}
        habit_days = self.preset.instruments.tap_habit_days
        days = (spread.cover_days, spread.sick_days, self.preset.noise.weather_days, 30.0, habit_days)
        for name, tau, row in zip(_DISTURBANCES, days, range(26, 31), strict=True):
            keep = float(np.exp(-1.0 / tau))
            moved[name] = keep * getattr(self._state, name) + float(np.sqrt(1.0 - keep**2)) * z[row]
        return replace(self._state, **moved)

    def _round(self, state: CellState, draws: DayDraws) -> Morning:
        """Make the morning round."""
        p, e = self.preset, self._effects
        resting = resting_noise_mv(p, e, state)
        noise = noise_mv(p, state, resting, e.critical_mm + e.end_mm, metal_level_mm(p, state))
        return instruments.morning_round(p, e, state, noise, draws, self.day)

    def _choice(self, morning: Morning, life: LifeDay, draws: DayDraws) -> dict[str, Array]:
        """What the operators set once they have the morning's readings."""
        informed = operators.informed(self._board, morning)
        return operators.decide(self.preset, informed, self._aims(life), life, draws)

    def _live(
        self, morning: Morning, life: LifeDay, draws: DayDraws, line: LineDay, crew: rotation.ChangeDay
    ) -> Watched:
        """Run the inner steps and burn the anodes."""
        board = self._board.copy()
        settled = Settled(self.day, self._effects, life, self._line, line, board, crew, draws)
        plan = day_plan(self.preset, self._calibration, self._state, settled)
        self._state.bad_anode_mv += np.where(crew.bad, self.preset.noise.bad_anode_mv, 0.0)
        totals = run_day(self.preset, self._calibration, self._state, plan)
        charge = METAL_KG_PER_KA_DAY * float(np.mean(plan.current_ka))
        ce = np.maximum(totals.metal_kg / max(charge, 1e-9), 0.5)
        burned = rotation.burn(
            self.preset,
            self._anodes,
            self._line,
            rotation.Burning(ce, totals.temperature_c, totals.metal_kg),
            self.day,
        )
        return Watched(morning, plan, totals, burned, self._state, board, life, draws)

    def _record(self, seen: Watched, crew: rotation.ChangeDay, line: LineDay) -> DayRecord:
        p, e, u = self.preset, self._effects, seen.draws.uniform
        running = seen.life.running
        given_up = rotation.stopped(self._anodes, seen.life.stops, self.day)
        # Every cell has its turn of two to four days, shifted now and then by a day.
        turn = 2 + (self._rows * 7 + 3) % 3
        due = (self.day + self._rows) % turn == 0
        sampled = running & np.where(u[16] < 0.12, ~due, due)
        return DayRecord(
            day=self.day,
            date=self.date,
            running=running,
            cell_days=self._with_readings_lost(instruments.read_cell_days(p, e, seen)),
            taps=instruments.read_taps(p, e, seen),
            tap_time=(seen.plan.tap_step + 1.0) / p.line.steps_per_day,
            tapped=running & (seen.plan.tap_kg > 0.0),
            samples=seen.morning.samples,
            sampled=sampled,
            sample_time=np.full(self.cells, 0.4) + 0.05 * u[17],
            report_delay_d=0.75 + 0.4 * u[18],
            changes=rotation.merge([crew.changes, given_up]),
            meters=instruments.read_meters(p, seen, line.power_draws, self.date),
            truth=instruments.read_truth(p, e, seen),
        )

    def _with_readings_lost(self, days: dict[str, Array]) -> dict[str, Array]:
        """Leave out the temperatures that never reach the record; the operators have read them."""
        share = self.preset.faults.lost_readings
        if share > 0.0:
            lost = stream(self.seed, "faults", self.day).random(self._drawn)[self._rows] < share
            days["bath_temperature_c"] = np.where(lost, np.nan, days["bath_temperature_c"])
        return days

    def _write_board(self, record: DayRecord, morning: Morning) -> None:
        """Carry the day's readings to the next morning; a laboratory result comes a day late."""
        b = operators.informed(self._board, morning)
        b.noise_mv = 0.5 * b.noise_mv + 0.5 * record.cell_days["noise_mv"]
        b.alf3_wt_pct = np.where(np.isnan(b.alf3_pending), b.alf3_wt_pct, b.alf3_pending)
        b.alf3_pending = np.where(record.sampled, record.samples["excess_alf3_wt_pct"], np.nan)
        self._board = b
