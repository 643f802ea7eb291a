"""The tiered electricity tariff (阶梯电价): what a line pays on top for its consumption of the year.

Four things are easy to get wrong, and each has its test: the surcharge falls on *every* kilowatt-hour, not on the
excess; a started step counts whole; desulphurisation is left out only since 2023; renewables lower the rate, not
the threshold. The rating is annual and per line, so what a forecast owes its reader is the probability of a step.
"""

import datetime
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.errors import SettingsError
from features.policy.energy import Consumption
from features.policy.likelihood import band_probabilities
from features.policy.rules import Rule, rule_in_force
from features.relations import Array, array, relation

FAMILY = "tariff.cn.al"
_NOTICE = "发改价格〔2021〕1239号"


@dataclass(frozen=True)
class Renewables:
    """A company's renewable electricity, as the relief of the tariff asks for it.

    Raises:
        SettingsError: a share outside 0-100 per cent.
    """

    nonhydro_pct: float
    """Non-hydro renewable share of all electricity [%]."""
    incentive_weight_pct: float
    """The province's incentive weight of the year before [%]."""

    def __post_init__(self) -> None:
        """Check the shares."""
        for name in ("nonhydro_pct", "incentive_weight_pct"):
            if not 0.0 <= getattr(self, name) <= 100.0:
                raise SettingsError(f"{name} is {getattr(self, name)}; give per cent, 0 to 100")


@dataclass(frozen=True)
class Surcharge:
    """What the tariff adds, with the rule that says so; arrays of the consumption's shape."""

    rule: Rule
    steps: Array
    """Steps above the threshold [-]; bands before 2022."""
    rate_per_kwh: Array
    """Surcharge on every kilowatt-hour [CNY/kWh], relief included."""
    per_t: Array
    """Surcharge [CNY/t]."""


@relation(
    unit="-",
    equation="n = ceil(max(0, E - T)/step)",
    source=_NOTICE,
    tag="V1",
)
def tariff_steps(energy: ArrayLike, threshold: ArrayLike, step: ArrayLike = 20.0) -> Array:
    """Steps above the threshold, a started one counting whole [-].

    Args:
        energy: consumption in the rule's metric [kWh/t].
        threshold: consumption free of surcharge [kWh/t].
        step: width of a step [kWh/t].

    >>> tariff_steps([13_300.0, 13_301.0, 13_320.0, 13_321.0], 13_300.0).tolist()
    [0.0, 1.0, 1.0, 2.0]
    """
    # Rounded to a millionth of a step: 13,320 reached by adding must not count as a third of a micro-kWh more.
    excess = np.maximum(array(energy) - array(threshold), 0.0) / array(step)
    steps: Array = np.ceil(np.round(excess, 6))
    return steps


@relation(
    unit="-",
    equation="1 - 0.01 (share - 15) where share > 15 and share >= w, otherwise 1",
    source=f"{_NOTICE}; that points count above 15 is B-med",
    tag="V1",
)
def renewable_relief(
    nonhydro_pct: ArrayLike,
    incentive_weight_pct: ArrayLike,
    above_pct: ArrayLike = 15.0,
    per_point: ArrayLike = 0.01,
) -> Array:
    """Factor on the surcharge rate of a company with much non-hydro renewable electricity [-].

    Args:
        nonhydro_pct: non-hydro renewable share of all electricity [%].
        incentive_weight_pct: the province's incentive weight of the year before [%].
        above_pct: share from which points count [%].
        per_point: relief for each point [-].

    >>> round(float(renewable_relief(25.0, 10.0)), 2)
    0.9
    """
    share = array(nonhydro_pct)
    entitled = (share > array(above_pct)) & (share >= array(incentive_weight_pct))
    factor = np.maximum(1.0 - array(per_point) * (share - array(above_pct)), 0.0)
    known = np.isfinite(factor + array(incentive_weight_pct))
    return np.where(known, np.where(entitled, factor, 1.0), np.nan)


@relation(
    unit="CNY/kWh",
    equation="0 up to 13,700; 0.02 up to 13,800; 0.08 above",
    source="notice of 2013 as reported by Reuters (2013-12-23), SCMP and Xinhua",
    tag="V1",
)
def band_rate(energy: ArrayLike, rule: Rule) -> Array:
    """Surcharge rate of the banded tariff of 2014-2021 [CNY/kWh].

    Args:
        energy: alternating-current energy of the cells [kWh/t].
        rule: the banded rule.

    >>> rule = rule_in_force("tariff", FAMILY, datetime.date(2020, 1, 1))
    >>> band_rate([13_700.0, 13_700.1, 13_801.0], rule).tolist()
    [0.0, 0.02, 0.08]
    """
    value = array(energy)
    lower = np.where(value > rule.number("band_1_above"), rule.number("band_1_rate"), 0.0)
    rate = np.where(value > rule.number("band_2_above"), rule.number("band_2_rate"), lower)
    return np.where(np.isnan(value), np.nan, rate)


