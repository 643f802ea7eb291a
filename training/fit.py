"""From a plant's history to a fitted model: tune, fit, choose on validation blocks, calibrate, report on the test.

    decision days   |---------------- development ----------------|---- test ----|
    origins                        ^block 1^block 2^ ... ^block B ^

Every origin trains on labels known before it. Blocks decide (strengths, blend weights, champions, widths); the
model that is handed on is the one fitted at the last origin, and the test days, which nothing was chosen on, say how
good it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from features.errors import TargetUnavailableError
from features.outcomes import OUTCOMES, TARGETS
from training.bootstrap import blocks
from training.calibration import Residuals, SupportRows, calibrate, fit_support
from training.confidence import Interval, Support
from training.estimators.boosting import fit_boosting
from training.estimators.effects import EFFICIENCY
from training.estimators.linear import fit_linear
from training.families import Fitted, Workshop, add_composed, fit_networks, fit_origins, workshop
from training.fitted import DataSpan, FittedModel, FittedOutcome
from training.identification.assess import LeverAssessment, assess
from training.inputs import TrainingInputs
from training.learning import Learning
from training.rolling import Origin, Origins, origins
from training.rows import AGE, Rows, mature, moved, usable
from training.scores import mae
from training.selection import Choice, Validation, choose, validate
from training.settings import TrainSettings
from training.structures import Bools, Structure, predict
from training.testing import Tested, baselines, test
from training.tuning import Family, TrialResult, TuningResult, tune
from training.unseen import champion, unseen_cells

_LEAST_LABELS = 200
"""An outcome with fewer labelled rows than this at any origin is not trained."""
_TUNED_BLOCKS = 2
"""Blocks (the latest) that a trial is judged on."""


class _Meter:
    """Counts finished fits and reports the share of the work that is done."""

    def __init__(self, progress: Callable[[str, float], None] | None, total: int) -> None:
        self._progress, self._total, self._done, self.stage = progress, max(total, 1), 0, ""

    def say(self, stage: str) -> None:
        self.stage = stage
        if self._progress is not None:
            self._progress(stage, min(1.0, self._done / self._total))

    def tick(self) -> None:
        self._done += 1
        self.say(self.stage)


def fit(
    inputs: TrainingInputs,
    settings: TrainSettings,
    progress: Callable[[str, float], None] | None = None,
) -> FittedModel:
    """Train every outcome that the record carries and return the model with its figures.

    The same inputs and settings give the same numbers bit for bit, whatever ``settings.workers``.

    Raises:
        InputError: too few decision days.
        TargetUnavailableError: no target has enough labels; the message says why for each.
    """
    with threadpool_limits(limits=1):  # workers are the parallelism; library threads would change sums' order
        return _fit(inputs, settings, progress)


def _fit(
    inputs: TrainingInputs, settings: TrainSettings, progress: Callable[[str, float], None] | None
) -> FittedModel:
    rows = inputs.rows()
    cuts = origins(rows, settings)
    outcomes, unavailable = _trainable(rows, cuts, inputs.labels.unavailable)
    every = (*cuts.blocks, cuts.test)
    folds = settings.cell_folds
    meter = _Meter(
        progress, settings.trials + len(every) * (len(outcomes) + 2) + folds * 6 + len(outcomes) + 1
    )
    shop, study = workshop(rows, settings), None
    if settings.trials:
        study = tune_family(shop, cuts, outcomes, "boosting", lambda _: meter.tick())
        shop = replace(shop, settings=study.settings)
    meter.say("fitting families on past and present")
    fitted = fit_origins(shop, every, outcomes, meter.tick)
    meter.say("composing targets from their identities")
    grown = _mature(shop)
    choices = _choose(shop, cuts, fitted, outcomes)
    validations = {name: validate(rows, cuts.blocks, fitted[:-1], name, grown) for name in outcomes}
    meter.say("calibrating intervals and testing")
    results = {
        name: _finish(
            shop, cuts, [one[name] for one in fitted], choices[name], validations[name], inputs, meter
        )
        for name in outcomes
    }
    meter.say("asking what the record knows of each lever")
    identification = _identification(shop, cuts, inputs)
    meter.say("asking about cells never seen")
    targets = tuple(name for name in outcomes if name in TARGETS)
    unseen = unseen_cells(shop, cuts.test, choices, targets, meter.tick) if folds else {}
    return FittedModel(
        outcomes={name: replace(out, unseen_cells=unseen.get(name, {})) for name, out in results.items()},
        unavailable=unavailable,
        support=_support(shop, cuts),
        recipe=inputs.recipe,
        window=inputs.window,
        plant=inputs.plant,
        data=_span(inputs, rows, cuts),
        settings=shop.settings,
        study=study,
        identification=identification,
    )


def _trainable(
    rows: Rows, cuts: Origins, unavailable: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the outcomes with labels enough at every origin, and why the others are left out."""
    refused = dict(unavailable)
    kept: list[str] = []
    for name in OUTCOMES:
        if name not in rows.y:
            refused.setdefault(name, "the record carries no label of it")
            continue
        if name in refused:
            continue
        least = min(int(cut.train(rows, name).sum()) for cut in (*cuts.blocks, cuts.test))
        shown = sum(int(cut.block(rows, name).sum()) for cut in cuts.blocks)
        tested = int(cuts.test.block(rows, name).sum())
        if min(least, shown, tested) < _LEAST_LABELS:
            refused[name] = (
                f"{least} labelled rows before the first block, {shown} in the blocks and {tested} on the test"
                f" days; {_LEAST_LABELS} of each needed: give a longer record"
            )
        else:
            kept.append(name)
    if not set(kept) & set(TARGETS):
        reasons = "; ".join(f"{name}: {refused.get(name, 'no label')}" for name in TARGETS)
        raise TargetUnavailableError(f"no target can be trained: {reasons}")
    return tuple(kept), refused


