"""The model card: what a bundle is, what it was tried on, and what it must not be used for, in plain words.

It is a function of the manifest alone (less ``created``), so the same bundle has the same card.
"""

from collections.abc import Iterator, Mapping, Sequence

from features.bundle.manifest import Figures, LeverInfo, Manifest, OutcomeInfo
from features.outcomes import OUTCOMES
from features.signals import SIGNALS

_BASELINES: Mapping[str, str] = {
    "persistence": "the cell's last known value",
    "running_estimate": "the running estimate that the features hold",
    "cell_mean": "the cell's own mean",
    "ridge_plain": "plain ridge regression",
}


def write_card(manifest: Manifest) -> str:
    """Return the card of ``manifest`` as Markdown."""
    sections = (_what, _data, _errors, _intervals, _levers, _limits, _origin)
    return "\n".join(line for section in sections for line in (*section(manifest), ""))


def _what(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.name} {manifest.version}"
    yield ""
    if manifest.data.simulated:
        yield "> **SIMULATED.** Trained on a virtual potline. Its figures say nothing about a real plant."
        yield ""
    yield (
        f"Predicts what follows for one reduction cell when its setpoints are held for {_days(manifest.horizon_days)},"
        " from what was reported up to the day before."
    )
    yield ""
    rows = [
        (
            OUTCOMES[outcome.name].meaning if outcome.name in OUTCOMES else outcome.name,
            f"`{outcome.name}`",
            outcome.unit,
            "target" if outcome.name in _targets(manifest) else "helper",
            outcome.family,
        )
        for outcome in manifest.outcomes
    ]
    yield from _table(("outcome", "name", "unit", "role", "predicted by"), rows)
    for missing in manifest.unavailable:
        yield ""
        yield f"Not available: `{missing.name}`. {missing.reason}"


def _data(manifest: Manifest) -> Iterator[str]:
    data, plant = manifest.data, manifest.plant
    origin = "a virtual potline (SIMULATED)" if data.simulated else "the plant's record"
    yield "## Data"
    yield ""
    yield f"- Line: {plant.name}, {plant.line_current_ka:g} kA, {plant.anodes_per_cell} anodes a cell."
    yield f"- Trained on decisions of {data.span[0]} to {data.span[1]}, {data.rows:,} rows, from {origin}."
    yield f"- Errors below are of {data.test_span[0]} to {data.test_span[1]}."
    yield f"- Features: {len(manifest.features)}, of which {_may_miss(manifest)} may be missing."
    yield f"- SHA-256 of the tables: `{data.sha256}`."


def _errors(manifest: Manifest) -> Iterator[str]:
    yield "## Errors on days that no fit saw"
    yield ""
    yield "Mean absolute error with its 95 % interval, and R2, beside what needs no model. Lower error is better."
    for outcome in manifest.outcomes:
        yield ""
        yield f"### {outcome.name} [{outcome.unit}]"
        yield ""
        rows = [_score(outcome, family, figures) for family, figures in outcome.metrics.items()]
        rows += _of_group(outcome, "mature cells", outcome.metrics_mature)
        rows += _of_group(outcome, "unseen cells", outcome.unseen_cells)
        yield from _table(("predicted by", "MAE", "95 % interval", "R2", "rows"), rows)
        yield ""
        yield _verdict(outcome)


def _intervals(manifest: Manifest) -> Iterator[str]:
    yield "## Intervals"
    yield ""
    rows = [
        (outcome.name, f"{outcome.interval.coverage:.0%}", group, *_coverage(figures))
        for outcome in manifest.outcomes
        for group, figures in outcome.interval.measured.items()
    ]
    if manifest.outcomes:
        yield f"Method: {manifest.outcomes[0].interval.method}."
        yield ""
    yield from _table(("outcome", "nominal", "rows of", "measured", "95 % interval", "half-width"), rows)


def _levers(manifest: Manifest) -> Iterator[str]:
    yield "## Levers"
    yield ""
    heads = ("lever", "name", "unit", "low", "high", "step a day", "largest move", "resolution")
    yield from _table(heads, [_lever(lever) for lever in manifest.levers])
    for lever in manifest.levers:
        told = lever.identification
        yield ""
        yield f"{lever.name}: {told.grade.replace('_', ' ')}. {told.text} {_standing(lever)}"
    for limit in manifest.limits:
        yield ""
        yield f"Joint limit: {limit.name}, over {', '.join(sorted(limit.levers))}."


