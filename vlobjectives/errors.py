"""The one family of errors, an exit code each, and the problems that a check collects.

Nobody should see a traceback for what they can correct: every error says what is wrong, where, and what to change.
This module imports no more than the table of old names, so that everything may raise from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlobjectives import deprecated


@dataclass(frozen=True)
class Place:
    """Where something was written. `file` may also be a word such as "command line"; lines and columns count from 1."""

    file: str | None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True)
class Problem:
    """One thing that a check found. `path` is dotted (`objectives.mgsc.mask`); a note does not stop a run."""

    place: Place | None
    path: str
    what: str
    hint: str
    note: bool = False

    def __str__(self) -> str:
        where = "  ".join(text for text in (str(self.place or ""), self.path) if text)
        head = f"{where}  {self.what}" if where else self.what
        if self.note:
            head = f"note: {head}"
        return f"{head}\n    hint: {self.hint}" if self.hint else head


class VlobjError(Exception):
    """Base of the family; raised itself only for a bug of ours.

    Its arguments stay `what, hint, place`, so that an error crosses from a worker process whole.
    """

    code: int = 1

    def __init__(self, what: str, hint: str = "", place: Place | None = None):
        super().__init__(what, hint, place)
        self.what, self.hint, self.place = what, hint, place

    def __str__(self) -> str:
        return str(Problem(self.place, "", self.what, self.hint))


class Passing(BaseException):
    """What no plug-in keeps from passing through its code: a signal that stops the run."""


class RecipeError(VlobjError):
    """The command line or the recipe is wrong. Carries every problem found, not the first alone."""

    code = 2

    def __init__(self, problems: Iterable[Problem]):
        self.problems: tuple[Problem, ...] = tuple(problems)
        first = self.problems[0]
        super().__init__(first.what, first.hint, first.place)
        self.args = (self.problems,)

    @classmethod
    def one(cls, what: str, hint: str, place: Place | None = None, path: str = "") -> "RecipeError":
        """An error of a single problem."""
        return cls([Problem(place, path, what, hint)])

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class DataError(VlobjError):
    """The data is missing, unreadable, or not what the recipe says."""

    code = 3


class PluginError(VlobjError):
    """A plug-in is unknown, does not load, or breaks its contract."""

    code = 4


class PluginWarning(PluginError, RuntimeWarning):
    """What a plug-in did wrong and the host put right: it was left out, switched off, or undone.

    A warning; under `--strict-plugins`, which is Python's filter `error` for this category, the error itself.
    """


class NonFiniteError(VlobjError):
    """A loss, a gradient or a weight went non-finite."""

    code = 5


class ResourceError(VlobjError):
    """Memory, disk or a process ran out or died."""

    code = 6


class Stopped(VlobjError):
    """A signal stopped the run; it can be resumed (sysexits' EX_TEMPFAIL)."""

    code = 75


class Interrupted(VlobjError):
    """Ctrl-C stopped the run; it can be resumed (128 + SIGINT)."""

    code = 130


if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        """Errors under the names that they had in earlier releases."""
        return deprecated.attribute(__name__, name)
