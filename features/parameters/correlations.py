"""Which formula is believed for what: a choice by name, so that two parts may believe differently and say so."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from features.errors import SettingsError
from features.parameters.files import Citation, read_parameter_file


@dataclass(frozen=True)
class CorrelationChoice:
    """The names of the relations that a set believes; ``features.electrolysis.correlations`` finds them."""

    name: str
    title: str
    liquidus: str
    conductivity: str
    citations: Mapping[str, Citation]


_CHOICES = tuple(
    field.name for field in fields(CorrelationChoice) if field.name not in {"name", "title", "citations"}
)


@cache
def load_correlation_choice(name: str) -> CorrelationChoice:
    """The choice of that name, from ``parameters/correlations``.

    Raises:
        UnknownNameError: there is no such choice.
        SettingsError: its file is incomplete, uncited or names a relation by anything but text.

    >>> load_correlation_choice("general").liquidus
    'solheim_1996'
    """
    file = read_parameter_file("correlations", name, _CHOICES)
    chosen: dict[str, str] = {}
    for field in _CHOICES:
        value = file.values[field]
        if not isinstance(value, str):
            raise SettingsError(f"correlations {name}: {field} is {value}; name a relation")
        chosen[field] = value
    return CorrelationChoice(name=name, title=file.title, citations=file.citations, **chosen)