def _choose(
    shop: Workshop, cuts: Origins, fitted: list[Fitted], outcomes: Sequence[str]
) -> dict[str, Choice]:
    """Choose the helpers, compose the targets from them at every origin, then choose the targets."""
    grown = _mature(shop)
    helpers = {name: choose(validate(shop.rows, cuts.blocks, fitted[:-1], name, grown)) for name in outcomes}
    weights = {name: choice.weights for name, choice in helpers.items()}
    add_composed(shop, (*cuts.blocks, cuts.test), fitted, weights)
    composed = {name for name in outcomes if "composed" in fitted[-1][name]}
    return helpers | {
        name: choose(validate(shop.rows, cuts.blocks, fitted[:-1], name, grown)) for name in composed
    }


def _mature(shop: Workshop) -> Bools:
    """Return (n,): rows of mature cells, on which champions are chosen."""
    return mature(shop.rows, shop.settings.mature_from_d)


def _finish(
    shop: Workshop,
    cuts: Origins,
    by_origin: Sequence[Mapping[str, Structure]],
    choice: Choice,
    validation: Validation,
    inputs: TrainingInputs,
    meter: _Meter,
) -> FittedOutcome:
    name = validation.outcome
    families = by_origin[-1]
    structure = champion(choice, families)
    interval = _interval(shop, validation, choice, _learning(shop, cuts, by_origin, validation, choice))
    asked = {**families, choice.family: structure}
    cell_ids = [str(cell) for cell in inputs.features.cell_ids]
    tested: Tested = test(shop, name, cuts.test, (choice.family, interval), asked, cell_ids)
    meter.tick()
    return FittedOutcome(
        name=name,
        unit=OUTCOMES[name].unit,
        family=choice.family,
        structure=structure,
        interval=interval,
        scores=tested.scores,
        scores_mature=tested.scores_mature,
        validation={**choice.validation, **_baseline_errors(shop, cuts, validation)},
        unseen_cells={},
        coverage=tested.coverage,
        heldout=tested.heldout,
    )


def _baseline_errors(shop: Workshop, cuts: Origins, validation: Validation) -> dict[str, float]:
    name = validation.outcome
    masks = [(cut, cut.block(shop.rows, name)) for cut in cuts.blocks]
    parts = [baselines(shop, name, cut, here) for cut, here in masks if here.any()]
    on = validation.decides
    return {key: mae(validation.y[on], np.concatenate([part[key] for part in parts])[on]) for key in parts[0]}


def _learning(
    shop: Workshop,
    cuts: Origins,
    by_origin: Sequence[Mapping[str, Structure]],
    validation: Validation,
    choice: Choice,
) -> Learning:
    name = validation.outcome
    models = [champion(choice, families) for families in by_origin[:-1]]
    errors = []
    for block in range(len(cuts.blocks)):
        here = validation.row[(validation.block == block) & validation.decides]
        z, y = shop.rows.z[here], shop.rows.y[name][here]
        errors.append([mae(y, predict(model, z)) if len(y) else 0.0 for model in models[: block + 1]])
    rows = [int(cut.train(shop.rows, name).sum()) for cut in (*cuts.blocks, cuts.test)]
    return Learning(rows, errors)


