"""Signals that ask a run to stop: a step in hand ends and is saved, everything else stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

from vlobjectives.errors import Passing

STOPPING = (
    signal.SIGINT,
    signal.SIGTERM,
    *(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name)),
)
"""Ctrl-C, a scheduler's end, a terminal that closes, and what Slurm may send before its limit."""


def taken(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Gives a handler every signal that asks to stop; what handled each before. A hangup that is ignored stays so:
    that is all that nohup does."""
    kept = {number for number in STOPPING[2:] if signal.getsignal(number) is signal.SIG_IGN}
    return {number: signal.signal(number, handler) for number in STOPPING if number not in kept}


def word(number: int) -> str:
    """What a person calls a signal."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class StopRequest(Passing):
    """A signal arrived where nothing has to end first. No Exception, so that a plug-in's hook does not swallow it."""


class Signals(AbstractContextManager):
    """Notes what asks to stop. Outside of `later` it raises StopRequest; inside, the caller asks `seen` after each
    step.

    A second Ctrl-C raises KeyboardInterrupt wherever it is. In a thread beside the main one nothing is caught.
    """

    seen: int | None = None

    def __enter__(self) -> "Signals":
        self.waiting = False
        here = threading.current_thread() is threading.main_thread()
        self.old = taken(self._note) if here else {}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    @contextmanager
    def later(self) -> Iterator[None]:
        """Inside, a signal is noted only."""
        was, self.waiting = self.waiting, True
        try:
            yield
        finally:
            self.waiting = was

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal raises StopRequest again; so does one that was noted before."""
        was, self.waiting = self.waiting, False
        try:
            if self.seen is not None:
                raise StopRequest
            yield
        finally:
            self.waiting = was

    def leave_children(self) -> None:
        """From here on nothing is raised when a child ends.

        Torch raises in its handler for each loader worker that ends while one has died, so a second time while the
        first error is being told.
        """
        if self.old and hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.seen == signal.SIGINT:
            raise KeyboardInterrupt
        self.seen = self.seen or number
        if not self.waiting:
            self.waiting = True  # once: what cleans up after it is not stopped again
            raise StopRequest
