"""What the recommendations are worth to the line: cell by cell, weighed by the metal that each cell makes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.summary import Advice, Estimate, Saving
from features.plant import Plant, metal_t_per_d

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LineEnergy:
    """The line's means for each tonne of metal, as it runs and with the recommendations."""

    energy_today: float
    energy_after: float
    anode_today: float | None
    anode_after: float | None


def advice(recommendations: Sequence[Row], date: str) -> Advice:
    """Count what was recommended, and the first reason of every cell that is not moved."""
    statuses = Counter(row["status"] for row in recommendations)
    why = {
        status: dict(
            Counter(
                row["reasons"][0]["code"] if row["reasons"] else "unsaid"
                for row in recommendations
                if row["status"] == status
            )
        )
        for status in ("hold", "abstain")
    }
    return Advice(
        date=date,
        cells=len(recommendations),
        moved=statuses["move"],
        held=statuses["hold"],
        abstained=statuses["abstain"],
        hold_reasons=why["hold"],
        abstain_reasons=why["abstain"],
    )


def saving(recommendations: Sequence[Row], plant: Plant, confidence: float) -> Saving:
    """Return the line's expected saving; held and abstaining cells count with their metal and no saving."""
    metal = [_metal_t_per_d(row, plant) for row in recommendations]
    total = sum(metal) or 1.0
    moved = [(row, mass) for row, mass in zip(recommendations, metal, strict=True) if row["status"] == "move"]
    moved_metal = sum(mass for _, mass in moved)

    def over(name: str, tonnes: float) -> Estimate | None:
        """Weigh the moved cells' saving ``name``; shared errors add up, so bounds do as well."""
        found = [((row["saving"] or {}).get(name), mass) for row, mass in moved]
        if any(entry is None for entry, _ in found):
            return None
        ends = [
            sum(entry[end] * mass for entry, mass in found if entry) for end in ("mean", "lower", "upper")
        ]
        return Estimate(*ends).scaled(1.0 / tonnes) if tonnes else None

    def of_line(name: str) -> Estimate:
        return over(name, total) or Estimate(0.0, 0.0, 0.0)

    anode = over("net_anode_kg_per_t", total) if _predicted(recommendations, "net_anode_kg_per_t") else None
    energy, cost = of_line("energy_kwh_per_t"), of_line("cost_per_t")
    return Saving(
        confidence=confidence,
        currency=plant.currency,
        metal_t_per_d=sum(metal),
        energy_kwh_per_t=energy,
        energy_kwh_per_d=energy.scaled(total),
        net_anode_kg_per_t=anode,
        net_anode_kg_per_d=anode.scaled(total) if anode else None,
        cost_per_t=cost,
        cost_per_d=cost.scaled(total),
        energy_kwh_per_t_moved=over("energy_kwh_per_t", moved_metal),
        net_anode_kg_per_t_moved=over("net_anode_kg_per_t", moved_metal) if anode else None,
        cost_per_t_moved=over("cost_per_t", moved_metal),
    )


def line_energy(recommendations: Sequence[Row], plant: Plant) -> LineEnergy | None:
    """Return the line's predicted means, None where no cell has a prediction."""
    energy = _mean(recommendations, "energy_kwh_per_t", plant)
    if energy is None:
        return None
    anode = _mean(recommendations, "net_anode_kg_per_t", plant)
    return LineEnergy(energy[0], energy[1], *(anode or (None, None)))


def _mean(recommendations: Sequence[Row], name: str, plant: Plant) -> tuple[float, float] | None:
    rows = [row for row in recommendations if name in row["expected"]]
    if not rows:
        return None
    metal = [_metal_t_per_d(row, plant) for row in rows]
    today = sum(row["expected"][name]["current"] * mass for row, mass in zip(rows, metal, strict=True))
    after = sum(row["expected"][name]["recommended"] * mass for row, mass in zip(rows, metal, strict=True))
    return today / sum(metal), after / sum(metal)


def _predicted(recommendations: Sequence[Row], name: str) -> bool:
    return any(name in row["expected"] for row in recommendations)


def _metal_t_per_d(row: Row, plant: Plant) -> float:
    predicted = row["expected"].get("current_efficiency")
    return metal_t_per_d(plant.line_current_ka, float(predicted["current"]) if predicted else None)
