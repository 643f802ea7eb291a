import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from experiments.report import numbers
from experiments.report.charts import Bar, Curve, intervals
from experiments.report.render import render
from experiments.report.svg import Scale, spanning
from experiments.report.words import Words
from experiments.summary import Advice, Estimate
from tests.fakes.report_content import content

VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Collects what a browser would have to guess about, and every address the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module", params=[True, False], ids=["both targets", "no anode, nothing moves"])
def page(request: pytest.FixtureRequest) -> str:
    return render(content(anode=request.param, moves=14 if request.param else 0, simulated=request.param))


def test_the_page_is_well_formed_and_needs_no_network(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.wrong == []
    assert all(address.startswith("#") for address in parser.addresses)
    for word in ("http://", "https://", "@import", "url(", "<link", "fetch("):
        assert word not in page


def test_every_chart_is_a_drawing_with_finite_places(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert len(drawings) >= 10
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert len(root) > 3
        assert "nan" not in drawing
        assert "inf" not in drawing


def test_both_languages_are_inside_and_match(page: str) -> None:
    english, chinese = len(re.findall(r'class="en"', page)), len(re.findall(r'class="zh"', page))
    assert english == chinese > 80
    assert "什么" not in page
    for heading in ("What would be saved", "预期节约", "Model quality against baselines", "模型与基准的比较"):
        assert heading in page


def test_names_from_the_plant_are_escaped() -> None:
    page = render(content())
    assert "Virtual line &lt;1&gt;" in page
    assert "Virtual line <1>" not in page
    assert "&lt;young&gt; cell" in page
    assert "<young>" not in page


def test_simulated_data_say_so() -> None:
    assert "SIMULATED" in render(content(simulated=True))
    assert "SIMULATED" not in render(content(simulated=False))


def test_a_refused_target_gives_its_reason() -> None:
    page = render(content(anode=False))
    assert "no butt was ever weighed" in page
    assert "net anode saved" not in page


def test_the_same_content_gives_the_same_bytes() -> None:
    assert render(content(seed=5)) == render(content(seed=5))


def test_headline_figures_stand_on_the_page() -> None:
    made = content()
    page = render(made)
    for row in made.recommendations:
        if row["status"] == "move":
            assert f"<b>{row['cell_id']}</b>" in page
            assert f">{row['saving']['energy_kwh_per_t']['mean']:,.0f}<" in page
    for entry in made.summary.targets:
        for score in entry.families:
            assert f"{score.r2.mean:.3f}" in page


def test_interval_chart_places_values_in_order() -> None:
    bars = [Bar(Words.same(str(i)), float(i), i - 0.5, i + 0.5) for i in range(4)]
    drawing = ElementTree.fromstring(intervals(bars, Words.same("x"), Words.same("t")))
    places = [float(dot.attrib["cx"]) for dot in drawing.iter("circle")]
    assert places == sorted(places)
    assert len(set(places)) == 4


def test_scale_and_values_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="empty or endless"):
        Scale(1.0, 1.0, 0, 10)
    with pytest.raises(ValueError, match="two or more"):
        Curve([1.0], [1.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="outside its interval"):
        Estimate(2.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="not 5 cells"):
        Advice("2025-01-01", 5, 1, 1, 1)
    assert spanning([]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(-0.0, "kWh/t", "0"), (-0.04, "kg/t", "0.0"), (1234.5, "kWh/t", "1,234"), (float("nan"), "V", "–")],
)
def test_figures(value: float, unit: str, shown: str) -> None:
    assert numbers.figure(value, unit) == shown


def test_ticks_are_round_and_inside() -> None:
    scale = Scale(11_873.0, 13_322.0, 0, 400)
    ticks = scale.ticks()
    assert ticks == [12_000.0, 12_500.0, 13_000.0]
    assert all(scale.low <= tick <= scale.high for tick in ticks)
