"""The page on the running service: a planted bundle, a short simulated record, a real browser."""

from collections.abc import Iterator

import pytest

from tests.fakes.advising_service import CELLS, Advising, advising
from tests.fakes.browser import CHROMIUM, Browser, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Advising]:
    with advising(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def page() -> Iterator[Browser]:
    with chromium() as start:
        yield start()


def test_from_the_key_to_the_decision(page: Browser, service: Advising) -> None:
    page.open(f"http://127.0.0.1:{service.running.port}/")
    page.click("#key")
    page.type(service.keys["operator"])
    page.press("Enter")
    page.wait(f"document.querySelectorAll('.tile:not(.gap)').length === {CELLS}")
    assert "SIMULATED" in page.text("#top")
    assert page.run("document.querySelectorAll('.tile.is-none').length") == CELLS
    page.click('[data-key="run"]')
    page.wait("document.querySelector('.run .primary') && !document.querySelector('.tile.is-none')", 30)
    assert f"{CELLS} / {CELLS}" in page.text(".run")
    moved = page.run(
        "[...document.querySelectorAll('.cells tbody tr')].find(r => r.querySelector('.is-move')).querySelector('a').innerText"
    )
    page.click(f'[data-key="row-L1-{moved}"]')
    page.wait("document.querySelector('svg.curve') && document.querySelector('svg.trend')", 30)
    # The planted optimum is 40 mV down, at most 20 a day.
    assert "−40 mV" in page.text(".levers")
    assert page.run("document.querySelectorAll('.levers .moves .turned').length") == 2
    page.press("a")
    page.wait("document.activeElement.dataset.key === 'reason'")
    page.type("first trial")
    page.click('[data-key="record"]')
    page.wait("document.querySelector('.decided')")
    assert "first trial" in page.text(".decided")
    with service.ledger as ledger:
        (advised,) = ledger.latest("L1", f"L1-{moved}")
        decided = ledger.decided([advised.recommendation.recommendation_id])
        assert [taken.decision.reason for taken in decided.values()] == ["first trial"]
        assert ledger.verify().intact
    for view, ready in (("health", ".report table"), ("savings", ".report .told, .report table")):
        page.run(f"location.hash = '#/L1/{view}'")
        page.wait(f"document.querySelector('{ready}')", 30)
        text = page.text()
        assert not [slip for slip in ("⟦", "undefined", "NaN") if slip in text], view
    assert not page.complaints
    assert all(
        url.startswith((f"http://127.0.0.1:{service.running.port}/", "data:")) for url in page.requests
    )
