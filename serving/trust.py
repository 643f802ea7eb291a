"""What a recommendation becomes when the model has lately been wrong: wider intervals, a hold, or nothing at all.

A pure function of the recommendation and of what was known of the errors then; both stand in the ledger, so that a
replay gives the same answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from features.errors import InputError
from features.outcomes import OUTCOMES
from serving.models.errors import LineErrors, OutcomeError, states
from serving.reasons import reason
from serving.schemas import Estimate, Expected, LeverAdvice, Reason, Recommendation, Saving

KEY: Final = "trust"
"""Where a context in the ledger holds it."""
_NOTHING: Final = Estimate(mean=0.0, lower=0.0, upper=0.0)
Evidence = Mapping[str, float | str | None]


@dataclass(frozen=True)
class Trust:
    """How far the model is trusted on one cell.

    Attributes:
        factors: outcome -> by how much its interval is widened, above 1; outcomes that are left out: not at all.
        saving: by how much the saving's intervals are widened, at least 1.
        why: the outcome behind that, with the evidence; None where nothing is widened.
        withheld: the outcome whose error forbids advice, with the evidence; None where none does.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    saving: float = 1.0
    why: Evidence | None = None
    withheld: Evidence | None = None

    @property
    def full(self) -> bool:
        """Whether nothing is held against the model."""
        return self.withheld is None and self.saving == 1.0 and not self.factors

    def values(self) -> dict[str, Any]:
        """Return plain values for the ledger."""
        return {
            "factors": dict(self.factors),
            "saving": self.saving,
            "why": None if self.why is None else dict(self.why),
            "withheld": None if self.withheld is None else dict(self.withheld),
        }

    @classmethod
    def read(cls, values: Any) -> "Trust":
        """Return what :meth:`values` wrote.

        Raises:
            InputError: it is none.
        """
        try:
            return cls(values["factors"], values["saving"], values["why"], values["withheld"])
        except (KeyError, TypeError) as error:
            raise InputError(f"the trust in the ledger cannot be read: {error}") from error


def trust_of(errors: LineErrors, cell_id: str) -> Trust:
    """Return how far the model is trusted on ``cell_id`` by its recent ``errors``."""
    found = [error for outcome in errors.outcomes if (error := errors.of(cell_id, outcome)) is not None]
    withheld = [error for error in found if error.state == "withheld"]
    widened = [error for error in found if error.factor > 1.0]
    targets = [error for error in widened if error.outcome in errors.targets]
    worst = max(targets, key=lambda error: error.factor, default=None)
    return Trust(
        {error.outcome: error.factor for error in widened},
        1.0 if worst is None else worst.factor,
        None if worst is None else _evidence(worst),
        _evidence(withheld[0]) if withheld else None,
    )


def _evidence(error: OutcomeError) -> Evidence:
    return {
        "name": error.outcome,
        "days": float(error.days),
        "missed": error.missed,
        "nominal": error.nominal,
        "factor": error.factor,
    }


class Watch:
    """What is known of the models' recent errors, by bundle and line. Safe to share between threads."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._errors: dict[tuple[str, str], LineErrors] = {}

    def note(self, digest: str, errors: LineErrors) -> None:
        """Take in how wrong the bundle ``digest`` has been on a line; what was known of other bundles there goes."""
        kept = {key: known for key, known in self._errors.items() if key[1] != errors.line_id}
        self._errors = {**kept, (digest, errors.line_id): errors}

    @property
    def known(self) -> Sequence[LineErrors]:
        """All that is known, a line each."""
        return list(self._errors.values())

    def states(self, line_id: str) -> list[dict[str, Any]]:
        """Return how each outcome stands on a line; none where nothing is known."""
        return [row for errors in self.known if errors.line_id == line_id for row in states(errors)]

    def counted_in(self, advised: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``advised`` (recommendation, context and settings' digest) with the model's errors counted in.

        The context then holds what replays it.
        """
        told = advised["recommendation"]
        errors = self._errors.get((told["bundle_digest"], told["line_id"]))
        trust = Trust() if errors is None else trust_of(errors, told["cell_id"])
        if trust.full:
            return advised
        advice = trusted(Recommendation.model_validate(told), trust)
        return {
            **advised,
            "recommendation": advice.model_dump(mode="json"),
            "context": {**advised["context"], KEY: trust.values()},
        }


