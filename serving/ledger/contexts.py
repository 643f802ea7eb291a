"""A cell's context as plain values and back, to the last bit: its row is kept as its bytes."""

import base64
import binascii
import datetime
from typing import Any, Final

import numpy as np

from features.bundle.encoding import build, plain
from features.errors import InputError
from serving.context import Context, RecentErrors, Stuck

_ROW: Final = "<f4"


def context_values(context: Context) -> dict[str, Any]:
    """Return ``context`` as plain values."""
    row = None if context.row is None else base64.b64encode(context.row.astype(_ROW).tobytes()).decode()
    last = context.last_reported
    values = {
        "line_id": context.line_id,
        "cell_id": context.cell_id,
        "date": context.date.isoformat(),
        "row": row,
        "last_reported": None if last is None else last.isoformat(),
        "hours_since_anode_change": context.hours_since_anode_change,
        "stuck": plain(context.stuck),
    }
    # Left out where there is nothing to say, as in every context written before errors were watched.
    return values if context.errors is None else {**values, "errors": plain(context.errors)}


def read_context(values: dict[str, Any]) -> Context:
    """Return the context of plain ``values``.

    Raises:
        InputError: they are none.
    """
    try:
        row, last = values["row"], values["last_reported"]
        return Context(
            line_id=values["line_id"],
            cell_id=values["cell_id"],
            date=datetime.date.fromisoformat(values["date"]),
            row=None
            if row is None
            else np.frombuffer(base64.b64decode(row, validate=True), _ROW).astype(np.float32),
            last_reported=None if last is None else datetime.date.fromisoformat(last),
            hours_since_anode_change=values["hours_since_anode_change"],
            stuck=tuple(build(Stuck, entry) for entry in values["stuck"]),
            errors=None if values.get("errors") is None else build(RecentErrors, values["errors"]),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InputError(f"the context in the ledger cannot be read: {error}") from error
