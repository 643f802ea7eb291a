"""The page's files and words: what is sent to anybody and under which policy, and that both languages say the same."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import serving.dashboard
from features.outcomes import OUTCOMES
from features.signals import SIGNALS
from serving.advising.shift import first_moves
from serving.dashboard import FILES
from serving.limits import DEFAULT_LIMITS, FLOORS
from serving.ports import OPEN_PATHS
from serving.reasons import WORDINGS
from serving.routes import forms
from serving.routes.page import told
from serving.search.allocation import Budget
from serving.service import create_app
from serving.settings import Settings
from serving.verified.schemas import Savings
from tests.fakes.page_answers import explained, quality
from tests.fakes.page_line import MadeLine
from tests.fakes.page_service import PageService, page_service

FOLDER = Path(serving.dashboard.__file__).parent
SCRIPTS = {entry.name: entry.read_text(encoding="utf-8") for entry in FOLDER.glob("*.js")}
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def service() -> Iterator[PageService]:
    with page_service() as running:
        yield running


def ask(service: PageService, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def words(language: str) -> dict[str, str]:
    found = re.findall(r'^  ("[^"]+"): ("(?:[^"\\]|\\.)*"),$', SCRIPTS[f"words-{language}.js"], re.MULTILINE)
    return {json.loads(key): json.loads(text) for key, text in found}


def test_files_go_to_anybody_under_a_strict_policy(service: PageService) -> None:
    for path, file in FILES.items():
        status, headers, content = ask(service, path)
        assert (status, content) == (200, file.content), path
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-type"].split("/")[0] in ("text", "image")


def test_an_asker_who_has_the_file_is_told_so(service: PageService) -> None:
    for path in ("/", "/page/main.js"):
        etag = ask(service, path)[1]["etag"]
        for known in (etag, f'W/{etag}, "other"', "*"):
            status, headers, content = ask(service, path, **{"if-none-match": known})
            assert (status, content, headers["etag"]) == (304, b"", etag)
        assert ask(service, path, **{"if-none-match": '"other"'})[0] == 200
        assert ask(service, path, "HEAD")[2] == b""


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page",
        "/page/__init__.py",
        "/page/../main.js",
        "/page/%2e%2e/service.py",
        "/page/..%2fservice.py",
        "/page/main.js/",
        "/page//main.js",
        "/page/index.html",
        "/v1/session",
        "/v1/cells",
    ],
)
def test_nothing_else_is_open(service: PageService, path: str) -> None:
    status, _, content = ask(service, path)
    assert status == 401, path
    assert set(json.loads(content)) == {"error", "error_zh", "code", "request_id"}


def test_every_file_is_an_open_path_and_a_route_of_the_service(tmp_path: Path) -> None:
    app = create_app(Settings(models_dir=tmp_path / "models", keys_file=tmp_path / "keys.json"))
    served = {route.path for route in app.routes}  # type: ignore[attr-defined]
    assert set(FILES) <= OPEN_PATHS
    assert set(FILES) | {"/v1/session"} <= served


def test_who_is_asking_is_told_their_role(service: PageService) -> None:
    key = {"authorization": "Bearer key-of-operator"}
    told_back = json.loads(ask(service, "/v1/session", **key)[2])
    assert told_back == {"subject": "shift operator", "role": "operator", "lines": None}
    assert told(None) == {"subject": "", "role": None, "lines": None}


def test_the_shell_holds_no_inline_code_and_no_other_host() -> None:
    shell = FILES["/"].content.decode()
    assert not re.search(r"\son\w+=|style=|<style|javascript:", shell)
    assert re.findall(r"<script[^>]*>", shell) == ['<script type="module" src="/page/main.js">']
    for path, file in FILES.items():
        text = file.content.decode()
        hosts = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not hosts, (path, hosts)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path


def test_every_import_is_a_file_of_the_page() -> None:
    for name, text in SCRIPTS.items():
        for target in re.findall(r'from "\./([^"]+)"', text):
            assert f"/page/{target}" in FILES, (name, target)


def test_both_languages_have_the_same_words_with_the_same_blanks() -> None:
    en, zh = words("en"), words("zh")
    assert len(en) > 300
    assert set(en) == set(zh)
    for key in en:
        assert set(re.findall(r"\{\w+\}", en[key])) == set(re.findall(r"\{\w+\}", zh[key])), key
    same = {key for key in en if en[key] == zh[key] and re.search("[A-Za-z]{2}", en[key])}
    # Units are written alike.
    assert all(re.fullmatch(r"(\{currency\}/t|kWh/t|mV|PSI|CO₂)", en[key]) for key in same), same


def test_every_word_that_a_script_names_exists() -> None:
    en = words("en")
    for name, text in SCRIPTS.items():
        for key in re.findall(r'\bt\("([^"]+)"', text):
            assert key in en, (name, key)
        for template in re.findall(r"\bt\(`([^`$]+)\$\{", text):
            assert any(key.startswith(template) for key in en), (name, template)


def test_what_the_service_can_say_has_words() -> None:
    en = words("en")
    for code in WORDINGS:
        assert f"reason.{code}" in en, f"give the page a short word for the reason {code}"
    for limit in (*DEFAULT_LIMITS, *FLOORS):
        for side in limit.sides:
            subject, _, edge = side.name.removeprefix("floor.").rpartition(".")
            assert subject in OUTCOMES, side.name
            assert f"side.{edge}" in en, side.name
    dictionary = FILES["/page/dictionary.js"].content.decode()
    assert all(f'"{name}"' in dictionary for name in (*SIGNALS, *OUTCOMES))


def test_the_made_up_line_speaks_the_services_own_forms(service: PageService) -> None:
    """The browser's tests stand on the made-up line, so it may say nothing that the service would not."""
    key = {"authorization": "Bearer key-of-viewer"}
    TypeAdapter(forms.Cells).validate_json(ask(service, "/v1/cells?line_id=L1", **key)[2])
    TypeAdapter(forms.CellCard).validate_json(ask(service, "/v1/cells/L1-003?days=30", **key)[2])
    TypeAdapter(forms.Followed).validate_json(ask(service, f"/v1/recommendations/{1:032x}", **key)[2])
    line = MadeLine()
    forms.Explanation.model_validate(explained(line, line.advise("L1-003")))
    forms.Quality.model_validate({k: v for k, v in quality(line).items() if k != "line_id"})
    Savings.model_validate_json(ask(service, "/v1/savings?line_id=L1", **key)[2])
    moves = [advice for name in line.names if (advice := line.advise(name)).status == "move"]
    ranked = {"line_id": "L1", **first_moves(moves, Budget(moves_a_day=9, line_voltage_v=0.1), 500.0)}
    told_of = forms.Allocation.model_validate(ranked)
    assert told_of.chosen
    assert told_of.left_out
