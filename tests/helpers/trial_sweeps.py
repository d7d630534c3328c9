"""Real sweeps of the tiny recipe, in a process of their own that can be killed."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import trial_runs
from trial_runs import Child, forked

from vlobjectives.cli import main
from vlobjectives.runtime.launch import LAUNCHER
from vlobjectives.sweeping import train_row

SWEEP = """\
# Two rows.
base: small.yaml
change: {run.steps: 4, data.val: 0}
rows:
  few: {data.batch: 4}
seeds: [0, 1, 2]
metrics: [losses/test/itc/*]
out: out
"""


SMALL = """\
extends: tiny.yaml
model: {fusion: null, words: null}
masks: {noisy_words: null}
pairings: {others: null}
objectives: {itm: null, mlm: null}
"""
"""Contrast alone of the tiny recipe: checks and runs take half the time."""


def written(folder: Path, text: str = SWEEP) -> Path:
    """The small recipe, and a sweep of it, as files."""
    trial_runs.recipe(folder)
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    path = folder / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class Forked:
    """A forked run as subprocess.Popen shows one."""

    def __init__(self, child: Child):
        self.child, self.pid = child, child.pid

    def poll(self) -> int | None:
        return None if self.child.running() else os.waitstatus_to_exitcode(self.child.status)

    def send_signal(self, number: int) -> None:
        self.child.kill(number)

    def kill(self) -> None:
        self.child.kill()


def started(command: Sequence[str], said: IO[bytes]) -> Forked:
    """In place of `training.started`: the same command in a fork, which spares the imports."""

    def work() -> int:
        os.setsid()
        os.dup2(said.fileno(), 2)
        os.environ[LAUNCHER] = str(os.getppid())
        code = main(list(command))
        sys.stderr.flush()
        return code

    out = Path(command[list(command).index("--out") + 1])
    held = sys.stdout, sys.stderr  # the fork puts others in their place, and the last one who holds them closes 1 and 2
    assert held
    return Forked(forked(out.parent / f"{out.name}.said.txt", work))


def sweep(path: Path, *words: str) -> Child:
    """`vlobj sweep` in a process of its own."""

    def work() -> int:
        train_row.started = started
        return main(["sweep", str(path), *words])

    return forked(path.with_suffix(".said.txt"), work)


def ended(path: Path, *words: str) -> tuple[int, str]:
    """The exit code of a sweep, and what this start of it said."""
    said = path.with_suffix(".said.txt")
    before = len(said.read_text(encoding="utf-8")) if said.exists() else 0
    code = sweep(path, *words).wait()
    return code, said.read_text(encoding="utf-8")[before:]


def summary(place: Path) -> dict:
    return json.loads((place / "summary.json").read_text(encoding="utf-8"))


def until_gone(pid: int, seconds: float = 30) -> None:
    """Waits for a process that is not this one's child to be gone."""
    end = time.monotonic() + seconds
    while running(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
