"""The one shape of a benchmark's answer: columns with units, rows, and what they were measured on.

A figure without its versions, machine and seed cannot be compared with the next one, so a table carries them.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.machine import installed_versions, this_machine

Value = str | int | float | bool | None

PROTOCOL: Final = 1
_ALWAYS_NAMED: Final = ("superheat", "numpy")


@dataclass(frozen=True)
class Column:
    """One column: its name and its unit ("" for text and plain counts)."""

    name: str
    unit: str = ""

    @property
    def heading(self) -> str:
        """The name with its unit in brackets."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class BenchMeta:
    """What a table was measured on: versions of what took part, the machine (no host name), seed, data kind."""

    versions: Mapping[str, str]
    machine: Mapping[str, str | int]
    seed: int | None
    simulated: bool

    @classmethod
    def here(cls, packages: Iterable[str] = (), *, seed: int | None, simulated: bool) -> "BenchMeta":
        """Describe this process: installed versions of ``packages`` (distribution names) and the machine."""
        return cls(installed_versions((*_ALWAYS_NAMED, *packages)), this_machine(), seed, simulated)


@dataclass(frozen=True)
class BenchTable:
    """A finished benchmark; ``rows`` are tuples as long as ``columns``.

    Raises:
        ValueError: no columns, two columns of one name, or a row of another length.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    meta: BenchMeta
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a ragged table."""
        names = [column.name for column in self.columns]
        if not names or len(set(names)) != len(names):
            raise ValueError(
                f"bench table {self.title!r}: columns {names} must be there and differ; rename them"
            )
        for number, row in enumerate(self.rows):
            if len(row) != len(names):
                raise ValueError(
                    f"bench table {self.title!r}: row {number} holds {len(row)} values for {len(names)} columns"
                )

    @classmethod
    def of(
        cls,
        title: str,
        columns: Sequence[tuple[str, str]],
        rows: Iterable[Sequence[Value]],
        meta: BenchMeta,
        notes: Sequence[str] = (),
    ) -> "BenchTable":
        """Build a table from plain ``(name, unit)`` pairs and row sequences."""
        return cls(
            title,
            tuple(Column(name, unit) for name, unit in columns),
            tuple(tuple(row) for row in rows),
            meta,
            tuple(notes),
        )

    def column(self, name: str) -> tuple[Value, ...]:
        """Return the values of the column called ``name``, in row order; raises ``KeyError`` if there is none."""
        for index, column in enumerate(self.columns):
            if column.name == name:
                return tuple(row[index] for row in self.rows)
        raise KeyError(f"bench table {self.title!r} has no column {name!r}")

    def print(self, console: Console | None = None) -> None:
        """Show the table, its notes and what it was measured on.

        Cells go in as ``Text``: rich would read the brackets of a unit as markup and drop them.
        """
        console = console or Console()
        title = f"{self.title} (SIMULATED data)" if self.meta.simulated else self.title
        shown = Table(title=Text(title), title_justify="left")
        for index, column in enumerate(self.columns):
            numeric = any(_is_number(row[index]) for row in self.rows)
            shown.add_column(Text(column.heading), justify="right" if numeric else "left")
        for row in self.rows:
            shown.add_row(*(Text(_shown(value)) for value in row))
        console.print(shown)
        for note in self.notes:
            console.print(note, style="dim", markup=False)
        console.print(self._provenance(), style="dim", markup=False)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values; a number that JSON cannot hold (NaN, infinity) becomes null."""
        return {
            "protocol": PROTOCOL,
            "title": self.title,
            "columns": [{"name": column.name, "unit": column.unit} for column in self.columns],
            "rows": [[_jsonable(value) for value in row] for row in self.rows],
            "notes": list(self.notes),
            "meta": {
                "versions": dict(self.meta.versions),
                "machine": dict(self.meta.machine),
                "seed": self.meta.seed,
                "simulated": self.meta.simulated,
            },
        }

    def write_json(self, path: Path) -> None:
        """Write :meth:`to_json` to ``path`` in one step, so a reader never sees half a table."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=2, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)

    def _provenance(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.meta.versions.items())
        machine = ", ".join(f"{key} {value}" for key, value in self.meta.machine.items())
        return f"seed {self.meta.seed} | {machine} | {versions}"


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _shown_float(value)
    return f"{value:,}" if isinstance(value, int) else value


def _shown_float(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if value == 0 or 1e-3 <= size < 1e6:
        return f"{value:,.1f}" if size >= 100 else f"{value:.4g}"
    return f"{value:.3g}"


def _jsonable(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
