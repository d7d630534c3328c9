"""Whose code was at work when something failed: noted on the error as it passes, so that a person is told the plug-in.

An error in a third party's loss arrives wherever the host called it from. The note says where the recipe names the
plug-in and what it was asked for; the traceback says at which of its lines.
"""

import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any

from vlobjectives.errors import Place, PluginError, RecipeError, VlobjError
from vlobjectives.plugin_loading.load import reason_of

KeyPath = tuple[str | int, ...]
MEND = "correct the plug-in; `vlobj --debug` and then the command's other words shows the traceback"


class ContractError(TypeError):
    """A plug-in did not give what its contract says: why, what to change, and which of its functions it was."""

    def __init__(self, why: str, hint: str, call: Any):
        super().__init__(why)
        self.why, self.hint = why, hint
        code = getattr(call, "__code__", None)
        self.place = Place(code.co_filename, code.co_firstlineno) if code else None


class Whose(str):
    """A note on an error: who was at work.

    path   where the recipe names it (`objectives`, `mine`)
    what   what it was asked for, as in "the loss"
    files  the files that its class and those that it derives are written in, the host's and torch's aside
    """

    path: KeyPath
    what: str
    files: tuple[str, ...]


@contextmanager
def work_of(path: KeyPath, what: str, whole: Any) -> Iterator[None]:
    """Whatever fails inside is noted as `whole`'s, unless something further inside was noted before."""
    try:
        yield
    except Exception as error:
        _note(error, path, what, whole)
        raise


@contextmanager
def work_among(wholes: Mapping[KeyPath, Any], what: str) -> Iterator[None]:
    """The same where nobody was asked by name (a backward pass): the one of `wholes` whose own lines took part."""
    try:
        yield
    except Exception as error:
        for code in _codes(error):
            owners = [path for path, whole in wholes.items() if code.co_filename in files_of(whole)]
            named = [
                path
                for path in owners
                if code.co_qualname.split(".")[0] in {cls.__name__ for cls in type(wholes[path]).__mro__}
            ]
            if owners:
                _note(error, (named or owners)[0], what, wholes[(named or owners)[0]])
                break
        raise


def given(value: Any, kind: type | UnionType, call: Any, words: str = "") -> Any:
    """What a plug-in's function returned. Raises ContractError where it is not of the kind that its contract says.

    words  what it must return, where the kind alone does not say that
    """
    if not isinstance(value, kind):
        kinds: tuple[type, ...] = kind.__args__ if isinstance(kind, UnionType) else (kind,)
        must = words or " or ".join(f"a {one.__name__}" for one in kinds)
        raise ContractError(f"{call.__name__} returned {an(value)}", f"{call.__name__} must return {must}", call)
    return value


def an(value: Any) -> str:
    """What kind of thing this is, in words; a fake tensor of a shape check is a tensor."""
    name = next(cls.__name__ for cls in type(value).__mro__ if cls.__name__ != "FakeTensor")
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def whose(error: BaseException) -> Whose | None:
    """The note on an error."""
    return next((note for note in getattr(error, "__notes__", ()) if isinstance(note, Whose)), None)


def blamed(error: BaseException) -> VlobjError | None:
    """What an error means for a person: itself if it is meant for one, else the plug-in that its note names; None
    where there is no note."""
    note = whose(error)
    at = ".".join(map(str, note.path)) if note else ""
    if isinstance(error, PluginError) and note and at not in error.what:  # as a contract says it to a plug-in's lines
        return PluginError(f"{at}: {error.what}", error.hint, error.place)
    if note is None or isinstance(error, VlobjError):
        return error if isinstance(error, VlobjError) else None
    if isinstance(error, ContractError):
        return PluginError(f"{at}: {error.why}", error.hint, error.place)
    if hasattr(error, "why") and hasattr(error, "hint"):  # CannotBuild: the plug-in itself says what it cannot
        return RecipeError.one(error.why, error.hint, path=at)
    return PluginError(f"{at}: {note.what} failed: {reason_of(error)}", MEND, line_of(error, note.files))


def line_of(error: BaseException, files: Iterable[str]) -> Place | None:
    """The last line of these files that took part in an error; None where none did."""
    if isinstance(error, ContractError | PluginError) and error.place:
        return error.place
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next((Place(file, line) for file, line in reversed(lines) if file in files), None)


def refused(error: BaseException, cls: type) -> bool:
    """Whether an error is a library's answer to what a plug-in asked of it for a recipe's values (heads that do not
    divide a width), or an assertion of its own, and no mistake in its lines."""
    if isinstance(error, AttributeError | NameError | ImportError | NotImplementedError | ContractError | PluginError):
        return False
    frames = [Path(code.co_filename) for code in _codes(error)]
    whole = sys.modules.get(cls.__module__.split(".")[0])
    own = [Path(path) for path in getattr(whole, "__path__", ())] or [Path(file).parent for file in files_of(cls)]
    return isinstance(error, AssertionError) or not any(frames[0].is_relative_to(folder) for folder in own)


def files_of(whole: Any) -> tuple[str, ...]:
    """The files of an object's class (or of a class) and of those that it derives, as tracebacks name them."""
    found = []
    for cls in (whole if isinstance(whole, type) else type(whole)).__mro__:
        if cls.__module__.split(".")[0] not in ("vlobjectives", "torch", "builtins", "abc", "typing"):
            try:
                found += [inspect.getfile(cls), str(Path(inspect.getfile(cls)).resolve())]
            except (TypeError, OSError):  # a class that was made in no file
                continue
    return tuple(dict.fromkeys(found))


def _note(error: Exception, path: KeyPath, what: str, whole: Any) -> None:
    if whose(error) is None:
        note = Whose(f"at work: {'.'.join(map(str, path))}, {what}")
        note.path, note.what, note.files = path, what, files_of(whole)
        error.add_note(note)


def _codes(error: BaseException) -> list[Any]:
    """The code of each frame that took part, the innermost first."""
    return [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]
