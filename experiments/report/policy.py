"""The line as policy sees it: level, grade, tariff step and direct carbon, as it runs and with the recommendations.

What a model predicts is direct current; rules judge other metrics, so a site's additions stand in between, and they
are assumptions unless the site's meters say otherwise. Ratings are of a whole year, the recommendations of one day:
the view says where the line would stand if every day were like this one.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from experiments.report.content import PolicyLine
from experiments.report.words import Words
from features.errors import UnknownNameError
from features.plant import Plant
from features.policy.carbon import carbon_factors, direct_emissions
from features.policy.energy import Consumption, Metric, SiteEnergy, energy_account
from features.policy.grades import FAIL, Level, grade, grade_rule, level, level_rule
from features.policy.rules import Rule
from features.policy.tariff import surcharge

CAVEAT: Final = Words(
    "Ratings are annual and of the whole line; this view asks where the line would stand if every day were like this"
    " one. The additions of the site (rectifier {eta:.1%}, auxiliaries {aux:.0f} kWh/t) are assumptions unless its"
    " meters say otherwise. Tags: V1 read in the text or a reprint, V2 second-hand, C computed, B background.",
    "评级以整条系列、全年计；此处假设每天都如今日。整流效率 {eta:.1%}、辅助电耗 {aux:.0f} kWh/t 为假设值，以厂内计量为准。"
    "标签：V1 见原文或转载，V2 二手资料，C 计算，B 背景知识。",
)
_LEVELS: Final = {
    Level.BENCHMARK: Words("at or above the benchmark", "达到标杆水平"),
    Level.BETWEEN: Words("between benchmark and baseline", "介于标杆与基准之间"),
    Level.BELOW_BASELINE: Words("below the baseline", "低于基准水平"),
}


@dataclass(frozen=True)
class LineState:
    """What the line spends for each tonne: direct current [kWh/t] and net anode [kg/t], None where not predicted."""

    energy_kwh_per_t: float
    net_anode_kg_per_t: float | None


def policy_lines(today: LineState, after: LineState, plant: Plant, day: datetime.date) -> list[PolicyLine]:
    """Return what each rule in force on ``day`` says of the line; a rule that is not known for that day is left out."""
    site = SiteEnergy(rectifier_efficiency=plant.prices.rectifier_efficiency)
    accounts = [energy_account(state.energy_kwh_per_t, site) for state in (today, after)]
    lines: list[PolicyLine | None] = [
        _line(Words("efficiency level", "能效水平"), lambda: level_rule(day), _level, accounts, day),
        _line(
            Words("grade, liquid metal AC", "铝液交流电耗等级"),
            lambda: grade_rule(Metric.LIQUID_AC, day),
            _grade,
            accounts,
            day,
        ),
        _tariff(accounts, day),
        _carbon(today, after),
    ]
    return [line for line in lines if line is not None]


def caveat(plant: Plant) -> Words:
    """Return what the view assumes, with the numbers that it used."""
    site = SiteEnergy(rectifier_efficiency=plant.prices.rectifier_efficiency)
    numbers = {"eta": site.rectifier_efficiency, "aux": site.auxiliary_kwh_per_t}
    return Words(CAVEAT.en.format(**numbers), CAVEAT.zh.format(**numbers))


Account = dict[Metric, Consumption]


def _line(
    words: Words,
    rule: Callable[[], Rule],
    say: Callable[[Account, datetime.date], Words],
    accounts: list[Account],
    day: datetime.date,
) -> PolicyLine | None:
    try:
        found = rule()
        today, after = (say(account, day) for account in accounts)
    except UnknownNameError:
        return None
    return PolicyLine(words, today, after, Words.same(found.source.document), found.tag)


def _level(account: Account, day: datetime.date) -> Words:
    liquid = account[Metric.LIQUID_AC]
    return _with_number(_LEVELS[level(liquid, day)], liquid)


def _grade(account: Account, day: datetime.date) -> Words:
    liquid = account[Metric.LIQUID_AC]
    reached = int(grade(liquid, day))
    words = (
        Words("above the limit", "超过限额")
        if reached == FAIL
        else Words(f"grade {reached}", f"{reached} 级")
    )
    return _with_number(words, liquid)


def _tariff(accounts: list[Account], day: datetime.date) -> PolicyLine | None:
    metric = Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION
    try:
        found = [surcharge(account[metric], day) for account in accounts]
    except UnknownNameError:
        return None
    shown = []
    for account, charge in zip(accounts, found, strict=True):
        steps, money = int(charge.steps), float(charge.per_t)
        words = (
            Words("no surcharge", "不加价")
            if steps == 0
            else Words(f"{steps} steps, {money:,.0f} CNY/t", f"{steps} 档，{money:,.0f} 元/吨")
        )
        shown.append(_with_number(words, account[metric]))
    rule = found[0].rule
    name = Words("tiered tariff", "阶梯电价")
    return PolicyLine(name, shown[0], shown[1], Words.same(rule.source.document), rule.tag)


def _carbon(today: LineState, after: LineState) -> PolicyLine | None:
    if today.net_anode_kg_per_t is None or after.net_anode_kg_per_t is None:
        return None
    factors = carbon_factors()
    shown = [
        f"{float(direct_emissions(state.net_anode_kg_per_t, None, factors).anode):.3f} t CO2/t"
        for state in (today, after)
    ]
    rule = factors.guide
    name = Words("direct carbon of the anodes", "阳极直接排放")
    return PolicyLine(
        name, Words.same(shown[0]), Words.same(shown[1]), Words.same(rule.source.document), rule.tag
    )


def _with_number(words: Words, consumption: Consumption) -> Words:
    number = f"{float(consumption.value):,.0f} kWh/t"
    return Words(f"{words.en} ({number})", f"{words.zh}（{number}）")
