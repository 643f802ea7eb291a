"""The results tables of ``README.md``, written from what runs leave so that no figure is typed by hand.

python -m experiments.results runs/latest/summary.json
python -m experiments.results runs/experiments/closed-loop-headline/figures.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from experiments.report.numbers import family_words, outcome_words
from features.errors import InputError
from features.outcomes import TARGETS


@dataclass(frozen=True)
class Place:
    """Where a table stands in the README: between two markers."""

    begin: str
    end: str


RUN: Final = Place(
    "<!-- results: written by python -m experiments.results runs/latest/summary.json -->",
    "<!-- end of results -->",
)
CLOSED_LOOP: Final = Place(
    "<!-- closed loop: written by python -m experiments.results"
    " runs/experiments/closed-loop-headline/figures.json -->",
    "<!-- end of closed loop -->",
)


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


def closed_loop_markdown(figures: Mapping[str, Any]) -> str:
    """Return an experiment's figures (``figures.json``) as Markdown.

    Raises:
        InputError: the experiment was not run to its end.
    """
    told = figures["experiment"]
    if figures["missing"]:
        raise InputError(
            f"{told['name']} lacks {', '.join(figures['missing'])}; run it again, it goes on where it was"
        )
    days = {line["name"]: line["settings"] for line in told["lines"]}
    parts = [
        f"**Simulated data**: `superheat experiment run {told['name']}`, {len(figures['seeds'])} seeds."
        f" Savings against {told['reference']} in currency a tonne, hours and anode effects beyond"
        f" {told['safety'] or told['reference']}, all paired by seed with 95 % intervals; share: of the"
        f" {told['ceiling']}'s saving, median over seeds.",
        "| line | arm | kWh/t | kg C/t | saves /t | share | superheat outside, added h/d | temperature outside, added h/d"
        " | anode effects added /d | promised, realised /t | inside |\n|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    parts[1] += "".join("\n" + _arm(row, days[row["line"]]) for row in figures["arms"])
    return "\n\n".join(parts)


def _arm(row: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    name = f"**{row['arm']}**" if row["kind"] == "advised" else row["arm"]
    kept = row["kept"]
    cells = [
        f"{row['line']} ({line['preset']}, {line['cells']} cells, {line['days']} d)",
        name,
        f"{row['level']['energy_kwh_per_t']:,.0f}",
        f"{row['level']['net_anode_kg_per_t']:.1f}",
        _spread(row["change"]["cost_per_t"], 1),
        "–" if row["share"]["mean"] is None else f"{row['share']['mean']:.0%}",
        *(_spread(row["harm"][key], 2) for key in ("superheat_outside_h", "temperature_outside_h")),
        _spread(row["harm"]["anode_effects"], 3),
        "–" if kept is None else f"{kept['promised']:.1f}, {kept['realised']:.1f}",
        "–" if kept is None or kept["inside"] is None else f"{kept['inside']:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(interval: Mapping[str, float | None], decimals: int) -> str:
    mean, lower, upper = (interval[end] for end in ("mean", "lower", "upper"))
    if mean is None:
        return "–"
    if lower is None or upper is None:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ({lower:.{decimals}f} to {upper:.{decimals}f})"


def written_into(text: str, table: str, place: Place = RUN) -> str:
    """Return ``text`` with the part between the markers of ``place`` replaced.

    Raises:
        ValueError: a marker is missing.
    """
    head, begin, rest = text.partition(place.begin)
    _, end, tail = rest.partition(place.end)
    if not begin or not end:
        raise ValueError(
            f"the markers are missing; put {place.begin!r} and {place.end!r} where the results belong"
        )
    return f"{head}{place.begin}\n\n{table}\n\n{place.end}{tail}"


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
    """Write the results of a run, or of the closed loop, into the README."""
    parser = argparse.ArgumentParser(description="Write a results table of README.md again.")
    parser.add_argument("results", type=Path, help="summary.json of a run, or figures.json of an experiment")
    parser.add_argument("readme", nargs="?", type=Path, default=Path("README.md"))
    told = parser.parse_args()
    found = json.loads(told.results.read_text(encoding="utf-8"))
    table, place = (
        (closed_loop_markdown(found), CLOSED_LOOP) if "experiment" in found else (markdown(found), RUN)
    )
    text = told.readme.read_text(encoding="utf-8")
    told.readme.write_text(written_into(text, table, place), encoding="utf-8")


if __name__ == "__main__":
    main()
