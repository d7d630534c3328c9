"""Signals that ask a run to stop: a step in hand ends and is saved, everything else stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType


class Halt(BaseException):
    """A signal arrived where nothing has to end first. No Exception, so that a plug-in's hook does not swallow it."""


class Signals(AbstractContextManager):
    """Notes SIGTERM and Ctrl-C. Outside of `later` they raise Halt; inside, the caller asks `seen` after each step.

    A second Ctrl-C raises KeyboardInterrupt wherever it is. In a thread beside the main one nothing is caught.
    """

    seen: int | None = None

    def __enter__(self) -> "Signals":
        self.waiting = False
        here = threading.current_thread() is threading.main_thread()
        self.old = {number: signal.signal(number, self._note)
                    for number in (signal.SIGINT, signal.SIGTERM) if here}
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
        """Inside, a signal raises Halt again; so does one that was noted before."""
        was, self.waiting = self.waiting, False
        try:
            if self.seen is not None:
                raise Halt
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
            raise Halt
