"""Arms as an experiment names them, made ready to live through one seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from experiments.closed_loop.advised import RETURNED, Advised, narrowed
from experiments.closed_loop.arms import Hold, Operators, Oracle, OracleSettings
from experiments.closed_loop.loop import Arm
from experiments.closed_loop.naive import Naive, PlainModel
from experiments.prepare import prepare, read_record
from features.errors import SettingsError
from features.policy.cost import Prices
from features.setpoints import OperatingWindow
from serving.guard import GuardSettings
from serving.limits import DEFAULT_LIMITS, Limit
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, Advisor
from serving.search.study import SearchSettings

_ADVICE: Final = ("confidence", "least_saving", "lever_tolerance", "alf3_saving_share", "hold_days")
_GUARD: Final = ("support", "settle_anode_effect_d", "young_cell_d")


@dataclass(frozen=True)
class Workbench:
    """What arms are made of: one bundle, opened once, and the history for those that train their own model."""

    bundle: Path
    data: Path

    @cached_property
    def predictor(self) -> Predictor:
        """The bundle, verified as a service verifies it."""
        return Predictor.open(self.bundle)

    @property
    def prices(self) -> Prices:
        """The plant's prices, by which every arm is judged."""
        return self.predictor.manifest.plant.prices

    @property
    def window(self) -> OperatingWindow:
        """The bundle's levers, bounds, steps and joint limits: what every arm may do."""
        return self.predictor.manifest.operating_window

    @cached_property
    def plain(self) -> PlainModel:
        """A plain model of the history that the bundle was trained on."""
        record = read_record(self.data, None)
        return PlainModel.trained(prepare(record, self.predictor.manifest.horizon_days).inputs)

    def arm(self, name: str, kind: str, options: Mapping[str, Any]) -> Arm:
        """Return a fresh arm.

        Raises:
            SettingsError: an option that the kind does not have.
            UnknownNameError: a lever or method that does not exist.
        """
        made: Mapping[str, Callable[..., Arm]] = {
            "operators": Operators,
            "hold": Hold,
            "naive": self._naive,
            "oracle": self._oracle,
            "advised": self._advised,
        }
        try:
            return made[kind](**options)
        except TypeError as error:
            raise SettingsError(f"arm {name} of kind {kind}: {error}; correct its options") from error

    def _naive(self, seed: int = 0) -> Arm:
        return Naive(self.plain, self.prices, seed)

    def _oracle(self, levers: list[str] | None = None, **told: Any) -> Arm:
        window = narrowed(self.window, levers) or self.window
        return Oracle(window, self.prices, OracleSettings(**told))

    def _advised(
        self,
        levers: list[str] | None = None,
        returned: list[str] | None = None,
        patience_d: int = 7,
        watch_errors: bool = True,
        **told: Any,
    ) -> Arm:
        advice = {name: told.pop(name) for name in _ADVICE if name in told}
        guard: dict[str, Any] = {name: told.pop(name) for name in _GUARD if name in told}
        guard["limits"] = _limits(told.pop("limits", {}))
        search = {name: told.pop(name) for name in ("method", "starts") if name in told}
        if told:
            raise SettingsError(f"an advised arm knows no {', '.join(told)}")
        settings = replace(
            AdviceSettings(**advice),
            window=narrowed(self.window, levers),
            guard=GuardSettings(**guard),
            search=SearchSettings(**search),
        )
        back = RETURNED if returned is None else tuple(returned)
        return Advised(
            Advisor(self.predictor, settings), self.predictor if watch_errors else None, back, patience_d
        )


def _limits(told: Mapping[str, Mapping[str, Any]]) -> tuple[Limit, ...]:
    """Return the guard's windows, those of the outcomes in ``told`` with the numbers given there."""
    unknown = sorted(set(told) - {limit.outcome for limit in DEFAULT_LIMITS})
    if unknown:
        raise SettingsError(f"no window to change for {', '.join(unknown)}")
    return tuple(replace(limit, **told.get(limit.outcome, {})) for limit in DEFAULT_LIMITS)
