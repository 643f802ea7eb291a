"""Rule packs: the numbers of policy as dated, cited records, apart from the code that applies them.

A rule carries the metric that it judges, because most disputes about a threshold are about *which* energy is
meant, and its dates, because history must be judged by the rule of its day. A report that shows a rule shows its
tag with it.
"""

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, cast, get_args

from features.errors import SettingsError, UnknownNameError
from features.relations import Tag


@dataclass(frozen=True)
class Source:
    """The document behind a rule, how it was read, and where."""

    document: str
    read_as: str
    url: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule: what it judges, when, with which numbers, and who says so.

    Raises:
        SettingsError: an empty validity, an unknown tag or a rule without numbers.
    """

    id: str
    family: str
    """Rules of one family follow each other in time."""
    metric: str
    unit: str
    valid_from: datetime.date
    valid_to: datetime.date | None
    """Last day, or None while it holds."""
    tag: Tag
    source: Source
    numbers: Mapping[str, float]
    note: str = ""

    def __post_init__(self) -> None:
        """Check dates, tag and numbers."""
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise SettingsError(
                f"rule {self.id} ends {self.valid_to} before it starts {self.valid_from}; swap them"
            )
        if self.tag not in get_args(Tag):
            raise SettingsError(
                f"rule {self.id} has the tag {self.tag!r}; use one of {', '.join(get_args(Tag))}"
            )
        if not self.numbers:
            raise SettingsError(f"rule {self.id} has no numbers; add a [rule.numbers] table")

    def holds_on(self, day: datetime.date) -> bool:
        """Whether the rule is in force on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def number(self, name: str) -> float:
        """One of the rule's numbers.

        Raises:
            UnknownNameError: the rule has no such number.
        """
        if name not in self.numbers:
            raise UnknownNameError(
                f"rule {self.id} has no number {name!r}; it has {', '.join(sorted(self.numbers))}"
            )
        return self.numbers[name]


def pack_names() -> tuple[str, ...]:
    """Names of the rule packs.

    >>> "tariff" in pack_names()
    True
    """
    entries = resources.files("features.policy").joinpath("packs").iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))
    )


@cache
def load_pack(name: str) -> Mapping[str, Rule]:
    """The rules of a pack by id, in the order of the file.

    Raises:
        UnknownNameError: there is no such pack.
        SettingsError: a rule is incomplete, or two carry one id.

    >>> load_pack("tariff")["tariff.cn.al.2025"].number("threshold")
    13300.0
    """
    if name not in pack_names():
        raise UnknownNameError(f"there is no rule pack {name!r}; choose one of {', '.join(pack_names())}")
    path = resources.files("features.policy").joinpath("packs", f"{name}.toml")
    return parse_pack(name, path.read_text(encoding="utf-8"))


def parse_pack(name: str, text: str) -> Mapping[str, Rule]:
    """The rules in the text of a pack, by id.

    Raises:
        SettingsError: a rule is incomplete, or two carry one id.
    """
    rules: dict[str, Rule] = {}
    for entry in tomllib.loads(text).get("rule", []):
        rule = _rule(name, entry)
        if rule.id in rules:
            raise SettingsError(f"pack {name} has two rules {rule.id}; rename one")
        rules[rule.id] = rule
    return MappingProxyType(rules)


def _rule(pack: str, entry: Mapping[str, Any]) -> Rule:
    try:
        return Rule(
            id=entry["id"],
            family=entry["family"],
            metric=entry["metric"],
            unit=entry["unit"],
            valid_from=entry["valid_from"],
            valid_to=entry.get("valid_to"),
            tag=cast(Tag, entry["tag"]),
            source=Source(**entry["source"]),
            numbers=MappingProxyType({key: float(value) for key, value in entry["numbers"].items()}),
            note=entry.get("note", ""),
        )
    except KeyError as error:
        raise SettingsError(
            f"pack {pack}: rule {entry.get('id', '?')} lacks {error.args[0]!r}; add it"
        ) from error


def rules_of(pack: str, family: str) -> tuple[Rule, ...]:
    """The rules of one family, oldest first.

    Raises:
        UnknownNameError: the pack has no such family.
    """
    rules = [rule for rule in load_pack(pack).values() if rule.family == family]
    if not rules:
        known = sorted({rule.family for rule in load_pack(pack).values()})
        raise UnknownNameError(f"pack {pack} has no family {family!r}; it has {', '.join(known)}")
    return tuple(sorted(rules, key=lambda rule: rule.valid_from))


def rule_in_force(pack: str, family: str, day: datetime.date) -> Rule:
    """The one rule of a family that holds on a day.

    Raises:
        UnknownNameError: none holds on that day.
        SettingsError: two hold, which is a mistake in the pack.

    >>> rule_in_force("tariff", "tariff.cn.al", datetime.date(2023, 6, 1)).id
    'tariff.cn.al.2023'
    """
    rules = rules_of(pack, family)
    holding = [rule for rule in rules if rule.holds_on(day)]
    if len(holding) > 1:
        raise SettingsError(
            f"{' and '.join(rule.id for rule in holding)} both hold on {day}; correct their dates"
        )
    if not holding:
        raise UnknownNameError(
            f"no rule of {family} holds on {day}; the first holds from {rules[0].valid_from}"
        )
    return holding[0]
