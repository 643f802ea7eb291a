"""Refusals speak both languages: every one that a reader of the page can meet, filled with the same values."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

import serving
from features.errors import BundleCorruptError, InputError, SearchError, UnknownNameError
from serving.access.roles import ROLES_ZH, Role
from serving.refusal_words import WORDS, code_of
from serving.refusals import CODES, TABLE, RefusedError, body, of_status, refusal_of, refused

ROOM = Path(serving.__file__).parent
HAN = re.compile(r"[\u4e00-\u9fff]")
FOR_MACHINES = ("protocol", "record", "routes/repository.py", "routes/rest.py", "routes/grpc_service.py")
"""Ways in that the page does not use: a twin's rows, the protocol, the repository."""
OWN = ("refusals.py", "models/link.py", "models/house.py")
"""What makes refusals, what hands on a worker's, and a version that cannot be unloaded (the repository's route)."""


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of ``name`` in the room, with its file."""
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield file.relative_to(ROOM).as_posix(), node


def keys_of(call: ast.Call) -> list[str]:
    """The keys that a call of ``refused`` may give; none where it is computed."""
    parts = [part.value for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)]
    return [part for part in parts if isinstance(part, str)]


def test_every_refusal_that_is_raised_has_its_words_and_their_values() -> None:
    raised: set[str] = set()
    for file, call in calls("refused"):
        given = {keyword.arg for keyword in call.keywords} - {"zh"}
        for key in keys_of(call):
            if file == "refusals.py" and key == "refused":
                continue
            assert key in WORDS, (file, key)
            assert WORDS[key].fields(WORDS[key].text) == given, (file, key)
            raised.add(key)
    by_table = {verdict.code for _, verdict in TABLE} | set(CODES.values()) | {"refused"}
    assert by_table <= set(WORDS)
    assert set(WORDS) == raised | by_table, "words that nobody says"
    assert len(raised) > 30


def test_what_a_reader_of_the_page_can_meet_is_said_in_words_of_both_languages() -> None:
    direct = {file for file, _ in calls("RefusedError") if not file.startswith((*FOR_MACHINES, *OWN))}
    assert not direct, "raise refused(status, key, ...) with words in serving/refusal_words.py"
    for key, wording in WORDS.items():
        assert HAN.search(wording.text_zh), key
        assert not HAN.search(wording.text), key
    assert set(ROLES_ZH) == set(Role)


def test_a_refusal_is_what_its_key_says() -> None:
    found = refused(
        403, "role_too_low", zh={"needed": "操作员", "role": "查看者"}, needed="operator", role="viewer"
    )
    assert (found.status, found.code) == (403, "role_too_low")
    assert found.message == "this takes the role operator; yours is viewer"
    assert found.message_zh == "此操作需要“操作员”角色；您的角色是“查看者”。"
    told = orjson.loads(body(found, "r1"))
    assert told == {
        "error": found.message,
        "error_zh": found.message_zh,
        "code": "role_too_low",
        "request_id": "r1",
    }
    unknown = refused(404, "unknown_name.line", line="L9")
    assert unknown.code == code_of("unknown_name.line") == "unknown_name"
    # Whoever catches the error that it is catches it still.
    assert isinstance(unknown, UnknownNameError)
    assert isinstance(refused(422, "invalid_input.no_days", line="L1"), InputError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("cell x: noise is -3 mV"), "invalid_input"),
        (UnknownNameError("no lever 'x'"), "unknown_name"),
        (SearchError("nothing feasible"), "no_feasible_setpoint"),
    ],
)
def test_an_error_of_ours_is_told_behind_a_chinese_head(error: InputError, code: str) -> None:
    found = refusal_of(error)
    assert (found.code, found.message) == (code, str(error))
    assert HAN.match(found.message_zh)
    assert found.message_zh.endswith(str(error))


def test_neither_language_shows_our_insides() -> None:
    for found in (
        refusal_of(BundleCorruptError("model.onnx in /x/y")),
        refusal_of(InputError("no file /etc/superheat/keys.json")),
        RefusedError(400, "bad_json", "the body is no JSON"),
        of_status(404, "there is nothing at this address"),
    ):
        assert HAN.search(found.message_zh)
        assert "/" not in found.message + found.message_zh