def surcharge(
    consumption: Consumption,
    day: datetime.date,
    liquid_energy: ArrayLike | None = None,
    renewables: Renewables | None = None,
    retrofit_accepted: datetime.date | None = None,
) -> Surcharge:
    """What the tariff in force on a day adds for a year's consumption.

    Args:
        consumption: the rated year's consumption, in the metric of that day's rule.
        day: a day of the charged period; it decides the rule.
        liquid_energy: electricity that pays, for each tonne of liquid metal [kWh/t]; the consumption where absent.
        renewables: for the relief, which the rules since 2022 know.
        retrofit_accepted: day on which a retrofit of that year passed acceptance; no surcharge from then on.

    Raises:
        UnitError: the consumption is of another metric than the rule judges.
        UnknownNameError: no tariff is known for that day.

    >>> from features.policy.energy import Metric
    >>> year = Consumption(Metric.LIQUID_COMPREHENSIVE_AC_EX_DESULPHURISATION, 13_500.0)
    >>> round(float(surcharge(year, datetime.date(2025, 7, 1)).per_t), 2)
    1350.0
    """
    rule = rule_in_force("tariff", FAMILY, day)
    energy = consumption.judged_by(rule)
    if "threshold" in rule.numbers:
        steps = tariff_steps(energy, rule.number("threshold"), rule.number("step"))
        rate = rule.number("rate_per_step") * steps
        if renewables is not None:
            rate = rate * renewable_relief(
                renewables.nonhydro_pct,
                renewables.incentive_weight_pct,
                rule.number("relief_above_pct"),
                rule.number("relief_per_point"),
            )
    else:
        steps = _bands(energy, rule)
        rate = band_rate(energy, rule)
    if retrofit_accepted is not None and retrofit_accepted <= day and retrofit_accepted.year == day.year:
        rate = rate * 0.0
    paying = energy if liquid_energy is None else array(liquid_energy)
    return Surcharge(rule, steps, rate, rate * paying)


def _bands(energy: Array, rule: Rule) -> Array:
    above = (energy > rule.number("band_1_above")).astype(np.float64)
    return np.where(np.isnan(energy), np.nan, above + (energy > rule.number("band_2_above")))


def overdue_factor(days_unpaid: float, day: datetime.date) -> float:
    """Factor on a surcharge that was not paid for that many days.

    Raises:
        UnknownNameError: no rule on late payment is known for that day.

    >>> overdue_factor(91, datetime.date(2025, 7, 1))
    1.5
    """
    rule = rule_in_force("tariff", f"{FAMILY}.overdue", day)
    return rule.number("factor") if days_unpaid > rule.number("after_days") else 1.0


@relation(unit="kWh/t", equation="E - (T + step (n - 1)) for n > 0, otherwise 0", source=_NOTICE, tag="C")
def distance_to_cheaper_step(energy: ArrayLike, threshold: ArrayLike, step: ArrayLike = 20.0) -> Array:
    """Saving that reaches the next cheaper step [kWh/t]; zero where there is no surcharge.

    Args:
        energy: consumption in the rule's metric [kWh/t].
        threshold: consumption free of surcharge [kWh/t].
        step: width of a step [kWh/t].

    >>> distance_to_cheaper_step([13_290.0, 13_301.0, 13_320.0, 13_321.0], 13_300.0).tolist()
    [0.0, 1.0, 20.0, 1.0]
    """
    steps = tariff_steps(energy, threshold, step)
    return np.where(steps > 0, array(energy) - array(threshold) - array(step) * (steps - 1.0), 0.0 * steps)


def step_probabilities(mean: float, standard_deviation: float, day: datetime.date, most: int = 30) -> Array:
    """Probability of each number of steps, 0 to ``most`` and more, for a normal forecast of the year's end.

    Args:
        mean: expected consumption in the rule's metric [kWh/t].
        standard_deviation: its standard deviation [kWh/t].
        day: a day of the charged period, 2022 or later.
        most: the last entry holds this number of steps and all above.

    Returns:
        Probabilities ``(most + 1,)`` that add up to one.

    >>> step_probabilities(13_300.0, 10.0, datetime.date(2025, 1, 1))[:2].round(3).tolist()
    [0.5, 0.477]
    """
    rule = rule_in_force("tariff", FAMILY, day)
    edges = rule.number("threshold") + rule.number("step") * np.arange(most)
    return band_probabilities(mean, standard_deviation, edges)