def _interval(shop: Workshop, validation: Validation, choice: Choice, learning: Learning) -> Interval:
    picked = np.zeros(len(shop.rows), dtype=bool)
    picked[validation.row] = True  # rows are in order of date, and so are the blocks
    task, settings = shop.task(validation.outcome, picked), shop.settings
    age = shop.rows.column(AGE) if AGE in shop.rows.names else 0
    _, groups = blocks(shop.rows.cell[picked], task.date, settings.bootstrap_block_d)
    error = choice.error * learning.factors[validation.block]
    residuals = Residuals(error, validation.block, _mature(shop)[picked], len(groups))
    return calibrate(task, residuals, settings.coverage, (age, settings.mature_from_d))


def _support(shop: Workshop, cuts: Origins) -> Support:
    rows = shop.rows
    past, known = cuts.blocks[-1].past(rows), cuts.test.past(rows)
    before = rows.take(past)
    return fit_support(
        SupportRows(z=before.z, z_later=rows.take(known & ~past).z),
        usable(before),
        moved(before),
        shop.settings.support_threshold,
        shop.settings.seed,
    )


def _identification(shop: Workshop, cuts: Origins, inputs: TrainingInputs) -> dict[str, LeverAssessment]:
    """Judge every lever on the mature cells of the development days, with the labels known by their end."""
    rows = shop.rows.take(cuts.test.past(shop.rows) & _mature(shop))
    known = {name: np.where(rows.known_on[name] < cuts.test.at, y, np.nan) for name, y in rows.y.items()}
    return assess(replace(rows, y=known), inputs.window, shop.settings.horizon_d)


def _span(inputs: TrainingInputs, rows: Rows, cuts: Origins) -> DataSpan:
    known = rows.date[cuts.test.past(rows)]
    return DataSpan(
        sha256=inputs.data_sha256,
        first_day=known.min(),
        last_day=known.max(),
        rows=len(known),
        simulated=inputs.plant.simulated,
        test_first_day=cuts.test.at,
        test_last_day=rows.date.max(),
    )


def tune_family(
    shop: Workshop,
    cuts: Origins,
    outcomes: Sequence[str],
    family: Family = "boosting",
    on_trial: Callable[[TrialResult], None] | None = None,
) -> TuningResult:
    """Run a study of ``family`` on the latest validation blocks; see :func:`training.tuning.tune`.

    A trial's figure is the mean absolute error relative to the line alone, averaged over the targets and the
    current efficiency that the composed targets hang on.

    Raises:
        TargetUnavailableError: no outcome has labels enough.
    """
    single = replace(shop, weights=np.ones((len(shop.rows), 1)))
    judged = [name for name in outcomes if name in (*TARGETS, EFFICIENCY)]
    chosen = cuts.blocks[-_TUNED_BLOCKS:]
    pairs = [(cut, name) for cut in chosen for name in judged]
    jobs = [
        (cut, name)
        for cut, name in pairs
        if cut.train(shop.rows, name).sum() >= _LEAST_LABELS and cut.block(shop.rows, name).any()
    ]
    if not jobs:
        raise TargetUnavailableError(
            f"none of {', '.join(judged) or 'the outcomes'} has labels enough to tune on"
        )
    lines = {
        (cut.at, name): fit_linear(single.causal_task(name, cut.train(shop.rows, name)), shop.settings.linear)
        for cut, name in jobs
    }

    def evaluate(settings: TrainSettings) -> dict[str, float]:
        def one(job: tuple[Origin, str]) -> tuple[float, float]:
            cut, name = job
            line = lines[cut.at, name]
            train, here = cut.train(shop.rows, name), cut.block(shop.rows, name)
            rows = shop.rows.take(here)
            if family == "boosting":
                model: Structure = fit_boosting(single.task(name, train), line, settings.boosting)
            else:
                trial = replace(single, settings=replace(settings, members=1))
                model = fit_networks(trial, {name: train}, {name: {"ridge": line}})[name]
            errors = [np.abs(rows.y[name] - predict(part, rows.z)).sum() for part in (model, line)]
            return float(errors[0]), float(errors[1])

        found = shop.each(one, jobs)
        totals = {name: np.zeros(2) for _, name in jobs}
        for (_, name), pair in zip(jobs, found, strict=True):
            totals[name] += pair
        return {name: float(total[0] / total[1]) for name, total in totals.items() if total[1] > 0}

    return tune(evaluate, shop.settings, family, on_trial)
