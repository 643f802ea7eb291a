"""A short record and a recommendation that stand in a running service, for what asks about them. SIMULATED."""

from typing import Any, Final

import orjson

from experiments.bench.service import Service
from features.bundle import Manifest
from features.bundle.encoding import plain
from features.errors import SuperheatError

LINE: Final = "L1"
CELL: Final = "L1-001"
DAYS: Final = tuple(f"2025-01-{day:02d}" for day in range(1, 15))
LAST: Final = DAYS[-1]


def typical_row(manifest: Manifest) -> dict[str, float]:
    """Return the signals of a day of an ordinary cell."""
    found = {
        "cell_voltage_v": 4.0,
        "set_voltage_v": 4.0,
        "bath_temperature_c": 955.0,
        "metal_level_mm": 220.0,
    }
    levers = [lever for lever in manifest.levers if lever.name != "tap_target_kg"]
    return {**found, **{lever.name: 0.5 * (lever.low + lever.high) for lever in levers}}


def stand(service: Service, manifest: Manifest) -> str:
    """Put a record of one cell and a recommendation for it into ``service`` and return the recommendation's id.

    Raises:
        SuperheatError: the service takes neither.
    """
    keys = {"line_id": LINE, "cell_id": CELL}
    rows = [{**keys, "date": day, **typical_row(manifest)} for day in DAYS]
    taps = [{**keys, "time": f"{day}T08:00:00Z", "tap_mass_kg": 3500.0} for day in DAYS]
    posted = {"plant": plain(manifest.plant), "cell_days": rows, "taps": taps}
    row = [0.5 * (feature.low + feature.high) for feature in manifest.features]
    context = {**keys, "date": "2025-01-15", "last_reported": LAST, "row": row}
    _accepted(service, "/v1/history", posted)
    advice = _accepted(service, "/v1/recommendations", {"contexts": [context]})["recommendations"][0]
    return str(advice["recommendation_id"])


def _accepted(service: Service, path: str, body: object) -> dict[str, Any]:
    status, content = service.ask("POST", path, orjson.dumps(body))
    if status != 200:
        raise SuperheatError(f"{path} was refused: {content[:200]!r}")
    found: dict[str, Any] = orjson.loads(content)
    return found
