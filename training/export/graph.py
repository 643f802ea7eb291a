"""A fitted model as one graph: rows of features in, every outcome with interval and members, and support, out."""

from collections.abc import Iterable, Mapping, Sequence

from features.bundle.graph import FEATURES, LOWER, MEMBERS, SUPPORT, UPPER
from features.outcomes import TARGETS
from training.export.confidence import write_half_widths, write_support
from training.export.structures import Members, write_design
from training.export.writer import GraphWriter
from training.fitted import FittedModel
from training.structures import Floats, Structure

ANSWERED_BY_MEMBER = frozenset({*TARGETS, "current_efficiency", "mean_voltage_v"})
"""Outcomes whose members the graph answers too: differences between settings are taken member by member."""


def write_graph(fitted: FittedModel, width: int) -> bytes:
    """Return ``model.onnx`` for ``fitted`` on ``width`` features.

    Raises:
        ValueError, TypeError: a structure that the graph cannot hold.
    """
    writer = GraphWriter()
    levers = fitted.recipe.lever_columns
    write_design(writer, width, levers)
    outcomes = fitted.outcomes
    intervals = [outcome.interval for outcome in outcomes.values()]
    structures = {name: outcome.structure for name, outcome in outcomes.items()}
    scales = [interval.scale for interval in intervals]
    members = Members(writer, [*structures.values(), *scales], width + len(levers))
    mean = members.means(list(structures.values()))
    half_width = write_half_widths(writer, intervals, members)
    ends = writer.node("Sub", mean, half_width), writer.node("Add", mean, half_width)
    _part(writer, writer.node("Concat", mean, *ends, axis=0), [-1], _names(outcomes))
    answered = {name: structures[name] for name in structures if name in ANSWERED_BY_MEMBER}
    for m in dict.fromkeys(structure.m for structure in answered.values()):
        alike = {name: structure for name, structure in answered.items() if structure.m == m}
        _part(writer, members.stack(list(alike.values())), [-1, m], [name + MEMBERS for name in alike])
    write_support(writer, fitted.support)
    return writer.to_bytes("superheat", {FEATURES: ["n", width]}, _outputs(structures))


def _names(outcomes: Iterable[str]) -> list[str]:
    return [name + end for end in ("", LOWER, UPPER) for name in outcomes]


def _part(writer: GraphWriter, stack: str, shape: Sequence[int], names: Sequence[str]) -> None:
    """Give each slice (n, m) of ``stack`` (s, n, m) one of ``names``, and the ``shape`` of an output."""
    writer.split(writer.node("Reshape", stack, writer.constant(shape)), names)


def _outputs(structures: Mapping[str, Structure]) -> dict[str, list[int | str]]:
    """Return the outputs in the order of a bundle: name -> shape."""
    outputs: dict[str, list[int | str]] = {}
    for name, structure in structures.items():
        outputs |= {output: ["n"] for output in (name, name + LOWER, name + UPPER)}
        if name in ANSWERED_BY_MEMBER:
            outputs[name + MEMBERS] = ["n", structure.m]
    return {**outputs, SUPPORT: ["n"]}


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
