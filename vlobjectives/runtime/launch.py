"""Several processes on this machine for one run (`--nproc`): started, watched, stopped together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from vlobjectives.errors import RecipeError, ResourceError
from vlobjectives.runtime.signals import taken

LAUNCHER = "VLOBJ_LAUNCHER"
"""Stands beside torch's RANK and WORLD_SIZE in the environment of a `vlobj run`: the process that started it."""
GRACE = 15.0
"""Seconds between the first process that fails, asking the others to stop, and killing them."""


@dataclass
class Process:
    """One of the processes; `told` is what it wrote on stderr, None for the first, which writes to the terminal."""

    rank: int
    running: subprocess.Popen
    told: IO[bytes] | None


def launcher() -> int | None:
    """The process that this one must not outlive: the first of `--nproc` or of a sweep; None where a person began."""
    number = os.environ.get(LAUNCHER)
    return None if number is None else int(number)


def launch(count: int, words: Sequence[str]) -> int:
    """Runs `vlobj WORDS` in `count` processes and gives the exit code of what went wrong first, 0 if nothing did.

    They find rank, size and where to meet in the environment, as under torchrun, and share the cores. The first one
    prints; of the others only that one whose error ended the run. What asks to stop reaches all. Raises ResourceError
    when a process was killed, RecipeError for a count that cannot be; when one fails the rest is stopped within
    two times GRACE.
    """
    if count < 1 or "WORLD_SIZE" in os.environ:
        raise RecipeError.one(
            f"--nproc {count} cannot be" if count < 1 else "--nproc under torchrun cannot be",
            "give the number of processes to one of them",
        )
    with ExitStack() as stack:
        port = _port()
        processes = [_start(rank, count, port, words, stack) for rank in range(count)]
        forward = _Forward(processes)
        old = taken(forward)
        try:
            ended = _watch(processes, forward)
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            for one in processes:
                if one.running.poll() is None:
                    one.running.kill()
        return _verdict(processes, ended)


def _start(rank: int, count: int, port: int, words: Sequence[str], stack: ExitStack) -> Process:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    place = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        LAUNCHER: os.getpid(),
    }
    env = {"OMP_NUM_THREADS": str(max(1, cores // count))} | os.environ | {key: str(it) for key, it in place.items()}
    env |= {"PYTHONIOENCODING": "utf-8"} if rank else {}  # what it says is read here
    told = stack.enter_context(tempfile.TemporaryFile()) if rank else None  # noqa: SIM115, the stack closes it
    # A session of its own: Ctrl-C on the terminal reaches this process alone, which forwards it once.
    running = subprocess.Popen(
        [sys.executable, "-m", "vlobjectives", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if rank else None,
        stderr=told,
        start_new_session=True,
    )
    return Process(rank, running, told)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class _Forward:
    """Passes a signal on to every process that still runs."""

    def __init__(self, processes: Sequence[Process]):
        self.processes, self.interrupts = processes, 0

    def __call__(self, number: int, frame: object = None) -> None:
        self.interrupts += number == signal.SIGINT
        for one in self.processes:
            if one.running.poll() is None:
                one.running.send_signal(number)


def _watch(processes: Sequence[Process], forward: _Forward) -> list[Process]:
    """Waits for all; gives them in the order in which they ended. After a failure the rest is stopped."""
    ended: list[Process] = []
    failed: float | None = None
    asked = False
    while len(ended) < len(processes):
        time.sleep(0.05)
        for one in processes:
            if one not in ended and one.running.poll() is not None:
                ended.append(one)
        if failed is None and (forward.interrupts > 1 or any(one.running.returncode for one in ended)):
            failed = time.monotonic()
        waited = 0.0 if failed is None else time.monotonic() - failed
        rest = [one for one in processes if one not in ended]
        if waited > GRACE and not asked:
            asked = True
            forward(signal.SIGTERM)
        if waited > 2 * GRACE:
            for one in rest:
                one.running.kill()
    return ended


def _verdict(processes: Sequence[Process], ended: Sequence[Process]) -> int:
    """The exit code that says what went wrong, and the words of the process that met it.

    The others end with 6 because they lost it, so a code of another kind is the cause.
    """
    failed = [one for one in ended if one.running.returncode]
    if not failed:
        return 0
    killed = failed[0].running.returncode < 0
    cause = (
        failed[0]
        if killed
        else next((one for one in failed if one.running.returncode not in (6, 1)), None)
        or next((one for one in failed if one.running.returncode > 0), failed[0])
    )
    if processes[0].running.returncode == cause.running.returncode:
        cause = processes[0]  # it said the same, on the terminal
    if cause.told is not None:
        cause.told.seek(0)
        with suppress(OSError):  # a terminal that was closed: the code says how it ended
            sys.stderr.write(cause.told.read().decode(errors="replace"))
            sys.stderr.flush()
    if cause.running.returncode < 0:
        name = signal.Signals(-cause.running.returncode).name
        raise ResourceError(
            f"process {cause.rank} of {len(processes)} was ended by {name}; the others were stopped",
            "if nobody did that, memory may have run out; the run folder goes on from its last checkpoint",
        )
    return cause.running.returncode
