"""What a person watching a long command sees: the stage at hand, how far it is, and how long each one took.

On a terminal the current stage is a live bar; elsewhere (a log, a pipe) every stage is a line when it starts and
when it ends, and long ones speak up every few seconds in between.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SPEAK_EVERY_S: Final = 5.0


class Meter(Protocol):
    """What a stage is given to say how far it is."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Say that ``done`` of ``total`` is behind us; ``note`` names what is at hand."""


@dataclass
class Stages:
    """The stages of one command, in order; ``seconds`` fills as they end."""

    count: int
    console: Console = field(default_factory=Console)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Meter]:
        """Show ``name`` while the body runs; the value given to the body moves its bar."""
        number = len(self.seconds) + 1
        heading = f"[{number:>2}/{self.count}] {name}"
        started = time.perf_counter()
        shown = self._live(heading) if self.console.is_terminal else self._lines(heading)
        with shown as meter:
            yield meter
        self.seconds[name] = time.perf_counter() - started
        self.console.print(f"{heading}: done in {self.seconds[name]:.1f} s", markup=False, highlight=False)

    @contextmanager
    def _live(self, heading: str) -> Iterator[Meter]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(heading, total=None, note="")

            def move(done: float, total: float, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield move

    @contextmanager
    def _lines(self, heading: str) -> Iterator[Meter]:
        self.console.print(f"{heading} ...", markup=False, highlight=False)
        spoke = time.perf_counter()

        def move(done: float, total: float, note: str = "") -> None:
            nonlocal spoke
            now = time.perf_counter()
            if now - spoke < SPEAK_EVERY_S:
                return
            spoke = now
            share = f"{done / total:4.0%}" if total else "    "
            self.console.print(f"        {share} {note}".rstrip(), markup=False, highlight=False)

        yield move
