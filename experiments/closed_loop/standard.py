"""The comparison that ``superheat closed-loop`` makes: one line, five arms."""

from collections.abc import Sequence
from typing import Any

from experiments.closed_loop.definition import ArmSpec, Definition, LineSpec
from experiments.closed_loop.loop import LineSettings


def standard(
    preset: str, cells: int, days: int, seeds: tuple[int, ...], levers: Sequence[str] | None
) -> Definition:
    """Return the definition for one line; ``levers`` narrows what advice and oracle may move."""
    told: dict[str, Any] = {} if levers is None else {"levers": list(levers)}
    return Definition(
        name="closed-loop",
        question="How much of what an oracle could save does the advice realise on lines that no model has seen?",
        metric="cost_per_t",
        reference="operators",
        ceiling="oracle",
        safety="hold",
        seeds=seeds,
        lines=(LineSpec(preset, LineSettings(preset=preset, cells=cells, days=days)),),
        arms=(
            ArmSpec("operators", "operators"),
            ArmSpec("hold", "hold"),
            ArmSpec("naive", "naive"),
            ArmSpec("ours", "advised", told),
            ArmSpec("oracle", "oracle", told),
        ),
    )
