"""Consoles that print on whatever stdout is: a terminal, a file, a pipe, nothing any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from vlobjectives.files import deafened

ENDLESS = 100_000
"""Columns of what is no terminal: a table takes what it needs, and nothing is cut."""


class Wide(Console):
    """Where there is no terminal nothing is cut, whatever COLUMNS says; where nobody reads, nothing is said: a terminal
    that was closed, or `| head`, must not end what it shows."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        if not self.file.isatty():
            self.width = ENDLESS

    def print(self, *what: Any, **how: Any) -> None:
        with self.heard():
            super().print(*what, **how)

    def on_broken_pipe(self) -> None:
        """Rich would end the process."""
        self.leave()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """For what prints by other ways, such as a progress bar."""
        try:
            yield
        except OSError:
            self.leave()

    def leave(self) -> None:
        self.quiet = True
        deafened(self.file)
