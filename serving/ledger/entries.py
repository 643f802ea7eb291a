"""What may be written into the ledger: one model a kind; unknown fields, NaN and infinity are refused."""

import datetime
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError, model_validator

from features.errors import InputError
from serving.schemas import Recommendation

Kind = Literal["settings", "recommendation", "decision", "applied", "measured", "audit"]
Action = Literal["accept", "modify", "reject"]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
Levers = dict[Name, FiniteFloat]
_About = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Words = Annotated[str, Field(max_length=2000)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def about(self) -> str | None:
        """What the record is found by; None for nothing."""
        return None


class SettingsEntry(_Entry):
    """The settings that recommendations were made with, written once and named by their digest."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    settings: dict[str, JsonValue]

    @property
    def about(self) -> str:
        """The digest."""
        return self.digest


class RecommendationEntry(_Entry):
    """A recommendation, the context it was made from, and the digest of the settings it was made with."""

    recommendation: Recommendation
    context: dict[str, JsonValue]
    settings: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _named_by_its_content(self) -> Self:
        found = self.recommendation
        if found.content_hash() != found.recommendation_id:
            raise ValueError(f"{found.recommendation_id[:64]} is not the id of the recommendation's content")
        return self

    @property
    def about(self) -> str:
        """The recommendation's id."""
        return self.recommendation.recommendation_id


class Decision(_Entry):
    """What a person, or an approved mode, made of a recommendation."""

    recommendation_id: _About
    action: Action
    levers: Levers | None = None
    """With ``modify``: the settings chosen instead."""
    reason: _Words = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.action == "modify") != bool(self.levers):
            raise ValueError("levers belong to modify, and modify needs them")
        if self.action == "reject" and not self.reason.strip():
            raise ValueError("reject needs a reason")
        return self

    @property
    def about(self) -> str:
        """The recommendation's id."""
        return self.recommendation_id


class Applied(_Entry):
    """What was really set, and on which day."""

    recommendation_id: _About
    date: datetime.date
    levers: Annotated[Levers, Field(min_length=1)]

    @property
    def about(self) -> str:
        """The recommendation's id."""
        return self.recommendation_id


class Measured(_Entry):
    """What came of it: outcomes by name, averaged from ``first`` to ``last``."""

    recommendation_id: _About
    first: datetime.date
    last: datetime.date
    outcomes: Annotated[Levers, Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"measured from {self.first} to {self.last}: the end is before the beginning")
        return self

    @property
    def about(self) -> str:
        """The recommendation's id."""
        return self.recommendation_id


class AuditEntry(_Entry):
    """A change of state: its category (those of IEC 62443-4-2 CR 2.8), what was done, to what, and how it ended."""

    category: Literal[
        "access control",
        "request error",
        "control system event",
        "backup and restore",
        "configuration change",
        "log event",
    ]
    action: Name
    target: dict[str, JsonValue] = Field(default_factory=dict)
    result: Literal["done", "refused", "failed"] = "done"


Entry = SettingsEntry | RecommendationEntry | Decision | Applied | Measured | AuditEntry

KINDS: Final[Mapping[Kind, type[Entry]]] = {
    "settings": SettingsEntry,
    "recommendation": RecommendationEntry,
    "decision": Decision,
    "applied": Applied,
    "measured": Measured,
    "audit": AuditEntry,
}


def entry_of(kind: Kind, body: object) -> Entry:
    """Return ``body`` (plain values, or the entry itself) as an entry of ``kind``.

    Raises:
        InputError: no such kind, or the body is none of it; the message names the field.
    """
    if kind not in KINDS:
        raise InputError(f"the ledger keeps no {str(kind)[:64]!r}; kinds are {', '.join(KINDS)}")
    try:
        found = KINDS[kind].model_validate(body)
        text_of(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{kind} {where}: {first['msg']}") from error
    except ValueError as error:
        raise InputError(f"{kind}: {error}; give finite numbers") from error
    return found


def text_of(entry: Entry) -> str:
    """Return the one text of ``entry``: sorted keys, ASCII, every float by its shortest exact decimal.

    Raises:
        ValueError: a number that is not finite.
    """
    value = entry.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
