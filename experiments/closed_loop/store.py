"""Finished arms on disk, one file a line, arm and seed: whole or not there, so that a killed run goes on where it was."""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.closed_loop.definition import ArmSpec, LineSpec, task_digest
from experiments.closed_loop.loop import ArmResult
from features.errors import InputError


@dataclass(frozen=True)
class Task:
    """One arm on one line of one seed."""

    line: LineSpec
    arm: ArmSpec
    seed: int

    @property
    def words(self) -> str:
        """What it is called while it runs."""
        return f"{self.line.name}, {self.arm.name}, seed {self.seed}"


@dataclass(frozen=True)
class Store:
    """A directory of results; ``bundles`` names the digest of the bundle that each line's arms are made of."""

    folder: Path
    bundles: Mapping[str, str]
    code: str = ""
    """The code's revision: what other code made is no result of this one."""

    def path(self, task: Task) -> Path:
        """Return where ``task``'s result lies; another definition of the same arm lies elsewhere."""
        digest = task_digest(task.line, task.arm, self.bundles[task.line.name], self.code)
        return self.folder / f"{task.line.name}-{task.arm.name}-{task.seed}-{digest}.npz"

    def has(self, task: Task) -> bool:
        """Say whether ``task`` is done."""
        return self.path(task).is_file()

    def put(self, task: Task, result: ArmResult) -> Path:
        """Keep ``result``; it appears in one step."""
        target = self.path(task)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
        with beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **result.as_arrays())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        return target

    def get(self, task: Task) -> ArmResult | None:
        """Return ``task``'s result, None where there is none or the file is not whole."""
        try:
            # Opened here, because what is no archive would be left open by whoever opens it by name.
            with self.path(task).open("rb") as file, np.load(file, allow_pickle=False) as named:
                return ArmResult.from_arrays({name: named[name] for name in named.files})
        except (FileNotFoundError, zipfile.BadZipFile, InputError, KeyError, ValueError, EOFError):
            return None
