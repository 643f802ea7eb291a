"""From comparisons to figures: for any set of days, what was promised and what was saved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import UnknownNameError
from features.history import History
from features.policy.carbon import electricity_co2
from features.policy.cost import CO2_PER_C
from features.policy.rules import Rule
from serving.schemas import Estimate, Saving
from serving.verified.comparison import Comparison, Effect
from serving.verified.notes import note
from serving.verified.schemas import Note, PerTonne, VerifiedSaving
from serving.verified.settings import SavingsSettings
from serving.verified.work import Work

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Days of one block, by the block's number."""

    block: int
    days: tuple[int, ...]


@dataclass(frozen=True)
class Teller:
    """Turns parts of blocks into figures."""

    history: History
    work: Work
    settings: SavingsSettings
    grid: Rule | None
    waiting: int

    def tell(self, parts: Sequence[Part]) -> VerifiedSaving:
        """Return what ``parts`` were promised and saved."""
        total = sum(len(part.days) for part in parts)
        compared = [part for part in parts if part.block in self.work.row_of]
        days = sum(len(part.days) for part in compared)
        why = self._nothing(parts, days)
        promised = self._promised(compared if why is None else parts)
        if why is not None:
            return VerifiedSaving(
                cell_days=total, promised=promised, realised=None, energy_kwh=None, anode_kg=None, money=None,
                t_co2=None, controls=0, note=why,
            )  # fmt: skip
        tonnes = np.array([self._tonnes(part) for part in compared])
        energy = self._effect(self.work.energy, self.work.row_of, compared, tonnes)
        anode, no_anode = self._anode(compared, tonnes)
        return self._told(compared, (total, days), promised, (energy, anode), no_anode)

    def _nothing(self, parts: Sequence[Part], days: int) -> Note | None:
        if self.work.missing:
            return note("no_signal", missing=", ".join(self.work.missing))
        if not parts:
            return note("waiting", waiting=self.waiting) if self.waiting else note("none_accepted")
        if not days and any(part.block in self.work.lonely for part in parts):
            return note("few_controls", controls=self.work.unmoved, least=self.settings.least_controls)
        if days < self.settings.least_cell_days:
            return note("few_days", days=days, least=self.settings.least_cell_days)
        return None

    def _tonnes(self, part: Part) -> float:
        """Return the metal that the cell made in the days of ``part`` [t]."""
        if self.work.panel is None:
            return float(len(part.days))
        block = self.work.blocks[part.block]
        made = self.work.panel.metal_kg_d[self.work.window_of[part.block], block.cell]
        return float(made) * len(part.days) / 1000.0

    def _effect(
        self, comparison: Comparison | None, row_of: dict[int, int], parts: Sequence[Part], tonnes: Floats
    ) -> Effect:
        if comparison is None:
            raise UnknownNameError("nothing was compared")
        return comparison.effect([row_of[part.block] for part in parts], tonnes)

    def _anode(self, parts: Sequence[Part], tonnes: Floats) -> tuple[Effect | None, Note | None]:
        if self.work.anode is None:
            return None, note("no_butts", why=self.work.no_anode)
        known = [i for i, part in enumerate(parts) if part.block in self.work.anode_row_of]
        if not known:
            return None, note("anode_life", share=0.0, least=self.settings.least_exposure)
        weights = tonnes[known]
        exposures = np.array([self.work.exposure[parts[i].block] for i in known])
        share = float(exposures @ weights / weights.sum())
        if share < self.settings.least_exposure or weights.sum() < 0.5 * tonnes.sum():
            return None, note("anode_life", share=max(share, 0.0), least=self.settings.least_exposure)
        found = self._effect(self.work.anode, self.work.anode_row_of, [parts[i] for i in known], weights)
        return Effect(found.mean / share, found.lower / share, found.upper / share), None

    def _told(
        self,
        parts: Sequence[Part],
        days: tuple[int, int],
        promised: PerTonne | None,
        effects: tuple[Effect, Effect | None],
        no_anode: Note | None,
    ) -> VerifiedSaving:
        prices = self.history.plant.prices
        energy, anode = effects
        tonnes = sum(self._tonnes(part) for part in parts)
        alf3 = sum(self.work.blocks[part.block].alf3_more_kg_d * len(part.days) for part in parts)
        cost = _sum(
            _times(energy, prices.dc_energy_per_kwh),
            _times(anode, prices.net_anode_per_kg),
            Estimate(mean=-alf3 / tonnes * prices.alf3_per_kg, lower=-alf3 / tonnes * prices.alf3_per_kg,
                     upper=-alf3 / tonnes * prices.alf3_per_kg),
        )  # fmt: skip
        total, compared = days
        said = None
        if compared < total:
            said = note("partly", days=compared, total=total)
        elif promised is None:
            said = note("not_promised")
        return VerifiedSaving(
            cell_days=total,
            promised=promised,
            realised=PerTonne(
                energy_kwh_per_t=_estimate(energy),
                net_anode_kg_per_t=None if anode is None else _estimate(anode),
                cost_per_t=cost,
            ),
            energy_kwh=_scaled(_estimate(energy), tonnes),
            anode_kg=None if anode is None else _scaled(_estimate(anode), tonnes),
            money=_scaled(cost, tonnes),
            t_co2=self._co2(energy, anode, tonnes),
            controls=self._controls(parts),
            note=said or no_anode,
        )

    def _co2(self, energy: Effect, anode: Effect | None, tonnes: float) -> Estimate | None:
        if self.grid is None:
            return None
        prices = self.history.plant.prices
        per_kwh = float(electricity_co2(1.0 / prices.rectifier_efficiency, self.grid))
        per_kg = CO2_PER_C * (1.0 - prices.anode_sulphur - prices.anode_ash) / 1000.0
        return _scaled(_sum(_times(energy, per_kwh), _times(anode, per_kg)), tonnes)

    def _controls(self, parts: Sequence[Part]) -> int:
        if self.work.energy is None:
            return 0
        rows = [self.work.row_of[part.block] for part in parts]
        return int((self.work.energy.shares[rows] > 0).any(axis=0).sum())

    def _promised(self, parts: Sequence[Part]) -> PerTonne | None:
        """Return the promise, weighed by metal; None where a part of it was never promised."""
        found: list[tuple[PerTonne, float]] = []
        for part in parts:
            block = self.work.blocks[part.block]
            if block.promised is None:
                return None
            found.append((_added(block.promised, block.shares), self._tonnes(part)))
        total = sum(weight for _, weight in found if np.isfinite(weight))
        found = [(one, weight / total) for one, weight in found if np.isfinite(weight) and total > 0]
        if not found:
            return None
        anodes = [(one.net_anode_kg_per_t, weight) for one, weight in found]
        return PerTonne(
            energy_kwh_per_t=_sum(*(_scaled(one.energy_kwh_per_t, weight) for one, weight in found)),
            net_anode_kg_per_t=None
            if any(one is None for one, _ in anodes)
            else _sum(*(_scaled(one, weight) for one, weight in anodes if one is not None)),
            cost_per_t=_sum(*(_scaled(one.cost_per_t, weight) for one, weight in found)),
        )


