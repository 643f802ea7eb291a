"""The bath as the laboratory has reported it so far: latest and recent samples of each cell, liquidus, superheat."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.electrolysis.bath import Bath, bath_ratio, liquidus_solheim_1996
from features.record import SAMPLE_SIGNALS, Samples

Floats = NDArray[np.float64]

USUAL_BATH: Final[Mapping[str, float]] = {
    "caf2_wt_pct": 5.0,
    "lif_wt_pct": 0.0,
    "kf_wt_pct": 0.0,
    "mgf2_wt_pct": 0.3,
    "al2o3_wt_pct": 2.7,
}
"""What is assumed of a component that the laboratory has never reported for a cell [wt%] [B]. A wrong assumption
shifts every computed liquidus of that plant alike, by 2-9 degC a per cent."""

SETTLING: Final = 0.2
"""Weight of a new sample in a slow component's running mean. Salts drift over months and alumina swings with every
feed cycle, so a single analysis of them is mostly noise, at 6 degC a per cent of alumina; the excess of AlF3 moves
within days and is taken as analysed."""
RECENT: Final = 4
"""Samples that "recent" averages over."""
REMEMBERED_DAYS: Final = 60
"""A sample older than this says nothing any more."""


def liquidus_c(values: Mapping[str, Floats]) -> Floats:
    """Return the liquidus (s,) [degC] of samples, each component (s,) [wt%] known or already settled.

    Rounded to 0.1 mK: powers may differ in the last bit between vector widths, features must not.
    """
    return np.round(liquidus_solheim_1996(_bath(values)), 4)


def ratio(values: Mapping[str, Floats]) -> Floats:
    """Return the weight ratio NaF to AlF3 (s,) [-]."""
    return np.asarray(bath_ratio(_bath(values)))


def _bath(values: Mapping[str, Floats]) -> Bath:
    return Bath(
        excess_alf3=values["excess_alf3_wt_pct"],
        al2o3=values["al2o3_wt_pct"],
        caf2=values["caf2_wt_pct"],
        lif=values["lif_wt_pct"],
        mgf2=values["mgf2_wt_pct"],
        kf=values["kf_wt_pct"],
    )


class Chemistry:
    """What is known of each cell's bath, sample by sample as they are reported."""

    def __init__(self, cells: int) -> None:
        """Start with nothing known."""
        self.cells = cells
        self.latest: dict[str, Floats] = {name: np.full(cells, np.nan) for name in SAMPLE_SIGNALS}
        self.settled: dict[str, Floats] = {name: np.full(cells, np.nan) for name in USUAL_BATH}
        self.liquidus = np.full(cells, np.nan)
        self.ratio = np.full(cells, np.nan)
        self.sampled = np.full(cells, np.nan)
        self._since = np.full(cells, -np.inf)
        self._excess = np.full((RECENT, cells), np.nan)
        self._superheat = np.full((RECENT, cells), np.nan)
        self._days = np.full((RECENT, cells), np.nan)

    def forget(self, cells: NDArray[np.bool_], today: float) -> None:
        """Forget the baths of the cells that ``cells`` (c,) marks, and heed no sample taken before ``today``."""
        self._since[cells] = today
        for values in (
            *self.latest.values(),
            *self.settled.values(),
            self.liquidus,
            self.ratio,
            self.sampled,
        ):
            values[cells] = np.nan
        for recent in (self._excess, self._superheat, self._days):
            recent[:, cells] = np.nan

    def report(self, samples: Samples, temperature_at: Callable[[NDArray[np.intp], Floats], Floats]) -> None:
        """Take in the samples reported on one day.

        Args:
            samples: the day's samples; one sampled before a cell's latest sample is too late to matter.
            temperature_at: (cells (r,), sampled days (r,)) -> bath temperature on those days [degC].
        """
        left = samples
        while len(left):
            _, first = np.unique(left.cell, return_index=True)
            self._round(left.take(first), temperature_at)
            left = left.take(np.setdiff1d(np.arange(len(left)), first))

    def _round(self, samples: Samples, temperature_at: Callable[[NDArray[np.intp], Floats], Floats]) -> None:
        """Take in at most one sample a cell."""
        day = samples.sampled_day.astype("datetime64[D]").astype(np.float64)
        newer = ~(day < self.sampled[samples.cell]) & (day >= self._since[samples.cell])
        samples, day = samples.take(newer), day[newer]
        cell = samples.cell
        for name, values in samples.values.items():
            self.latest[name][cell] = np.where(np.isfinite(values), values, self.latest[name][cell])
        excess = samples.values.get("excess_alf3_wt_pct", np.full(len(cell), np.nan))
        bath = {"excess_alf3_wt_pct": excess}
        for name, usual in USUAL_BATH.items():
            if name in samples.values:
                self.settled[name][cell] = settle(self.settled[name][cell], samples.values[name])
            known = self.settled[name][cell]
            bath[name] = np.where(np.isfinite(known), known, usual)
        liquidus = liquidus_c(bath)
        analysed = np.isfinite(excess)
        cell, day = cell[analysed], day[analysed]
        self.liquidus[cell] = liquidus[analysed]
        self.ratio[cell] = ratio(bath)[analysed]
        self.sampled[cell] = day
        superheat = temperature_at(cell, day) - liquidus[analysed]
        for recent, value in (
            (self._excess, excess[analysed]),
            (self._superheat, superheat),
            (self._days, day),
        ):
            recent[1:, cell] = recent[:-1, cell]
            recent[0, cell] = value

    def values(self, today: float) -> dict[str, Floats]:
        """Return the chemistry features (c,) for a decision on day ``today`` (days since 1970-01-01)."""
        age = today - self.sampled
        fresh = age <= REMEMBERED_DAYS
        found = {f"{name}_last": values for name, values in self.latest.items()}
        found |= {
            "bath_ratio_last": self.ratio,
            "liquidus_c_last": self.liquidus,
            "superheat_c_last": self._superheat[0],
            "superheat_c_recent": _recent_mean(self._superheat),
            "excess_alf3_wt_pct_recent": _recent_mean(self._excess),
            "excess_alf3_wt_pct_trend": self._trend(),
        }
        kept = {name: np.where(fresh, values, np.nan) for name, values in found.items()}
        return {**kept, "sample_age_d": age}

    def _trend(self) -> Floats:
        """Change of the excess between the last two samples [wt%/d]."""
        days = self._days[0] - self._days[1]
        apart = days > 0
        return np.where(apart, (self._excess[0] - self._excess[1]) / np.where(apart, days, 1.0), np.nan)