def trusted(advice: Recommendation, trust: Trust) -> Recommendation:
    """Return ``advice`` as far as the model is trusted, under the name of its content.

    Withheld: ``abstain``. Widened: every interval wider about its mean, and a move whose saving is then no longer
    sure is held.
    """
    if advice.status == "abstain" or trust.full:
        return advice
    if trust.withheld is not None:
        told = _reason("model_error", trust.withheld)
        return _sealed(
            advice, status="abstain", levers=(), expected={}, saving=None, binding=(), reasons=(told,)
        )
    expected = {name: _wider(one, trust.factors.get(name, 1.0)) for name, one in advice.expected.items()}
    saving = None if advice.saving is None else _saving(advice.saving, trust.saving)
    reasons = advice.reasons
    if trust.why is not None:
        if advice.status == "move" and saving is not None and not saving.cost_per_t.lower > 0:
            return _held(advice, expected, saving, trust.why)
        reasons = (*reasons, _reason("model_error_widened", trust.why))
    return _sealed(advice, expected=expected, saving=saving, reasons=reasons)


def _held(
    advice: Recommendation, expected: Mapping[str, Expected], saving: Saving, evidence: Evidence
) -> Recommendation:
    """Return the hold that a move becomes; today's setting is expected with the interval that the move had."""
    still = {
        name: Expected(
            unit=one.unit,
            current=one.current,
            recommended=one.current,
            lower=one.current - (one.recommended - one.lower),
            upper=one.current + (one.upper - one.recommended),
        )
        for name, one in expected.items()
    }
    levers = tuple(
        LeverAdvice(**{**lever.model_dump(), "recommended": lever.current, "path": ()})
        for lever in advice.levers
    )
    nothing = Saving(
        energy_kwh_per_t=_NOTHING,
        net_anode_kg_per_t=None if saving.net_anode_kg_per_t is None else _NOTHING,
        cost_per_t=_NOTHING,
        currency=saving.currency,
    )
    why = _reason("model_error_unsure", evidence)
    return _sealed(
        advice, status="hold", levers=levers, expected=still, saving=nothing, binding=(), reasons=(why,)
    )


def _reason(code: str, evidence: Evidence) -> Reason:
    meant = OUTCOMES[str(evidence["name"])]
    told = {key: value for key, value in evidence.items() if key != "name"}
    return reason(code, {**told, "outcome": meant.meaning}, outcome=meant.meaning_zh)


def _wider(one: Expected, factor: float) -> Expected:
    return Expected(
        unit=one.unit,
        current=one.current,
        recommended=one.recommended,
        lower=one.recommended - factor * (one.recommended - one.lower),
        upper=one.recommended + factor * (one.upper - one.recommended),
    )


def _saving(saving: Saving, factor: float) -> Saving:
    def wider(one: Estimate) -> Estimate:
        lower, upper = one.mean - factor * (one.mean - one.lower), one.mean + factor * (one.upper - one.mean)
        return Estimate(mean=one.mean, lower=lower, upper=upper)

    anode = saving.net_anode_kg_per_t
    return Saving(
        energy_kwh_per_t=wider(saving.energy_kwh_per_t),
        net_anode_kg_per_t=None if anode is None else wider(anode),
        cost_per_t=wider(saving.cost_per_t),
        currency=saving.currency,
    )


def _sealed(advice: Recommendation, **changes: object) -> Recommendation:
    kept = {
        name: getattr(advice, name) for name in Recommendation.model_fields if name != "recommendation_id"
    }
    return Recommendation.sealed(**{**kept, **changes})