def _added(promised: Sequence[Saving], shares: Sequence[float]) -> PerTonne:
    """Return promises added up, each by its share; a model's errors are shared, so bounds add up too."""
    anode = [one.net_anode_kg_per_t for one in promised]
    return PerTonne(
        energy_kwh_per_t=_sum(
            *(_scaled(one.energy_kwh_per_t, s) for one, s in zip(promised, shares, strict=True))
        ),
        net_anode_kg_per_t=None
        if any(one is None for one in anode)
        else _sum(*(_scaled(one, s) for one, s in zip(anode, shares, strict=True) if one is not None)),
        cost_per_t=_sum(*(_scaled(one.cost_per_t, s) for one, s in zip(promised, shares, strict=True))),
    )


def _estimate(effect: Effect) -> Estimate:
    return Estimate(mean=effect.mean, lower=effect.lower, upper=effect.upper)


def _times(effect: Effect | None, factor: float) -> Estimate:
    found = Effect(0.0, 0.0, 0.0) if effect is None else effect
    return _scaled(_estimate(found), factor)


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(mean=estimate.mean * factor, lower=estimate.lower * factor, upper=estimate.upper * factor)


def _sum(*estimates: Estimate) -> Estimate:
    """Return the sum; ends add up, which is right for shared errors and wide for others."""
    return Estimate(
        mean=sum(one.mean for one in estimates),
        lower=sum(one.lower for one in estimates),
        upper=sum(one.upper for one in estimates),
    )
