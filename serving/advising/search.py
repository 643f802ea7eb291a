"""What an advice worker does by search: settings settled, cells advised, a person's own setting judged."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from features.errors import SettingsError
from features.setpoints import Lever, OperatingWindow
from serving.advising.explain import explain
from serving.advising.shift import first_moves
from serving.constraints import constraint_words
from serving.ledger.advice import read_settings, settings_entry
from serving.ledger.contexts import context_values, read_context
from serving.ledger.entries import SettingsEntry
from serving.predictor import Predictor
from serving.recommend import AdviceSettings, Advisor
from serving.refusals import refused
from serving.schemas import Recommendation
from serving.search.allocation import Budget

_KEPT: Final = 4
_NARROWED: Final = ("low", "high", "max_daily_step", "window")


class SearchDesk:
    """A bundle's advisors, one for each way of asking, the last few kept."""

    def __init__(self, predictor: Predictor) -> None:
        """Advise by ``predictor``."""
        self._predictor = predictor
        self._advisors: OrderedDict[str, Advisor] = OrderedDict()

    def settle(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that a request's window and prices make, once they are known to be usable."""
        settings = settings_of(self._predictor, told.get("window"), told.get("prices"))
        entry = settings_entry(settings)
        self._keep(entry, settings)
        return entry.model_dump(mode="json")

    def advise(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the recommendation for one context, as the ledger takes it."""
        entry = SettingsEntry.model_validate(told["settings"])
        context = read_context(told["context"])
        advice = self._advisor(entry).advise(context)
        return {
            "recommendation": advice.model_dump(mode="json"),
            "context": context_values(context),
            "settings": entry.digest,
        }

    def judge(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return a person's own setting with the way to it, where the guard lets it pass.

        Raises:
            RefusedError: 422, what it breaks named.
        """
        advisor = self._advisor(SettingsEntry.model_validate(told["settings"]))
        judged, breaks = advisor.judge(read_context(told["context"]), told["levers"])
        if breaks:
            broken = [(*constraint_words(found.constraint), f"{found.excess:.3g}") for found in breaks[:4]]
            worst = "; ".join(f"{words} by {excess}" for words, _, excess in broken)
            worst_zh = "；".join(f"{words}，超出 {excess}" for _, words, excess in broken)
            raise refused(422, "unsafe", zh={"worst": worst_zh}, worst=worst)
        names = advisor.window.names
        return {
            "levers": dict(zip(names, judged.target.tolist(), strict=True)),
            "days": len(judged.stages),
        }

    def allocate(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return which of a line's open moves a shift should make first."""
        advice = [Recommendation.model_validate(values) for values in told["recommendations"]]
        return first_moves(advice, Budget(**told["budget"]), told["line_current_ka"])

    def explain(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return why a recommendation says what it says."""
        advisor = self._advisor(SettingsEntry.model_validate(told["settings"]))
        context = read_context(told["context"])
        return explain(self._predictor, advisor, context, told["levers"], told["typical"])

    def _advisor(self, entry: SettingsEntry) -> Advisor:
        if entry.digest not in self._advisors:
            self._keep(entry, read_settings(entry))
        self._advisors.move_to_end(entry.digest)
        return self._advisors[entry.digest]

    def _keep(self, entry: SettingsEntry, settings: AdviceSettings) -> None:
        if entry.digest not in self._advisors:
            self._advisors[entry.digest] = Advisor(self._predictor, settings)
        while len(self._advisors) > _KEPT:
            self._advisors.popitem(last=False)


def settings_of(predictor: Predictor, window: Any, prices: Any) -> AdviceSettings:
    """Return the service's settings, narrowed to ``window`` and counted in ``prices`` where they are given.

    Raises:
        InputError: a window wider than the bundle's, an unknown lever or price.
    """
    settings = AdviceSettings()
    if prices:
        told: dict[str, Any] = {name: float(value) for name, value in prices.items() if value is not None}
        settings = replace(settings, prices=replace(predictor.manifest.plant.prices, **told))
    if window:
        own_window = predictor.manifest.operating_window
        levers = tuple(_narrowed(own_window, values) for values in window)
        settings = replace(settings, window=OperatingWindow(levers))
    return settings


def _narrowed(own: OperatingWindow, values: Mapping[str, Any]) -> Lever:
    lever = own.lever(values["name"])
    told: dict[str, Any] = {name: float(values[name]) for name in _NARROWED if values.get(name) is not None}
    narrow = replace(lever, **told)
    slack = 1e-6 * lever.resolution
    for name, sign in (("low", -1.0), ("high", 1.0), ("max_daily_step", 1.0), ("window", 1.0)):
        asked, known = getattr(narrow, name), getattr(lever, name)
        if sign * (asked - known) > slack:
            raise SettingsError(
                f"window of {lever.name}: {name} {asked:g} {lever.unit} is wider than the bundle's {known:g};"
                " a request may only narrow it"
            )
    return narrow
