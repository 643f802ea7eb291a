"""An experiment as a file: its question, lines, arms, seeds, metric, stopping rule and budget, read from TOML.

name = "closed-loop-headline"
question = "..."
metric = "cost_per_t"           # what arms are compared by: less is better
reference = "operators"         # the arm that every other one is paired with
ceiling = "oracle"              # the arm whose saving is the whole; shares are counted against it
safety = "hold"                 # the arm beyond whose anode effects and hours outside no other one should go
seeds = [201, 202, 203]
[stopping]                      # no further seed once differences of ``resolve`` would be seen
least_seeds = 3
resolve = 5.0
[budget]
minutes = 60                    # no new task is begun after that; what is missing is said
[[lines]]
name = "first"                  # and the fields of ``LineSettings``
preset = "line-500"
trained_on = { cells = 30, days = 360 }   # a bundle of the line's own past instead of the one given
[[arms]]
name = "ours"
kind = "advised"                # operators, hold, naive, oracle, advised; the rest is the kind's own
levers = ["set_voltage_v"]
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Final

from experiments.closed_loop.loop import LineSettings
from features.errors import SettingsError, UnknownNameError

KINDS: Final = ("operators", "hold", "naive", "oracle", "advised")
METRICS: Final = ("cost_per_t", "energy_kwh_per_t", "net_anode_kg_per_t")


@dataclass(frozen=True)
class Past:
    """The history that a line's own bundle is trained on, and the naive arm's model with it."""

    cells: int = 30
    days: int = 360
    seed: int = 7
    quick: bool = False


@dataclass(frozen=True)
class LineSpec:
    """One line that the arms live on, by a short name; ``trained_on`` None = the bundle that the run was given."""

    name: str
    settings: LineSettings
    trained_on: Past | None = None


@dataclass(frozen=True)
class ArmSpec:
    """One arm: its kind, and what the kind is told."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    only_on: tuple[str, ...] = ()
    """Lines that it lives on; all where empty."""


@dataclass(frozen=True)
class Stopping:
    """When no further seed is begun: after ``least_seeds``, once differences of ``resolve`` would be seen; 0 = never."""

    least_seeds: int = 2
    resolve: float = 0.0


@dataclass(frozen=True)
class Definition:
    """One experiment.

    Raises:
        SettingsError: a name twice or none, no seed, a reference or a ceiling that is no arm, an unknown kind or metric.
    """

    name: str
    question: str
    metric: str
    reference: str
    ceiling: str
    seeds: tuple[int, ...]
    lines: tuple[LineSpec, ...]
    arms: tuple[ArmSpec, ...]
    stopping: Stopping = field(default_factory=Stopping)
    budget_min: float = 60.0
    safety: str = ""
    """The reference where none is named."""

    def __post_init__(self) -> None:
        """Check that everything fits together."""
        for what, names in (("arms", [a.name for a in self.arms]), ("lines", [e.name for e in self.lines])):
            if not names or len(set(names)) != len(names):
                raise SettingsError(f"experiment {self.name}: {what} {names} must be there and differ")
        known = {arm.name for arm in self.arms}
        for role in ("reference", "ceiling", "safety"):
            if getattr(self, role) not in known | ({""} if role == "safety" else set()):
                raise SettingsError(
                    f"experiment {self.name}: {role} {getattr(self, role)!r} is none of the arms {sorted(known)}"
                )
        odd = sorted({arm.kind for arm in self.arms} - set(KINDS))
        if odd or self.metric not in METRICS:
            raise SettingsError(
                f"experiment {self.name}: unknown kinds {odd} or metric {self.metric!r}; kinds are {', '.join(KINDS)},"
                f" metrics {', '.join(METRICS)}"
            )
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise SettingsError(f"experiment {self.name}: seeds {self.seeds} must be there and differ")

    def lives_on(self, arm: ArmSpec, line: LineSpec) -> bool:
        """Say whether ``arm`` lives on ``line``."""
        return not arm.only_on or line.name in arm.only_on

    def describe(self) -> dict[str, Any]:
        """Return it as plain values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


def task_digest(line: LineSpec, arm: ArmSpec, bundle_digest: str, code: str) -> str:
    """Return the hash of what a result depends on beside its seed: a changed arm, or code, never meets an older result."""
    told = {"line": asdict(line.settings), "kind": arm.kind, "options": dict(arm.options)}
    told["bundle"] = bundle_digest if arm.kind not in ("operators", "hold") else ""
    told["code"] = code
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def definition_names() -> tuple[str, ...]:
    """Return the names of the experiments that come with the package."""
    folder = resources.files("experiments") / "definitions"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load_definition(name: str) -> Definition:
    """Read an experiment: one that comes with the package by its name, or any TOML file by its path.

    Raises:
        UnknownNameError: neither.
        SettingsError: the file does not fit.
    """
    if name.endswith(".toml") and Path(name).is_file():
        return definition_from(tomllib.loads(Path(name).read_text(encoding="utf-8")))
    if name not in definition_names():
        raise UnknownNameError(
            f"unknown experiment {name!r}; the experiments are {', '.join(definition_names())}, or give a .toml file"
        )
    text = (resources.files("experiments") / "definitions" / f"{name}.toml").read_text(encoding="utf-8")
    return definition_from(tomllib.loads(text))


def definition_from(document: Mapping[str, Any]) -> Definition:
    """Return the experiment of a parsed TOML document.

    Raises:
        SettingsError: a key is missing or unknown.
    """
    told = dict(document)
    try:
        lines = tuple(_line(dict(entry)) for entry in told.pop("lines"))
        arms = tuple(_arm(dict(entry)) for entry in told.pop("arms"))
        stopping = Stopping(**told.pop("stopping", {}))
        budget = float(told.pop("budget", {}).get("minutes", 60.0))
        told["seeds"] = tuple(told["seeds"])
        return Definition(lines=lines, arms=arms, stopping=stopping, budget_min=budget, **told)
    except (KeyError, TypeError) as error:
        raise SettingsError(
            f"experiment {told.get('name', '?')}: {error}; the keys are {', '.join(f.name for f in fields(Definition))}"
        ) from error


def _line(entry: dict[str, Any]) -> LineSpec:
    name, past = str(entry.pop("name")), entry.pop("trained_on", None)
    return LineSpec(name, LineSettings(**entry), None if past is None else Past(**past))


def _arm(entry: dict[str, Any]) -> ArmSpec:
    name, kind = str(entry.pop("name")), str(entry.pop("kind"))
    return ArmSpec(name, kind, entry, tuple(entry.pop("only_on", ())))
