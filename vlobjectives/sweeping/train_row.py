"""One run of a sweep: `vlobj run` in a process of its own, so that what ends the run does not end the sweep."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from vlobjectives.errors import Interrupted, ResourceError, Stopped
from vlobjectives.runtime.launch import LAUNCHER
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.signals import Signals
from vlobjectives.sweeping.prepare import SweepRun

TAIL = 65536
"""Bytes at the end of metrics.jsonl that hold its last line."""


class Child(Protocol):
    """What is asked of a process; subprocess.Popen gives it."""

    def poll(self) -> int | None: ...

    def send_signal(self, number: int) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code (0: done; a signal that killed it is 6), why, and all that it said on stderr."""

    code: int
    why: str = ""
    said: str = ""

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to stop; it goes on when the sweep does."""
        return self.code in (Stopped.code, Interrupted.code)


def train(
    run: SweepRun, recipe: Path, steps: int, words: Sequence[str], processes: int, signals: Signals, log: Log
) -> Outcome:
    """Trains a run or goes on with it. A signal to this process is passed on, and the run saves and ends.

    recipe     file of the row's resolved recipe
    words      options that stand before the verb
    A second Ctrl-C raises KeyboardInterrupt, and the run is killed.
    """
    command = [
        *words,
        "run",
        str(recipe),
        f"seed={run.seed}",
        "--out",
        str(run.place),
        "--resume",
        *(["--nproc", str(processes)] if processes > 1 else []),
    ]
    with tempfile.TemporaryFile() as said, signals.later(), log.progress(steps, _done(run.place), run.name) as bar:
        child = started(command, said)
        told = False
        try:
            while (code := child.poll()) is None:
                time.sleep(0.1)
                if signals.seen is not None and not told:
                    told = True
                    child.send_signal(signals.seen)
                if bar.live:
                    bar.to(_done(run.place))
        finally:
            if child.poll() is None:
                child.kill()
                child.poll()
        said.seek(0)
        text = said.read().decode(errors="replace")
    if code < 0:
        return Outcome(
            ResourceError.code,
            f"ended by {signal.Signals(-code).name}; if nobody did that, memory may have run out",
            text,
        )
    return Outcome(code, _reason(text) if code else "", text)


def started(command: Sequence[str], said: IO[bytes]) -> Child:
    """Starts `vlobj COMMAND`, whose words on stderr go to `said`; it dies with this process; it has been checked."""
    # A session of its own: Ctrl-C on the terminal reaches this process alone, which passes it on once.
    return subprocess.Popen(
        [sys.executable, "-m", "vlobjectives", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,
        env=os.environ | {LAUNCHER: str(os.getpid()), "PYTHONIOENCODING": "utf-8"},
    )


def _done(place: Path) -> int:
    """Steps that a run has behind it, by its metrics."""
    try:
        with (place / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
        return json.loads(lines[-2])["step"] + 1 if len(lines) > 1 else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _reason(said: str) -> str:
    """What an error said: the line over its hint, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    hints = [place for place, line in enumerate(lines) if line.startswith("hint: ")]
    if hints and hints[0]:
        return lines[hints[0] - 1]
    return lines[-1] if lines else "it ended without a word"
