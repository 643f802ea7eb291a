"""Recommendations as files: one JSON object a cell, and one CSV row a cell and lever."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from features.errors import InputError
from serving.schemas import Estimate, Recommendation

CSV_COLUMNS: Final = (
    "recommendation_id",
    "line_id",
    "cell_id",
    "date",
    "expires_at",
    "status",
    "lever",
    "unit",
    "current",
    "recommended",
    "move",
    "step",
    "path",
    "energy_saving_kwh_per_t",
    "energy_saving_lower_kwh_per_t",
    "net_anode_saving_kg_per_t",
    "net_anode_saving_lower_kg_per_t",
    "cost_saving_per_t",
    "cost_saving_lower_per_t",
    "currency",
    "reason",
    "reason_zh",
)


def write_jsonl(recommendations: Iterable[Recommendation], path: Path) -> int:
    """Write one JSON object a line to ``path`` as they come, and return how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for recommendation in recommendations:
            file.write(recommendation.model_dump_json() + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[Recommendation]:
    """Yield the recommendations of ``path``.

    Raises:
        InputError: a line is no recommendation, or its id is not that of its content; the message names the line.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                found = Recommendation.model_validate_json(line)
            except ValidationError as error:
                raise InputError(f"{path.name} line {number} is no recommendation: {error}") from error
            if found.content_hash() != found.recommendation_id:
                raise InputError(
                    f"{path.name} line {number}: {found.recommendation_id} is not the id of its content; it was edited"
                )
            yield found


def write_csv(recommendations: Iterable[Recommendation], path: Path) -> int:
    """Write one row a cell and lever (one row a cell without levers) to ``path``, and return how many.

    The file starts with a byte-order mark, without which spreadsheets misread the Chinese text.
    """
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        for recommendation in recommendations:
            for row in csv_rows(recommendation):
                writer.writerow(row)
                count += 1
    return count


def csv_rows(recommendation: Recommendation) -> Iterator[dict[str, object]]:
    """Yield the CSV rows of one recommendation."""
    first = recommendation.reasons[0] if recommendation.reasons else None
    shared: dict[str, object] = {
        **{name: getattr(recommendation, name) for name in CSV_COLUMNS[:4]},
        "expires_at": recommendation.expires_at.isoformat(),
        "status": recommendation.status,
        "reason": first.text if first else "",
        "reason_zh": first.text_zh if first else "",
    }
    if saving := recommendation.saving:
        shared |= _pair("energy_saving{}_kwh_per_t", saving.energy_kwh_per_t)
        shared |= _pair("net_anode_saving{}_kg_per_t", saving.net_anode_kg_per_t)
        shared |= _pair("cost_saving{}_per_t", saving.cost_per_t) | {"currency": saving.currency}
    if not recommendation.levers:
        yield shared
    for lever in recommendation.levers:
        yield shared | {
            "lever": lever.name,
            "unit": lever.unit,
            "current": lever.current,
            "recommended": lever.recommended,
            "move": round(lever.recommended - lever.current, 9),
            "step": lever.step,
            "path": " ".join(f"{value:g}" for value in lever.path),
        }


def _pair(name: str, found: Estimate | None) -> dict[str, object]:
    if found is None:
        return {}
    return {name.format(""): found.mean, name.format("_lower"): found.lower}
