import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import output
from features.errors import InputError


def result(directory: Path, text: str) -> None:
    with output.fresh_result(directory) as staging:
        (staging / "bundle").mkdir()
        (staging / "bundle" / "model").write_text(text)
        (staging / output.MARK).write_text(text)


def half_a_result(directory: Path) -> None:
    with output.fresh_result(directory) as staging:
        (staging / "bundle").mkdir()
        raise RuntimeError("half way")


def listing(directory: Path) -> list[str]:
    return sorted(item.name for item in directory.iterdir())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_result_replaces_the_one_before_it(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(output, "_exchange", lambda one, other: False)
    target = tmp_path / "runs" / "latest"
    for text in ("one", "two", "three"):
        result(target, text)
        assert (target / "bundle" / "model").read_text() == text
        assert listing(target) == ["bundle", output.MARK]
        assert listing(target.parent) == ["latest"]


def test_a_failed_body_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "latest"
    result(target, "one")
    with pytest.raises(RuntimeError, match="half way"):
        half_a_result(target)
    assert (target / output.MARK).read_text() == "one"
    assert listing(tmp_path) == ["latest"]


def test_somebody_elses_directory_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"chapter\.tex"), output.fresh_result(target):
        pytest.fail("the body must not run")
    assert (target / "chapter.tex").read_text() == "years of work"
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="is a file"), output.fresh_result(file):
        pytest.fail("the body must not run")


def test_a_killed_swap_by_two_renames_is_mended(tmp_path: Path) -> None:
    target = tmp_path / "latest"
    result(target, "one")
    target.rename(tmp_path / ".latest.previous")  # killed between the two renames
    output.recover(target)
    assert (target / output.MARK).read_text() == "one"
    (tmp_path / ".latest.previous").mkdir()  # killed after the second, before the old one went
    output.recover(target)
    assert listing(tmp_path) == ["latest"]


WRITER = """
import sys, time
from pathlib import Path
from experiments.output import fresh_result
with fresh_result(Path(sys.argv[1])) as staging:
    (staging / "half").write_text("half")
    print(staging, flush=True)
    time.sleep(60)
"""


def test_only_dead_runs_are_swept(tmp_path: Path) -> None:
    target = tmp_path / "latest"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert writer.stdout is not None
        staging = Path(writer.stdout.readline().strip())
        assert (staging / "half").exists()
        result(target, "one")
        assert (staging / "half").exists(), "a living run's directory was removed"
    finally:
        writer.kill()
        writer.communicate()
    assert (staging / "half").exists(), "the kill was meant to leave it behind"
    result(target, "two")
    assert not staging.exists()
    assert (target / output.MARK).read_text() == "two"


def test_a_directory_that_never_got_its_lock_is_swept_when_old(tmp_path: Path) -> None:
    young, old = tmp_path / ".latest.part-young", tmp_path / ".latest.part-old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 600, time.time() - 600))
    output.recover(tmp_path / "latest")
    assert listing(tmp_path) == [".latest.part-young"]
