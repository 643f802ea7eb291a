"""A fitted model as one graph: rows of features in, every outcome with interval and members, and support, out."""

from features.bundle.graph import FEATURES, LOWER, MEMBERS, SUPPORT, UPPER
from features.outcomes import TARGETS
from training.export.confidence import write_interval, write_support
from training.export.structures import write_design, write_mean, write_members
from training.export.writer import GraphWriter
from training.fitted import FittedModel
from training.structures import Floats

ANSWERED_BY_MEMBER = frozenset({*TARGETS, "current_efficiency", "mean_voltage_v"})
"""Outcomes whose members the graph answers too: differences between settings are taken member by member."""


def write_graph(fitted: FittedModel, width: int) -> bytes:
    """Return ``model.onnx`` for ``fitted`` on ``width`` features.

    Raises:
        ValueError, TypeError: a structure that the graph cannot hold.
    """
    writer = GraphWriter()
    write_design(writer, width, fitted.recipe.lever_columns)
    outputs: dict[str, list[int | str]] = {}
    for name, outcome in fitted.outcomes.items():
        members = write_members(outcome.structure, writer)
        write_mean(writer, members, name=name)
        write_interval(writer, outcome.interval, name)
        outputs |= {output: ["n"] for output in (name, name + LOWER, name + UPPER)}
        if name in ANSWERED_BY_MEMBER:
            writer.node("Identity", members, name=name + MEMBERS)
            outputs[name + MEMBERS] = ["n", outcome.structure.m]
    write_support(writer, fitted.support)
    outputs[SUPPORT] = ["n"]
    return writer.to_bytes("superheat", {FEATURES: ["n", width]}, outputs)


def answers(fitted: FittedModel, z: Floats) -> dict[str, Floats]:
    """Return what the graph must answer on the design matrix ``z`` (n, z), computed by the trained estimators."""
    found: dict[str, Floats] = {}
    for name, outcome in fitted.outcomes.items():
        members = outcome.members(z)
        found[name] = members.mean(axis=1)
        half_width = outcome.interval.half_width(z)
        found[name + LOWER], found[name + UPPER] = found[name] - half_width, found[name] + half_width
        if name in ANSWERED_BY_MEMBER:
            found[name + MEMBERS] = members
    found[SUPPORT] = fitted.support.score(z)
    return found
