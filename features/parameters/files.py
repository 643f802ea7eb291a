"""Reading a parameter file: TOML in, values and citations out, nothing without a source.

A file has ``title`` and one table for each parameter: ``value``, ``unit``, ``tag``, ``source``. The unit stands
again in the name of the field that holds the value, and the two must agree.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, cast, get_args

from features.errors import SettingsError, UnknownNameError
from features.relations import Tag

Value = float | int | str

UNIT_OF_SUFFIX: Final[Mapping[str, str]] = MappingProxyType(
    {
        "_ka": "kA",
        "_cm": "cm",
        "_cm2": "cm2",
        "_m2": "m2",
        "_microohm": "microohm",
        "_wt_pct": "wt%",
        "_w_m2k": "W/(m2 K)",
        "_w_mk": "W/(m K)",
        "_m2k_w": "m2 K/W",
        "_kg_m3": "kg/m3",
        "_j_kg": "J/kg",
    }
)
_ENTRY: Final = {"value", "unit", "tag", "source"}


@dataclass(frozen=True)
class Citation:
    """Where one number comes from."""

    unit: str
    tag: Tag
    source: str


@dataclass(frozen=True)
class ParameterFile:
    """A parameter file as read: values and citations by field name."""

    name: str
    title: str
    values: Mapping[str, Value]
    citations: Mapping[str, Citation]


def parameter_names(folder: str) -> tuple[str, ...]:
    """Names of the parameter files in a folder: ``designs``, ``ledges`` or ``correlations``.

    >>> parameter_names("designs")
    ('prebaked_126ka', 'prebaked_500ka')
    """
    entries = resources.files("features.parameters").joinpath(folder).iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))
    )


def read_parameter_file(folder: str, name: str, fields: Iterable[str]) -> ParameterFile:
    """Read one parameter file and check that it holds exactly the named fields, each with its citation.

    Raises:
        UnknownNameError: there is no such file.
        SettingsError: a field is missing, unknown, uncited or in another unit than its name says.
    """
    known = parameter_names(folder)
    if name not in known:
        raise UnknownNameError(f"{folder} has no {name!r}; it has {', '.join(known)}")
    path = resources.files("features.parameters").joinpath(folder, f"{name}.toml")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    title = str(document.pop("title", name))
    wanted = set(fields)
    if missing := sorted(wanted - document.keys()):
        raise SettingsError(f"{folder}/{name}.toml lacks {', '.join(missing)}; add a table for each")
    if foreign := sorted(document.keys() - wanted):
        raise SettingsError(
            f"{folder}/{name}.toml knows {', '.join(foreign)}, which nothing reads; remove them"
        )
    for field, entry in document.items():
        if not isinstance(entry, dict) or set(entry) != _ENTRY:
            raise SettingsError(
                f"{name}.toml: {field} must be a table of exactly {', '.join(sorted(_ENTRY))}"
            )
    values = {field: cast(Value, entry["value"]) for field, entry in document.items()}
    citations = {field: _citation(name, field, entry) for field, entry in document.items()}
    return ParameterFile(name, title, MappingProxyType(values), MappingProxyType(citations))


def _citation(name: str, field: str, entry: Mapping[str, Any]) -> Citation:
    unit, tag, source = str(entry["unit"]), str(entry["tag"]), str(entry["source"])
    # The longest suffix decides, so that no short unit shadows a compound one.
    suffixes = sorted((suffix for suffix in UNIT_OF_SUFFIX if field.endswith(suffix)), key=len)
    expected = UNIT_OF_SUFFIX[suffixes[-1]] if suffixes else "-"
    if unit != expected:
        raise SettingsError(
            f"{name}.toml: {field} is given in {unit!r}, its name says {expected!r}; convert it"
        )
    if tag not in get_args(Tag):
        raise SettingsError(
            f"{name}.toml: {field} has the tag {tag!r}; use one of {', '.join(get_args(Tag))}"
        )
    if not source.strip():
        raise SettingsError(f"{name}.toml: {field} has no source; say where the number comes from")
    return Citation(unit, cast(Tag, tag), source)


def number(file: ParameterFile, field: str) -> float:
    """A value that must be a finite number.

    Raises:
        SettingsError: it is text.
    """
    value = file.values[field]
    if isinstance(value, str):
        raise SettingsError(f"{file.name}.toml: {field} is the text {value!r}; give a number")
    return float(value)