def _standing(lever: LeverInfo) -> str:
    told = lever.identification
    figures = f"{told.moves:,} moves, {told.own_share:.0%} of their variance the lever's own."
    return f"{figures} It is not moved." if told.grade == "not_identified" else figures


def _limits(manifest: Manifest) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "- For this line, these signals and the levers above. Another line needs a model of its own."
    yield (
        f"- A row with a support score below {manifest.support.threshold:g} lies outside the data that the model"
        " has seen; do not act on its prediction."
    )
    yield (
        "- The effect of a lever is learnt from a plant's own record, in which setpoints were moved for reasons."
        " Check a saving on the plant before counting on it."
    )
    yield "- Intervals cover single predictions, not the difference between two settings."
    yield "- Advice for a person. It sets nothing by itself."


def _origin(manifest: Manifest) -> Iterator[str]:
    opsets = ", ".join(f"{domain} {version}" for domain, version in sorted(manifest.opset.items()))
    yield "## Origin"
    yield ""
    yield f"- Seed {manifest.seed}, code revision `{manifest.code_revision}`, protocol {manifest.protocol}."
    yield f"- Recipe `{manifest.recipe.digest}`, operators {opsets}."
    yield "- The graph gives the trained estimators' answers to within 1e-6; `parity.npz` holds rows that show it."


def _of_group(outcome: OutcomeInfo, group: str, metrics: Mapping[str, Figures]) -> list[tuple[str, ...]]:
    """Return the scores of ``outcome`` on one group of rows, marked as such."""
    scores = [_score(outcome, family, figures) for family, figures in metrics.items()]
    return [(f"{name}, {group}", *rest) for name, *rest in scores]


def _score(outcome: OutcomeInfo, family: str, figures: Figures) -> tuple[str, ...]:
    name = _BASELINES.get(family, family)
    name = f"**{name}**" if family == outcome.family else name
    between = f"{_number(figures.get('mae_low'))} to {_number(figures.get('mae_high'))}"
    rows = figures.get("rows")
    return (
        name,
        _number(figures.get("mae")),
        between,
        _number(figures.get("r2")),
        "-" if rows is None else f"{rows:,.0f}",
    )


def _verdict(outcome: OutcomeInfo) -> str:
    """Say whether the chosen family beats the best baseline, from the same test rows."""
    errors = {family: figures.get("mae") for family, figures in outcome.metrics.items()}
    own = errors.get(outcome.family)
    rivals = {family: mae for family, mae in errors.items() if family in _BASELINES and mae is not None}
    if own is None or not rivals:
        return "No baseline was measured: judge nothing by these figures alone."
    best = min(rivals, key=lambda family: rivals[family])
    if rivals[best] <= own:
        return f"**It does not beat {_BASELINES[best]}** ({_number(rivals[best])} {outcome.unit})."
    less = 1.0 - own / rivals[best]
    return f"{less:.0%} less error than the best baseline, {_BASELINES[best]} ({_number(rivals[best])})."


def _coverage(figures: Figures) -> tuple[str, str, str]:
    share, low, high = (figures.get(name) for name in ("share", "low", "high"))
    return _percent(share), f"{_percent(low)} to {_percent(high)}", _number(figures.get("half_width"))


def _lever(lever: LeverInfo) -> tuple[str, ...]:
    meaning = SIGNALS[lever.name].meaning if lever.name in SIGNALS else lever.name
    numbers = (lever.low, lever.high, lever.max_daily_step, lever.window, lever.resolution)
    return (meaning, f"`{lever.name}`", lever.unit, *(f"{number:g}" for number in numbers))


def _targets(manifest: Manifest) -> set[str]:
    return {target.name for target in manifest.targets}


def _may_miss(manifest: Manifest) -> int:
    return sum(feature.may_be_missing for feature in manifest.features)


def _days(count: int) -> str:
    return "one day" if count == 1 else f"{count} days"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "None."
        return
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in row) + " |"
