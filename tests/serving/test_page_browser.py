"""The page in a real browser: what an engineer does with it, by mouse, by keyboard and on a tablet."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from serving.refusals import refused
from tests.fakes.browser import CHROMIUM, Browser, chromium
from tests.fakes.page_service import PageService, page_service

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
OPERATOR, ENGINEER, VIEWER = "key-of-operator", "key-of-engineer", "key-of-viewer"
CARD = '[data-key="tile-L1-003"]'


@pytest.fixture(scope="module")
def new_page() -> Iterator[Callable[[], Browser]]:
    with chromium() as start:
        yield start


@pytest.fixture
def service() -> Iterator[PageService]:
    with page_service() as running:
        yield running


@pytest.fixture
def page(new_page: Callable[[], Browser]) -> Iterator[Browser]:
    browser = new_page()
    yield browser
    browser.close()


def sign_in(page: Browser, service: PageService, key: str = OPERATOR, at: str = "#/L1") -> None:
    page.open(service.url + at)
    page.click("#key")
    page.type(key)
    page.press("Enter")
    page.wait("document.querySelector('#main').childElementCount && !document.querySelector('.sign-in')")


def open_card(page: Browser) -> None:
    page.click(CARD)
    page.wait("document.querySelectorAll('svg.curve').length > 1 && document.querySelector('svg.trend')")


def decisions(service: PageService) -> list[dict[str, object]]:
    return [given for method, path, given in service.asked if path.endswith("/decision")]


def test_a_wrong_key_is_refused_and_told_with_its_request_id(page: Browser, service: PageService) -> None:
    page.open(service.url)
    page.click("#key")
    page.type("nobody")
    page.press("Enter")
    page.wait("document.querySelector('.sign-in .refused code')")
    assert "unknown, expired or revoked" in page.text(".refused")
    page.click('[data-key="language"]')
    page.wait("document.querySelector('.refused').innerText.includes('密钥或令牌无效')")
    page.click('[data-key="language"]')
    assert page.run("document.querySelector('#key').value") == "nobody"
    assert page.run("sessionStorage.getItem('superheat.key')") is None


def test_the_key_stays_in_its_tab(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    page.wait("document.querySelector('.tile')")
    assert page.run("JSON.stringify(Object.entries(localStorage))").find(OPERATOR) < 0
    page.reload()
    page.wait("document.querySelector('.tile')")
    page.click('[data-key="sign-out"]')
    page.wait("document.querySelector('#key')")
    assert page.run("sessionStorage.getItem('superheat.key')") is None


def test_the_line_is_a_map_and_a_table_of_its_cells(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    page.wait("document.querySelectorAll('.tile:not(.gap)').length === 30")
    assert "SIMULATED" in page.text("#top")
    names = page.run(
        "[...document.querySelectorAll('.hall-row')].map(r => [...r.querySelectorAll('[data-cell]')].map(t => t.dataset.cell))"
    )
    assert names[0][0] == "L1-001"
    assert names[1][0] == "L1-030"
    savings = page.run("[...document.querySelectorAll('.cells .saving span')].map(e => Number(e.innerText))")
    assert len(savings) == 26
    assert savings == sorted(savings, reverse=True)
    page.click('[data-key="sort-saving"]')
    page.wait("document.querySelector('th[aria-sort=ascending]')")
    page.click("input[name=status][value=abstain]")
    page.wait("document.querySelectorAll('.cells tbody tr').length === 2")
    assert page.run("document.querySelectorAll('.tile.dim').length") == 28
    page.click("input[name=status][value=all]")
    page.press("/")
    page.type("01")
    page.wait("document.querySelectorAll('.cells tbody tr').length === 11")
    assert page.focused() == "filter-text"
    page.click("input[name=measure][value=health]")
    page.wait("document.querySelectorAll('.tile.is-finding').length === 2")
    assert not page.complaints


def test_advice_is_shown_as_it_streams(page: Browser, new_page: Callable[[], Browser]) -> None:
    with page_service(advised=False) as service:
        service.pause_s = 0.02
        sign_in(page, service)
        page.wait("document.querySelector('[data-key=run]')")
        assert page.run("document.querySelectorAll('.tile.is-none').length") == 30
        page.click('[data-key="run"]')
        page.wait("(v => v > 2 && v < 28)(document.querySelector('progress')?.value)")
        some = page.run("30 - document.querySelectorAll('.tile.is-none').length")
        assert 0 < some < 30
        page.wait("document.querySelector('.run .primary') && !document.querySelector('.tile.is-none')")
        assert "30 / 30" in page.text(".run")
        assert "26 Move" in page.text(".run")
        assert [given for method, path, given in service.asked if method == "POST"] == [
            {"line_id": "L1", "cells": None}
        ]
        assert not page.complaints


def test_a_stopped_or_broken_stream_keeps_what_came(page: Browser) -> None:
    with page_service(advised=False) as service:
        service.pause_s = 0.15
        sign_in(page, service)
        page.click('[data-key="run"]')
        page.wait("document.querySelector('progress')?.value >= 3")
        page.click('[data-key="run"]')
        page.wait("document.querySelector('.run .primary')")
        assert 3 <= page.run("30 - document.querySelectorAll('.tile.is-none').length") < 30
        assert "stopped" in page.text(".run")
        assert not page.text("#alerts")
        service.pause_s, service.break_after = 0.0, 12
        page.click('[data-key="run"]')
        page.wait("document.querySelector('.alert')")
        assert "after 12 of 30" in page.text(".alert")
        page.wait("document.querySelectorAll('.tile.is-none').length === 18")


def test_a_slow_finger_hits_the_button_that_it_pressed(page: Browser) -> None:
    """The page is redrawn with every line of the stream; a press that spans redraws still counts."""
    with page_service(advised=False) as service:
        service.pause_s = 0.03
        sign_in(page, service)
        page.click('[data-key="run"]')
        page.wait("document.querySelector('progress')?.value >= 2")
        place = page.run(
            "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('[data-key=run]').getBoundingClientRect())"
        )
        page.mouse("mousePressed", *place)
        time.sleep(0.2)
        page.mouse("mouseReleased", *place)
        page.wait("document.querySelector('.run .primary')")
        assert page.run("document.querySelectorAll('.tile.is-none').length") > 5


def test_the_card_says_what_why_and_how_sure(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    open_card(page)
    card = page.text(".card-pane")
    for words in (
        "L1-003",
        "SIMULATED",
        "set voltage",
        "mean voltage noise: upper bound",
        "Nearest precedents",
    ):
        assert words in card
    assert "mean_noise_mv" not in card
    assert "degC" not in card
    path = page.run("[...document.querySelectorAll('.levers .moves .turned')].map(e => e.innerText)")
    assert path[:2] == ["3.854", "3.838"]  # one day's step of 20 mV, then the rest
    assert "6 … 12" in page.text(".outcomes")
    assert "≤ 25" in page.text(".outcomes")
    shares = page.run(
        "[...document.querySelectorAll('.part-effects table:first-child td.n')].map(e => parseFloat(e.innerText.replace('−', '-')))"
    )
    advice = service.line.advice["L1-003"]
    assert advice.saving
    assert abs(sum(shares) - advice.saving.energy_kwh_per_t.mean) < 0.2
    gaps = page.run(
        "Math.max(...[...document.querySelectorAll('svg.trend')].map(s => s.querySelectorAll('.measured').length))"
    )
    assert gaps > 1
    page.run("document.querySelector('svg.trend').focus()")
    latest = page.text(".part-trends .note b")
    page.press("ArrowLeft", "ArrowLeft")
    assert page.text(".part-trends .note b") < latest
    page.press("Home")
    assert "set" in page.text(".part-trends figcaption .value")
    assert not page.complaints


def test_earlier_advice_opens_to_what_followed(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    open_card(page)
    page.click(f'[data-key="followed-{1:032x}"]')
    page.wait("document.querySelectorAll('.earlier .two table').length === 2")
    opened = page.text(".earlier .two")
    assert "+4 mV" in opened
    assert opened.count("outside") == 1
    assert opened.count("within") == 6
    page.click(f'[data-key="followed-{1:032x}"]')
    page.wait("!document.querySelector('.earlier .two')")
    assert not page.complaints


def test_accept_is_recorded_once(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    open_card(page)
    page.press("a")
    page.wait("document.activeElement.dataset.key === 'reason'")
    page.click('[data-key="record"]')
    page.wait("document.querySelector('.decided')")
    assert decisions(service) == [{"action": "accept", "reason": ""}]
    assert "Accepted" in page.text(".decided")
    assert "shift operator" in page.text(".decided")
    page.wait("document.querySelector('.tile.chosen').ariaLabel.includes('Accepted')")
    assert page.run("document.querySelector('[data-key=record]')") is None
    assert not page.complaints


def test_modify_is_bounded_and_stepped(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    open_card(page)
    page.press("m")
    page.wait("document.activeElement.dataset.key === 'lever-0'")
    page.press("ArrowUp", "ArrowUp", "ArrowUp")
    assert page.run("document.activeElement.value") == "3.844"  # the plant sets 2 mV at a time
    page.run("document.activeElement.select()")
    page.type("4.2")
    page.click('[data-key="record"]')
    time.sleep(0.1)
    assert not decisions(service)  # outside the reach: the form does not go
    page.run("(e => { e.focus(); e.select(); })(document.querySelector('[data-key=lever-0]'))")
    page.type("3.850")
    page.click('[data-key="reason"]')
    page.type("anode change tomorrow")
    page.click('[data-key="record"]')
    page.wait("document.querySelector('.decided')")
    (given,) = decisions(service)
    assert given["action"] == "modify"
    assert given["reason"] == "anode change tomorrow"
    assert given["levers"] == {
        "set_voltage_v": 3.85,
        "alf3_dose_kg_d": 45.0,
        "tap_target_kg": 3760.0,
        "alumina_feed_kg_d": 7475.0,
    }


def test_a_refused_decision_loses_nothing(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    open_card(page)
    page.press("r")
    page.wait("document.activeElement.dataset.key === 'reason'")
    page.click('[data-key="record"]')
    time.sleep(0.1)
    assert not decisions(service)  # a rejection needs its reason
    page.click('[data-key="reason"]')
    page.type("<img src=x onerror=alert(1)> too cold")
    service.refuse.append(refused(503, "overloaded.full", 1))
    page.click('[data-key="record"]')
    page.wait("document.querySelector('.alert code')")
    assert "the service is full" in page.text(".alert")
    # It stays in the reader's language, whichever that becomes.
    page.click('[data-key="language"]')
    page.wait("document.querySelector('.alert').innerText.includes('L1-003: 服务已满载')")
    page.click('[data-key="language"]')
    page.wait("document.querySelector('.alert').innerText.includes('the service is full')")
    assert "request_id" in page.text(".alert")
    assert page.run("document.querySelector('[data-key=reason]').value").endswith("too cold")
    page.reload()
    page.wait("document.querySelector('[data-key=reason]')?.value.endsWith('too cold')")
    page.click('[data-key="record"]')
    page.wait("document.querySelector('.decided q')")
    assert page.text(".decided q").startswith("“<img src=x") or page.text(".decided q").startswith(
        "<img src=x"
    )
    assert not page.run("document.querySelector('.decided img')")


def test_by_keyboard_alone(page: Browser, service: PageService) -> None:
    page.open(service.url)
    page.wait("document.querySelector('#key')")
    while page.focused() != "key":
        page.press("Tab")
    page.type(OPERATOR)
    page.press("Enter")
    page.wait("document.querySelector('.tile')")
    for _ in range(40):
        page.press("Tab")
        if page.focused().startswith("tile-"):
            break
    assert page.focused() == "tile-L1-001"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("ArrowRight", "ArrowRight", "ArrowDown")
    assert page.focused() == "tile-L1-028"
    page.press("ArrowUp", "Home")
    assert page.focused() == "tile-L1-001"
    page.press("ArrowRight", "Enter")
    page.wait("document.querySelector('.card-title')?.innerText.includes('L1-002')")
    page.press("j")
    page.wait("document.querySelector('.card-title')?.innerText.includes('L1-003')")
    page.press("r")
    page.wait("document.activeElement.dataset.key === 'reason'")
    page.type("cell is cold")
    page.press("Tab", "Enter")
    page.wait("document.querySelector('.decided')")
    assert decisions(service) == [{"action": "reject", "reason": "cell is cold"}]
    page.press("Escape")
    page.wait("document.activeElement.dataset.key === 'tile-L1-003'")
    page.press("2")
    page.wait("document.querySelector('svg.pairs')")
    page.press("?")
    page.wait("document.querySelector('#help').open")
    page.press("Escape")
    page.wait("!document.querySelector('#help').open")
    assert not page.complaints


def test_which_moves_first_by_keyboard(page: Browser, service: PageService) -> None:
    sign_in(page, service)
    page.wait("document.querySelector('[data-key=budget-moves_a_day]')")
    page.run("document.querySelector('[data-key=budget-moves_a_day]').focus()")
    page.type("12")
    page.press("Tab", "Tab")
    assert page.focused() == "budget-line_voltage_v"
    page.type("150")
    page.press("Enter")
    page.wait("document.querySelector('.shift tbody tr')")
    asked = [given for _, path, given in service.asked if path == "/v1/allocations"]
    assert asked == [{"line_id": "L1", "moves_a_day": 12, "line_voltage_v": 0.15}]
    assert page.run("document.querySelector('[data-key=budget-moves_a_day]').value") == "12"
    order = page.run("[...document.querySelectorAll('.shift tbody tr')].map(r => r.cells[0].innerText)")
    ranked = [place for place in order if place != "–"]
    assert ranked == [str(i + 1) for i in range(len(ranked))]
    assert 0 < len(ranked) < len(order)
    assert "keeps moves out" in page.text(".shift .chips")
    assert "It does not fit beside the others" in page.text(".shift .waits")
    page.click('[data-key="language"]')
    page.wait("document.querySelector('.shift').innerText.includes('先调哪几台槽')")
    told = page.text(".shift")
    assert "超出允许的" in told
    assert "It does" not in told
    assert "⟦" not in told
    assert page.run(CONTRAST) == []
    page.click(".shift tbody a")
    page.wait("document.querySelector('.card-title')")
    assert not page.complaints


def test_which_moves_first_on_a_tablet_and_for_a_viewer(page: Browser, service: PageService) -> None:
    page.size(820, 1180, touch=True)
    sign_in(page, service, ENGINEER)
    page.click('[data-key="shift-rank"]')
    page.wait("document.querySelector('.shift tbody tr')")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("document.querySelector('[data-key=shift-rank]').offsetHeight") >= 24
    page.click('[data-key="sign-out"]')
    sign_in(page, service, VIEWER)
    page.wait("document.querySelector('[data-key=shift-rank]')")
    assert page.run("document.querySelector('[data-key=shift-rank]').disabled")
    assert not page.run("document.querySelector('.shift tbody tr')")


def test_both_languages_everywhere(page: Browser, service: PageService) -> None:
    sign_in(page, service, ENGINEER)
    seen: dict[str, str] = {}
    for language in ("en", "zh"):
        if language == "zh":
            page.click('[data-key="language"]')
            page.wait("document.documentElement.lang === 'zh-Hans'")
        for view, ready in (
            ("#/L1", ".tile"),
            ("#/L1/cell/L1-003", "svg.curve"),
            ("#/L1/cell/L1-007", "svg.trend"),
            ("#/L1/cell/L1-012", "svg.trend"),
            ("#/L1/savings", "svg.pairs"),
            ("#/L1/health", ".report .panel table"),
        ):
            page.run(f"location.hash = {json.dumps(view)}")
            page.wait(f"document.querySelector({json.dumps(ready)})")
            seen[language + view] = page.text()
        page.press("?")
        page.wait("document.querySelector('#help').open")
        seen[language + "help"] = page.text("#help")
        page.press("Escape")
    for where, text in seen.items():
        for slip in ("⟦", "undefined", "NaN"):
            assert slip not in text, where
    assert "模拟数据" in seen["zh#/L1"]
    assert "置信下限" in seen["zh#/L1/cell/L1-003"]
    english = {line for line in seen["zh#/L1/health"].splitlines() if "the " in line}
    assert not english
    assert not page.complaints


def test_nothing_is_fetched_from_elsewhere(page: Browser, service: PageService) -> None:
    sign_in(page, service, ENGINEER)
    open_card(page)
    for view, ready in (("#/L1/savings", "svg.pairs"), ("#/L1/health", ".report table")):
        page.run(f"location.hash = {json.dumps(view)}")
        page.wait(f"document.querySelector({json.dumps(ready)})")
    other = [url for url in page.requests if not url.startswith(service.url)]
    # The browser draws its own date field's button from a data: address.
    assert not [url for url in other if not url.startswith("data:image/svg+xml")]
    assert len(page.requests) > 25
    assert not page.complaints
    blocked = page.run("fetch('https://example.org/').then(() => 'reached', () => 'blocked')")
    assert blocked == "blocked"
    page.run(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.org/x.png'}))"
    )
    page.run("new Promise(requestAnimationFrame)")
    assert [text for text in page.complaints if "Content Security Policy" in text]


def test_a_tablet_has_room_for_the_finger(page: Browser, service: PageService) -> None:
    page.size(820, 1180, touch=True)
    sign_in(page, service, ENGINEER)
    page.wait("document.querySelector('.tile')")
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert page.run(wide)
    open_card(page)
    assert page.run(wide)
    assert page.run("getComputedStyle(document.querySelector('.map-pane')).display") == "none"
    page.click("input[name=decide][value=modify]")
    page.wait("document.querySelector('.stepper')")
    small = page.run(
        "[...document.querySelectorAll('button, .button, .choice')].filter(e => e.offsetWidth && Math.min(e.offsetWidth, e.offsetHeight) < 24).map(e => e.outerHTML)"
    )
    assert not small
    assert page.run(
        "(r => r.bottom <= innerHeight + 1)(document.querySelector('[data-key=record]').getBoundingClientRect())"
    )
    for view, ready in (("#/L1/savings", "svg.pairs"), ("#/L1/health", ".report table")):
        page.run(f"location.hash = {json.dumps(view)}")
        page.wait(f"document.querySelector({json.dumps(ready)})")
        assert page.run(wide), view


def test_only_simulated_data_are_called_so(page: Browser, service: PageService) -> None:
    service.simulated = False
    sign_in(page, service)
    open_card(page)
    assert not page.run("document.querySelector('.simulated')")
    service.simulated = True
    page.reload()
    page.wait("document.querySelectorAll('.simulated').length === 2")


def test_who_may_not_decide_is_told_so(page: Browser, service: PageService) -> None:
    sign_in(page, service, VIEWER)
    open_card(page)
    assert "takes the role operator" in page.text(".decide")
    assert page.run("document.querySelector('[data-key=run]').disabled")
    assert not page.run("document.querySelector('[data-key=mode-record]')")


def test_an_engineer_sets_the_mode(page: Browser, service: PageService) -> None:
    sign_in(page, service, ENGINEER)
    open_card(page)
    page.click("input[name=mode][value=off]")
    page.click('[data-key="mode-reason"]')
    page.type("relining")
    page.click('[data-key="mode-record"]')
    page.wait("document.querySelector('.decide')?.innerText.includes('is off')")
    assert (
        "PUT",
        "/v1/cells/L1-003/mode",
        {"line_id": "L1", "mode": "off", "reason": "relining"},
    ) in service.asked
    page.wait("document.querySelector('.tile.chosen').classList.contains('is-off')")


def test_a_key_that_ends_asks_for_another_and_keeps_what_was_typed(
    page: Browser, service: PageService
) -> None:
    sign_in(page, service)
    open_card(page)
    page.press("r")
    page.wait("document.activeElement.dataset.key === 'reason'")
    page.type("wait for the lab")
    service.refuse.append(refused(401, "unauthenticated.unknown"))
    page.click('[data-key="record"]')
    page.wait("document.querySelector('#key')")
    page.click("#key")
    page.type(OPERATOR)
    page.press("Enter")
    page.wait("document.querySelector('[data-key=reason]')?.value === 'wait for the lab'")


@pytest.mark.parametrize("cells", [1, 31, 300])
def test_lines_of_any_length(page: Browser, cells: int) -> None:
    with page_service(cells) as service:
        sign_in(page, service)
        page.wait(f"document.querySelectorAll('.tile:not(.gap)').length === {cells}")
        beyond = "[...document.querySelectorAll('.tile')].filter(t => t.getBoundingClientRect().right > document.querySelector('.map-pane').getBoundingClientRect().right).length"
        assert page.run(beyond) == 0
        assert page.run("Math.min(...[...document.querySelectorAll('.tile')].map(t => t.offsetWidth))") >= 24
        began = time.monotonic()
        page.click("input[name=measure][value=state]")
        page.wait("document.querySelector('.tile.is-move, .tile.is-hold')")
        assert time.monotonic() - began < 2.0


CONTRAST = """
(() => {
  const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!text || !e.checkVisibility({ checkOpacity: true }) || e.closest('.unseen, noscript, script, [disabled], [aria-disabled], .dim, option')) continue;
    const style = getComputedStyle(e);
    const ink = e.closest('svg') ? style.fill : style.color;
    const [a, b] = [light(parts(ink)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) found.push(`${text.slice(0, 30)} (${e.className?.baseVal ?? e.className}): ${ratio.toFixed(2)}`);
  }
  return found.slice(0, 12);
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(page: Browser, service: PageService, dark: bool) -> None:
    page.dark(dark)
    sign_in(page, service, ENGINEER)
    page.wait("document.querySelector('.tile')")
    assert page.run(CONTRAST) == []
    page.click("input[name=measure][value=state]")
    page.wait("document.querySelector('.tile.is-move')")
    assert page.run(CONTRAST) == []
    open_card(page)
    page.press("m")
    page.wait("document.querySelector('.stepper')")
    assert page.run(CONTRAST) == []
    for view, ready in (("#/L1/savings", "svg.pairs"), ("#/L1/health", ".report table")):
        page.run(f"location.hash = {json.dumps(view)}")
        page.wait(f"document.querySelector({json.dumps(ready)})")
        assert page.run(CONTRAST) == [], view


def test_everything_to_press_has_a_name(page: Browser, service: PageService) -> None:
    sign_in(page, service, ENGINEER)
    open_card(page)
    page.press("m")
    page.wait("document.querySelector('.stepper')")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    roles = {
        "button",
        "link",
        "textbox",
        "spinbutton",
        "radio",
        "checkbox",
        "combobox",
        "gridcell",
        "image",
        "searchbox",
    }
    unnamed = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in roles
        and not node.get("ignored")
        and not node.get("name", {}).get("value")
    ]
    assert not unnamed
    assert len(nodes) > 300
