"""From the names of a correlation choice to the relations themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from numpy.typing import ArrayLike

from features.electrolysis import bath, conductivity
from features.electrolysis.bath import Bath
from features.errors import UnknownNameError
from features.parameters.correlations import CorrelationChoice, load_correlation_choice
from features.relations import Array

Liquidus = Callable[[Bath], Array]
Conductivity = Callable[[Bath, ArrayLike], Array]
F = TypeVar("F")

LIQUIDUS: Final[Mapping[str, Liquidus]] = MappingProxyType(
    {
        "solheim_1996": bath.liquidus_solheim_1996,
        "lithium_potassium_2014": bath.liquidus_lithium_potassium_2014,
    }
)
CONDUCTIVITY: Final[Mapping[str, Conductivity]] = MappingProxyType(
    {
        "hives": conductivity.conductivity_hives,
        "wang": conductivity.conductivity_wang,
        "chrenkova": conductivity.conductivity_chrenkova,
        "ntnu": conductivity.conductivity_ntnu,
    }
)


@dataclass(frozen=True)
class CorrelationSet:
    """The relations that a part of the house believes."""

    name: str
    liquidus: Liquidus
    conductivity: Conductivity


def correlation_set(choice: CorrelationChoice | str) -> CorrelationSet:
    """The relations behind a choice, or behind the name of a choice.

    Raises:
        UnknownNameError: the choice, or a relation that it names, does not exist.

    >>> correlation_set("general").conductivity.__name__
    'conductivity_hives'
    """
    chosen = load_correlation_choice(choice) if isinstance(choice, str) else choice
    return CorrelationSet(
        chosen.name,
        _find(LIQUIDUS, "liquidus", chosen.liquidus),
        _find(CONDUCTIVITY, "conductivity", chosen.conductivity),
    )


def _find(known: Mapping[str, F], kind: str, name: str) -> F:
    if name not in known:
        raise UnknownNameError(
            f"there is no {kind} relation {name!r}; choose one of {', '.join(sorted(known))}"
        )
    return known[name]
