"""Recommendations by hand, for what keeps and shows them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from serving.schemas import Estimate, LeverAdvice, Reason, Recommendation, Saving

DAY = date(2025, 3, 10)
MORNING = datetime(2025, 3, 10, 6, tzinfo=UTC)


def recommendation(cell: str = "c1", line: str = "L1", **changes: Any) -> Recommendation:
    """A move of one lever by 10 mV, expiring a day after :data:`MORNING`."""
    status = changes.get("status", "move")
    to = 3.94 if status == "move" else 3.95
    lever = LeverAdvice(
        name="set_voltage_v",
        unit="V",
        current=3.95,
        recommended=to,
        lower=3.91,
        upper=3.99,
        step=0.02,
        path=(),
    )
    nothing = Estimate(mean=1 / 3, lower=0.1, upper=0.1 + 0.2)
    fields: dict[str, Any] = {
        "line_id": line,
        "cell_id": cell,
        "date": DAY,
        "expires_at": MORNING + timedelta(days=1),
        "model_name": "potline",
        "model_version": "1",
        "bundle_digest": "ab" * 32,
        "status": status,
        "levers": (lever,),
        "expected": {},
        "saving": Saving(
            energy_kwh_per_t=nothing, net_anode_kg_per_t=None, cost_per_t=nothing, currency="CNY"
        ).model_dump(),
        "support": None,
        "binding": (),
        "reasons": (Reason(code="saving", text="saves", text_zh="节省").model_dump(),),
    }
    return Recommendation.sealed(**{**fields, **changes})
