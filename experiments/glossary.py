"""The glossary in ``features/README.md``, written from the dictionary itself so that the two cannot drift apart.

    python -m experiments.glossary

writes the part between the markers again; a test compares it.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from features.glossary import relations
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

BEGIN: Final = "<!-- glossary: written by python -m experiments.glossary -->"
END: Final = "<!-- end of glossary -->"
_WORDS: Final = (
    ("cell", "电解槽", "one reduction cell (plants also say pot); `cell_id` is its key"),
    ("line", "系列", "cells in series under one current"),
    ("signal", "信号", "a named, unit-bearing quantity of the dictionary"),
    (
        "lever",
        "设定项",
        "a setpoint that we may move: set voltage, AlF3 dose, tap target (metal level), alumina feed",
    ),
    (
        "context",
        "工况",
        "what is known and not ours to move on the day: age, line current, lots, recent state",
    ),
    (
        "outcome",
        "结果",
        "what follows: energy, net anode consumption, current efficiency, temperature, noise",
    ),
    ("horizon", "预测期", "the days over which an outcome is averaged while the levers are held"),
    (
        "recommendation",
        "建议",
        "one cell, one day: `move`, `hold` or `abstain`, with levers, outcomes and reasons",
    ),
    ("decision", "决定", "what a person did with it: accept, modify, reject, with a reason"),
    ("bundle", "模型包", "the directory that training writes and serving reads"),
    ("truth", "真值", "what only the virtual potline knows; no feature or model may see it"),
    ("superheat", "过热度", "bath temperature minus liquidus: the margin that every potline lives on"),
)


def markdown() -> str:
    """Return the glossary: reserved words, signals, outcomes and relations, as Markdown tables."""
    parts = [
        "### Reserved words",
        _table(("word", "中文", "means, and nothing else"), _WORDS),
        "### Signals",
        _table(
            ("signal", "unit", "meaning", "中文", "plausible", "role", "source"),
            (
                (f"`{s.name}`", s.unit, s.meaning, s.meaning_zh, f"{s.low:g} to {s.high:g}", s.role, s.source)
                for s in SIGNALS.values()
            ),
        ),
        "### Outcomes",
        _table(
            ("outcome", "unit", "meaning", "中文", "plausible label", "role"),
            (
                (f"`{o.name}`", o.unit, o.meaning, o.meaning_zh, f"{o.low:g} to {o.high:g}", o.role)
                for o in OUTCOMES.values()
            ),
        ),
        "### Relations",
        "Tags: V read in the named source (V1 text or reprint, V2 second-hand), C computed from such, B background"
        " knowledge of the field (B-hi, B-med, B-lo: how sure).",
        _table(
            ("relation", "unit", "equation", "source", "tag"),
            ((f"`{r.name}`", r.unit, f"`{r.equation}`", r.source, r.tag) for r in relations()),
        ),
    ]
    return "\n\n".join(parts)


def written_into(text: str) -> str:
    """Return ``text`` with the part between the markers written again.

    Raises:
        ValueError: a marker is missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the glossary's markers are missing; put {BEGIN!r} and {END!r} where it belongs")
    return f"{head}{BEGIN}\n\n{markdown()}\n\n{END}{tail}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the glossary again from the command line."""
    parser = argparse.ArgumentParser(description="Write the glossary of features/README.md again.")
    parser.add_argument("readme", nargs="?", type=Path, default=Path("features/README.md"))
    path: Path = parser.parse_args().readme
    path.write_text(written_into(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
