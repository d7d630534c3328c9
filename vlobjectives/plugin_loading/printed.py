"""What a plug-in prints: to stderr where only results belong on stdout, and not without end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

MOST = 2**20
"""Characters that one call of a plug-in may print."""


class Flood(BaseException):
    """A plug-in prints without end. No Exception, so that its own `except Exception` does not keep the loop alive."""


class _Limited:
    """A stream that counts what is written while `open`; afterwards, to whoever kept it, the stream itself."""

    def __init__(self, stream: TextIO):
        self.stream, self.written, self.open = stream, 0, True

    def write(self, text: str) -> int:
        self.written += len(text)
        if self.open and self.written > MOST:
            raise Flood(f"it printed more than {MOST:,} characters in one call")
        return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def limited(stdout_too: bool) -> Iterator[None]:
    """Inside, what is printed is counted: Flood is raised where it does not end.

    Args:
        stdout_too: What goes to stdout stays there. Else it goes to stderr.
    """
    out, err = sys.stdout, sys.stderr
    if out is None or err is None:  # a process without a console
        yield
        return
    streams: list[Any] = [_Limited(out), _Limited(err)] if stdout_too else [_Limited(err)] * 2
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        for stream in streams:
            stream.open = False
        if sys.stdout is streams[0]:
            sys.stdout = out
        if sys.stderr is streams[1]:
            sys.stderr = err
