"""A recommendation with all that it was made from, so that it can be made again: written down, and replayed.

Numbers are kept as their shortest exact decimals: what is read back is what was written, to the last bit.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from features.bundle.encoding import build, canonical, plain, sha256
from features.errors import BundleForeignError, InputError
from serving.context import Context
from serving.ledger.book import Ledger
from serving.ledger.chain import Record
from serving.ledger.contexts import context_values, read_context
from serving.ledger.entries import Kind, RecommendationEntry, SettingsEntry
from serving.ports import Identity
from serving.recommend import AdviceSettings, Advisor, Bundle
from serving.schemas import Recommendation

_ENDLESS: Final = {"inf": math.inf, "-inf": -math.inf}
_KEY: Final = "endless"
"""JSON has no infinity: it is written as ``{"endless": "inf"}``."""


def write_advice(
    ledger: Ledger,
    advised: Iterable[tuple[Recommendation, Context]],
    settings: AdviceSettings,
    identity: Identity,
) -> list[Record]:
    """Write recommendations with their contexts, all or none, and the settings behind them where they are new.

    Raises:
        InputError: a recommendation's id is not that of its content.
        LedgerError: the database refuses.
    """
    noted = settings_entry(settings)
    entries: list[tuple[Kind, object]] = [("settings", noted)]
    entries += [
        (
            "recommendation",
            RecommendationEntry.model_construct(
                recommendation=recommendation, context=context_values(context), settings=noted.digest
            ).model_dump(),
        )
        for recommendation, context in advised
    ]
    return ledger.append_all(entries, identity)[1:]


@dataclass(frozen=True)
class Replay:
    """A recommendation of the ledger made again."""

    written: Recommendation
    again: Recommendation

    @property
    def equal(self) -> bool:
        """Whether both are the same, bit for bit."""
        return _text(self.written) == _text(self.again)

    @property
    def differences(self) -> list[str]:
        """The fields that differ."""
        one, other = self.written.model_dump(mode="json"), self.again.model_dump(mode="json")
        return [name for name in one if _text(one[name]) != _text(other[name])]


def replay(ledger: Ledger, recommendation_id: str, bundle: Bundle) -> Replay:
    """Return the recommendation and what ``bundle`` recommends for the same context and settings.

    Raises:
        UnknownNameError: there is no such recommendation.
        BundleForeignError: it was made by another bundle.
        InputError: the record is not as it was written.
    """
    found = ledger.recommendation(recommendation_id)
    if not found.record.fits(found.record.sequence):
        raise InputError(
            f"record {found.record.sequence} was changed; superheat-serve ledger verify says more"
        )
    written = found.recommendation
    if bundle.manifest.digest != written.bundle_digest:
        raise BundleForeignError(
            f"recommendation {recommendation_id} was made by bundle {written.bundle_digest[:12]}..., this is"
            f" {bundle.manifest.digest[:12]}...; open the one that it names"
        )
    noted = ledger.records("settings", found.entry.settings)
    if not noted or not noted[-1].fits(noted[-1].sequence):
        raise InputError(
            f"the settings {found.entry.settings[:12]}... of this recommendation are gone or changed"
        )
    settings = read_settings(SettingsEntry.model_validate(noted[-1].body))
    return Replay(written, Advisor(bundle, settings).advise(read_context(found.entry.context)))


def settings_entry(settings: AdviceSettings) -> SettingsEntry:
    """Return ``settings`` as an entry. Where studies are kept is left out: it may be an address with a password."""
    values = _finite(plain(replace(settings, search=replace(settings.search, storage=None))))
    return SettingsEntry(digest=sha256(canonical(values)), settings=values)


def read_settings(entry: SettingsEntry) -> AdviceSettings:
    """Return the settings of ``entry``.

    Raises:
        InputError: they are not those of its digest, or not of this version.
    """
    if sha256(canonical(entry.settings)) != entry.digest:
        raise InputError(f"settings {entry.digest[:12]}... do not fit their digest; they were changed")
    try:
        return build(AdviceSettings, _endless(entry.settings))
    except ValueError as error:
        raise InputError(f"settings {entry.digest[:12]}... are of another version: {error}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return {_KEY: str(value)} if isinstance(value, float) and math.isinf(value) else value


def _endless(value: Any) -> Any:
    if isinstance(value, dict):
        return _ENDLESS[value[_KEY]] if set(value) == {_KEY} else {k: _endless(v) for k, v in value.items()}
    return [_endless(inner) for inner in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    shown = value.model_dump(mode="json") if isinstance(value, Recommendation) else value
    return json.dumps(shown, sort_keys=True, allow_nan=False)