def _recent_mean(recent: Floats) -> Floats:
    count, total = np.zeros(recent.shape[1]), np.zeros(recent.shape[1])
    for values in recent:
        known = np.isfinite(values)
        count, total = count + known, total + np.where(known, values, 0.0)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def settle(mean: Floats, values: Floats) -> Floats:
    """Return the running mean (r,) [wt%] of a slow component after new analyses ``values`` (r,), NaN = not analysed."""
    analysed = np.where(np.isfinite(values), values, mean)
    return np.where(np.isfinite(mean), mean + SETTLING * (analysed - mean), analysed)


def sample_liquidus_c(samples: Samples) -> Floats:
    """Return the liquidus (s,) [degC] of each sample, from what was reported no later than the sample itself."""
    bath = {name: np.full(len(samples), usual) for name, usual in USUAL_BATH.items()}
    for name in set(USUAL_BATH) & set(samples.values):
        means: dict[int, Floats] = {}
        for i, cell in enumerate(samples.cell.tolist()):  # in order of reporting
            means[cell] = settle(means.get(cell, np.array([np.nan])), samples.values[name][i : i + 1])
            if np.isfinite(means[cell][0]):
                bath[name][i] = means[cell][0]
    excess = samples.values.get("excess_alf3_wt_pct", np.full(len(samples), np.nan))
    return liquidus_c({**bath, "excess_alf3_wt_pct": excess})
