"""How wrong the model has been on a line: judged by an advice worker, taken over into contexts, told to the books."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from features.bundle.encoding import plain
from features.errors import ContractError
from features.history import History
from serving.context import Erring, RecentErrors
from serving.models.errors import LineErrors, OutcomeError, delayed, watch
from serving.predictor import Predictor

Values = Mapping[str, Any]


def line_errors(predictor: Predictor, history: History, line_id: str) -> LineErrors:
    """Return how wrong ``predictor`` was of late on a line; nothing is known where its record is too short."""
    manifest = predictor.manifest
    try:
        past = delayed(manifest, history, line_id)
    except ContractError:
        return LineErrors(line_id, tuple(target.name for target in manifest.targets))
    return watch(manifest, line_id, past, predictor.predict(past.X))


def recent(found: LineErrors, cell_id: str) -> RecentErrors | None:
    """Return what ``found`` asks of what is said of a cell; None where the model is as good as it was proved."""
    withheld = tuple(_erring(found, cell_id, outcome) for outcome in found.withheld(cell_id))
    factor = _rounded(found.widening(cell_id))
    return RecentErrors(factor, withheld) if withheld or factor > 1.0 else None


def _erring(found: LineErrors, cell_id: str, outcome: str) -> Erring:
    error = found.of(cell_id, outcome)
    if error is None or error.recent_mae is None or error.missed is None:
        raise ValueError(f"outcome {outcome} is withheld with no error known")
    told = (_rounded(value) for value in (error.recent_mae, error.missed, error.nominal))
    return Erring(outcome, *told)


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def error_values(found: LineErrors, cells: Sequence[str]) -> dict[str, Any]:
    """Return ``found`` as plain values: each outcome of the line, and what it asks of ``cells`` and of any other."""
    asked = {cell: recent(found, cell) for cell in cells}
    other = recent(LineErrors(found.line_id, found.targets, found.outcomes), "")
    return {
        "line_id": found.line_id,
        "outcomes": [asdict(error) for error in found.outcomes.values()],
        "cells": {cell: None if errors is None else plain(errors) for cell, errors in asked.items()},
        "other": None if other is None else plain(other),
    }


def read_errors(values: Values) -> LineErrors:
    """Return the line's own errors of plain ``values``."""
    outcomes = {entry["outcome"]: OutcomeError(**entry) for entry in values["outcomes"]}
    return LineErrors(values["line_id"], (), outcomes)


def counted_in(context: Values, values: Values) -> Values:
    """Return ``context`` with what the errors of its line (``values``) ask of its cell."""
    errors = values["cells"].get(context["cell_id"], values["other"])
    return context if errors is None else {**context, "errors": errors}
