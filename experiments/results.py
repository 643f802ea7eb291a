"""The results table of ``README.md``, written from a run's ``summary.json`` so that no figure is typed by hand.

python -m experiments.results runs/latest/summary.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from experiments.report.numbers import family_words, outcome_words
from features.errors import InputError
from features.outcomes import TARGETS

BEGIN: Final = "<!-- results: written by python -m experiments.results runs/latest/summary.json -->"
END: Final = "<!-- end of results -->"


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the headline figures of a full run as Markdown.

    Raises:
        InputError: the summary is of a quick run, whose figures are none.
    """
    if summary["quick"]:
        raise InputError("the summary is of a quick run; its figures are no results, do a full run")
    data, advice, saving = summary["data"], summary["advice"], summary["saving"]
    kind = "**Simulated data** (the virtual potline)" if summary["simulated"] else "Plant data"
    parts = [
        f"{kind}: {data['cells']} cells, {data['days']} days, seed {summary['seed']}; scored on"
        f" {data['test_first_day']} to {data['test_last_day']}, which no model saw. Mean absolute error with its 95 %"
        " interval; *baselines* in italics."
    ]
    modelled = [summary["outcomes"][name] for name in TARGETS if name in summary["outcomes"]]
    parts += [_outcome(entry, summary["simulated"]) for entry in modelled]
    parity, energy, cost = summary["parity"], saving["energy_kwh_per_t"], saving["cost_per_t"]
    parts.append(
        f"Recommendations for {advice['date']}: {advice['moved']} cells to move, {advice['held']} held,"
        f" {advice['abstained']} abstained; expected saving over the line {energy['mean']:.0f} kWh/t"
        f" ({energy['lower']:.0f} to {energy['upper']:.0f}), {cost['mean']:.1f} {saving['currency']}/t."
        f" The exported graph answered {parity['rows']:,} rows with {parity['beyond']} beyond 1e-6 (worst"
        f" {parity['worst_relative_difference']:.1e})."
    )
    return "\n\n".join(parts)


def written_into(text: str, table: str) -> str:
    """Return ``text`` with the part between the markers replaced.

    Raises:
        ValueError: a marker is missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers are missing; put {BEGIN!r} and {END!r} where the results belong")
    return f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}"


def _outcome(entry: Mapping[str, Any], simulated: bool) -> str:
    words, unit = outcome_words(entry["name"]).en, entry["unit"]
    mark = ", simulated" if simulated else ""
    coverage = entry["coverage"]["share"]
    lines = [
        f"| {words} [{unit}]{mark} | mean absolute error | R2 |",
        "|---|---|---|",
        *(_score(score, entry["champion"]) for score in _ranked(entry["families"])),
    ]
    lines.append(
        f"\nThe {entry['nominal_coverage']:.0%} interval held {coverage:.1%} of {entry['test_rows']:,} rows."
    )
    return "\n".join(lines)


def _ranked(families: Mapping[str, Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return sorted(families.values(), key=lambda score: (score["baseline"], score["mae"]["mean"]))


def _score(score: Mapping[str, Any], champion: str) -> str:
    name = family_words(score["name"]).en
    shown = f"**{name}**" if score["name"] == champion else f"*{name}*" if score["baseline"] else name
    mae, r2 = score["mae"], score["r2"]
    return f"| {shown} | {mae['mean']:.4g} ({mae['lower']:.4g} to {mae['upper']:.4g}) | {r2['mean']:.3f} |"


def main() -> None:
    """Write the results of a summary into the README."""
    parser = argparse.ArgumentParser(description="Write the results table of README.md again.")
    parser.add_argument("summary", type=Path)
    parser.add_argument("readme", nargs="?", type=Path, default=Path("README.md"))
    told = parser.parse_args()
    summary = json.loads(told.summary.read_text(encoding="utf-8"))
    text = told.readme.read_text(encoding="utf-8")
    told.readme.write_text(written_into(text, markdown(summary)), encoding="utf-8")


if __name__ == "__main__":
    main()
