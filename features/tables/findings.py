"""What is wrong with a record, in two forms: a row that is set aside, and a finding in words."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Any, Literal

import pandas as pd

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")


@dataclass(frozen=True)
class Fault:
    """One reason why one row is set aside. ``row`` is the file's own line or sheet row, counted from 1."""

    source: str
    table: str
    row: int
    column: str
    value: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know about the record, in both languages, with its evidence.

    ``error``: do not trust the signal until it is looked at. ``warning``: look at it. ``info``: good to know.
    """

    code: str
    severity: Severity
    table: str
    signal: str
    text: str
    text_zh: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a severity that no reader knows."""
        if self.severity not in SEVERITIES:
            raise ValueError(f"finding {self.code}: severity {self.severity!r} is none of {SEVERITIES}")

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return asdict(self) | {"evidence": dict(self.evidence)}


QUARANTINE_COLUMNS = tuple(entry.name for entry in fields(Fault))


def quarantine_frame(faults: Iterable[Fault]) -> pd.DataFrame:
    """Return the rows set aside as a frame, one line a reason, in the order of source, table and row."""
    frame = pd.DataFrame([astuple(fault) for fault in faults], columns=list(QUARANTINE_COLUMNS))
    return frame.sort_values(["source", "table", "row"], kind="stable", ignore_index=True)
