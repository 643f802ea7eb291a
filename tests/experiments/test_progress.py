import io

import pytest
from rich.console import Console

from experiments import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_every_stage_is_seen_and_timed(terminal: bool) -> None:
    shown = io.StringIO()
    stages = progress.Stages(2, Console(file=shown, force_terminal=terminal, width=100))
    for name in ("Reading tables", "Training"):
        with stages.stage(name) as meter:
            meter(1, 2, "half")
    text = shown.getvalue()
    assert "[ 1/2] Reading tables: done in" in text
    assert "[ 2/2] Training: done in" in text
    assert list(stages.seconds) == ["Reading tables", "Training"]


def test_a_long_stage_speaks_up_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SPEAK_EVERY_S", 0.0)
    shown = io.StringIO()
    stages = progress.Stages(1, Console(file=shown, width=100))
    with stages.stage("Training") as meter:
        meter(1, 4, "energy_kwh_per_t: network")
    assert "25% energy_kwh_per_t: network" in shown.getvalue()


def test_a_stage_that_fails_is_not_called_done() -> None:
    shown = io.StringIO()
    stages = progress.Stages(1, Console(file=shown, width=100))
    with pytest.raises(RuntimeError), stages.stage("Training"):
        raise RuntimeError
    assert "done in" not in shown.getvalue()
    assert stages.seconds == {}
